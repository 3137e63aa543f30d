"""``emosim trust``: how often a verdict of simulated users is right, where the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.options import place_options
from emosim_core.cli.studies import StudyCommand, study_options
from emosim_core.terminal import counted

if TYPE_CHECKING:
    from emosim_core.cli.output import Screen
    from emosim_core.hooks import Registry
    from emosim_core.studies.trust.trust import Trust, TrustConfig


@click.command(cls=SectionedCommand)
@field_options("TrustConfig")
@study_options(defaults={"rater": "fitted"})
@click.option(
    "--card",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Users that emosim fit wrote, whose card is to hold the result.",
)
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("trust", "runs/trust-...")
@click.pass_obj
def trust(obj: dict[str, Any], /, card: Path | None, **given: Any) -> None:
    """Measure how often a verdict on two recommenders is right, where the truth is known.

    Of users who rated everything, some make a log, as a company has one, and some are held out. Recommenders and
    simulated users learn from the log alone. Who of two recommenders is better is then known: by the real answers of
    held-out users.

    \b
    emosim trust --plugin jokes --ratings jester/ratings.csv --out trust
    emosim trust --plugin movies --ratings movielens:ml-latest-small --truth factors
    """
    from emosim_core.cli.output import loading
    from emosim_core.studies.trust.trust import RESULTS, Trust, check_fitted, write_on_card

    def make(config: TrustConfig, registry: Registry, silent: bool) -> Trust:
        with loading("the answers", silent=silent):
            study = Trust(config, registry)
        if card is not None:
            check_fitted(card, study.world.domain.name, study.world.parts["rater"]["name"])
        return study

    StudyCommand(
        study=Trust,
        stem="trust",
        results=RESULTS,
        make=make,
        announce=_announce,
        unit="logs",
        total=lambda study: study.config.num_logs,
        fewer="--num-logs, --max-users, --slate and --recommenders",
        page=True,
    ).run(obj, given, finish=None if card is None else lambda outcome: write_on_card(card, outcome))


def _announce(screen: Screen, study: Trust) -> None:
    from emosim_core.cli.output import print_notes, who_answers

    about, domain = study.data.about(), study.world.domain
    screen.print_line(
        f"{domain.title}: {about['truth']}; {domain.words.count_items(about['items'])}, {len(study.entries)} "
        f"recommenders, {counted(study.config.num_logs, 'log')}. {who_answers(study.world.answered_by)}"
    )
    print_notes(screen, study.announcements)
