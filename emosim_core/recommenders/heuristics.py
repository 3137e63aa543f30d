"""Built-in recommender policies: simple ones to compare with, none of which recommends what was consumed."""

from __future__ import annotations

from contextlib import closing

import numpy as np
from pydantic import model_validator
from typing_extensions import Self

from emosim_core.components.base import (
    BeginRequest,
    Draws,
    Observations,
    Policy,
    PolicySetting,
    RecommendationOutcome,
    RecommendationRequest,
)
from emosim_core.data.tables import read_csv
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model import Catalog
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.model.frozen import Frozen, option
from emosim_core.recommenders.shuffled import Shuffled

_WHOLE_ORDERS = 65_536
"""Up to so many items, a random order is drawn whole for each user."""


class SimilarOptions(Frozen):
    """Options of ``similar_to_liked``."""

    liked_from: float = option(7.0, "Rating of 10 from which an item counts as liked.", ge=1, le=10)


class EpsilonGreedyOptions(Frozen):
    """Options of ``epsilon_greedy``."""

    epsilon: float = option(0.1, "Probability of a random item instead of the best so far.", ge=0, le=1)
    prior_weight: float = option(3.0, "How many ratings at the public rating an item starts with.", ge=0)


class ReplayOptions(Frozen):
    """Options of ``replay``."""

    file: str | None = option(
        None,
        "CSV file with a column 'item' of item ids; recommended from the top.",
        unset="none",
        min_length=1,
        needed_to_answer=True,
    )
    items: tuple[str, ...] = option(
        (), "Item ids to recommend, in order, in the place of a file.", unset="none", harmless=True
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (not self.items):
            raise ValueError("give file, a CSV file with a column 'item', or items, a list of ids")
        return self


def clicked_last(observations: Observations, slate: int) -> tuple[Ints, Flags] | None:
    """The items of each user's last slate and which of them were clicked, shape ``(R, S)``.

    None where observations do not show them: users then consume of each slate, or nobody knows what they clicked.
    """
    if "shown_items" not in observations:
        return None
    return observations["shown_items"][:, :slate], observations["shown_clicks"][:, :slate] > 0


class _Ranked(Policy):
    """Base of policies that recommend items in an order that is fixed when an episode begins, each once."""

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        best = self.ranking(setting.catalog)
        self._length = len(best)
        self._order = np.broadcast_to(best, (setting.batch_size, len(best)))
        self._next = np.zeros(setting.batch_size, dtype=np.intp)

    def ranking(self, catalog: Catalog) -> Ints:
        """Item indices, best first."""
        raise NotImplementedError

    def begin(self, request: BeginRequest, draws: Draws) -> None:
        self._next[request.rows] = 0

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        rows = request.rows
        start = self._next[rows]
        self._next[rows] = start + self.slate
        places = start[:, None] + np.arange(self.slate)
        recommended = self.at(rows[:, None], np.minimum(places, self._length - 1))
        recommended[places[:, -1] >= self._length] = -1
        return recommended

    def at(self, rows: Ints, places: Ints) -> Ints:
        """The items at places of the orders of ``rows``."""
        return self._order[rows, places]


class _Best(_Ranked):
    """Base of policies with one order of worth for everybody.

    Where users click before they rate, what was not clicked is recommended again: the best that was not consumed.
    """

    deterministic = True

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        self._best = self.ranking(setting.catalog)
        self._gone: list[set[int]] = [set() for _ in range(setting.batch_size)]

    def begin(self, request: BeginRequest, draws: Draws) -> None:
        super().begin(request, draws)
        for row in request.rows.tolist():
            self._gone[row] = set()

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        last = clicked_last(request.observations, self.slate)
        if last is None:
            return super().recommend_batch(request, draws)
        recommended = np.full((len(request.rows), self.slate), -1, dtype=np.intp)
        for r, row in enumerate(request.rows.tolist()):
            gone = self._gone[row]
            gone.update(last[0][r][last[1][r]].tolist())
            best = [item for item in self._best[: self.slate + len(gone)].tolist() if item not in gone][: self.slate]
            if len(best) == self.slate:
                recommended[r] = best
        return recommended


class Popular(_Best):
    """The items that most users rated, most first."""

    def ranking(self, catalog: Catalog) -> Ints:
        return np.lexsort((-catalog.public_ratings, -catalog.public_counts))


class TopRated(_Best):
    """The items with the best public ratings, best first."""

    def ranking(self, catalog: Catalog) -> Ints:
        return np.lexsort((-catalog.public_counts, -catalog.public_ratings))


class RandomPolicy(_Ranked):
    """All items in an order of its own for each episode."""

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        many = len(setting.catalog) > _WHOLE_ORDERS
        self._shuffled = Shuffled(setting.batch_size, len(setting.catalog)) if many else None
        if not many:
            self._order = self._order.copy()

    def ranking(self, catalog: Catalog) -> Ints:
        return np.arange(len(catalog))

    def begin(self, request: BeginRequest, draws: Draws) -> None:
        super().begin(request, draws)
        if self._shuffled is not None:
            self._shuffled.begin(request.rows, draws)
            return
        for r, row in enumerate(request.rows):
            self._order[row] = draws.generator(r).permutation(len(self.catalog))

    def at(self, rows: Ints, places: Ints) -> Ints:
        return super().at(rows, places) if self._shuffled is None else self._shuffled.at(rows, places)

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        left = len(self.catalog) - self._next[request.rows]
        self._propensities = np.repeat(1.0 / np.maximum(left, 1), self.slate).reshape(-1, self.slate)
        return super().recommend_batch(request, draws)

    def propensities(self) -> Floats:
        """Each of the items that are left is as probable."""
        return self._propensities


class Replay(_Ranked):
    """The items of a list or a file, in order; the episode ends where they do."""

    deterministic = True

    def __init__(self, options: ReplayOptions) -> None:
        self._file, self._items = options.file, options.items

    def ranking(self, catalog: Catalog) -> Ints:
        if self._file is None:
            if unknown := [item for item in self._items if item not in catalog.index]:
                raise ConfigurationError(f"replay: the catalog has no item {unknown[0]!r}")
            return np.array([catalog.index[item] for item in self._items], dtype=np.intp)
        indices = []
        with closing(read_csv(self._file, "a CSV file of items to recommend", required=["item"])) as rows:
            for line, row in rows:
                if row["item"] not in catalog.index:
                    raise DataError(self._file, f"the catalog has no item {row['item']!r}", row=line, field="item")
                indices.append(catalog.index[row["item"]])
        if not indices:
            raise DataError(self._file, "has no items to recommend")
        return np.array(indices, dtype=np.intp)


class ScoredPolicy(Policy):
    """Base of policies that score all items at every step and recommend the best not yet recommended.

    Where users click before they rate, what was not clicked is recommended again: the best that was not consumed.
    """

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        self._chosen_first = False
        self._recommended = np.zeros((setting.batch_size, len(setting.catalog)), dtype=np.bool_)

    def begin(self, request: BeginRequest, draws: Draws) -> None:
        self._recommended[request.rows] = False

    def pick(self, request: RecommendationRequest, scores: Floats) -> Ints:
        """The best of ``scores``, ``(R, N)``, that may be recommended; shape ``(R, S)``, -1 if too few are left."""
        self._look_back(request)
        actions = self._best(request.rows, scores)
        if not self._chosen_first:
            remaining = actions[:, 0] >= 0
            self._recommended[request.rows[remaining, None], actions[remaining]] = True
        return actions

    def _look_back(self, request: RecommendationRequest) -> None:
        """See what was clicked of the last slates."""
        last = clicked_last(request.observations, self.slate)
        self._chosen_first = last is not None
        if last is not None:
            r, place = last[1].nonzero()
            self._recommended[request.rows[r], last[0][r, place]] = True

    def missed(self, outcome: RecommendationOutcome) -> Flags:
        """Items that users saw before they would have known them and did not click, shape ``(R, S)``."""
        return ~outcome.clicked if self._chosen_first else np.zeros(outcome.clicked.shape, dtype=np.bool_)

    def _best(self, rows: Ints, scores: Floats) -> Ints:
        scores = np.where(self._recommended[rows], -np.inf, scores)
        actions = np.empty((len(rows), self.slate), dtype=np.intp)
        here = np.arange(len(rows))
        for place in range(self.slate):
            best = scores.argmax(axis=1)
            actions[:, place] = np.where(scores[here, best] == -np.inf, -1, best)
            scores[here, best] = -np.inf
        actions[(actions < 0).any(axis=1)] = -1
        return actions


class SimilarToLiked(ScoredPolicy):
    """Items similar to what the user liked and unlike what they did not, among what is observed.

    The score of an item is the mean over the observed history of its cosine with each past item, weighted by that
    item's rating above ``liked_from``, negative below it; the public rating decides while nothing is known.
    """

    deterministic = True
    observes = ("history_items", "history_ratings", "history_mask")

    def __init__(self, options: SimilarOptions) -> None:
        self._liked_from = options.liked_from

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        catalog = setting.catalog
        self._public = (catalog.public_ratings - catalog.public_ratings.mean()) / catalog.scale.span
        self._threshold = catalog.scale.carry(self._liked_from)

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        observations = request.observations
        seen = observations["history_mask"].astype(bool)
        ratings = observations["history_ratings"].astype(np.float64)
        weights = np.where(seen, (ratings - self._threshold) / self.catalog.scale.span + 0.05, 0.0)
        weights /= np.maximum(seen.sum(axis=1, keepdims=True), 1)
        vectors = self.catalog.embeddings[observations["history_items"]]
        taste = np.einsum("rl,rld->rd", weights, vectors)
        return self.pick(request, taste @ self.catalog.embeddings.T + 0.1 * self._public)


class EpsilonGreedy(ScoredPolicy):
    """The items rated best so far over all users, or a random one with probability epsilon.

    Where users click before they rate, an item that is not clicked counts as a rating of 0.

    It learns across episodes, so the same seed repeats a run only for the same number of environments.
    """

    def __init__(self, options: EpsilonGreedyOptions) -> None:
        self.options = options

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        self._count = np.full(len(setting.catalog), self.options.prior_weight)
        self._total = self.options.prior_weight * setting.catalog.public_ratings

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        means = self._total / np.maximum(self._count, 1e-9)
        scores = np.tile(means, (len(request.rows), 1))
        explore = draws.uniform(1)[:, 0] < self.options.epsilon
        for r in np.flatnonzero(explore):
            scores[r] = draws.generator(int(r)).random(len(self.catalog))
        self._look_back(request)
        left = len(self.catalog) - self._recommended[request.rows].sum(axis=1)
        greedy = self._best(request.rows, np.tile(means, (len(request.rows), 1)))
        actions = self.pick(request, scores)
        # A random slate is as often any other of the items that are left, each in any place.
        random = self.options.epsilon / np.maximum(left, 1)
        self._propensities = random[:, None] + (1.0 - self.options.epsilon) * (actions == greedy)
        return actions

    def propensities(self) -> Floats:
        """The chance of a random slate, and the rest where the item is the best so far."""
        return self._propensities

    def learn(self, outcome: RecommendationOutcome) -> None:
        known = ~np.isnan(outcome.ratings)
        np.add.at(self._count, outcome.actions[known | self.missed(outcome)], 1.0)
        np.add.at(self._total, outcome.actions[known], outcome.ratings[known])
