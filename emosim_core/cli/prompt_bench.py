"""``emosim prompt-bench``: how well each prompt strategy makes a language model rate as real users do."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Any

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
from emosim_core.cli.studies import print_study

_NOT_OURS = (
    *("items", "user_dataset", "user_split", "test_fraction", "on_failed_rating", "rater", "perturbator"),
    *("observation", "llm.explain"),
    *EPISODE_FIELDS,
)
"""Fields of an environment that mean nothing here: items and users are those of the ratings, raters a model."""


@click.command(cls=SectionedCommand)
@field_options("PromptBenchConfig", without=("folds",))
@configuration_options("EnvironmentConfig", without=_NOT_OURS, defaults={"llm_rater": "all"})
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("prompt bench", "runs/prompts-...")
@click.pass_obj
def prompt_bench(obj: dict[str, Any], /, **given: Any) -> None:
    """Measure how well each prompt strategy makes a language model rate as real users do.

    The same questions about real users are put with each of the strategies in --llm-rater, which takes several names
    with commas between: how far expected ratings are from real ones, whether what a user took comes before what they
    did not, whether the person, the item, the order of memories and the examples matter, and what it takes.

    \b
    emosim prompt-bench --plugin movies --ratings movielens:ml-latest-small --llm-model local:smollm2 \\
      --llm-rater 0Shot_system_our,2Shot_system_our
    """
    from emosim_core.cli.output import console, live_progress, loading, print_notes
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import by_field
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.ablation.grid import choices
    from emosim_core.studies.prompts.bench import ALL, MODELS, PromptBench, PromptBenchConfig, stored_bench
    from emosim_core.studies.prompts.records import RESULTS

    as_json, quiet, yes = (given.pop(name) for name in ("as_json", "quiet", "yes"))
    registry, out = Registry(only=obj["only"]), given["out"]
    strategies = choices(given.pop("llm_rater"))
    values, job, stored = chosen_job(
        *("prompt-bench", EnvironmentConfig, obj, given, registry),
        base=lambda own, resumed: (resumed, {} if resumed is None else stored_bench(resumed)),
        models=MODELS,
        renamed=partial(by_field, PromptBenchConfig),
    )
    values["strategies"] = strategies or choices(values.pop("llm_rater", None)) or stored.get("strategies") or [ALL]
    checked = PromptBenchConfig.read(values, "prompt-bench")
    job = job or new_job("prompt-bench", f"prompts-{values['plugin']}", out)
    job.check()
    screen = console(stderr=as_json)
    with loading("the ratings", silent=as_json or quiet):
        bench = PromptBench(checked, registry)
    with closing(bench.world), telling_progress(job):
        if job.resume:
            bench.check_resumed(job.path)
        if not (job.path / RESULTS).exists():
            estimated = bench.estimate()
            how = ". Cached answers cost nothing. Fewer with --llm-rater, --max-users, --max-heldout, --max-questions."
            print_line(cost_line(estimated, how), err=True)
            confirm_cost(yes or estimated.replay or estimated.cost == 0)
        if not quiet:
            screen.print_line(
                f"{bench.world.domain.title}: {len(bench.strategies)} strategies, {len(bench.part.users)} "
                f"{checked.split} users, at most {bench.questions():,} questions to {bench.world.model}."
            )
            print_notes(screen, bench.announcements)

        def on_pace(seconds: float) -> None:
            if not quiet:
                screen.print_line(f"At the pace of the first answers this takes {seconds / 60:,.0f} more minutes.")

        with live_progress(screen, "questions", bench.questions(), silent=quiet) as progress:
            outcome = bench.run(job, lambda count: progress.update(advance=count), on_pace)
    if not print_short({**outcome, "directory": str(job.path)}, job.path, as_json, quiet):
        print_study(console(), job.path)
