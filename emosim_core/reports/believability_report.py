"""The report of a believability test: how often each judge finds the real user, and whether the side misleads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emosim_core.reports.chart import Chart, Table, with_ends, with_intervals
from emosim_core.reports.report import Fact, Report, Section, read_results, setup_tables, usage_sections
from emosim_core.studies.believability.results import RESULTS as RESULTS
from emosim_core.terminal import counted

_HOW = (
    "Each pair is of another user; the real history is on either side in half of the pairs. 50 % is chance. Intervals "
    "are 95 %, Wilson's. A judge sees the same earlier ratings beside both. 'Distance from the mean' is computed: it "
    "takes the history that is farther from the ratings of other users for the real one."
)


def report_of_believability(directory: Path) -> Report:
    """The report of a believability test; errors as of :func:`read_results`."""
    manifest, results = read_results(directory, "judge", RESULTS)
    report = Report("believability", str(results["title"]), str(results["sentence"]))
    judges, config = results["judges"], results["config"]
    report.facts += [
        Fact("pairs", f"{results['pairs']:,}", f"{config['history']} ratings each"),
        Fact("rater", manifest["answered_by"]),
    ]
    report.notes += notes_of(results)
    names = list(judges)
    chart = Chart(
        "accuracy",
        "rows",
        "How often the real user is found",
        "Share of pairs in which a judge names the real history; a half is chance. Intervals are 95 %.",
        "right",
        "judge",
        [with_intervals("right", [judges[name]["accuracy"] for name in names])],
        names,
        form="share",
        y_range=(0.0, 1.0),
    )
    report.sections.append(Section("judges", "Who can tell", _HOW, [chart], tables_of(results)))
    setup = Section("setup", "What was run", f"Made {manifest.get('created')}.", tables=setup_tables(manifest))
    report.sections += [*usage_sections(manifest.get("usage")), setup]
    return report


def tables_of(results: Mapping[str, Any]) -> list[Table]:
    """The table of all judges."""
    rows = [
        (
            name,
            _share(one["accuracy"]),
            f"{one['right']:,} of {one['judged']:,}",
            f"{one['failed']:,}",
            *(_share(one[part]) for part in ("real_first", "real_second", "first_chosen")),
        )
        for name, one in results["judges"].items()
    ]
    columns = ("judge", "right", "pairs", "failed", "right, real one first", "right, real one second", "says the first")
    return [Table(f"{counted(results['pairs'], 'pair')}", columns, rows)]


def notes_of(results: Mapping[str, Any]) -> list[str]:
    """What limits the results, in sentences."""
    notes, left_out = [], results["left_out"]
    if count := left_out["short"]:
        fewer = f"fewer than {results['config']['history']} ratings to hold out"
        notes.append(f"Left out for {fewer}: {counted(count, 'user')}.")
    if count := left_out["too_early"]:
        notes.append(f"Left out as too few others are known before their later ratings: {counted(count, 'user')}.")
    if count := left_out["failed"]:
        notes.append(f"Left out as a simulated rating failed, and none is invented: {counted(count, 'user')}.")
    if count := results["identical"]:
        notes.append(f"In {counted(count, 'pair')} both histories are the same; nobody can tell them apart.")
    for name, one in results["judges"].items():
        if one["failed"]:
            notes.append(f"No usable answer of the {name}, which counts nowhere: {counted(one['failed'], 'pair')}.")
    if not results["data"]["times"]:
        notes.append("The log has no times: each user's log is split at random, and nothing here is about time.")
    return notes


def _share(estimate: Mapping[str, Any]) -> str:
    return with_ends(estimate, "{:.0%}".format)
