"""Training: recommenders that learn from simulated users, and how good they are."""
