"""Reports: what a person looks at after a run, a training, an evaluation or a study."""
