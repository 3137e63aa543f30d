"""Studies: ablations, and how close simulated users are to real ones."""
