"""Intervals: how far an estimate may be off, by Wilson's formula or by drawing clusters again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""How sure the intervals are."""

RESAMPLES = 2000
"""How often the bootstrap draws."""

_SEED = 20_241_124
"""Makes the draws of the bootstrap the same every time, so that the same records give the same interval."""

_AT_ONCE = 2_000_000
"""Draws that are held in memory at the same time."""

Value = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def wilson(successes: float, answered: float) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson, 1927, doi 10.1080/01621459.1927.10502953).

    Args:
        successes: how many succeeded.
        answered: of how many, independent of each other; at least 1.

    Returns:
        Lower and upper end, in [0, 1].
    """
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, doubt = successes / answered, z * z / answered
    middle = (share + doubt / 2) / (1 + doubt)
    half = z / (1 + doubt) * np.sqrt(share * (1 - share) / answered + doubt / (4 * answered))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def bootstrap(sums: NDArray[np.float64], value: Value, reflect: bool = False) -> tuple[float, float]:
    """The percentile interval of a value over clusters that are drawn again with replacement (Efron, 1979).

    Args:
        sums: what each cluster adds, shape ``(clusters, d)``.
        value: from sums over clusters, shape ``(..., d)``, to values, shape ``(...)``.
        reflect: take in the interval mirrored at the estimate too ("basic" bootstrap). Drawing again inflates a
            distance, as chance has inflated the estimate already; the mirrored interval takes that off.

    Returns:
        Lower and upper end; NaN where no draw has a value.
    """
    low, high = _percentiles(value(_drawn(sums)))
    if reflect:
        twice = 2 * float(value(sums.sum(axis=0)))
        return max(0.0, min(low, twice - high)), min(1.0, max(high, twice - low))
    return low, high


def bootstrap_difference(
    first: NDArray[np.float64], second: NDArray[np.float64], value: Value, other: Value
) -> tuple[float, float]:
    """The percentile interval of a difference between two ways of answering the same trials.

    Args:
        first: what each cluster adds the one way, shape ``(clusters, d)``.
        second: the same clusters the other way; each draw takes the same clusters of both.
        value: of the first way.
        other: of the second way.
    """
    return _percentiles(value(_drawn(first)) - other(_drawn(second)))


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _drawn(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over clusters drawn with replacement, shape ``(RESAMPLES, d)``."""
    return _weights(len(sums)) @ sums


@lru_cache(maxsize=4)
def _weights(clusters: int) -> NDArray[np.float32]:
    """How often each cluster is drawn, shape ``(RESAMPLES, clusters)``."""
    rng = np.random.default_rng(_SEED)
    weights = np.empty((RESAMPLES, clusters), dtype=np.float32)
    rows = max(1, _AT_ONCE // clusters)
    for start in range(0, RESAMPLES, rows):
        count = min(rows, RESAMPLES - start)
        drawn = rng.integers(0, clusters, (count, clusters)) + np.arange(count)[:, None] * clusters
        weights[start : start + count] = np.bincount(drawn.ravel(), minlength=count * clusters).reshape(count, clusters)
    return weights
