"""Training: recommenders that learn from simulated users."""
