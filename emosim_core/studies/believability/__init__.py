"""Believability: whether a judge can tell ratings of simulated users from those of the real users they stand for."""
