"""Frozen: the base of models that never change, such as those of options, and how a field of one is described."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_CONSTRAINTS = ("ge", "gt", "le", "lt", "min_length", "pattern", "allow_inf_nan")


class Frozen(BaseModel):
    """A model that never changes; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def option(default: Any, description: str, **more: Any) -> Any:
    """A field with its default (``...`` where it must be given), its description, its constraints (``ge``, ``gt``,
    ``le``, ``lt``, ``min_length``, ``pattern``, ``allow_inf_nan``), and all else that is said of it, such as its unit;
    see :mod:`emosim_core.hooks.fields`."""
    constraints: dict[str, Any] = {name: more.pop(name) for name in _CONSTRAINTS if name in more}
    if more:  # what the type says of itself stays where nothing is given
        constraints["json_schema_extra"] = more
    return Field(default=default, description=description, **constraints)
