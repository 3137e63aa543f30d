"""Datasets: the episodes of runs, exported for offline learning and for tables."""
