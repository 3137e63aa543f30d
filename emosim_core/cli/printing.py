"""What commands print for other programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from emosim_core.data import json_text
from emosim_core.terminal import Stream, clean_json, fitted, one_line


def print_json(value: Any, indent: int = 2) -> None:
    """Print a value as JSON; characters that are not to reach a terminal, or that the stream lacks, are escaped."""
    text = json_text.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        click.echo(clean_json(text))
    except UnicodeEncodeError:
        click.echo(json_text.dumps(value, indent=indent))


def print_line(text: str, *, err: bool = False, nl: bool = True, **style: Any) -> None:
    r"""Print one line with styles of ``click.style``; a line break in the text is shown as ``\n``."""
    stream = sys.stderr if err else sys.stdout
    click.secho(on_screen(one_line(text), stream), file=getattr(stream, "styled", stream), nl=nl, **style)


def on_screen(text: str, stream: Any) -> str:
    """Text for a stream: where it is a terminal, lines are broken between words to fit its width."""
    return fitted(text, shutil.get_terminal_size().columns) if stream.isatty() else text


def print_csv(rows: Iterable[Sequence[str]]) -> None:
    """Print rows as CSV: to a file or a pipe as they are, in UTF-8; to a terminal with each cell cleaned."""
    out, text = sys.stdout, io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if isinstance(out, Stream) and not out.isatty():
        writer.writerows(rows)
        out.send_data(text.getvalue())
    else:
        writer.writerows([one_line(cell) for cell in row] for row in rows)
        click.echo(text.getvalue(), nl=False)


def print_short(results: Mapping[str, Any], directory: Path, as_json: bool, quiet: bool, indent: int = 2) -> bool:
    """Print results as JSON, or only where they are, where that is wanted; whether it is."""
    if as_json:
        print_json(results, indent)
    elif quiet:
        print_line(str(directory))
    return as_json or quiet


def print_results(results: Mapping[str, Any], directory: Path, as_json: bool, quiet: bool, indent: int = 2) -> None:
    """Print results as :func:`print_short` does, or else as the report of their directory has them."""
    if not print_short({**results, "directory": str(directory)}, directory, as_json, quiet, indent):
        from emosim_core.cli.output import console
        from emosim_core.cli.results import print_report

        print_report(console(), directory)
