"""Memory: what each simulated user consumed and felt, in arrays that grow by doubling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.model.emotion import CODE_AROUSAL, CODE_VALENCE

if TYPE_CHECKING:
    from emosim_core.kernels.compiled import Kernels

Rows = Ints | slice
"""Which users of a batch: an index array, or ``slice(None)`` for all of them (no copy is made)."""

ALL_ROWS = slice(None)

_COLUMNS = ("items", "ratings", "codes", "times", "latest")


@dataclass(frozen=True)
class Interaction:
    """One remembered interaction.

    Attributes:
        item: index in the catalog.
        rating: the rating as remembered, on the domain's scale.
        time: number of the interaction in this memory, from 1.
        times_consumed: how many times the item had been consumed then, this time included.
        valence: -1, 0 or 1.
        arousal: 0, 0.5 or 1.
    """

    item: int
    rating: float
    time: int
    times_consumed: int
    valence: float
    arousal: float


class History:
    """A read-only view of the memories of R users. W is the longest history among them.

    Position p of a row is the interaction with time p + 1; a row's positions from its length on are
    unused. Arrays of a view must not be written to.

    Attributes:
        memory: what this is a view of.
        lengths: interactions of each user, shape ``(R,)``.
        slots: which slot of the memory each user has, shape ``(R,)``.
    """

    def __init__(self, memory: Memory, rows: Rows) -> None:
        self.memory, self._rows = memory, rows
        self.lengths: Ints = memory.lengths[rows]
        self.slots: Ints = memory.all_slots[rows]
        self._width = -1

    @property
    def width(self) -> int:
        """W, of what was remembered when it was asked for the first time."""
        if self._width < 0:
            self._width = int(self.lengths.max()) if len(self.lengths) else 0
        return self._width

    def __len__(self) -> int:
        return len(self.lengths)

    def _column(self, name: str) -> NDArray:
        return getattr(self.memory, name)[self._rows, : self.width]

    @property
    def items(self) -> Ints:
        """Catalog indices, shape ``(R, W)``; 0 where unused."""
        return self._column("items")

    @property
    def ratings(self) -> Floats:
        """Ratings as remembered, shape ``(R, W)``."""
        return self._column("ratings")

    @property
    def codes(self) -> Ints:
        """Emotion codes (see :meth:`Emotion.code`), shape ``(R, W)``."""
        return self._column("codes")

    @property
    def times_consumed(self) -> Ints:
        """How many times the item had been consumed by then, shape ``(R, W)``."""
        return self._column("times")

    @property
    def latest(self) -> Flags:
        """Whether this is the last interaction with its item, shape ``(R, W)``; False where unused."""
        return self._column("latest")

    @property
    def last_codes(self) -> Ints:
        """Emotion code of each user's most recent interaction, shape ``(R,)``; 4 (neutral) without one."""
        return self.memory.last_codes[self._rows]

    def recent(self, count: int, lowest: float = 0.0) -> tuple[Ints, NDArray[np.float32], NDArray[np.int8]]:
        """The last ``count`` interactions of each user, most recent first.

        Returns:
            Items (0 where there is none), ratings (``lowest`` where there is none), and 1 where there is one; new
            arrays, each of shape ``(R, count)``.
        """
        memory = self.memory
        if memory.kernels is not None:
            return memory.kernels.recent(self.slots, memory.items, memory.ratings, memory.lengths, count, lowest)
        position = self.lengths[:, None] - 1 - np.arange(count)
        mask = position >= 0
        place = np.maximum(position, 0)
        place += memory.starts[self._rows][:, None]
        ratings = np.where(mask, memory.ratings.reshape(-1).take(place), lowest).astype(np.float32)
        return memory.items.reshape(-1).take(place) * mask, ratings, mask.astype(np.int8)

    def consumed(self) -> NDArray[np.int8]:
        """1 where a user remembers an item, shape ``(R, N)``; a new array."""
        remembered = np.zeros((len(self), self.memory.item_count), dtype=np.int8)
        who, position = self.latest.nonzero()
        remembered[who, self.items[who, position]] = 1
        return remembered

    def consumed_items(self, count: int) -> NDArray[np.int64]:
        """The items that each user remembers, in the order in which they were last consumed, then -1; ``(R, count)``.

        A new array; of more than ``count`` items, the first are there.
        """
        remembered = np.full((len(self), count), -1, dtype=np.int64)
        latest = self.latest
        who, position = latest.nonzero()
        place = latest.cumsum(axis=1)[who, position] - 1
        fits = place < count
        remembered[who[fits], place[fits]] = self.items[who[fits], position[fits]]
        return remembered

    def distinct(self) -> Ints:
        """How many different items each user remembers, shape ``(R,)``."""
        return np.count_nonzero(self.latest, axis=1)

    def at(self, positions: Ints) -> tuple[Ints, Floats]:
        """Items and ratings at positions, shape ``(R, S, K)``; meaningless where a position is negative."""
        where = positions + self.memory.starts[self._rows][:, None, None]
        return self.memory.items.reshape(-1).take(where), self.memory.ratings.reshape(-1).take(where)

    def recall(self, positions: Ints, items: Ints) -> tuple[Ints, Floats, Ints]:
        """What is at positions that a retrieval chose for items, and how often each item was consumed before.

        Args:
            positions: shape ``(R, S, K)``, -1 for none.
            items: shape ``(R, S)``.

        Returns:
            Items (0 where there is none) and ratings (NaN where there is none) of shape ``(R, S, K)``, and times of
            shape ``(R, S)``.
        """
        memory = self.memory
        if memory.kernels is not None:
            return memory.kernels.recall(
                items, self.slots, np.ascontiguousarray(positions, dtype=np.intp),
                memory.items, memory.ratings, memory.times, memory.latest, memory.lengths,
            )  # fmt: skip
        times = self.times_before(items)
        if self.width == 0 or positions.shape[2] == 0:
            return np.zeros(positions.shape, dtype=np.intp), np.full(positions.shape, np.nan), times
        present = positions >= 0
        recalled, rated = self.at(positions)
        return recalled * present, np.where(present, rated, np.nan), times

    def times_before(self, items: Ints) -> Ints:
        """How often each user has consumed each of ``items``, shape ``(R, S)``, so far; shape ``(R, S)``."""
        last = self.items[:, None, :] == items[:, :, None]
        last &= self.latest[:, None, :]
        if not np.count_nonzero(last):
            return np.zeros(items.shape, dtype=np.intp)
        return np.einsum("rsw,rw->rs", last, self.times_consumed)

    def interactions(self, row: int) -> list[Interaction]:
        """All interactions of one user, oldest first."""
        length = int(self.lengths[row])
        columns = [self._column(name)[row, :length].tolist() for name in ("items", "ratings", "codes", "times")]
        return [
            Interaction(item, rating, t, times, float(CODE_VALENCE[code]), float(CODE_AROUSAL[code]))
            for t, (item, rating, code, times) in enumerate(zip(*columns, strict=True), start=1)
        ]

    def single(self, row: int) -> History:
        """The view of one user of this view, as a history with one row."""
        return History(self.memory, self.slots[row : row + 1])


class Memory:
    """The memories of B users, appended to together.

    Args:
        capacity: interactions that fit before the arrays grow for the first time.

    Attributes:
        item_count: N, the number of items that there are.
        kernels: compiled loops for what is done with these memories; None for NumPy.
        all_slots: 0 to B - 1.
        starts: where each user's interactions begin in the flattened columns, shape ``(B,)``.
    """

    def __init__(self, batch_size: int, item_count: int, capacity: int = 64, kernels: Kernels | None = None) -> None:
        self.lengths = np.zeros(batch_size, dtype=np.intp)
        self.last_codes = np.full(batch_size, 4, dtype=np.intp)
        self.items = np.zeros((batch_size, capacity), dtype=np.intp)
        self.ratings = np.zeros((batch_size, capacity))
        self.codes = np.zeros((batch_size, capacity), dtype=np.intp)
        self.times = np.zeros((batch_size, capacity), dtype=np.intp)
        self.latest = np.zeros((batch_size, capacity), dtype=np.bool_)
        self.item_count = item_count
        self.kernels = kernels
        self.all_slots = np.arange(batch_size)
        self.starts = self.all_slots * capacity
        self._longest = 0

    def history(self, rows: Rows = ALL_ROWS) -> History:
        """A view of the memories of ``rows``."""
        return History(self, rows)

    def clear(self, rows: Rows = ALL_ROWS) -> None:
        """Forget everything of ``rows``."""
        self.lengths[rows] = 0
        self.last_codes[rows] = 4
        self.items[rows] = 0
        self.latest[rows] = False

    @property
    def capacity(self) -> int:
        """Interactions that fit before the arrays grow."""
        return self.items.shape[1]

    def consumed(self, rows: Rows = ALL_ROWS) -> NDArray[np.int8]:
        """1 where a user remembers an item, shape ``(R, N)``; a new array."""
        return self.history(rows).consumed()

    def append(self, rows: Rows, items: Ints, ratings: Floats, codes: Ints) -> tuple[Ints, Ints]:
        """Remember one interaction each of the users ``rows``, distinct slots; all arrays have the shape ``(R,)``.

        Returns:
            How often each item has been consumed, this time included, and how many interactions ago
            it was consumed before, 0 for a first time; both of shape ``(R,)``.
        """
        self.make_room(1)
        position = self.lengths[rows]
        width = int(position.max()) if len(position) else 0
        last = self.items[rows, :width] == items[:, None]
        last &= self.latest[rows, :width]
        times, since = np.ones(len(position), dtype=np.intp), np.zeros(len(position), dtype=np.intp)
        start = self.starts[rows]
        if np.count_nonzero(last):
            again, before = last.nonzero()  # at most one position of each user is the latest of an item
            earlier = start[again] + before
            times[again] += self.times.reshape(-1)[earlier]
            since[again] = position[again] - before
            self.latest.reshape(-1)[earlier] = False
        here = start + position
        self.items.reshape(-1)[here] = items
        self.ratings.reshape(-1)[here] = ratings
        self.codes.reshape(-1)[here] = codes
        self.times.reshape(-1)[here] = times
        self.latest.reshape(-1)[here] = True
        self.last_codes[rows] = codes
        self.lengths[rows] = position + 1
        return times, since

    def save(self, row: int) -> dict[str, NDArray]:
        """A copy of one user's memory, for :meth:`restore`."""
        length = int(self.lengths[row])
        return {name: getattr(self, name)[row, :length].copy() for name in _COLUMNS}

    def restore(self, row: int, saved: dict[str, NDArray]) -> None:
        """Put back what :meth:`save` returned."""
        self.clear(np.array([row]))
        length = len(saved["items"])
        while length > self.capacity:
            self._grow()
        for name in _COLUMNS:
            getattr(self, name)[row, :length] = saved[name]
        self.lengths[row] = length
        self._longest = max(self._longest, length)
        if length:
            self.last_codes[row] = saved["codes"][-1]

    def make_room(self, count: int) -> None:
        """See that ``count`` interactions of each user more can be remembered."""
        self._longest += count  # a bound that is cheap to keep; the arrays grow only where it is true
        if self._longest >= self.capacity:
            self._longest = int(self.lengths.max()) + count
            while self._longest >= self.capacity:
                self._grow()

    def _grow(self) -> None:
        for name in _COLUMNS:
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)], axis=1))
        self.starts = self.all_slots * self.capacity
