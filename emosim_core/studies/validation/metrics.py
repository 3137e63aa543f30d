"""Measures of a validation, from sums that each user adds, so that intervals draw users again."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from emosim_core.model.arrays import Flags, Floats
from emosim_core.stats import bootstrap, divided, ratio, rounded

Value = Callable[[Floats], Floats]


def root(sums: Floats) -> Floats:
    """The root of the mean square."""
    result: Floats = np.sqrt(ratio(sums))
    return result


def accuracy(sums: Floats) -> Floats:
    """From true positives, false positives, false negatives, true negatives, in this order."""
    return divided(sums[..., 0] + sums[..., 3], sums.sum(axis=-1))


def precision(sums: Floats) -> Floats:
    """As :func:`accuracy`."""
    return divided(sums[..., 0], sums[..., 0] + sums[..., 1])


def recall(sums: Floats) -> Floats:
    """As :func:`accuracy`."""
    return divided(sums[..., 0], sums[..., 0] + sums[..., 2])


def f1(sums: Floats) -> Floats:
    """As :func:`accuracy`."""
    return divided(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def total_variation(sums: Floats) -> Floats:
    """Between the counts of levels in the first half of the sums and in the second; NaN where a half counts none."""
    first, second = _shares(sums)
    result: Floats = np.abs(first - second).sum(axis=-1) / 2
    return result


def _shares(sums: Floats) -> tuple[Floats, Floats]:
    first, second = (divided(half, half.sum(axis=-1, keepdims=True)) for half in np.split(sums, 2, axis=-1))
    return first, second


def wasserstein(step: float) -> Value:
    """Earth mover's distance between counts of levels that are ``step`` apart, as :func:`total_variation`."""

    def value(sums: Floats) -> Floats:
        first, second = _shares(sums)
        result: Floats = step * np.abs(np.cumsum(first - second, axis=-1)).sum(axis=-1)
        return result

    return value


def estimate(sums: Floats, value: Value, most_distance: float = math.inf) -> dict[str, float | None]:
    """A value of sums that each user adds, ``(users, d)``, and its interval over users.

    For a distance, which drawing users again inflates, ``most_distance`` is the largest that there can be.
    """
    low, high = bootstrap(sums, value, reflect=most_distance < math.inf, most=most_distance)
    return {"estimate": rounded(float(value(sums.sum(axis=0)))), "low": rounded(low), "high": rounded(high)}


def mean_of(values: Floats) -> dict[str, float | None]:
    """The mean over users and its interval; NaN is left out."""
    known = values[~np.isnan(values)]
    return estimate(np.column_stack([known, np.ones(len(known))]), ratio)


def area(scores: Floats, chosen: Flags) -> float:
    """Area under the ROC curve: how often what was chosen scores above what was not, ties half (Hanley, 1982)."""
    ones, others = scores[chosen], scores[~chosen]
    if not len(ones) or not len(others):
        return float("nan")
    order = np.sort(others)
    below, upto = np.searchsorted(order, ones, "left"), np.searchsorted(order, ones, "right")
    return float((below + upto).mean() / 2 / len(others))


def threshold(scores: Floats, chosen: Flags) -> float:
    """From which score on as many are called chosen as were."""
    return float(np.quantile(scores, 1.0 - chosen.mean(), method="higher"))


def confusion(predicted: Flags, chosen: Flags) -> Floats:
    """True positives, false positives, false negatives, true negatives."""
    four = (predicted & chosen, predicted & ~chosen, ~predicted & chosen, ~predicted & ~chosen)
    return np.array([one.sum() for one in four], dtype=np.float64)


def levels_of(values: Floats, levels: Floats) -> Floats:
    """How often each level occurs; values count as the nearest level, NaN as none."""
    known = values[~np.isnan(values)]
    steps = (levels[:-1] + levels[1:]) / 2
    return np.bincount(np.searchsorted(steps, known, "right"), minlength=len(levels)).astype(np.float64)


AGREEMENT = (accuracy, precision, recall, f1)
"""What confusions come to."""
