"""EmoSim: simulated people for recommender systems."""
