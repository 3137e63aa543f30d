"""The report of a validation: simulated users beside real ones, each measure with its baselines and intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emosim_core.errors import RunError
from emosim_core.reports.chart import Chart, Series, Table, identifier, with_intervals
from emosim_core.reports.report import Fact, Report, Section, interval, setup_tables, usage_tables
from emosim_core.runs.reading import check_format
from emosim_core.runs.records import FORMAT, MANIFEST, read_json
from emosim_core.runs.words import decimal, who_answers

KIND = "validation"
RESULTS = "validation.json"

_SIMULATED = "simulated users"
_REAL = "real"
_INTERVALS = "Thin lines are 95 % intervals over users."
_HEADINGS = {"f1": "F1", "auc": "area under the curve"}
_TESTS = (("accuracy", "Accuracy"), ("f1", "F1"), ("auc", "Area under the curve"))


def report_of_validation(directory: Path) -> Report:
    """The report of a validation; errors as of :func:`read_validation`."""
    manifest, results = read_validation(directory)
    targets, groups = results["targets"], results["user_splits"]
    held = sum(one["holds"] for one in targets)
    headline = who_answers(manifest["answered_by"])
    headline += f" Ratings of real users: {results['config']['ratings']}."
    if targets:
        headline += f" {held} of {len(targets)} targets hold."
    report = Report(KIND, str(results["title"]), headline)
    first = next(iter(groups))
    report.facts = [
        Fact(one["target"], decimal(one["estimate"], 3), f"{_bound(one)}: {_holds(one)}; {interval(one, 3)}")
        for one in targets
        if one["user_split"] == first
    ]
    failed = sum(one["failed_ratings"] for one in groups.values())
    rated = sum(one["heldout_ratings"] for one in groups.values())
    report.facts.append(Fact("failed ratings", f"{failed:,}", f"of {rated:,} held-out ratings"))
    if targets:
        rows = [
            (one["target"], one["user_split"], decimal(one["estimate"], 3), interval(one, 3), _bound(one), _holds(one))
            for one in targets
        ]
        columns = ("target", "users", "reached", "interval", "wanted", "result")
        caption = "Nothing was tuned on the measured users; the test users are measured in the end only."
        report.sections.append(
            Section("targets", "Targets", tables=[Table("What should be reached", columns, rows, caption)])
        )
    for user_split, measured in groups.items():
        report.sections.append(_section(user_split, measured, manifest))
    tables = [*usage_tables(manifest.get("usage")), *setup_tables(manifest)]
    caption = f"Made {manifest.get('created')}. Every answer is on record."
    report.sections.append(Section("setup", "What was run", caption, tables=tables))
    return report


def read_validation(directory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest and the results of a validation.

    Raises:
        RunError: the directory holds no validation that has come to its end.
    """
    manifest = read_json(directory / MANIFEST)
    check_format(directory / MANIFEST, {"format": 1, **manifest}, FORMAT)
    if not (directory / RESULTS).exists():
        raise RunError(
            f"{directory} has no {RESULTS}: the validation did not come to its end. Give its command again, with "
            "another --out"
        )
    return manifest, read_json(directory / RESULTS)


def _bound(one: Mapping[str, Any]) -> str:
    return f"{one['side']} {one['bound']:g}"


def _holds(one: Mapping[str, Any]) -> str:
    return "holds" if one["holds"] else "does not hold"


def _rows(
    user_split: str, id_: str, title: str, caption: str, x: str, variants: Mapping[str, Any], series: list[Series]
) -> Chart:
    return Chart(
        identifier(user_split, id_),
        "rows",
        title,
        f"{caption} {_INTERVALS}",
        x,
        "variant",
        series,
        list(variants),
    )


def _section(user_split: str, measured: Mapping[str, Any], manifest: Mapping[str, Any]) -> Section:
    charts = _choices(user_split, measured["choices"])
    errors = measured["ratings"]
    series = [
        with_intervals(name, [one[key] for one in errors.values()]) for name, key in (("RMSE", "rmse"), ("MAE", "mae"))
    ]
    charts.append(
        _rows(
            user_split,
            "errors",
            "Errors of held-out ratings",
            "How far answers are from what users really gave; less is better.",
            "stars of 5",
            errors,
            series,
        )
    )
    charts += _distribution(user_split, measured["distribution"], manifest)
    charts += _recommenders(user_split, measured["recommenders"])
    caption = f"{measured['users']:,} users, {measured['heldout_ratings']:,} held-out ratings."
    return Section(
        identifier("users", user_split),
        f"{user_split.capitalize()} users",
        caption,
        charts,
        [
            *_tables(measured["choices"]),
            _distances(measured["distribution"]["variants"]),
            _apart(measured["between_users"]),
            _activity(measured),
        ],
    )


def _choices(user_split: str, tests: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Chart]:
    """Whether users tell what they chose from what they did not, one metric for each measure."""
    charts = []
    names = [
        name
        for name in next(iter(tests.values()))
        if all("auc" in variants.get(name, {}) for variants in tests.values())
    ]
    for key, title in _TESTS:
        series = [with_intervals(test, [variants[name][key] for name in names]) for test, variants in tests.items()]
        charts.append(
            Chart(
                identifier(user_split, "choices", key),
                "rows",
                f"{title}: telling what was chosen",
                f"By how many were not chosen for each that was; 'matched' are as popular as what was. {_INTERVALS}",
                title.lower() if key != "f1" else title,
                "variant",
                series,
                names,
                y_range=(0.0, 1.0),
            )
        )
    return charts


def _tables(tests: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Table]:
    tables = []
    for test, variants in tests.items():
        keys = list(dict.fromkeys(key for metrics in variants.values() for key in metrics))
        rows = [(name, *(_cell(metrics.get(key)) for key in keys)) for name, metrics in variants.items()]
        columns = ("variant", *(_HEADINGS.get(key, key) for key in keys))
        tables.append(Table(f"Telling what was chosen, {test}", columns, rows))
    return tables


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        if value.get("low") is None:
            return decimal(value["estimate"], 3)
        return f"{decimal(value['estimate'], 3)} ({decimal(value['low'], 3)} to {decimal(value['high'], 3)})"
    return decimal(value, 3) if value is None or isinstance(value, int | float) else str(value)


def _distribution(user_split: str, distribution: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[Chart]:
    shares = distribution["shares"]
    shown = [name for name in (_SIMULATED, _REAL) if name in shares]
    variants = distribution["variants"]
    near = variants[_SIMULATED]["total_variation"]
    return [
        Chart(
            identifier(user_split, "distribution"),
            "bars",
            "Ratings, beside the real ones",
            f"All held-out ratings. Total variation distance {_cell(near)}.",
            "rating",
            "share of ratings",
            [Series(name, shares[name]) for name in shown],
            [f"{level:g}" for level in manifest["levels"]],
            form="share",
        ),
        _rows(
            user_split,
            "total-variation",
            "Distance of the distributions",
            "Total variation distance from the real distribution; less is better.",
            "total variation distance",
            variants,
            [
                with_intervals("all ratings", [one["total_variation"] for one in variants.values()]),
                with_intervals("user by user", [one["total_variation_per_user"] for one in variants.values()]),
            ],
        ),
    ]


def _distances(variants: Mapping[str, Mapping[str, Any]]) -> Table:
    keys = list(next(iter(variants.values())))
    rows = [(name, *(_cell(metrics.get(key)) for key in keys)) for name, metrics in variants.items()]
    caption = "Total variation in shares, Wasserstein in stars of 5; with 95 % intervals over users."
    return Table(
        "Distances from the real ratings", ("variant", *(key.replace("_", " ") for key in keys)), rows, caption
    )


def _recommenders(user_split: str, recommenders: Mapping[str, Any]) -> list[Chart]:
    charts = []
    for key, title, x in (
        ("mean_rating", "What recommenders earn", "mean rating"),
        ("episode_length", "How long users stay", "steps"),
    ):
        variants = recommenders[key]
        caption = "The first items of each recommender."
        charts.append(_rows(user_split, key, title, caption, x, variants, [with_intervals(x, list(variants.values()))]))
    return charts


def _apart(spreads: Mapping[str, Any]) -> Table:
    keys = list(spreads[_REAL])
    rows = [(name, *(_cell(spreads[name][key]) for key in keys)) for name in (_REAL, _SIMULATED)]
    rest = {key: value for key, value in spreads.items() if not isinstance(value, Mapping)}
    caption = (
        "In stars of 5. "
        + "; ".join(f"{key.replace('_', ' ')} {decimal(value, 3)}" for key, value in rest.items())
        + "."
    )
    return Table("How users differ", ("users", *(key.replace("_", " ") for key in keys)), rows, caption)


def _activity(measured: Mapping[str, Any]) -> Table:
    activity, order = measured["activity"], measured["recommenders"]
    rows = [("activity alone moves the mean rating, points of 10", _cell(activity["shift"]), _holds(activity))]
    rows += [
        (f"{one['better']} above {one['than']}", _cell(one["difference"]), _holds(order))
        for one in order["differences"]
    ]
    return Table("Activity and order", ("what", "difference", "result"), rows)
