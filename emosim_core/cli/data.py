"""``emosim data``: the interactions of runs in other formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.options import command_hint, read_written
from emosim_core.cli.printing import print_line
from emosim_core.terminal import counted

if TYPE_CHECKING:
    from emosim_core.datasets.export import Exported

FORMATS = click.Choice(["parquet", "csv", "minari"])


@click.group()
def data() -> None:
    """Write the interactions of runs in other formats."""


_GIVEN_AGAIN = "TOML file with what you give again, for Minari, of a run that was not made here."


@data.command("export")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN_DIR...")
@click.option("--format", type=FORMATS, default="parquet", help="A table, or episodes for Minari.  [parquet]")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="File to write; for Minari, a folder of data sets."
)
@click.option("--dataset-id", help="Minari's name of the data set.  [emosim/PLUGIN/POLICY-v0]")
@click.option("--config", type=click.Path(path_type=Path), help=_GIVEN_AGAIN)
@click.pass_obj
def export(
    obj: dict[str, Any], /, runs: tuple[Path, ...], format: str, out: Path, dataset_id: str | None, config: Path | None
) -> None:
    """Write the interactions of one or more runs for programs that learn from them.

    parquet and csv hold one row per item that was recommended; minari holds the episodes as episodes of offline
    reinforcement learning, with the observations of the environment.
    """
    from emosim_core.datasets import export as exporting
    from emosim_core.hooks import Registry
    from emosim_core.simulation.config import RunConfig

    given = None if config is None else read_written(RunConfig, config)
    again = replace(command_hint(obj, config), options={})
    print_line(export_line(exporting.export(runs, out, format, dataset_id, Registry(only=obj["only"]), given, again)))


def export_line(exported: Exported) -> str:
    """What was written, in one line."""
    episodes = counted(exported.episodes, "episode")
    if exported.unfinished:
        episodes += f", {exported.unfinished:,} of them unfinished"
    if exported.dataset_id is None:
        return f"Wrote {counted(exported.rows, 'row')} of {episodes} to {exported.path}."
    return f"Wrote {counted(exported.rows, 'step')} of {episodes} to {exported.path}, for Minari {exported.dataset_id}."


@data.command("convert")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN_DIR")
@click.option("--records", type=click.Choice(["parquet", "jsonl"]), required=True, help="Format of the records.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Directory of the converted run.")
def convert(run: Path, records: str, out: Path) -> None:
    """Write a complete run again with its records in another format; the run itself stays as it is."""
    from emosim_core.runs.convert import convert_run

    convert_run(run, out, records)
    print_line(f"Wrote {run} with its records as {records} to {out}.")
