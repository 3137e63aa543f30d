"""Intervals: how far a metric would move with other users. Wilson's for shares, and the bootstrap over clusters.

And power: the smallest difference that some users can show, and how many users a difference needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Value = Callable[[Floats], Floats]
Seed = int | tuple[int, ...]

LEVEL = 0.95
"""How sure the intervals are."""

POWER = 0.8
"""How often a test is to show a difference that there is."""

FEWEST = 8
"""Users below which nothing is said of power: the smallest difference would be wrong by more than a fiftieth."""

RESAMPLES = 2000
"""How often the bootstrap draws."""

CRITICAL = NormalDist().inv_cdf((1 + LEVEL) / 2)
"""Standard errors from an estimate to each end of its interval, where it is normal."""

_DETECTED = CRITICAL + NormalDist().inv_cdf(POWER)
"""A difference over its standard error which a two-sided test at the level shows with the power."""

_SEED = 20_241_124
"""Makes the draws of the bootstrap the same every time, so that the same records give the same interval."""

_AT_ONCE = 2_000_000
"""Draws of a block: 16 MB."""

_MOST_CACHED = 4_000_000
"""Most draws that are kept for the next metric over as many clusters: 16 MB."""


def wilson(count: ArrayLike, total: float) -> tuple[Floats, Floats]:
    """Wilson's score interval of a share (Wilson, 1927, doi 10.1080/01621459.1927.10502953).

    ``count`` succeeded, of any shape, of ``total``, at least 1, independent of each other. Returns lower and upper
    ends, in [0, 1], shape as ``count``.
    """
    z = CRITICAL
    share, doubt = np.asarray(count, dtype=np.float64) / total, z * z / total
    middle = (share + doubt / 2) / (1 + doubt)
    half = z / (1 + doubt) * np.sqrt(share * (1 - share) / total + doubt / (4 * total))
    # At the ends of the range the last digits of the formula may leave the share outside.
    return np.clip(middle - half, 0.0, share), np.clip(middle + half, share, 1.0)


def weights(clusters: int, resamples: int, seed: Seed) -> Iterator[Floats]:
    """How often each of ``clusters`` is drawn in each resample, in blocks of the shape ``(B, clusters)``."""
    rng = np.random.default_rng(seed)
    block = max(1, _AT_ONCE // max(clusters, 1))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(clusters, size=(rows, clusters)) + clusters * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters).astype(np.float64)


@lru_cache(maxsize=4)
def _cached_weights(clusters: int, resamples: int, seed: Seed) -> tuple[NDArray[np.floating], ...]:
    return tuple(block.astype(np.float32) for block in weights(clusters, resamples, seed))


def redrawn(value: Value, clusters: int, resamples: int = RESAMPLES, seed: Seed = _SEED) -> Floats:
    """Values over clusters that are drawn again with replacement (Efron, 1979, doi 10.1214/aos/1176344552).

    ``value`` is from how often each of at least one cluster is drawn, ``(B, clusters)``, to values ``(B, ...)``; the
    same seed draws the same of as many clusters. Shape ``(resamples, ...)``.
    """
    few = clusters * resamples <= _MOST_CACHED
    blocks: Iterable[Any] = (_cached_weights if few else weights)(clusters, resamples, seed)
    return np.concatenate([value(block) for block in blocks])


def resampled(sums: Floats, resamples: int = RESAMPLES, seed: Seed = _SEED) -> Floats:
    """Sums over clusters that are drawn again, as :func:`redrawn`; from ``(clusters, d)`` to ``(resamples, d)``."""
    return redrawn(lambda drawn: drawn @ sums, len(sums), resamples, seed)


def percentiles(values: Floats) -> tuple[Floats, Floats]:
    """Both ends of the percentile interval of each column of ``(resamples, ...)``, NaN left out; shape ``(...)``."""
    known = ~np.isnan(values).all(axis=0)  # also where there are no rows
    ends = np.full((2, *values.shape[1:]), np.nan)
    if known.any():
        ends[:, known] = np.nanquantile(values[:, known], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return ends[0], ends[1]


def bootstrap(sums: Floats, value: Value, reflect: bool = False, most: float = math.inf) -> tuple[float, float]:
    """Both ends of the percentile interval of a value over clusters drawn again; NaN where no draw has a value.

    Args:
        sums: what each cluster adds, shape ``(clusters, d)``.
        value: from sums over clusters, shape ``(..., d)``, to values, shape ``(...)``.
        reflect: take in the interval mirrored at the estimate too ("basic" bootstrap). Drawing again inflates a
            distance, as chance has inflated the estimate already; the mirrored interval takes that off, and holds the
            estimate.
        most: the largest distance there can be, in the unit of the value; mirrored ends stay within 0 and this.
    """
    if not len(sums):
        return math.nan, math.nan
    low, high = (float(end) for end in percentiles(value(resampled(sums))))
    twice = 2 * float(value(sums.sum(axis=0)))
    if reflect and not math.isnan(low + twice):
        return max(0.0, min(low, twice - high)), min(most, max(high, twice - low))
    return low, high


def bootstrap_difference(first: Floats, second: Floats, value: Value, other: Value) -> tuple[float, float]:
    """The percentile interval of ``value`` of ``first`` minus ``other`` of ``second``.

    Both hold what the same clusters add, shape ``(clusters, d)``; each draw takes the same clusters of both.
    """
    low, high = percentiles(value(resampled(first)) - other(resampled(second)))
    return float(low), float(high)


def rounded(value: float) -> float | None:
    """A value as files hold it: to six decimals, None for NaN."""
    return None if value != value else round(float(value), 6)


def divided(over: ArrayLike, under: ArrayLike) -> Floats:
    """``over / under``, NaN where ``under`` is 0."""
    top, bottom = np.asarray(over, dtype=np.float64), np.asarray(under, dtype=np.float64)
    return np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, np.nan), where=bottom != 0)


def ratio(sums: Floats) -> Floats:
    """The first of sums of the shape ``(..., 2)`` over the second; NaN where that is 0."""
    return divided(sums[..., 0], sums[..., 1])


def resampled_ratios(totals: ArrayLike, counts: ArrayLike, resamples: int = RESAMPLES, seed: Seed = _SEED) -> Floats:
    """Ratios of sums over users who are drawn with replacement, shape ``(resamples, measures)``.

    ``totals`` are sums of what is measured and ``counts`` how many values each is of, per user, ``(users, measures)``.
    NaN where nothing was counted, and where fewer than two users were, which says nothing about other users.
    """
    over, under = np.asarray(totals, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    few = (under > 0).sum(axis=0) < 2
    if few.all():
        return np.full((resamples, over.shape[1]), np.nan)
    drawn = resampled(np.hstack([over, under]), resamples, seed)
    return np.where(few, np.nan, divided(*np.split(drawn, 2, axis=1)))


def bootstrap_ratios(totals: ArrayLike, counts: ArrayLike) -> tuple[Floats, Floats]:
    """Intervals of ratios of sums over users: both ends of what :func:`resampled_ratios` draws."""
    return percentiles(resampled_ratios(totals, counts))


def smallest_difference(variance: ArrayLike, users: int) -> Floats:
    """Smallest mean of paired differences that ``users`` show: two-sided at 5 %, with a power of 80 %.

    ``variance`` is that of the differences between users, of any shape, which the result has; NaN for fewer than
    :data:`FEWEST` users. ``(z_.975 + z_.8) sqrt(variance / (users - z_.975**2 / 2))``: the normal formula with the
    correction for the t test of Guenther, 1981, The American Statistician 35(4), 243-244.
    """
    left = users - CRITICAL**2 / 2 if users >= FEWEST else math.nan
    return _DETECTED * np.sqrt(np.asarray(variance, dtype=np.float64) / left)


def users_of_a_test(variances: float, difference: float) -> int | None:
    """Users in each of two independent groups that show a difference: two-sided at 5 %, with a power of 80 %.

    ``variances`` is the sum of the variances between users in the two groups. None where the difference is 0 or no
    number; a result below ten may be one too few. ``(z_.975 + z_.8)**2 variances / difference**2 + z_.975**2 / 4``,
    source as of :func:`smallest_difference`.
    """
    if not difference or not math.isfinite(difference) or not math.isfinite(variances):
        return None
    return max(2, math.ceil(_DETECTED**2 * variances / difference**2 + CRITICAL**2 / 4))


def influences(totals: ArrayLike, counts: ArrayLike) -> Floats:
    """How far each user moves a ratio of sums over users, times the number of users; shape as of both arguments.

    The variance between users of the result, over their number, is that of the ratio, by the delta method (Deng,
    Knoblich and Lu, 2018, doi 10.1145/3219819.3219919). ``totals`` and ``counts`` are sums of each user, ``(users,
    ratios)``.
    """
    over, under = np.asarray(totals, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    return divided(over - divided(over.sum(axis=0), under.sum(axis=0)) * under, under.mean(axis=0))
