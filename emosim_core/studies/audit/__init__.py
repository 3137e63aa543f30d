"""Audit: whether a rater answers as a person would, one question at a time."""
