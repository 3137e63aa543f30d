"""The distribution of what is known of users, from which new ones are drawn: a Gaussian copula."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from emosim_core.model.arrays import Floats, Ints

_KNOTS = np.linspace(-2.6, 2.6, 53)
"""Normal scores at which the quantiles of each column are kept; what lies beyond is cut to the outermost."""

_FACTORS = 48
"""Most factors of the correlations; what these leave of a column is drawn by itself."""

_TOGETHER = 4096
"""Users who are drawn from one stream, so that any of them can be drawn again without all others."""

_SPAN = 512
"""Columns whose noise is drawn from one stream."""


class Distribution:
    """U users by D columns, of which each has the quantiles of its values, and all the correlations of their ranks.

    With z the normal scores of the ranks, ``z = loadings' f + residual e``, f and e standard normal; the loadings are
    the first principal components. A drawn value is the quantile of the column at the drawn z.

    Args:
        quantiles: of each column at :data:`_KNOTS`, shape ``(knots, D)``.
        loadings: shape ``(K, D)``.
    """

    def __init__(self, quantiles: Floats, loadings: Floats) -> None:
        self.quantiles, self.loadings = quantiles, loadings
        self._residual = np.sqrt(np.clip(1.0 - (loadings**2).sum(axis=0), 0.0, 1.0))

    @classmethod
    def of(cls, table: Floats) -> Distribution:
        """The distribution of the rows of a table, shape ``(U, D)``."""
        count, normal = len(table), NormalDist()
        scores = np.array([normal.inv_cdf((place + 0.5) / count) for place in range(count)])
        z = np.empty(table.shape)
        np.put_along_axis(z, np.argsort(table, axis=0, kind="stable"), scores[:, None], axis=0)
        z[:, np.ptp(table, axis=0) == 0] = 0.0
        z /= max(float(scores.std()), 1e-9)
        _, sizes, right = np.linalg.svd(z / np.sqrt(count), full_matrices=False)
        some = min(_FACTORS, len(sizes))
        loadings = np.round(sizes[:some, None] * right[:some], 6)
        shares = [normal.cdf(knot) for knot in _KNOTS.tolist()]
        return cls(np.quantile(table, shares, axis=0), loadings)

    def sample(self, seed: int, numbers: Ints, columns: slice = slice(None)) -> NDArray[np.float32]:
        """Values of the users with these numbers among all that can be drawn with a seed, shape ``(n, columns)``.

        A user's values depend on the seed and the number alone.
        """
        first, end, _ = columns.indices(self.loadings.shape[1])
        made = np.empty((len(numbers), end - first), dtype=np.float32)
        blocks, rows = np.divmod(numbers, _TOGETHER)
        for block in np.unique(blocks).tolist():
            mine = np.flatnonzero(blocks == block)
            factors = np.random.default_rng([seed, block, 0]).standard_normal((_TOGETHER, len(self.loadings)))
            factors = factors[rows[mine]]
            for span in range(first // _SPAN, (end - 1) // _SPAN + 1):
                low, high = max(first, span * _SPAN), min(end, (span + 1) * _SPAN)
                own = np.random.default_rng([seed, block, 1 + span]).standard_normal((_SPAN, _TOGETHER), np.float32)
                z = np.round(self.loadings[:, low:high].T @ factors.T, 9)
                for column in range(low, high):
                    noise = own[column - span * _SPAN, rows[mine]] * self._residual[column]
                    values = np.interp(z[column - low] + noise, _KNOTS, self.quantiles[:, column])
                    made[mine, column - first] = values
        return made

    def arrays(self) -> dict[str, NDArray]:
        """What is saved."""
        return {"quantiles": self.quantiles, "loadings": self.loadings}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray]) -> Distribution:
        """What :meth:`arrays` told."""
        return cls(arrays["quantiles"].astype(np.float64), arrays["loadings"].astype(np.float64))
