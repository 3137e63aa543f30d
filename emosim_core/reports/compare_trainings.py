"""Comparing trainings: rewards from test users side by side, with differences to the first, and their curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.evaluation.experiment import arm_samples
from emosim_core.evaluation.metrics import Sample
from emosim_core.evaluation.plan import trainings_of
from emosim_core.reports.chart import Chart, Table, estimates_as_rows, with_ends, with_intervals
from emosim_core.reports.compare import differences, own_seed
from emosim_core.reports.report import Report, Section
from emosim_core.runs.reading import read_object
from emosim_core.runs.records import SUMMARY, read_manifest
from emosim_core.runs.typed import typed
from emosim_core.runs.words import decimal, users_of
from emosim_core.stats import RESAMPLES, resampled_ratios
from emosim_core.training.config import TrainConfig
from emosim_core.training.curves import (
    LAST_EVALUATION,
    REFERENCES,
    STORED_EVALUATION,
    STORED_REFERENCES,
    UNTRAINED,
    read_progress,
)

Estimate = Mapping[str, Any]
"""``estimate``, ``low`` and ``high``, the ends of its 95 % interval; None where it has none."""

_POINTS = 12
"""Points of a curve that a table shows at most."""


@dataclass(frozen=True)
class Trained:
    """One training, or those of several seeds in one directory, beside others.

    Attributes:
        seeds: how many trainings it is the mean of; ``deviation`` is the standard deviation between them.
        timesteps: steps of training at the last evaluation.
        reward: mean return of the last evaluation; its interval counts users, and seeds where there are several.
        difference: what it is above the first, None for the first; ``paired`` whether each user is compared with
            themselves.
        references: what others get in the same episodes, by name.
        curve: steps of training and reward; of several seeds, the mean over them and the lowest and the highest.
        differs_in: option by option but the seed, what the first had and what this one has.
    """

    directory: str
    seeds: int
    timesteps: int
    users: int
    episodes: int
    reward: Estimate
    deviation: float | None
    difference: Estimate | None
    paired: bool
    references: Mapping[str, Estimate]
    curve: Sequence[tuple[int, Estimate]]
    differs_in: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class TrainingComparison:
    """Trainings of one domain side by side, by a bootstrap of ``resamples`` under a seed."""

    domain: str
    user_split: str
    resamples: int
    seed: int
    notes: Sequence[str]
    trainings: Sequence[Trained]


@dataclass(frozen=True)
class _Member:
    """One training: its last evaluation and all before it with one group of users, as ``(E,)`` users and returns."""

    manifest: Mapping[str, Any]
    timesteps: int
    users: Sequence[str]
    returns: np.ndarray
    curve: Mapping[int, Estimate]

    def sample(self, resamples: int, seed: int) -> Sample:
        _, place = np.unique(self.users, return_inverse=True)
        sums, counts = np.bincount(place, self.returns)[:, None], np.bincount(place)[:, None]
        return Sample(("reward",), np.array([self.returns.mean()]), resampled_ratios(sums, counts, resamples, seed))


def compare_trainings(
    directories: Sequence[str | Path], *, resamples: int = RESAMPLES, seed: int = 0
) -> TrainingComparison:
    """Put trainings side by side by what they get from test users, as ``emosim compare`` does.

    Args:
        directories: trainings of one domain; one that holds trainings of several seeds is their mean.
        resamples: resamples of the bootstrap over users, at least 100.
        seed: seed of the bootstrap.

    Raises:
        ConfigurationError: trainings are of different domains, or measured on different groups of users, or
            ``resamples`` is too low.
        RunError: a directory is no training, or one that was not evaluated.
    """
    if resamples < 100:
        raise ConfigurationError(f"resamples must be at least 100, got {resamples}: an interval needs its tails")
    arms = {str(one): [Path(inside) for inside in trainings_of(str(one))] for one in directories}
    split = _held_out_split(next(iter(arms.values()))[0])
    members = {str(path): _member(path, split) for paths in arms.values() for path in paths}
    first = members[str(next(iter(arms.values()))[0])]
    domain = first.manifest["config"]["plugin"]
    for where, one in members.items():
        if one.manifest["config"]["plugin"] != domain:
            raise ConfigurationError(
                f"{where} is of {one.manifest['config']['plugin']!r} and the first training of {domain!r}; rewards of "
                "different domains cannot be compared"
            )
    samples = {}
    for number, paths in enumerate(arms.values()):
        for path in paths:
            own = members[str(path)]
            samples[str(path)] = own.sample(resamples, seed if _paired(first, own) else own_seed(seed, number))
    together = arm_samples({name: [*map(str, paths)] for name, paths in arms.items()}, samples, (seed,))
    base = next(iter(together))
    compared = []
    for name, paths in arms.items():
        own = members[str(paths[0])]
        values = [samples[str(path)].exact[0] for path in paths]
        stored = read_object(paths[0] / REFERENCES, STORED_REFERENCES) if (paths[0] / REFERENCES).exists() else None
        compared.append(
            Trained(
                directory=name,
                seeds=len(paths),
                timesteps=own.timesteps,
                users=len(set(own.users)),
                episodes=len(own.users),
                reward=together[name].estimates()["reward"],
                deviation=round(float(np.std(values, ddof=1)), 6) if len(values) > 1 else None,
                difference=None if name == base else (together[name] - together[base]).estimates()["reward"],
                paired=name != base and all(_paired(first, members[str(path)]) for path in paths),
                references={} if stored is None else _not_of_a_training(stored["rewards"].get(split, {})),
                curve=_curve([members[str(path)] for path in paths]),
                differs_in={
                    option: both
                    for option, both in differences(first.manifest, own.manifest, TrainConfig).items()
                    if option != "seed"
                },
            )
        )
    notes = [f"{path} is not complete." for paths in arms.values() for path in paths if not (path / SUMMARY).is_file()]
    notes += _notes(compared, split)
    return TrainingComparison(str(domain), split, resamples, seed, notes, compared)


def _not_of_a_training(references: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Of what others get, what does not depend on a training's seed and network."""
    return {name: one for name, one in references.items() if name != UNTRAINED}


def _held_out_split(directory: Path) -> str:
    """The group of users whom a training does not meet; the one that it was measured on, where it meets all."""
    episodes = _evaluation(directory)["episodes"]
    return "test" if "test" in episodes else next(iter(episodes))


def _evaluation(directory: Path) -> dict[str, Any]:
    if not (directory / LAST_EVALUATION).is_file():
        read_manifest(directory)  # an error if it is no training at all
        again = typed("train", "--resume", directory, "--eval-every", "10000")
        raise RunError(f"{directory} was not evaluated while it was trained, so there is nothing to compare: {again}")
    return read_object(directory / LAST_EVALUATION, STORED_EVALUATION)


def _member(directory: Path, split: str) -> _Member:
    stored = _evaluation(directory)
    if split not in stored["episodes"]:
        raise ConfigurationError(f"{directory} was not measured on {users_of(split)}, as the first training was")
    episodes = stored["episodes"][split]
    curve = {}
    for line in read_progress(directory):
        if split in line.get("evaluation", {}):
            low, high = line.get("intervals", {}).get(split, (None, None))
            curve[line["timesteps"]] = {"estimate": line["evaluation"][split], "low": low, "high": high}
    returns = np.array(episodes["returns"], dtype=np.float64)
    if not len(returns) or len(returns) != len(episodes["users"]):
        raise RunError(f"{directory / LAST_EVALUATION} is damaged: it has not as many returns as users")
    return _Member(read_manifest(directory), stored["timesteps"], episodes["users"], returns, curve)


def _paired(first: _Member, other: _Member) -> bool:
    """Whether two trainings were measured on the same users in the same episodes."""
    same = all(
        first.manifest["data"].get(name) == other.manifest["data"].get(name)
        for name in ("users_sha256", "items_sha256")
    )
    return same and list(first.users) == list(other.users)


def _curve(members: Sequence[_Member]) -> list[tuple[int, Estimate]]:
    if len(members) == 1:
        return list(members[0].curve.items())
    common = [step for step in members[0].curve if all(step in one.curve for one in members)]
    points: list[tuple[int, Estimate]] = []
    for step in common:
        values = [one.curve[step]["estimate"] for one in members]
        points.append((step, {"estimate": float(np.mean(values)), "low": min(values), "high": max(values)}))
    return points


def _notes(trainings: Sequence[Trained], split: str) -> list[str]:
    notes = []
    if split != "test":
        notes.append(f"Rewards are from {users_of(split)} whom the trainings meet: nobody was held out.")
    for one in trainings[1:]:
        if not one.paired:
            notes.append(
                f"{one.directory} was measured on other users or items than {trainings[0].directory}: users are not "
                "paired, and intervals are wider."
            )
    if any(one.seeds == 1 for one in trainings):
        notes.append(
            "Of one seed, an interval says nothing of how far another seed would lie: train several with --num-seeds."
        )
    return notes


def report_of_comparison(comparison: TrainingComparison) -> Report:
    """A comparison as a page: a table of rewards, one of the curves, and the curves over each other."""
    write = partial(decimal, decimals=1)
    base = comparison.trainings[0].directory
    rows = [
        (
            one.directory,
            str(one.seeds),
            f"{one.timesteps:,}",
            with_ends(one.reward, write),
            "" if one.deviation is None else write(one.deviation),
            "" if one.difference is None else with_ends(one.difference, partial(decimal, decimals=1, sign=True)),
        )
        for one in comparison.trainings
    ]
    others = comparison.trainings[0].references
    rows += [(name, "", "", with_ends(value, write), "", "") for name, value in others.items()]
    columns = ("training", "seeds", "steps", "reward per episode", "spread", f"above {base}")
    caption = (
        f"Reward from {users_of(comparison.user_split)} in the last evaluation. In brackets: 95 % intervals over "
        "users, and seeds where there are several. Spread: standard deviation between seeds."
    )
    steps = sorted({step for one in comparison.trainings for step, _ in one.curve})
    shown = steps[:: -(-len(steps) // _POINTS)] if steps else []
    curves = [dict(one.curve) for one in comparison.trainings]
    points = [
        (f"{step:,}", *(with_ends(curve[step], write) if step in curve else "-" for curve in curves)) for step in shown
    ]
    by_steps = Table(
        "Reward by steps of training",
        ("steps", *(one.directory for one in comparison.trainings)),
        points,
        "In brackets: of one seed 95 % intervals over users, of several the lowest and the highest.",
    )
    series = [
        with_intervals(one.directory, [value for _, value in one.curve], [step for step, _ in one.curve])
        for one in comparison.trainings
        if one.curve
    ]
    series += [
        with_intervals(name, [{"estimate": value["estimate"]}] * 2, [steps[0], steps[-1]])
        for name, value in others.items()
        if steps and value["estimate"] is not None
    ]
    reward_from = f"Reward from {users_of(comparison.user_split)}"
    chart = Chart(
        "curves",
        "lines",
        "Learning curves",
        f"{reward_from} by steps. {by_steps.caption} Level lines do not learn.",
        "steps of training",
        "reward per episode",
        series,
    )
    if len(steps) == 1:
        rewards = {one.directory: one.reward for one in comparison.trainings} | dict(others)
        caption_of_one = f"{reward_from} after {steps[0]:,} steps, the only evaluation. Thin lines are 95 % intervals."
        chart = estimates_as_rows("curves", "Rewards", caption_of_one, "reward per episode", "training", rewards)
    section = Section(
        "trainings",
        "Trainings side by side",
        charts=[chart] if series else [],
        tables=[Table("Rewards", columns, rows, caption), by_steps],
    )
    headline = f"{len(comparison.trainings)} trainings on {comparison.domain}"
    headline += f", by the reward from {users_of(comparison.user_split)}."
    return Report("comparison", "Trainings compared", headline, notes=list(comparison.notes), sections=[section])
