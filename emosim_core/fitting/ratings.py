"""How users rate, learned from a log: what each gives on average, and how they use the levels of the scale."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.data.interactions import Interactions
from emosim_core.errors import MissingDependencyError
from emosim_core.estimators import Past
from emosim_core.estimators.interface import DECIMALS, item_by_user, rated
from emosim_core.fitting.coconsumption import taken_together
from emosim_core.fitting.interest_features import creators_of
from emosim_core.fitting.saved import array_of
from emosim_core.model import Catalog, History, RatingScale
from emosim_core.model.arrays import Flags, Floats, Ints

_DECADES = np.arange(1910.0, 2030.0, 10.0)
"""Middles of the ten-year steps in which a user's liking may change with the year of an item."""

_ERA = 12.0
"""How far, in years, a liking for one year reaches."""

_SPREADS = {
    "level": 0.69,
    "category": 0.63,
    "era": 0.45,
    "popularity": 0.35,
    "quality": 0.35,
    "text": 0.5,
    "creators": 0.7,
    "together": 0.7,
}
"""Standard deviations among users of what each adds, in points of 10, where a log is too small to tell."""

_NOISE = 1.6
"""Standard deviation of a rating beside what is expected of the user, in points of 10, likewise."""

_MIDDLE = 6.5
"""Mean of ratings, in points of 10, likewise."""

_DOUBT = {"mean": 20.0, "item": 5.0, "kind": 5.0, "spread": 10.0, "lately": 20.0, "noise": 10.0, "level": 20.0}
"""Ratings (of ``spread``: users) that must be outweighed before half of what they say is believed."""

_HALF_LIFE = {"lately": 30.0, "level": 100.0}
"""Ratings after which a rating counts half in how a user rates lately and uses the levels."""

_TEXT = 64
"""Directions of the texts of items that are distinguished, at most."""

_FARTHEST = 3.0
"""Standard deviations from the usual popularity that are distinguished."""

_ITEM_DOUBTS = (2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 25.0)
"""Ratings of an item that must be outweighed, of which the log chooses: the best to predict each by the others."""

_ROUNDS = 4
"""Rounds in which the items' and the users' parts are separated."""

_SPREAD_ROUNDS, _SPREAD_USERS, _SPREAD_RATINGS = 12, 250, 60
"""Rounds, users and latest ratings of each from which the spreads among users are learned."""

_LEVEL_USERS, _LEVEL_RATINGS = 250, 100
"""Users, and latest ratings of each, from which is learned how often everybody uses each level."""

_TASTES, _TASTE_ROUNDS = 8, 10
"""Directions of taste that are learned from ratings alone, and rounds in which they are learned."""

_TASTE_SPREAD = 0.3
"""Standard deviation among items of each of these directions, in points of 10, where nobody rated them."""

_TASTE_SIZES = (0.0, 0.7, 1.0, 1.4)
"""How much of these directions is believed, of which the log chooses: the best to predict users who made none."""

_TASTE_USERS = 5
"""One user of so many is left out to choose by."""

_FOLDED = 5
"""Directions in which ratings of an episode move a user: the level, and those in which users differ most."""

_MOST = 1e9
"""What no number of a model is beyond."""

_LATEST = 32
"""Ratings of an episode that move a user; earlier ones are forgotten."""


@dataclass(frozen=True)
class _Items:
    """What is known of the N items of a catalog: ``base`` is what everybody adds, shape ``(N,)``, on the scale.

    ``features`` are what users differ in, each in units of its spread among users, shape ``(N, D)``; ``folded`` are
    those products with which an episode moves a user, shape ``(N, F)``.
    """

    base: Floats
    features: NDArray[np.float32]
    folded: Floats

    @classmethod
    def of(cls, base: Floats, features: Floats, directions: Floats) -> _Items:
        """From features as they were learned, and the directions of the fold-in, shape ``(D, F)``."""
        return cls(base, features.astype(np.float32), np.einsum("nd,df->nf", features, directions))


@dataclass(frozen=True)
class _About:
    """What ratings of N items are read off, whoever gives them.

    Attributes:
        flags: of the categories, shape ``(N, C)``.
        year, dated: year, and whether it is known, shape ``(N,)``.
        counts: users who rated it, shape ``(N,)``.
        text: of the text, shape ``(N, T)``.
        creators: of who made it, shape ``(N, P)``.
        together: of what is taken together with it, shape ``(N, K)``.
    """

    flags: Flags
    year: Floats
    dated: Flags
    counts: Floats
    text: NDArray[np.float32]
    creators: NDArray[np.float32]
    together: NDArray[np.float32]


class RatingModel:
    """A Bayesian linear model of users over what is known of items, with each user's own noise and use of levels.

    ::

        expected = base_i + x_i . w_u        base_i = kind_i + n / (n + k) * (mean of what users add - kind_i)

    ``base_i`` is an item's mean less what its raters add to any item, believed as far as n users rated it; its kind is
    a ridge regression on categories, year, popularity and text; k is chosen by how well ratings are predicted by
    the item's others. ``x_i`` holds 1, the categories, the era, the popularity, the base, the leading directions of the
    embedding, who made the item, and what it is taken together with, each in units of its standard deviation among
    users, which is learned by maximum likelihood (fixed-point steps; MacKay, 1992, doi 10.1162/neco.1992.4.3.415). The
    last of ``x_i`` are directions in which the ratings of users differ beside
    that: probabilistic principal components (expectation-maximization; Tipping & Bishop, 1999, doi
    10.1111/1467-9868.00196), as far as they predict users who made none of them. ``w_u`` is the posterior mean of the
    user's past, its first weight moved by what was off lately.

    A single answer is the level l with probability ``p_l ~ m_ul * (logistic cell of l around the expected rating)``:
    the width of the logistic distribution is the user's, and m_ul is how much more often than that says they use l.

    A state holds ``w_u`` (D), the same in the F directions of the fold-in (F), and logarithms: of what is still unknown
    there (F), of the standard deviation of the noise (1), and of ``m_ul`` (L levels). What a user rates in an episode
    moves them in those F directions alone, first in the level and then in each other by itself.
    """

    _items: _Items

    @classmethod
    def fit(
        cls, log: Interactions, catalog: Catalog, scale: RatingScale, seed: int, chosen: bool = True
    ) -> RatingModel:
        """Learn from all of a log.

        Args:
            seed: decides where the iterations for what is taken together start, in a large log.
            chosen: whether users chose what they rated; where it was drawn, what they have in common says nothing.

        Raises:
            ConfigurationError: the log has no ratings.
            MissingDependencyError: scipy or threadpoolctl is not installed.
        """
        with one_thread():
            return cls()._learn(log, catalog, scale, seed, chosen)

    def _learn(self, log: Interactions, catalog: Catalog, scale: RatingScale, seed: int, chosen: bool) -> RatingModel:
        values, unit = rated(log.values), scale.span / 9.0
        self._scale, self._unit, self._levels = scale, unit, scale.levels
        self._names, self._embedding = catalog.category_names, catalog.embedding_name
        counts = np.bincount(log.items, minlength=log.item_count).astype(np.float64)
        self._text_mean = catalog.embeddings.mean(axis=0, dtype=np.float64)
        self._text_axes = _axes(catalog.embeddings - self._text_mean)
        text, creators = self._text(catalog.embeddings), creators_of(catalog).astype(np.float32)
        together = taken_together(log, seed) if chosen else np.zeros((log.item_count, 0), dtype=np.float32)
        self._about = _About(catalog.categories, *_years(catalog), counts, text, creators, together)
        widely = np.log1p(counts)
        self._popularity = np.array([*_standard(widely, (counts > 0).astype(np.float64)), *_standard(widely, counts)])
        mean = (values.sum() + _DOUBT["mean"] * scale.carry(_MIDDLE)) / (len(values) + _DOUBT["mean"])
        self._mean = float(mean)
        base, without = self._learn_items(log, values)
        self._base = base
        self._quality = np.array(_standard(base, counts))
        features = self._learn_features(log, values, without)
        self._directions = _directions(features, counts)
        self._items = _Items.of(base, features, self._directions)
        self._multipliers = np.ones(len(self._levels))
        self._multipliers = self._learn_multipliers(log, values)
        return self

    # What items are.

    def _kinds(self, about: _About) -> Floats:
        """What an item's kind is read off, shape ``(N, K)``."""
        era = np.where(about.dated, (about.year - 1990.0) / 20.0, 0.0)
        widely = (np.log1p(about.counts) - self._popularity[0]) / self._popularity[1]
        widely = np.clip(widely, -_FARTHEST, _FARTHEST)
        return np.column_stack([np.ones(len(era)), widely, widely**2, era, era**2, about.flags, about.text])

    def _text(self, embeddings: NDArray) -> NDArray[np.float32]:
        # Not by linear algebra, whose last digits depend on the number of threads.
        apart = embeddings - self._text_mean
        return np.asarray(np.einsum("ne,et->nt", apart, self._text_axes), dtype=np.float32)

    def _blocks(self, about: _About, base: Floats) -> dict[str, Floats]:
        """What users differ in, by group, each of the shape ``(N, d)``."""
        era = np.exp(-(((about.year[:, None] - _DECADES) / _ERA) ** 2))
        era *= (about.dated / np.maximum(np.linalg.norm(era, axis=1), 1e-9))[:, None]
        widely = (np.log1p(about.counts) - self._popularity[2]) / self._popularity[3]
        return {
            "level": np.ones((len(base), 1)),
            "category": about.flags / np.sqrt(np.maximum(about.flags.sum(axis=1, keepdims=True), 1.0)),
            "era": era,
            "popularity": np.clip(widely, -_FARTHEST, _FARTHEST)[:, None],
            "quality": ((base - self._quality[0]) / self._quality[1])[:, None],
            "text": about.text.astype(np.float64),
            "creators": about.creators.astype(np.float64),
            "together": about.together.astype(np.float64),
        }

    # What is learned of all users together.

    def _learn_items(self, log: Interactions, values: Floats) -> tuple[Floats, Floats]:
        """What everybody adds to each item, shape ``(N,)``, and the same without each rating, shape ``(R,)``."""
        counts, mean = self._about.counts, self._mean
        kinds = self._kinds(self._about)
        self._kind: Floats = np.zeros(kinds.shape[1])
        users, own = np.bincount(log.users, minlength=len(log.user_ids)), np.zeros(len(values))
        doubt = _DOUBT["item"]
        base: Floats = np.full(log.item_count, mean)
        without = base[log.items]
        for _ in range(_ROUNDS):
            left: Floats = np.asarray(values - mean - own, dtype=np.float64)
            sums: Floats = np.bincount(log.items, left, log.item_count).astype(np.float64)
            believed = counts / (counts + doubt)
            gram = (kinds * believed[:, None]).T @ kinds + _DOUBT["kind"] * np.eye(kinds.shape[1])
            target = kinds.T @ (believed * sums / np.maximum(counts, 1.0))
            self._kind = np.asarray(np.linalg.solve(gram, target), dtype=np.float64)
            kind = np.asarray(kinds @ self._kind, dtype=np.float64)
            others = (counts - 1.0)[log.items], sums[log.items] - left, kind[log.items]
            if len(log):
                doubt = min(_ITEM_DOUBTS, key=lambda one: float(np.sum((left - _believed(*others, one)) ** 2)))
            base, without = mean + _believed(counts, sums, kind, doubt), mean + _believed(*others, doubt)
            shrink = (_NOISE / _SPREADS["level"]) ** 2
            off = np.bincount(log.users, values - without, len(users)) / (users + shrink)
            own = off[log.users]
        return base, without

    def _learn_spreads(self, log: Interactions, off: Floats, blocks: Mapping[str, Floats]) -> tuple[Floats, float]:
        """Standard deviations among users of what each group adds, and of the noise, in points of the scale."""
        unit, starts = self._unit, log.starts
        usual = np.array([_SPREADS[name] * unit for name in blocks] + [_NOISE * unit]) ** 2
        chosen = np.flatnonzero(np.diff(starts) >= 5)
        chosen = _spread_over(chosen, _SPREAD_USERS)
        kernels, targets = [], []
        for user in chosen.tolist():
            rows = slice(max(int(starts[user]), int(starts[user + 1]) - _SPREAD_RATINGS), int(starts[user + 1]))
            items = log.items[rows]
            kernels.append(
                np.array([block[items] @ block[items].T for block in blocks.values()] + [np.eye(len(items))])
            )
            targets.append(off[rows])
        variances = usual.copy()
        doubt = _DOUBT["spread"]
        for _ in range(_SPREAD_ROUNDS):
            up, down = np.zeros(len(variances)), np.zeros(len(variances))
            for kernel, target in zip(kernels, targets, strict=True):
                inverse = np.linalg.inv(np.tensordot(variances, kernel, 1))
                weight = inverse @ target
                up += np.einsum("gnm,n,m->g", kernel, weight, weight)
                down += np.einsum("gnm,nm->g", kernel, inverse)
            learned = variances * np.divide(up, down, out=np.ones_like(up), where=down > 0)
            variances = (len(targets) * learned + doubt * usual) / (len(targets) + doubt)
        return np.sqrt(variances[:-1]), float(np.sqrt(variances[-1]))

    def _learn_features(self, log: Interactions, values: Floats, without: Floats) -> Floats:
        """What users differ in, scaled, shape ``(N, D)``.

        Whether what items are taken together with is used, and how much of the directions of taste, is chosen by how
        well each rating of some users is predicted from their others; directions of taste are learned without them.
        """
        known, off, spread = self._about, values - self._base[log.items], _TASTE_SPREAD * self._unit
        pasts = [slice(*pair) for pair in pairwise(log.starts.tolist())]
        others = log.users % _TASTE_USERS > 0
        judges = [pasts[user] for user in _spread_over(np.arange(0, len(pasts), _TASTE_USERS), _SPREAD_USERS).tolist()]
        latest = [slice(max(one.start, one.stop - _SPREAD_RATINGS), one.stop) for one in judges]
        least, size = np.inf, 0.0
        for together in (known.together, known.together[:, :0])[known.together.shape[1] == 0 :]:
            about = replace(known, together=together)
            blocks = self._blocks(about, self._base)
            spreads, noise = self._learn_spreads(log, values - without, blocks)
            features, variance = _scaled(blocks, spreads), noise**2
            explained = [_explained(features[log.items[one]], off[one], variance) for one in pasts]
            left = off - np.concatenate(explained)
            tastes = _tastes(log.only(others), left[others], variance, spread)
            for some in _TASTE_SIZES:
                wider = np.column_stack([features, some * tastes])
                surprise = sum(_left_out(wider[log.items[one]], off[one], variance) for one in latest)
                if surprise < least:
                    least, size, best, beside = surprise, some, features, left
                    self._about, self._spreads, self._noise = about, spreads, noise
        self._tastes = np.zeros((len(best), 0))
        if size:
            self._tastes = size * _tastes(log, beside, self._noise**2, spread)
        return np.column_stack([best, self._tastes])

    def _learn_multipliers(self, log: Interactions, values: Floats) -> Floats:
        """How much more often than by their cells all users together use each level."""
        starts = log.starts
        places, means, sizes = [], [], []
        chosen = np.flatnonzero(np.diff(starts) > 0)
        for user in _spread_over(chosen, _LEVEL_USERS).tolist():
            rows = slice(max(int(starts[user]), int(starts[user + 1]) - _LEVEL_RATINGS), int(starts[user + 1]))
            known = self._posterior(log.items[rows], values[rows])
            places.append(self._places(values[rows]))
            means.append(known.without)
            sizes.append(np.full(len(known.without), known.noise))
        multipliers = np.ones(len(self._levels))
        if not places:
            return multipliers
        observed = np.bincount(np.concatenate(places), minlength=len(multipliers)) + 1.0
        cells = self._cells(np.concatenate(means), np.concatenate(sizes))
        for _ in range(20):
            mixed = cells * multipliers
            expected = (mixed / mixed.sum(axis=1, keepdims=True)).sum(axis=0) + 1.0
            multipliers = multipliers * observed / expected
        return multipliers / multipliers.max()

    def _places(self, values: Floats) -> Ints:
        """The nearest level of each value."""
        return np.searchsorted((self._levels[:-1] + self._levels[1:]) / 2.0, values, "right")

    # What is known of one user.

    def _posterior(self, items: Ints, values: Floats) -> _Posterior:
        """What a past tells, by the smaller of the two systems of equations."""
        x = self._items.features[items].astype(np.float64)
        off = values - self._items.base[items]
        variance = self._noise**2
        count, size = x.shape
        if count <= size:
            inverse = np.linalg.inv(x @ x.T + variance * np.eye(count))
            dual = inverse @ off
            weights, own = x.T @ dual, np.diagonal(inverse)
            along = x @ self._directions
            unknown = 1.0 - np.einsum("nf,nm,mf->f", along, inverse, along, optimize=True)
        else:
            covariance = np.linalg.inv(x.T @ x / variance + np.eye(size))
            weights = covariance @ (x.T @ off) / variance
            dual = (off - x @ weights) / variance
            own = (1.0 - np.einsum("nd,nd->n", x @ covariance, x) / variance) / variance
            unknown = np.einsum("df,df->f", self._directions, covariance @ self._directions)
        # What the others of the past say of each rating.
        without = values - dual / np.maximum(own, 1e-9)
        surprise = float(((values - without) ** 2).sum())
        noise = np.sqrt((surprise + _DOUBT["noise"] * variance) / (count + _DOUBT["noise"]))
        age = np.arange(count)[::-1]
        recent = 0.5 ** (age / _HALF_LIFE["lately"])
        lately = float(recent @ (dual * variance)) / (float(recent.sum()) + _DOUBT["lately"])
        return _Posterior(weights, unknown, without, float(noise), lately)

    def state(self, past: Past) -> Floats:
        """What a past tells of a user, shape ``(E,)``; of an empty one what is known of everybody.

        Raises:
            ConfigurationError: the past has no ratings.
            MissingDependencyError: threadpoolctl is not installed, and the past is not empty.
        """
        values = rated(past.values)
        with one_thread() if len(values) else nullcontext():
            return self._state(past.items, values)

    def _state(self, items: Ints, values: Floats) -> Floats:
        known = self._posterior(items, values)
        weights = known.weights
        weights[0] += known.lately / self._spreads[0]
        levels = np.log(self._own_multipliers(values, known))
        unknown = np.log(np.maximum(known.unknown, 1e-4))
        noise = np.array([np.log(known.noise)])
        parts: list[Floats] = [weights, weights @ self._directions, unknown, noise, levels]
        return np.asarray(np.round(np.concatenate(parts), DECIMALS), dtype=np.float64)

    def _own_multipliers(self, values: Floats, known: _Posterior) -> Floats:
        """How much more often than by their cells a user uses each level, shape ``(L,)``."""
        multipliers = self._multipliers.copy()
        if not len(values):
            return multipliers
        age = np.arange(len(values))[::-1]
        weight = 0.5 ** (age / _HALF_LIFE["level"])
        observed = np.bincount(self._places(values), weight, len(multipliers))
        cells = self._cells(known.without, np.full(len(values), known.noise))
        doubt = _DOUBT["level"]
        usual = None
        for _ in range(5):
            mixed = cells * multipliers
            expected = weight @ (mixed / mixed.sum(axis=1, keepdims=True))
            usual = expected / expected.sum() if usual is None else usual
            multipliers = multipliers * (observed + doubt * usual) / (expected + doubt * usual)
        return np.maximum(multipliers, 1e-6)

    def states(self, log: Interactions) -> Floats:
        """What their past tells of each user of a log, shape ``(U, E)``; as :meth:`state` says.

        Raises:
            ConfigurationError: the log has no ratings.
        """
        values, starts = rated(log.values), log.starts.tolist()
        with one_thread():
            rows = [slice(*pair) for pair in pairwise(starts)]
            return np.array([self._state(log.items[some], values[some]) for some in rows]).reshape(len(rows), self.size)

    @property
    def size(self) -> int:
        """E, how many numbers a state has."""
        return self._items.features.shape[1] + 2 * self._directions.shape[1] + 1 + len(self._levels)

    # What users answer.

    def expected(self, items: Ints, states: Floats, history: History) -> Floats:
        """What users rate on average, shape ``(R, S)``, on the scale and clipped to it.

        Args:
            items: shape ``(R, S)``; what is expected of -1 means nothing.
            states: shape ``(R, E)``.
            history: what each rated since, in the episode; its last 32 ratings count.
        """
        return np.clip(self._means(items, states, history), self._scale.low, self._scale.high)

    def _means(self, items: Ints, states: Floats, history: History) -> Floats:
        known, width = self._items, self._items.features.shape[1]
        means = known.base.take(items)
        means += np.einsum("rsd,rd->rs", known.features.take(items, axis=0), states[:, :width])
        if history.width:
            means += np.einsum("rsf,rf->rs", known.folded.take(items, axis=0), self._moved(states, history))
        return np.round(means, DECIMALS)

    def _moved(self, states: Floats, history: History) -> Floats:
        """How far the ratings of an episode move users in each direction of the fold-in, shape ``(R, F)``."""
        known, width, count = self._items, self._items.features.shape[1], self._directions.shape[1]
        items, ratings, present = history.recent(min(_LATEST, history.width))
        along = known.folded.take(items, axis=0) * present[:, :, None]
        off = (ratings - known.base.take(items)) * present
        off -= np.einsum("rwf,rf->rw", along, states[:, width : width + count])
        noise, unknown = states[:, -1 - len(self._levels)], states[:, width + count : width + 2 * count]
        doubt = np.exp(2.0 * noise[:, None] - unknown)
        moved = np.zeros((len(items), count))
        level, others = along[:, :, 0], along[:, :, 1:]
        moved[:, 0] = (level * off).sum(axis=1) / ((level * level).sum(axis=1) + doubt[:, 0])
        off -= level * moved[:, :1]
        squares = np.einsum("rwf,rwf->rf", others, others)
        moved[:, 1:] = np.einsum("rwf,rw->rf", others, off) / (squares + doubt[:, 1:])
        return moved

    def distribution(self, expected: Floats, states: Floats) -> Floats:
        """How likely a single answer is each level of the scale, shape ``(R, S, L)``; sums are 1.

        Args:
            expected: what each user rates on average in this situation, such as in this mood, shape ``(R, S)``.
        """
        count = len(self._levels)
        shares = self._cells(expected, np.broadcast_to(np.exp(states[:, -1 - count, None]), expected.shape))
        shares *= np.exp(states[:, None, -count:])
        shares /= shares.sum(axis=2, keepdims=True)
        return shares

    def draw(self, expected: Floats, states: Floats, history: History, normal: Floats) -> Floats:
        """Single answers, levels of the scale, of the shape of ``expected``.

        Args:
            expected: what each user rates on average in this situation, shape ``(R, S)``.
            history: takes no part: an episode does not change how a user uses the levels.
            normal: standard normal draws, shape ``(R, S)``: of which quantile of :meth:`distribution` the answer is.
        """
        up_to = np.cumsum(self.distribution(expected, states), axis=2)
        return self._levels.take((normal_share(normal)[:, :, None] >= up_to[:, :, :-1]).sum(axis=2))

    @property
    def kernel_arrays(self) -> tuple[Any, ...]:
        """What a kernel needs for :meth:`expected` and :meth:`draw`."""
        known, scale = self._items, self._scale
        return known.base, known.features, known.folded, self._levels, scale.low, scale.high, _LATEST

    def _cells(self, means: Floats, noise: Floats) -> Floats:
        """Shares of logistic distributions in the cells of the levels; one more axis, of L."""
        cuts = (self._levels[:-1] + self._levels[1:]) / 2.0
        scores = (means[..., None] - cuts) * (np.pi / np.sqrt(3.0) / noise)[..., None]
        above = 1.0 / (1.0 + np.exp(-np.clip(scores, -30.0, 30.0)))
        shares = np.empty((*means.shape, len(self._levels)))
        shares[..., 0] = 1.0 - above[..., 0]
        np.subtract(above[..., :-1], above[..., 1:], out=shares[..., 1:-1])
        shares[..., -1] = above[..., -1]
        return shares

    # What is saved.

    def arrays(self) -> dict[str, NDArray]:
        """All that :meth:`load` needs: arrays of numbers; names are bytes of UTF-8."""
        about = self._about
        return {
            "scale": np.array([self._scale.low, self._scale.high, self._scale.step]),
            "numbers": np.array([self._mean, self._noise]),
            "popularity": self._popularity,
            "quality": self._quality,
            "spreads": self._spreads,
            "kind": self._kind,
            "multipliers": self._multipliers,
            "directions": self._directions,
            "text_mean": self._text_mean,
            "text_axes": self._text_axes,
            "base": self._base,
            "counts": about.counts,
            "tastes": self._tastes,
            "years": np.where(about.dated, about.year, np.nan),
            "categories": about.flags.astype(np.uint8),
            "text": about.text,
            "creators": about.creators,
            "together": about.together,
            "category_names": _bytes("\n".join(self._names)),
            "embedding_name": _bytes(self._embedding),
        }

    @classmethod
    def load(
        cls, arrays: Mapping[str, NDArray], known: Ints, catalog: Catalog, scale: RatingScale | None = None
    ) -> RatingModel:
        """A saved model for the items of a catalog; those that it does not know are rated by what they are.

        Args:
            arrays: those of :meth:`arrays`.
            known: for each item of the saved model its index in ``catalog``, -1 where the catalog lacks it.
            scale: what the model must rate on; None for any.

        Raises:
            ValueError: the arrays are damaged, are not of so many items, or rate on another scale.
        """
        self = cls()
        low, high, step = array_of(arrays, "scale", (3,), -_MOST, _MOST).tolist()
        self._scale = RatingScale(low=low, high=high, step=step)
        if scale is not None and self._scale != scale:
            raise ValueError(f"the scale is {self._scale}")
        self._unit, self._levels = self._scale.span / 9.0, self._scale.levels
        self._mean, self._noise = array_of(arrays, "numbers", (2,), -_MOST, _MOST).tolist()
        names = array_of(arrays, "category_names", (-1,), 0, 255)
        self._names = tuple(bytes(names).decode().split("\n")) if len(names) else ()
        self._embedding = bytes(array_of(arrays, "embedding_name", (-1,), 0, 255)).decode()
        self._text_mean = array_of(arrays, "text_mean", (-1,), -_MOST, _MOST)
        self._text_axes = array_of(arrays, "text_axes", (len(self._text_mean), -1), -_MOST, _MOST)
        self._popularity = array_of(arrays, "popularity", (4,), -_MOST, _MOST)
        self._quality = array_of(arrays, "quality", (2,), -_MOST, _MOST)
        self._spreads = array_of(arrays, "spreads", (len(_SPREADS),), 0, _MOST)
        self._multipliers = array_of(arrays, "multipliers", (len(self._levels),), 0, _MOST)
        theirs = _About(
            array_of(arrays, "categories", (len(known), len(self._names)), 0, 1).astype(np.bool_),
            array_of(arrays, "years", (len(known),), -_MOST, _MOST, unknown=True),
            ~np.isnan(arrays["years"]),
            array_of(arrays, "counts", (len(known),), 0, _MOST),
            array_of(arrays, "text", (len(known), self._text_axes.shape[1]), -_MOST, _MOST),
            array_of(arrays, "creators", (len(known), -1), -_MOST, _MOST),
            array_of(arrays, "together", (len(known), -1), -_MOST, _MOST),
        )
        tastes = array_of(arrays, "tastes", (len(known), -1), -_MOST, _MOST)
        bases = array_of(arrays, "base", (len(known),), -_MOST, _MOST)
        self._kind = array_of(arrays, "kind", (5 + len(self._names) + theirs.text.shape[1],), -_MOST, _MOST)
        several = (theirs.flags, theirs.text, theirs.creators, theirs.together, tastes)
        wide = len(_DECADES) + 3 + sum(one.shape[1] for one in several)
        self._directions = array_of(arrays, "directions", (wide, -1), -_MOST, _MOST)
        sizes = (self._noise, self._spreads[0], *self._popularity[1::2], self._quality[1])
        if min(sizes) <= 0 or not 0 < self._directions.shape[1] <= wide:
            raise ValueError("a size that is above 0 in any model is not")
        self._about = about = self._placed(theirs, known, catalog)
        here, where = known >= 0, known[known >= 0]
        # Not by linear algebra, whose last digits depend on the number of threads.
        self._base = np.round(self._mean + np.einsum("nk,k->n", self._kinds(about), self._kind), DECIMALS)
        self._base[where] = bases[here]
        self._tastes = np.zeros((len(catalog), tastes.shape[1]))
        self._tastes[where] = tastes[here]
        features = np.column_stack([_scaled(self._blocks(about, self._base), self._spreads), self._tastes])
        self._items = _Items.of(self._base, features, self._directions)
        return self

    def _placed(self, theirs: _About, known: Ints, catalog: Catalog) -> _About:
        """The same of the items of a catalog; of what is new there, what the catalog says of it."""
        here, where = known >= 0, known[known >= 0]
        year, dated = _years(catalog)
        year[where] = np.where(theirs.dated, theirs.year, _DECADES[0])[here]
        dated[where] = theirs.dated[here]
        column = {name: number for number, name in enumerate(catalog.category_names)}
        flags = np.zeros((len(catalog), len(self._names)), dtype=np.bool_)
        for number, name in enumerate(self._names):
            if name in column:
                flags[:, number] = catalog.categories[:, column[name]]
        flags[where] = theirs.flags[here]
        counts = np.zeros(len(catalog))
        counts[where] = theirs.counts[here]
        text = creators = together = np.zeros((len(catalog), 0), dtype=np.float32)
        if catalog.embedding_name == self._embedding and catalog.embeddings.shape[1] == len(self._text_mean):
            text = self._text(catalog.embeddings)
        if theirs.creators.shape[1]:
            creators = creators_of(catalog).astype(np.float32)
        placed = []
        pairs = (text, theirs.text), (creators, theirs.creators), (together, theirs.together)
        for mine, columns in pairs:
            alike = mine if mine.shape[1] == columns.shape[1] else np.zeros((len(catalog), columns.shape[1]))
            one = alike.astype(np.float32)
            one[where] = columns[here]
            placed.append(one)
        return _About(flags, year, dated, counts, *placed)


@dataclass(slots=True)
class _Posterior:
    """What n ratings tell of a user: ``weights`` of the features (D), variance left along the directions (F).

    ``without`` is what the others say of each rating, shape ``(n,)``; ``noise`` the standard deviation of a rating,
    ``lately`` how far the latest ones lay above what is expected, both in points of the scale.
    """

    weights: Floats
    unknown: Floats
    without: Floats
    noise: float
    lately: float


def one_thread() -> AbstractContextManager[Any]:
    """Let linear algebra use one thread: with more, the last digits depend on how many.

    Raises:
        MissingDependencyError: threadpoolctl is not installed.
    """
    return _threads().limit(limits=1, user_api="blas")


@cache
def _threads() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError as error:
        raise MissingDependencyError(
            "learning from a log", "threadpoolctl", 'pip install "emosim-core[fit]"'
        ) from error
    return ThreadpoolController()


def _years(catalog: Catalog) -> tuple[Floats, Flags]:
    """Year of each item, and whether it is known; both of shape ``(N,)``."""
    known = np.array([item.year is not None for item in catalog.items])
    value = [_DECADES[0] if item.year is None else item.year for item in catalog.items]
    return np.clip(np.array(value, dtype=np.float64), 1900.0, 2030.0), known


def _axes(apart: Floats) -> Floats:
    """The leading directions of centered rows, shape ``(E, T)``, by which these are 1 long, in root mean square."""
    axes = np.linalg.eigh(apart.T @ apart)[1][:, ::-1][:, :_TEXT]
    along = apart @ axes
    return np.asarray(axes / max(float(np.sqrt(np.mean(np.einsum("nt,nt->n", along, along)))), 1e-9))


def _scaled(blocks: Mapping[str, Floats], spreads: Floats) -> Floats:
    """All groups of features beside each other, each times its standard deviation among users."""
    return np.column_stack([size * block for size, block in zip(spreads, blocks.values(), strict=True)])


def _standard(values: Floats, weights: Floats) -> tuple[float, float]:
    """Weighted mean and standard deviation; 0 and 1 where there are none."""
    total = float(weights.sum())
    if total <= 0:
        return 0.0, 1.0
    middle = float(weights @ values) / total
    spread = float(np.sqrt(weights @ (values - middle) ** 2 / total))
    return middle, spread if spread > 1e-9 else 1.0


def _believed(counts: Floats, sums: Floats, kind: Floats, doubt: float) -> Floats:
    """Means of ``counts`` ratings with these sums, as if ``doubt`` more of them were as the kind."""
    return np.asarray((sums + doubt * kind) / (counts + doubt), dtype=np.float64)


def _explained(x: Floats, off: Floats, variance: float) -> Floats:
    """What the posterior mean of one user's weights says of the user's own ratings, shape ``(n,)``."""
    kernel = x @ x.T
    return np.asarray(kernel @ np.linalg.solve(kernel + variance * np.eye(len(off)), off), dtype=np.float64)


def _left_out(x: Floats, off: Floats, variance: float) -> float:
    """The sum of squares of each rating of one user less what the user's others say of it."""
    inverse = np.linalg.inv(x @ x.T + variance * np.eye(len(off)))
    return float((((inverse @ off) / np.diagonal(inverse)) ** 2).sum())


def _tastes(log: Interactions, off: Floats, variance: float, spread: float) -> Floats:
    """Directions in which the users of a log differ, shape ``(N, K)``, from what each rating lies above others.

    What a user weighs a direction by is standard normal; ``spread`` is the standard deviation of an item's own entries,
    ``variance`` that of a rating.
    """
    pairs, sizes = item_by_user(log), item_by_user(log, off)
    square = (-1, _TASTES, _TASTES)
    tastes = spread * np.random.default_rng(0).standard_normal((log.item_count, _TASTES))
    for _ in range(_TASTE_ROUNDS):
        known = (pairs.T @ _squares(tastes)).reshape(square) / variance
        unknown = np.linalg.inv(known + np.eye(_TASTES))
        weights = np.einsum("ukl,ul->uk", unknown, sizes.T @ tastes) / variance
        seen = (pairs @ (unknown.reshape(len(weights), _TASTES**2) + _squares(weights))).reshape(square)
        tastes = np.linalg.solve(seen + variance / spread**2 * np.eye(_TASTES), (sizes @ weights)[:, :, None])[:, :, 0]
    return np.asarray(tastes, dtype=np.float64)


def _squares(rows: Floats) -> Floats:
    """The products of each row with itself, shape ``(R, K * K)``."""
    return np.asarray((rows[:, :, None] * rows[:, None, :]).reshape(len(rows), rows.shape[1] ** 2), dtype=np.float64)


def _spread_over(values: Ints, most: int) -> Ints:
    """At most so many of some values, evenly over them."""
    return values[np.unique(np.linspace(0, max(len(values) - 1, 0), min(most, len(values))).astype(np.intp))]


def _directions(features: Floats, counts: Floats) -> Floats:
    """The level and the orthogonal directions in which ratings of the log tell most, shape ``(D, F)``."""
    size = features.shape[1]
    weights = counts / max(float(counts.sum()), 1.0)
    rest = features[:, 1:] - weights @ features[:, 1:]
    spread = (rest * weights[:, None]).T @ rest
    vectors = np.linalg.eigh(spread)[1][:, ::-1][:, : _FOLDED - 1]
    # A vector and its opposite are the same direction; the largest entry is positive.
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None, :], axis=0)
    directions = np.zeros((size, 1 + vectors.shape[1]))
    directions[0, 0] = 1.0
    directions[1:, 1:] = vectors * np.where(largest < 0, -1.0, 1.0)
    return directions


def normal_share(scores: Floats) -> Floats:
    """The standard normal distribution function, within .0002 (Page, 1977, doi 10.2307/2346872)."""
    return 0.5 + 0.5 * np.tanh(np.sqrt(2.0 / np.pi) * (scores + 0.044715 * scores**3))


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)
