"""How users rate: biases and shrunken factors, and the noise of each user."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emosim_core.data.interactions import Interactions
from emosim_core.estimators.interface import DECIMALS, Past, item_by_user, rated
from emosim_core.model import Catalog, History, RatingScale
from emosim_core.model.arrays import Floats, Ints

_FACTORS, _ITEM_DOUBT, _USER_DOUBT, _TASTE_DOUBT, _NOISE_DOUBT = 12, 5.0, 3.0, 12.0, 8.0
"""Factors of an item, and ratings that each estimate is shrunk by."""


class RatingModel:
    """A rating is ``b_i + b_u + q_i . p_u``, and what a user answers is drawn around it with their own noise.

    b_i is the shrunken mean of an item, q_i left singular vectors of what the means leave. A state is m, the sums of d,
    d squared, d q and q over what the user rated, d being how far above b_i they rated; from these come b_u, p_u and
    the noise. A new item has the mean b and q of its categories.
    """

    def __init__(self, scale: RatingScale, base: Floats, factors: Floats, rated_items: Floats, noise: float) -> None:
        self.scale, self.base, self.factors, self.rated, self.noise = scale, base, factors, rated_items, noise

    @classmethod
    def fit(cls, log: Interactions, catalog: Catalog, scale: RatingScale, seed: int) -> RatingModel:
        """Learn from all of ``log``; a ConfigurationError where it has no ratings."""
        from scipy.sparse.linalg import svds

        values = rated(log.values)
        counts = np.bincount(log.items, minlength=log.item_count).astype(np.float64)
        mean = float(values.mean()) if len(values) else (scale.low + scale.high) / 2
        base = (np.bincount(log.items, values, log.item_count) + _ITEM_DOUBT * mean) / (counts + _ITEM_DOUBT)
        apart = values - base[log.items]
        of_user = np.bincount(log.users, minlength=len(log.user_ids))
        bias = np.bincount(log.users, apart, len(log.user_ids)) / (of_user + _USER_DOUBT)
        left_over = apart - bias[log.users]
        factors = np.zeros((log.item_count, _FACTORS))
        matrix = item_by_user(log, left_over)
        rank = min(_FACTORS, min(matrix.shape) - 1)
        if rank >= 1 and np.any(left_over):
            start = np.random.default_rng(seed).random(min(matrix.shape))
            shrunk = matrix.multiply(1.0 / np.sqrt(counts + _ITEM_DOUBT)[:, None]).tocsr()
            left, sizes, _ = svds(shrunk, k=rank, v0=start)
            left = left * sizes / np.sqrt(counts + _ITEM_DOUBT)[:, None]
            left *= np.sign(left[np.abs(left).argmax(axis=0), np.arange(rank)])
            spread = np.sqrt((left[log.items] ** 2).mean(axis=0)) + 1e-9
            factors[:, :rank] = left / spread * 0.35
        noise = float(np.sqrt(np.mean(left_over**2))) if len(values) else scale.span / 6
        model = cls(scale, base, np.round(factors, 7), (counts > 0).astype(np.float64), round(max(noise, 1e-3), 7))
        return model._with_content(catalog)

    def _with_content(self, catalog: Catalog) -> RatingModel:
        flags = catalog.categories.astype(np.float64)
        flags /= np.maximum(flags.sum(axis=1, keepdims=True), 1.0)
        weight = flags * self.rated[:, None]
        of_category = weight.T / np.maximum(weight.sum(axis=0), 1e-9)[:, None]
        new = self.rated == 0
        usual = float(self.base[~new].mean()) if not new.all() else (self.scale.low + self.scale.high) / 2
        missing = 1.0 - flags @ (weight.sum(axis=0) > 0)
        self.base[new] = (flags @ (of_category @ self.base) + missing * usual)[new]
        self.factors[new] = (flags @ (of_category @ self.factors))[new]
        return self

    def states(self, log: Interactions) -> Floats:
        """What the past of each user of ``log.user_ids`` says, shape ``(U, E)``."""
        states = np.zeros((len(log.user_ids), 3 + 2 * self.factors.shape[1]))
        np.add.at(states, log.users, self._parts(log.items, rated(log.values)))
        return states

    def state(self, past: Past) -> Floats:
        """The same of one past, shape ``(E,)``."""
        parts = self._parts(past.items, rated(past.values))
        return np.asarray(parts.sum(axis=0))

    def _parts(self, items: Ints, values: Floats) -> Floats:
        """What each rating adds to a state, the shape of ``items`` and one more axis."""
        apart, q = values - self.base[items], self.factors[items]
        head = np.stack([np.ones_like(apart), apart, apart**2], axis=-1)
        return np.concatenate([head, apart[..., None] * q, q], axis=-1)

    def _now(self, states: Floats, history: History) -> Floats:
        """States with what happened since."""
        if not history.width:
            return states
        used = np.arange(history.width) < history.lengths[:, None]
        ratings = np.where(used, history.ratings, 0.0)
        return states + np.einsum("rw,rwe->re", used, self._parts(history.items, ratings))

    def expected(self, items: Ints, states: Floats, history: History) -> Floats:
        """What each of R users rates each of S items on average, shape ``(R, S)``, on the scale and clipped to it."""
        now, k = self._now(states, history), self.factors.shape[1]
        bias = now[:, 1] / (now[:, 0] + _USER_DOUBT)
        taste = (now[:, 3 : 3 + k] - bias[:, None] * now[:, 3 + k :]) / (now[:, 0] + _TASTE_DOUBT)[:, None] / 0.35**2
        expected = self.base[items] + bias[:, None] + np.einsum("rsk,rk->rs", self.factors[items], taste)
        return np.clip(np.round(expected, DECIMALS), self.scale.low, self.scale.high)

    def draw(self, expected: Floats, states: Floats, history: History, normal: Floats) -> Floats:
        """Single answers, levels of the scale, of the shape of ``expected``.

        Args:
            expected: what each user rates on average in this situation, shape ``(R, S)``.
            normal: standard normal draws, shape ``(R, S)``.
        """
        return self.scale.round(expected + normal * self.spread(states, history)[:, None])

    def spread(self, states: Floats, history: History) -> Floats:
        """Standard deviation of each user's answers, shape ``(R,)``."""
        now = self._now(states, history)
        bias = now[:, 1] / (now[:, 0] + _USER_DOUBT)
        squares = np.maximum(now[:, 2] - 2 * bias * now[:, 1] + now[:, 0] * bias**2, 0.0)
        return np.sqrt((squares + _NOISE_DOUBT * self.noise**2) / (now[:, 0] + _NOISE_DOUBT))

    def arrays(self) -> dict[str, NDArray]:
        """What is saved."""
        scale = np.array([self.scale.low, self.scale.high, self.scale.step, self.noise])
        return {"base": self.base, "factors": self.factors, "scale": scale}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray], known: Ints, catalog: Catalog) -> RatingModel:
        """The model for the items of a catalog.

        Args:
            known: by item of the fitted model its index in the catalog, -1 where that lacks it.
        """
        low, high, step, noise = arrays["scale"].tolist()
        here = known >= 0
        base, there = np.zeros(len(catalog)), np.zeros(len(catalog))
        factors = np.zeros((len(catalog), arrays["factors"].shape[1]))
        base[known[here]], factors[known[here]] = arrays["base"][here], arrays["factors"][here]
        there[known[here]] = 1.0
        scale = RatingScale(low=low, high=high, step=step)
        return cls(scale, base, factors, there, noise)._with_content(catalog)
