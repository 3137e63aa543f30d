"""``emosim validate``: how close simulated users are to real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.options import place_options
from emosim_core.cli.studies import StudyCommand, study_options

if TYPE_CHECKING:
    from emosim_core.cli.output import Screen
    from emosim_core.studies.validation.validation import Validation


@click.command(cls=SectionedCommand)
@field_options("ValidationConfig")
@study_options()
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("validation", "runs/validation-...")
@click.pass_obj
def validate(obj: dict[str, Any], /, **given: Any) -> None:
    """Measure how close simulated users are to real ones.

    Each user is split at one moment. What other users did before it is known; what the user did before it is profile
    and memory. Simulated users and the best simple models predict what the user chooses and rates after it.

    \b
    emosim validate --plugin movies --ratings movielens:ml-latest-small
    """
    from emosim_core.studies.validation.records import RESULTS
    from emosim_core.studies.validation.validation import MODELS, Validation, ValidationConfig, stored_validation

    StudyCommand(
        name="validate",
        stem="validation",
        config=ValidationConfig,
        models=MODELS,
        stored=stored_validation,
        results=RESULTS,
        make=lambda config, registry, silent: Validation(config, registry),
        announce=_announce,
        unit="users",
        total=lambda validation: len(validation.measured),
        fewer="--only, --max-users and --max-questions",
    ).run(obj, given)


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
