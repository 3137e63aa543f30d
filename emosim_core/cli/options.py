"""What every command that is configured has in common: its options, and how they meet files and earlier jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from emosim_core.cli.fields import FieldOption, field_options
from emosim_core.cli.places import NEWEST, nothing_begun, resumed_job
from emosim_core.errors import ConfigurationError
from emosim_core.kinds import MANIFEST, made_by
from emosim_core.runs.typed import typed

if TYPE_CHECKING:
    from pydantic import BaseModel

    from emosim_core.hooks import Registry
    from emosim_core.runs.job import JobDirectory
    from emosim_core.runs.trust import CommandHint
    from emosim_core.studies.cost import Estimate

_Command = TypeVar("_Command", bound=Callable[..., Any])

Base = Callable[[Mapping[str, Any], "Path | None"], "tuple[Path | None, dict[str, Any]]"]
"""From what was given and the job that is resumed, the directory that says what else holds, and what it says."""

EPISODE_FIELDS = frozenset(
    {
        *("choice", "selector", "reward_shaping", "user_order", "max_steps", "slate", "p_interrupt", "keep_memory"),
        *("history_length", "observe_consumed"),
    }
)
"""Fields of an environment that decide how episodes go; they mean nothing where users rate without episodes."""


def configuration_options(
    model: str, *, without: Collection[str] = (), defaults: Mapping[str, Any] | None = None
) -> Callable[[_Command], _Command]:
    """Give a command the options of a configuration, as :func:`field_options` does, and ``--config``."""
    config = click.option(
        "--config", type=click.Path(path_type=Path), help="TOML file with any of these, and options of components."
    )
    fields = field_options(model, without=without, defaults=defaults)
    return lambda command: fields(config(command))


def place_options(command: str, out: str = "runs/...") -> Callable[[_Command], _Command]:
    """Give a command the options on where it writes, by default in ``out``, and what is printed."""
    what = made_by(command)
    place = click.option("--out", type=click.Path(path_type=Path), help=f"Directory of the {what}.  [{out}]")
    resume = click.option(
        "--resume",
        is_flag=False,
        flag_value=NEWEST,
        metavar="[DIR]",
        help=f"Continue the {what} in DIR; without DIR, the one in --out, or the newest in runs/.",
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print the results as JSON and nothing else.")
    quiet = click.option("--quiet", is_flag=True, help=f"Print only where the {what} was written.")
    return lambda command: place(resume(as_json(quiet(command))))


def executor_option(default: str = "local") -> Callable[[_Command], _Command]:
    """Give a command the option ``--executor``, None where it is not given; ``default`` is in words."""
    return click.option(
        "--executor",
        metavar="NAME",
        help=f"Where the work is done, such as processes:4; the results are the same.  [{default}]",
    )


def command_hint(obj: Mapping[str, Any], config: Path | None) -> CommandHint:
    """How the command that is going on, with its TOML file ``config``, is given again with more options."""
    from emosim_core.runs.trust import CommandHint

    params = click.get_current_context().command.params
    options = {str(one.name): one.spelling for one in params if isinstance(one, FieldOption)}
    return CommandHint(typed(*obj["typed"][1:]), options, config=config)


def read_written(model: type[BaseModel], config: Path | None) -> dict[str, Any]:
    """The values of ``--config``, under the names of their fields; none where there is no such file."""
    from emosim_core.simulation.config import read_config_file

    return {} if config is None else read_config_file(model, config)


def keyboard(model: type[BaseModel], given: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """What the user gave: options of the command line over a TOML file; arguments as of :func:`configured`."""
    from emosim_core.hooks.fields import over

    return over(model, _options(model, given), written)


def configured(
    model: type[BaseModel], given: Mapping[str, Any], written: Mapping[str, Any], base: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Values of a configuration by field: ``given`` options of the command line over a TOML file over ``base``.

    Options are by the path of their field, None where not given; what is ``written`` in the file by names of fields. A
    ConfigurationError where an option is about a component that is not chosen, such as a language model.
    """
    from emosim_core.hooks.fields import over, without_component

    options, below = _options(model, given), over(model, written, base or {})
    values = over(model, options, below)
    new = [
        f"{table}.{key}"
        for table, inner in options.items()
        if isinstance(inner, dict)
        for key, value in inner.items()
        if value != below.get(table, {}).get(key)
    ]
    if lost := without_component(model, values, new):
        path, needed, chosen_by = lost
        raise ConfigurationError(f"{_spelling(path)} needs {needed}: give {_spelling(chosen_by)} too")
    return values


def _options(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    from emosim_core.hooks.fields import by_field

    chosen = {
        name: str(value) if isinstance(value, Path) else value for name, value in given.items() if value is not None
    }
    return by_field(model, chosen, "command line")


def _spelling(path: str) -> str:
    """The option of the command that is going on which gives a field."""
    params = click.get_current_context().command.params
    return next(one.spelling for one in params if isinstance(one, FieldOption) and one.name == path)


def chosen_job(
    command: str,
    model: type[BaseModel],
    obj: Mapping[str, Any],
    given: dict[str, Any],
    registry: Registry,
    *,
    defaults: Mapping[str, Any] | None = None,
    base: Base | None = None,
    models: Sequence[type[BaseModel]] = (),
    renamed: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
    begun: str = MANIFEST,
) -> tuple[dict[str, Any], JobDirectory | None, dict[str, Any]]:
    """Resolve the configuration ``model`` of a command from options, configuration file and resumed job.

    Args:
        given: the command's options; ``config``, ``out`` and ``resume`` are taken out.
        defaults: what holds where nothing else says anything.
        base: what holds before ``defaults``; the job that is resumed, if not given.
        models: the models of all fields; ``model`` if not given.
        renamed: puts values under the names of fields that ``model`` does not have.
        begun: the file that a job has from its beginning on.

    Returns:
        Values by field; the job that ``--resume`` names, None for a new one; what the base says. An EmoSimError where
        an option is wrong, no domain is named, or there is nothing to resume.
    """
    from emosim_core.runs.plain import own_files
    from emosim_core.runs.records import stored_config
    from emosim_core.runs.trust import confirmed

    config, out, resume = (given.pop(name) for name in ("config", "out", "resume"))
    written = renamed(read_written(model, config))
    given = renamed({name: value for name, value in given.items() if value is not None})
    if config is not None:
        check_written(written, models or (model,), config)
    job = resumed_job(command, out, resume, begun)
    resumed = job.path if job is not None and job.resume else None
    own = keyboard(model, given, written)
    if base is not None:
        source, stored = base(own, resumed)
    else:
        source, stored = resumed, {} if resumed is None else stored_config(resumed, command)
    if resumed is not None:
        own_files(resumed)
    values = configured(model, given, written, {**(defaults or {}), **stored})
    if job is not None and resumed is None and "plugin" not in values:
        raise nothing_begun(job.path)
    need_plugin(values, registry)
    if source is not None:
        hint = command_hint(obj, config)
        values = confirmed(source, values, own, stored, models or (model,), registry, hint)
    return values, job, stored


def check_written(written: Mapping[str, Any], models: Sequence[type[BaseModel]], config: Path) -> None:
    """See that a TOML file has options of the command alone, before anything is said of what it does not have.

    Raises:
        ConfigurationError: an option is unknown, or the table of a component does not name it.
    """
    from emosim_core.hooks.fields import all_fields, check_names
    from emosim_core.hooks.names import instead_of
    from emosim_core.simulation.config import ComponentChoice

    check_names(str(config), written, models)
    fields = {name: field for model in models for name, field in all_fields(model).items()}
    for name, value in written.items():
        chosen = fields[name].annotation in (ComponentChoice, ComponentChoice | None)
        if chosen and isinstance(value, Mapping) and "name" not in value:
            raise ConfigurationError(f"{config}: the table [{name}] needs a 'name'{instead_of('name', value)}")


def cost_line(estimated: Estimate, more: str, bound: str = "up to ") -> str:
    """What calls of a language model will take, in one line that ``more`` ends."""
    cost, price = "not known: no price is known for this model", estimated.price
    if price is not None:
        amount = estimated.cost or 0.0
        cost = f"about {amount:.{2 if amount >= 0.1 else 4}f} {price.currency} at the prices of {price.as_of}"
    return (
        f"{estimated.model}: {estimated.requests:,} requests, about {estimated.prompt:,} tokens in and "
        f"{bound}{estimated.completion:,} out; cost {cost}{more}"
    )


def confirm_cost(agreed: bool) -> None:
    """Ask whether to begin with calls of a language model, whose cost was printed, unless that is agreed.

    The answer no is a click.Abort; that nobody is there to be asked, a ConfigurationError.
    """
    if not agreed and not sys.stdin.isatty():
        raise ConfigurationError(
            "this calls a model that may cost money; say --yes to start, --max-cost to set a limit, or --replay to use "
            "cached answers only"
        )
    if not agreed:
        click.confirm("Start?", abort=True, err=True)


def plugin_option(command: _Command) -> _Command:
    """Give a command the option ``--plugin``, without which it lists the domains that are installed."""

    def named(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        from emosim_core.hooks import Registry

        if value is None and not ctx.resilient_parsing:
            need_plugin({}, Registry(only=ctx.obj["only"]))
        return value

    return click.option("--plugin", callback=named, help="Domain, such as movies.")(command)


def need_plugin(values: Mapping[str, Any], registry: Registry) -> None:
    """See that a domain is named; a ConfigurationError that it is not lists those that are installed."""
    if "plugin" not in values:
        raise ConfigurationError(f"choose a domain with --plugin, such as --plugin movies. {registry.known_domains()}")
