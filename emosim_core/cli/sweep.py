"""``emosim sweep``: runs or trainings of many configurations and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from emosim_core.cli.fields import SectionedCommand
from emosim_core.cli.options import executor_option, place_options
from emosim_core.cli.places import new_job, resumed_job
from emosim_core.cli.printing import print_results
from emosim_core.cli.stopping import telling_progress


@click.command(cls=SectionedCommand)
@click.argument("plan", type=click.Path(path_type=Path))
@executor_option()
@place_options("sweep", "runs/sweep-...")
@click.pass_obj
def sweep(
    obj: dict[str, Any], /, plan: Path, executor: str | None, out: Path | None, resume: str | None, as_json: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Do runs or trainings of many configurations and seeds, with one table in the end.

    PLAN is a TOML file: 'command' (run or train), 'num_seeds', a table [base] with what all configurations share, and
    a table [grid] with lists of values, every combination of which is a configuration, or tables [[configurations]],
    or a table [search], where Optuna chooses configurations from what came out of those before.

    \b
    command = "run"
    num_seeds = 3
    [base]
    plugin = "movies"
    episodes = 200
    [grid]
    policy = ["random", "popular"]
    """
    from emosim_core.hooks import Registry
    from emosim_core.studies.sweep import Sweep, read_plan

    read = read_plan(plan)
    job = resumed_job("sweep", out, resume, arguments=[plan])
    job = job or new_job("sweep", f"sweep-{plan.stem}", out, arguments=[plan])
    one = Sweep(read, job, Registry(only=obj["only"]), str(plan))
    results = _run(one, executor or "local", silent=as_json or quiet)
    print_results(results, job.path, as_json, quiet)


def _run(one: Any, executor: str, silent: bool) -> dict[str, Any]:
    from emosim_core.cli.output import console, live_progress

    with telling_progress(one.directory), live_progress(console(stderr=True), "jobs", silent=silent) as progress:
        return one.run(executor, lambda done, total: progress.update(done=done, total=total))
