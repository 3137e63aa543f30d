"""``emosim trust``: how often a verdict of simulated users is right, where the truth is known."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
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
    from emosim_core.cli.output import Screen

_NOT_OURS = ("items", "user_dataset", "user_split", "test_fraction", "on_failed_rating", *EPISODE_FIELDS)
"""Fields of an environment that mean nothing here: items and users are those of the log."""


@click.command(cls=SectionedCommand)
@field_options("TrustConfig")
@configuration_options("EnvironmentConfig", without=_NOT_OURS, defaults={"rater": "fitted"})
@executor_option()
@click.option(
    "--card",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Users that emosim fit wrote, whose card is to hold the result.",
)
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("study", "runs/trust-...")
@click.pass_obj
def trust(obj: dict[str, Any], /, **given: Any) -> None:
    """Measure how often a verdict on two recommenders is right, where the truth is known.

    Of users who rated everything, some make a log, as a company has one, and some are held out. Recommenders and
    simulated users learn from the log alone. Who of two recommenders is better is then known: by the real answers of
    held-out users.

    \b
    emosim trust --plugin jokes --ratings jester/ratings.csv --out trust
    emosim trust --plugin movies --ratings movielens:ml-latest-small --truth factors
    """
    from emosim_core.cli.output import console, live_progress, loading, print_notes, who_answers
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import by_field
    from emosim_core.reports.make import write_report
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.trust.trust import (
        MODELS,
        RESULTS,
        Trust,
        TrustConfig,
        check_fitted,
        stored_trust,
        write_on_card,
    )

    as_json, quiet, yes, executor = (given.pop(name) for name in ("as_json", "quiet", "yes", "executor"))
    fitted = given.pop("card")
    registry, out = Registry(only=obj["only"]), given["out"]
    values, job, _ = chosen_job(
        *("trust", EnvironmentConfig, obj, given, registry),
        base=lambda own, resumed: (resumed, {} if resumed is None else stored_trust(resumed)),
        models=MODELS,
        renamed=partial(by_field, TrustConfig),
    )
    checked = TrustConfig.read(values, "trust")
    job = job or new_job("trust", f"trust-{values['plugin']}", out)
    job.check()
    screen = console(stderr=as_json)
    with loading("the answers", silent=as_json or quiet):
        study = Trust(checked, registry)
    if fitted is not None:
        check_fitted(fitted, study.world.domain.name, study.world.parts["rater"]["name"])
    with closing(study.world), telling_progress(job):
        if job.resume:
            study.check_resumed(job.path)
        if not (job.path / RESULTS).exists() and (estimated := study.estimate()) is not None:
            how = ". Cached answers cost nothing. Fewer with --num-logs, --max-users, --slate and --recommenders."
            print_line(cost_line(estimated, how), err=True)
            confirm_cost(yes or estimated.replay)
        if not quiet:
            about = study.data.about()
            words = study.world.domain.words
            screen.print_line(
                f"{study.world.domain.title}: {about['truth']}; {about['items']:,} {words.items}, "
                f"{len(study.entries)} recommenders, {checked.num_logs} logs. {who_answers(study.world.answered_by)}"
            )
            print_notes(screen, study.announcements)
        with live_progress(screen, "logs", checked.num_logs, silent=quiet) as progress:
            outcome = study.run(job, lambda count: progress.update(advance=count), executor=executor or "local")
    write_report(job.path, registry=registry)
    if fitted is not None:
        write_on_card(fitted, outcome)
    if not print_short({**outcome, "directory": str(job.path)}, job.path, as_json, quiet):
        _print(console(), job.path)


def _print(screen: Screen, directory: Path) -> None:
    """One sentence and the first tables; the report has the others."""
    from emosim_core.cli.output import Table, print_notes, show_table
    from emosim_core.reports.make import report_of

    report = report_of(directory)
    screen.print_line(report.headline)
    print_notes(screen, report.notes)
    for table in report.sections[0].tables:
        screen.print()
        show_table(screen, Table(*table.columns, rows=table.rows, title=table.title, style="dim"))
    screen.print_line(report.sections[0].caption)
    screen.print_line(f"All files are in {directory}; {directory}/report.html has all tables.")
