"""The report of a validation: simulated users beside real ones, each measure with its baselines and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emosim_core.reports.chart import Chart, Series, Table, identifier, with_ends, with_intervals
from emosim_core.reports.report import Fact, Report, Section, interval, read_results, setup_tables, usage_sections
from emosim_core.runs.words import decimal, who_answers

RESULTS = "validation.json"

_SIMULATED = "simulated users"
_REAL = "real"
_INTERVALS = "Thin lines are 95 % intervals over users."
_TESTS = (("accuracy", "Accuracy"), ("f1", "F1"), ("auc", "Area under the curve"))

Variants = Mapping[str, Mapping[str, Any]]
"""What is measured, by who answers."""


def report_of_validation(directory: Path) -> Report:
    """The report of a validation; errors as of :func:`read_results`."""
    manifest, results = read_results(directory, "validate", RESULTS)
    targets, groups = results["targets"], results["user_splits"]
    headline = f"{who_answers(manifest['answered_by'])} Ratings of real users: {results['config']['ratings']}."
    if targets:
        headline += f" {sum(one['holds'] for one in targets)} of {len(targets)} targets hold."
    report = Report("validation", str(results["title"]), headline)
    for one in targets:
        if one["user_split"] == next(iter(groups)):
            aside = f"{one['side']} {one['bound']:g}: {holds(one)}; {interval(one, 3)}"
            report.facts.append(Fact(one["target"], decimal(one["estimate"], 3), aside))
    failed, rated = (sum(one[of] for one in groups.values()) for of in ("failed_ratings", "heldout_ratings"))
    report.facts.append(Fact("failed ratings", f"{failed:,}", f"of {rated:,} held-out ratings"))
    if targets:
        caption = "Nothing was tuned on the measured users; the test users are measured in the end only."
        report.sections.append(Section("targets", "Targets", caption, tables=[targets_table(results)]))
    report.sections += [_section(user_split, measured, manifest) for user_split, measured in groups.items()]
    caption = f"Made {manifest.get('created')}. Every answer is on record."
    setup = Section("setup", "What was run", caption, tables=setup_tables(manifest))
    report.sections += [*usage_sections(manifest.get("usage")), setup]
    return report


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
    caption = f"{measured['users']:,} users, {measured['heldout_ratings']:,} held-out ratings, "
    caption += f"{measured['failed_ratings']:,} of them failed. Intervals are 95 %, over users."
    return Section(
        identifier("users", user_split), f"{user_split.capitalize()} users", caption, charts, tables_of(measured)
    )


def targets_table(results: Mapping[str, Any]) -> Table:
    """What should be reached, and what was, on the screen and on the page."""
    rows = [
        (one["target"], one["user_split"], _cell(one), f"{one['side']} {one['bound']:.2f}", holds(one))
        for one in results["targets"]
    ]
    return Table("Targets", ("measure", "users", "reached", "target", "result"), rows)


def tables_of(measured: Mapping[str, Any]) -> list[Table]:
    """What is measured with one user split, on the screen and on the page."""
    rows: list[Sequence[str]]
    rows = [(name, _cell(errors["rmse"]), _cell(errors["mae"])) for name, errors in measured["ratings"].items()]
    columns: tuple[str, ...] = ("variant", "root mean squared error", "mean absolute error")
    tables = [Table("Held-out ratings, in stars of 5", columns, rows)]
    for test, variants in measured["choices"].items():
        rows = []
        for name, values in variants.items():
            if "auc" in values:
                short = (f"{values[one]['estimate'] or 0:.3f}" for one in ("precision", "recall"))
                rows.append((name, _cell(values["accuracy"]), *short, _cell(values["f1"]), _cell(values["auc"])))
            else:
                rows.append((name, _bare(values["accuracy"]), *[""] * 4))
        title = f"Telling what was chosen from other items, {test}"
        if test == "matched":
            title = "Telling what was chosen from as many items matched in popularity"
        tables.append(Table(title, ("variant", "accuracy", "precision", "recall", "F1", "area under the curve"), rows))
    distances = ("total_variation", "wasserstein")
    rows = [
        (
            *(name, *(_cell(values[one]) for one in distances)),
            *(f"{values[f'{one}_per_user']['estimate']:.3f}" for one in distances),
        )
        for name, values in measured["distribution"]["variants"].items()
    ]
    columns = ("variant", "total variation", "Wasserstein", "per user", "Wasserstein per user")
    title = "Distance of the distribution of ratings from the real one (total variation; Wasserstein in stars)"
    tables.append(Table(title, columns, rows))
    between = measured["between_users"]
    rows = [
        (
            *(name, _cell(values["mean_of_means"]), _bare(values["spread_of_means"])),
            *(_cell(values["mean_of_spreads"]), _bare(values["spread_of_spreads"])),
        )
        for name, values in between.items()
        if isinstance(values, Mapping)
    ]
    apart = [
        f"{what}: Wasserstein {_bare(between[f'wasserstein_of_{what}'])}, "
        f"correlation {_bare(between[f'correlation_of_{what}'])}"
        for what in ("means", "spreads")
    ]
    columns = ("users", "mean of means", "spread of means", "mean of spreads", "spread of spreads")
    tables.append(Table("How users differ, in stars of 5", columns, rows, f"{'; '.join(apart)}."))
    earned, activity = measured["recommenders"], measured["activity"]
    lengths = earned["episode_length"]
    rows = [(name, _cell(mean, 2), _cell(lengths[name], 1)) for name, mean in earned["mean_rating"].items()]
    rows += [(f"{one['better']} - {one['than']}", _cell(one["difference"], 2), "") for one in earned["differences"]]
    rows += [
        ("random < popular < matrix factorization", holds(earned), ""),
        ("raised activity moves the mean by, of 10", _cell(activity["shift"]), ""),
        ("  at most 0.5", holds(activity), ""),
    ]
    columns = ("recommender", "mean rating", "episode length")
    return [*tables, Table("Recommenders: the first items of each", columns, rows)]


def _cell(estimated: Mapping[str, Any], digits: int = 3) -> str:
    """An estimate with its interval."""
    return with_ends(estimated, f"{{:.{digits}f}}".format)


def _bare(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
