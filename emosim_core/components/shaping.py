"""Reward shapings: from ratings to rewards, and when a user has had enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emosim_core.components.base import BeginRequest, Draws, RewardShaping, ShapingRequest, ShapingSetting
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.frozen import Frozen, option

if TYPE_CHECKING:
    from emosim_core.kernels.compiled import Kernels


class RepeatOptions(Frozen):
    """Options of the shapings that a repeat wears off in."""

    q: float = option(0.1, "Base of q ** (times consumed / interactions since the last time).", gt=0, le=1)


class ChurnOptions(Frozen):
    """Options of ``churn_satisfaction``."""

    alpha: float = option(0.2, "Weight of the newest rating in the moving average.", gt=0, le=1)
    threshold: float = option(4.0, "Rating of 10 up to which an item disappoints.", ge=1, le=10)
    low_streak: int = option(2, "Disappointments in a row after which the user leaves.", ge=1)
    min_steps: int = option(5, "First step of an episode at which the user may leave.", ge=1)
    rate: float = option(0.3, "Hazard per rating point of 10 below the threshold.", ge=0)
    recovery: float = option(
        0.0,
        "Share by which two good ratings in a row lower the chance of leaving (EmoSim-RL subtracts).",
        ge=0,
        le=1,
    )
    use_traits: bool = option(
        True, "Whether activity scales tolerance: elusive users leave earlier, enthusiasts later."
    )


class Identity(RewardShaping):
    """The reward is the rating."""

    end_reasons: tuple[str, ...] = ()

    def shape_batch(self, request: ShapingRequest, draws: Draws) -> tuple[Floats, Ints]:
        return request.ratings, np.zeros(len(request.ratings), dtype=np.intp)


class _Repeats(RewardShaping):
    """Base of the shapings that act on repeats only."""

    end_reasons: tuple[str, ...] = ()

    def __init__(self, options: RepeatOptions) -> None:
        self.q = options.q

    def _worn(self, request: ShapingRequest) -> Floats:
        return np.power(self.q, request.times / np.maximum(request.since, 1))


class ExpDecayTime(_Repeats):
    """A repeat is worth ``rating * q ** (n / since)``, floored to the scale."""

    def shape_batch(self, request: ShapingRequest, draws: Draws) -> tuple[Floats, Ints]:
        faded = request.scale.floor(request.ratings * self._worn(request))
        rewards = np.where(request.times > 1, faded, request.ratings)
        return rewards, np.zeros(len(rewards), dtype=np.intp)


class RandomWatch(_Repeats):
    """A repeat is consumed again with probability ``q ** (n / since)``, else it is worth nothing."""

    def shape_batch(self, request: ShapingRequest, draws: Draws) -> tuple[Floats, Ints]:
        again = draws.uniform(request.ratings.shape[1]) < self._worn(request)
        rewards = np.where((request.times > 1) & ~again, 0.0, request.ratings)
        return rewards, np.zeros(len(rewards), dtype=np.intp)


class SameItemTerminate(RewardShaping):
    """A repeat is worth nothing and ends the episode."""

    end_reasons: tuple[str, ...] = ("repeat",)

    def shape_batch(self, request: ShapingRequest, draws: Draws) -> tuple[Floats, Ints]:
        repeat = request.consumed & (request.times > 1)
        return np.where(repeat, 0.0, request.ratings), np.asarray(repeat.any(axis=1), dtype=np.intp)


class ChurnSatisfaction(RewardShaping):
    """The user leaves when recommendations keep disappointing (EmoSim-RL).

    A moving average s of the ratings and a count of disappointments in a row (ratings up to the
    threshold) are kept per episode; s starts at the first rating. From ``min_steps`` on the episode ends when the
    count reaches ``low_streak``, else with probability ``1 - exp(-rate * max(0, threshold - s))``,
    with ratings counted in points of 10. Rewards are the ratings.

    With ``use_traits``, activity scales tolerance: level 1 leaves one disappointment earlier and at
    twice the rate, level 3 one later and at half the rate.
    """

    end_reasons: tuple[str, ...] = ("low_streak", "dissatisfied")
    kernels: Kernels | None = None
    """Compiled loops, set by an engine; None for NumPy."""

    def __init__(self, options: ChurnOptions) -> None:
        self.options = options
        offset, factor = ([-1, 0, 1], [2.0, 1.0, 0.5]) if options.use_traits else ([0] * 3, [1.0] * 3)
        self._streak_limit = np.maximum(options.low_streak + np.array([0, *offset]), 1)
        self._rate = options.rate * np.array([1.0, *factor])

    def start(self, setting: ShapingSetting) -> None:
        batch_size = setting.batch_size
        self._satisfaction = np.full(batch_size, np.nan)
        self._low = np.zeros(batch_size, dtype=np.intp)
        self._good = np.zeros(batch_size, dtype=np.intp)

    def begin(self, request: BeginRequest) -> None:
        rows = request.rows
        self._satisfaction[rows] = np.nan
        self._low[rows] = 0
        self._good[rows] = 0

    def shape_batch(self, request: ShapingRequest, draws: Draws) -> tuple[Floats, Ints]:
        options, scale, rows = self.options, request.scale, request.rows
        threshold, points = scale.carry(options.threshold), 9.0 / scale.span
        if self.kernels is not None:
            ends: Ints
            ends, hazard = self.kernels.disappoint(
                rows, request.ratings, request.consumed, request.traits, request.steps, self._satisfaction, self._low,
                self._good, options.alpha, threshold, points, self._rate, self._streak_limit, options.min_steps,
            )  # fmt: skip
            drawn = draws.uniform(1)
            if np.count_nonzero(hazard):
                leaves = -np.expm1(-hazard)
                if options.recovery:
                    leaves *= np.where(self._good[rows] >= 2, 1.0 - options.recovery, 1.0)
                ends[drawn[:, 0] < leaves] = 2
            return request.ratings, ends
        satisfaction, low = self._satisfaction[rows], self._low[rows]
        good = self._good[rows] if options.recovery else None
        for place in np.flatnonzero(request.consumed.any(axis=0)).tolist():
            taken, rating = request.consumed[:, place], request.ratings[:, place]
            before = np.where(np.isnan(satisfaction), rating, satisfaction)
            satisfaction = np.where(taken, before + options.alpha * (rating - before), satisfaction)
            disappointed = rating <= threshold
            low = np.where(taken, (low + 1) * disappointed, low)
            if good is not None:
                good = np.where(taken, (good + 1) * ~disappointed, good)
        self._satisfaction[rows], self._low[rows] = satisfaction, low

        activity = request.traits[:, 0]
        hazard = self._rate.take(activity) * np.fmax(0.0, (threshold - satisfaction) * points)
        leaves = -np.expm1(-hazard)
        if good is not None:
            self._good[rows] = good
            leaves *= np.where(good >= 2, 1.0 - options.recovery, 1.0)
        streak = low >= self._streak_limit.take(activity)
        ends = np.where(streak, 1, 2 * (draws.uniform(1)[:, 0] < leaves))
        may_leave = (request.steps >= options.min_steps) & request.consumed.any(axis=1)
        ends = ends * may_leave
        return request.ratings, ends
