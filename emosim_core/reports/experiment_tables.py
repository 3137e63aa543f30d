"""What an evaluation with arms says beside its metrics: differences to the control, guards, segments, trainings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from emosim_core.evaluation.experiment import FEW_USERS
from emosim_core.evaluation.metrics import Metric, metric_named
from emosim_core.evaluation.verdict import written_difference
from emosim_core.reports.chart import Chart, Form, Table, identifier, with_ends, with_intervals
from emosim_core.runs.words import users_of


def experiment_tables(results: Mapping[str, Any], measured: Mapping[str, Any]) -> list[Table]:
    """The tables of an experiment for one user split; of what is none, that of recommenders of several trainings."""
    about = results.get("experiment")
    metric = metric_named("mean_reward" if about is None else about["metric"])
    tables = (
        (_trainings(metric, measured["recommenders"]),)
        if about is None
        else (
            _arms(about, metric, measured),
            _guards(about["control"], measured["experiment"]["arms"]),
            _segments(about["control"], metric, measured["experiment"]["segments"]),
            _trainings(metric, measured["recommenders"]),
        )
    )
    return [table for table in tables if table.rows]


def experiment_charts(results: Mapping[str, Any], user_split: str, measured: Mapping[str, Any]) -> list[Chart]:
    """The differences to the control, of all users and by segment; none where the evaluation is no experiment."""
    about = results.get("experiment")
    if about is None:
        return []
    metric, control = metric_named(about["metric"]), about["control"]
    above = measured["differences"]["control"]["recommenders"]
    segments = measured["experiment"]["segments"]
    names = ["all users", *map(_segment_name, segments)]
    series = [
        with_intervals(arm, [one["metrics"][metric.name], *(segment["differences"][arm] for segment in segments)])
        for arm, one in above.items()
    ]
    title, axis = f"Above {control!r}", f"{metric.label} above {control!r}"
    caption = (
        f"{users_of(user_split).capitalize()}: {axis}, with all users and by segment. Thin lines are 95 % bootstrap "
        "intervals over users."
    )
    form: Form = "share" if metric.share else "number"
    return [Chart(identifier(user_split, title), "rows", title, caption, axis, "users", series, names, form=form)]


def test_above_train(results: Mapping[str, Any]) -> list[Table]:
    """The differences to the control with train users beside those with test users; none without both."""
    about, splits = results.get("experiment") or {}, results["user_splits"]
    if "test_above_train" not in about:
        return []
    metric = metric_named(about["metric"])
    columns = [f"{splits[split]['users']:,} {users_of(split)}" for split in _SPLITS]
    rows = []
    for arm, apart in about["test_above_train"].items():
        above = [splits[split]["differences"]["control"]["recommenders"][arm]["metrics"] for split in _SPLITS]
        estimates = [*(one[metric.name] for one in above), apart]
        rows.append((arm, *(difference(metric, one) for one in estimates)))
    caption = f"{metric.label.capitalize()} above {about['control']!r}. Recommenders learn from the train users alone."
    return [Table("Test users beside train users", ("arm", *columns, "test above train"), rows, caption)]


_SPLITS = ("train", "test")


def _arms(about: Mapping[str, Any], metric: Metric, measured: Mapping[str, Any]) -> Table:
    control, of = about["control"], measured["recommenders"]
    above = measured["differences"]["control"]["recommenders"]
    rows = [(control, with_ends(of[control]["metrics"][metric.name], metric.written), "", "", "")]
    for arm, one in measured["experiment"]["arms"].items():
        smallest, test = one["smallest_difference"].get(metric.name), one["live_test"]
        rows.append(
            (
                arm,
                with_ends(of[arm]["metrics"][metric.name], metric.written),
                difference(metric, above[arm]["metrics"][metric.name]),
                "-" if smallest is None else written_difference(metric, smallest).lstrip("+"),
                _users(test),
            )
        )
    effect = about["effect"]
    wanted = (
        "the measured difference (in brackets: the ends of its interval)"
        if effect is None
        else f"a difference of {written_difference(metric, effect).lstrip('+')}"
    )
    caption = (
        f"Smallest difference: what {measured['users']:,} users like these, who meet every arm, show in 80 % of "
        "experiments (two-sided, 5 %). Users of a live test: an estimate, from how simulated users vary, of how many a "
        f"test needs in which each user meets one of two arms, to show {wanted} as surely."
    )
    columns = ("arm", metric.label, f"above {control!r}", "smallest difference", "users of a live test")
    return Table(f"{metric.label.capitalize()} of the arms", columns, rows, caption)


def _users(test: Mapping[str, Any]) -> str:
    if test["users"] is None:
        return "-"
    least, most = test["at_least"], test["at_most"]
    if least is None:
        return f"{test['users']:,}"
    return f"{test['users']:,} ({least:,} {'or more' if most is None else f'to {most:,}'})"


def _guards(control: str, arms: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = []
    for arm, one in arms.items():
        for guard in one["guards"]:
            metric = metric_named(guard["metric"])
            margin = written_difference(metric, guard["margin"]).lstrip("+")
            rows.append((arm, metric.label, difference(metric, guard["difference"]), margin, guard["verdict"]))
    caption = f"No worse: the 95 % interval leaves out that the arm is worse than {control!r} by more than the margin."
    return Table("Guards", ("arm", "metric", f"above {control!r}", "margin", "verdict"), rows, caption)


def _segments(control: str, metric: Metric, segments: list[Mapping[str, Any]]) -> Table:
    arms = list(segments[0]["differences"]) if segments else []
    rows = [
        (
            _segment_name(one),
            f"{one['users']:,}{' (few)' if one['small'] else ''}",
            *(difference(metric, one["differences"][arm]) for arm in arms),
        )
        for one in segments
    ]
    caption = (
        f"{metric.label.capitalize()} above {control!r}. Of {len(rows)} segments, some differ by chance; few: under "
        f"{FEW_USERS} users."
    )
    return Table("Segments", ("segment", "users", *arms), rows, caption)


def _segment_name(segment: Mapping[str, Any]) -> str:
    return f"{segment['trait']}: {segment['name']}"


def _trainings(metric: Metric, of: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = []
    for arm, one in of.items():
        if "trainings" in one:
            spread = one["spread"][metric.name]
            ends = (
                "-" if spread[key] is None else metric.written(spread[key])
                for key in ("deviation", "lowest", "highest")
            )
            mean = with_ends(one["metrics"][metric.name], metric.written)
            rows.append((arm, str(len(one["trainings"])), mean, *ends))
    caption = (
        "Mean over trainings; its interval counts users and trainings. Spread: standard deviation between trainings."
    )
    columns = ("arm", "trainings", metric.label, "spread", "lowest", "highest")
    return Table("Several trainings", columns, rows, caption)


def difference(metric: Metric, estimate: Mapping[str, Any]) -> str:
    """A difference with the ends of its interval; of shares in percentage points."""
    text = with_ends(estimate, partial(written_difference, metric))
    return f"{text.replace(' pp', '')} pp" if metric.share and text != "-" else text
