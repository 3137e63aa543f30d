"""``emosim users``: make simulated people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.group()
def users() -> None:
    """Make simulated people."""


@users.command()
@click.option("--plugin", required=True, help="Domain that the people are for, such as movies.")
@click.option("--users", "population", default=None, help="Kind of population, such as sampled, basic or detailed.")
@click.option("--n", "count", default=600, show_default=True, type=click.IntRange(min=1), help="Number of people.")
@click.option("--seed", default=42, show_default=True, type=click.IntRange(min=0), help="Same seed, same people.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="CSV file to write.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.pass_obj
def generate(
    obj: dict[str, Any], plugin: str, population: str | None, count: int, seed: int, out: Path, force: bool
) -> None:
    """Generate people, stratified by age, sex and traits, and write them to a CSV file.

    Read them back with: emosim run --plugin PLUGIN --users csv:FILE
    """
    from emosim_core.data.users_csv import write_users_csv
    from emosim_core.errors import ConfigurationError
    from emosim_core.hooks import Registry
    from emosim_core.model import Domain, UserLoader
    from emosim_core.simulation.assembly import build

    if out.exists() and not force:
        raise ConfigurationError(f"{out} exists already; choose another file, or replace it with --force")
    registry = Registry(only=obj["only"])
    domain = build(registry.resolve_domain(plugin), Domain)
    kind = population or domain.default_users
    resolved = registry.resolve("users", {"name": kind, "n": count, "seed": seed}, domain.name)
    people = build(resolved, UserLoader).load()
    write_users_csv(out, people)
    click.echo(f"Wrote {len(people)} people to {out}. Use them with: emosim run --plugin {plugin} --users csv:{out}")
