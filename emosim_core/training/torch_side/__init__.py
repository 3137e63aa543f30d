"""What subclasses torch and stable-baselines3; imported where a model is trained or used, never before."""
