"""RunSums: what the charts and tables of a run are made of, summed a part of its steps at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emosim_core.evaluation.columns import Ints, Part
from emosim_core.stats import Floats

CELLS = (20, 10)
"""Cells of the mood plane, along valence and arousal."""

EDGES = (np.linspace(-1, 1, CELLS[0] + 1), np.linspace(0, 1, CELLS[1] + 1))
"""Edges of these cells."""

_AT_ONCE = 1 << 20
"""Ratings that are gathered before they are added to the pairs of user and item."""

_ITEMS = 1 << 31
"""More than there are items: a pair is one number, ``user * _ITEMS + item``."""


@dataclass
class Pairs:
    """Pairs of a user and an item, each once, n of them: numbers, and sums over their ratings, shape ``(n,)``."""

    user: Ints
    item: Ints
    total: Floats
    liked: Floats
    count: Floats


@dataclass
class RunSums:
    """Sums over the steps of a run; numbers of users and items are those of its columns.

    Attributes:
        levels: how often each rating was given.
        by_step: sum and count of the ratings of each user at each step, from 1, shape ``(users, steps, 2)``.
        cells: how often a mood was in each cell of the plane.
        paths: count, sum of valence and sum of arousal by step, from 0, of the episodes that ended before their last
            step and of those that came to it, shape ``(2, steps + 1, 3)``.
    """

    levels: Counter[float] = field(default_factory=Counter)
    by_step: Floats = field(default_factory=lambda: np.zeros((0, 0, 2)))
    cells: Floats = field(default_factory=lambda: np.zeros(CELLS))
    paths: Floats = field(default_factory=lambda: np.zeros((2, 1, 3)))
    _keys: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _sums: Floats = field(default_factory=lambda: np.zeros((0, 3)))
    _waiting: list[tuple[Ints, Floats]] = field(default_factory=list)

    @classmethod
    def of(cls, part: Part) -> RunSums:
        """The sums of one part."""
        sums = cls()
        sums.add(part)
        return sums

    @property
    def ratings(self) -> int:
        """How many ratings were given."""
        return self.levels.total()

    def add(self, part: Part) -> None:
        """Add a part of the steps."""
        values, counts = np.unique(part.rating, return_counts=True)
        self.levels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        if len(part.step):
            self._add_ratings(part)
        if len(part.step_number):
            self.cells += np.histogram2d(part.moods[:, 0], part.moods[:, 1], bins=EDGES)[0]
            last = int(part.step_number.max()) + 1
            self.paths = _grown(self.paths, (2, last, 3))
            steps = self.paths.shape[1]
            for which, chosen in enumerate((~part.stayed, part.stayed)):
                for column, weights in enumerate((None, *part.moods[chosen].T)):
                    self.paths[which, :, column] += np.bincount(part.step_number[chosen], weights, minlength=steps)

    def _add_ratings(self, part: Part) -> None:
        self.by_step = _grown(self.by_step, (int(part.user.max()) + 1, int(part.step.max()), 2))
        for column, values in enumerate((part.rating, np.ones(len(part.rating)))):
            np.add.at(self.by_step[:, :, column], (part.user, part.step - 1), values)
        sums = np.column_stack([part.rating, part.liked, np.ones(len(part.user))])
        self._waiting.append((part.user.astype(np.int64) * _ITEMS + part.item, sums))
        if sum(len(keys) for keys, _ in self._waiting) >= max(_AT_ONCE, len(self._keys)):
            self._merge()

    def _merge(self) -> None:
        keys, sums = zip((self._keys, self._sums), *self._waiting, strict=True)
        self._keys, self._sums = _summed(np.concatenate(keys), np.concatenate(sums))
        self._waiting = []

    @property
    def pairs(self) -> Pairs:
        """The pairs of a user and an item that there are ratings of."""
        if self._waiting:
            self._merge()
        return Pairs(self._keys // _ITEMS, self._keys % _ITEMS, *self._sums.T)


def _grown(values: Floats, shape: tuple[int, ...]) -> Floats:
    """An array with room for a shape, zeros where it is new."""
    missing = [(0, max(0, wanted - have)) for wanted, have in zip(shape, values.shape, strict=True)]
    return np.pad(values, missing) if any(more for _, more in missing) else values


def _summed(keys: Ints, sums: Floats) -> tuple[Ints, Floats]:
    """Each key once, rising, and the sum of its rows."""
    unique, place = np.unique(keys, return_inverse=True)
    return unique, np.column_stack([np.bincount(place, column, minlength=len(unique)) for column in sums.T])


def added(shape: tuple[int, ...], places: tuple[NDArray[np.integer], ...], values: Floats) -> Floats:
    """The sums of values by their places in an array."""
    made = np.zeros(shape)
    np.add.at(made, places, values)
    return made
