"""Evaluation: recommenders compared on the same episodes."""
