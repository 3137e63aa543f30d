"""``emosim report``: one page that shows what a directory holds, and its charts as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from emosim_core.cli.options import command_hint, read_written
from emosim_core.cli.printing import print_line


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=click.Path(path_type=Path), help="File to write.  [DIRECTORY/report.html]")
@click.option("--charts", type=click.Path(path_type=Path), help="Directory for the charts as PNG and SVG.")
@click.option(
    "--prompts",
    is_flag=True,
    help="Show each prompt and raw answer of a run with a language model, from its transcript.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="TOML file with the options to give again for a run of another machine, such as where its items come from.",
)
@click.option("--quiet", is_flag=True, help="Print only the name of the file.")
@click.pass_obj
def report(
    obj: dict[str, Any],
    directory: Path | None,
    out: Path | None,
    charts: Path | None,
    prompts: bool,
    config: Path | None,
    quiet: bool,
) -> None:
    """Write a page about the run, training, evaluation, ablation or validation in DIRECTORY.

    Without DIRECTORY, the newest in runs/. The page is one HTML file that needs no network. It shows what was run,
    what came out, and each episode as a story that can be searched. A directory with a page.json, such as that of a
    study, has a page too.
    """
    from emosim_core.hooks import Registry
    from emosim_core.reports.directories import newest
    from emosim_core.reports.make import write_report
    from emosim_core.simulation.config import RunConfig

    written = write_report(
        newest() if directory is None else directory,
        out,
        charts=charts,
        prompts=prompts,
        registry=Registry(only=obj["only"]),
        given=None if config is None else read_written(RunConfig, config),
        again=replace(command_hint(obj, config), options={}),
    )
    if quiet:
        print_line(str(written))
        return
    size = written.stat().st_size / 1_000_000
    print_line(f"Written to {written} ({size:.1f} MB). Open it in a browser; it needs no network.")
    if charts is not None:
        print_line(f"The charts are in {charts}, as PNG and SVG.")
