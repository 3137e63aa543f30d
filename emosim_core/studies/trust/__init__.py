"""How often a verdict of simulated users is right, where the truth is known."""
