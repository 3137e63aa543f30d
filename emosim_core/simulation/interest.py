"""Interest: how much users want items before they know them, on a scale that choice models share."""

from __future__ import annotations

import numpy as np

from emosim_core.components.base import Rater, RatingRequest
from emosim_core.components.rule_based import RuleBased
from emosim_core.model import History
from emosim_core.model.arrays import Floats, Ints
from emosim_core.simulation.assembly import World

_BESIDE = 32
"""Items that interest in an item is compared with."""


class InterestScale:
    """Interest of users in items, in standard deviations above what is usually chosen.

    What a rater answers to ``interest_batch`` is of any size, so each answer is compared with those of the same user
    in the same situation for up to 32 items of the catalog, drawn once with probabilities in proportion to how many
    users rated them: 0 is as wanted as what is usually chosen, 1 one standard deviation more. Of a rater that does not
    tell interest, what it expects a rating to be is taken. A language model is not asked about what nobody chose:
    with it, and with a rater that tells neither, interest is that of ``rule_based``.

    Attributes:
        rater: the one that tells interest.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        teller = world.rater.interest_teller()
        if teller is None:
            teller = RuleBased()
            teller.prepare(world.setting())
        self.rater: Rater = teller
        self._knows = type(self.rater).interest_batch is not Rater.interest_batch
        counts = world.catalog.public_counts.astype(np.float64)
        known = np.flatnonzero(counts)
        among = known if len(known) >= 2 else np.arange(len(counts))
        weights = counts[among] / counts[among].sum() if len(known) >= 2 else None
        size = min(_BESIDE, len(among))
        self._beside = np.sort(np.random.default_rng(0).choice(among, size, replace=False, p=weights))

    def of(self, users: Ints, items: Ints, moods: Floats, history: History) -> tuple[Floats, Floats]:
        """How much each user wants each item, shape ``(R, S)``, and what a standard deviation is, shape ``(R,)``.

        Moods and repeats are left to the choice model.

        Args:
            users: indices in the population, shape ``(R,)``.
            items: indices in the catalog, shape ``(R, S)``.
            moods: valence and arousal, shape ``(R, 2)``.
            history: what the users remember.
        """
        if self._knows:
            none = np.empty((len(users), items.shape[1] + len(self._beside), 0), dtype=np.intp)
            request = self._request(users, items, moods, history, none)
            mine, mean, spread = self._compared(self.rater.interest_batch(request), items)
        else:
            mine, mean, spread = self._compared(self.expected(users, items, moods, history), items)
        return (mine - mean) / np.where(spread > 0.0, spread, 1.0), spread[:, 0]

    def promised(self, users: Ints, items: Ints, moods: Floats, history: History, interest: Floats) -> Floats:
        """The ratings that interest promises, on the domain's scale, shape ``(R, S)``.

        An item that is wanted so many standard deviations more than what is usually chosen promises a rating as many
        above what the user expects of that. ``interest`` is that of :meth:`of` for these users and items.
        """
        _, mean, spread = self._compared(self.expected(users, items, moods, history), items)
        scale = self._world.domain.scale
        return np.clip(mean + spread * interest, scale.low, scale.high)

    def expected(self, users: Ints, items: Ints, moods: Floats, history: History) -> Floats:
        """What each user rates each item on average, and beside them what is compared with."""
        wide = self._wide(users, items)
        return self.rater.expected_batch(self._world.rating_request(users, wide, moods, history))

    def _wide(self, users: Ints, items: Ints) -> Ints:
        beside = np.broadcast_to(self._beside, (len(users), len(self._beside)))
        return np.concatenate([items, beside], axis=1)

    def _request(self, users: Ints, items: Ints, moods: Floats, history: History, positions: Ints) -> RatingRequest:
        wide = self._wide(users, items)
        return self._world.request_with(users, wide, moods, history, positions, history.recall(positions, wide))

    @staticmethod
    def _compared(answers: Floats, items: Ints) -> tuple[Floats, Floats, Floats]:
        """The answers for the items, and mean and standard deviation of those beside them, shape ``(R, 1)``."""
        mine, beside = answers[:, : items.shape[1]], np.ascontiguousarray(answers[:, items.shape[1] :])
        return mine, beside.mean(axis=1, keepdims=True), beside.std(axis=1, keepdims=True)
