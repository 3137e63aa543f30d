"""Runs: simulate sessions, write them down as they happen, resume and read them."""
