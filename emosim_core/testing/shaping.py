"""RewardShapingConformance: holds a reward shaping to its contract."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Consumption, RewardShaping
from emosim_core.simulation.streams import Stage, Streams
from emosim_core.testing.conformance import ComponentConformance, no_error, untouched
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import SmallWorld

_PEOPLE, _SLATE, _STEPS = 12, 2, 14

_RESERVED = {"interrupted", "max_steps", "out_of_items"}

Told = list[tuple[NDArray[np.float64], NDArray[np.intp]]]
"""Rewards, 0 where nothing was consumed, and endings, step by step."""


class RewardShapingConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "reward_shaping"

    def interface(self) -> type:
        return RewardShaping

    def made(self, size: int) -> RewardShaping:
        """A new reward shaping that was started for ``size`` slots."""
        shaping: RewardShaping = self.make()
        with no_error("shaping-state", f"start() of {self.subject}"):
            shaping.start(size)
        return shaping

    def test_its_endings_are_distinct_texts(self) -> None:
        endings = self.make().endings
        texts = isinstance(endings, tuple) and all(isinstance(one, str) and one for one in endings)
        fit = texts and len(set(endings)) == len(endings) and not _RESERVED & set(endings)
        hold("shaping-endings", fit, f"endings = {endings!r}.")

    def test_it_answers_finite_rewards_and_known_endings(self) -> None:
        for world in self.worlds():
            shaping = self.made(_PEOPLE)
            for _, ends in self._session(shaping, world, np.arange(_PEOPLE)):
                known = bool(((ends >= 0) & (ends <= len(shaping.endings))).all())
                hold("shaping-endings", known, f"the codes {sorted(set(ends.tolist()))} for {shaping.endings!r}.")

    def test_a_session_goes_the_same_alone_as_among_others(self) -> None:
        for world in self.worlds():
            together = self._session(self.made(_PEOPLE), world, np.arange(_PEOPLE))
            for person in range(0, _PEOPLE, 5):
                alone = self._session(self.made(1), world, np.array([person]))
                hold(
                    "shaping-alone", _same(alone, together, [0], [person]), f"person {person}'s session went otherwise."
                )

    def test_begin_forgets_what_went_before(self) -> None:
        for world in self.worlds():
            shaping = self.made(_PEOPLE)
            first = self._session(shaping, world, np.arange(_PEOPLE))
            again = self._session(shaping, world, np.arange(_PEOPLE))
            every = list(range(_PEOPLE))
            hold(
                "shaping-begins",
                _same(first, again, every, every),
                "a second session in the same slots went otherwise.",
            )

    def test_copies_keep_their_own_state(self) -> None:
        for world in self.worlds():
            made: RewardShaping = self.make()
            one, other = copy.copy(made), copy.copy(made)
            people = np.arange(_PEOPLE)
            for shaping in (one, other):
                with no_error("shaping-state", f"start() of {self.subject}"):
                    shaping.start(_PEOPLE)
                shaping.begin(people)
            expected = self._session(self.made(_PEOPLE), world, people)
            streams = _streams(people)
            told: Told = []
            for step in range(_STEPS):
                told.append(self._step(one, world, people, step, streams))
                self._step(other, world, people[::-1].copy(), step, _streams(people[::-1].copy()))
            every = list(range(_PEOPLE))
            hold("shaping-state", _same(told, expected, every, every), "one copy changed what another answers.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            shaping = self.made(_PEOPLE)
            shaping.begin(np.arange(_PEOPLE))
            asked = _consumption(world, np.arange(_PEOPLE), 0)
            names = ("rows", "consumed", "ratings", "times", "since", "steps", "traits")
            with untouched("shaping-reads", {f"the array {name}": getattr(asked, name) for name in names}):
                shaping.shape_batch(asked, _streams(np.arange(_PEOPLE)).of(Stage.SHAPE, np.arange(_PEOPLE)))

    def _session(self, shaping: RewardShaping, world: SmallWorld, people: NDArray[np.intp]) -> Told:
        """Sessions of ``people`` in the slots from 0 on, all of the same length whatever ends them."""
        with no_error("shaping-begins", f"begin() of {self.subject}"):
            shaping.begin(np.arange(len(people)))
        streams = _streams(people)
        return [self._step(shaping, world, people, step, streams) for step in range(_STEPS)]

    def _step(
        self, shaping: RewardShaping, world: SmallWorld, people: NDArray[np.intp], step: int, streams: Streams
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        asked = _consumption(world, people, step)
        with no_error("shaping-shape", self.subject):
            rewards, ends = shaping.shape_batch(asked, streams.of(Stage.SHAPE, np.arange(len(people))))
        rewards, ends = np.asarray(rewards), np.asarray(ends)
        hold("shaping-shape", rewards.shape == asked.ratings.shape, f"rewards of the shape {rewards.shape}.")
        fits = ends.shape == (len(people),) and ends.dtype.kind == "i"
        hold("shaping-shape", fits, f"endings of {ends.dtype} and the shape {ends.shape}.")
        hold("shaping-finite", bool(np.isfinite(rewards[asked.consumed]).all()), "a reward that is no finite number.")
        return np.where(asked.consumed, rewards, 0.0), ends


def _streams(people: NDArray[np.intp]) -> Streams:
    streams = Streams(len(people))
    streams.begin(np.arange(len(people)), people.tolist(), [0] * len(people))
    return streams


def _consumption(world: SmallWorld, people: NDArray[np.intp], step: int) -> Consumption:
    """What each person consumes at a step of their session; a person's own, whoever else is there."""
    shape = (len(people), _SLATE)
    ratings, consumed = np.empty(shape), np.empty(shape, dtype=np.bool_)
    times, since = np.ones(shape, dtype=np.intp), np.zeros(shape, dtype=np.intp)
    for row, person in enumerate(people.tolist()):
        rng = np.random.default_rng([person, step])
        ratings[row] = rng.choice(world.scale.levels, _SLATE)
        consumed[row] = rng.random(_SLATE) < 0.7
        if step > 2:
            times[row] = rng.integers(1, 4, _SLATE)
            since[row] = np.where(times[row] > 1, rng.integers(1, step + 1, _SLATE), 0)
    rows = np.arange(len(people))
    traits = world.population.traits[people % len(world.population)]
    return Consumption(rows, consumed, ratings, times, since, np.full(len(people), step + 1), traits, world.scale)


def _same(one: Told, other: Told, rows: list[int], others: list[int]) -> bool:
    return all(
        np.array_equal(mine[rows], theirs[others])
        for pair in zip(one, other, strict=True)
        for mine, theirs in zip(*pair, strict=True)
    )
