"""What users take together: the leading directions of a log, and how near each other items are in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.data.interactions import Interactions
from emosim_core.errors import MissingDependencyError
from emosim_core.model.arrays import Floats

USERS_A_DIRECTION = 8
"""Users of a log to each direction that is kept of it, at least, where directions must not be those of single users."""

_DIRECTIONS = 64
"""Directions that say what items are taken together with, at most."""

_DIRECTIONS_DOUBT = 2.0
"""Users who must have taken an item before half of what it is taken together with is believed."""

_DENSE = 1_200
"""Up to so many users or items, all directions of a log are computed at once."""


def directions(log: Interactions, seed: int, rank: int, evenly: bool = False) -> tuple[Floats, NDArray[np.float32]]:
    """Squared singular values of users by items, and right singular vectors: the ``rank`` largest.

    Args:
        seed: decides where the iterations for a large log start.
        evenly: whether an interaction counts less, the more there are of its user and of its item: the inverse root of
            the product of both numbers, so that the first direction, of 1, tells how often each item is taken.

    Returns:
        Shapes ``(r,)``, falling, and ``(N, r)``; r is at most ``rank``.

    Raises:
        MissingDependencyError: scipy is not installed.
    """
    try:
        from scipy import sparse
    except ImportError as error:
        raise MissingDependencyError("learning what users choose", "scipy", 'pip install "emosim-core[fit]"') from error
    present, users, counts = np.unique(log.users, return_inverse=True, return_counts=True)
    entries = np.ones(len(log))
    if evenly:
        entries /= np.sqrt(counts[users] * np.bincount(log.items, minlength=log.item_count)[log.items])
    taken: Any = sparse.csr_array((entries, (users, log.items)), shape=(len(present), log.item_count))
    if len(present) <= min(_DENSE, log.item_count):
        values, vectors = np.linalg.eigh((taken @ taken.T).toarray())
        vectors = taken.T @ vectors[:, : -rank - 1 : -1]
        values = values[: -rank - 1 : -1]
    else:
        # Subspace iteration (Halko, Martinsson & Tropp, 2011, algorithm 4.4).
        wide = min(rank + 32, len(present), log.item_count)
        basis = np.random.default_rng(seed).standard_normal((log.item_count, wide))
        for _ in range(4):
            basis = np.linalg.qr(taken.T @ (taken @ basis))[0]
        image = taken @ basis
        values, turned = np.linalg.eigh(image.T @ image)
        values, vectors = values[: -rank - 1 : -1], basis @ turned[:, : -rank - 1 : -1]
        vectors = vectors * np.sqrt(np.maximum(values, 0.0))
    enough = values > 1e-6 * max(1.0, float(values.max(initial=0.0)))
    values, vectors = values[enough], vectors[:, enough] / np.sqrt(values[enough])
    return np.round(values, 6), np.round(vectors, 7).astype(np.float32)


def taken_together(log: Interactions, seed: int) -> NDArray[np.float32]:
    """Where each item stands by what else its users took, shape ``(N, K)``; K is 0 in a log of very few users.

    The principal coordinates of items in a correspondence analysis of users by items (Greenacre, 1984), in the leading
    64 directions, or one for every eight users or items. The coordinates of an item that n users took have the length
    ``sqrt(n / (n + 2))``, so the products of two items' are between -1 and 1; of an item that nobody took they are 0.
    """
    sizes = len(np.unique(log.users)), len(np.unique(log.items))
    rank = min(_DIRECTIONS, min(sizes) // USERS_A_DIRECTION)
    if not rank:
        return np.zeros((log.item_count, 0), dtype=np.float32)
    values, vectors = directions(log, seed, rank + 1, evenly=True)
    counts = np.bincount(log.items, minlength=log.item_count)
    # The first direction is how often items are taken.
    places = vectors[:, 1:] * np.sqrt(values[1:])
    lengths = np.maximum(np.linalg.norm(places, axis=1), 1e-9)
    return np.round(places * (np.sqrt(counts / (counts + _DIRECTIONS_DOUBT)) / lengths)[:, None], 6).astype(np.float32)
