"""Figures of trust: how often the verdicts on many logs are right, with intervals over users and over logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.stats import percentiles, ratio, resampled, rounded, weights
from emosim_core.studies.trust.verdicts import (
    BY_HELD_OUT,
    LIKED_REALLY,
    LIKED_SIMULATED,
    NO_METHODS,
    SIMULATED,
    TRUTH,
)

RESAMPLES = 1000
"""How often users and logs are drawn again."""

CLEARNESS = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0)
"""Lower ends of the classes of clearness: how many standard errors a difference is from 0."""

BETTER_LOW = ("regret", "contradicted")
"""Figures of which less is better."""

_USERS_SEED, _LOGS_SEED = 11, 12


@dataclass(frozen=True)
class LogVerdicts:
    """The verdicts on one log, and whose they are.

    Attributes:
        sums: by method, as of :class:`~emosim_core.studies.trust.verdicts.Verdicts`.
        learners, held_out: indices of the users of the log, and of those held out, among all.
        logged: mean rating and share of liked items in the log, shape ``(2,)``.
    """

    sums: Mapping[str, Floats]
    learners: Ints
    held_out: Ints
    logged: Floats

    def users_of(self, method: str) -> Ints:
        """The users whom the table of a method is of."""
        return self.held_out if method in BY_HELD_OUT else self.learners


class _Signs:
    """What one method says of each pair of recommenders on one log, and how sure it is.

    Attributes:
        values: of each recommender, shape ``(M,)``.
        apart: of each pair the first less the second, shape ``(P,)``.
        clearness: of each pair how many standard errors that is from 0, shape ``(P,)``; 0 where both are the same.
        called: whether the 95 % interval of the difference leaves out 0, shape ``(P,)``.
    """

    def __init__(self, table: Floats, pairs: tuple[Ints, Ints]) -> None:
        first, second = pairs
        count = table.shape[2]
        self.values = _ratio(table.sum(axis=1))
        drawn = resampled(np.concatenate([table[0], table[1]], axis=1))
        values = ratio(np.stack([drawn[:, :count], drawn[:, count:]], axis=-1))
        between = values[:, first] - values[:, second]
        low, high = percentiles(between)
        self.apart = self.values[first] - self.values[second]
        known = ~np.isnan(between).all(axis=0)
        spread = np.zeros(len(first))
        spread[known] = np.nanstd(between[:, known], axis=0)
        self.clearness = np.divide(np.abs(self.apart), spread, out=np.zeros(len(first)), where=spread > 0)
        self.called = (low > 0) | (high < 0)

    @property
    def sign(self) -> Floats:
        """1 for the first of a pair, -1 for the second, 0 where the method does not decide; shape ``(P,)``."""
        return np.sign(np.nan_to_num(self.apart))


def compute_figures(logs: Sequence[LogVerdicts], names: Sequence[str], users: int) -> dict[str, Any]:
    """Everything that the verdicts on some logs come to.

    Of each method: ``right``, the share of pairs of recommenders that it puts in the right order, one that it does not
    decide counting half; ``right_clear``, the same of the pairs whose truth is beyond doubt; ``called``, the share of
    pairs of which it is 95 % sure; ``held``, the share of those that are right, and ``contradicted``, the share of
    those of which the truth is 95 % sure to be the opposite; ``tau``, Kendall's tau-b of the order of all
    recommenders; and ``regret``, how much worse its winner really is than the really best, in points of the scale.
    Intervals are of users and logs drawn again (percentile bootstrap, and its mirror image at the estimate, whichever
    end is farther).

    Args:
        names: the recommenders, M of them, at least two.
        users: number of users of whom something is known; those of the logs are among them.
    """
    pairs = np.triu_indices(len(names), 1)
    first = pairs[0], pairs[1]
    methods = [name for name in logs[0].sums if name not in NO_METHODS]
    truths = [_Signs(one.sums[TRUTH], first) for one in logs]
    judged = {name: [_Signs(one.sums[name], first) for one in logs] for name in methods}
    user_weights = np.concatenate([*weights(users, RESAMPLES, _USERS_SEED)])
    log_weights = np.concatenate([*weights(len(logs), RESAMPLES, _LOGS_SEED)])
    true_draws = [_drawn_values(one, TRUTH, user_weights) for one in logs]
    estimates: dict[str, dict[str, float]] = {}
    draws: dict[str, dict[str, Floats]] = {}
    for name in methods:
        parts: dict[str, list[tuple[float, float]]] = {}
        drawn: dict[str, list[tuple[Floats, Floats]]] = {}
        for one, truth, mine, true_values in zip(logs, truths, judged[name], true_draws, strict=True):
            values = true_values if mine is truth else _drawn_values(one, name, user_weights)
            for figure, (over, under) in _of_log(truth, mine, truth.values[None], mine.values[None], first).items():
                parts.setdefault(figure, []).append((float(over[0]), float(under[0])))
            for figure, both in _of_log(truth, mine, true_values, values, first).items():
                drawn.setdefault(figure, []).append(both)
        estimates[name] = {figure: float(ratio(np.sum(some, axis=0))) for figure, some in parts.items()}
        draws[name] = {figure: _over_logs(some, log_weights) for figure, some in drawn.items()}
    shares = {"right", "right_clear", "called", "held", "contradicted"}
    bounds = {figure: (0.0, 1.0) if figure in shares else (-np.inf, np.inf) for figure in estimates[SIMULATED]}
    bounds |= {"tau": (-1.0, 1.0), "regret": (0.0, np.inf)}
    return {
        "methods": {
            name: {one: _interval(value, draws[name][one], *bounds[one]) for one, value in figures.items()}
            for name, figures in estimates.items()
        },
        "differences": {
            name: {
                one: _interval(estimates[SIMULATED][one] - value, draws[SIMULATED][one] - draws[name][one])
                for one, value in figures.items()
                if one in ("right", "right_clear", "held", "tau", "regret")
            }
            for name, figures in estimates.items()
            if name != SIMULATED
        },
        "calibration": _calibration(truths, judged[SIMULATED]),
        "recommenders": _worth(logs, names, log_weights, user_weights),
        "logged": dict(zip(("rating", "liked"), _listed(np.mean([one.logged for one in logs], axis=0)), strict=True)),
        "pairs": _pairs(names, first, truths, judged[SIMULATED]),
    }


def _of_log(
    truth: _Signs, mine: _Signs, true_values: Floats, values: Floats, pairs: tuple[Ints, Ints]
) -> dict[str, tuple[Floats, Floats]]:
    """Numerator and denominator of each figure on one log, of B draws of the values, each of the shape ``(B,)``."""
    first, second = pairs
    true = np.sign(np.nan_to_num(true_values[:, first] - true_values[:, second]))
    judged = np.sign(np.nan_to_num(values[:, first] - values[:, second]))
    one = np.ones(len(true))
    agree = (1.0 + true * judged) / 2.0
    clear, called = truth.called, mine.called
    held = (1.0 + true * mine.sign) / 2.0
    against = called & clear & (truth.sign * mine.sign < 0)
    both = np.sqrt((true**2).sum(axis=1) * (judged**2).sum(axis=1))
    tau = np.divide((true * judged).sum(axis=1), both, out=np.zeros(len(true)), where=both > 0)
    known = np.where(np.isnan(values), -np.inf, values)
    winner = known == known.max(axis=1, keepdims=True)  # all of them, where several are the best
    mean = (np.where(winner, true_values, 0.0).sum(axis=1)) / winner.sum(axis=1)
    return {
        "right": (agree.sum(axis=1), one * agree.shape[1]),
        "right_clear": (agree[:, clear].sum(axis=1), one * clear.sum()),
        "called": (one * called.sum(), one * len(called)),
        "held": (held[:, called].sum(axis=1), one * called.sum()),
        "contradicted": (one * against.sum(), one * called.sum()),
        "tau": (tau, one),
        "regret": (np.nanmax(true_values, axis=1) - mean, one),
    }


def _ratio(sums: Floats) -> Floats:
    """Values of sums of the shape ``(..., 2, M)``; NaN where nothing was counted."""
    return ratio(np.stack([sums[..., 0, :], sums[..., 1, :]], axis=-1))


def _drawn_values(one: LogVerdicts, method: str, user_weights: Floats) -> Floats:
    """What a method says of each recommender by users drawn again, shape ``(B, M)``."""
    drawn = user_weights[:, one.users_of(method)]
    table = one.sums[method]
    return _ratio(np.stack([drawn @ table[0], drawn @ table[1]], axis=1))


def _over_logs(parts: Sequence[tuple[Floats, Floats]], log_weights: Floats) -> Floats:
    """A figure over logs drawn again, shape ``(B,)``."""
    over, under = (np.stack(some, axis=1) for some in zip(*parts, strict=True))
    return ratio(np.stack([(over * log_weights).sum(axis=1), (under * log_weights).sum(axis=1)], axis=-1))


def _interval(value: float, draws: Floats, least: float = -np.inf, most: float = np.inf) -> dict[str, float | None]:
    """A figure and its interval: drawing again adds noise that is in the figure already, which the mirror takes off."""
    low, high = (float(end) for end in percentiles(draws))
    ends = min(low, 2 * value - high), max(high, 2 * value - low)
    return {
        "estimate": rounded(value),
        "low": rounded(max(ends[0], least)),
        "high": rounded(min(ends[1], most)),
    }


def _calibration(truths: Sequence[_Signs], judged: Sequence[_Signs]) -> list[dict[str, Any]]:
    """By how clear a verdict of the simulated users is: how many there are, and how many held."""
    clearness = np.concatenate([one.clearness for one in judged])
    right = np.concatenate([(1.0 + true.sign * mine.sign) / 2.0 for true, mine in zip(truths, judged, strict=True)])
    rows = []
    for low, high in zip(CLEARNESS, (*CLEARNESS[1:], np.inf), strict=True):
        inside: Flags = (clearness >= low) & (clearness < high)
        count = int(inside.sum())
        share = rounded(float(right[inside].mean())) if count else None
        rows.append({"from": low, "to": None if np.isinf(high) else high, "verdicts": count, "held": share})
    return rows


def _worth(
    logs: Sequence[LogVerdicts], names: Sequence[str], log_weights: Floats, user_weights: Floats
) -> list[dict[str, Any]]:
    """How what each recommender picks is rated and liked, really and by simulated users, best first.

    ``error`` and ``liked_error`` are how much higher the simulated value is than the real one.
    """
    share = log_weights / log_weights.sum(axis=1, keepdims=True)
    values, draws = {}, {}
    for method in (TRUTH, SIMULATED, LIKED_REALLY, LIKED_SIMULATED):
        values[method] = np.mean([_ratio(one.sums[method].sum(axis=1)) for one in logs], axis=0)
        drawn = np.stack([_drawn_values(one, method, user_weights) for one in logs], axis=1)
        draws[method] = (drawn * share[:, :, None]).sum(axis=1)
    for error, judged, true in (("error", SIMULATED, TRUTH), ("liked_error", LIKED_SIMULATED, LIKED_REALLY)):
        values[error], draws[error] = values[judged] - values[true], draws[judged] - draws[true]
    rows: list[dict[str, Any]] = [
        {"name": name, **{one: _interval(float(values[one][place]), draws[one][:, place]) for one in values}}
        for place, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: -(row[TRUTH]["estimate"] or 0.0))


def _listed(values: Floats) -> list[float | None]:
    return [rounded(value) for value in values.tolist()]


def _pairs(
    names: Sequence[str], pairs: tuple[Ints, Ints], truths: Sequence[_Signs], judged: Sequence[_Signs]
) -> list[dict[str, Any]]:
    """Each pair of recommenders: the true and the simulated difference, and on how many logs the order is right."""
    apart, simulated = (np.mean([one.apart for one in some], axis=0) for some in (truths, judged))
    right = np.mean([(1.0 + true.sign * mine.sign) / 2.0 for true, mine in zip(truths, judged, strict=True)], axis=0)
    called = np.mean([one.called for one in judged], axis=0)
    return [
        {
            "first": names[a],
            "second": names[b],
            "truth": rounded(float(apart[place])),
            "simulated": rounded(float(simulated[place])),
            "right": rounded(float(right[place])),
            "called": rounded(float(called[place])),
        }
        for place, (a, b) in enumerate(zip(*(side.tolist() for side in pairs), strict=True))
    ]
