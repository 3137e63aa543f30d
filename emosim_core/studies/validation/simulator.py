"""Asks a rater for real users: what they rate, and what they would choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from emosim_core.components.base import RatingRequest
from emosim_core.fitting.profiles import Profiles
from emosim_core.model import User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.simulation.assembly import World
from emosim_core.simulation.streams import SlotDraws, Stage, Streams
from emosim_core.studies.trials import memory_of, world_of
from emosim_core.studies.validation.knowledge import Knowledge
from emosim_core.studies.validation.users import RealUser

RATE, CHOOSE = 0, 1
"""Streams of draws: each task has its own."""

_KINDS = 2
"""Number of tasks."""

LIKED = 7.0
"""Rating of 10 that a user of an implicit log is said to have given what they chose."""


class UserSimulator:
    """Real users as a world's rater receives them; ``users`` are their profiles, in the same order."""

    def __init__(self, world: World, real_users: Sequence[RealUser], users: Sequence[User], seed: int) -> None:
        self.world, self.seed, self.real_users = world_of(users, world), seed, real_users
        levels = world.domain.scale.levels
        liked = float(levels[np.abs(levels - world.domain.scale.carry(LIKED)).argmin()])
        memories: list[tuple[tuple[int, float], ...]] = []
        for real_user in real_users:
            past = real_user.past
            values = np.full(len(past.items), liked) if past.values is None else past.values
            memories.append(tuple(zip(past.items.tolist(), values.tolist(), strict=True)))
        self.memories, self.memory = memories, memory_of(self.world, np.arange(len(users)), memories)

    def request(self, row: int, items: Ints) -> RatingRequest:
        """One user in front of S items."""
        who = np.array([row])
        history, moods = self.memory.history(who), self.world.population.baselines[who]
        with self.world.blaming("retrieval"):
            return self.world.rating_request(who, items[None, :], moods, history)

    def rate(self, row: int, items: Ints, kind: int = RATE) -> Floats:
        """The ratings that a user gives, with noise, shape ``(S,)``; NaN where the rater failed."""
        request = self.request(row, items)
        with self.world.blaming("rater"):
            return self.world.rate(request, self.draws(row, kind)).values[0]

    def expect(self, row: int, items: Ints) -> Floats | None:
        """What a user rates on average, shape ``(S,)``; None where the rater does not know it."""
        try:
            return self.world.rater.expected_batch(self.request(row, items))[0]
        except NotImplementedError:
            return None

    def distribution(self, row: int, items: Ints) -> Floats | None:
        """How likely a user gives each level, shape ``(S, L)``; None where the rater does not know it."""
        try:
            return self.world.rater.distribution_batch(self.request(row, items))[0]
        except NotImplementedError:
            return None

    def choose(self, row: int, items: Ints) -> tuple[Floats, Mapping[str, Floats], Mapping[str, Floats]]:
        """How likely a user is to choose each item, what each term says alone, and what the score is without it.

        All of the shape ``(S,)``. The score is the interest of the rater, which alone has terms; of one that has none
        what it expects, else how it rates.
        """
        request = self.request(row, items)
        empty = np.zeros((1, len(items), 0))
        bare = replace(
            request,
            retrieved=empty.astype(np.intp) - 1,
            retrieved_items=empty.astype(np.intp),
            retrieved_ratings=empty,
        )
        rater = self.world.rater
        try:
            scores = rater.interest_batch(bare)[0]
        except NotImplementedError:
            expected = self.expect(row, items)
            return (self.rate(row, items, CHOOSE) if expected is None else expected), {}, {}
        terms = {name: added[0] for name, added in rater.interest_terms(bare).items()}
        without = {name: others[0] for name, others in rater.interest_without(bare).items()}
        return scores, terms, {name: scores - added for name, added in terms.items()} | without

    def draws(self, row: int, kind: int) -> SlotDraws:
        """The draws of one user for one task."""
        rows = np.arange(1)
        streams = Streams(1)
        streams.begin(rows, [self.seed], [self.real_users[row].number * _KINDS + kind])
        return streams.of(Stage.RATE, rows)


def simulator_at(
    world: World, knowledge: Knowledge, month: int | None, real_users: Sequence[RealUser], seed: int
) -> tuple[UserSimulator, Floats, list[User]]:
    """Users as they are simulated by what is known when a month begins, the rows of their profiles, and these."""
    known = knowledge.known(month)
    with world.blaming("rater"):
        knowledge.learn(month, world.rater)
    profiles = Profiles(known.log, known.catalog, world.domain.scale, world.domain.words)
    rows = np.array([profiles.row(one.past) for one in real_users])
    users = [profiles.user(one.id, row) for one, row in zip(real_users, rows, strict=True)]
    return UserSimulator(replace(world, catalog=known.catalog), real_users, users, seed), rows, users
