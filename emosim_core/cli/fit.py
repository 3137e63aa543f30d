"""``emosim fit``: users learned from a log of real users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.options import executor_option, need_plugin
from emosim_core.cli.places import new_name
from emosim_core.cli.printing import print_line, print_short
from emosim_core.terminal import counted

if TYPE_CHECKING:
    from emosim_core.cli.output import Screen
    from emosim_core.studies.validation.knowledge import RealLog


@click.command(cls=SectionedCommand)
@field_options("FitConfig")
@click.option("--validate", "validated", is_flag=True, help="Measure the users beside baselines, by folds of users.")
@executor_option()
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the users.  [runs/people-...]")
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON and nothing else.")
@click.option("--quiet", is_flag=True, help="Print only where the users were written.")
@click.pass_obj
def fit(
    obj: dict[str, Any],
    /,
    validated: bool,
    executor: str | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Learn simulated users from a log of real ones.

    Each gets the tastes, the use of the scale, the noise and the activity of a user of the log. What they choose and
    rate is learned from all of it.

    \b
    emosim fit --plugin movies --ratings movielens:ml-latest-small --out people
    emosim run --plugin movies --items movielens:ml-latest-small --users fitted:people --policy popular
    """
    from emosim_core.cli.output import console, live_progress, loading, print_notes
    from emosim_core.hooks import Registry
    from emosim_core.reports.make import write_report
    from emosim_core.runs.typed import typed
    from emosim_core.simulation.config import read_config
    from emosim_core.simulation.logs import is_table_log
    from emosim_core.studies.fit import FitConfig, Fitting, card_of

    registry, silent = Registry(only=obj["only"]), as_json or quiet
    values = {name: value for name, value in given.items() if value is not None}
    need_plugin(values, registry)
    config = read_config(FitConfig, values, "fit")
    fitting = Fitting(config, registry)
    out = new_name(f"people-{config.plugin}") if out is None else out
    screen = console(stderr=as_json)
    written = fitting.is_written(out)
    if not written:
        with loading("the log", silent=silent):
            log = fitting.log
        if not silent:
            _announce(screen, log)
        with loading("what users choose and rate", silent=silent):
            card = fitting.write(out)
    else:
        card = card_of(out)
    if validated and card["validation"] is None:
        with live_progress(screen, "users", len(fitting.validation.measured), silent=silent) as progress:
            card = fitting.validate(out, lambda count: progress.update(advance=count), executor or "local")
    write_report(out, registry=registry)
    if print_short({**card, "directory": str(out)}, out, as_json, quiet):
        return
    print_notes(screen, card["log"]["notes"])
    held = counted(card["users"], "user")
    print_line(f"{out} holds {held}; {out}/report.html says what they can do and what they cannot.")
    items = config.items or (None if is_table_log(config.ratings) else config.ratings)
    more = [] if items is None else ["--items", items]
    print_line(f"Simulate them: {typed('run', '--plugin', config.plugin, *more, '--users', f'fitted:{out}')}")


def _announce(screen: Screen, real: RealLog) -> None:
    log, words = real.interactions, real.domain.words
    kind = "rating" if log.values is not None else "choice"
    times = "" if log.times is not None else ", without times"
    screen.print_line(
        f"{real.domain.title}: {counted(len(log), kind)} of {words.count_items(log.item_count)} by "
        f"{counted(len(log.user_ids), 'user')}{times}."
    )
