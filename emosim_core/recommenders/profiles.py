"""Profiles: what a recommender that learned from logs knows of the user in each episode."""

from __future__ import annotations

from typing import Any

import numpy as np

from emosim_core.components.base import (
    BeginRequest,
    Draws,
    Observations,
    PolicySetting,
    RecommendationOutcome,
    RecommendationRequest,
)
from emosim_core.errors import MissingDependencyError
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.recommenders.heuristics import ScoredPolicy
from emosim_core.recommenders.logs import INSTALL_TRAIN, Interactions, LogOptions, read_logs

_DECIMALS = 9
"""Scores without their last digits, which differ with the size of a batch: equal ones are equal in every batch."""


class ProfilePolicy(ScoredPolicy):
    """Base of policies that learn from logs and score items by all that the user of an episode has rated.

    A profile begins with what the logs hold of the user, where they know the id, and grows by every rating of the
    episode: those that :meth:`learn` tells and those that observations show. Where an item was rated more than once,
    the profile holds the newest rating; of logged ones, their mean. B slots, N items.

    Attributes:
        logs: what was learned from.
        ratings: the profiles, on the catalog's scale; 0 where not rated; shape ``(B, N)``.
        rated: which items a profile has, shape ``(B, N)``.
    """

    observes = ("user", "history_items", "history_ratings", "history_mask")
    learns_across_episodes = False

    logs: Interactions
    ratings: Floats
    rated: Flags

    def __init__(self, options: LogOptions) -> None:
        self.options = options

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        catalog, batch_size = setting.catalog, setting.batch_size
        self.logs = read_logs(self.options.logs, catalog, self.users)
        self.ratings = np.zeros((batch_size, len(catalog)))
        self.rated = np.zeros((batch_size, len(catalog)), dtype=np.bool_)
        self._observed = np.zeros((batch_size, len(catalog)), dtype=np.bool_)
        self._unmet = np.ones(batch_size, dtype=np.bool_)
        users, self._logged_items, self._logged_ratings = self.logs.pairs()
        self._starts = np.searchsorted(users, np.arange(len(self.logs.user_ids) + 1))
        self.fit()

    def fit(self) -> None:
        """Learn from :attr:`logs`; called once."""
        raise NotImplementedError

    def trainset(self) -> tuple[Any, Ints]:
        """The logged pairs as a ``surprise.Trainset``, and the number that each item has in it, -1 for none.

        The numbers of the users in it are their numbers in the logs. A MissingDependencyError without scikit-surprise.
        """
        try:
            from surprise import Dataset, Reader
        except ImportError as error:
            raise MissingDependencyError("learning from logs", "scikit-surprise", INSTALL_TRAIN) from error
        pairs = zip(*(column.tolist() for column in self.logs.pairs()), strict=True)
        scale = self.catalog.scale
        made = Dataset(Reader(rating_scale=(scale.low, scale.high)))
        table = made.construct_trainset([(user, item, rating, None) for user, item, rating in pairs])
        numbers = np.full(len(self.catalog), -1, dtype=np.intp)
        for number in range(table.n_items):
            numbers[table.to_raw_iid(number)] = number
        return table, numbers

    def scores(self, rows: Ints) -> Floats:
        """How much each item is expected to be liked by the users of the slots ``rows``; shape ``(R, N)``."""
        raise NotImplementedError

    def absorb(self, rows: Ints, items: Ints, ratings: Floats) -> None:
        """Ratings are about to join the profiles; all of shape ``(n,)``, no pair of row and item twice."""

    def meet(self, rows: Ints) -> None:
        """Profiles of the slots ``rows`` are empty again."""

    def begin(self, request: BeginRequest, draws: Draws) -> None:
        super().begin(request, draws)
        self._unmet[request.rows] = True

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        self._look(request.rows, request.observations)
        return self.pick(request, np.round(self.scores(request.rows), _DECIMALS))

    def learn(self, outcome: RecommendationOutcome) -> None:
        rows, actions, ratings = outcome.rows, outcome.actions, outcome.ratings
        r, place = np.nonzero(~np.isnan(ratings))
        self._observe(rows[r], actions[r, place], ratings[r, place])

    def _look(self, rows: Ints, observations: Observations) -> None:
        """Take over what observations show and nobody has told yet."""
        unmet = np.flatnonzero(self._unmet[rows])
        if len(unmet):
            new = rows[unmet]
            self._unmet[new] = False
            self.ratings[new], self.rated[new], self._observed[new] = 0.0, False, False
            self.meet(new)
            if "user" in observations and len(self.logs.user_numbers):
                users = self.logs.user_numbers[observations["user"][unmet]]
                for row, user in zip(new[users >= 0], users[users >= 0], strict=True):
                    logged = slice(self._starts[user], self._starts[user + 1])
                    items = self._logged_items[logged]
                    self._join(np.full(len(items), row), items, self._logged_ratings[logged])
        items = observations["history_items"]
        seen = observations["history_mask"].astype(bool) & ~self._observed[rows[:, None], items]
        r, place = np.nonzero(seen)
        if len(r):
            # The newest comes first, and the first of equal pairs is the one that counts.
            _, first = np.unique(r * len(self.catalog) + items[r, place], return_index=True)
            r, place = r[first], place[first]
            self._observe(rows[r], items[r, place], observations["history_ratings"][r, place].astype(np.float64))

    def _observe(self, rows: Ints, items: Ints, ratings: Floats) -> None:
        self._observed[rows, items] = True
        self._join(rows, items, ratings)

    def _join(self, rows: Ints, items: Ints, ratings: Floats) -> None:
        self.absorb(rows, items, ratings)
        self.ratings[rows, items] = ratings
        self.rated[rows, items] = True
