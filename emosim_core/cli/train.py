"""``emosim train``: train a recommender on simulated users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import mul
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand
from emosim_core.cli.options import chosen_job, configuration_options, executor_option, place_options
from emosim_core.cli.places import new_job
from emosim_core.cli.printing import print_line, print_results
from emosim_core.cli.stopping import telling_progress
from emosim_core.terminal import counted

if TYPE_CHECKING:
    from emosim_core.hooks import Registry
    from emosim_core.runs.job import JobDirectory
    from emosim_core.training.config import TrainConfig
    from emosim_core.training.curves import TrainingProgress
    from emosim_core.training.trainer import Training


@click.command(cls=SectionedCommand)
@configuration_options("TrainConfig")
@place_options("train")
@executor_option()
@click.pass_obj
def train(obj: dict[str, Any], /, as_json: bool, quiet: bool, **given: Any) -> None:
    """Train a recommender on simulated users.

    The environment has the options of 'emosim run'. Consumed items are never recommended again. Measure a training
    with 'emosim evaluate --recommenders DIR', get recommendations with 'emosim recommend DIR', and run it with
    'emosim run --policy trained:DIR'.

    With --num-seeds, recommenders are trained under several seeds into one directory; --executor says where.
    """
    from emosim_core.cli.output import loading
    from emosim_core.hooks import Registry
    from emosim_core.runs.reading import read_object
    from emosim_core.runs.records import SUMMARY
    from emosim_core.simulation.config import read_config
    from emosim_core.studies.seeds import base
    from emosim_core.training.config import TrainConfig
    from emosim_core.training.curves import SUMMARY as TRAINED

    silent = as_json or quiet
    with loading("torch", silent=silent):
        from emosim_core.training.trainer import Training

    registry = Registry(only=obj["only"])
    config, out, executor = given["config"], given["out"], given.pop("executor") or "local"
    values, resumed, _ = chosen_job("train", TrainConfig, obj, given, registry, base=base)
    checked: TrainConfig = read_config(TrainConfig, values, "train" if config is None else str(config))
    job = resumed or new_job("train", f"{checked.plugin}-{checked.algo}", out)
    if checked.num_seeds > 1:
        print_results(_train_seeds(checked, job, registry, executor, silent), job.path, as_json, quiet)
        return
    if resumed and (job.path / SUMMARY).exists():
        summary = read_object(job.path / SUMMARY, TRAINED)
        if summary["timesteps"] >= checked.timesteps:
            job.tidy()
            if not silent:
                print_line(f"{job.path} is complete; nothing was left to do.")
            print_results(summary, job.path, as_json, quiet)
            return
    with telling_progress(job):
        with loading("items and users", silent=silent):
            training = Training(checked, job, registry=registry)
        summary = _train(training, silent)
    print_results(summary, job.path, as_json, quiet)


def _train_seeds(
    config: TrainConfig, job: JobDirectory, registry: Registry, executor: str, silent: bool
) -> dict[str, Any]:
    from emosim_core.cli.output import console, live_progress
    from emosim_core.studies.seeds import train_seeds

    with telling_progress(job), live_progress(console(stderr=True), "trainings", silent=silent) as progress:
        return train_seeds(config, job, registry, executor, lambda done, total: progress.update(done=done, total=total))


def _train(training: Training, silent: bool) -> dict[str, Any]:
    if silent:
        return training.train()
    from emosim_core.cli.output import console, live_progress, print_notes, who_answers
    from emosim_core.training.algorithms import ALGORITHMS

    world, config, screen = training.world, training.config, console()
    screen.print_line(
        f"{world.domain.title}: {world.domain.words.count_items(len(world.catalog))}, "
        f"{len(world.user_indices)} of {counted(len(world.population), 'user')} to learn from. "
        + who_answers(world.answered_by)
    )
    screen.print_line(
        f"{ALGORITHMS[config.algo].title} with the network '{config.policy_net}', "
        f"{counted(config.num_envs, 'environment')}, {counted(config.timesteps, 'step')}, on {training.model.device}."
    )
    print_notes(screen, world.announcements)
    with live_progress(screen, "steps", config.timesteps) as progress:
        lines, before = 0, 0
        since: list[tuple[int, float, float]] = []

        def on_progress(state: TrainingProgress) -> None:
            nonlocal lines, before
            if state.reward is not None and state.length is not None:
                since.append((max(1, state.episodes - before), state.reward, state.length))
            before = state.episodes
            spent = world.rater.usage().get("cost")
            cost = [] if spent is None else [f"{spent:.4f} spent"]
            progress.update(*cost, *_in_words(state), done=state.timesteps)
            lines += 1
            if state.evaluation or lines % 10 == 0 or state.timesteps >= config.timesteps:
                screen.print_line(f"{state.timesteps:>9,} steps  {', '.join(_in_words(_over(state, since)))}")
                since.clear()

        return training.train(on_progress)


def _over(progress: TrainingProgress, since: Sequence[tuple[int, float, float]]) -> TrainingProgress:
    """How a training goes, with the means of the episodes since the last line: their number, reward and length."""
    if not since:
        return progress
    counts, *columns = zip(*since, strict=True)
    reward, length = (sum(map(mul, counts, column)) / sum(counts) for column in columns)
    return replace(progress, reward=reward, length=length)


def _in_words(progress: TrainingProgress) -> list[str]:
    """How a training goes, the most important first."""
    parts = []
    if progress.reward is not None and progress.length is not None:
        parts += [f"reward {progress.reward:.1f}", f"length {progress.length:.1f}"]
    for group, value in (progress.evaluation or {}).items():
        parts.append(f"{group} users {value:.1f} in evaluation episodes")
    return [*parts, counted(progress.episodes, "episode"), f"{progress.fps:,.0f} steps/s"]
