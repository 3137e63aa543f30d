"""``emosim run``: simulate episodes and leave a run directory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from emosim_core.cli.fields import SectionedCommand
from emosim_core.cli.options import chosen_job, configuration_options, executor_option, place_options
from emosim_core.cli.places import new_job
from emosim_core.cli.printing import print_short
from emosim_core.cli.stopping import telling_progress
from emosim_core.runs.typed import typed
from emosim_core.terminal import counted

if TYPE_CHECKING:
    from emosim_core.runs.cells import Executor
    from emosim_core.runs.runner import Run
    from emosim_core.runs.summary import Episode

_Command = TypeVar("_Command", bound=Callable[..., Any])

_PAUSE = 0.1
"""Seconds between two updates of the progress of a run of many episodes, none of which has a line of its own."""


def run_options(defaults: Mapping[str, Any] | None = None) -> Callable[[_Command], _Command]:
    """Give a command the options of a run, with defaults by field that differ: recommender, environment, directory."""
    fields, places = configuration_options("RunConfig", defaults=defaults), place_options("run")
    return lambda command: fields(executor_option()(places(command)))


@click.command(cls=SectionedCommand)
@run_options()
@click.pass_obj
def run(obj: dict[str, Any], /, as_json: bool, quiet: bool, **given: Any) -> None:
    """Simulate episodes of a recommender with simulated users.

    A component is named as in decay_emotion_3, decay_emotion:k=5,time_decay=0.3 or csv:PATH;
    'emosim plugins' lists all of them. Nothing but a language model needs a key or a network.
    """
    played = simulate(obj, given, silent=as_json or quiet)
    print_end(played, as_json, quiet)


class CompletedRun(NamedTuple):
    """A run that is complete, whether it was so before this command, and the values that it was made with."""

    summary: dict[str, Any]
    directory: Path
    before: bool
    config: dict[str, Any]


def simulate(
    obj: Mapping[str, Any], given: dict[str, Any], *, silent: bool, defaults: Mapping[str, Any] | None = None
) -> CompletedRun:
    """Make or continue the run that the options of a command describe, those of :func:`run_options`.

    An EmoSimError where an option is wrong or the run cannot be made; click.exceptions.Exit where it was interrupted.
    """
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import by_field
    from emosim_core.runs.cells import executor_of
    from emosim_core.runs.records import SUMMARY, check_records, read_summary
    from emosim_core.runs.runner import Run
    from emosim_core.simulation.config import RunConfig, read_config

    given = dict(given)
    registry = Registry(only=obj["only"])
    executor = executor_of(given.pop("executor") or "local", registry)
    config, out = given["config"], given["out"]
    values, resumed, stored = chosen_job("run", RunConfig, obj, given, registry, defaults=defaults)
    job = resumed or new_job("run", values["plugin"], out)
    if values == by_field(RunConfig, stored) and (job.path / SUMMARY).exists():
        summary = read_summary(job.path)
        if summary["complete"]:
            check_records(job.path)  # what is damaged is no complete run
            job.tidy()
            return CompletedRun(summary, job.path, before=True, config=values)
    checked = read_config(RunConfig, values, "run" if config is None else str(config))
    with telling_progress(job):
        summary = play(Run(checked, job, registry=registry), executor, silent)
        return CompletedRun(summary, job.path, before=False, config=values)


def play(simulation: Run, executor: Executor, silent: bool) -> dict[str, Any]:
    if silent:
        return simulation.run(executor=executor)
    from emosim_core.cli.output import console, episode_line, live_progress, print_notes, who_answers
    from emosim_core.runs.runner import LARGE

    world, screen = simulation.world, console()
    screen.print_line(
        f"{world.domain.title}: {world.domain.words.count_items(len(world.catalog))}, "
        f"{counted(len(world.population), 'user')}. " + who_answers(world.answered_by)
    )
    notes = [f"This run is done in one process: {simulation.whole}."] if simulation.whole else []
    print_notes(screen, [*world.announcements, *(notes if executor.workers > 1 else ())])
    with live_progress(screen, "episodes", simulation.config.episodes) as progress:
        few, shown = simulation.config.episodes <= LARGE, 0.0

        def on_episode(episode: Episode) -> None:
            nonlocal shown
            if few:
                screen.print_line(*episode_line(episode, world.domain.scale))
            elif time.monotonic() < shown + _PAUSE:
                return
            shown = time.monotonic()
            spent = simulation.world.rater.usage().get("cost")
            cost = [] if spent is None else [f"{spent:.4f} spent"]
            progress.update(*cost, counted(simulation.steps, "step"), done=simulation.episodes)

        return simulation.run(on_episode, executor, lambda count: progress.update(advance=count))


def print_end(played: CompletedRun, as_json: bool, quiet: bool, **more: Any) -> None:
    """Print what a run came to; ``more`` are further keys of the JSON."""
    summary, directory, before, _ = played
    if print_short({**summary, "directory": str(directory), **more}, directory, as_json, quiet):
        return
    from emosim_core.cli.output import console, show_table, summary_table
    from emosim_core.runs.words import answer_warnings

    screen = console()
    if before:
        screen.print_line(f"{directory} is complete; nothing was left to do.")
    show_table(screen, summary_table(summary))
    for warning in answer_warnings(summary):
        screen.print_line(("Warning: ", "yellow"), warning)
    command = typed("show", directory, "--episode", "0")
    screen.print_line(f"Written to {directory}. Read an episode with: {command}")
