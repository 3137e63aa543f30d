"""Studies: ablations, and how close simulated people are to real ones."""
