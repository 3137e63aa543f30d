"""Neighbours: recommenders that learn from logs which items, or which users, are alike."""

from __future__ import annotations

import numpy as np

from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.frozen import option
from emosim_core.recommenders.logs import LogOptions
from emosim_core.recommenders.profiles import ProfilePolicy

_CELLS = 4_000_000
"""Similarities that are held at once."""

_NOTHING = 1e-12


class ItemKNNOptions(LogOptions):
    """Options of ``item_knn``."""

    k: int = option(100, "Nearest items that are kept of each item.", ge=1)
    shrinkage: float = option(50.0, "Users in common from which a similarity counts by half.", ge=0)
    damping: float = option(2.0, "Weight of no deviation in the mean over the neighbours.", ge=0)


class UserKNNOptions(LogOptions):
    """Options of ``user_knn``."""

    k: int = option(150, "Nearest users that are asked.", ge=1)
    shrinkage: float = option(20.0, "Items in common from which a similarity counts by half.", ge=0)
    damping: float = option(2.0, "Weight of no deviation in the mean over the neighbours.", ge=0)


class _Baselined(ProfilePolicy):
    """Base of policies that add what neighbours say to a baseline: the mean, what the user adds, what the item adds.

    ``mean + b_u + b_i`` are scikit-surprise's baseline estimates (alternating least squares, Koren, 2010,
    doi 10.1145/1644873.1644874, section 2.1): an item's b_i is its mean deviation, shrunk as if ``PRIOR_ITEM`` more
    ratings had deviated by nothing, a user's b_u the same with ``PRIOR_USER``. An item never logged has b_i = 0.
    """

    deterministic = True

    PRIOR_ITEM = 10.0
    PRIOR_USER = 15.0

    expected: Floats
    """The mean plus b_i of each item, shape ``(N,)``."""

    def fit(self) -> None:
        table, inner = self.trainset()  # which says what to install

        from scipy import sparse
        from surprise import BaselineOnly

        how = {"method": "als", "reg_i": self.PRIOR_ITEM, "reg_u": self.PRIOR_USER, "n_epochs": 10}
        fitted = BaselineOnly(bsl_options=how, verbose=False).fit(table)
        logged = np.flatnonzero(inner >= 0)
        self.expected = np.full(len(self.catalog), float(table.global_mean))
        self.expected[logged] += fitted.bi[inner[logged]]
        users, items, ratings = self.logs.pairs()
        above = ratings - self.expected[items] - fitted.bu[users]
        above[np.abs(above) < 1e-9] = 0.0
        shape = (len(self.logs.user_ids), len(self.catalog))
        self._above, self._squared, self._rated = (
            sparse.csr_array((values, (users, items)), shape=shape) for values in (above, above**2, np.ones(len(items)))
        )
        self._above_by_item, self._squared_by_item, self._rated_by_item = (
            of.T.tocsr() for of in (self._above, self._squared, self._rated)
        )

    def deviations(self, rows: Ints) -> Floats:
        """How far the ratings of the profiles are from their baselines, 0 where not rated; shape ``(R, N)``."""
        rated = self.rated[rows]
        above = np.where(rated, self.ratings[rows] - self.expected, 0.0)
        user = above.sum(axis=1) / (rated.sum(axis=1) + self.PRIOR_USER)
        return np.where(rated, above - user[:, None], 0.0)

    def expected_with(self, total: Floats, weight: Floats) -> Floats:
        """What neighbours of some weight add to the baseline, both of shape ``(R, N)``."""
        return self.expected + np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)


class ItemKNN(_Baselined):
    """Items similar to those that the user rated above expectation.

    The score of an item i is ``mean + b_i + sum s_ij d_j / (sum s_ij + damping)`` over the items j of the profile that
    are among the k nearest of i; d_j is the rating of j minus its baseline, and s_ij the Pearson correlation of the
    logged ratings of i and j around their baselines, times ``(n - 1) / (n - 1 + shrinkage)`` for n users in common
    (Koren, 2010, section 2.2); negative ones count as 0.
    """

    options: ItemKNNOptions

    def fit(self) -> None:
        super().fit()

        from scipy import sparse

        logged, items = np.flatnonzero(np.diff(self._rated_by_item.indptr)), len(self.catalog)
        block = max(1, _CELLS // max(len(logged), 1))
        blocks = [self._nearest(logged[at : at + block]) for at in range(0, len(logged), block)]
        rows, columns, values = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        self._near = sparse.csr_array((values, (rows, columns)), shape=(items, items))

    def _nearest(self, items: Ints) -> tuple[Ints, Ints, Floats]:
        """The similarities of some items to those nearest to them: item, other item and similarity."""
        together = self._rated_by_item[items] @ self._rated
        others = np.unique(together.indices)  # only what somebody rated with one of them can be near
        common = together[:, others].toarray()
        products = (self._above_by_item[items] @ self._above)[:, others].toarray()
        both = (self._squared_by_item[items] @ self._rated)[:, others].toarray()
        both = both * (self._rated_by_item[items] @ self._squared)[:, others].toarray()
        certainty = np.maximum(common - 1.0, 0.0) / np.maximum(common - 1.0 + self.options.shrinkage, 1e-9)
        near = np.where(both > _NOTHING, products / np.sqrt(np.maximum(both, _NOTHING)) * certainty, 0.0)
        near[items[:, None] == others] = 0.0
        near = nearest_only(near, self.options.k)
        item, other = near.nonzero()
        return items[item], others[other], near[item, other]

    def scores(self, rows: Ints) -> Floats:
        total = np.asarray(self._near @ self.deviations(rows).T).T
        weight = np.asarray(self._near @ self.rated[rows].T.astype(np.float64)).T + self.options.damping
        return self.expected_with(total, weight)


class UserKNN(_Baselined):
    """Items that users who rate alike rated above expectation.

    The score of an item i is ``mean + b_i + sum s_v d_vi / (sum s_v + damping)`` over those of the k nearest logged
    users v who rated it; d_vi is their rating minus its baseline, and s_v the correlation of v's deviations with the
    user's on the items that both rated, times ``n / (n + shrinkage)`` for n such items; negative ones count as 0
    (Herlocker, Konstan, Borchers & Riedl, 1999, doi 10.1145/312624.312682).
    """

    options: UserKNNOptions

    def scores(self, rows: Ints) -> Floats:
        near = self.nearness(rows).T
        total = np.asarray(self._above_by_item @ near).T
        weight = np.asarray(self._rated_by_item @ near).T + self.options.damping
        return self.expected_with(total, weight)

    def nearness(self, rows: Ints) -> Floats:
        """How alike the logged users are, 0 for all but the k nearest; shape ``(R, V)``."""
        mine = np.ascontiguousarray(self.deviations(rows).T)
        rated = np.ascontiguousarray(self.rated[rows].T.astype(np.float64))
        common = np.asarray(self._rated @ rated).T
        both = np.asarray(self._squared @ rated).T * np.asarray(self._rated @ mine**2).T
        products = np.asarray(self._above @ mine).T * common / (common + self.options.shrinkage + 1e-9)
        return nearest_only(
            np.where(both > _NOTHING, products / np.sqrt(np.maximum(both, _NOTHING)), 0.0), self.options.k
        )


def nearest_only(near: Floats, k: int) -> Floats:
    """Similarities with 0 in place of negative ones and of all but the ``k`` highest of each row; ties stay in."""
    nearest: Floats = np.maximum(np.round(near, 12), 0.0)
    if k < nearest.shape[1]:
        nearest[nearest < np.partition(nearest, -k, axis=1)[:, -k, None]] = 0.0
    return nearest
