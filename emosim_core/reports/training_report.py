"""The report of a training: learning curves from progress.jsonl, and what was trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from emosim_core.reports.chart import Chart, Series, Table, estimates_as_rows, identifier, with_ends, with_intervals
from emosim_core.reports.report import Fact, Report, Section, flat, setup_tables
from emosim_core.runs.reading import check_format, damaged, read_object
from emosim_core.runs.records import FORMAT, MANIFEST, SUMMARY, read_json
from emosim_core.runs.typed import continue_with
from emosim_core.runs.words import decimal, held_out_reward, usage_rows, users_of, who_answers
from emosim_core.terminal import counted
from emosim_core.training.curves import REFERENCES, STORED_REFERENCES, mean_over, read_progress

_X = "timesteps"
_FIRST = ("reward", "length")
_TITLES = {"reward": "Reward per episode", "length": "Steps per episode", "fps": "Steps per second"}
_EVALUATION = "evaluation/"
_LOSSES = "losses/"
"""Where stable-baselines3 puts losses, which name themselves, and what is none, such as the learning rate."""

_EPISODE_MEANS = "Means of the episodes that ended since the line before; in the first lines only short ones have. "
_HIDDEN = frozenset({_X, "episodes", "updates", "n_updates"})
"""Columns that count on as the steps do, and show nothing."""

_LARGEST = 1e300
"""Numbers beyond are drawn nowhere."""


_MOST_POINTS = 2000


def report_of_training(directory: Path) -> Report:
    """The report of a training; a RunError where the directory holds none, or is damaged."""
    lines = read_progress(directory)
    manifest, summary = (
        read_json(directory / name) if (directory / name).exists() else {} for name in (MANIFEST, SUMMARY)
    )
    if "format" in manifest:
        check_format(directory / MANIFEST, manifest, FORMAT)
    with damaged(directory / (SUMMARY if summary else MANIFEST)):
        return _report(directory, lines, manifest, summary)


def _report(
    directory: Path, lines: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any], summary: Mapping[str, Any]
) -> Report:
    columns = _columns(lines)
    steps = columns.pop(_X, {})
    config: Mapping[str, Any] = manifest.get("config", {})
    on = f"on {config['plugin']}" if "plugin" in config else ""
    title = " ".join(part for part in ("Training", str(config.get("algo", "")).upper(), on) if part)
    last = int(max(steps.values(), default=0))
    headline = f"{counted(last, 'step')} in {counted(len(steps), 'line')} of progress."
    if summary:
        headline = (
            f"{counted(last, 'step')} in {counted(summary['episodes'], 'episode')} and {summary['seconds']:.1f} s"
        )
        headline += f" ({summary['steps_per_second'] or 0:,} steps/s)."
    if "answered_by" in manifest:
        headline += f" Network: {config['policy_net']}. {who_answers(manifest['answered_by'])}"
    if held := summary.get("held_out"):
        reward = held_out_reward(summary, held["user_split"])
        headline = f"Reward of the final model from {_held_out_users(held)}: {reward}. {headline}"
    report = Report("training", title, headline)
    if held:
        others = (summary.get("references") or {}).get(held["user_split"], {})
        whom = users_of(held["user_split"])
        report.facts.append(_fact(f"final model, {whom}", held))
        report.facts += [_fact(f"{name}, {whom}", one) for name, one in others.items()]
    report.notes += map(str, manifest.get("announcements", ()))
    names = [name for name in _FIRST if name in columns]
    tested = sorted(name for name in columns if name.startswith(_EVALUATION))
    for name in tested:
        first, *_, end = [*columns[name].values(), *columns[name].values()]
        who = users_of(name.removeprefix(_EVALUATION))
        if not held:
            report.headline += f" Reward in evaluation episodes of {who}: {first:,.4g} at first, {end:,.4g} at last."
        if held and name == _EVALUATION + held["user_split"]:
            continue
        aside = f"last evaluation; {first:,.4g} in the first" if len(columns[name]) > 1 else "the only evaluation"
        report.facts.append(Fact(f"reward in evaluation episodes, {who}", f"{end:,.4g}", aside))
    learning = _while_learning(lines)
    if "reward" in learning and not held:
        report.headline += f" Reward while learning: {', '.join(learning['reward'])}."
        report.headline += " An evaluation shows whether that helps users it has not met." if not tested else ""
    report.facts += [Fact(f"{_words(name).lower()}, while learning", *learning[name]) for name in learning]
    report.facts.append(Fact("steps of training", f"{last:,}"))
    if summary.get("usage"):
        report.facts.append(Fact("cost", dict(usage_rows(summary["usage"]))["cost"]))
    wanted = config.get("total_timesteps", config.get("timesteps"))
    if isinstance(wanted, int) and last < wanted:
        report.notes.append(
            f"The training is not complete: {last:,} of {wanted:,} steps. {continue_with('train', directory)}"
        )

    def curve(name: str) -> Chart:
        return _curve(name, steps, {_words(name).lower(): columns[name]})

    curves = [curve(name) for name in names]
    if tested:
        curves.insert(0, _evaluation_curve(lines, _stored_references(directory)))
    if curves:
        tables = [_evaluations(lines, directory)] if tested else []
        report.sections.append(Section("curves", "Learning curves", charts=curves, tables=tables))
    others = sorted(name for name in columns if name not in (*_FIRST, *tested) and not _HIDDEN & set(name.split("/")))
    if others:
        still = [name for name in others if len(columns[name]) > 1 == len(set(columns[name].values()))]
        same = [(_words(name), f"{next(iter(columns[name].values())):g}") for name in still]
        unmoved = [Table("The same throughout", ("what", "value"), same)] if same else []
        rest = [curve(name) for name in others if name not in still]
        report.sections.append(Section("more", "What else was measured", charts=rest, tables=unmoved))
    tables = [Table("Summary", ("what", "value"), flat(summary))] if summary else []
    tables += setup_tables(manifest) if manifest else []
    if tables:
        report.sections.append(Section("setup", "What was trained", tables=tables))
    return report


def _fact(name: str, reward: Mapping[str, Any]) -> Fact:
    low, high = reward["low"], reward["high"]
    aside = "" if low is None or high is None else f"95 %: {decimal(low, 1)} to {decimal(high, 1)}"
    return Fact(f"reward of {name}", decimal(reward["estimate"], 1), aside)


def _held_out_users(held: Mapping[str, Any]) -> str:
    return f"{held['users']:,} {users_of(held['user_split'])}, whom the training does not meet"


def _stored_references(directory: Path) -> dict[str, dict[str, Any]]:
    """What policies that did not learn get in the evaluation episodes, by user split; none in an older training."""
    path = directory / REFERENCES
    return dict(read_object(path, STORED_REFERENCES)["rewards"]) if path.exists() else {}


def _evaluated(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """The evaluations of a training by user split, test users first: steps of training and the estimate."""
    held: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for line in lines:
        for split, value in sorted((line.get("evaluation") or {}).items()):
            low, high = line.get("intervals", {}).get(split, (None, None))
            held.setdefault(split, []).append((line[_X], {"estimate": value, "low": low, "high": high}))
    return held


def _evaluation_curve(lines: Sequence[Mapping[str, Any]], references: Mapping[str, Mapping[str, Any]]) -> Chart:
    """The reward in evaluation episodes, and as lines what policies that did not learn get from the test users.

    Of a single evaluation, which makes no line, bars.
    """
    evaluated = _evaluated(lines)
    series = [
        with_intervals(split, [one for _, one in points], [steps for steps, _ in points])
        for split, points in evaluated.items()
    ]
    whom, points = next(iter(evaluated.items()))
    ends = sorted({points[0][0], points[-1][0]})
    title = "Reward in evaluation episodes"
    place = identifier("curve", title)
    if len(ends) == 1:
        rewards = {f"this training, {users_of(split)}": values[-1][1] for split, values in evaluated.items()}
        rewards |= {f"{name}, {users_of(whom)}": one for name, one in references.get(whom, {}).items()}
        caption = f"After {ends[0]:,} steps, the only evaluation. Thin lines are 95 % bootstrap intervals over users."
        return estimates_as_rows(place, title, caption, title.lower(), "recommender", rewards)
    series += [Series(name, [one["estimate"]] * len(ends), ends) for name, one in references.get(whom, {}).items()]
    caption = "Bands are 95 % bootstrap intervals over users."
    if whom in references:
        caption += f" Level lines: what others get in the same episodes of {users_of(whom)}."
    return Chart(place, "lines", title, caption, "steps of training", title.lower(), series)


def _evaluations(lines: Sequence[Mapping[str, Any]], directory: Path) -> Table:
    """The last evaluation by user split, beside what policies that did not learn get in the same episodes."""
    evaluated, references = _evaluated(lines), _stored_references(directory)
    others = list(dict.fromkeys(name for one in references.values() for name in one))
    write = partial(decimal, decimals=1)
    rows = []
    for split, points in evaluated.items():
        steps, estimate = points[-1]
        own = references.get(split, {})
        beside = (with_ends(own[name], write) if name in own else "-" for name in others)
        rows.append((users_of(split), f"{steps:,}", with_ends(estimate, write), *beside))
    caption = (
        "Mean reward per episode and its 95 % interval over users. These episodes have seeds of their own; emosim "
        "evaluate measures the same users in others. The model 'best' is chosen by the users to learn from."
    )
    return Table("Reward in evaluation episodes", ("users", "steps", "this training", *others), rows, caption)


def _columns(lines: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    """The numbers of a training's progress: by column, the values by line."""
    columns: dict[str, dict[int, float]] = {}
    for number, line in enumerate(lines):
        for name, value in _flat(line):
            if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST:
                columns.setdefault(name, {})[number] = value
    return columns


def _flat(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values, those of a table within under both names."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}/{inner}", one) for inner, one in value.items())
        else:
            yield name, value


def _words(name: str) -> str:
    words = _TITLES.get(name, name.removeprefix(_LOSSES).replace("_", " ").replace("/", ": "))
    return words[:1].upper() + words[1:]


def _curve(name: str, steps: Mapping[int, float], columns: Mapping[str, Mapping[int, float]]) -> Chart:
    """A curve over the steps of training for each of some columns, which are given by their names."""
    longest = max(len(values) for values in columns.values())
    every = -(-longest // _MOST_POINTS)
    caption = f"{_EPISODE_MEANS if name in _FIRST else ''}{counted(longest, 'line')} of progress"
    caption += f", of which every {every}th is drawn." if every > 1 else "."
    series = []
    for column, values in columns.items():
        shown = list(values)[::every]
        series.append(Series(column, [values[line] for line in shown], [steps[line] for line in shown]))
    return Chart(
        identifier("curve", name), "lines", _words(name), caption, "steps of training", _words(name).lower(), series
    )


def _while_learning(lines: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Reward and length in the episodes of the training: the value in the end, and of what it is the mean."""
    rows: dict[str, tuple[str, str]] = {}
    for name in _FIRST:
        values = [line[name] for line in lines if line.get(name) is not None]
        last, first = mean_over(lines, name), mean_over(lines, name, last=False)
        if last is None or first is None:
            if values:
                rows[name] = f"{values[-1]:,.4g}", "in the last line of progress"
            continue
        aside = f"mean of the last {last[1]:,} episodes"
        if last[1] + first[1] <= max(line.get("episodes", 0) for line in lines):
            aside += f"; {first[0]:,.4g} in the first {first[1]:,}"
        rows[name] = f"{last[0]:,.4g}", aside
    return rows
