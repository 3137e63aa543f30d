"""Trust: what a directory's files say chooses data alone, unless its user made it here or gives it again."""

from __future__ import annotations

import json
import shlex
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel

from emosim_core.errors import RunError, TrustError
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import by_field
from emosim_core.runs.notes import noted, write_note
from emosim_core.runs.plain import visible
from emosim_core.runs.reach import Reach, reaches, same_component

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NAMES = (
    "items user_dataset embeddings rater llm_model llm_rater items_retrieval selector perturbator emotion_model "
    "reward_shaping observation policy track recommenders policies logs"
)
OPTIONS: Mapping[str, str] = {
    "gateway.cache": "--llm-cache",
    "llm.prior": "--llm.prior",
    **{name: f"--{name.replace('_', '-')}" for name in _NAMES.split()},
}
"""Options of the command line that give the value of a field."""

_FILE = "trusted.toml"
_SHOWN = 300
_LONGEST_FILE = 20_000

_Models = Sequence[type[BaseModel]]


@dataclass(frozen=True)
class CommandHint:
    """How values are given again.

    Attributes:
        options: its options, by the field that each gives.
        keys: what a configuration file calls a field, where it is called otherwise there.
        config: the configuration file that the command is given already.
    """

    command: str
    options: Mapping[str, str] = field(default_factory=lambda: OPTIONS)
    keys: Mapping[str, str] = field(default_factory=dict)
    config: Path | None = None


def confirmed(
    directory: Path,
    values: Mapping[str, Any],
    given: Mapping[str, Any],
    stored: Mapping[str, Any],
    models: _Models,
    registry: Registry,
    again: CommandHint,
) -> dict[str, Any]:
    """The values of a configuration that a directory brought along, once nothing in it reaches further than it may.

    What reaches code, keys, hosts or paths must have been given by the user, now or when the directory was made here.

    Args:
        values: the configuration: what the directory holds, and over it what the user gave.
        given: what the user gave alone, by options or in a file.
        stored: what the directory holds alone.
        again: how values are given again.

    Returns:
        ``values`` by field; a component that was given again is spelled as the directory has it.

    Raises:
        TrustError: the directory brings something that the user did not give; says what, and what to type.
        ConfigurationError: nothing provides a component that is named.
        PluginError: a plugin cannot be used.
    """
    plugin = values.get("plugin")
    if not isinstance(plugin, str):
        raise RunError(f"{directory} is damaged: its configuration names no plugin")
    domain = registry.resolve_domain(plugin).component.name
    reached = reaches(values, models, registry, domain)
    own = reaches(given, models, registry, domain)
    open_ = {name: one for name, one in reached.items() if name not in own or own[name].identity != one.identity}
    known = noted(directory, {name: one.identity for name, one in open_.items()}) if open_ else set()
    unknown = [one for name, one in open_.items() if name not in known]
    if unknown:
        raise TrustError(_refusal(directory, unknown, again), [one.name for one in unknown])
    for model in models:
        values, given, stored = (by_field(model, one) for one in (values, given, stored))
    spelled = {
        name: stored[name]
        for name in given.keys() & stored.keys()
        if values[name] != stored[name] and same_component(name, values[name], stored[name], models, registry, domain)
    }
    return {**values, **spelled}


def note_made(
    directory: Path,
    values: Mapping[str, Any],
    models: _Models,
    registry: Registry,
    before: Mapping[str, Any] | None = None,
) -> None:
    """Note that what a job in ``directory`` is made with was given by this user, so that it goes on without asking.

    To be called before ``values`` are written to the directory: a process may be killed between the two. A state folder
    that cannot be written is a warning.

    Args:
        before: the configuration that the directory holds until then. What of it is noted already stays noted.
    """
    domain = registry.resolve_domain(str(values["plugin"])).component.name

    def identities(configuration: Mapping[str, Any]) -> dict[str, Any]:
        return {name: one.identity for name, one in reaches(configuration, models, registry, domain).items()}

    reached = identities(values)
    stored = {} if before is None else identities(before)
    known = noted(directory, stored)
    if not reached and not known:
        return
    try:
        write_note(directory, reached, {name: stored[name] for name in known})
    except OSError as error:
        warnings.warn(
            f"that {directory} was made here cannot be noted ({error}). It works all the same, but a command that "
            f"continues it will want these given again: {', '.join(reached)}",
            stacklevel=2,
        )


# --------------------------------------------------------------------------------------------- message


def _refusal(directory: Path, unknown: Sequence[Reach], again: CommandHint) -> str:
    """What a directory wants to reach, and what to type to let it."""
    lines = [
        f"{directory} was not made here by you, or was changed, moved or copied since. What it says may choose data "
        "alone, but it names:"
    ]
    for one in unknown:
        value = json.dumps(one.value, ensure_ascii=False)
        lines.append(f"  {one.name} = {visible(value if len(value) <= _SHOWN else value[:_SHOWN] + ' ...')}")
        lines.append(f"    ({visible(one.what[:_SHOWN]).rstrip('.')})")
    lines.append("Nothing of this was used. If you know what it does and want it, give it again yourself.")
    typed, written = again.command, {}
    for one in unknown:
        option = again.options.get(one.name)
        if option is None or one.inline is None:
            written[again.keys.get(one.name, one.name)] = one.value
        else:
            typed += " " + (f"{option}=" if one.inline.startswith("-") else f"{option} ") + shlex.quote(one.inline)
    if written:
        text = _toml(written)
        if text is None:
            names = ", ".join(written)
            return "\n".join([*lines, f"{names} cannot be written in a configuration file: begin anew instead."])
        file = again.config or _FILE
        lines.append(f"{'Add to' if again.config else 'Write to a file, such as'} {file}:")
        lines += [f"  {line}" if line else "" for line in text.splitlines()]
        if again.config is None:
            typed += f" --config {_FILE}"
    return "\n".join([*lines, "Continue with:", f"  {typed}"])


def _toml(values: Mapping[str, Any]) -> str | None:
    """Values as TOML, every letter of them visible; None where TOML has no word for one."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        table, _, key = name.rpartition(".")
        (nested.setdefault(table, {}) if table else nested)[key] = _without_none(value)
    try:
        text = "".join(one if one == "\n" else visible(one) for one in tomli_w.dumps(nested))
        same: bool = tomllib.loads(text) == nested
    except (TypeError, ValueError):
        return None
    return text if same and len(text) <= _LONGEST_FILE else None


def _without_none(value: Any) -> Any:
    """TOML has no null; an option of a component that is null is left out."""
    if isinstance(value, Mapping):
        return {key: part for key, part in value.items() if part is not None}
    return [_without_none(part) for part in value] if isinstance(value, list) else value
