"""The report of an evaluation: recommenders side by side, with the intervals that evaluation.json holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emosim_core.errors import RunError
from emosim_core.reports.chart import BANDS, Chart, Number, Series, Table, identifier
from emosim_core.reports.report import Fact, Report, Section, flat
from emosim_core.runs.reading import check_format, damaged
from emosim_core.runs.records import FORMAT, read_json
from emosim_core.runs.typed import typed
from emosim_core.runs.words import END_REASONS, best_recommender, usage_rows, who_answers

EVALUATION = "evaluation.json"

_TITLES = {
    "mean_reward": "reward per episode",
    "reward_per_step": "reward per step",
    "share_liked": "share liked",
    "episode_length": "steps per episode",
    "map_at_10": "MAP@10",
    "mrr_at_10": "MRR@10",
    "ndcg_at_10": "nDCG@10",
}
"""Metrics whose names are not their titles."""

_SHARES = {"share_liked", "coverage"}
_LISTS = ("map_at_10", "mrr_at_10", "ndcg_at_10", "personalization", "coverage", "novelty")
_USER_SPLITS = {"train": "train users", "test": "test users", "all": "all users"}
_INTERVALS = "Thin lines are 95 % bootstrap intervals over users."
_NO_INTERVAL = "Counted over all episodes together; it has no interval."

_FIRST = 2
"""Recommenders whose reward stands on the first screen."""

Metrics = Mapping[str, Mapping[str, Number]]


def report_of_evaluation(directory: Path) -> Report:
    """The report of an evaluation.

    Raises:
        RunError: the directory holds no evaluation, or it is not complete, or is damaged.
    """
    results = read_evaluation(directory)
    with damaged(directory / EVALUATION):
        return _report(directory, results)


def read_evaluation(directory: Path) -> dict[str, Any]:
    """The results of an evaluation; errors as of :func:`report_of_evaluation`."""
    results = read_json(directory / EVALUATION)
    check_format(directory / EVALUATION, results, FORMAT)
    if not results.get("complete"):
        raise RunError(f"{directory} is not complete. Go on with: {typed('evaluate', '--resume', directory)}")
    return results


def _report(directory: Path, results: Mapping[str, Any]) -> Report:
    user_splits: Mapping[str, Mapping[str, Any]] = results["user_splits"]
    names = [one["name"] for one in results["recommenders"]]
    last_name, last = list(user_splits.items())[-1]
    ranked = sorted(names, key=lambda name: -(last["recommenders"][name]["metrics"]["mean_reward"]["estimate"] or 0.0))
    headline = f"{best_recommender(last, last_name)} "
    headline += who_answers(results["answered_by"])
    report = Report("evaluation", f"{results.get('title', results['domain'])}: recommenders compared", headline)
    report.notes = [str(note) for note in results.get("notes", ())]
    report.facts = [
        *(
            Fact(
                f"reward of {name}",
                f"{last['recommenders'][name]['metrics']['mean_reward']['estimate'] or 0.0:.1f}",
                f"{_interval(last['recommenders'][name]['metrics']['mean_reward'])}, {_split(last_name)}",
            )
            for name in ranked[:_FIRST]
        ),
        Fact("recommenders", str(len(names))),
        *(
            Fact(_split(name), f"{one['users']:,}", f"{one['episodes']:,} episodes each")
            for name, one in user_splits.items()
        ),
    ]
    if results.get("usage"):
        report.facts.append(Fact("cost", dict(usage_rows(results["usage"]))["cost"]))
    if len(user_splits) > 1:
        report.sections.append(_side_by_side(user_splits, ranked))
    for name, measured in reversed(list(user_splits.items())):
        report.sections.append(_section(name, measured, names))
    report.sections.append(_setup(directory, results))
    return report


def _split(name: str) -> str:
    return _USER_SPLITS.get(name, name)


def _formatted(estimate: Mapping[str, Number], share: bool = False) -> str:
    if estimate["estimate"] is None:
        return "none"
    form = ".1%" if share else ".3g" if abs(estimate["estimate"]) < 100 else ".1f"
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['estimate']:{form}}"
    return f"{estimate['estimate']:{form}} ({estimate['low']:{form}} to {estimate['high']:{form}})"


def _interval(estimate: Mapping[str, Number]) -> str:
    low, high = estimate["low"], estimate["high"]
    return "no interval" if low is None or high is None else f"95 %: {low:.1f} to {high:.1f}"


def _title(metric: str) -> str:
    return _TITLES.get(metric, metric.replace("_", " "))


def _column(of: Mapping[str, Mapping[str, Any]], names: Sequence[str], metric: str, name: str) -> Series:
    metrics = [of[one]["metrics"][metric] for one in names]
    return Series(name, [t["estimate"] for t in metrics], (), [t["low"] for t in metrics], [t["high"] for t in metrics])


def _side_by_side(user_splits: Mapping[str, Mapping[str, Any]], order: Sequence[str]) -> Section:
    """Reward and share liked of each recommender, the user splits beside each other."""
    titles = " and ".join(_split(name) for name in user_splits)
    charts = [
        Chart(
            identifier("side-by-side", metric),
            "rows",
            _title(metric).capitalize(),
            _INTERVALS,
            _title(metric),
            "recommender",
            [_column(one["recommenders"], order, metric, _split(name)) for name, one in user_splits.items()],
            order,
            form="share" if metric in _SHARES else "number",
        )
        for metric in ("mean_reward", "share_liked")
        if all(metric in one["recommenders"][order[0]]["metrics"] for one in user_splits.values())
    ]
    note = "For a recommender that learned from the train users, the gap is what does not carry over to others."
    return Section("side-by-side", titles.capitalize(), note, charts)


def _section(user_split: str, measured: Mapping[str, Any], names: Sequence[str]) -> Section:
    of: Mapping[str, Mapping[str, Any]] = measured["recommenders"]
    order = sorted(names, key=lambda name: -(of[name]["metrics"]["mean_reward"]["estimate"] or 0.0))
    metrics = list(of[order[0]]["metrics"])
    charts: list[Chart] = []

    def rows(metric: str) -> None:
        column = _column(of, order, metric, _title(metric))
        caption = _INTERVALS if any(one is not None for one in column.low) else _NO_INTERVAL
        charts.append(
            Chart(
                identifier(user_split, metric),
                "rows",
                _title(metric) if "@" in _title(metric) else _title(metric).capitalize(),
                f"{_split(user_split).capitalize()}. {caption}",
                _title(metric),
                "recommender",
                [column],
                order,
                form="share" if metric in _SHARES else "number",
            )
        )

    for metric in ("mean_reward", "share_liked", "episode_length"):
        if metric in metrics:
            rows(metric)
    charts += _end_reasons(user_split, of, order)
    for curve, title, share in (("survival", "Who is still there", True), ("reward", "Reward by step", False)):
        if all(of[name].get("curves", {}).get(curve) for name in order):
            charts.append(_curve(user_split, of, order, curve, title, share))
    for metric in metrics:
        if metric in _LISTS:
            rows(metric)
    tables = [_metrics("All metrics", of, order, metrics)]
    for differences in measured.get("differences", {}).values():
        above: Mapping[str, Mapping[str, Any]] = differences["recommenders"]
        if shown := [name for name in order if name in above]:
            note = "Differences of the same resamples of users."
            tables.append(_metrics(f"Above {differences['reference']!r}", above, shown, metrics, note))
    note = f"{measured['users']:,} users, {measured['episodes']:,} episodes with each recommender."
    return Section(identifier("user_split", user_split), _split(user_split).capitalize(), note, charts, tables)


def _metrics(
    title: str, of: Mapping[str, Mapping[str, Any]], order: Sequence[str], metrics: Sequence[str], caption: str = ""
) -> Table:
    """A row for each metric, as there are more of them than recommenders."""
    rows = [(_title(one), *(_formatted(of[name]["metrics"][one], one in _SHARES) for name in order)) for one in metrics]
    return Table(title, ("metric", *order), rows, caption)


def _end_reasons(user_split: str, of: Mapping[str, Mapping[str, Any]], order: Sequence[str]) -> list[Chart]:
    reasons = list(of[order[0]]["end_reasons"])
    if not reasons:
        return []
    series = []
    for reason in reasons:
        shares = [of[name]["end_reasons"][reason] for name in order]
        series.append(
            Series(
                END_REASONS.get(reason, reason),
                [t["estimate"] for t in shares],
                (),
                [t["low"] for t in shares],
                [t["high"] for t in shares],
            )
        )
    return [
        Chart(
            identifier(user_split, "end-reasons"),
            "rows",
            "End reasons",
            f"{_split(user_split).capitalize()}: share of episodes by end reason. {_INTERVALS}",
            "share of episodes",
            "recommender",
            series,
            order,
            form="share",
        )
    ]


def _curve(
    user_split: str, of: Mapping[str, Mapping[str, Any]], order: Sequence[str], curve: str, title: str, share: bool
) -> Chart:
    series = []
    for name in order:
        points = of[name]["curves"][curve]
        steps = [step for step, one in enumerate(points, start=1) if one["estimate"] is not None]
        shown = [points[step - 1] for step in steps]
        series.append(
            Series(
                name,
                [one["estimate"] for one in shown],
                steps,
                [one["low"] for one in shown],
                [one["high"] for one in shown],
            )
        )
    return Chart(
        identifier(user_split, curve),
        "lines",
        title,
        f"{_split(user_split).capitalize()}. "
        + (
            "Bands are 95 % bootstrap intervals over users."
            if len(order) <= BANDS
            else "95 % bootstrap intervals over users stand in the table; bands of so many lines would overlap."
        ),
        "step of the episode",
        "share of episodes" if share else "mean reward",
        series,
        form="share" if share else "number",
        y_range=(0.0, 1.0) if share else None,
    )


def _setup(directory: Path, results: Mapping[str, Any]) -> Section:
    tables = [Table("Configuration", ("option", "value"), flat(results["config"]))]
    rows = [(one["name"], str(one.get("policy")), str(one.get("model") or "none")) for one in results["recommenders"]]
    tables.append(Table("Recommenders", ("name", "policy", "model"), rows))
    if results.get("usage"):
        tables.append(Table("What the language model took", ("what", "amount"), usage_rows(results["usage"])))
    for title, key in (("Versions", "versions"), ("Measured with", "measured_with")):
        if results.get(key):
            tables.append(Table(title, ("package", "version"), flat(results[key])))
    runs = [
        (f"{name}, {_split(user_split)}", typed("report", directory / one["run"]))
        for user_split, measured in results["user_splits"].items()
        for name, one in measured["recommenders"].items()
        if one.get("run")
    ]
    if runs:
        caption = "Each recommender met each group of users in a run of its own, which has a report of its own."
        tables.append(Table("The episodes behind these metrics", ("run", "command"), runs, caption))
    return Section("setup", "What was run", f"Made {results.get('created')}.", tables=tables)
