"""``emosim replay``: make the run of a pack again, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.pack import GIVEN
from emosim_core.cli.places import new_name
from emosim_core.cli.printing import print_line, print_short
from emosim_core.runs.typed import typed


@click.command(cls=SectionedCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the run.  [runs/...]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with any of the options below.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON and nothing else.")
@click.option("--quiet", is_flag=True, help="Print only where the run was written.")
@field_options("RunConfig", only=GIVEN)
@click.pass_obj
def replay(
    obj: dict[str, Any], /, file: Path, out: Path | None, config: Path | None, as_json: bool, quiet: bool, **given: Any
) -> None:
    """Make the run in FILE again, which 'emosim pack' wrote, and see that it is the same to the byte.

    The pack's answers rate: no model is called, and no key, server or network is needed. The options below give what
    the pack names and does not hold, such as --items movielens:PATH.
    """
    from emosim_core.cli.options import command_hint, keyboard, read_written
    from emosim_core.cli.run import play
    from emosim_core.cli.stopping import telling_progress
    from emosim_core.hooks import Registry
    from emosim_core.packs.replay import make_again
    from emosim_core.runs.cells import executor_of
    from emosim_core.runs.job import JobDirectory
    from emosim_core.simulation.config import RunConfig

    registry = Registry(only=obj["only"])
    own = keyboard(RunConfig, given, read_written(RunConfig, config))
    job = JobDirectory(out or new_name(f"replay-{file.stem}"), "run", part=True)
    job.check()
    with telling_progress(job):
        done = make_again(
            file,
            job,
            own,
            registry,
            again=command_hint(obj, config),
            play=lambda run: play(run, executor_of("local", registry), as_json or quiet),
        )
    if print_short({**done.summary, "directory": str(done.directory)}, done.directory, as_json, quiet):
        return
    answers = f" from {done.answers:,} packed answers" if done.answers else ""
    same = "the same to the byte" if done.records else "with the same summary"
    print_line(f"The run of {file} was made again{answers}: {done.summary['steps']:,} steps, {same}.")
    if done.beside is not None:
        print_line(f"What it reads from the pack is in {done.beside}.")
    print_line(f"Written to {done.directory}. Look at it with: {typed('show', done.directory)}")
