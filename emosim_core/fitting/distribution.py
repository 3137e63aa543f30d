"""The distribution of what is known of users, from which new ones are drawn: a Gaussian copula."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from emosim_core.model.arrays import Floats, Ints

KNOTS = np.linspace(-2.6, 2.6, 53)
"""Normal scores at which the quantiles of each column are kept; what lies beyond is cut to the outermost."""

_FACTORS = 48
"""Most factors of the correlations; what these leave of a column is drawn by itself."""

_MOST_USERS = 20_000
"""Users whose values and correlations are learned, at most."""

_AT_ONCE = 1024
"""Users who are drawn at once."""


class Distribution:
    """U users by D columns, of which each has the quantiles of its values, and all the correlations of their ranks.

    With z the normal scores of the ranks, ``z = loadings' f + residual e``, f and e standard normal; the loadings are
    the first principal components. A drawn value is the quantile of the column at the drawn z.

    Args:
        quantiles: of each column at :data:`KNOTS`, shape ``(knots, D)``.
        loadings: shape ``(K, D)``.
    """

    def __init__(self, quantiles: Floats, loadings: Floats) -> None:
        self.quantiles, self.loadings = quantiles, loadings
        self._residual = np.sqrt(np.clip(1.0 - (loadings**2).sum(axis=0), 0.0, 1.0))

    @classmethod
    def of(cls, table: Floats) -> Distribution:
        """The distribution of the rows of a table, shape ``(U, D)``; of many, those of 20,000, evenly spread."""
        table = table[np.unique(np.linspace(0, len(table) - 1, min(len(table), _MOST_USERS)).astype(np.intp))]
        count, normal = len(table), NormalDist()
        scores = np.array([normal.inv_cdf((place + 0.5) / count) for place in range(count)])
        z = np.empty(table.shape)
        np.put_along_axis(z, np.argsort(table, axis=0, kind="stable"), scores[:, None], axis=0)
        z[:, np.ptp(table, axis=0) == 0] = 0.0
        z /= max(float(scores.std()), 1e-9)
        sizes, vectors = np.linalg.eigh(z.T @ z / count)
        some = np.argsort(-sizes, kind="stable")[: min(_FACTORS, count - 1, len(sizes))]
        loadings = np.sqrt(np.maximum(sizes[some], 0.0))[:, None] * vectors[:, some].T
        loadings *= np.sign(loadings[np.arange(len(some)), np.abs(loadings).argmax(axis=1)])[:, None]
        loadings = np.round(loadings, 5)
        shares = [normal.cdf(knot) for knot in KNOTS.tolist()]
        return cls(np.quantile(table, shares, axis=0, method="hazen"), loadings)

    def sample(self, seed: int, numbers: Ints, columns: slice = slice(None)) -> NDArray[np.float32]:
        """Values of the users with these numbers among all that can be drawn with a seed, shape ``(n, columns)``.

        A user's values depend on the seed and the number alone.
        """
        first, end, _ = columns.indices(self.loadings.shape[1])
        made = np.empty((len(numbers), end - first), dtype=np.float32)
        factors = len(self.loadings)
        for at in range(0, len(numbers), _AT_ONCE):
            some = numbers[at : at + _AT_ONCE].tolist()
            drawn = np.array([np.random.default_rng([seed, one]).standard_normal(factors + end) for one in some])
            # A sum in one order for any number of users, and of whatever threads.
            z = drawn[:, factors + first :] * self._residual[first:end]
            for factor in range(factors):
                z += np.multiply.outer(drawn[:, factor], self.loadings[factor, first:end])
            place = np.clip((z - KNOTS[0]) / (KNOTS[1] - KNOTS[0]), 0.0, len(KNOTS) - 1.0)
            below = np.minimum(place.astype(np.intp), len(KNOTS) - 2)
            column = np.arange(first, end)
            low, high = self.quantiles[below, column], self.quantiles[below + 1, column]
            made[at : at + _AT_ONCE] = low + (place - below) * (high - low)
        return made

    def arrays(self) -> dict[str, NDArray]:
        """What is saved."""
        return {"quantiles": self.quantiles, "loadings": self.loadings}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray]) -> Distribution:
        """The distribution whose :meth:`arrays` these are."""
        return cls(arrays["quantiles"].astype(np.float64), arrays["loadings"].astype(np.float64))
