"""``emosim distill``: users fitted to the answers of a rater, such as a language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.options import EPISODE_FIELDS, configuration_options, place_options
from emosim_core.cli.printing import print_line
from emosim_core.cli.studies import StudyCommand

if TYPE_CHECKING:
    from pathlib import Path

    from emosim_core.cli.output import Screen
    from emosim_core.studies.distill import Distillation


@click.command(cls=SectionedCommand)
@field_options("DistillConfig")
@configuration_options("EnvironmentConfig", without=(*EPISODE_FIELDS, "on_failed_rating", "perturbator"))
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("distill", "runs/distilled-...")
@click.pass_obj
def distill(obj: dict[str, Any], /, **given: Any) -> None:
    """Fit simulated users to the answers of a language model, or of any rater.

    The model is asked for a bounded number of ratings. Users who are fitted to them answer as it does without calling
    it, at what a formula costs; held-out answers say how closely.

    \b
    emosim distill --plugin movies --llm-model deepseek-v4-flash --max-questions 2000 --out people
    emosim run --plugin movies --users fitted:people,count=100000
    """
    from emosim_core.fitting.directory import CARD
    from emosim_core.studies.distill import Distillation

    StudyCommand(
        study=Distillation,
        stem="distilled",
        results=CARD,
        make=lambda config, registry, silent: Distillation(config, registry),
        announce=_announce,
        unit="ratings",
        total=lambda distillation: len(distillation.trials.trials),
        fewer="--max-questions",
        page=True,
        show=_show,
    ).run(obj, given)


def _announce(screen: Screen, distillation: Distillation) -> None:
    from emosim_core.cli.output import print_notes, who_answers

    world, trials = distillation.world, distillation.trials
    screen.print_line(
        f"{world.domain.title}: {len(trials.trials):,} ratings of {len(trials.users):,} users. "
        f"{who_answers(world.answered_by)}"
    )
    print_notes(screen, world.announcements)


def _show(screen: Screen, directory: Path, distillation: Distillation) -> None:
    from emosim_core.cli.output import Table, show_table
    from emosim_core.reports.people_report import DISTILLED, distilled_rows
    from emosim_core.runs.typed import typed
    from emosim_core.studies.fit import card_of

    card, values = card_of(directory), distillation.config.environment
    results = card["distillation"]
    if results["left_out"]:
        screen.print_line(
            f"{results['left_out']:,} of {results['questions']:,} ratings failed or are of users with too few."
        )
    title = f"{results['heldout']:,} held-out answers, scale {results['scale']}"
    show_table(screen, Table(*DISTILLED, rows=distilled_rows(results), title=title, style="dim"))
    print_line(
        f"{directory} holds {card['users']:,} users; {directory}/report.html says how close they are to that rater."
    )
    items = values.get("items")
    more = ["--items", items] if isinstance(items, str) else []
    print_line(f"Simulate them: {typed('run', '--plugin', values['plugin'], *more, '--users', f'fitted:{directory}')}")
