"""Scales: the rating scale of a log, found from the ratings that are in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

import numpy as np

from emosim_core.errors import ConfigurationError
from emosim_core.model import RatingScale

MAX_LEVELS = 21
"""Levels that a scale has at most unless it is given: answers are distinguished on it, and drawn as bars."""

_DIGITS = 3
"""Decimals of the ratings of a grid; ratings with more are taken as continuous."""


def find_scale(
    counts: Mapping[float, int], ends: tuple[float, float] | None = None, step: float | None = None
) -> tuple[RatingScale, str]:
    """A scale that holds all ratings, and a sentence on how it came about.

    The levels are those of the ratings where they are at most :data:`MAX_LEVELS` evenly spaced ones; else they are the
    finest steps of 1, 2 or 5 (of any power of ten) that make no more levels.

    Args:
        counts: how often each rating stands in the log, at least two ratings.
        ends: the worst and the best rating, where they are given.
        step: what is between two levels, where it is given.

    Raises:
        ConfigurationError: ``ends`` are no whole number of steps apart.
    """
    values = sorted(counts)
    low, high = ends or (values[0], values[-1])
    seen = f"{len(values):,} different ratings, {values[0]:g} to {values[-1]:g}"
    exact = _spacing([low, *values, high])
    if step is None and exact and round((high - low) / exact) < MAX_LEVELS:
        step = exact
        if ends is None and step == 1 and high in (5, 10) and 1 < low <= high / 2:
            return _scale(1.0, high, step), f"{seen}; 1 is taken as the worst, though nobody gave it"
        return _scale(low, high, step), seen
    if step is None:
        step = _nice(low, high, ends is not None)
        seen += f"; simulated users answer in steps of {step:g}, the ratings of the log stay as they are"
    if ends is None:
        low, high = math.floor(round(low / step, 9)) * step, math.ceil(round(high / step, 9)) * step
        low -= step if low > values[0] else 0.0
        high += step if high < values[-1] else 0.0
    return _scale(low, high, step), seen


def shares(counts: Mapping[float, int], scale: RatingScale) -> list[float]:
    """How often each level of a scale is the nearest to a rating, shares that sum to 1, of at most 6 digits."""
    places = np.rint((scale.round(np.array(list(counts))) - scale.low) / scale.step).astype(int)
    weights = np.bincount(places, np.array(list(counts.values()), dtype=np.float64), len(scale.levels))
    return [round(share, 6) for share in (weights / weights.sum()).tolist()]


def _spacing(values: list[float]) -> float | None:
    """The greatest step that all values are multiples of from the first on; None where it is too small to be one."""
    whole = [Decimal(repr(value)).scaleb(_DIGITS) for value in values]
    if any(value != value.to_integral_value() for value in whole):
        return None
    least = min(whole)
    return math.gcd(*(int(value - least) for value in whole)) / 10**_DIGITS


def _nice(low: float, high: float, fixed: bool) -> float:
    """The finest step of 1, 2 or 5 that makes few enough levels, ends of the scale on multiples unless ``fixed``."""
    power = math.floor(math.log10((high - low) / MAX_LEVELS)) - 1
    for number in range(9):
        step = float(Decimal((1, 2, 5)[number % 3]).scaleb(power + number // 3))
        if fixed and abs((high - low) / step - round((high - low) / step)) > 1e-9:
            continue
        if math.ceil(round(high / step, 9)) - math.floor(round(low / step, 9)) < MAX_LEVELS:
            return step
    return (high - low) / (MAX_LEVELS - 1)


def _scale(low: float, high: float, step: float) -> RatingScale:
    low, high, step = (float(round(value, 9)) + 0.0 for value in (low, high, step))
    if abs((high - low) / step - round((high - low) / step)) > 1e-9:
        raise ConfigurationError(f"{low:g} to {high:g} is no whole number of steps of {step:g}; choose another --step")
    return RatingScale(low=low, high=high, step=step)
