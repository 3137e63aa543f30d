"""Ratings by means, biases, and neighbors among items."""

from __future__ import annotations

import numpy as np

from emosim_core.data.interactions import Interactions
from emosim_core.estimators.interface import DECIMALS, Past, RatingEstimator, item_by_user, rated
from emosim_core.model import Catalog, RatingScale
from emosim_core.model.arrays import Floats, Ints


class UserMean(RatingEstimator):
    """The mean of the user's ratings; the log's for a user without any."""

    name = "user mean"

    def fit(self, log: Interactions, catalog: Catalog, scale: RatingScale) -> None:
        self._mean, self._scale = _mean(log, scale), scale

    def predict(self, past: Past, items: Ints) -> Floats:
        values = rated(past.values)
        mean = float(values.mean()) if len(values) else self._mean
        return np.clip(np.full(len(items), mean), self._scale.low, self._scale.high)


class ItemMean(RatingEstimator):
    """The mean of the item's ratings, as if ``doubt`` more of them were at the mean of the log."""

    name = "item mean"

    def __init__(self, doubt: float = 5.0) -> None:
        self.doubt = doubt

    def fit(self, log: Interactions, catalog: Catalog, scale: RatingScale) -> None:
        self._scale, middle = scale, _mean(log, scale)
        sums = np.bincount(log.items, weights=rated(log.values), minlength=log.item_count)
        counts = np.bincount(log.items, minlength=log.item_count)
        self._means = (sums + self.doubt * middle) / (counts + self.doubt)

    def predict(self, past: Past, items: Ints) -> Floats:
        return self._clipped(self._means[items])

    def _clipped(self, values: Floats) -> Floats:
        return np.clip(np.round(values, DECIMALS), self._scale.low, self._scale.high)


class ItemMeanAndUserBias(ItemMean):
    """The item's mean plus how far the user rates above such means on average.

    These are the baseline estimates of Koren (2010, doi 10.1145/1644873.1644874, section 2.1), with the item's part
    first.

    Args:
        doubt: of an item's mean, see :class:`ItemMean`.
        user_doubt: the user's bias is shrunk as if they had rated so many more items at their means.
    """

    name = "item mean + user bias"

    def __init__(self, doubt: float = 5.0, user_doubt: float = 3.0) -> None:
        super().__init__(doubt)
        self.user_doubt = user_doubt

    def predict(self, past: Past, items: Ints) -> Floats:
        return self._clipped(self._means[items] + self._bias(past))

    def _bias(self, past: Past) -> float:
        return float((rated(past.values) - self._means[past.items]).sum()) / (len(past.items) + self.user_doubt)


class ItemKNN(ItemMeanAndUserBias):
    """Item-based nearest neighbors (Sarwar, Karypis, Konstan & Riedl, 2001, doi 10.1145/371920.372071).

    A rating is ``b_i + b_u + sum s_ij d_j / (sum s_ij + damping)`` over the ``k`` items j of the user that are most
    similar to i; ``b_i + b_u`` is what :class:`ItemMeanAndUserBias` says and d_j how far the rating of j is from it.
    s_ij is the correlation of such distances over the n users who rated both, times ``n / (n + shrinkage)``; negative
    ones count as 0 (Koren, 2010, doi 10.1145/1644873.1644874, section 2.2).
    """

    name = "item kNN"

    def __init__(self, k: int = 40, shrinkage: float = 50.0, damping: float = 1.0) -> None:
        super().__init__()
        self.k, self.shrinkage, self.damping = k, shrinkage, damping

    def fit(self, log: Interactions, catalog: Catalog, scale: RatingScale) -> None:
        super().fit(log, catalog, scale)
        above = rated(log.values) - self._means[log.items]
        sums = np.bincount(log.users, weights=above, minlength=len(log.user_ids))
        counts = np.bincount(log.users, minlength=len(log.user_ids))
        above -= (sums / (counts + self.user_doubt))[log.users]
        self._above, self._squared, self._rated = (item_by_user(log, one) for one in (above, above**2, None))

    def predict(self, past: Past, items: Ints) -> Floats:
        bias, mine = self._bias(past), past.items
        common = (self._rated[items] @ self._rated[mine].T).toarray()
        products = (self._above[items] @ self._above[mine].T).toarray()
        lengths = (self._squared[items] @ self._rated[mine].T).toarray()
        lengths *= (self._rated[items] @ self._squared[mine].T).toarray()
        alike = np.divide(products, np.sqrt(lengths), out=np.zeros_like(products), where=lengths > 1e-12)
        alike = np.maximum(np.round(alike * common / (common + self.shrinkage), DECIMALS), 0.0)
        alike[items[:, None] == mine[None, :]] = 0.0
        if self.k < len(mine):
            alike[alike < np.partition(alike, -self.k, axis=1)[:, -self.k, None]] = 0.0
        away = rated(past.values) - self._means[mine] - bias
        return self._clipped(self._means[items] + bias + alike @ away / (alike.sum(axis=1) + self.damping))


def _mean(log: Interactions, scale: RatingScale) -> float:
    """The mean of a log's ratings; the middle of the scale where it has none."""
    values = rated(log.values)
    return float(values.mean()) if len(values) else (scale.low + scale.high) / 2
