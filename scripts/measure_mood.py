"""Measures how far apart in valence users' good and bad moods are in a run: ``python scripts/measure_mood.py RUN``.

A mood is that before an item is rated, good above ``--cut`` and bad below its negative. Users with both count alike.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from emosim_core.components.rule_based import RuleBasedOptions
from emosim_core.runs.records import read_records


def distances(directory: Path, cut: float) -> list[float]:
    """Mean valence in good moods less that in bad ones, for each user who has both."""
    now: dict[int, float] = {}
    moods: dict[str, tuple[list[float], list[float]]] = {}
    for record in read_records(directory):
        if profile := record.get("user_profile"):
            now[record["episode"]] = profile["baseline_valence"]
        valence = now[record["episode"]]
        good, bad = moods.setdefault(record["user"], ([], []))
        if abs(valence) > cut:
            (good if valence > 0 else bad).append(valence)
        now[record["episode"]] = record["mood"][0]
    return [float(np.mean(good) - np.mean(bad)) for good, bad in moods.values() if good and bad]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the directory of a run")
    parser.add_argument("--cut", type=float, default=0.0, help="valence from which a mood is good, or bad below zero")
    given = parser.parse_args()
    apart = distances(given.run, given.cut)
    mean, weight = float(np.mean(apart)), RuleBasedOptions().mood
    print(
        f"{len(apart)} users; {mean:.2f} apart in valence, {weight * mean:.2f} points of 10 at a weight of {weight:g}"
    )


if __name__ == "__main__":
    main()
