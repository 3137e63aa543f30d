"""Intervals: how far a figure would move with other people. Bootstrap over people, and Wilson's for shares."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2000
"""Resamples of a bootstrap."""

_AT_ONCE = 2_000_000
"""Numbers of a block of weights: 16 MB."""


def weights(count: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each of ``count`` people is drawn in each resample, in blocks of shape ``(rows, count)``."""
    rng = np.random.default_rng(seed)
    rows = max(1, _AT_ONCE // max(count, 1))
    for start in range(0, resamples, rows):
        yield rng.multinomial(count, np.full(count, 1.0 / count), min(rows, resamples - start)).astype(np.float64)


def resampled(totals: ArrayLike, counts: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Ratios of sums over people who are drawn with replacement (Efron and Tibshirani 1993, chapter 6).

    Args:
        totals: sum of what is measured, per person; shape ``(people, measures)``.
        counts: how many values each sum is of; shape as ``totals``.
        resamples: how often to draw.
        seed: decides who is drawn; the same seed draws the same people.

    Returns:
        The mean of each measure in each resample, shape ``(resamples, measures)``; NaN where nothing was counted.
    """
    over, under = np.asarray(totals, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    blocks = [
        divided(block @ over, block @ under) for block in (weights(len(over), resamples, seed) if len(over) else ())
    ]
    return np.concatenate(blocks) if blocks else np.full((resamples, over.shape[1]), np.nan)


def divided(over: ArrayLike, under: ArrayLike) -> Floats:
    """``over / under``, NaN where ``under`` is 0."""
    top, bottom = np.asarray(over, dtype=np.float64), np.asarray(under, dtype=np.float64)
    return np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, np.nan), where=bottom != 0)


def middle_95(samples: Floats) -> tuple[Floats, Floats]:
    """2.5 % and 97.5 % points of each column, shape ``(measures,)``; resamples without a value are left out."""
    empty = np.isnan(samples).all(axis=0)
    filled = np.where(empty, 0.0, samples)
    low, high = np.nanpercentile(filled, [2.5, 97.5], axis=0)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def bootstrap(totals: ArrayLike, counts: ArrayLike, seed: int = 0) -> tuple[Floats, Floats]:
    """95 % intervals of ratios of sums over people; arguments as of :func:`resampled`.

    Returns:
        The lower and the upper ends, shape ``(measures,)``; NaN where fewer than two people were counted, which
        says nothing about other people.
    """
    under = np.asarray(counts, dtype=np.float64)
    low, high = middle_95(resampled(totals, under, seed=seed))
    few = (under > 0).sum(axis=0) < 2
    return np.where(few, np.nan, low), np.where(few, np.nan, high)


def wilson(count: ArrayLike, total: float) -> tuple[Floats, Floats]:
    """Wilson's 95 % interval of ``count / total`` (Wilson 1927).

    Args:
        count: how many of ``total``, any shape.
        total: of how many, at least 1.
    """
    z = 1.959963984540054
    share = np.asarray(count, dtype=np.float64) / total
    centre = share + z * z / (2 * total)
    spread = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    low = (centre - spread) / (1 + z * z / total)
    return np.maximum(low, 0.0), np.minimum((centre + spread) / (1 + z * z / total), 1.0)
