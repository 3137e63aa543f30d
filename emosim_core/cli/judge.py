"""``emosim judge``: can a judge tell ratings of simulated users from those of real ones?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.options import EPISODE_FIELDS, configuration_options, place_options
from emosim_core.cli.studies import StudyCommand

if TYPE_CHECKING:
    from emosim_core.cli.output import Screen
    from emosim_core.studies.believability.believability import Believability

_NOT_OURS = ("items", "user_dataset", "user_split", "test_fraction", "on_failed_rating", "gateway", *EPISODE_FIELDS)
"""Fields of an environment that mean nothing here, or are those of the test."""


@click.command(cls=SectionedCommand)
@field_options("BelievabilityConfig")
@configuration_options("EnvironmentConfig", without=_NOT_OURS)
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("judge", "runs/judge-...")
@click.pass_obj
def judge(obj: dict[str, Any], /, **given: Any) -> None:
    """Test whether a judge can tell ratings of simulated users from those of real ones.

    Each pair has what one real user rated and what the same user rates as simulated, of the same held-out items, split
    and known as in a validation. A language model judges here, people in emosim view.

    \b
    emosim judge --plugin movies --ratings movielens:ml-latest-small
    """
    from emosim_core.cli.results import print_report
    from emosim_core.studies.believability.believability import Believability
    from emosim_core.studies.believability.results import RESULTS

    StudyCommand(
        study=Believability,
        stem="judge",
        results=RESULTS,
        make=lambda config, registry, silent: Believability(config, registry),
        announce=_announce,
        unit="pairs",
        total=lambda test: test.steps,
        fewer="--max-questions",
        show=lambda screen, directory, test: print_report(screen, directory),
    ).run(obj, given)


def _announce(screen: Screen, test: Believability) -> None:
    from emosim_core.cli.output import print_notes, who_answers

    world, data = test.world, test.source.data.about()
    judge = "nobody yet" if test.judge is None else test.judge.name
    screen.print_line(
        f"{world.domain.title}: {data['interactions']:,} ratings of {data['items']:,} {world.domain.words.items} by "
        f"{data['users']:,} users; {test.users:,} users are judged. {who_answers(world.answered_by)} Judge: {judge}."
    )
    print_notes(screen, test.announcements)
