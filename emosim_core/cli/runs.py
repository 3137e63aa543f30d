"""``emosim runs``: list the directories in a folder, with what each holds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from emosim_core.cli.printing import print_json, print_line
from emosim_core.runs.typed import typed


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default="runs")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON and nothing else.")
def runs(directory: Path, as_json: bool) -> None:
    """List what is in DIRECTORY, the newest first: kind, date, state and headline.

    Without DIRECTORY, in runs/, where commands write unless --out names another place. What is listed are runs,
    trainings, evaluations, ablations, validations and directories with a page.json.
    """
    from emosim_core.reports.directories import job_info, jobs_in

    own = job_info(directory) if directory.is_dir() else None
    listed = jobs_in(directory) if own is None else [own]
    if as_json:
        print_json([{**asdict(info), "path": str(info.path)} for info in listed])
        return
    if not listed:
        begin = typed("run", "--plugin", "movies")
        print_line(f"{directory} holds nothing that can be shown. Begin with: {begin}")
        return
    from emosim_core.cli.output import Table, console, show_table

    rows = [(str(info.path), info.kind or "-", _local(info.created), info.state, info.headline) for info in listed]
    headings = ("directory", "kind", "created", "state", "headline")
    show_table(console(), Table(*headings, rows=rows, texts=5, style="dim"))


def _local(created: str) -> str:
    """A time in ISO 8601 as a clock here shows it."""
    from datetime import datetime

    try:
        return f"{datetime.fromisoformat(created).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return "-"
