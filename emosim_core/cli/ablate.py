"""``emosim ablate``: run ablation studies over raters, prompts, retrieval strategies and noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import FieldOption, SectionedGroup, field_options
from emosim_core.cli.options import (
    EPISODE_FIELDS,
    command_hint,
    configuration_options,
    configured,
    confirm_cost,
    keyboard,
    need_plugin,
    place_options,
)
from emosim_core.cli.places import job_place, nothing_begun, resumed_place
from emosim_core.cli.printing import print_json, print_line
from emosim_core.cli.stopping import interrupted
from emosim_core.errors import ConfigurationError
from emosim_core.runs.typed import typed
from emosim_core.runs.words import decimal

if TYPE_CHECKING:
    from emosim_core.cli.output import Screen
    from emosim_core.studies.ablation.ablation import Ablation
    from emosim_core.studies.ablation.executor import Executor
    from emosim_core.studies.ablation.grid import AblationConfig
    from emosim_core.studies.cost import Estimate

_GIVEN_AGAIN = (
    *("items", "user_dataset", "embeddings"),
    *("rater", "llm_model", "llm_rater", "items_retrieval", "perturbator"),
)
"""Fields that may be given again, as they were, when an ablation is resumed."""

_GRID = ("studies", "seed", "num_seeds")
"""Fields of the grid that are options of their own."""


@click.group(cls=SectionedGroup, invoke_without_command=True)
@field_options("AblationConfig")
@configuration_options("EnvironmentConfig", without=(*EPISODE_FIELDS, "on_failed_rating"))
@place_options("ablation", "runs/ablation-...")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="JOBS",
    help="Jobs that run at the same time; 1 with a language model.  [one per core]",
)
@click.option("--yes", is_flag=True, help="Do not ask before model calls that cost money.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON and nothing else.")
@click.option("--quiet", is_flag=True, help="Print only where the results were written.")
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
    if ctx.invoked_subcommand is not None:
        wrong = _given(ctx)
        if wrong:
            raise ConfigurationError(f"emosim ablate {ctx.invoked_subcommand} takes no {_spelled(wrong[0])}")
        return
    _ablate(ctx, given)


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
    from emosim_core.cli.output import console

    print_results(console(), outcome, directory)


def _given(ctx: click.Context) -> list[click.Parameter]:
    """The parameters that were given on the command line."""
    source = click.core.ParameterSource.COMMANDLINE
    return [one for one in ctx.command.params if one.name and ctx.get_parameter_source(one.name) == source]


def _spelled(param: click.Parameter) -> str:
    return param.spelling if isinstance(param, FieldOption) else param.opts[0]


def _ablate(ctx: click.Context, given: dict[str, Any]) -> None:
    from emosim_core.hooks import Registry
    from emosim_core.studies.ablation.ablation import Ablation, resumed
    from emosim_core.studies.ablation.grid import VARIANT_OPTIONS

    only = ctx.obj["only"]
    registry = Registry(only=only)
    as_json, quiet, yes, jobs = (given.pop(name) for name in ("as_json", "quiet", "yes", "jobs"))
    out, resume = given.pop("out"), given.pop("resume")
    place = resumed_place("ablate", out, resume)
    job_directory = None if place is None else job_place("ablate", "", out, place)
    if job_directory is not None and (job_directory.resume or (given["plugin"] is None and given["config"] is None)):
        if not job_directory.resume:
            raise nothing_begun(job_directory.path)
        allowed = {"out", "resume", "yes", "jobs", "as_json", "quiet", "config", "studies", *_GIVEN_AGAIN}
        for param in _given(ctx):
            if param.name not in allowed and not str(param.name).startswith("gateway."):
                raise ConfigurationError(f"--resume goes on with the grid of {place}; leave {_spelled(param)} out")
        own = _given_again(given)
        gateway = own.pop("gateway", {})
        hint = command_hint(ctx.obj, given["config"])
        axes = {axis: hint.options[option] for axis, option in VARIANT_OPTIONS.items()}
        again = replace(hint, options={**hint.options, **axes}, keys=VARIANT_OPTIONS)
        ablation = resumed(job_directory, registry, only, gateway, own, again)
    else:
        config = _config(given, registry)
        job_directory = job_directory or job_place("ablate", f"ablation-{config.environment['plugin']}", out)
        ablation = Ablation(config, job_directory, registry, only)
    silent = as_json or quiet
    from emosim_core.cli.output import console

    beside = console(stderr=True)  # standard output holds the results alone
    _announce(beside, ablation, quiet)
    _confirm(ablation, yes)
    outcome = _play(ablation, _executor(ablation, jobs), beside, silent)
    if as_json:
        print_json(outcome)
    elif quiet:
        print_line(str(ablation.directory))
    else:
        print_results(console(), outcome, ablation.directory)


def _config(given: Mapping[str, Any], registry: Any) -> AblationConfig:
    """What the options and the file ask for.

    Raises:
        ConfigurationError: a value is wrong, or no domain is named.
    """
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.ablation.grid import read_grid

    written = _written(given["config"])
    options = {name: value for name, value in given.items() if name not in (*_GRID, "config")}
    values = configured(EnvironmentConfig, options, {name: one for name, one in written.items() if name not in _GRID})
    need_plugin(values, registry)
    return read_grid({**values, **_grid(written), **_grid(given)})


def _written(config: Path | None) -> dict[str, Any]:
    """What the file says, under the names of the fields: those of the environment and those of the grid."""
    from emosim_core.hooks.fields import by_field
    from emosim_core.simulation.config import EnvironmentConfig, read_config_file
    from emosim_core.studies.ablation.grid import AblationConfig

    return {} if config is None else by_field(AblationConfig, read_config_file(EnvironmentConfig, config), str(config))


def _grid(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in _GRID if values.get(name) is not None}


def _given_again(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the options and the file say again of an ablation that is resumed, by its fields."""
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.ablation.grid import ALL, VARIANT_OPTIONS, choices

    options = {name: one for name, one in given.items() if name in _GIVEN_AGAIN or name.startswith("gateway.")}
    if options.get("rater") is not None:
        options["rater"] = choices(options["rater"])
    values = keyboard(EnvironmentConfig, options, _written(given["config"]))
    for axis, option in VARIANT_OPTIONS.items():
        if option in values:
            values[axis] = choices(values.pop(option))
    studies = given["studies"] if given["studies"] is not None else values.get("studies")
    named = [one for one in choices(studies) if one != ALL]  # the stored grid has the names that "all" stood for
    values.pop("studies", None)
    return {**values, "studies": named} if named else values


def _executor(ablation: Ablation, jobs: int | None) -> Executor:
    """Where jobs are done.

    Raises:
        ConfigurationError: several processes would share one budget.
    """
    from emosim_core.studies.ablation.executor import InThisProcess, Processes

    remaining = ablation.plan.remaining
    if jobs is None:
        jobs = 1 if ablation.plan.estimates else min(_cores(), len(remaining))
    if jobs > 1 and ablation.config.environment.get("gateway", {}).get("max_cost") is not None:
        raise ConfigurationError("--max-cost holds for one process; give --jobs 1 with it")
    return InThisProcess(ablation.worlds) if jobs == 1 or len(remaining) < 2 else Processes(jobs)


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---------------------------------------------------------------------------------------- before it starts


def _announce(screen: Screen, ablation: Ablation, quiet: bool) -> None:
    """Say what is about to be done; in quiet mode only what asking will cost."""
    plan = ablation.plan
    if not quiet:
        done = len(plan.jobs) - len(plan.remaining)
        ratings = sum(plan.ratings[job.key] for job in plan.remaining)
        text = f"{_counted(len(plan.remaining), 'job')} with {ratings:,} ratings"
        if done:
            text += f" to do; {done} of {len(plan.jobs)} are done already"
        suffix = "" if ablation.uses_llm else " No language model is called."
        screen.print_line(f"{ablation.about['domain']['title']}: {text}.{suffix}")
        for announcement in plan.announcements:
            screen.print_line(f"Note: {announcement}")
        for name, reason in plan.left_out.items():
            screen.print_line(f"Note: {name} is left out: {reason}")
    for line in _costs(ablation):
        screen.print_line(line)


def _costs(ablation: Ablation) -> list[str]:
    """What asking each language model will take, in words."""
    by_model: dict[str, list[Estimate]] = {}
    for job in ablation.plan.remaining:
        if (one := ablation.plan.estimates.get(job.key)) is not None:
            by_model.setdefault(one.model, []).append(one)
    lines = []
    for model, estimates in by_model.items():
        requests, prompt, completion = (sum(getattr(one, n) for one in estimates) for n in _SUMMED)
        line = f"{model}: {requests:,} requests, about {prompt:,} tokens in and up to {completion:,} out"
        price = estimates[0].price
        cost = "not known: no price is known for this model"
        if price is not None:
            spent = sum(one.cost or 0.0 for one in estimates)
            cost = f"about {_money(spent)} {price.currency} at the prices of {price.as_of}"
        lines.append(
            f"{line}; cost {cost}. Cached answers cost nothing; an answer that cannot be parsed is requested again."
        )
    return lines


def _money(amount: float) -> str:
    return f"{amount:.2f}" if amount >= 1 else f"{amount:.4f}"


_SUMMED = ("requests", "prompt", "completion")


def _confirm(ablation: Ablation, yes: bool) -> None:
    """Ask before money is spent."""
    gateway = ablation.config.environment.get("gateway", {})
    spent = sum(
        ablation.plan.estimates[c.key].cost or 0.0 for c in ablation.plan.remaining if c.key in ablation.plan.estimates
    )
    if yes or not spent or gateway.get("replay"):
        return
    confirm_cost(
        f"this calls a model that costs money, about {_money(spent)}; say --yes to start, --max-cost to set a limit, "
        "or --replay to use cached answers only"
    )


# ------------------------------------------------------------------------------------------- while it runs


def _play(ablation: Ablation, executor: Executor, screen: Screen, silent: bool) -> dict[str, Any]:
    from emosim_core.cli.output import live_progress

    plan = ablation.plan
    total = sum(plan.ratings[job.key] for job in plan.remaining)
    done = len(plan.jobs) - len(plan.remaining)
    try:
        with live_progress(screen, "ratings", total, silent=silent) as progress:

            def on_job(_: Any) -> None:
                nonlocal done
                done += 1
                progress.update(f"{done} of {_counted(len(plan.jobs), 'job')}")

            return ablation.run(executor, lambda count: progress.update(advance=count), on_job)
    except KeyboardInterrupt:
        raise interrupted(ablation.job_directory) from None


# ------------------------------------------------------------------------------------------ what it came to


def print_results(screen: Screen, outcome: Mapping[str, Any], directory: Path) -> None:
    """The tables on the screen: metrics, over all seeds where there are several, and differences."""
    from emosim_core.cli.output import Table, show_table, usage_rows
    from emosim_core.studies.ablation.ablation import usage
    from emosim_core.studies.ablation.metrics import AXES

    rows = outcome["pooled"] or outcome["jobs"]
    variants = [one["variant"] for one in outcome["jobs"]]
    varying = [axis for axis in AXES if len({one[axis] for one in variants}) > 1]
    same = [f"{axis} {variants[0][axis]}" for axis in AXES if variants and axis not in varying and variants[0][axis]]
    seeds = sorted({one["seed"] for one in outcome["jobs"]})
    run_with = f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}"
    line = f"{outcome['title']}: {', '.join(same)}; {run_with}."
    screen.print_line(line if outcome["uses_llm"] else f"{line} No language model was called.")
    table = Table()
    for heading in ("study", "side", *varying):
        table.add_column(heading)
    for heading in ("result", "95 % interval", *(["each seed"] if len(seeds) > 1 else []), "failed", "ratings"):
        table.add_column(heading, justify="right")
    order = {name: place for place, name in enumerate(outcome["studies"])}
    for one in sorted(rows, key=lambda one: order[one["study"]]):
        for place, metric in enumerate(one["metrics"]):
            each = [_seed_by_seed(outcome, one, place)] if len(seeds) > 1 else []
            table.add_row(
                one["study"],
                _side(metric),
                *(one["variant"][axis] for axis in varying),
                decimal(metric["estimate"], 3),
                _interval(metric),
                *each,
                f"{metric['failed']:,}",
                f"{metric['ratings']:,}",
            )
    show_table(screen, table)
    differing = [one for one in outcome["differences"] if one["low"] != 0 or one["high"] != 0]
    if differing:
        show_table(screen, _differences(sorted(differing, key=lambda one: order[one["study"]])))
    if len(differing) < len(outcome["differences"]):
        same_studies = sorted({one["study"] for one in outcome["differences"]} - {one["study"] for one in differing})
        if same_studies:
            screen.print_line(f"No rating differs in: {', '.join(same_studies)}")
    if outcome["missing"]:
        command = typed("ablate", "--resume", directory)
        screen.print_line(f"{_counted(len(outcome['missing']), 'job')} not done: {command}")
    if took := usage(directory):
        for name, value in usage_rows(took):
            screen.print_line(f"{name}: {value}")
    line = f"Records and results are in {directory}; the metrics again, from the records:"
    screen.print_line(f"{line} {typed('ablate', 'report', directory)}")


def _seed_by_seed(outcome: Mapping[str, Any], pooled: Mapping[str, Any], place: int) -> str:
    return " ".join(
        decimal(one["metrics"][place]["estimate"], 3)
        for one in outcome["jobs"]
        if one["study"] == pooled["study"] and one["variant"] == pooled["variant"] and place < len(one["metrics"])
    )


def _differences(differences: Sequence[Mapping[str, Any]]) -> Any:
    from emosim_core.cli.output import Table

    table = Table(title="Differences on the same trials")
    for heading in ("study", "side", "first", "second"):
        table.add_column(heading)
    for heading in ("first - second", "95 % interval", "better"):
        table.add_column(heading, justify="right")
    for one in differences:
        names = [_variant(one[which], one["differs"]) for which in ("first", "second")]
        table.add_row(
            *(one["study"], _side(one), *names, decimal(one["estimate"], 3, sign=True)),
            *(_interval(one, sign=True), _better(one, names)),
        )
    return table


def _variant(variant: Mapping[str, str], differs: Sequence[str]) -> str:
    return " ".join(variant[axis] for axis in differs if variant[axis])


def _better(one: Mapping[str, Any], names: Sequence[str]) -> str:
    """Which of two is better, where the interval says so."""
    if one["low"] is None or one["low"] <= 0 <= one["high"]:
        return "-"
    return names[0] if (one["estimate"] > 0) == (one["better"] == "higher") else names[1]


def _side(metric: Mapping[str, Any]) -> str:
    return str(metric["side"] or metric["metric"])


def _interval(metric: Mapping[str, Any], sign: bool = False) -> str:
    if metric["low"] is None:
        return ""
    return f"[{decimal(metric['low'], 3, sign)}, {decimal(metric['high'], 3, sign)}]"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
