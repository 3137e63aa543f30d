"""``emosim validate``: how close simulated users are to real ones."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
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

if TYPE_CHECKING:
    from emosim_core.cli.output import Screen, Table
    from emosim_core.runs.job import JobDirectory
    from emosim_core.studies.validation.validation import Validation

_NOT_OURS = ("items", "user_dataset", "user_split", "test_fraction", "on_failed_rating", *EPISODE_FIELDS)
"""Fields of an environment that mean nothing here: items and users are those of the ratings."""

Estimated = Mapping[str, Any] | None


@click.command(cls=SectionedCommand)
@field_options("ValidationConfig")
@configuration_options("EnvironmentConfig", without=_NOT_OURS)
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("validation", "runs/validation-...")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON and nothing else.")
@click.option("--quiet", is_flag=True, help="Print only where the validation was written.")
@click.pass_obj
def validate(obj: dict[str, Any], /, config: Path | None, **given: Any) -> None:
    """Measure how close simulated users are to real ones.

    Real users become profiles and memories up to a point in time, and are simulated on what they rated and chose
    after it. Every answer is recorded; every metric stands beside plain baselines, with an interval over users.

    \b
    emosim validate --plugin movies --ratings movielens:ml-latest-small
    """
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import by_field
    from emosim_core.hooks.names import checked_options
    from emosim_core.runs.plain import own_files
    from emosim_core.runs.trust import confirmed
    from emosim_core.simulation.config import EnvironmentConfig, read_config_file
    from emosim_core.studies.validation.records import RESULTS
    from emosim_core.studies.validation.validation import (
        MODELS,
        Validation,
        ValidationConfig,
        stored_validation,
    )

    out, resume, as_json, quiet, yes = (given.pop(name) for name in ("out", "resume", "as_json", "quiet", "yes"))
    registry = Registry(only=obj["only"])
    written = {} if config is None else by_field(ValidationConfig, read_config_file(EnvironmentConfig, config))
    names = set(ValidationConfig.model_fields) - {"environment"}
    chosen = by_field(ValidationConfig, {name: one for name, one in given.items() if name in names and one is not None})
    options = {name: one for name, one in given.items() if name not in names}
    place, stored = resumed_place("validate", out, resume), {}
    if place is not None:
        job = job_place("validate", "", out, place)
        if job.resume:
            stored = stored_validation(place)
            own_files(place)
    values = {**configured(EnvironmentConfig, options, written, stored), **chosen}
    if place is not None and not job.resume and "plugin" not in values:
        raise nothing_begun(place)
    need_plugin(values, registry)
    if place is not None and job.resume:
        own = {**keyboard(EnvironmentConfig, options, written), **chosen}
        values = confirmed(place, values, own, stored, MODELS, registry, command_hint(obj, config))
    environment = {name: one for name, one in values.items() if name not in names}
    others = {name: one for name, one in values.items() if name in names}
    checked = checked_options(ValidationConfig, {"environment": environment, **others}, "validate")
    if place is None:
        job = job_place("validate", f"validation-{values['plugin']}", out)
    job.check()

    from emosim_core.cli.output import console

    screen = console(stderr=as_json)
    validation = Validation(checked, registry)
    try:
        if job.resume:
            validation.check_resumed(job.path)
        if not (job.path / RESULTS).exists():
            _confirm(validation, yes)
        if not quiet:
            _announce(screen, validation)
        outcome = _play(screen, validation, job, silent=quiet)
    except KeyboardInterrupt:
        raise interrupted(job) from None
    finally:
        validation.world.close()
    directory = job.path
    if as_json:
        print_json({**outcome, "directory": str(directory)})
    elif quiet:
        print_line(str(directory))
    else:
        print_results(screen, outcome, directory)


def _announce(screen: Screen, validation: Validation) -> None:
    from emosim_core.cli.output import who_answers

    world = validation.world
    about = validation.about()
    users = ", ".join(f"{count} {user_split}" for user_split, count in about["users"].items())
    words = world.domain.words
    screen.print_line(
        f"{world.domain.title}: {len(world.catalog):,} {words.items}, {len(validation.everybody)} real users "
        f"({users}). " + who_answers(world.answered_by)
    )
    for announcement in validation.announcements:
        screen.print_line(f"Note: {announcement}")
    if not about["interest"]:
        screen.print_line("Note: this rater does not tell what users would choose; its ratings are taken.")


def _confirm(validation: Validation, yes: bool) -> None:
    """Say what calling a language model will take, and ask before it begins.

    Raises:
        ConfigurationError: nobody is there to be asked.
        click.Abort: the answer is no.
    """
    estimated = validation.estimate()
    if estimated is None:
        return
    cost = "not known: no price is known for this model"
    if estimated.price is not None:
        price = f"{estimated.price.currency} at the prices of {estimated.price.as_of}"
        cost = f"at most about {estimated.cost or 0.0:.2f} {price}"
    text = (
        f"{estimated.model}: {estimated.requests:,} requests, about {estimated.prompt:,} tokens in, at most "
        f"{estimated.completion:,} out; cost {cost}. Cached answers are not requested again. "
        "Fewer with --max-users, --max-positives, --max-heldout and --negatives."
    )
    if yes or estimated.replay:
        print_line(text, err=True)
        return
    if sys.stdin.isatty():
        print_line(text, err=True)
    confirm_cost(f"{text} Say --yes to start, or --replay to use cached answers only")


def _play(screen: Screen, validation: Validation, job: JobDirectory, silent: bool) -> dict[str, Any]:
    from emosim_core.cli.output import live_progress

    with live_progress(screen, "users", validation.steps, silent=silent) as progress:
        return validation.run(job, lambda: progress.update(advance=1))


# ------------------------------------------------------------------------------------------ what it came to


def print_results(screen: Screen, outcome: Mapping[str, Any], directory: Path) -> None:
    """Print the results of a validation.

    Args:
        screen: where to.
        outcome: what validation.json holds.
        directory: of the validation.
    """
    from emosim_core.cli.output import show_table

    for user_split, metrics in outcome["user_splits"].items():
        screen.print()
        screen.print_line(
            f"{user_split.capitalize()}: {metrics['users']} users, {metrics['heldout_ratings']:,} held-out ratings"
            + (f", {metrics['failed_ratings']:,} failed" if metrics["failed_ratings"] else "")
            + ". Intervals are 95 %, over users."
        )
        for table in (_ratings(metrics), *_choices(metrics), _distribution(metrics)):
            screen.print()
            show_table(screen, table)
        screen.print()
        _show_apart(screen, metrics)
        screen.print()
        show_table(screen, _others(metrics))
    screen.print()
    show_table(screen, _targets(outcome))
    screen.print_line(f"Records and results are in {directory}.")


def _table(title: str, *headings: str) -> Table:
    from emosim_core.cli.output import Table

    return Table(*headings, title=title)


def _cell(estimated: Estimated, digits: int = 3) -> str:
    """An estimate with its interval."""
    if estimated is None or estimated["estimate"] is None:
        return "-"
    text = f"{estimated['estimate']:.{digits}f}"
    return (
        text if estimated["low"] is None else f"{text} [{estimated['low']:.{digits}f}, {estimated['high']:.{digits}f}]"
    )


def _bare(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _ratings(metrics: Mapping[str, Any]) -> Table:
    table = _table("Held-out ratings, in stars of 5", "", "root mean squared error", "mean absolute error")
    for name, errors in metrics["ratings"].items():
        table.add_row(name, _cell(errors["rmse"]), _cell(errors["mae"]))
    return table


def _choices(metrics: Mapping[str, Any]) -> list[Table]:
    tables = []
    for test, variants in metrics["choices"].items():
        title = f"Telling what was chosen from other items, {test}"
        if test == "matched":
            title = "Telling what was chosen from as many items matched in popularity"
        table = _table(title, "", "accuracy", "precision", "recall", "F1", "area under the curve")
        for name, values in variants.items():
            if "auc" not in values:
                table.add_row(name, _bare(values["accuracy"]))
                continue
            short = (f"{values[one]['estimate'] or 0:.3f}" for one in ("precision", "recall"))
            table.add_row(name, _cell(values["accuracy"]), *short, _cell(values["f1"]), _cell(values["auc"]))
        tables.append(table)
    return tables


def _distribution(metrics: Mapping[str, Any]) -> Table:
    title = "Distance of the distribution of ratings from the real one (total variation; Wasserstein in stars)"
    table = _table(title, "", "total variation", "Wasserstein", "per user", "Wasserstein per user")
    for name, values in metrics["distribution"]["variants"].items():
        each = (f"{values[f'{one}_per_user']['estimate']:.3f}" for one in ("total_variation", "wasserstein"))
        table.add_row(name, _cell(values["total_variation"]), _cell(values["wasserstein"]), *each)
    return table


def _show_apart(screen: Screen, metrics: Mapping[str, Any]) -> None:
    from emosim_core.cli.output import show_table

    apart = metrics["between_users"]
    title = "How users differ, in stars of 5"
    table = _table(title, "", "mean of means", "spread of means", "mean of spreads", "spread of spreads")
    for name, values in apart.items():
        if isinstance(values, dict):
            table.add_row(
                name,
                _cell(values["mean_of_means"]),
                _bare(values["spread_of_means"]),
                _cell(values["mean_of_spreads"]),
                _bare(values["spread_of_spreads"]),
            )
    show_table(screen, table)
    for what in ("means", "spreads"):
        distance, correlation = apart[f"wasserstein_of_{what}"], apart[f"correlation_of_{what}"]
        screen.print_line(f"{what}: Wasserstein {_bare(distance)}, correlation {_bare(correlation)}")


def _others(metrics: Mapping[str, Any]) -> Table:
    recommenders = metrics["recommenders"]
    table = _table("Recommenders: the first items of each", "", "mean rating", "episode length")
    for name, mean in recommenders["mean_rating"].items():
        table.add_row(name, _cell(mean, 2), _cell(recommenders["episode_length"][name], 1))
    for one in recommenders["differences"]:
        table.add_row(f"{one['better']} - {one['than']}", _cell(one["difference"], 2))
    table.add_row("random < popular < matrix factorization", _holds(recommenders["holds"]))
    activity = metrics["activity"]
    table.add_row("raised activity moves the mean by, of 10", _cell(activity["shift"]))
    table.add_row("  at most 0.5", _holds(activity["holds"]))
    return table


def _targets(outcome: Mapping[str, Any]) -> Table:
    table = _table("Targets", "", "users", "reached", "target", "")
    for one in outcome["targets"]:
        bound = f"{one['side']} {one['bound']:.2f}"
        table.add_row(one["target"], one["user_split"], _cell(one), bound, _holds(one["holds"]))
    return table


def _holds(holds: bool) -> str:
    return "holds" if holds else "does not hold"
