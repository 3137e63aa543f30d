"""What is printed of the results in a directory: the words and the tables of its report."""

from __future__ import annotations

from pathlib import Path

from emosim_core.cli.output import Screen, Table, print_notes, show_table
from emosim_core.kinds import TRAINING
from emosim_core.reports.make import report_of
from emosim_core.reports.report import Report
from emosim_core.runs.typed import typed


def print_report(screen: Screen, directory: Path, report: Report | None = None) -> None:
    """Print the words and the tables of a directory's report, made anew if not given; charts are on its page alone.

    Raises:
        RunError: the directory is damaged, or has no results yet.
    """
    report = report or report_of(directory)
    print_parts(screen, report)
    screen.print()
    screen.print_line(f"All files are in {directory}. Charts, as a page: {typed('report', directory)}")
    if report.kind == TRAINING:
        command = typed("evaluate", "--recommenders", directory, "--policies", "random,popular")
        screen.print_line(f"Measure the recommender with: {command}")


def print_parts(screen: Screen, report: Report) -> None:
    """Print the words and the tables of a report."""
    screen.print_line((report.title, "bold"))
    screen.print_line(report.headline)
    print_notes(screen, report.notes)
    for section in report.sections:
        if not section.tables or section.id == "setup":
            continue
        screen.print()
        screen.print_line((section.title, "bold"))
        if section.caption:
            screen.print_line(section.caption)
        for table in section.tables:
            screen.print()
            show_table(screen, Table(*table.columns, rows=table.rows, title=table.title, style="dim"))
            if table.caption:
                screen.print_line(table.caption)
