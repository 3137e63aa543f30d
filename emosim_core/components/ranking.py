"""Picking the k best of many histories at once, the more recent first among equals."""

from __future__ import annotations

import numpy as np

from emosim_core.model.arrays import Floats, Ints

NEVER = -np.inf
"""Score of what must not be picked."""


def best_positions(reversed_scores: Floats, k: int) -> Ints:
    """Positions of the k highest scores of each row.

    Args:
        reversed_scores: scores with the most recent position first, shape ``(R, S, W)``; :data:`NEVER`
            where a position is no candidate. The array is used up.

    Returns:
        Positions counted from the oldest, shape ``(R, S, k)``, best first; -1 where candidates run
        out. Of equal scores the more recent one comes first.
    """
    users, slate, width = reversed_scores.shape
    if users == slate == 1:  # one sort is cheaper than k passes here, and only here
        row = reversed_scores[0, 0]
        order = np.negative(row).argsort(kind="stable")[:k]
        positions = np.full((1, 1, k), -1, dtype=np.intp)
        positions[0, 0, : len(order)] = np.where(row.take(order) == NEVER, -1, width - 1 - order)
        return positions
    picked = min(k, width)
    places = np.empty((picked, users * slate), dtype=np.intp)
    worth = np.empty((picked, users * slate))
    scores = reversed_scores.reshape(users * slate, width)
    flat = scores.reshape(-1)
    starts = np.arange(0, flat.size, max(width, 1))
    for j in range(picked):
        best = scores.argmax(axis=1)
        places[j] = best
        best += starts
        worth[j] = flat.take(best)
        flat[best] = NEVER
    positions = np.where(worth == NEVER, -1, width - 1 - places)
    if picked < k:
        positions = np.concatenate([positions, np.full((k - picked, users * slate), -1)])
    return positions.T.reshape(users, slate, k)
