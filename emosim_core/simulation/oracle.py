"""The oracle: a policy that knows each user's expected ratings, which no recommender in an application does."""

from __future__ import annotations

import numpy as np

from emosim_core.components.base import BeginRequest, Draws, Policy, Rater, RecommendationRequest
from emosim_core.errors import ConfigurationError
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.frozen import Frozen, option
from emosim_core.simulation.engine import Engine

NOTE = "The policy 'oracle' knows each user's expected ratings: what there is to gain, no recommender."
"""What a run with the oracle says of it."""

_AT_ONCE = 262_144
"""Pairs of a user and an item that the rater is asked about at once: a catalog of any size takes as much memory."""


class OracleOptions(Frozen):
    """Options of ``oracle``."""

    candidates: int = option(
        2_000,
        "Items that it considers in an episode: those with the highest expected ratings when it begins. In a larger "
        "catalog it may miss what later memories make better.",
        ge=1,
        unit="items",
    )


class Oracle(Policy):
    """Recommends the items with each user's highest expected ratings, given the memories and the mood of this moment.

    Where users choose before they rate, what an item is worth is that rating times the chance of a click on it.

    Items that the user consumed are left out; of items that are rated alike, the first of the catalog comes first. The
    best next rating is not always the best episode: it is greedy, and no bound on what a recommender can reach.

    A run or an evaluation lets it look into the world by :meth:`look_into`; nothing else makes it work. Of a rater that
    tells no expected ratings, it takes one rating of each item, for which a language model is called.
    """

    learns_across_episodes = False
    _engine: Engine | None = None

    def __init__(self, options: OracleOptions) -> None:
        self._wanted = options.candidates

    def look_into(self, engine: Engine) -> None:
        """Let it know the users whom it recommends to: those of the slots of an engine."""
        config, count = engine.world.config, len(engine.world.catalog)
        self._engine, self._everything = engine, np.arange(count)
        width = min(count, max(self._wanted, config.slate * (config.max_steps + 1)))
        self._candidates = np.tile(self._everything[:width], (engine.batch_size, 1))

    def begin(self, request: BeginRequest, draws: Draws) -> None:
        self._looked_into()
        width = self._candidates.shape[1]
        if width < len(self._everything):
            for rows in self._parts(request.rows, len(self._everything)):
                expected = self._expected(rows, np.tile(self._everything, (len(rows), 1)))
                self._candidates[rows] = np.sort(_highest(expected, width), axis=1)

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        """Item indices, shape ``(R, S)``; -1 where fewer than S items are left."""
        slate = self._looked_into().slate
        best = []
        for rows in self._parts(request.rows, self._candidates.shape[1]):
            items = self._candidates[rows]
            expected = self._expected(rows, items)
            own = _highest(expected, slate)
            enough = np.take_along_axis(expected, own, axis=1).min(axis=1, keepdims=True) > -np.inf
            best.append(np.where(enough, np.take_along_axis(items, own, axis=1), -1))
        actions = np.concatenate(best)
        self._shape = actions.shape
        return actions

    def propensities(self) -> Floats | None:
        """1 each where the rater tells expected ratings; None where one rating of each item was drawn instead."""
        return np.ones(self._shape) if tells_expectation(self._looked_into().world.rater) else None

    def _looked_into(self) -> Engine:
        if self._engine is None:
            raise ConfigurationError(
                "the policy 'oracle' knows what simulated users like: only 'emosim run' and 'emosim evaluate' can "
                "use it, and no recommender of an application"
            )
        return self._engine

    @staticmethod
    def _parts(rows: Ints, width: int) -> list[Ints]:
        """Slots in parts of which ``width`` items each are not more than the rater is asked about at once."""
        return np.array_split(rows, -(-len(rows) * width // _AT_ONCE)) if len(rows) else []

    def _expected(self, rows: Ints, items: Ints) -> Floats:
        """Expected ratings of items by the users of slots, shape ``(R, C)`` as ``items``; -inf for consumed items."""
        engine = self._looked_into()
        world = engine.world
        with world.blaming("retrieval"):
            request = world.rating_request(engine.users[rows], items, engine.moods[rows], engine.memory.history(rows))
        with world.blaming("rater"):
            if tells_expectation(world.rater):
                expected = world.rater.expected_batch(request)
            else:
                expected = world.rate(request, engine.policy_draws(rows)).values
        expected = expected * engine.attraction(rows, items)
        return np.where((request.times > 0) | np.isnan(expected), -np.inf, expected)


def tells_expectation(rater: Rater) -> bool:
    """Whether a rater tells what users rate on average, which costs no question to a language model."""
    return not rater.uses_llm and type(rater).expected_batch is not Rater.expected_batch


def _highest(values: Floats, count: int) -> Ints:
    """Columns of the ``count`` highest values of each row, highest first, of equal ones the first; all, if fewer."""
    if count == 1:
        return values.argmax(axis=1)[:, None]
    if count >= values.shape[1]:
        return np.argsort(-values, axis=1, kind="stable")
    lowest = -np.partition(-values, count - 1, axis=1)[:, count - 1]
    above, equal = values > lowest[:, None], values == lowest[:, None]
    needed = count - above.sum(axis=1)  # the first of those that are equal to the lowest
    chosen = above | (equal & (equal.cumsum(axis=1) <= needed[:, None]))
    columns = np.nonzero(chosen)[1].reshape(len(values), count)
    order = np.argsort(-np.take_along_axis(values, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)
