"""Random streams, one per (seed, episode, stage), drawn in blocks.

Whoever sits beside a user in a batch, and however many draws another stage takes, a user's draws
stay the same. The generator is NumPy's Philox (Salmon et al., 2011, doi 10.1145/2063384.2063405):
its key is derived from the seed, its counter holds episode and stage, so that a stream starts
anywhere without hashing and without a generator object of its own.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.memory import ALL_ROWS, Rows

if TYPE_CHECKING:
    from emosim_core.kernels.compiled import Kernels

BLOCK = 64
"""Draws that are made at once for one user."""


class Stage(IntEnum):
    """What draws are for."""

    USER = 0
    LEAVE = 1
    RATE = 2
    SELECT = 3
    PERTURB = 4
    SHAPE = 5
    POLICY = 6
    FEEL = 7
    EXAMINE = 8
    CHOOSE = 9


class _Kind(IntEnum):
    UNIFORM = 0
    NORMAL = 1
    GENERATOR = 2


@lru_cache(maxsize=65536)
def _key(seed: int) -> tuple[int, int]:
    words = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    return int(words[0]), int(words[1])


class Streams:
    """The streams of all stages for all slots of a batch.

    Attributes:
        all_rows: all slots; asked for by this very array, they are drawn for a little faster.
    """

    def __init__(self, batch_size: int, kernels: Kernels | None = None) -> None:
        self._batch_size, self._kernels = batch_size, kernels
        self.all_rows = np.arange(batch_size)
        self._keys = np.zeros((batch_size, 2), dtype=np.uint64)
        self._episodes = np.zeros(batch_size, dtype=np.uint64)
        self._blocks: dict[int, _Blocks] = {}
        self._generators: dict[tuple[Stage, int], np.random.Generator] = {}
        self._share_generator()

    def _share_generator(self) -> None:
        self._philox = np.random.Philox(0)
        self._shared = np.random.Generator(self._philox)
        self._state = self._philox.state

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_philox", "_shared", "_state")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._share_generator()  # it is moved before each use, so that it has no state of its own

    def begin(self, rows: Ints, seeds: list[int], episodes: list[int]) -> None:
        """Slots ``rows`` begin the episodes ``episodes`` under ``seeds``."""
        self._keys[rows] = [_key(seed) for seed in seeds]
        self._episodes[rows] = episodes
        for blocks in self._blocks.values():
            blocks.next[rows] = blocks.ends[rows]
            blocks.fills[rows] = 0
        if self._generators:
            for row in rows.tolist():
                for stage in Stage:
                    self._generators.pop((stage, row), None)

    def of(self, stage: Stage, rows: Ints) -> SlotDraws:
        """The draws of the slots ``rows`` in a stage."""
        return SlotDraws(self, stage, rows)

    def take(self, stage: Stage, kind: _Kind, rows: Ints, count: int) -> Floats:
        """``count`` draws for each of ``rows``, shape ``(R, count)``."""
        key = 4 * stage + kind  # a whole number, because members of an enumeration are slow to look up
        blocks = self._blocks.get(key)
        if blocks is None:
            blocks = self._blocks[key] = _Blocks(self._batch_size)
        if count > BLOCK:
            return np.array([self._fill(stage, kind, blocks, row, count) for row in rows.tolist()])
        if self._kernels is not None:
            drawn = self._kernels.take(blocks.values, blocks.next, rows, count)
            if len(drawn) == len(rows):
                return drawn
        which: Rows = ALL_ROWS if rows is self.all_rows else rows
        after = blocks.next[which] + count
        spent = after > blocks.ends[which]
        if np.count_nonzero(spent):
            for row in rows[spent].tolist():
                blocks.values[row] = self._fill(stage, kind, blocks, row, BLOCK)
                blocks.next[row] = row * BLOCK
            if self._kernels is not None:
                return self._kernels.take(blocks.values, blocks.next, rows, count)
            after = blocks.next[which] + count
        blocks.next[which] = after
        start = after - count
        if count == 1:
            return blocks.flat.take(start)[:, None]
        return blocks.flat.take(start[:, None] + np.arange(count))

    def _fill(self, stage: Stage, kind: _Kind, blocks: _Blocks, row: int, count: int) -> Floats:
        fill = int(blocks.fills[row])
        blocks.fills[row] = fill + 1
        shared = self._moved(self._keys[row], kind + 4 * fill, stage, int(self._episodes[row]))
        return shared.random(count) if kind is _Kind.UNIFORM else shared.standard_normal(count)

    def once(self, seed: int, episode: int, stage: Stage) -> np.random.Generator:
        """The generator of one stream, to be used at once: it is moved when anything else is drawn here."""
        return self._moved(_key(seed), _Kind.GENERATOR, stage, episode)

    def _moved(
        self, key: NDArray[np.uint64] | tuple[int, int], word: int, stage: Stage, episode: int
    ) -> np.random.Generator:
        """The shared generator at the start of a stream; ``word`` tells the kind of draws and the block."""
        state = self._state["state"]
        state["key"][:] = key
        state["counter"][:] = 0, word, stage, episode  # the lowest word counts within the block
        self._philox.state = self._state
        return self._shared

    def generator(self, stage: Stage, row: int) -> np.random.Generator:
        """The generator of one slot's episode; the same object until the next episode begins there."""
        cached = self._generators.get((stage, row))
        if cached is None:
            counter = np.array([0, _Kind.GENERATOR, stage, self._episodes[row]], dtype=np.uint64)
            cached = np.random.Generator(np.random.Philox(key=self._keys[row], counter=counter))
            self._generators[stage, row] = cached
        return cached


class SlotDraws:
    """The draws of some slots in one stage: the :class:`~emosim_core.components.base.Draws` of components."""

    __slots__ = ("_rows", "_stage", "_streams")

    def __init__(self, streams: Streams, stage: Stage, rows: Ints) -> None:
        self._streams, self._stage, self._rows = streams, stage, rows

    def uniform(self, count: int) -> Floats:
        return self._streams.take(self._stage, _Kind.UNIFORM, self._rows, count)

    def normal(self, count: int) -> Floats:
        return self._streams.take(self._stage, _Kind.NORMAL, self._rows, count)

    def generator(self, row: int) -> np.random.Generator:
        return self._streams.generator(self._stage, int(self._rows[row]))

    def of_rows(self, rows: Ints) -> SlotDraws:
        return SlotDraws(self._streams, self._stage, self._rows[rows])


class PairDraws:
    """The draws of pairs of a slot and an item, the pairs of a slot one after another: each takes what comes next.

    Args:
        slots: slot of each pair, rising, shape ``(Q,)``.
    """

    __slots__ = ("_slots", "_stage", "_streams", "_turns")

    def __init__(self, streams: Streams, stage: Stage, slots: Ints) -> None:
        self._streams, self._stage, self._slots = streams, stage, slots
        first = np.searchsorted(slots, slots)
        turn = np.arange(len(slots)) - first  # the first pair of each slot, the second, ...
        self._turns = [np.flatnonzero(turn == number) for number in range(int(turn.max(initial=-1)) + 1)]

    def uniform(self, count: int) -> Floats:
        return self._take(_Kind.UNIFORM, count)

    def normal(self, count: int) -> Floats:
        return self._take(_Kind.NORMAL, count)

    def _take(self, kind: _Kind, count: int) -> Floats:
        drawn = np.empty((len(self._slots), count))
        for pairs in self._turns:
            drawn[pairs] = self._streams.take(self._stage, kind, self._slots[pairs], count)
        return drawn

    def generator(self, row: int) -> np.random.Generator:
        return self._streams.generator(self._stage, int(self._slots[row]))

    def of_rows(self, rows: Ints) -> PairDraws:
        return PairDraws(self._streams, self._stage, self._slots[rows])


class _Blocks:
    def __init__(self, batch_size: int) -> None:
        self.values = np.empty((batch_size, BLOCK))
        self.flat = self.values.reshape(-1)
        self.ends = np.arange(1, batch_size + 1) * BLOCK
        self.next = self.ends.copy()
        self.fills = np.zeros(batch_size, dtype=np.intp)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.flat = self.values.reshape(-1)  # a view, which a copy would not be
