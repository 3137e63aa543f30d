"""Asks a rater for real users: what they rate, what they would choose, and how they take recommendations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emosim_core.components.base import BeginRequest, RatingRequest, ShapingRequest, ShapingSetting
from emosim_core.model import User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.simulation.assembly import World
from emosim_core.simulation.streams import SlotDraws, Stage, Streams
from emosim_core.studies.trials import memory_of, world_of
from emosim_core.studies.validation.users import RealUser

RATE, CHOOSE, RECOMMENDED = 0, 1, 2
"""Streams of draws: each task has its own."""

_KINDS = 3
"""Number of tasks."""


class UserSimulator:
    """Real users as a world's rater is told of them; ``users`` are their profiles, in the same order."""

    def __init__(self, world: World, real_users: Sequence[RealUser], users: Sequence[User], seed: int) -> None:
        self.world, self.seed, self.real_users = world_of(users, world), seed, real_users
        memories = [real_user.memory for real_user in real_users]
        self.memory = memory_of(self.world, np.arange(len(users)), memories)

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
            return self.world.rate(request, self._draws(row, kind)).values[0]

    def expect(self, row: int, items: Ints) -> Floats | None:
        """What a user rates on average, shape ``(S,)``; None where the rater does not know it."""
        try:
            return self.world.rater.expected_batch(self.request(row, items))[0]
        except NotImplementedError:
            return None

    def choose(self, row: int, items: Ints) -> Floats | None:
        """How likely a user is to choose each item, shape ``(S,)``; None where the rater does not know it."""
        request = self.request(row, items)
        empty = np.zeros((1, len(items), 0))
        bare = replace(request, retrieved=empty.astype(np.intp) - 1, retrieved_items=empty.astype(np.intp))
        try:
            return self.world.rater.interest_batch(replace(bare, retrieved_ratings=empty))[0]
        except NotImplementedError:
            return None

    def _draws(self, row: int, kind: int) -> SlotDraws:
        rows = np.arange(1)
        streams = Streams(1)
        streams.begin(rows, [self.seed], [row * _KINDS + kind])
        return streams.of(Stage.RATE, rows)


def episode_lengths(world: World, items: Ints, ratings: Floats, seed: int) -> Ints:
    """After how many items the R users of a world leave who rate T of them so, shape ``(R,)``.

    The world's reward shaping decides, as in an episode; who hears all items out has the length T. ``items`` and
    ``ratings`` have the shape ``(R, T)``; a rating is NaN where nothing was rated.
    """
    real_users, longest = ratings.shape
    rows = np.arange(real_users)
    world.reward_shaping.start(ShapingSetting(**vars(world.setting()), batch_size=real_users))
    world.reward_shaping.begin(BeginRequest(rows=rows))
    streams = Streams(real_users)
    streams.begin(rows, [seed] * real_users, rows.tolist())
    lengths = np.full(real_users, longest, dtype=np.intp)
    staying = np.ones(real_users, dtype=np.bool_)
    for step in range(longest):
        request = ShapingRequest(
            rows=rows,
            users=rows,
            items=items[:, step : step + 1],
            consumed=~np.isnan(ratings[:, step : step + 1]),
            ratings=ratings[:, step : step + 1],
            times=np.ones((real_users, 1), dtype=np.intp),
            since=np.zeros((real_users, 1), dtype=np.intp),
            steps=np.full(real_users, step + 1, dtype=np.intp),
            traits=world.population.traits,
            **world.items_and_users,
        )
        with world.blaming("reward_shaping"):
            ends = world.reward_shaping.shape_batch(request, streams.of(Stage.SHAPE, rows))[1] > 0
        lengths[staying & ends] = step + 1
        staying &= ~ends
    return lengths
