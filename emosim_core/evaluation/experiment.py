"""Experiment: arms against a control. What their users can show, users of a live test, guards, segments, trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from emosim_core.errors import MissingDependencyError
from emosim_core.evaluation.metrics import (
    METRICS,
    Episodes,
    Metric,
    Sample,
    metric_named,
    ratios_of,
    sample,
    user_sums,
)
from emosim_core.evaluation.plan import GUARD_MARGIN, read_guard
from emosim_core.model.user import TRAIT_NAMES, TRAITS
from emosim_core.stats import LEVEL, POWER, Floats, influences, rounded, smallest_difference, users_of_a_test

FEW_USERS = 30
"""Users of a segment below which it is said to be small."""

_RATIOS = tuple(metric for metric in METRICS if metric.sums)
_SHARES = frozenset(metric.name for metric in METRICS if metric.share)


@dataclass(frozen=True)
class Experiment:
    """What is compared with what.

    Attributes:
        arms: the recommenders of each arm, by their names; several are trainings of one recommender.
        control: the arm that others are compared with.
        metric: what the experiment is about.
        effect: the difference that a live test must show; None for the measured one.
        guards: metrics and their margins, None for the default.
    """

    arms: Mapping[str, Sequence[str]]
    control: str
    metric: Metric
    effect: float | None
    guards: Sequence[tuple[str, float | None]]

    @classmethod
    def of(cls, config: Mapping[str, Any], arms: Mapping[str, Sequence[str]]) -> Experiment | None:
        """The experiment that the configuration of an evaluation describes, as it is stored; None where it is none."""
        if not any(config.get(name) for name in ("arms", "control", "effect", "guards")):
            return None
        control = config.get("control") or next(iter(arms))
        guards = [read_guard(text) for text in config.get("guards") or ()]
        metric = metric_named(config.get("metric", "mean_reward"))
        return cls(arms, control, metric, config.get("effect"), guards)

    @property
    def others(self) -> list[str]:
        """The arms but the control."""
        return [name for name in self.arms if name != self.control]

    def described(self) -> dict[str, Any]:
        """What it is, for JSON."""
        arms = {name: list(members) for name, members in self.arms.items()}
        about = {"control": self.control, "metric": self.metric.name, "effect": self.effect}
        return {**about, "level": LEVEL, "power": POWER, "arms": arms}

    def measure(
        self,
        episodes: Mapping[str, Episodes],
        samples: Mapping[str, Sample],
        users: Sequence[str],
        resamples: int,
        seed: tuple[int, ...],
    ) -> dict[str, Any]:
        """What is measured of the arms with one user split, for JSON.

        Args:
            episodes: of each recommender, as ``samples``; the same users in the same order.
            users: the users, each once.
        """
        above = self._above(samples, seed)
        moved = {
            name: influences(*user_sums(one, ratios_of(one, _RATIOS, ()), users)) for name, one in episodes.items()
        }
        arms = {
            arm: {
                "smallest_difference": self._smallest(arm, samples, moved),
                "live_test": self._live_test(arm, above[arm], moved),
                "guards": self._guards(samples, above[arm]),
            }
            for arm in self.others
        }
        return {"arms": arms, "segments": self._segments(episodes, resamples, seed)}

    def test_above_train(
        self, test: Mapping[str, Sample], train: Mapping[str, Sample], seed: tuple[int, ...]
    ) -> dict[str, Any]:
        """How far each arm's difference to the control with test users is above that with train users, for JSON."""
        names = (self.metric.name,)
        samples = {name: test[name].only(names) - train[name].only(names) for name in test}
        return {arm: one.estimates()[self.metric.name] for arm, one in self._above(samples, seed).items()}

    def _above(self, samples: Mapping[str, Sample], seed: tuple[int, ...]) -> dict[str, Sample]:
        """What each arm but the control is above it."""
        arms = arm_samples(self.arms, samples, seed)
        return {arm: arms[arm] - arms[self.control] for arm in self.others}

    def _smallest(self, arm: str, samples: Mapping[str, Sample], moved: Mapping[str, Floats]) -> dict[str, Any]:
        """The smallest difference of each metric that these users can show, and these trainings where there are more.

        The errors of users and of trainings are independent, so that the squares of both parts add up.
        """
        both = [self.arms[arm], self.arms[self.control]]
        apart = np.mean([moved[name] for name in both[0]], axis=0) - np.mean([moved[name] for name in both[1]], axis=0)
        users = len(apart)
        square = (
            smallest_difference(apart.var(axis=0, ddof=1), users) ** 2 if users > 1 else np.full(len(_RATIOS), np.nan)
        )
        names = [metric.name for metric in _RATIOS]
        for members in both:
            if len(members) > 1:
                values = np.array([samples[name].only(names).exact for name in members])
                square = square + (_t_detected(len(members)) * standard_error(values)) ** 2
        return dict(zip(names, map(rounded, np.sqrt(square)), strict=True))

    def _live_test(self, arm: str, above: Sample, moved: Mapping[str, Floats]) -> dict[str, Any]:
        """Users of a test in which each user meets one of two arms; a user of it varies as one here does."""
        place = [metric.name for metric in _RATIOS].index(self.metric.name)
        estimate = above.estimates()[self.metric.name]
        variances = 0.0
        for members in (self.arms[arm], self.arms[self.control]):
            own = [moved[name][:, place] for name in members]
            variances += float(np.mean([one.var(ddof=1) if len(one) > 1 else np.nan for one in own]))
        ends = [end for end in (estimate["low"], estimate["high"]) if end is not None]
        if self.effect is not None:
            difference, ends = self.effect, []
        else:
            difference = np.nan if estimate["estimate"] is None else estimate["estimate"]
        shown = len(ends) == 2 and ends[0] * ends[1] > 0

        def users(of: float) -> int | None:
            each = users_of_a_test(variances, of)
            return None if each is None else 2 * each

        return {
            "difference": rounded(difference),
            "users": users(difference),
            "at_least": users(max(ends, key=abs)) if ends else None,
            "at_most": users(min(ends, key=abs)) if shown else None,
        }

    def _guards(self, samples: Mapping[str, Sample], above: Sample) -> list[dict[str, Any]]:
        """Whether an arm is no worse than the control by more than a margin.

        Non-inferiority by the 95 % interval (Piaggio et al., 2012, doi 10.1001/jama.2012.87802).
        """
        guards = []
        for name, given in self.guards:
            difference = above.estimates()[name]
            value = float(np.mean([samples[one].only((name,)).exact[0] for one in self.arms[self.control]]))
            margin = GUARD_MARGIN * abs(value) if given is None else given
            sign = -1 if metric_named(name).better == "lower" else 1
            known = [sign * end for end in (difference["low"], difference["high"]) if end is not None]
            verdict = "not shown"
            if known and min(known) > -margin:
                verdict = "no worse"
            elif known and max(known) < -margin:
                verdict = "worse"
            guards.append({"metric": name, "margin": rounded(margin), "difference": difference, "verdict": verdict})
        return guards

    def _segments(
        self, episodes: Mapping[str, Episodes], resamples: int, seed: tuple[int, ...]
    ) -> list[dict[str, Any]]:
        """The difference of each arm with the users of each level of each trait in which users differ."""
        met = next(iter(episodes.values()))
        own = {user.id: user for user in met.run.users}
        met_users = met.users
        segments = []
        for number, trait in enumerate(TRAITS):
            levels = np.array([getattr(own[user], trait) for user in met_users])
            present = np.unique(levels).tolist()
            for level in present if len(present) > 1 else ():
                inside = np.flatnonzero(levels == level)
                users = sorted({met_users[place] for place in inside})
                drawn = (*seed, number, level)
                samples = {}
                for name, one in episodes.items():
                    part = replace(one, chosen=one.chosen[inside])
                    samples[name] = sample(part, ratios_of(part, (self.metric,), ()), users, resamples, drawn)
                above = self._above(samples, drawn)
                segments.append(
                    {
                        "trait": trait,
                        "level": level,
                        "name": TRAIT_NAMES[trait][level - 1],
                        "users": len(users),
                        "episodes": len(inside),
                        "small": len(users) < FEW_USERS,
                        "differences": {arm: one.estimates()[self.metric.name] for arm, one in above.items()},
                    }
                )
        return segments


def arm_samples(
    arms: Mapping[str, Sequence[str]], samples: Mapping[str, Sample], seed: tuple[int, ...]
) -> dict[str, Sample]:
    """The metrics of each arm: the mean over its trainings, redrawn with users and trainings.

    A hierarchical bootstrap (Davison and Hinkley, 1997, section 3.8, doi 10.1017/CBO9780511802843) of two crossed
    levels (Owen, 2007, doi 10.1214/07-AOAS122). Users are drawn with replacement, the same for all trainings. Of few
    trainings, draws with replacement vary too little; so the mean over trainings is moved by its standard error between
    them, times a draw from Student's t distribution with one degree of freedom less than there are trainings.
    """
    made = {}
    for number, (arm, members) in enumerate(arms.items()):
        own = [samples[name] for name in members]
        made[arm] = own[0]
        if len(own) > 1:
            values, drawn = np.array([one.exact for one in own]), np.mean([one.drawn for one in own], axis=0)
            moved = np.random.default_rng((*seed, number)).standard_t(len(own) - 1, size=(len(drawn), 1))
            drawn = drawn + moved * standard_error(values)
            shares = [name in _SHARES or name.startswith(("end_reason:", "survival:")) for name in own[0].names]
            drawn[:, shares] = np.clip(drawn[:, shares], 0.0, 1.0)
            made[arm] = Sample(own[0].names, values.mean(axis=0), drawn)
    return made


def standard_error(values: Floats) -> Floats:
    """Standard error of the mean over trainings, of values ``(trainings, M)``; shape ``(M,)``."""
    error: Floats = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return error


def spread(samples: Sequence[Sample], metric: str) -> dict[str, Any]:
    """How far a metric lies apart between trainings: standard deviation, lowest and highest."""
    values = np.array([one.only((metric,)).exact[0] for one in samples])
    return {
        "deviation": rounded(values.std(ddof=1)),
        "lowest": rounded(values.min()),
        "highest": rounded(values.max()),
    }


def _t_detected(trainings: int) -> float:
    """A difference over its standard error between trainings which the t test shows with the power."""
    try:
        from scipy.special import stdtrit
    except ModuleNotFoundError as error:
        install = 'pip install "emosim-core[train]"'
        raise MissingDependencyError("an arm of several trainings", "scipy", install) from error
    return float(stdtrit(trainings - 1, (1 + LEVEL) / 2) + stdtrit(trainings - 1, POWER))
