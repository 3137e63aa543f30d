"""Training: recommenders that learn from simulated people, and how good they are."""
