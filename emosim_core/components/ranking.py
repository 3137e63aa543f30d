"""Picking the k best of many histories at once, the more recent first among equals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEVER = -np.inf
"""Score of what must not be picked."""


def best_positions(reversed_scores: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Positions of the k highest scores of each row.

    Args:
        reversed_scores: scores with the most recent position first, shape ``(R, S, W)``; :data:`NEVER`
            where a position is no candidate. The array is used up.
        k: how many to pick.

    Returns:
        Positions counted from the oldest, shape ``(R, S, k)``, best first; -1 where candidates run
        out. Of equal scores the more recent one comes first.
    """
    people, slate, width = reversed_scores.shape
    positions = np.full((people * slate, k), -1, dtype=np.intp)
    if width:
        scores = reversed_scores.reshape(people * slate, width)
        starts = np.arange(0, scores.size, width)
        flat = scores.reshape(-1)
        for j in range(min(k, width)):
            best = scores.argmax(axis=1)
            where = starts + best
            positions[:, j] = np.where(flat.take(where) == NEVER, -1, width - 1 - best)
            flat[where] = NEVER
    return positions.reshape(people, slate, k)
