"""``emosim validate``: how close simulated users are to real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
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
    from emosim_core.cli.output import Screen, Table
    from emosim_core.studies.validation.validation import Validation

_NOT_OURS = ("items", "user_dataset", "user_split", "test_fraction", "on_failed_rating", *EPISODE_FIELDS)
"""Fields of an environment that mean nothing here: items and users are those of the ratings."""

_APART = "How users differ, in stars of 5"

Estimated = Mapping[str, Any] | None


@click.command(cls=SectionedCommand)
@field_options("ValidationConfig")
@configuration_options("EnvironmentConfig", without=_NOT_OURS)
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@place_options("validation", "runs/validation-...")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON and nothing else.")
@click.option("--quiet", is_flag=True, help="Print only where the validation was written.")
@click.pass_obj
def validate(obj: dict[str, Any], /, **given: Any) -> None:
    """Measure how close simulated users are to real ones.

    Real users become profiles and memories up to a point in time, and are simulated on what they rated and chose
    after it. Every answer is recorded; every metric stands beside plain baselines, with an interval over users.

    \b
    emosim validate --plugin movies --ratings movielens:ml-latest-small
    """
    from emosim_core.cli.output import console, live_progress
    from emosim_core.hooks import Registry
    from emosim_core.hooks.fields import by_field
    from emosim_core.hooks.names import checked_options
    from emosim_core.simulation.config import EnvironmentConfig
    from emosim_core.studies.validation.records import RESULTS
    from emosim_core.studies.validation.validation import MODELS, Validation, ValidationConfig, stored_validation

    as_json, quiet, yes = (given.pop(name) for name in ("as_json", "quiet", "yes"))
    registry, out = Registry(only=obj["only"]), given["out"]
    values, job, _ = chosen_job(
        *("validate", EnvironmentConfig, obj, given, registry),
        base=lambda own, resumed: (resumed, {} if resumed is None else stored_validation(resumed)),
        models=MODELS,
        renamed=partial(by_field, ValidationConfig),
    )
    names = values.keys() & ValidationConfig.model_fields.keys() - {"environment"}
    own = {name: values.pop(name) for name in names}
    checked = checked_options(ValidationConfig, {**own, "environment": values}, "validate")
    job = job or new_job("validate", f"validation-{values['plugin']}", out)
    job.check()
    screen = console(stderr=as_json)
    validation = Validation(checked, registry)
    with closing(validation.world), telling_progress(job):
        if job.resume:
            validation.check_resumed(job.path)
        if not (job.path / RESULTS).exists() and (estimated := validation.estimate()) is not None:
            how = ". Cached answers cost nothing. "
            how += "Fewer with --max-users, --max-positives, --max-heldout and --negatives."
            print_line(cost_line(estimated, how), err=True)
            confirm_cost(yes or estimated.replay)
        if not quiet:
            _announce(screen, validation)
        with live_progress(screen, "users", validation.steps, silent=quiet) as progress:
            outcome = validation.run(job, lambda: progress.update(advance=1))
    if not print_short({**outcome, "directory": str(job.path)}, job.path, as_json, quiet):
        print_results(screen, outcome, job.path)


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


# ------------------------------------------------------------------------------------------ what it came to


def print_results(screen: Screen, outcome: Mapping[str, Any], directory: Path) -> None:
    """Print the results of a validation.

    Args:
        screen: where to.
        outcome: what validation.json holds.
        directory: of the validation.
    """
    from emosim_core.cli.output import Table, show_table
    from emosim_core.reports.validation_report import holds

    for user_split, metrics in outcome["user_splits"].items():
        screen.print()
        screen.print_line(
            f"{user_split.capitalize()}: {metrics['users']} users, {metrics['heldout_ratings']:,} held-out ratings"
            + (f", {metrics['failed_ratings']:,} failed" if metrics["failed_ratings"] else "")
            + ". Intervals are 95 %, over users."
        )
        for table in _tables(metrics):
            screen.print()
            show_table(screen, table)
            if table.title == _APART:
                for what in ("means", "spreads"):
                    distance, correlation = (
                        _bare(metrics["between_users"][f"{key}_of_{what}"]) for key in ("wasserstein", "correlation")
                    )
                    screen.print_line(f"{what}: Wasserstein {distance}, correlation {correlation}")
    rows = [
        (one["target"], one["user_split"], _cell(one), f"{one['side']} {one['bound']:.2f}", holds(one))
        for one in outcome["targets"]
    ]
    screen.print()
    show_table(screen, Table("", "users", "reached", "target", "", rows=rows, title="Targets"))
    screen.print_line(f"Records and results are in {directory}.")


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


def _tables(metrics: Mapping[str, Any]) -> Iterator[Table]:
    """What is measured with one user split."""
    from emosim_core.cli.output import Table
    from emosim_core.reports.validation_report import holds

    rows: list[tuple[str, ...]]
    rows = [(name, _cell(errors["rmse"]), _cell(errors["mae"])) for name, errors in metrics["ratings"].items()]
    title = "Held-out ratings, in stars of 5"
    yield Table("", "root mean squared error", "mean absolute error", rows=rows, title=title)
    for test, variants in metrics["choices"].items():
        title = f"Telling what was chosen from other items, {test}"
        if test == "matched":
            title = "Telling what was chosen from as many items matched in popularity"
        table = Table("", "accuracy", "precision", "recall", "F1", "area under the curve", title=title)
        for name, values in variants.items():
            if "auc" not in values:
                table.add_row(name, _bare(values["accuracy"]))
                continue
            short = (f"{values[one]['estimate'] or 0:.3f}" for one in ("precision", "recall"))
            table.add_row(name, _cell(values["accuracy"]), *short, _cell(values["f1"]), _cell(values["auc"]))
        yield table
    distances = ("total_variation", "wasserstein")
    rows = [
        (
            *(name, *(_cell(values[one]) for one in distances)),
            *(f"{values[f'{one}_per_user']['estimate']:.3f}" for one in distances),
        )
        for name, values in metrics["distribution"]["variants"].items()
    ]
    title = "Distance of the distribution of ratings from the real one (total variation; Wasserstein in stars)"
    yield Table("", "total variation", "Wasserstein", "per user", "Wasserstein per user", rows=rows, title=title)
    rows = [
        (
            *(name, _cell(values["mean_of_means"]), _bare(values["spread_of_means"])),
            *(_cell(values["mean_of_spreads"]), _bare(values["spread_of_spreads"])),
        )
        for name, values in metrics["between_users"].items()
        if isinstance(values, dict)
    ]
    yield Table("", "mean of means", "spread of means", "mean of spreads", "spread of spreads", rows=rows, title=_APART)
    earned, activity = metrics["recommenders"], metrics["activity"]
    lengths = earned["episode_length"]
    rows = [(name, _cell(mean, 2), _cell(lengths[name], 1)) for name, mean in earned["mean_rating"].items()]
    rows += [(f"{one['better']} - {one['than']}", _cell(one["difference"], 2)) for one in earned["differences"]]
    rows += [
        ("random < popular < matrix factorization", holds(earned)),
        ("raised activity moves the mean by, of 10", _cell(activity["shift"])),
        ("  at most 0.5", holds(activity)),
    ]
    yield Table("", "mean rating", "episode length", rows=rows, title="Recommenders: the first items of each")
