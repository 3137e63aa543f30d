"""``emosim validate``: how close simulated users are to real ones."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.options import (
    EPISODE_FIELDS,
    chosen_job,
    configuration_options,
    confirm_cost,
    cost_line,
    executor_option,
    place_options,
)
from emosim_core.cli.places import new_job
from emosim_core.cli.printing import print_line, print_short
from emosim_core.cli.stopping import telling_progress

if TYPE_CHECKING:
    from pathlib import Path

    from emosim_core.cli.output import Screen
    from emosim_core.studies.validation.validation import Validation

_NOT_OURS = ("items", "user_dataset", "user_split", "test_fraction", "on_failed_rating", *EPISODE_FIELDS)
"""Fields of an environment that mean nothing here: items and users are those of the ratings."""


@click.command(cls=SectionedCommand)
@field_options("ValidationConfig")
@configuration_options("EnvironmentConfig", without=_NOT_OURS)
@executor_option()
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("validation", "runs/validation-...")
@click.pass_obj
def validate(obj: dict[str, Any], /, **given: Any) -> None:
    """Measure how close simulated users are to real ones.

    Each user is split at one moment. What other users did before it is known; what the user did before it is profile
    and memory. Simulated users and the best simple models predict what the user chose and rated after it.

    \b
    emosim validate --plugin movies --ratings movielens:ml-latest-small
    """
    from emosim_core.cli.output import console, live_progress
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import by_field
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.validation.records import RESULTS
    from emosim_core.studies.validation.validation import MODELS, Validation, ValidationConfig, stored_validation

    as_json, quiet, yes, executor = (given.pop(name) for name in ("as_json", "quiet", "yes", "executor"))
    registry, out = Registry(only=obj["only"]), given["out"]
    values, job, _ = chosen_job(
        *("validate", EnvironmentConfig, obj, given, registry),
        base=lambda own, resumed: (resumed, {} if resumed is None else stored_validation(resumed)),
        models=MODELS,
        renamed=partial(by_field, ValidationConfig),
    )
    checked = ValidationConfig.read(values, "validate")
    job = job or new_job("validate", f"validation-{values['plugin']}", out)
    job.check()
    screen = console(stderr=as_json)
    validation = Validation(checked, registry)
    with closing(validation.world), telling_progress(job):
        if job.resume:
            validation.check_resumed(job.path)
        if not (job.path / RESULTS).exists() and (estimated := validation.estimate()) is not None:
            how = ". Cached answers cost nothing. "
            how += "Fewer with --only, --max-users and --max-questions."
            print_line(cost_line(estimated, how), err=True)
            confirm_cost(yes or estimated.replay)
        if not quiet:
            _announce(screen, validation)
        with live_progress(screen, "users", len(validation.measured), silent=quiet) as progress:
            outcome = validation.run(job, lambda count: progress.update(advance=count), executor=executor or "local")
    if not print_short({**outcome, "directory": str(job.path)}, job.path, as_json, quiet):
        _print(console(), job.path)


def _announce(screen: Screen, validation: Validation) -> None:
    from emosim_core.cli.output import print_notes, who_answers

    world, data = validation.world, validation.data.about()
    times = "" if data["times"] else "; no times, so each user is split at random"
    screen.print_line(
        f"{world.domain.title}: {data['interactions']:,} {'ratings' if data['explicit'] else 'choices'} of "
        f"{data['items']:,} {world.domain.words.items} by {data['users']:,} users{times}. "
        f"{sum(data['measured'].values()):,} users are measured. {who_answers(world.answered_by)}"
    )
    about = validation.about()
    silent = [] if about["interest"] else ["this rater does not tell what users would choose; its ratings are taken."]
    print_notes(screen, [*validation.announcements, *silent])


def _print(screen: Screen, directory: Path) -> None:
    """One sentence and one table; the report has the others."""
    from emosim_core.cli.output import Table, print_notes, show_table
    from emosim_core.reports.make import report_of
    from emosim_core.runs.typed import typed

    report = report_of(directory)
    screen.print_line(report.headline)
    print_notes(screen, report.notes)
    screen.print()
    table = report.sections[0].tables[0]
    show_table(screen, Table(*table.columns, rows=table.rows, title=table.title, style="dim"))
    screen.print_line(report.sections[0].caption)
    screen.print_line(f"All files are in {directory}. All tables and charts, as a page: {typed('report', directory)}")
