"""``emosim users``: list and generate simulated users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emosim_core.cli.fields import SectionedCommand, field_options
from emosim_core.cli.options import configured, confirm_cost, cost_line, need_plugin, plugin_option
from emosim_core.cli.printing import print_line
from emosim_core.cli.stopping import print_interrupted
from emosim_core.errors import ConfigurationError, EmoSimError, LLMCacheError
from emosim_core.runs.typed import typed
from emosim_core.terminal import counted

if TYPE_CHECKING:
    from emosim_core.hooks import Registry
    from emosim_core.model import Domain, User


@click.group()
def users() -> None:
    """List and generate simulated users."""


@users.command(cls=SectionedCommand)
@click.option("--n", "count", default=600, show_default=True, type=click.IntRange(min=1), help="Number of users.")
@click.option("--seed", default=42, show_default=True, type=click.IntRange(min=0), help="Same seed, same users.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="CSV file to write.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@field_options("EnvironmentConfig", only=("plugin", "user_dataset", "llm_model", "gateway"))
@click.option("--yes", is_flag=True, help="Do not ask before model calls.")
@click.pass_obj
def generate(obj: dict[str, Any], /, count: int, seed: int, out: Path, force: bool, yes: bool, **given: Any) -> None:
    """Generate users, stratified by age, sex and traits, and write them to a CSV file.

    With --llm-model, a language model writes each user's name and description within the age, job, hobby, traits and
    tastes that were drawn. What that will cost is said first. Answers are cached: what was interrupted goes on where it
    was when the same command is given again.

    Read them back with: emosim run --plugin PLUGIN --users csv:FILE
    """
    from emosim_core.hooks import Registry
    from emosim_core.model import Domain
    from emosim_core.population.users_csv import write_users_csv
    from emosim_core.simulation.assembly import loader_of
    from emosim_core.simulation.config import EnvironmentConfig

    if out.exists() and not force:
        raise ConfigurationError(f"{out} exists already; choose another file, or replace it with --force")
    registry = Registry(only=obj["only"])
    values = configured(EnvironmentConfig, given, {})
    need_plugin(values, registry)
    plugin, llm_model = values["plugin"], values.get("llm_model")
    domain: Domain = registry.resolve_domain(plugin).build(Domain)
    kind = values.get("user_dataset") or domain.default_users
    resolved = registry.resolve("user_loader", {"name": kind, "n": count, "seed": seed}, domain.name)
    users = list(loader_of(resolved, domain).load())
    if llm_model is not None:
        users = _written(registry, domain, users, llm_model, values.get("gateway", {}), yes)
    write_users_csv(out, users)
    command = typed("run", "--plugin", plugin, "--users", f"csv:{out}")
    print_line(f"Wrote {counted(len(users), 'user')} to {out}. Use them with: {command}")


def _written(
    registry: Registry, domain: Domain, users: list[User], llm_model: str, options: dict[str, Any], yes: bool
) -> list[User]:
    """The users as a language model writes them, after its cost was agreed to."""
    from emosim_core.cli.output import console, live_progress, print_notes
    from emosim_core.hooks.names import checked_options
    from emosim_core.llm.backend import LLMBackend
    from emosim_core.llm.gateway.gateway import Gateway, GatewayOptions
    from emosim_core.llm.user_writer import UserWriter
    from emosim_core.studies.cost import Estimate

    backend: LLMBackend = registry.resolve("llm_backend", llm_model).build(LLMBackend)
    screen = console(stderr=True)
    print_notes(screen, backend.announcements())
    gateway = Gateway(backend, checked_options(GatewayOptions, options, "users generate"))
    writer = UserWriter(domain, gateway)
    if not gateway.options.replay:
        about = writer.estimate(users)
        estimated = Estimate(backend.identity, len(users), about.prompt, about.completion, backend.price())
        more = ", more if the model reasons. Cached answers cost nothing."
        print_line(cost_line(estimated, more, bound="about "), err=True)
        confirm_cost(yes)
    written: list[User] = []
    try:
        with live_progress(screen, "users", len(users)) as progress:
            for user in writer.write(users):
                written.append(user)
                progress.update(advance=1)
    except KeyboardInterrupt:
        raise print_interrupted("Received answers are cached; give the same command again to go on.") from None
    except EmoSimError as error:
        message = f"{str(error).removesuffix('.')}. {len(written):,} of {counted(len(users), 'user')} were written"
        if isinstance(error, LLMCacheError):
            message += ": give the same command again to go on"
        elif not gateway.options.replay:
            message += " and all received answers are cached: give the same command again to go on"
        error.args = (f"{message}; there is no file yet.",)
        raise
    finally:
        gateway.close()
        print_notes(screen, (), gateway.usage.summary())
    return written


@users.command("list")
@plugin_option
@click.option(
    "--user-dataset", "--users", "population", help="Where users come from, such as sampled:n=20 or csv:PATH."
)
@click.option("--search", default="", help="Only users with this in their name or job.")
@click.option("--user", help="Only the user with this id, with description and tastes.")
@click.pass_obj
def list_users(obj: dict[str, Any], plugin: str, population: str | None, search: str, user: str | None) -> None:
    """List users of a domain: name, age, job, traits, liked categories and id."""
    from emosim_core.cli.output import Table, console, show_table
    from emosim_core.hooks import Registry
    from emosim_core.model import Domain
    from emosim_core.model.user import TRAITS
    from emosim_core.runs.words import user_lines
    from emosim_core.simulation.assembly import loader_of

    registry = Registry(only=obj["only"])
    domain: Domain = registry.resolve_domain(plugin).build(Domain)
    kind = population or domain.default_users
    loaded = list(loader_of(registry.resolve("user_loader", kind, domain.name), domain).load())
    screen = console()
    if user is not None:
        one = next((one for one in loaded if one.id == user), None)
        if one is None:
            ids = f"{loaded[0].id} to {loaded[-1].id}" if loaded else "none"
            raise ConfigurationError(f"{kind} has no user {user!r}; it has {ids}")
        for line in user_lines(one):
            screen.print_line(line)
        return
    shown = [one for one in loaded if search.lower() in f"{one.name}\n{one.job}".lower()]
    table = Table("name", "age")
    for heading in ("job", *TRAITS, "likes", "id"):
        table.add_column(heading)
    for one in shown:
        traits = (one.trait_name(trait) for trait in TRAITS)
        age = "" if one.age is None else str(one.age)
        table.add_row(one.name, age, one.job, *traits, ", ".join(one.liked), one.id)
    show_table(screen, table)
    screen.print_line(f"{len(shown):,} of {counted(len(loaded), 'user')}")
