"""``emosim distill``: users fitted to the answers of a rater, such as a language model."""

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
from emosim_core.cli.printing import print_line, print_short
from emosim_core.cli.stopping import telling_progress

if TYPE_CHECKING:
    from pathlib import Path

    from emosim_core.cli.output import Screen


@click.command(cls=SectionedCommand)
@field_options("DistillConfig")
@configuration_options("EnvironmentConfig", without=(*EPISODE_FIELDS, "on_failed_rating", "perturbator"))
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("users", "runs/distilled-...")
@click.pass_obj
def distill(obj: dict[str, Any], /, **given: Any) -> None:
    """Fit simulated users to the answers of a language model, or of any rater.

    The model is asked for a bounded number of ratings. Users who are fitted to them answer as it does without calling
    it, at what a formula costs; held-out answers say how closely.

    \b
    emosim distill --plugin movies --llm-model deepseek-v4-flash --max-questions 2000 --out people
    emosim run --plugin movies --users fitted:people,count=100000
    """
    from emosim_core.cli.output import console, live_progress, print_notes, who_answers
    from emosim_core.fitting.directory import CARD
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import by_field
    from emosim_core.reports.make import write_report
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.distill import MODELS, Distillation, DistillConfig, stored_distillation

    as_json, quiet, yes = (given.pop(name) for name in ("as_json", "quiet", "yes"))
    registry, out = Registry(only=obj["only"]), given["out"]
    values, job, _ = chosen_job(
        *("distill", EnvironmentConfig, obj, given, registry),
        base=lambda own, resumed: (resumed, {} if resumed is None else stored_distillation(resumed)),
        models=MODELS,
        renamed=partial(by_field, DistillConfig),
    )
    config = DistillConfig.read(values, "distill")
    job = job or new_job("distill", f"distilled-{values['plugin']}", out)
    job.check()
    screen = console(stderr=as_json)
    distillation = Distillation(config, registry)
    with closing(distillation.world), telling_progress(job):
        if job.resume:
            distillation.check_resumed(job.path)
        world, total = distillation.world, len(distillation.trials.trials)
        if not (job.path / CARD).exists() and (estimated := distillation.estimate()) is not None:
            print_line(cost_line(estimated, ". Cached answers cost nothing. Fewer with --max-questions."), err=True)
            confirm_cost(yes or estimated.replay or not estimated.cost)
        if not quiet:
            screen.print_line(
                f"{world.domain.title}: {total:,} ratings of {len(distillation.trials.users):,} users. "
                f"{who_answers(world.answered_by)}"
            )
            print_notes(screen, world.announcements)
        with live_progress(screen, "ratings", total, silent=as_json or quiet) as progress:
            card = distillation.run(job, lambda count: progress.update(advance=count))
    write_report(job.path, registry=registry)
    if not print_short({**card, "directory": str(job.path)}, job.path, as_json, quiet):
        _print(screen, card, job.path, values)


def _print(screen: Screen, card: dict[str, Any], directory: Path, values: dict[str, Any]) -> None:
    from emosim_core.cli.output import Table, show_table
    from emosim_core.reports.people_report import DISTILLED, distilled_rows
    from emosim_core.runs.typed import typed

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
