"""The report of a validation: simulated users beside the best simple models, each measure with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emosim_core.kinds import KINDS, VALIDATION
from emosim_core.reports.chart import Chart, Series, Table, identifier, with_ends, with_intervals
from emosim_core.reports.report import Fact, Report, Section, read_results, setup_tables, usage_sections
from emosim_core.runs.words import rating_shares, warnings_of_answers
from emosim_core.studies.validation.users import LEAST_KNOWN
from emosim_core.terminal import counted

RESULTS = KINDS[VALIDATION].results

_SIMULATED = "simulated users"
_INTERVALS = "Intervals are 95 %, over users."


def report_of_validation(directory: Path) -> Report:
    """The report of a validation; errors as of :func:`read_results`."""
    manifest, results = read_results(directory, "validate", RESULTS)
    report = Report("validation", str(results["title"]), str(results["sentence"]))
    report.notes += [*notes_of(results), *_answer_notes(results, manifest)]
    report.facts.append(Fact("users", f"{results['users']:,}", f"{results['left_out']:,} more left out"))
    report.facts.append(Fact("rater", manifest["answered_by"]))
    if "ratings" in results:
        failed, rated = results["failed_ratings"], results["heldout_ratings"]
        report.facts.append(Fact("failed ratings", f"{failed:,}", f"of {rated:,} held-out ratings"))
    caption, table = _how_to_read(results), comparison(results)
    report.sections.append(Section("comparison", "Beside the baselines", caption, tables=[table]))
    if "choices" in results:
        report.sections.append(_choices(results))
    if "ratings" in results:
        report.sections.append(_ratings(results, manifest))
    caption = f"Made {manifest.get('created')}. Every answer is on record."
    setup = Section("setup", "What was run", caption, tables=setup_tables(manifest))
    report.sections += [*usage_sections(manifest.get("usage")), setup]
    return report


def notes_of(results: Mapping[str, Any]) -> list[str]:
    """What limits the results, in sentences."""
    notes, data = [], results["data"]
    if left_out := results["left_out"]:
        notes.append(
            f"{left_out:,} of {left_out + results['users']:,} users are in no table: when their later interactions "
            f"begin, fewer than {LEAST_KNOWN} training users are known."
        )
    if not data["times"]:
        notes.append("The log has no times: each user's log is split at random, and nothing here is about time.")
    if not data["explicit"]:
        notes.append("The log has no ratings: only choices are measured.")
    if equal := _telling_nothing(results.get("choices", {})):
        notes.append(f"Baselines that score all items alike, for want of anything to tell them by: {', '.join(equal)}.")
    return notes


def _telling_nothing(tests: Mapping[str, Any]) -> list[str]:
    """Baselines of choices whose area is .5 of every user in every test."""
    first = [next(iter(one["ratios"].values())) for one in tests.values()]
    return [
        name
        for name in next(iter(first), {})
        if name != _SIMULATED
        and all("auc" in one[name] and [*one[name]["auc"].values()] == [0.5, 0.5, 0.5] for one in first)
    ]


def _how_to_read(results: Mapping[str, Any]) -> str:
    """What the numbers of the comparison are."""
    tests, sentences, favorable = results.get("choices", {}), [], []
    if tests:
        ratio = next(iter(next(iter(tests.values()))["ratios"]))
        sentences.append(
            f"AUC is how often an item that a user chose scores above a candidate, {ratio}; 0.5 is chance, and more is "
            "better."
        )
        favorable.append("an AUC above 0")
    if "ratings" in results:
        sentences.append("RMSE is of held-out ratings; less is better.")
        favorable.append("an RMSE below 0")
    if favorable:
        verb = "speaks" if len(favorable) == 1 else "speak"
        sentences.append(
            f"Differences are of the same users: {' and '.join(favorable)} {verb} for the simulated users. {_INTERVALS}"
        )
    return " ".join(sentences)


def _answer_notes(results: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[str]:
    """How the ratings of a language model are distributed, and what is wrong with them as a whole."""
    counts = results.get("rating_counts")
    if not results["uses_llm"] or not counts:
        return []
    usage = {**(manifest.get("usage") or {}), **results["expected"]}
    warnings = warnings_of_answers(counts, results["failed_ratings"], usage)
    return [f"Distribution of the answers: {rating_shares(counts)}.", *(f"Warning: {one}" for one in warnings)]


def comparison(results: Mapping[str, Any]) -> Table:
    """Simulated users and each baseline, on the screen and on the page."""
    tests, ratings = results.get("choices", {}), results.get("ratings", {})
    columns, rows = ["variant"], []
    first = {test: next(iter(one["ratios"].values())) for test, one in tests.items()}
    for test in tests:
        columns += [f"AUC, {test}"]
    hardest = next(reversed(tests), None)
    if hardest is not None:
        columns.append(f"simulated users less this, {'last ' * (len(tests) > 1)}AUC")
    names = [
        name for name in next(iter(first.values()), {}) if all("auc" in one.get(name, {}) for one in first.values())
    ]
    for name in names:
        row = [name, *(_cell(first[test][name]["auc"]) for test in tests)]
        row.append(_signed(results["choice_differences"][hardest][name]) if name != _SIMULATED else "")
        rows.append([*row, "", ""] if ratings else row)
    if ratings:
        columns += [f"RMSE, points of {results['scale']}", "simulated users less this, RMSE"]
        blank = [""] * (len(tests) + bool(tests))
        for name, errors in ratings.items():
            apart = results["rating_differences"].get(name)
            ends = [_cell(errors["rmse"]), _signed(apart["rmse"]) if apart else ""]
            same = next((row for row in rows if row[0] == name), None)
            if same is None:
                rows.append([name, *blank, *ends])
            else:
                same[-2:] = ends
    return Table(_split(results), columns, rows)


def _split(results: Mapping[str, Any]) -> str:
    """Of whom a table is, and how they are split."""
    how = "split in time" if results["data"]["times"] else "split at random"
    return f"{counted(results['users'], 'user')}, {how}"


def _choices(results: Mapping[str, Any]) -> Section:
    tests, tables, charts = results["choices"], [], []
    for test, measured in tests.items():
        for number, variants in measured["ratios"].items():
            rows = []
            for name, values in variants.items():
                if "auc" in values:
                    cells = [_cell(values[one]) for one in ("accuracy", "precision", "recall", "f1", "auc")]
                    rows.append((name, *cells))
                else:
                    rows.append((name, _cell(values["accuracy"]), *[""] * 4))
            columns = ("variant", "accuracy", "precision", "recall", "F1", "AUC per user")
            title = f"Candidates {_among(test)}, {number}, {counted(measured['users'], 'user')}"
            tables.append(Table(title, columns, rows, _split(results)))
        ratio = next(iter(measured["ratios"]))
        rows = [
            (term, _cell(one["alone"]), _signed(one["lost_without"])) for term, one in results["terms"][test].items()
        ]
        if rows:
            title = f"Terms of the simulated users' interest: candidates {_among(test)}, {ratio}"
            tables.append(Table(title, ("term", "AUC alone", "lost without it"), rows, _split(results)))
        rows = [(name, _signed(one)) for name, one in results["choice_differences"][test].items()]
        title = f"Simulated users less each baseline, AUC: candidates {_among(test)}, {ratio}"
        tables.append(Table(title, ("baseline", "difference"), rows, _split(results)))
    first = {test: next(iter(one["ratios"].values())) for test, one in tests.items()}
    names = [name for name, one in next(iter(first.values())).items() if "auc" in one]
    series = [with_intervals(test, [one[name]["auc"] for name in names]) for test, one in first.items()]
    about = f"Area under the curve per user, where .5 is chance. {_INTERVALS}"
    charts.append(
        Chart(
            "choices-auc", "rows", "Telling what was chosen", about, "AUC", "variant", series, names, y_range=(0.0, 1.0)
        )
    )
    caption = (
        "The row 'popularity' shows how well candidates are matched: .5 where nothing is left of it. " + _INTERVALS
    )
    return Section("choices", "Choices", caption, charts, tables)


def _among(test: str) -> str:
    return "drawn at random" if test == "random" else test


def _ratings(results: Mapping[str, Any], manifest: Mapping[str, Any]) -> Section:
    errors, distribution, split = results["ratings"], results["distribution"], _split(results)
    points = f"points on the scale {results['scale']}"
    rows: list[Sequence[str]] = [(name, _cell(one["rmse"]), _cell(one["mae"])) for name, one in errors.items()]
    tables = [Table(f"Errors, {points}", ("variant", "RMSE", "MAE"), rows, split)]
    rows = [(name, _signed(one["rmse"]), _signed(one["mae"])) for name, one in results["rating_differences"].items()]
    tables.append(Table("Simulated users less each baseline", ("baseline", "RMSE", "MAE"), rows, split))
    rows = [
        (
            *(name, *(_cell(values[one]) for one in ("total_variation", "wasserstein"))),
            *(_cell(values[f"{one}_per_user"]) for one in ("total_variation", "wasserstein")),
        )
        for name, values in distribution["variants"].items()
    ]
    columns = ("variant", "total variation", "Wasserstein", "total variation per user", "Wasserstein per user")
    tables.append(Table(f"Distance of the ratings' distribution from the real one, {points}", columns, rows, split))
    between = results["between_users"]
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
    tables.append(Table(f"How users differ, {points}", columns, rows, f"{'; '.join(apart)}."))
    series = [with_intervals(name.upper(), [one[name] for one in errors.values()]) for name in ("rmse", "mae")]
    about = f"How far answers are from what users really gave; less is better. {_INTERVALS}"
    title = "Errors of held-out ratings"
    charts = [Chart("errors", "rows", title, about, "points", "variant", series, [*errors])]
    charts.append(
        Chart(
            identifier("distribution"),
            "bars",
            "Ratings, beside the real ones",
            f"Total variation distance {_cell(distribution['variants'][_SIMULATED]['total_variation'])}.",
            "rating",
            "share of ratings",
            [Series(name, distribution["shares"][name]) for name in (_SIMULATED, "real")],
            [f"{level:g}" for level in manifest["levels"]],
            form="share",
        )
    )
    caption = f"{results['heldout_ratings']:,} held-out ratings, {results['failed_ratings']:,} of them failed."
    return Section("ratings", "Ratings", caption, charts, tables)


def _cell(estimated: Mapping[str, Any], digits: int = 3) -> str:
    """An estimate with its interval."""
    return with_ends(estimated, f"{{:.{digits}f}}".format)


def _signed(difference: Mapping[str, Any]) -> str:
    return with_ends(difference, "{:+.3f}".format)


def _bare(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
