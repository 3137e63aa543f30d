"""Recommenders: policies that follow a rule, learn from logs or while they run, and trained ones."""
