"""Packs: a run in one file that travels: its configuration, the answers that it used, its records; and its replay."""
