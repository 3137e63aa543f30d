"""``emosim validate``: how close simulated users are to real ones, and what the answers of a rater depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.options import place_options
from emosim_core.cli.printing import print_line
from emosim_core.cli.studies import StudyCommand, study_options

if TYPE_CHECKING:
    from emosim_core.cli.output import Screen
    from emosim_core.hooks import Registry
    from emosim_core.studies.audit.audit import Audit, Measured
    from emosim_core.studies.validation.validation import Validation, ValidationConfig


@click.command(cls=SectionedCommand)
@field_options("ValidationConfig")
@study_options()
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("validate", "runs/validation-...")
@click.pass_obj
def validate(obj: dict[str, Any], /, **given: Any) -> None:
    """Measure how close simulated users are to real ones.

    Each user is split at one moment. What other users did before it is known; what the user did before it is profile
    and memory. Simulated users and the best simple models predict what the user chooses and rates after it.

    With --audit, the rater is asked about few real users, with one thing changed at a time: the person, the mood, a
    trait, the order of facts, the words. Each line of the result is one verdict.

    \b
    emosim validate --plugin movies --ratings movielens:ml-latest-small
    emosim validate --plugin movies --ratings movielens:DIR --audit
    """
    from emosim_core.studies.validation.records import RESULTS
    from emosim_core.studies.validation.validation import Validation

    StudyCommand(
        study=Validation,
        stem="validation",
        results=RESULTS,
        make=lambda config, registry, silent: Validation(config, registry),
        announce=_announce,
        unit="users",
        total=lambda validation: len(validation.measured),
        fewer="--only, --max-users and --max-questions",
        instead=lambda command, config: _audit(command) if config.audit else command,
    ).run(obj, given)


def _audit(command: StudyCommand) -> StudyCommand:
    """The command with ``--audit``, which asks less about fewer users."""
    from emosim_core.studies.audit.audit import Audit
    from emosim_core.studies.audit.records import RESULTS

    return replace(
        command,
        stem="audit",
        study=Audit,
        results=RESULTS,
        make=_make_audit,
        announce=_announce_audit,
        total=lambda audit: len(audit.measured),
        fewer="--checks, --max-users, --max-heldout and --max-questions",
        texts=2,
    )


def _make_audit(config: ValidationConfig, registry: Registry, silent: bool) -> Audit:
    from emosim_core.studies.audit.audit import Audit

    def print_measured(first: Measured) -> None:
        if not silent:
            print_line(first.sentence, err=True)

    return Audit(config, registry, print_measured)


def _announce_audit(screen: Screen, audit: Audit) -> None:
    from emosim_core.cli.output import print_notes, who_answers

    world = audit.world
    screen.print_line(
        f"{world.domain.title}: an audit of at most {audit.questions:,} answers about {len(audit.measured):,} users. "
        f"{who_answers(world.answered_by)}"
    )
    print_notes(screen, audit.announcements)


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
