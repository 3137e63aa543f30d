"""The report of a study of trust: how often verdicts are right, beside the rivals, and where they are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emosim_core.kinds import KINDS, TRUST
from emosim_core.reports.chart import Table, with_ends
from emosim_core.reports.report import Fact, Report, Section, read_results, setup_tables

RESULTS = KINDS[TRUST].results

_SIMULATED = "simulated users"
_LOSSES = 15
"""Pairs in the table of those that are called wrongly most often."""


def report_of_trust(directory: Path) -> Report:
    """The report of a study of trust; errors as of :func:`read_results`."""
    manifest, results = read_results(directory, "trust", RESULTS)
    report = Report("trust", str(results["title"]), sentence_of(results))
    data, config = results["data"], results["config"]
    report.facts += [
        Fact("truth", f"{data['users']:,} users", str(data["truth"])),
        Fact("logs", f"{results['logs']:,}", "given" if _given(config) else f"made by {config['logging']}"),
        Fact("held out", f"{results['held_out']:,.0f} users", "on each log"),
        Fact("rater", manifest["answered_by"]),
    ]
    if results["failed"]:
        report.notes.append(f"{results['failed']:.1%} of the simulated answers failed and count nowhere.")
    caption = (
        "Intervals are 95 %, over users and logs. Right: pairs of recommenders in the right order, undecided ones "
        "counting half. Clear: pairs whose truth is beyond doubt. Sure: pairs whose 95 % interval leaves out 0. Held: "
        "those of them that are right. Contradicted: those whose truth is surely the opposite. Regret: points of the "
        "scale that the winner is worse than the best."
    )
    report.sections.append(
        Section("verdicts", "Who is right how often", caption, tables=[_methods(results), _differences(results)])
    )
    clear = "A verdict is as many standard errors clear as the difference is from 0."
    report.sections.append(Section("clearness", "By how clear a verdict is", clear, tables=[_calibration(results)]))
    worth = (
        "Recommenders that differ from what the log was made by, up to turning it around: do simulated users, who know "
        "the log alone, rate and like what real ones do?"
    )
    report.sections.append(
        Section(
            "worth",
            "Users under other recommenders than that of the log",
            worth,
            tables=[_worth(results), _losses(results)],
        )
    )
    setup = Section("setup", "What was run", f"Made {manifest.get('created')}.", tables=setup_tables(manifest))
    report.sections.append(setup)
    return report


def sentence_of(results: Mapping[str, Any]) -> str:
    """What came out, in a sentence or two."""
    mine, apart = results["methods"][_SIMULATED], results["differences"]
    sentence = f"Simulated users put {_share(mine['right'])} of the pairs of recommenders in the right order"
    if mine["held"]["estimate"] is not None:
        sentence += f", and {_share(mine['held'])} of the verdicts that they are 95 % sure of held"
    best = max(apart, key=lambda name: results["methods"][name]["right"]["estimate"] or 0.0)
    theirs = results["methods"][best]["right"]["estimate"]
    return f"{sentence}. The best rival, {best}: {theirs:.1%}; difference {_points(apart[best]['right'])} points."


def _given(config: Mapping[str, Any]) -> bool:
    return config["truth"] not in ("complete", "factors")


def _methods(results: Mapping[str, Any]) -> Table:
    columns = ("verdict of", "right", "right, clear", "sure", "held", "contradicted", "Kendall's tau", "regret")
    rows = [
        (
            *(name, *(_share(one[figure]) for figure in ("right", "right_clear", "called", "held", "contradicted"))),
            *(with_ends(one["tau"], "{:+.2f}".format), with_ends(one["regret"], "{:.3f}".format)),
        )
        for name, one in results["methods"].items()
    ]
    return Table("Verdicts beside the truth", columns, rows)


def _differences(results: Mapping[str, Any]) -> Table:
    columns = ("simulated users less", "right", "right, clear", "held", "Kendall's tau", "regret")
    rows = [
        (
            *(name, *(_points(one[figure]) for figure in ("right", "right_clear", "held"))),
            *(with_ends(one["tau"], "{:+.2f}".format), with_ends(one["regret"], "{:+.3f}".format)),
        )
        for name, one in results["differences"].items()
    ]
    return Table("On the same logs and users, in percentage points", columns, rows)


def _calibration(results: Mapping[str, Any]) -> Table:
    rows = [
        (
            f"{one['from']:g} and more" if one["to"] is None else f"{one['from']:g} to {one['to']:g}",
            f"{one['verdicts']:,}",
            "-" if one["held"] is None else f"{one['held']:.1%}",
        )
        for one in results["calibration"]
    ]
    return Table("Verdicts of simulated users", ("standard errors", "verdicts", "held"), rows)


def _worth(results: Mapping[str, Any]) -> Table:
    rows = [
        (
            one["name"],
            *(with_ends(one[key], "{:.2f}".format) for key in ("truth", _SIMULATED)),
            with_ends(one["error"], "{:+.2f}".format),
            *(with_ends(one[key], "{:.1%}".format) for key in ("liked really", "liked by simulated users")),
            _points(one["liked_error"]),
        )
        for one in results["recommenders"]
    ]
    logged = results["logged"]
    rows.append(("what the log holds", f"{logged['rating']:.2f}", "", "", f"{logged['liked']:.1%}", "", ""))
    columns = ("recommender", "rating", "simulated", "too high by", "liked", "simulated", "too high by, points")
    return Table(f"How what is picked is rated, {results['scale']}", columns, rows)


def _losses(results: Mapping[str, Any]) -> Table:
    wrong = sorted(
        (one for one in results["pairs"] if (one["right"] or 0.0) < 1.0), key=lambda one: one["right"] or 0.0
    )
    rows = [
        (one["first"], one["second"], f"{one['truth']:+.3f}", f"{one['simulated']:+.3f}", f"{one['right']:.0%}")
        for one in wrong[:_LOSSES]
    ]
    columns = ("first", "second", "really better by", "simulated", "logs with the right order")
    return Table("Pairs that are put in the wrong order most often", columns, rows)


def _share(estimated: Mapping[str, Any]) -> str:
    return with_ends(estimated, "{:.1%}".format)


def _points(difference: Mapping[str, Any]) -> str:
    return with_ends(difference, lambda value: f"{100 * value:+.1f}")
