"""The oracle: a policy that is told what users rate on average, which no recommender in an application can know."""

from __future__ import annotations

import numpy as np

from emosim_core.components.base import Draws, Policy, Rater, RecommendationRequest
from emosim_core.errors import ConfigurationError
from emosim_core.model.arrays import Floats, Ints
from emosim_core.simulation.engine import Engine

TOLD = "The policy 'oracle' is told what each user rates on average: what there is to gain, no recommender."
"""What a run with the oracle says of it."""

_AT_ONCE = 262_144
"""Pairs of a user and an item that the rater is asked about at once: a catalog of any size takes as much memory."""


class Oracle(Policy):
    """Recommends the items that each user rates highest on average now, with the memories and the mood of now.

    Items that the user consumed are left out; of items that are rated alike, the first of the catalog comes first. The
    best next rating is not always the best episode: it is greedy, and no bound on what a recommender can reach.

    A run or an evaluation lets it look into the world by :meth:`look_into`; nothing else makes it work. Of a rater that
    does not tell what users rate on average, it is told one rating of each item, which a language model is asked for.
    """

    learns_across_episodes = False
    _engine: Engine | None = None

    def look_into(self, engine: Engine) -> None:
        """Let it know the users whom it recommends to: those of the slots of an engine."""
        self._engine, self.slate = engine, engine.slate

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        """Item indices, shape ``(R, S)``; -1 where fewer than S items are left.

        Raises:
            ConfigurationError: it was not let look into a world.
        """
        engine, rows = self._engine, request.rows
        if engine is None:
            raise ConfigurationError(
                "the policy 'oracle' is told what simulated users like: only 'emosim run' and 'emosim evaluate' can "
                "use it, and no recommender of an application"
            )
        count, consumed = len(engine.world.catalog), engine.memory.consumed(rows) > 0
        chunk = max(self.slate, _AT_ONCE // len(rows))
        best, values = np.full((len(rows), self.slate), -1), np.full((len(rows), self.slate), -np.inf)
        for start in range(0, count, chunk):
            items = np.arange(start, min(start + chunk, count))
            told = self._expected(engine, rows, items, draws)
            told[consumed[:, items] | np.isnan(told)] = -np.inf
            own = _highest(told, self.slate)
            values = np.concatenate([values, np.take_along_axis(told, own, axis=1)], axis=1)
            best = np.concatenate([best, items[own]], axis=1)
            order = np.argsort(-values, axis=1, kind="stable")[:, : self.slate]
            best, values = (np.take_along_axis(one, order, axis=1) for one in (best, values))
        best[np.isneginf(values).any(axis=1)] = -1
        return best

    @staticmethod
    def _expected(engine: Engine, rows: Ints, items: Ints, draws: Draws) -> Floats:
        """What the users of slots rate items on average, shape ``(R, C)`` for ``C`` items."""
        world = engine.world
        slate = np.ascontiguousarray(np.broadcast_to(items, (len(rows), len(items))))
        with world.blaming("retrieval"):
            request = world.rating_request(engine.users[rows], slate, engine.moods[rows], engine.memory.history(rows))
        with world.blaming("rater"):
            if tells_expectation(world.rater):
                return np.array(world.rater.expected_batch(request), dtype=np.float64)
            return np.array(world.rate(request, draws).values, dtype=np.float64)


def tells_expectation(rater: Rater) -> bool:
    """Whether a rater tells what users rate on average, which costs no question to a language model."""
    return type(rater).expected_batch is not Rater.expected_batch


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
