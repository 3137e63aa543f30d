"""``emosim recommend``: ask a trained recommender, without a simulator."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emosim_core.cli.printing import print_json
from emosim_core.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from emosim_core.recommenders.recommender import Recommender


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--history", type=click.Path(path_type=Path), help="CSV file with columns item and rating, oldest first.")
@click.option("--k", type=int, default=10, show_default=True, help="How many items.")
@click.option("--user", help="Id of a user that the recommender was trained among.")
@click.option("--traits", help="Activity, conformity and diversity, 1 to 3 each, such as 2,1,3.  [2,2,2]")
@click.option("--json", "as_json", is_flag=True, help="Print the items as JSON and nothing else.")
def recommend(model: Path, history: Path | None, k: int, user: str | None, traits: str | None, as_json: bool) -> None:
    """Recommend items by what a user consumed.

    MODEL is the directory of a training. An item of the history without a rating is only left out of
    what is recommended. A network of the kind 'cf' knows users by their id alone; give --user.
    """
    from emosim_core.recommenders.recommender import load_recommender

    levels = None
    if traits is not None:
        try:
            levels = [int(level) for level in traits.split(",")]
        except ValueError:
            raise ConfigurationError(
                f"--traits wants three numbers from 1 to 3, such as 2,1,3; got {traits!r}"
            ) from None
    recommender = load_recommender(model)
    items = recommender.recommend(
        [] if history is None else _history(history, recommender), k, user=user, traits=levels
    )
    if as_json:
        print_json([asdict(item) for item in items])
        return
    from emosim_core.cli.output import Table, console, show_table

    screen = console()
    if recommender.options.kind == "cf" and user is None:
        screen.print_line(
            "Note: this recommender knows users by their id alone and was given none: these are for the mean "
            "of those it was trained on, less what the history holds."
        )
    table = Table()
    table.add_column("", justify="right", style="dim")
    table.add_column("title")
    table.add_column("item", style="dim")
    table.add_column("score", justify="right")
    for place, item in enumerate(items, start=1):
        table.add_row(str(place), item.title, item.item, f"{item.score:.3f}")
    show_table(screen, table)


def _history(path: Path, recommender: Recommender) -> list[tuple[str, float | None]]:
    from emosim_core.data.tables import read_csv

    known, indices = set(recommender.items), []
    low, high = recommender.options.low, recommender.options.high
    with closing(read_csv(str(path), "a CSV file of what a user consumed", required=["item", "rating"])) as rows:
        for line, row in rows:
            if row["item"] not in known:
                raise DataError(path, recommender.unknown_item(row["item"]), row=line, field="item")
            text = row["rating"].strip()
            try:
                rating = float(text) if text else None
            except ValueError:
                raise DataError(path, f"{text!r} is no rating", row=line, field="rating") from None
            if rating is not None and not low <= rating <= high:
                message = f"the rating {text} lies off the scale {low:g} to {high:g}"
                raise DataError(path, message, row=line, field="rating")
            indices.append((row["item"], rating))
    return indices
