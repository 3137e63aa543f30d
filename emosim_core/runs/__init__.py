"""Runs: simulate episodes, write them down as they happen, resume and read them."""
