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

Variants = Mapping[str, Mapping[str, Any]]
"""What is measured, by who answers."""


def report_of_validation(directory: Path) -> Report:
    """The report of a validation; errors as of :func:`read_validation`."""
    manifest, results = read_validation(directory)
    targets, groups = results["targets"], results["user_splits"]
    headline = f"{who_answers(manifest['answered_by'])} Ratings of real users: {results['config']['ratings']}."
    if targets:
        headline += f" {sum(one['holds'] for one in targets)} of {len(targets)} targets hold."
    report = Report(KIND, str(results["title"]), headline)
    rows = []
    for one in targets:
        reached, interval_, wanted = decimal(one["estimate"], 3), interval(one, 3), f"{one['side']} {one['bound']:g}"
        rows.append((one["target"], one["user_split"], reached, interval_, wanted, holds(one)))
        if one["user_split"] == next(iter(groups)):
            report.facts.append(Fact(one["target"], reached, f"{wanted}: {holds(one)}; {interval_}"))
    failed, rated = (sum(one[of] for one in groups.values()) for of in ("failed_ratings", "heldout_ratings"))
    report.facts.append(Fact("failed ratings", f"{failed:,}", f"of {rated:,} held-out ratings"))
    if rows:
        columns = ("target", "users", "reached", "interval", "wanted", "result")
        caption = "Nothing was tuned on the measured users; the test users are measured in the end only."
        table = Table("What should be reached", columns, rows, caption)
        report.sections.append(Section("targets", "Targets", tables=[table]))
    report.sections += [_section(user_split, measured, manifest) for user_split, measured in groups.items()]
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


def holds(one: Mapping[str, Any]) -> str:
    """Whether what should hold does, in words."""
    return "holds" if one["holds"] else "does not hold"


def _section(user_split: str, measured: Mapping[str, Any], manifest: Mapping[str, Any]) -> Section:
    choices, distribution = measured["choices"], measured["distribution"]
    distances: Variants = distribution["variants"]

    def rows(
        id_: str, title: str, about: str, x: str, by_name: Variants, keys: Mapping[str, str], **more: Any
    ) -> Chart:
        """Estimates by variant; ``keys`` has that of each series by its name in the legend."""
        series = [with_intervals(name, [one[key] for one in by_name.values()]) for name, key in keys.items()]
        caption = f"{about} {_INTERVALS}"
        return Chart(identifier(user_split, id_), "rows", title, caption, x, "variant", series, list(by_name), **more)

    charts = []
    about = "By how many were not chosen for each that was; 'matched' are as popular as what was."
    chosen = [
        name for name in next(iter(choices.values())) if all("auc" in of.get(name, {}) for of in choices.values())
    ]
    for key, title in _TESTS:
        by_name = {name: {test: of[name][key] for test, of in choices.items()} for name in chosen}
        x, title = title.lower() if key != "f1" else title, f"{title}: telling what was chosen"
        charts.append(
            rows(f"choices-{key}", title, about, x, by_name, {test: test for test in choices}, y_range=(0.0, 1.0))
        )
    about = "How far answers are from what users really gave; less is better."
    errors = {"RMSE": "rmse", "MAE": "mae"}
    charts.append(rows("errors", "Errors of held-out ratings", about, "stars of 5", measured["ratings"], errors))
    charts.append(
        Chart(
            identifier(user_split, "distribution"),
            "bars",
            "Ratings, beside the real ones",
            f"All held-out ratings. Total variation distance {_cell(distances[_SIMULATED]['total_variation'])}.",
            "rating",
            "share of ratings",
            [
                Series(name, distribution["shares"][name])
                for name in (_SIMULATED, _REAL)
                if name in distribution["shares"]
            ],
            [f"{level:g}" for level in manifest["levels"]],
            form="share",
        )
    )
    about = "Total variation distance from the real distribution; less is better."
    title, x = "Distance of the distributions", "total variation distance"
    keys = {"all ratings": "total_variation", "user by user": "total_variation_per_user"}
    charts.append(rows("total-variation", title, about, x, distances, keys))
    about = "The first items of each recommender."
    for key, title, x in (
        ("mean_rating", "What recommenders earn", "mean rating"),
        ("episode_length", "How long users stay", "steps"),
    ):
        by_name = {name: {x: one} for name, one in measured["recommenders"][key].items()}
        charts.append(rows(key, title, about, x, by_name, {x: x}))
    tables = [_by_name(f"Telling what was chosen, {test}", of, _HEADINGS) for test, of in choices.items()]
    caption = "Total variation in shares, Wasserstein in stars of 5; with 95 % intervals over users."
    headings = {key: key.replace("_", " ") for key in next(iter(distances.values()))}
    tables.append(_by_name("Distances from the real ratings", distances, headings, caption))
    tables += [_apart(measured["between_users"]), _activity(measured)]
    caption = f"{measured['users']:,} users, {measured['heldout_ratings']:,} held-out ratings."
    return Section(identifier("users", user_split), f"{user_split.capitalize()} users", caption, charts, tables)


def _by_name(title: str, variants: Variants, headings: Mapping[str, str], caption: str = "") -> Table:
    """What is measured of each variant."""
    keys = list(dict.fromkeys(key for metrics in variants.values() for key in metrics))
    rows = [(name, *(_cell(metrics.get(key)) for key in keys)) for name, metrics in variants.items()]
    return Table(title, ("variant", *(headings.get(key, key) for key in keys)), rows, caption)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        text = decimal(value["estimate"], 3)
        return (
            text if value.get("low") is None else f"{text} ({decimal(value['low'], 3)} to {decimal(value['high'], 3)})"
        )
    return decimal(value, 3) if value is None or isinstance(value, int | float) else str(value)


def _apart(spreads: Mapping[str, Any]) -> Table:
    keys = list(spreads[_REAL])
    rows = [(name, *(_cell(spreads[name][key]) for key in keys)) for name in (_REAL, _SIMULATED)]
    rest = [
        f"{key.replace('_', ' ')} {decimal(value, 3)}"
        for key, value in spreads.items()
        if not isinstance(value, Mapping)
    ]
    columns = ("users", *(key.replace("_", " ") for key in keys))
    return Table("How users differ", columns, rows, f"In stars of 5. {'; '.join(rest)}.")


def _activity(measured: Mapping[str, Any]) -> Table:
    activity, order = measured["activity"], measured["recommenders"]
    rows = [("activity alone moves the mean rating, points of 10", _cell(activity["shift"]), holds(activity))]
    for one in order["differences"]:
        rows.append((f"{one['better']} above {one['than']}", _cell(one["difference"]), holds(order)))
    return Table("Activity and order", ("what", "difference", "result"), rows)
