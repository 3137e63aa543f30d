"""``emosim log``: a run of a behaviour policy with train users, and its interactions in a format to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from emosim_core.cli.data import FORMATS, export_line
from emosim_core.cli.fields import SectionedCommand
from emosim_core.cli.places import new_name
from emosim_core.cli.printing import print_line
from emosim_core.cli.run import print_end, run_options, simulate
from emosim_core.cli.stopping import print_interrupted
from emosim_core.errors import ConfigurationError, EmoSimError
from emosim_core.runs.typed import typed

DEFAULTS = {"episodes": 1000, "user_split": "train"}
"""What differs from ``emosim run``."""

_SUFFIXES = {"parquet": ".parquet", "csv": ".csv", "minari": "-minari"}


@click.command(cls=SectionedCommand)
@run_options(DEFAULTS)
@click.option("--format", type=FORMATS, help="Write the interactions in this format too.")
@click.option("--export", type=click.Path(path_type=Path), help="Where to write them.  [beside the run]")
@click.option("--dataset-id", help="Minari's name of the data set.  [emosim/PLUGIN/POLICY-v0]")
@click.pass_obj
def log(
    obj: dict[str, Any],
    /,
    format: str | None,
    export: Path | None,
    dataset_id: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Make logged interactions for recommenders to learn from.

    This is 'emosim run' with 1,000 episodes of train users; the test users are held out.
    With --format, the interactions are written as 'emosim data export' writes them.
    """
    if format is None:
        for name, value in (("--export", export), ("--dataset-id", dataset_id)):
            if value is not None:
                raise ConfigurationError(f"{name} needs a format: give --format too")
        print_end(simulate(obj, given, silent=as_json or quiet, defaults=DEFAULTS), as_json, quiet)
        return
    from emosim_core.datasets import export as exporting
    from emosim_core.hooks import Registry

    exporting.check_format(format)
    if export is not None:
        exporting.check_export(export, format, dataset_id)
    elif given["resume"] is None:
        place = given["out"] or new_name(given["plugin"] or "log")
        exporting.check_export(_beside(place, format), format, dataset_id, in_folder=False)
    played = simulate(obj, given, silent=as_json or quiet, defaults=DEFAULTS)
    export = export or _beside(played.directory, format)
    hint = f"The run is kept in {played.directory}; write its interactions with:\n"
    hint += f"  {typed('data', 'export', played.directory, '--format', format, '--out')} PATH"
    try:
        exported = exporting.export(
            [played.directory], export, format, dataset_id, Registry(only=obj["only"]), played.config
        )
    except KeyboardInterrupt:
        raise print_interrupted(hint) from None
    except EmoSimError as error:
        error.args = (f"{error}\n{hint}",)
        raise
    print_end(played, as_json, quiet, exported=str(exported.path))
    if not (as_json or quiet):
        print_line(export_line(exported))


def _beside(directory: Path, format: str) -> Path:
    return directory.with_name(directory.name + _SUFFIXES[format])
