"""Bandits: recommenders that learn from every rating, over all episodes, and try out what they know little of."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import BeginRequest, Draws, PolicySetting, RecommendationOutcome, RecommendationRequest
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.frozen import Frozen, option
from emosim_core.model.user import TRAITS
from emosim_core.recommenders.heuristics import ScoredPolicy
from emosim_core.recommenders.logs import ONE_OR_SEVERAL, Interactions, read_logs

_DECIMALS = 9
"""Scores without their last digits, which differ from machine to machine."""

_LOADED = 2.0
"""How many ratings as expected the likings of an episode start with."""

_EPISODE_FEATURES = 6

_WARM_UP_BATCH = 256


class BanditOptions(Frozen):
    """Options that both bandits have."""

    logs: Annotated[tuple[str, ...], ONE_OR_SEVERAL] = option(
        (),
        "Logged interactions to warm up with: directories of runs, .parquet or .csv files; without any it starts "
        "knowing nothing.",
    )
    ridge: float = option(1.0, "How many ratings the belief that all weights are 0 is worth.", gt=0)


class LinUCBOptions(BanditOptions):
    """Options of ``linucb``."""

    alpha: float = option(0.2, "Standard deviations above expectation that items are judged by.", ge=0)


class ThompsonOptions(BanditOptions):
    """Options of ``thompson``."""

    scale: float = option(0.2, "Standard deviation of a rating around the model, on 0 to 1; 0 never explores.", ge=0)


class _LinearBandit(ScoredPolicy):
    """Base of both bandits: one linear model of the rating, over what is known of an item and of an episode.

    A rating, carried to 0 to 1, is ``w . x``, with x of an item and an episode made of

    - 1, the public rating (0 to 1, 0.5 taken away) and the standardised logarithm of the public count of the item, and
      1 for each of its categories, over the square root of how many it has;
    - the public rating times conformity, the count times diversity and times conformity, traits from -1 to 1, 0 where
      observations leave them out;
    - how much better than their public rating the episode's items were rated on average, shrunk to 0;
    - the similarity of the item's embedding to items that were rated better than that, and unlike those rated worse;
    - how much better than that items of the same categories were rated, each category shrunk to 0.

    Where users click before they rate, what is not clicked counts as a rating of 0, so that the model learns what a
    recommendation earns.

    It is a ridge regression over all ratings of all episodes: ``A = ridge I + sum x x'``, ``w = A^-1 sum x r``. As it
    learns across episodes, its choices depend on the order in which episodes run.
    """

    def __init__(self, options: BanditOptions) -> None:
        self.options = options

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        catalog = setting.catalog
        self._public = (catalog.public_ratings - catalog.scale.low) / catalog.scale.span - 0.5
        self._share = catalog.categories / np.sqrt(np.maximum(catalog.categories.sum(axis=1), 1))[:, None]
        counts = np.log1p(catalog.public_counts)
        self._count = (counts - counts.mean()) / (counts.std() or 1.0)
        self._vectors = catalog.embeddings.astype(np.float64)  # once, not in every step
        self._item_x = np.column_stack([np.ones(len(catalog)), self._public, self._count, self._share])
        width = self._item_x.shape[1] + _EPISODE_FEATURES
        self._gram, self._pull = self.options.ridge * np.eye(width), np.zeros(width)
        if self.options.logs:
            self._warm_up(read_logs(self.options.logs, catalog, self.users))
        self._empty(setting.batch_size)
        self._solve()

    def _empty(self, batch_size: int) -> None:
        """Slots of which nothing is known."""
        self._above, self._seen = np.zeros((2, batch_size, len(self.catalog)))
        self._offered = np.zeros((batch_size, self.slate, self._item_x.shape[1] + _EPISODE_FEATURES))

    def begin(self, request: BeginRequest, draws: Draws) -> None:
        super().begin(request, draws)
        self._above[request.rows], self._seen[request.rows] = 0.0, 0.0

    def estimates(self, rows: Ints, episode_x: Floats, draws: Draws) -> Floats:
        """The score of each item, from the features that depend on the episode, ``(R, N, F)``; shape ``(R, N)``."""
        raise NotImplementedError

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> Ints:
        rows = request.rows
        traits = request.observations.get("traits", np.full((len(rows), len(TRAITS)), 2))
        episode_x = self._episode_x(rows, traits)
        actions = self.pick(request, np.round(self.estimates(rows, episode_x, draws), _DECIMALS))
        here = np.arange(len(rows))[:, None]
        offered = [self._item_x[actions], episode_x[here, actions]]
        self._offered[rows] = np.concatenate(offered, axis=2)
        return actions

    def learn(self, outcome: RecommendationOutcome) -> None:
        rows, actions, ratings = outcome.rows, outcome.actions, outcome.ratings
        r, place = np.nonzero(~np.isnan(ratings))
        self._take(rows[r], actions[r, place], self._offered[rows[r], place], ratings[r, place])
        r, place = np.nonzero(self.missed(outcome))
        x = self._offered[rows[r], place]
        self._gram += x.T @ x
        self._pull += (0.0 - self.catalog.scale.low) / self.catalog.scale.span * x.sum(axis=0)
        self._solve()

    def _take(self, rows: Ints, items: Ints, x: Floats, ratings: Floats) -> None:
        """Let the model and the episodes learn from ratings of what had the features ``x``, ``(n, d)``."""
        relative = (ratings - self.catalog.scale.low) / self.catalog.scale.span
        self._gram += x.T @ x
        self._pull += x.T @ relative
        self._above[rows, items] = relative - 0.5 - self._public[items]
        self._seen[rows, items] = 1.0

    def _solve(self) -> None:
        self._inverse = np.linalg.inv(self._gram)
        self._weights = self._inverse @ self._pull

    def _episode_x(self, rows: Ints, traits: NDArray[np.int64], items: Ints | None = None) -> Floats:
        """Features that depend on the episode, of all items, shape ``(R, N, F)``, or of those of each episode,
        ``(R, K)``, shape ``(R, K, F)``."""
        above, seen = self._above[rows], self._seen[rows]
        number = seen.sum(axis=1)
        mean = above.sum(axis=1) / (number + _LOADED)
        own = above - seen * mean[:, None]
        taste = own @ self._vectors / (number + _LOADED)[:, None]
        categories = (own @ self._share) / (seen @ self._share + _LOADED)
        conformity, diversity = (traits[:, place, None] - 2.0 for place in (1, 2))
        public, count = self._public, self._count
        if items is None:
            near, same = taste @ self._vectors.T, categories @ self._share.T
        else:
            near = np.einsum("rd,rkd->rk", taste, self._vectors[items])
            same = np.einsum("rc,rkc->rk", categories, self._share[items])
            public, count = public[items], count[items]
        better = np.broadcast_to(mean[:, None], near.shape)
        return np.stack([public * conformity, count * diversity, count * conformity, better, near, same], axis=2)

    def _warm_up(self, logs: Interactions) -> None:
        """Learn from logged episodes as from episodes of one's own, many side by side."""
        episodes = int(logs.episodes[-1]) + 1
        starts = np.searchsorted(logs.episodes, np.arange(episodes + 1))
        for first in range(0, episodes, _WARM_UP_BATCH):
            begins, ends = (edge[first : first + _WARM_UP_BATCH] for edge in (starts[:-1], starts[1:]))
            self._empty(len(begins))
            for step in range(int((ends - begins).max())):
                rows = np.flatnonzero(begins + step < ends)
                at = begins[rows] + step
                items, traits = logs.items[at], logs.traits[logs.users[at]]
                episode_x = self._episode_x(rows, traits, items[:, None])[:, 0]
                self._take(rows, items, np.column_stack([self._item_x[items], episode_x]), logs.ratings[at])


class LinUCB(_LinearBandit):
    """The items with the highest upper confidence bound ``w . x + alpha sqrt(x' A^-1 x)``.

    LinUCB with one model for all items (Li, Chu, Langford & Schapire, 2010, arXiv:1003.0146, algorithm 1 with shared
    features); see :class:`_LinearBandit` for x.
    """

    deterministic = True

    options: LinUCBOptions

    def estimates(self, rows: Ints, episode_x: Floats, draws: Draws) -> Floats:
        cut = self._item_x.shape[1]
        scores = self._item_x @ self._weights[:cut] + episode_x @ self._weights[cut:]
        inner, across, outer = self._inverse[:cut, :cut], self._inverse[:cut, cut:], self._inverse[cut:, cut:]
        spread = ((self._item_x @ inner) * self._item_x).sum(axis=1)
        spread = spread + (episode_x * (2.0 * self._item_x @ across + episode_x @ outer)).sum(axis=2)
        return scores + self.options.alpha * np.sqrt(np.maximum(spread, 0.0))


class Thompson(_LinearBandit):
    """The best items of a model drawn from the posterior, ``w~ . x`` with ``w~ ~ N(w, scale^2 A^-1)``.

    Thompson sampling for contextual bandits with linear payoffs (Agrawal & Goyal, 2013, arXiv:1209.3352); each step of
    each user draws a model of its own. See :class:`_LinearBandit` for x.
    """

    options: ThompsonOptions

    def estimates(self, rows: Ints, episode_x: Floats, draws: Draws) -> Floats:
        cut = self._item_x.shape[1]
        root = np.linalg.cholesky(self._inverse)
        normal = np.stack([draws.generator(r).standard_normal(len(root)) for r in range(len(rows))])
        drawn = self._weights + self.options.scale * normal @ root.T
        return drawn[:, :cut] @ self._item_x.T + np.einsum("rnf,rf->rn", episode_x, drawn[:, cut:])
