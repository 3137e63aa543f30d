"""``emosim prompt-bench``: how well each prompt strategy makes a language model rate as real users do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.options import EPISODE_FIELDS, configuration_options, place_options
from emosim_core.cli.printing import print_line
from emosim_core.cli.studies import StudyCommand

if TYPE_CHECKING:
    from emosim_core.cli.output import Screen
    from emosim_core.hooks import Registry
    from emosim_core.studies.prompts.bench import PromptBench, PromptBenchConfig

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
@place_options("prompt-bench", "runs/prompts-...")
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
    from emosim_core.cli.output import loading
    from emosim_core.studies.ablation.grid import choices
    from emosim_core.studies.prompts.bench import ALL, PromptBench
    from emosim_core.studies.prompts.records import RESULTS

    strategies = choices(given.pop("llm_rater"))

    def make(config: PromptBenchConfig, registry: Registry, silent: bool) -> PromptBench:
        with loading("the ratings", silent=silent):
            return PromptBench(config, registry, _silent if silent else _print_pace)

    def completed(values: dict[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
        written = choices(values.pop("llm_rater", None))
        return {**values, "strategies": strategies or written or stored.get("strategies") or [ALL]}

    StudyCommand(
        study=PromptBench,
        stem="prompts",
        results=RESULTS,
        make=make,
        announce=_announce,
        unit="questions",
        total=lambda bench: bench.questions(),
        fewer="--llm-rater, --max-users, --max-heldout and --max-questions",
        completed=completed,
    ).run(obj, given)


def _silent(seconds: float) -> None:
    pass


def _print_pace(seconds: float) -> None:
    print_line(f"At the pace of the first answers this takes {seconds / 60:,.0f} more minutes.", err=True)


def _announce(screen: Screen, bench: PromptBench) -> None:
    from emosim_core.cli.output import print_notes

    screen.print_line(
        f"{bench.world.domain.title}: {len(bench.strategies)} strategies, {len(bench.part.users)} "
        f"{bench.config.split} users, at most {bench.questions():,} questions to {bench.world.model}."
    )
    print_notes(screen, bench.announcements)
