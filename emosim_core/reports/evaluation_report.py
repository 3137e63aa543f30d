"""The report of an evaluation: recommenders side by side, with the intervals that evaluation.json holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from emosim_core.errors import RunError
from emosim_core.evaluation.believed import trust_line
from emosim_core.evaluation.metrics import METRICS, Metric, metric_named
from emosim_core.evaluation.results import RESULTS
from emosim_core.evaluation.verdict import evaluation_verdict
from emosim_core.reports.chart import BANDS, Chart, Form, Series, Table, identifier, with_ends, with_intervals
from emosim_core.reports.drawings import draw_files, need_matplotlib
from emosim_core.reports.experiment_tables import difference, experiment_charts, experiment_tables, test_above_train
from emosim_core.reports.report import Fact, Report, Section, flat, interval, usage_sections
from emosim_core.runs.reading import check_format
from emosim_core.runs.records import FORMAT, read_json
from emosim_core.runs.typed import continue_with, typed
from emosim_core.runs.words import END_REASONS, counts_in_words, usage_rows, users_of, who_answers
from emosim_core.terminal import counted

_INTERVALS = "Thin lines are 95 % bootstrap intervals over users."
_NO_INTERVAL = "Counted over all episodes together; it has no interval."
_CURVES = {"survival": ("Who is still there", "share of episodes"), "reward": ("Reward by step", "mean reward")}
"""Curves over the steps of an episode: title and what is shown."""

_REFERENCES = {"best_baseline": "the best that was not trained", "first": "the first", "control": "the control"}
"""What differences are to."""

_FIRST = 2
"""Recommenders whose reward stands on the first screen."""

Recommenders = Mapping[str, Mapping[str, Any]]
"""What is measured with one user split, by recommender."""

Splits = Mapping[str, Mapping[str, Any]]
"""What is measured, by user split."""


def report_of_evaluation(directory: Path) -> Report:
    """The report of an evaluation; errors as of :func:`read_evaluation`."""
    results = read_evaluation(directory)
    splits: Splits = results["user_splits"]
    last_name, last = list(splits.items())[-1]
    ranked = _best_first(last["recommenders"])
    headline = f"{evaluation_verdict(results, last_name, last)} {who_answers(results['answered_by'])}"
    report = Report("evaluation", f"{results.get('title', results['domain'])}: recommenders compared", headline)
    report.notes = [str(note) for note in results.get("notes", ())]
    if line := trust_line(results.get("trust"), last):
        report.notes.append(line)
    for name in ranked[:_FIRST]:
        reward = last["recommenders"][name]["metrics"]["mean_reward"]
        value, aside = f"{reward['estimate'] or 0.0:.1f}", f"{interval(reward, 1)}, {users_of(last_name)}"
        report.facts.append(Fact(f"reward of {name}", value, aside))
    report.facts.append(Fact("recommenders", str(len(ranked))))
    for name, one in splits.items():
        report.facts.append(Fact(users_of(name), f"{one['users']:,}", f"{counted(one['episodes'], 'episode')} each"))
    if results.get("usage"):
        report.facts.append(Fact("cost", dict(usage_rows(results["usage"]))["cost"]))
    if len(splits) > 1:
        report.sections.append(_side_by_side(splits, ranked, test_above_train(results)))
    report.sections += [_section(results, name, measured) for name, measured in reversed(list(splits.items()))]
    report.sections += [*usage_sections(results.get("usage")), _setup(directory, results)]
    return report


def read_evaluation(directory: Path) -> dict[str, Any]:
    """The results of an evaluation; a RunError where there are none, or it is not complete."""
    results = read_json(directory / RESULTS)
    check_format(directory / RESULTS, results, FORMAT)
    if not results.get("complete"):
        raise RunError(f"{directory} is not complete. {continue_with('evaluate', directory)}")
    return results


def drawing(wanted: bool) -> Callable[[Mapping[str, Any], Path], object]:
    """What draws the charts of an evaluation into a directory, which needs matplotlib; or what draws none."""
    if not wanted:
        return lambda results, directory: None
    need_matplotlib("drawing charts (--no-charts leaves them out)", "train")
    return draw_evaluation


def draw_evaluation(results: Mapping[str, Any], directory: Path) -> list[Path]:
    """Draw charts of what evaluation.json holds, the user splits beside each other; as :func:`draw_files`."""
    splits: Splits = results["user_splits"]
    order = _best_first(list(splits.values())[-1]["recommenders"])

    def panels(make: Callable[[str, Recommenders, Sequence[str]], Chart]) -> list[Chart]:
        made = {name: make(name, one["recommenders"], order) for name, one in splits.items()}
        return [replace(chart, title=f"{_title(name)}. {chart.title}") for name, chart in made.items()]

    return draw_files(
        {
            "reward": [_beside(splits, order, metric_named("mean_reward"))],
            "survival": panels(partial(_curve, "survival")),
            "reward_by_step": panels(partial(_curve, "reward")),
            "lists": [_beside(splits, order, metric) for metric in METRICS if metric.of_lists and metric.chart],
            "end_reasons": panels(_end_reasons),
        },
        directory,
    )


def _best_first(of: Recommenders) -> list[str]:
    return sorted(of, key=lambda name: -(of[name]["metrics"]["mean_reward"]["estimate"] or 0.0))


def _title(user_split: str) -> str:
    return users_of(user_split).capitalize()


def _beside(splits: Splits, order: Sequence[str], metric: Metric) -> Chart:
    """A metric of each recommender, the user splits beside each other."""
    series = [
        with_intervals(users_of(split), [one["recommenders"][name]["metrics"][metric.name] for name in order])
        for split, one in splits.items()
    ]
    return _rows(identifier("side-by-side", metric.name), metric, series, order)


def _rows(id_: str, metric: Metric, series: Sequence[Series], order: Sequence[str], of: str = "") -> Chart:
    """A metric of each recommender; ``of`` whom begins the caption."""
    title = metric.label.capitalize() if metric.label.islower() else metric.label
    axis = metric.label if metric.share or metric.unit in metric.label else f"{metric.label}, {metric.unit}"
    known = any(end is not None for one in series for end in one.low)
    better = f" {metric.better.capitalize()} is better." if metric.better else ""
    caption = f"{of}{_INTERVALS if known else _NO_INTERVAL}{better}"
    form: Form = "share" if metric.share else "number"
    return Chart(id_, "rows", title, caption, axis, "recommender", series, order, form=form)


def _side_by_side(splits: Splits, order: Sequence[str], tables: Sequence[Table]) -> Section:
    """Reward and share liked of each recommender, the user splits beside each other."""
    charts = [
        _beside(splits, order, metric_named(name))
        for name in ("mean_reward", "share_liked")
        if all(name in one["recommenders"][order[0]]["metrics"] for one in splits.values())
    ]
    title = " and ".join(map(users_of, splits)).capitalize()
    note = "For a recommender that learned from the train users, the gap is what does not carry over to others."
    return Section("side-by-side", title, note, charts, tables)


def _section(results: Mapping[str, Any], user_split: str, measured: Mapping[str, Any]) -> Section:
    of: Recommenders = measured["recommenders"]
    order = _best_first(of)
    metrics = [metric_named(name) for name in of[order[0]]["metrics"]]
    charts: dict[bool, list[Chart]] = {False: experiment_charts(results, user_split, measured), True: []}
    for metric in metrics:
        if metric.chart:
            series = [with_intervals(metric.label, [of[name]["metrics"][metric.name] for name in order])]
            chart = _rows(identifier(user_split, metric.name), metric, series, order, f"{_title(user_split)}. ")
            charts[metric.of_lists].append(chart)
    if of[order[0]]["end_reasons"]:
        charts[False].append(_end_reasons(user_split, of, order))
    for curve in _CURVES:
        if all(of[name].get("curves", {}).get(curve) for name in order):
            charts[False].append(_curve(curve, user_split, of, order))
    note = "In brackets are 95 % intervals over users, none for coverage and Gini; @10 is an episode's first ten items."
    tables = [*experiment_tables(results, measured), _metrics("All metrics", of, order, metrics, note, _value)]
    if "regret" in measured:
        tables.append(_regret(measured["regret"], order))
    by_reference = {one["reference"]: (kind, one) for kind, one in reversed(measured.get("differences", {}).items())}
    for kind, differences in reversed(by_reference.values()):
        above: Recommenders = differences["recommenders"]
        title = f"Above {_REFERENCES.get(kind, kind)}, {differences['reference']!r}"
        if shown := [name for name in order if name in above]:
            note = "Differences in the same episodes, of the same resamples of users."
            tables.append(_metrics(title, above, shown, metrics, note, difference))
    counts_of = [(name, counts_in_words(counts)) for name in order if (counts := of[name].get("policy_counts"))]
    if counts_of:
        tables.append(Table("Counted by recommenders themselves", ("recommender", "counts"), counts_of))
    note = f"{counted(measured['users'], 'user')}, {counted(measured['episodes'], 'episode')} with each recommender."
    if len(results["user_splits"]) > 1:  # else it is the headline
        note += f" {evaluation_verdict(results, user_split, measured)}"
    id_ = identifier("user_split", user_split)
    return Section(id_, _title(user_split), note, charts[False] + charts[True], tables)


_REGRET = ("mean_reward", "mean_rating", "share_liked")
"""Metrics in which the regret is shown."""


def _regret(regret: Mapping[str, Any], order: Sequence[str]) -> Table:
    of: Recommenders = regret["recommenders"]
    shown = [metric_named(name) for name in _REGRET]
    rows = [
        (one, *(difference(metric, of[one]["metrics"][metric.name]) for metric in shown)) for one in order if one in of
    ]
    caption = (
        f"What {regret['oracle']!r} has above each, in the same episodes. It knows each user's expected "
        "ratings now and recommends the best: what there is to gain. It looks one rating ahead: it is no upper bound."
    )
    return Table("Regret", ("recommender", *(metric.label for metric in shown)), rows, caption)


_END_REASON = Metric("end_reason", "ended", "share of the episodes with an end reason", unit="%", decimals=1)


def _value(metric: Metric, estimate: Mapping[str, Any]) -> str:
    return with_ends(estimate, metric.written)


def _metrics(
    title: str,
    of: Recommenders,
    order: Sequence[str],
    metrics: Sequence[Metric],
    caption: str,
    cell: Callable[[Metric, Mapping[str, Any]], str],
) -> Table:
    """A row for each metric and each end reason, as there are more of them than recommenders."""
    rows = [(one.label, *(cell(one, of[name]["metrics"][one.name]) for name in order)) for one in metrics]
    for reason in of[order[0]]["end_reasons"]:
        shares = (cell(_END_REASON, of[name]["end_reasons"][reason]) for name in order)
        rows.append((f"ended: {END_REASONS.get(reason, reason)}", *shares))
    return Table(title, ("metric", *order), rows, caption)


def _end_reasons(user_split: str, of: Recommenders, order: Sequence[str]) -> Chart:
    series = [
        with_intervals(END_REASONS.get(reason, reason), [of[name]["end_reasons"][reason] for name in order])
        for reason in of[order[0]]["end_reasons"]
    ]
    id_, axes = identifier(user_split, "end-reasons"), ("share of episodes", "recommender")
    caption = f"{_title(user_split)}: share of episodes by end reason. {_INTERVALS}"
    return Chart(id_, "rows", "End reasons", caption, *axes, series, order, form="share")


def _curve(curve: str, user_split: str, of: Recommenders, order: Sequence[str]) -> Chart:
    series = []
    for name in order:
        points = {
            step: one for step, one in enumerate(of[name]["curves"][curve], start=1) if one["estimate"] is not None
        }
        if points:  # who never recommended anything has none
            series.append(with_intervals(name, list(points.values()), list(points)))
    bands = (
        "Bands are 95 % bootstrap intervals over users."
        if len(order) <= BANDS
        else "95 % bootstrap intervals over users stand in the table; bands of so many lines would overlap."
    )
    (title, shown), id_, caption = _CURVES[curve], identifier(user_split, curve), f"{_title(user_split)}. {bands}"
    share: dict[str, Any] = {"form": "share", "y_range": (0.0, 1.0)} if curve == "survival" else {}
    return Chart(id_, "lines", title, caption, "step of the episode", shown, series, **share)


def _setup(directory: Path, results: Mapping[str, Any]) -> Section:
    tables = [Table("Configuration", ("option", "value"), flat(results["config"]))]
    rows = [(one["name"], str(one.get("policy")), str(one.get("model") or "none")) for one in results["recommenders"]]
    tables.append(Table("Recommenders", ("name", "policy", "model"), rows))
    for title, key in (("Versions", "versions"), ("Measured with", "measured_with")):
        if results.get(key):
            tables.append(Table(title, ("package", "version"), flat(results[key])))
    runs = [
        (f"{name}, {users_of(user_split)}", typed("report", directory / one["run"]))
        for user_split, measured in results["user_splits"].items()
        for arm, values in measured["recommenders"].items()
        for name, one in values.get("trainings", {arm: values}).items()
        if one.get("run")
    ]
    if runs:
        caption = "Each recommender met each group of users in a run of its own, which has a report of its own."
        tables.append(Table("The episodes behind these metrics", ("run", "command"), runs, caption))
    return Section("setup", "What was run", f"Made {results.get('created')}.", tables=tables)
