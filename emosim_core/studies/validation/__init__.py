"""Validation: how close simulated users are to real ones."""
