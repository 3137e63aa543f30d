"""Mixtures: components of one kind with a weight each, as one types them and as a file has them.

``"llm=0.1,fitted:DIR=0.9,fitted.noise=0"`` is ``{"llm": {"weight": 0.1}, "fitted": {"name": "fitted:DIR", "weight":
0.9, "noise": "0"}}``: a component with its weight, and options of it by its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from emosim_core.errors import ConfigurationError
from emosim_core.hooks.names import Request

WEIGHT = "weight"
"""Key of the weight in the table of a component."""

_OPTION = re.compile(r"\s*(?P<name>[A-Za-z_][\w-]*)\.(?P<option>[A-Za-z_]\w*)\s*=(?P<value>.*)", re.DOTALL)

_TOLERANCE = 1e-6


def read_mixture(value: Any, where: str) -> dict[str, dict[str, Any]]:
    """A table of options for each component, by its name, with its weight as a number; options are not checked.

    Args:
        value: text, or a table whose values are weights or tables with a weight.

    Raises:
        ConfigurationError: it is neither, names a component twice, or its weights are not above 0 or do not sum to 1.
    """
    entries = _from_text(value, where) if isinstance(value, str) else _from_table(value, where)
    for name, entry in entries.items():
        entry[WEIGHT] = _weight(entry.get(WEIGHT), f"{where}: {name}")
    _check_weights(entries, where)
    return entries


def _check_weights(entries: Mapping[str, Mapping[str, Any]], where: str) -> None:
    total = sum(entry[WEIGHT] for entry in entries.values())
    written = ", ".join(f"{name}={entry[WEIGHT]:g}" for name, entry in entries.items())
    if wrong := [name for name, entry in entries.items() if not entry[WEIGHT] > 0]:
        raise ConfigurationError(f"{where}: the weight of {wrong[0]!r} must be above 0, got {written}")
    if abs(total - 1.0) > _TOLERANCE:
        raise ConfigurationError(f"{where}: weights must sum to 1, and {written or 'none'} sum to {total:g}")


def choice_of(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The component of an entry as a configuration names one: a table with ``name`` and its options."""
    return {"name": name, **{key: value for key, value in entry.items() if key != WEIGHT}}


def _from_text(text: str, where: str) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    options: list[tuple[str, str, str]] = []
    for part in filter(None, map(str.strip, text.split(","))):
        if (match := _OPTION.fullmatch(part)) is not None:
            options.append((match["name"], match["option"], match["value"].strip()))
            continue
        written, equals, weight = part.rpartition("=")
        name = Request.read(written).name
        if not equals or not name:
            raise ConfigurationError(
                f"{where}: expected NAME=WEIGHT, or NAME.OPTION=VALUE for an option of it, with commas between; got "
                f"{part!r}"
            )
        if name in entries:
            raise ConfigurationError(f"{where}: {name!r} is named twice")
        entries[name] = {WEIGHT: weight, **({} if written.strip() == name else {"name": written.strip()})}
    for name, option, value in options:
        if name not in entries:
            raise ConfigurationError(f"{where}: the option {name}.{option} is of none of {', '.join(entries)}")
        if option in entries[name]:
            raise ConfigurationError(f"{where}: {name}.{option} is given twice")
        entries[name][option] = value
    return entries


def _from_table(value: Any, where: str) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where}: expected a weight for each, such as llm=0.1,fitted=0.9, got {value!r}")
    entries: dict[str, dict[str, Any]] = {}
    for written, entry in value.items():
        name = Request.read(str(written)).name
        if name in entries:
            raise ConfigurationError(f"{where}: {name!r} is named twice")
        head = {} if written == name else {"name": written}
        entries[name] = {**head, **(entry if isinstance(entry, Mapping) else {WEIGHT: entry})}
        named = Request.read(entries[name].get("name", name)).name
        if named != name:
            raise ConfigurationError(f"{where}: the table {name!r} names {named!r}; give it that name")
    return entries


def _weight(value: Any, where: str) -> float:
    try:
        weight = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not math.isfinite(weight):
        raise ConfigurationError(f"{where}: expected a weight, a number such as 0.1, got {value!r}")
    return weight
