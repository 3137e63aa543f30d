"""Fields: one description of each option, and the spellings under which a command line, a file or a program gives it.

A field of a configuration says everything about its option: name, type, default and ``description`` as pydantic has
them, and in ``json_schema_extra``:

- ``"unit"``: what its number counts, such as ``"steps"``
- ``"aliases"``: short names, such as ``["max_cost"]`` for ``gateway.max_cost``
- ``"unset"``: what counts where the default is None, in words
- ``"section"``: the heading of the help that it stands under
- ``"rare"``: whether only ``--help-all`` shows it
- ``"option"``: False for what is no option of a command line
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from emosim_core.errors import ConfigurationError

_ASSIGNMENT = re.compile(r"\s*[A-Za-z_][A-Za-z0-9_]*\s*=")


@dataclass(frozen=True)
class FieldDescription:
    """What is known of one option.

    Attributes:
        name: path of the field, such as ``"gateway.max_cost"``.
        kind: how a text is read: ``"flag"``, ``"integer"``, ``"number"``, ``"path"``, ``"list"``, ``"assignments"``,
            ``"component"`` or ``"text"``.
        default: the default in words; empty where there is none.
        help: what it does, a sentence.
        unit: what its number counts.
        choices: the only values.
        aliases: short names.
        section: heading that it stands under.
        rare: whether it is left out of a short list.
    """

    name: str
    kind: str
    default: str
    help: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    section: str = ""
    rare: bool = False


def describe(model: type[BaseModel]) -> list[FieldDescription]:
    """The options of a configuration, in the order of its fields; those of a nested model each by itself."""
    return [
        _description(path, field, section, rare)
        for path, field, section, rare in _leaves(model)
        if _extra(field).get("option", True)
    ]


def field_names(model: type[BaseModel]) -> dict[str, str]:
    """The field of each other spelling: ``{"max_cost": "gateway.max_cost", "users": "user_dataset"}``."""
    return {alias: path for path, field, _, _ in _leaves(model) for alias in _extra(field).get("aliases", ())}


def by_field(model: type[BaseModel], values: Mapping[str, Any], where: str = "configuration") -> dict[str, Any]:
    """Values under the names of their fields, whichever spelling they are given in.

    A short name and a path with dots go to their place, and a text becomes a list or a table where the field holds
    one: ``{"max_cost": 1, "hidden": "64,64"}`` is ``{"gateway": {"max_cost": 1}, "hidden": ["64", "64"]}``. What is
    unknown stays, for whoever checks the values.

    Raises:
        ConfigurationError: a field is given under two names.
    """
    aliases = field_names(model)
    found = {name: _read(model, name, value) for name, value in values.items() if not _moves(model, name, aliases)}
    for name, value in values.items():
        if _moves(model, name, aliases):
            path = aliases.get(name, name)
            _put(found, path, _read(model, path, value), f"{where}: {name}")
    return found


def over(model: type[BaseModel], values: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Values over others; a table of options is merged key by key, a component is replaced as a whole."""
    found = {**base, **values}
    for name in values.keys() & base.keys():
        if _nested(model.model_fields.get(name)) is not None:
            upper, lower = values[name], base[name]
            if isinstance(upper, Mapping) and isinstance(lower, Mapping):
                found[name] = {**lower, **upper}
    return found


# ------------------------------------------------------------------------------------------ spellings


def _moves(model: type[BaseModel], name: str, aliases: Mapping[str, str]) -> bool:
    """Whether a value stands under another name than its field's."""
    table, dot, _ = name.partition(".")
    return name not in model.model_fields and (name in aliases or (bool(dot) and _table(model, table) is not None))


def _put(found: dict[str, Any], path: str, value: Any, where: str) -> None:
    """Put a value in its table, unless another one is there."""
    table, dot, key = path.rpartition(".")
    holder = found
    if dot:
        inner = found.get(table, {})
        if isinstance(inner, BaseModel):
            inner = inner.model_dump(exclude_unset=True)
        if not isinstance(inner, Mapping):
            raise ConfigurationError(f"{where} stands for {path}, but {table} is {inner!r}, which is no table")
        holder = found[table] = dict(inner)
    if key in holder and holder[key] != value:
        raise ConfigurationError(f"{where} stands for {path}, which is given too, with another value; leave one out")
    holder[key] = value


def _read(model: type[BaseModel], path: str, value: Any) -> Any:
    """A value as its field holds it: a text with commas as a list, or as a table of options."""
    if not isinstance(value, str):
        return value
    field = _field(model, path)
    if field is None:
        return value
    kind = _kind(field)
    if kind == "list":
        return _split(value, Any in _flat(field.annotation))
    if kind == "assignments":
        return _assignments(value, path)
    return value


def split_names(text: str) -> list[str]:
    """``"a, b"`` as a list, without empty names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def split_components(text: str) -> list[str]:
    """Components with commas between: ``random,epsilon_greedy:epsilon=0.2,prior_weight=5`` are two.

    A part that only sets an option belongs to the component before it.
    """
    found: list[str] = []
    for part in split_names(text):
        if found and ":" in found[-1] and _ASSIGNMENT.match(part):
            found[-1] += f",{part}"
        else:
            found.append(part)
    return found


def _split(text: str, components: bool) -> list[str]:
    return split_components(text) if components else split_names(text)


def _assignments(text: str, path: str) -> dict[str, Any]:
    """``"ent_coef=0.01,use_rms_prop=false"`` as a table; a value is JSON or else a text."""
    found: dict[str, Any] = {}
    for part in split_names(text):
        key, equals, written = part.partition("=")
        if not equals or not key.strip():
            raise ConfigurationError(f"{path}: expected name=value with commas between, got {part!r}")
        try:
            found[key.strip()] = json.loads(written)
        except ValueError:
            found[key.strip()] = written.strip()
    return found


# --------------------------------------------------------------------------------------- descriptions


def _leaves(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, str, bool]]:
    """Path, field, section and rarity of each option of a model."""
    for name, field in model.model_fields.items():
        extra = _extra(field)
        section, rare = str(extra.get("section", _title(model, name))), bool(extra.get("rare", False))
        nested = _nested(field)
        if nested is None:
            yield name, field, section, rare
            continue
        for inner, inner_field in nested.model_fields.items():
            yield f"{name}.{inner}", inner_field, section, rare or bool(_extra(inner_field).get("rare", False))


def _description(path: str, field: FieldInfo, section: str, rare: bool) -> FieldDescription:
    extra = _extra(field)
    return FieldDescription(
        name=path,
        kind=_kind(field),
        default=_default(field),
        help=field.description or "",
        unit=str(extra.get("unit", "")),
        choices=_choices(field),
        aliases=tuple(extra.get("aliases", ())),
        section=section,
        rare=rare,
    )


def _title(model: type[BaseModel], name: str) -> str:
    """The title of the model that a field comes from: of the first in the line of its bases that has it."""
    holders = [one for one in model.__mro__ if issubclass(one, BaseModel) and name in one.model_fields]
    return str(holders[-1].model_config.get("title") or holders[-1].__name__)


def _field(model: type[BaseModel], path: str) -> FieldInfo | None:
    table, dot, key = path.rpartition(".")
    holder = _table(model, table) if dot else model
    return None if holder is None else holder.model_fields.get(key)


def _table(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    return _nested(model.model_fields.get(name))


def _nested(field: FieldInfo | None) -> type[BaseModel] | None:
    annotation = None if field is None else field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _extra(field: FieldInfo) -> Mapping[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, Mapping) else {}


def _flat(annotation: Any) -> set[Any]:
    """The types that an annotation is made of, those within lists and unions too."""
    parts = get_args(annotation)
    if not parts or get_origin(annotation) is Literal:
        return {annotation}
    return {get_origin(annotation)} | {one for part in parts for one in _flat(part)}


def _kind(field: FieldInfo) -> str:
    """How a text is read as the value of a field."""
    outer = _without_none(field.annotation)
    origin = get_origin(outer)
    if origin in (tuple, list, set, frozenset, Sequence):
        return "list"
    if origin is dict:
        return "assignments"
    if origin in (Union, types.UnionType):
        return "component"
    for kind, name in ((bool, "flag"), (int, "integer"), (float, "number")):
        if outer is kind:
            return name
    return "path" if isinstance(outer, type) and issubclass(outer, Path) else "text"


def _without_none(annotation: Any) -> Any:
    """``int`` of ``int | None``; ``str | dict`` of ``str | dict | None``."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    parts = [part for part in get_args(annotation) if part is not types.NoneType]
    return parts[0] if len(parts) == 1 else Union[tuple(parts)]  # noqa: UP007


def _choices(field: FieldInfo) -> tuple[str, ...]:
    return tuple(str(value) for part in _literals(field.annotation) for value in get_args(part))


def _literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield annotation
    else:
        for part in get_args(annotation):
            yield from _literals(part)


def _default(field: FieldInfo) -> str:
    """The default as one types it, or in words."""
    unset = str(_extra(field).get("unset", ""))
    if field.is_required():
        return unset
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or (unset and not value):
        return unset
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    if isinstance(value, Mapping):
        return ",".join(f"{key}={json.dumps(part)}" for key, part in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
