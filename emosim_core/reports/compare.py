"""Comparing runs: means side by side, differences to the first, and how far they would move with other users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emosim_core.errors import ConfigurationError, RunError
from emosim_core.evaluation.columns import RunColumns, read_episodes
from emosim_core.evaluation.metrics import METRICS, Episodes, Sample, metric_named, ratios_of, sample
from emosim_core.evaluation.results import runs_of
from emosim_core.hooks.fields import by_field
from emosim_core.notebook import card, table
from emosim_core.reports.ablation_report import is_decided
from emosim_core.reports.chart import Table, with_ends
from emosim_core.reports.report import flat
from emosim_core.runs.words import END_REASONS, decimal
from emosim_core.simulation.config import EnvironmentConfig, RunConfig
from emosim_core.stats import RESAMPLES
from emosim_core.terminal import counted

_METRICS = ("mean_rating", "share_liked", "mean_reward", "episode_length", "valence_at_end", "arousal_at_end")
"""Metrics that are compared, beside end reasons."""

_ENDED = "ended: "


@dataclass(frozen=True)
class Metric:
    """One measure of one run and what it is above the first run, None for the first, with their 95 % intervals.

    The mean is over all that was counted, None where nothing was; an end is None where fewer than two users were.
    """

    mean: float | None
    low: float | None
    high: float | None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None


@dataclass(frozen=True)
class Compared:
    """One run beside others.

    Attributes:
        episodes: how many ended; ``users`` is the number of different users in them.
        complete: whether all episodes were simulated.
        paired: whether its differences to the first pair each user with themselves.
        differs_in: option by option, what the first run had and what this one had.
    """

    directory: str
    episodes: int
    users: int
    complete: bool
    paired: bool
    differs_in: Mapping[str, tuple[str, str]]
    metrics: Mapping[str, Metric]


@dataclass(frozen=True)
class Comparison:
    """Runs of one domain side by side, differences to the first, by a bootstrap of ``resamples`` under a seed.

    ``notes`` are what a reader must know before believing the differences.
    """

    domain: str
    resamples: int
    seed: int
    notes: Sequence[str]
    runs: Sequence[Compared]

    def _repr_html_(self) -> str:
        """The comparison in a notebook, as ``emosim compare`` prints it."""
        shown = table_of(self)
        title = f"{counted(len(self.runs), 'run')} of {self.domain} compared"
        return card(title, tables=[table(shown.rows, shown.columns)], notes=[shown.caption, *self.notes])


def compare(directories: Sequence[str | Path], *, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Put runs side by side with differences to the first, as ``emosim compare`` does.

    Intervals are 95 % percentile intervals of a bootstrap over users: who is drawn brings all their episodes along.
    Runs with the same users and seed are paired: the same users are drawn for both, so that what differs between users
    cancels. Episodes that did not end are left out.

    Args:
        directories: two runs or more, of one domain; an evaluation stands for the runs of its recommenders with the
            last of its user splits, the control first.
        resamples: resamples of the bootstrap, at least 100.
        seed: seed of the bootstrap.

    Raises:
        ConfigurationError: there are fewer than two runs, they are of different domains, or ``resamples`` is too low.
        RunError: a directory is no run, or has no episode that ended.
    """
    places = [run for directory in directories for run in runs_of(Path(directory))]
    if len(places) < 2:
        raise ConfigurationError("to compare runs, name two directories or more: emosim compare runs/a runs/b")
    if resamples < 100:
        raise ConfigurationError(f"resamples must be at least 100, got {resamples}: an interval needs its tails")
    runs = [read_episodes(place) for place in places]
    first = runs[0]
    domain = first.manifest["config"]["plugin"]
    for run in runs:
        if not run.ended:
            raise RunError(f"{run.directory} has no episode that ended, so there is nothing to compare")
        if run.manifest["config"]["plugin"] != domain:
            raise ConfigurationError(
                f"{first.directory} is of {domain!r} and {run.directory} of {run.manifest['config']['plugin']!r}; "
                "their ratings are on different things and cannot be compared"
            )
    reasons = sorted({reason for run in runs for reason in run.ended.end_counts()})
    compared = []
    for number, run in enumerate(runs):
        paired = number > 0 and _paired(first, run)
        alone = _sample(run, reasons, _ids(run), resamples, own_seed(seed, number))
        columns = [alone.estimates()]
        if number:
            columns.append(_above(first, run, reasons, resamples, seed, paired).estimates())
        compared.append(
            Compared(
                directory=str(run.directory),
                episodes=len(run.ended),
                users=len(_ids(run)),
                complete=run.complete,
                paired=paired,
                differs_in=differences(first.manifest, run.manifest, RunConfig),
                metrics={
                    _label(name): Metric(*(value for column in columns for value in column[name].values()))
                    for name in alone.names
                },
            )
        )
    return Comparison(str(domain), resamples, seed, _notes(compared), compared)


def is_share(label: str) -> bool:
    """Whether a metric is a share, to be written in per cent."""
    return label.startswith(_ENDED) or any(metric.label == label and metric.share for metric in METRICS)


def _label(name: str) -> str:
    kind, _, reason = name.partition(":")
    return f"{_ENDED}{END_REASONS.get(reason, reason)}" if reason else metric_named(kind).label


def own_seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number + 1]).generate_state(1)[0])


def _paired(first: RunColumns, run: RunColumns) -> bool:
    """Whether two runs are about the same users in the same order of episodes."""
    same = ("seed", "user_split", "test_fraction", "user_order")
    one, other = first.manifest, run.manifest
    return one["data"].get("users_sha256") == other["data"].get("users_sha256") and all(
        one["config"].get(name) == other["config"].get(name) for name in same
    )


def _ids(run: RunColumns) -> list[str]:
    return sorted({run.users[user].id for user in np.unique(run.ended.user).tolist()})


def _sample(run: RunColumns, reasons: Sequence[str], ids: Sequence[str], resamples: int, seed: int) -> Sample:
    episodes = Episodes(run, run.ended)
    return sample(episodes, ratios_of(episodes, map(metric_named, _METRICS), reasons), ids, resamples, seed)


def _above(
    first: RunColumns, run: RunColumns, reasons: Sequence[str], resamples: int, seed: int, paired: bool
) -> Sample:
    """What a run is above the first."""
    if paired:  # one seed over the same users draws the same users for both
        ids = sorted({*_ids(first), *_ids(run)})
        drawn = [(first, ids, seed), (run, ids, seed)]
    else:
        drawn = [(one, _ids(one), own_seed(seed, number)) for number, one in enumerate((first, run))]
    below, above = (_sample(one, reasons, ids, resamples, own) for one, ids, own in drawn)
    return above - below


def differences(
    first: Mapping[str, Any], other: Mapping[str, Any], model: type[EnvironmentConfig]
) -> dict[str, tuple[str, str]]:
    """Configuration, which is a ``model``, components, data and versions, where they differ."""
    differing: dict[str, tuple[str, str]] = {}
    for section in ("config", "parts", "data", "versions"):
        both = [manifest.get(section, {}) for manifest in (first, other)]
        if section == "config":
            both = [by_field(model, one) for one in both]
        before, after = (dict(flat(one)) for one in both)
        for name in {**before, **after}:
            old, new = before.get(name, "none"), after.get(name, "none")
            if old != new and not name.startswith("gateway."):
                differing[name if section == "config" else f"{section}: {name}"] = (old, new)
    # What a choice brings along is no further difference.
    brought = {
        "llm_model": ["parts: rater."],
        "llm_rater": ["parts: rater."],
        "items": ["parts: item_loader.", "data: items"],
        "user_dataset": ["parts: user_loader.", "data: users"],
        "items_retrieval": ["parts: retrieval."],
    }
    chosen = {name.partition(".")[0] for name in differing if ": " not in name}
    brought_along = tuple(part for choice in chosen for part in brought.get(choice, [f"parts: {choice}."]))
    return {name: value for name, value in differing.items() if not name.startswith(brought_along)}


def _notes(runs: Sequence[Compared]) -> list[str]:
    notes = [f"{run.directory} is not complete." for run in runs if not run.complete]
    for run in runs[1:]:
        if not run.differs_in:
            notes.append(f"{run.directory} was made with the same configuration as {runs[0].directory}.")
        elif len(run.differs_in) > 1:
            notes.append(
                f"{run.directory} differs from {runs[0].directory} in {len(run.differs_in)} things, so no difference "
                f"can be put down to one of them: {', '.join(run.differs_in)}."
            )
        if not run.paired:
            notes.append(
                f"{run.directory} has other users or another seed than {runs[0].directory}: users are not paired, "
                "and intervals are wider."
            )
    few = [run.directory for run in runs if run.users < 2]
    notes += [f"{directory} is about one user, which gives no interval." for directory in few]
    return notes


def table_of(comparison: Comparison) -> Table:
    """Each measure of each run with its interval, and the difference to the first run."""
    headings, rows = [""], []
    for number, run in enumerate(comparison.runs):
        headings += [run.directory, *(["difference, paired" if run.paired else "difference"] if number else [])]
    values = [f"{run.episodes:,} with {counted(run.users, 'user')}" for run in comparison.runs]
    rows.append(["episodes", values[0], *(cell for value in values[1:] for cell in (value, ""))])
    for name in comparison.runs[0].metrics:
        metrics = [run.metrics[name] for run in comparison.runs]
        cells = [cell for one in metrics for cell in (_mean(name, one), _difference(name, one))]
        rows.append([name, cells[0], *cells[2:]])  # the first run has no difference
    caption = "In brackets: 95 % bootstrap intervals over users. pp: percentage points. *: the interval leaves out 0."
    return Table("", headings, rows, caption)


def _written(name: str, value: float, sign: bool = False) -> str:
    if not is_share(name):
        return decimal(value, 2, sign)
    return decimal(100 * value, 1, sign) + ("" if sign else "%")


def _mean(name: str, metric: Metric) -> str:
    return with_ends({"estimate": metric.mean, "low": metric.low, "high": metric.high}, partial(_written, name))


def _difference(name: str, metric: Metric) -> str:
    ends = {"estimate": metric.difference, "low": metric.difference_low, "high": metric.difference_high}
    text = with_ends(ends, partial(_written, name, sign=True)) + (" pp" if is_share(name) else "")
    return f"{text} *" if is_decided(ends) else text
