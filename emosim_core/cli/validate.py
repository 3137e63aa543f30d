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
    place_options,
)
from emosim_core.cli.places import new_job
from emosim_core.cli.printing import print_line, print_results
from emosim_core.cli.stopping import telling_progress

if TYPE_CHECKING:
    from emosim_core.cli.output import Screen
    from emosim_core.studies.validation.validation import Validation

_NOT_OURS = ("items", "user_dataset", "user_split", "test_fraction", "on_failed_rating", *EPISODE_FIELDS)
"""Fields of an environment that mean nothing here: items and users are those of the ratings."""


@click.command(cls=SectionedCommand)
@field_options("ValidationConfig")
@configuration_options("EnvironmentConfig", without=_NOT_OURS)
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("validation", "runs/validation-...")
@click.pass_obj
def validate(obj: dict[str, Any], /, **given: Any) -> None:
    """Measure how close simulated users are to real ones.

    Real users become profiles and memories up to a point in time, and are simulated on what they rated and chose
    after it. Every answer is recorded; every metric stands beside plain baselines, with an interval over users.

    \b
    emosim validate --plugin movies --ratings movielens:ml-latest-small
    """
    from emosim_core.cli.output import console, live_progress
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import by_field
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.validation.records import RESULTS
    from emosim_core.studies.validation.validation import MODELS, Validation, ValidationConfig, stored_validation

    as_json, quiet, yes = (given.pop(name) for name in ("as_json", "quiet", "yes"))
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
            how += "Fewer with --max-users, --max-positives, --max-heldout and --negatives."
            print_line(cost_line(estimated, how), err=True)
            confirm_cost(yes or estimated.replay)
        if not quiet:
            _announce(screen, validation)
        with live_progress(screen, "users", validation.steps, silent=quiet) as progress:
            outcome = validation.run(job, lambda: progress.update(advance=1))
    print_results(outcome, job.path, as_json, quiet)


def _announce(screen: Screen, validation: Validation) -> None:
    from emosim_core.cli.output import print_notes, who_answers

    world = validation.world
    about = validation.about()
    users = ", ".join(f"{count} {user_split}" for user_split, count in about["users"].items())
    words = world.domain.words
    screen.print_line(
        f"{world.domain.title}: {len(world.catalog):,} {words.items}, {len(validation.everybody)} real users "
        f"({users}). " + who_answers(world.answered_by)
    )
    silent = [] if about["interest"] else ["this rater does not tell what users would choose; its ratings are taken."]
    print_notes(screen, [*validation.announcements, *silent])
