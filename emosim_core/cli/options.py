"""Options that describe an environment: the same for every command that simulates people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from emosim_core.errors import ConfigurationError
from emosim_core.runs.typed import typed

if TYPE_CHECKING:
    from emosim_core.hooks import Registry
    from emosim_core.runs.trust import CommandHint

_Command = TypeVar("_Command", bound=Callable[..., Any])

_IN_TABLES = {
    "concurrency": ("gateway", "concurrency"),
    "max_cost": ("gateway", "max_cost"),
    "replay": ("gateway", "replay"),
    "llm_cache": ("gateway", "cache"),
    "explain": ("llm", "explain"),
}
"""Options of the commands that stand in a table of the configuration."""

_OPTIONS = (
    click.option("--plugin", help="Domain to simulate, such as movies."),
    click.option("--items", help="Where items come from, such as sample, movielens:PATH or csv:PATH."),
    click.option("--user-dataset", "--users", help="Who is simulated, such as sampled, basic, detailed or csv:PATH."),
    click.option("--embeddings", help="For items without one: auto, lexical or sentence-transformers:MODEL."),
    click.option("--rater", help="Who answers for a person.  [rule_based]"),
    click.option("--llm-model", help="Language model to ask, such as deepseek-chat."),
    click.option("--llm-rater", help="Prompt strategy of the language model.  [0Shot_cotlite_our]"),
    click.option("--concurrency", type=int, help="Most questions to the model at the same time.  [32]"),
    click.option("--max-cost", type=float, help="Stop when the model has cost this much."),
    click.option("--replay/--no-replay", default=None, help="Use answers that are kept from before, and ask nothing."),
    click.option("--llm-cache", type=click.Path(path_type=Path), help="File that the model's answers are kept in."),
    click.option("--explain", is_flag=True, default=None, help="Keep the model's reasons."),
    click.option(
        "--on-failed-rating",
        type=click.Choice(["raise", "skip"]),
        help="When the model gives no rating: end with an error, or leave the item out.  [raise]",
    ),
    click.option("--items-retrieval", help="Which memories matter for an item.  [decay_emotion_3]"),
    click.option("--perturbator", help="Noise on the ratings.  [none]"),
    click.option("--selector", help="What of a slate is consumed.  [greedy]"),
    click.option("--reward-shaping", help="From ratings to rewards, and when people leave.  [churn_satisfaction]"),
    click.option("--user-order", type=click.Choice(["random", "sequential"]), help="Order of the people.  [random]"),
    click.option(
        "--user-split", type=click.Choice(["all", "train", "test"]), help="Everyone, or one side of the split.  [all]"
    ),
    click.option("--test-fraction", type=float, help="Share of the people that are new.  [0.2]"),
    click.option("--max-steps", type=int, help="Steps after which a session is cut off.  [50]"),
    click.option("--slate", type=int, help="Items proposed in one step.  [1]"),
    click.option("--p-interrupt", type=float, help="Probability per step that something interrupts.  [0]"),
    click.option("--keep-memory", is_flag=True, default=None, help="People remember their earlier sessions."),
    click.option(
        "--config", type=click.Path(path_type=Path), help="TOML file with any of these, and options of components."
    ),
)


def environment_options(command: _Command) -> _Command:
    """Give a command the options of an environment, and ``--config``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_EPISODE_OPTIONS = {"selector", "reward_shaping", "user_order", "max_steps", "slate", "p_interrupt", "keep_memory"}
"""Options that say how sessions go."""


def rating_options(command: _Command) -> _Command:
    """Give a command the options of an environment in which people rate, but no session goes on; and ``--config``."""
    before: list[click.Parameter] = list(getattr(command, "__click_params__", []))
    command = environment_options(command)
    params: list[click.Parameter] = command.__click_params__  # type: ignore[attr-defined]
    params[:] = [one for one in params if one in before or one.name not in _EPISODE_OPTIONS]
    return command


def keyboard(given: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """What the user gave alone: options of the command line over those of a TOML file."""
    return _over(given, written)[0]


def command_hint(obj: Mapping[str, Any], config: Path | None) -> CommandHint:
    """How a command is given again, with more options than it was given.

    Args:
        obj: the context's object; holds the command as it was typed.
        config: its TOML file.
    """
    from emosim_core.runs.trust import CommandHint

    return CommandHint(typed(*obj["typed"][1:]), config=config)


def configured(given: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a configuration: options of the command line over those that a file or an earlier run holds.

    Args:
        given: options by the name of their parameter; None where not given.
        written: what a TOML file or a manifest says.

    Raises:
        ConfigurationError: an option is about a language model and none is named.
    """
    values, changed = _over(given, written)
    if changed and values.get("llm_model") is None:
        raise ConfigurationError(f"--{changed[0].replace('_', '-')} needs a language model: give --llm-model too")
    return values


def _over(given: Mapping[str, Any], written: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Options of the command line over values, and the names of those that stand in a table and change it."""
    options = {name: value for name, value in given.items() if value is not None}
    in_tables = {name: options.pop(name) for name in _IN_TABLES if name in options}
    values = {**written, **options}
    changed = []
    for name, value in in_tables.items():
        table, key = _IN_TABLES[name]
        new = str(value) if isinstance(value, Path) else value
        if new != written.get(table, {}).get(key):
            changed.append(name)
        values[table] = {**values.get(table, {}), key: new}
    return values, changed


def need_plugin(values: Mapping[str, Any], registry: Registry) -> None:
    """See that a domain is named.

    Raises:
        ConfigurationError: it is not; lists the domains that are installed.
    """
    if "plugin" not in values:
        raise ConfigurationError(f"choose a domain with --plugin, such as --plugin movies. {registry.known_domains()}")
