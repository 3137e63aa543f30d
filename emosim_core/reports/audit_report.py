"""The report of an audit: one line a check, with its interval and its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emosim_core.kinds import AUDIT, KINDS
from emosim_core.reports.chart import Chart, Series, Table, with_ends
from emosim_core.reports.report import Fact, Report, Section, read_results, setup_tables, usage_sections
from emosim_core.runs.words import rating_shares, warnings_of_answers
from emosim_core.studies.audit import verdicts
from emosim_core.terminal import counted

RESULTS = KINDS[AUDIT].results

_CAPTION = (
    "Each line changes one thing of questions about real users and what they rated later, and tells what that does to "
    "the answers. 'People' is what real people do, where that is known. Intervals are 95 %: Student's t over users, "
    "Wilson's over items. A problem is an interval that lies on the wrong side as a whole; what an interval does not "
    "decide is not shown."
)


def report_of_audit(directory: Path) -> Report:
    """The report of an audit; errors as of :func:`read_results`."""
    manifest, results = read_results(directory, "validate", RESULTS)
    report = Report("audit", str(results["title"]), str(results["sentence"]))
    report.notes += notes_of(results, manifest)
    report.facts.append(Fact("users", f"{results['users']:,}", f"{results['left_out']:,} more left out"))
    report.facts.append(Fact("rater", manifest["answered_by"]))
    report.facts.append(Fact("problems", problems_of(results)))
    report.sections.append(Section("verdicts", "Verdicts", _CAPTION, tables=[verdict_table(results)]))
    counts = results["rating_counts"]
    total = sum(counts.values())
    if total:
        shares = [count / total for count in counts.values()]
        about = f"Of {total:,} unchanged questions; the mean of the probabilities counts as the nearest level."
        chart = Chart(
            *("answers", "bars", "Answers", about, "rating", "share of answers"),
            series=[Series("answers", [round(share, 4) for share in shares])],
            names=[*counts],
            form="share",
        )
        report.sections.append(Section("answers", "Distribution of the answers", rating_shares(counts), [chart]))
    setup = Section("setup", "What was run", f"Made {manifest.get('created')}.", tables=setup_tables(manifest))
    report.sections += [*usage_sections(manifest.get("usage")), setup]
    return report


def problems_of(results: Mapping[str, Any]) -> str:
    """How many checks show a problem."""
    lines = [one for one in results["verdicts"] if one["status"] != verdicts.LEFT_OUT]
    count = sum(one["status"] == verdicts.PROBLEM for one in lines)
    return f"{count} of {len(lines)} checks show a problem"


def notes_of(results: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[str]:
    """What a reader must know first, in sentences."""
    notes = []
    if results["left_out"]:
        notes.append(
            f"{counted(results['left_out'], 'user')} could not be asked about: too little is known before their moment."
        )
    if any(one["words"] == verdicts.ONLY_MODELS for one in results["verdicts"]):
        notes.append("Checks of prompts and of what is known by heart are left out: no language model is prompted.")
    if results["uses_llm"]:
        notes.append(f"Distribution of the answers: {rating_shares(results['rating_counts'])}.")
        warnings = warnings_of_answers(results["rating_counts"], 0, manifest.get("usage") or {})
        problems = [one for one in results["verdicts"] if one["status"] == verdicts.PROBLEM and one["group"] == "order"]
        warnings += [f"{one['check']}: {one['words']}." for one in problems]
        notes += [f"Warning: {warning}" for warning in warnings]
    return notes


def verdict_table(results: Mapping[str, Any]) -> Table:
    """All verdicts, on the screen and on the page."""
    rows = []
    for one in results["verdicts"]:
        if one["words"] == verdicts.ONLY_MODELS:
            continue
        verdict = f"{one['status']}: {one['words']}"
        if one["result"] is None:
            rows.append((one["check"], verdict, "-", "-", "-"))
            continue
        share = one["unit"] == verdicts.SHARES
        people = "-" if one["people"] is None else _value(one["people"], share)
        rows.append((one["check"], verdict, _value(one["result"], share), people, one["number"]))
    title = f"{results['users']:,} users; points of {results['scale']}, shares in per cent"
    return Table(title, ("check", "verdict", "result", "people", "of"), rows)


def _value(estimate: Mapping[str, Any], share: bool) -> str:
    return with_ends(estimate, "{:.0%}".format if share else lambda value: f"{round(value, 2) + 0.0:.2f}")
