"""Progress: what the lines of progress.jsonl of a training come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

RECENT = 100
"""Episodes over which a reward or a length while learning is a mean, as in stable-baselines3."""


def mean_over(lines: Sequence[Mapping[str, Any]], name: str, last: bool = True) -> tuple[float, int] | None:
    """Mean of a column over the last episodes of a training, or over the first ones.

    Args:
        lines: the lines of progress.jsonl, in order, each with ``episodes`` and the column.
        name: the column, such as ``reward``.
        last: whether of the last episodes.

    Returns:
        The mean, and of how many episodes: of at least :data:`RECENT`, if so many ended; None where none ended.
    """
    ended = [0, *(line.get("episodes") or 0 for line in lines)]
    counts = [after - before for before, after in pairwise(ended)]
    known = [
        (count, line[name])
        for count, line in zip(counts, lines, strict=True)
        if count > 0 and line.get(name) is not None
    ]
    total, episodes = 0.0, 0
    for count, value in reversed(known) if last else known:
        total, episodes = total + count * value, episodes + count
        if episodes >= RECENT:
            break
    return (total / episodes, episodes) if episodes else None
