"""``emosim ablate``: run ablation studies over raters, prompts, retrieval strategies and noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import FieldOption, SectionedGroup, field_options
from emosim_core.cli.options import (
    EPISODE_FIELDS,
    check_written,
    command_hint,
    configuration_options,
    configured,
    confirm_cost,
    cost_line,
    executor_option,
    keyboard,
    need_plugin,
    place_options,
    read_written,
)
from emosim_core.cli.places import new_job, nothing_begun, resumed_job
from emosim_core.cli.printing import print_json, print_short
from emosim_core.cli.stopping import telling_progress
from emosim_core.errors import ConfigurationError
from emosim_core.terminal import counted

if TYPE_CHECKING:
    from emosim_core.cli.output import Screen
    from emosim_core.hooks import Registry
    from emosim_core.runs.cells import Executor
    from emosim_core.studies.ablation.ablation import Ablation


@click.group(cls=SectionedGroup, invoke_without_command=True)
@field_options("AblationConfig")
@configuration_options("EnvironmentConfig", without=(*EPISODE_FIELDS, "on_failed_rating"))
@place_options("ablate", "runs/ablation-...")
@executor_option("processes; local with a language model")
@click.option("--yes", is_flag=True, help="Do not ask before model calls that cost money.")
@click.pass_context
def ablate(ctx: click.Context, /, **given: Any) -> None:
    """Run ablation studies over raters, prompts, retrieval strategies and noise.

    --rater, --llm-model, --llm-rater, --items-retrieval and --perturbator take several names with commas between;
    every combination meets the same trials. 'emosim plugins' lists the studies.

    \b
    emosim ablate --plugin movies --study all
    emosim ablate --plugin books --retrieval last_3,decay_emotion_3 --num-seeds 3
    emosim ablate report DIR      the metrics again, from the records alone
    """
    if ctx.invoked_subcommand is None:
        return _ablate(ctx.obj, given)
    for param in ctx.command.params:
        if param.name and ctx.get_parameter_source(param.name) == click.core.ParameterSource.COMMANDLINE:
            spelling = param.spelling if isinstance(param, FieldOption) else param.opts[0]
            raise ConfigurationError(f"emosim ablate {ctx.invoked_subcommand} takes no {spelling}")


@ablate.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--study", help="Studies that the directory names and only you may: those of a plugin's free options.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON and nothing else.")
@click.pass_obj
def report(obj: dict[str, Any], /, directory: Path, study: str | None, as_json: bool) -> None:
    """Compute all metrics of an ablation again, from its records alone; no rater is called."""
    from emosim_core.hooks import Registry
    from emosim_core.studies.ablation.ablation import results
    from emosim_core.studies.ablation.grid import choices

    own = {} if study is None else {"studies": choices(study)}
    outcome = results(directory, Registry(only=obj["only"]), own)
    if as_json:
        print_json(outcome)
        return
    _print(outcome, directory)


def _ablate(obj: dict[str, Any], given: dict[str, Any]) -> None:
    from emosim_core.cli.output import console
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import by_field
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.ablation.ablation import Ablation, resumed
    from emosim_core.studies.ablation.grid import VARIANT_OPTIONS, AblationConfig, choices, given_again, read_grid

    registry = Registry(only=obj["only"])
    as_json, quiet, yes, executor = (given.pop(name) for name in ("as_json", "quiet", "yes", "executor"))
    out, resume, config = (given.pop(name) for name in ("out", "resume", "config"))
    written = by_field(AblationConfig, read_written(EnvironmentConfig, config), str(config))
    if given["studies"] == "prompts" and not any(one.name == "prompts" for one, _ in registry.components("study")):
        raise ConfigurationError("prompts are measured on real users by a command of its own: emosim prompt-bench")
    if config is not None:
        check_written(written, (EnvironmentConfig, AblationConfig), config)
    if given["rater"] is not None:
        given["rater"] = choices(given["rater"])
    job = resumed_job("ablate", out, resume)
    if job is not None and job.resume:
        own = given_again(keyboard(EnvironmentConfig, given, written))
        hint = command_hint(obj, config)
        axes = {axis: hint.options[option] for axis, option in VARIANT_OPTIONS.items()}
        hint = replace(hint, options={**hint.options, **axes}, keys=VARIANT_OPTIONS)
        ablation = resumed(job, registry, own, hint)
    elif job is not None and given["plugin"] is None and config is None:
        raise nothing_begun(job.path)
    else:
        values = configured(EnvironmentConfig, given, written)
        need_plugin(values, registry)
        grid = read_grid(values)
        job = job or new_job("ablate", f"ablation-{grid.environment['plugin']}", out)
        ablation = Ablation(grid, job, registry)
    beside = console(stderr=True)  # standard output holds the results alone
    _announce(beside, ablation, quiet)
    _confirm(beside, ablation, yes)
    outcome = _play(ablation, _executor(ablation, executor, registry), beside, as_json or quiet)
    if not print_short(outcome, ablation.directory, as_json, quiet):
        _print(outcome, ablation.directory)


def _print(outcome: dict[str, Any], directory: Path) -> None:
    from emosim_core.cli.output import console
    from emosim_core.cli.results import print_report
    from emosim_core.reports.ablation_report import report_of_ablation

    print_report(console(), directory, report_of_ablation(directory, outcome))


def _executor(ablation: Ablation, choice: str | None, registry: Registry) -> Executor:
    """Where jobs are done; a ConfigurationError where nothing provides the choice."""
    from emosim_core.runs.cells import executor_of

    few = len(ablation.plan.remaining) < 2
    return executor_of(choice or ("local" if ablation.plan.estimates or few else "processes"), registry)


def _announce(screen: Screen, ablation: Ablation, quiet: bool) -> None:
    """Say what is about to be done; in quiet mode nothing."""
    from emosim_core.cli.output import print_notes

    plan = ablation.plan
    if quiet:
        return
    done = len(plan.jobs) - len(plan.remaining)
    ratings = sum(plan.ratings[job.key] for job in plan.remaining)
    text = f"{counted(len(plan.remaining), 'job')} with {counted(ratings, 'rating')}"
    if done:
        text += f" to do; {done} of {len(plan.jobs)} are done already"
    suffix = "" if ablation.uses_llm else " No language model is called."
    screen.print_line(f"{ablation.about['domain']['title']}: {text}.{suffix}")
    left_out = [f"{name} is left out: {reason}" for name, reason in plan.left_out.items()]
    print_notes(screen, [*plan.announcements, *left_out])


def _confirm(screen: Screen, ablation: Ablation, yes: bool) -> None:
    """Say what the calls of each language model will take, and ask before money is spent."""
    from emosim_core.studies.cost import by_model

    plan = ablation.plan
    estimated = by_model(plan.estimates[job.key] for job in plan.remaining if job.key in plan.estimates)
    for one in estimated:
        how = ". Cached answers cost nothing; an answer that cannot be parsed is requested again."
        screen.print_line(cost_line(one, how))
    confirm_cost(yes or all(one.replay or not one.cost for one in estimated))


def _play(ablation: Ablation, executor: Executor, screen: Screen, silent: bool) -> dict[str, Any]:
    from emosim_core.cli.output import live_progress

    plan = ablation.plan
    total = sum(plan.ratings[job.key] for job in plan.remaining)
    done = len(plan.jobs) - len(plan.remaining)
    with telling_progress(ablation.job_directory), live_progress(screen, "ratings", total, silent=silent) as progress:

        def on_job() -> None:
            nonlocal done
            done += 1
            progress.update(f"{done} of {counted(len(plan.jobs), 'job')}")

        return ablation.run(executor, lambda count: progress.update(advance=count), on_job)
