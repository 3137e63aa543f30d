"""RewardShapingConformance: holds a reward shaping to its contract."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from emosim_core.components.base import BeginRequest, RewardShaping, ShapingRequest
from emosim_core.model.arrays import Floats, Ints
from emosim_core.simulation.checks import check_end_reasons, check_shaped
from emosim_core.simulation.streams import Stage, Streams
from emosim_core.testing.conformance import ComponentConformance, no_error, untouched
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import SmallWorld, arrays_of, shaping_request

_USERS, _SLATE, _STEPS = 12, 2, 14
_ALL = np.arange(_USERS)

_Moment = tuple[Ints, Floats, Ints]
"""What is answered at once: slots, their rewards (0 where nothing was consumed), their end reasons."""

_BySlot = list[list[tuple[list[float], int]]]
"""Per slot, its steps: the rewards and the code of the end reason."""


class RewardShapingConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "reward_shaping"
    interface = RewardShaping

    def made(self, size: int, world: SmallWorld, shaping: RewardShaping | None = None) -> RewardShaping:
        """A reward shaping, a new one if none is given, that was started for ``size`` slots of a world."""
        shaping = self.make() if shaping is None else shaping
        with no_error("shaping-state", f"start() of {self.subject}"):
            shaping.start(world.shaping_setting(size, _SLATE))
        return shaping

    def test_its_end_reasons_are_distinct_texts(self) -> None:
        with no_error("shaping-end-reasons", "its end reasons"):
            check_end_reasons(self.make().end_reasons, self.subject)

    def test_it_answers_finite_rewards_and_known_end_reasons(self) -> None:
        for world in self.worlds():
            for slate in (1, _SLATE):
                for _ in self._steps(self.made(_USERS, world), world, _ALL, slate=slate):
                    pass

    def test_an_episode_goes_the_same_alone_as_among_others(self) -> None:
        for world in self.worlds():
            together = self._episodes(world)
            for user in range(0, _USERS, 5):
                (alone,) = self._episodes(world, np.array([user]))
                hold("shaping-alone", alone == together[user], f"user {user}'s episode went otherwise alone.")

    def test_an_episode_goes_the_same_in_any_slot_and_whenever_others_begin(self) -> None:
        for world in self.worlds():
            expected, moved = self._episodes(world), self._episodes(world, _ALL[::-1], begins=_ALL % 3 * 2)
            for user in range(_USERS):
                same = moved[_USERS - 1 - user] == expected[user]
                detail = f"user {user}'s episode went otherwise in another slot, with others who begin later."
                hold("shaping-alone", same, detail)

    def test_begin_forgets_what_went_before(self) -> None:
        for world in self.worlds():
            shaping = self.made(_USERS, world)
            first, again = (_by_slot(self._steps(shaping, world, _ALL)) for _ in range(2))
            hold("shaping-begins", first == again, "a second episode in the same slots went otherwise.")

    def test_copies_keep_their_own_state(self) -> None:
        for world in self.worlds():
            expected = self._episodes(world)
            made: RewardShaping = self.make()
            one, other = (self.made(_USERS, world, copy.copy(made)) for _ in range(2))
            both = zip(self._steps(one, world, _ALL), self._steps(other, world, _ALL[::-1]), strict=True)
            moments = _by_slot(moment for moment, _ in both)
            hold("shaping-state", moments == expected, "one copy changed what another answers.")

    def test_an_episode_goes_on_the_same_when_it_is_pickled(self) -> None:
        self._installed()
        for world in self.worlds():
            here, moved = (self._episodes(world, move=move) for move in (False, True))
            hold("plugin-pickles", here == moved, "other rewards or end reasons after pickling.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            for _ in self._steps(self.made(_USERS, world), world, _ALL, watch=True):
                pass

    def _episodes(self, world: SmallWorld, users: Ints = _ALL, **options: Any) -> _BySlot:
        """What a new reward shaping answers to episodes of ``users``; ``options`` as of :meth:`_steps`."""
        return _by_slot(self._steps(self.made(len(users), world), world, users, **options))

    def _steps(
        self,
        shaping: RewardShaping,
        world: SmallWorld,
        users: Ints,
        begins: Ints | None = None,
        slate: int = _SLATE,
        watch: bool = False,
        move: bool = False,
    ) -> Iterator[_Moment]:
        """Episodes of ``users`` in the slots from 0 on, all of the same length whatever ends them."""
        begins = np.zeros(len(users), dtype=np.intp) if begins is None else begins
        streams = Streams(len(users))
        for now in range(int(begins.max()) + _STEPS):
            new = np.flatnonzero(begins == now)
            if len(new):
                streams.begin(new, users[new].tolist(), [0] * len(new))
                with no_error("shaping-begins", f"begin() of {self.subject}"):
                    shaping.begin(BeginRequest(rows=new))
            shaping = self.unpickled(shaping) if move else shaping
            rows = np.flatnonzero((begins <= now) & (now < begins + _STEPS))
            situation = _consumption(world, rows, users[rows], now - begins[rows], slate)
            given = arrays_of(situation) | world.arrays() if watch else {}
            with untouched("shaping-reads", given), no_error("shaping-shape", self.subject):
                answer = shaping.shape_batch(situation, streams.of(Stage.SHAPE, rows))
                check_shaped(answer, situation.consumed, len(shaping.end_reasons), self.subject)
            rewards, ends = answer
            yield rows, np.where(situation.consumed, rewards, 0.0), ends.copy()


def _by_slot(moments: Iterable[_Moment]) -> _BySlot:
    by_slot: _BySlot = []
    for rows, rewards, ends in moments:
        for row, mine, end in zip(rows.tolist(), rewards.tolist(), ends.tolist(), strict=True):
            by_slot.extend([] for _ in range(row + 1 - len(by_slot)))
            by_slot[row].append((mine, end))
    return by_slot


def _consumption(world: SmallWorld, rows: Ints, users: Ints, steps: Ints, slate: int) -> ShapingRequest:
    """What each user consumes at a step of their episode, from 0; a user's own, whoever else is there."""
    shape = (len(users), slate)
    ratings, consumed = np.empty(shape), np.empty(shape, dtype=np.bool_)
    times, since = np.zeros(shape, dtype=np.intp), np.zeros(shape, dtype=np.intp)
    for row, (user, step) in enumerate(zip(users.tolist(), steps.tolist(), strict=True)):
        rng = np.random.default_rng([user, step])
        ratings[row] = rng.choice(world.scale.levels, slate)
        consumed[row] = rng.random(slate) < 0.7
        ratings[row, ~consumed[row] & (rng.random(slate) < 0.5)] = np.nan  # as where the rating failed
        times[row] = rng.integers(1, 4, slate) if step > 2 else 1
        since[row] = np.where(times[row] > 1, rng.integers(1, step + 1 if step > 2 else 2, slate), 0)
    times[~consumed] = since[~consumed] = 0
    columns = {"consumed": consumed, "times": times, "since": since, "steps": steps + 1}
    traits = world.population.traits[users % len(world.population)]
    return shaping_request(ratings, world, rows=rows, users=users, traits=traits, **columns)
