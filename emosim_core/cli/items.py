"""``emosim items``: list the items of a domain."""

from __future__ import annotations

from typing import Any

import click

from emosim_core.cli.options import plugin_option
from emosim_core.cli.printing import print_csv


@click.command()
@plugin_option
@click.option("--items", "source", default=None, help="Where items come from, such as sample or movielens:PATH.")
@click.option("--search", default="", help="Only items with this in their title.")
@click.option("--csv", "as_csv", is_flag=True, help="Print as CSV, with the column 'item' that replay:FILE reads.")
@click.pass_obj
def items(obj: dict[str, Any], plugin: str, source: str | None, search: str, as_csv: bool) -> None:
    """List the items of a domain: id, title, year, categories and public rating."""
    from emosim_core.hooks import Registry
    from emosim_core.simulation.assembly import load_items

    domain, _, loaded = load_items(Registry(only=obj["only"]), plugin, source)
    for note in loaded.notes:
        click.echo(f"Note: {note}", err=True)
    matches = [item for item in loaded.items if search.lower() in item.title.lower()]
    rows = [
        (
            item.id,
            item.title,
            "" if item.year is None else str(item.year),
            "|".join(item.categories),
            "" if item.public_rating is None else f"{item.public_rating:.1f}",
        )
        for item in matches
    ]
    header = ("item", "title", "year", "categories", "public_rating")
    if as_csv:
        print_csv([header, *rows])
        return
    from emosim_core.cli.output import Table, console, show_table

    table = Table("title", "year", "public rating")
    table.add_column("categories")
    table.add_column("item", style="dim")
    for item, title, year, categories, rating in rows:
        table.add_row(title, year, rating, categories.replace("|", ", "), item)
    screen = console()
    show_table(screen, table)
    screen.print_line(domain.words.count_items(len(matches)))
