"""``emosim judge``: can a judge tell ratings of simulated users from those of real ones?"""

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
    from emosim_core.studies.believability.believability import Believability

_NOT_OURS = ("items", "user_dataset", "user_split", "test_fraction", "on_failed_rating", "gateway", *EPISODE_FIELDS)
"""Fields of an environment that mean nothing here, or are those of the test."""


@click.command(cls=SectionedCommand)
@field_options("BelievabilityConfig")
@configuration_options("EnvironmentConfig", without=_NOT_OURS)
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("test", "runs/judge-...")
@click.pass_obj
def judge(obj: dict[str, Any], /, **given: Any) -> None:
    """Test whether a judge can tell ratings of simulated users from those of real ones.

    Each pair has what one real user rated and what the same user rates as simulated, of the same held-out items, split
    and known as in a validation. A language model judges here, people in emosim view.

    \b
    emosim judge --plugin movies --ratings movielens:ml-latest-small
    """
    from emosim_core.cli.output import console, live_progress
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import by_field
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.believability.believability import MODELS, Believability, BelievabilityConfig, stored_test
    from emosim_core.studies.believability.results import RESULTS

    as_json, quiet, yes = (given.pop(name) for name in ("as_json", "quiet", "yes"))
    registry, out = Registry(only=obj["only"]), given["out"]
    values, job, _ = chosen_job(
        *("judge", EnvironmentConfig, obj, given, registry),
        base=lambda own, resumed: (resumed, {} if resumed is None else stored_test(resumed)),
        models=MODELS,
        renamed=partial(by_field, BelievabilityConfig),
    )
    config = BelievabilityConfig.read(values, "judge")
    job = job or new_job("judge", f"judge-{values['plugin']}", out)
    job.check()
    screen = console(stderr=as_json)
    with closing(Believability(config, registry)) as test, telling_progress(job):
        if job.resume:
            test.check_resumed(job.path)
        if not (job.path / RESULTS).exists() and (estimates := test.estimate()):
            for one in estimates:
                print_line(cost_line(one, ". Cached answers cost nothing. Fewer with --max-questions."), err=True)
            confirm_cost(yes or all(one.replay for one in estimates))
        if not quiet:
            _announce(screen, test)
        with live_progress(screen, "pairs", test.steps, silent=quiet) as progress:
            results = test.run(job, lambda count: progress.update(advance=count))
    print_results(results, job.path, as_json, quiet)


def _announce(screen: Screen, test: Believability) -> None:
    from emosim_core.cli.output import print_notes, who_answers

    world, data = test.world, test.source.data.about()
    judge = "nobody yet" if test.judge is None else test.judge.name
    screen.print_line(
        f"{world.domain.title}: {data['interactions']:,} ratings of {data['items']:,} {world.domain.words.items} by "
        f"{data['users']:,} users; {test.users:,} users are judged. {who_answers(world.answered_by)} Judge: {judge}."
    )
    print_notes(screen, test.announcements)
