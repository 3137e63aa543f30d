"""Random orders of very many items, of which only the places that are looked at are computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Draws
from emosim_core.model.arrays import Ints

_ROUNDS = 4


class Shuffled:
    """An order of N items for each of B slots, from a few random numbers.

    A place is encrypted by a Feistel network with four rounds (Luby and Rackoff, 1988), over the least even number of
    bits that has room for N, again and again until it is below N. So an order takes 32 bytes, not eight for each item.
    """

    def __init__(self, slots: int, count: int) -> None:
        self._count = count
        self._half = np.uint64(max(1, ((count - 1).bit_length() + 1) // 2))
        self._mask = np.uint64((1 << int(self._half)) - 1)
        self._keys = np.zeros((slots, _ROUNDS), dtype=np.uint64)

    def begin(self, rows: Ints, draws: Draws) -> None:
        """Draw a new order for each of ``rows``."""
        for r, row in enumerate(rows):
            self._keys[row] = draws.generator(r).integers(1 << 63, size=_ROUNDS)

    def at(self, rows: Ints, places: Ints) -> Ints:
        """The items at places from 0, below N, of the orders of ``rows``; both of any shape that broadcast."""
        row, place = np.broadcast_arrays(rows, places)
        keys, items = self._keys[row.ravel()], place.ravel().astype(np.uint64)
        outside = np.arange(len(items))
        while len(outside):
            items[outside] = self._encrypted(items[outside], keys[outside])
            outside = outside[items[outside] >= self._count]
        return items.astype(np.intp).reshape(place.shape)

    def _encrypted(self, numbers: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = numbers >> self._half, numbers & self._mask
        for round_ in range(_ROUNDS):
            left, right = right, left ^ (_mixed(right + keys[:, round_]) & self._mask)
        return left << self._half | right


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
