"""Fields: one description of each option, and the spellings under which a command line, a file or a program gives it.

A field of a configuration says everything about its option: name, type, default and ``description`` as pydantic has
them, and in ``json_schema_extra``:

- ``"unit"``: what its number counts, such as ``"steps"``
- ``"aliases"``: short names, such as ``["max_cost"]`` for ``gateway.max_cost``
- ``"unset"``: what counts where the default is None, in words
- ``"section"``: the heading of the help that it stands under
- ``"rare"``: whether only ``--help-all`` shows it
- ``"option"``: False for what is no option of a command line
- ``"each"``: of a table of components by name, their kind; each entry is an option of its own, ``NAME=COMPONENT``
- ``"spread"``: kind and name of a built-in component that can be the value of the field, whose options are fields of
  their own, too
- ``"spread_in"``: name of a built-in component that can be the value of the field and mixes others
  (:mod:`emosim_core.hooks.mixtures`), and the option of it that names them; one of them may be that of ``"spread"``

An option of such a component says in its own ``json_schema_extra`` by which field it is given:

- ``"short"``: the field, such as ``"llm_model"``, or a table and a key, such as ``"llm.reading"``
- ``"needed"``: of the option that chooses the component, what it names, such as ``"a language model"``

So ``{"llm_model": "m", "gateway": {"max_cost": 1}}`` is short for ``{"rater": {"name": "llm", "model": "m", "gateway":
{"max_cost": 1}}}``. Values are merged and compared as fields (:func:`by_field`); a configuration holds the component
(:func:`with_components`).
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.fields import FieldInfo

from emosim_core.errors import ConfigurationError, OptionError
from emosim_core.hooks.component import Component, core_component
from emosim_core.hooks.mixtures import WEIGHT, choice_of, read_mixture
from emosim_core.hooks.names import Request, checked_options, did_you_mean, unknown_option, written_options

_ASSIGNMENT = re.compile(r"\s*[A-Za-z_][A-Za-z0-9_]*\s*=")


@dataclass(frozen=True)
class FieldDescription:
    """What is known of one option.

    Attributes:
        name: path of the field, such as ``"gateway.max_cost"``.
        kind: how a text is read: ``"flag"``, ``"integer"``, ``"number"``, ``"path"``, ``"list"``, ``"assignments"``,
            ``"entries"``, ``"component"`` or ``"text"``.
        default: the default in words; empty where there is none.
        unit: what its number counts.
        section: heading that it stands under.
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
        FieldDescription(
            name=path,
            kind=_kind(field),
            default=_default(field),
            help=field.description or "",
            unit=str(extra(field).get("unit", "")),
            choices=tuple(
                str(value)
                for part in _types(field.annotation)
                if get_origin(part) is Literal
                for value in get_args(part)
            ),
            aliases=tuple(extra(field).get("aliases", ())),
            section=section,
            rare=rare,
        )
        for path, field, section, rare in _leaves(model)
        if extra(field).get("option", True)
    ]


def field_names(model: type[BaseModel]) -> dict[str, str]:
    """The field of each other spelling: ``{"max_cost": "gateway.max_cost", "users": "user_dataset"}``."""
    return {alias: path for path, field, _, _ in _leaves(model) for alias in extra(field).get("aliases", ())}


@cache
def all_fields(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The fields of a configuration, and among them those that are options of a component (``"spread"``)."""
    fields: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        fields[name] = field
        if "spread" in extra(field):
            fields.update(_spread_of(field).fields)
    return fields


def by_field(model: type[BaseModel], values: Mapping[str, Any], where: str = "configuration") -> dict[str, Any]:
    """Values under the names of their fields, whichever spelling they are given in.

    A short name and a path with dots go to their place, and a text becomes a list or a table where the field holds
    one: ``{"max_cost": 1, "hidden": "64,64"}`` is ``{"gateway": {"max_cost": 1}, "hidden": ["64", "64"]}``. So do the
    options of a component that are fields of their own. What is unknown stays, for whoever checks the values.

    Raises:
        ConfigurationError: a field is given under two names, or such a component has no option of a name.
    """
    aliases = field_names(model)
    result = {
        name: _read(model, name, value, where) for name, value in values.items() if not _moves(model, name, aliases)
    }
    for name, value in values.items():
        if _moves(model, name, aliases):
            path = aliases.get(name, name)
            _put(result, path, _read(model, path, value, where), f"{where}: {name}")
    for field, spread in _spreads(model).items():
        if spread.is_named(result.get(field)):
            _spread_out(result, result.pop(field), spread, where)
            if result.get(spread.chosen_by) is None:
                result[field] = spread.component.name
        elif (mixed := spread.mixed_in(result.get(field))) is not None:
            result[field], entries, key = mixed
            entry = entries[key]
            entries[key] = {WEIGHT: entry.get(WEIGHT)}
            _spread_out(result, choice_of(key, entry), spread, where)
    return result


def check_names(
    where: str,
    given: Iterable[str],
    models: Iterable[type[BaseModel]],
    function: Callable[..., Any] | None = None,
) -> None:
    """See that all names are options of one of some configurations, in any spelling.

    Args:
        where: what they are options of, as messages say it.
        function: who takes them as keywords; an option that looks like an argument of it is said to be that.

    Raises:
        ConfigurationError: one is unknown; with the nearest.
    """
    known: dict[str, None] = {}
    aliases = {model: field_names(model) for model in models}
    for model, names in aliases.items():
        known |= dict.fromkeys((*all_fields(model), *names))
    if function is not None:
        parameters = inspect.signature(function).parameters.values()
        known |= dict.fromkeys(one.name for one in parameters if one.kind is not one.VAR_KEYWORD)
    for name in given:
        if name not in known and not any(_moves(model, name, names) for model, names in aliases.items()):
            close = did_you_mean(name, known) or f" Options: {', '.join(known)}."
            raise ConfigurationError(f"{where}: unknown option {name!r}.{close}")


def over(model: type[BaseModel], values: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Values over others, by field; a table of options is merged key by key, a component is replaced as a whole.

    A component whose options are fields of their own is chosen by the upper values, where they choose one: ``rater``
    replaces ``llm_model``, and the reverse.
    """
    values, base = by_field(model, values), by_field(model, base)
    merged = {**base, **values}
    fields = all_fields(model)
    for name in values.keys() & base.keys():
        if _nested(fields.get(name)) is not None:
            upper, lower = values[name], base[name]
            if isinstance(upper, Mapping) and isinstance(lower, Mapping):
                merged[name] = {**lower, **upper}
    for field, spread in _spreads(model).items():
        named = values.get(field)
        if named is not None and not spread.concerns(named):
            merged = {name: one for name, one in merged.items() if name not in spread.fields or name in values}
        elif named is None and values.get(spread.chosen_by) is not None and not spread.mixed_in(base.get(field)):
            merged.pop(field, None)
    return merged


def with_components(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by field as a configuration holds them: fields that are options of a component are in its table.

    The table has every option, checked, so that all spellings of one component are equal. Tables that are about a
    component which is not chosen are checked and left out.

    Raises:
        ConfigurationError: two components are named, an option is given without its component, or an option is wrong.
    """
    result = dict(values)
    for field, spread in _spreads(model).items():
        given = {name: result.pop(name) for name in spread.fields if name in result}
        options = spread.options_of(given)
        named, chosen_by = result.get(field), f"--{spread.chosen_by.replace('_', '-')}"
        if spread.chosen_by in given and given[spread.chosen_by] is not None:
            if named is not None and not spread.concerns(named):
                raise ConfigurationError(
                    f"{spread.chosen_by} ({chosen_by}) chooses the {spread.component.title}, and "
                    f"{field} (--{field.replace('_', '-')}) names another, {named!r}: leave one of them out"
                )
        elif not spread.concerns(named):
            for name, value in given.items():
                if value is not None and _nested(spread.fields[name]) is None:
                    raise ConfigurationError(
                        f"{name} {value!r} needs {spread.needed}: give {chosen_by} too ({spread.chosen_by} in a file)"
                    )
            continue
        made = checked_options(spread.options, options, spread.component.title)
        if (mixed := spread.mixed_in(named)) is not None:
            result[field], entries, key = mixed
            entries[key] = {WEIGHT: entries[key].get(WEIGHT), **made.model_dump(mode="json")}
        else:
            result[field] = {"name": spread.component.name, **made.model_dump(mode="json")}
    return result


def without_component(
    model: type[BaseModel], values: Mapping[str, Any], paths: Sequence[str]
) -> tuple[str, str, str] | None:
    """The first of some paths of fields that is an option of a component which values by field do not choose.

    Returns:
        The path, what it needs in words, and the field that gives this; None where there is none.
    """
    for field, spread in _spreads(model).items():
        if values.get(spread.chosen_by) is None and not spread.concerns(values.get(field)):
            for path in paths:
                if path.partition(".")[0] in spread.fields:
                    return path, spread.needed, spread.chosen_by
    return None


@dataclass(frozen=True)
class _Spread:
    """A component whose options are fields of a configuration."""

    component: Component
    options: type[BaseModel]
    fields: Mapping[str, FieldInfo]
    paths: Mapping[str, str]
    chosen_by: str
    needed: str
    mixing: Component | None = None
    mixed: str = ""

    def is_named(self, value: Any) -> bool:
        """Whether a value of the field names the component."""
        return _name_of(value) in self.component.names

    def concerns(self, value: Any) -> bool:
        """Whether a value of the field is the component, or a mixture with it."""
        return self.is_named(value) or self.mixed_in(value) is not None

    def mixed_in(self, value: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]], str] | None:
        """A mixture with the component as a table, the tables of its parts in it, and the name of the component there.

        None where a value of the field is none. The table is a new one.

        Raises:
            ConfigurationError: it cannot be read.
        """
        if self.mixing is None or _name_of(value) not in self.mixing.names:
            return None
        options = written_options(self.mixing, Request.read(value))
        if self.mixed not in options:
            return None
        entries = read_mixture(options[self.mixed], self.mixing.title)
        key = next((name for name in entries if name in self.component.names), None)
        return None if key is None else ({"name": self.mixing.name, **options, self.mixed: entries}, entries, key)

    def options_of(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the component, from fields; what is in a table of several of them is checked."""
        options: dict[str, Any] = {}
        for name, value in given.items():
            if value is None:
                continue
            nested = _nested(self.fields[name])
            if nested is None:
                options[self.paths[name]] = value
                continue
            table = _table_of(value, name)
            checked_options(nested, table, name)
            if name in self.paths:
                options[self.paths[name]] = table
            else:
                options.update({self.paths[f"{name}.{key}"]: one for key, one in table.items()})
        return options


def _table_of(value: Any, where: str) -> Mapping[str, Any]:
    """A value that must be a table of options, or such a model."""
    table = value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} is {value!r}, which is no table")
    return table


def component_table(value: Any, name: str) -> Mapping[str, Any]:
    """The options of a component in a field of a configuration that holds it, or a mixture with it; empty otherwise.

    Args:
        value: as a configuration holds it.
        name: of the component whose options are wanted.
    """
    if not isinstance(value, Mapping):
        return {}
    if value.get("name") == name:
        return value
    parts = (part for part in value.values() if isinstance(part, Mapping))
    return next((part[name] for part in parts if isinstance(part.get(name), Mapping)), {})


def with_component_table(value: Mapping[str, Any], name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """A field of a configuration with another table where :func:`component_table` finds that of a component."""
    if value.get("name") == name:
        return dict(table)
    return {
        key: {**part, name: dict(table)} if isinstance(part, Mapping) and isinstance(part.get(name), Mapping) else part
        for key, part in value.items()
    }


def _name_of(value: Any) -> str | None:
    """The name of the component that a value of a field names."""
    name = value.get("name") if isinstance(value, Mapping) else value
    return Request.read(name).name if isinstance(name, str) else None


def _spreads(model: type[BaseModel]) -> dict[str, _Spread]:
    return {name: _spread_of(field) for name, field in model.model_fields.items() if "spread" in extra(field)}


def _spread_of(field: FieldInfo) -> _Spread:
    return _spread(*extra(field)["spread"], *extra(field).get("spread_in", ()))


@cache
def _spread(kind: str, name: str, mixing: str = "", mixed: str = "") -> _Spread:
    component = core_component(kind, name)
    options = component.options_model()
    assert options is not None, f"{component.name} has no options"
    fields: dict[str, FieldInfo] = {}
    tables: dict[str, dict[str, FieldInfo]] = {}
    paths: dict[str, str] = {}
    for name, field in options.model_fields.items():
        short = str(extra(field)["short"])
        table, dot, key = short.partition(".")
        paths[short] = name
        if dot:
            tables.setdefault(table, {})[key] = field
        fields[table] = field
    for table, inner in tables.items():
        made = create_model(
            table, __config__=ConfigDict(extra="forbid"), **{key: (one.annotation, one) for key, one in inner.items()}
        )  # type: ignore[call-overload]
        fields[table] = FieldInfo(
            annotation=made, default_factory=made, json_schema_extra={"section": extra(fields[table])["section"]}
        )
    chosen_by, needed = next(
        (short, str(extra(options.model_fields[name])["needed"]))
        for short, name in paths.items()
        if "needed" in extra(options.model_fields[name])
    )
    mixes = core_component(kind, mixing) if mixing else None
    return _Spread(component, options, fields, paths, chosen_by, needed, mixes, mixed)


def _spread_out(nested: dict[str, Any], choice: Any, spread: _Spread, where: str) -> None:
    """Put the options of a component under their fields."""
    shorts = {name: short for short, name in spread.paths.items()}
    for name, value in written_options(spread.component, Request.read(choice)).items():
        if name not in shorts:
            raise ConfigurationError(unknown_option(f"{where}: {spread.component.title}", name, spread.options))
        place = f"{where}: {spread.component.kind}.{name}"
        if _nested(spread.fields.get(shorts[name])) is None:
            _put(nested, shorts[name], value, place)
        else:
            for key, one in _table_of(value, place).items():
                _put(nested, f"{shorts[name]}.{key}", one, f"{place}.{key}")


def _moves(model: type[BaseModel], name: str, aliases: Mapping[str, str]) -> bool:
    """Whether a value stands under another name than its field's."""
    table, dot, _ = name.partition(".")
    fields = all_fields(model)
    return name not in fields and (name in aliases or (bool(dot) and _nested(fields.get(table)) is not None))


def _put(nested: dict[str, Any], path: str, value: Any, where: str) -> None:
    """Put a value in its table, unless another one is there."""
    table, dot, key = path.rpartition(".")
    holder = nested
    if dot:
        inner = _table_of(nested.get(table, {}), f"{where} stands for {path}, but {table}")
        holder = nested[table] = dict(inner)
    if key in holder and holder[key] != value:
        raise ConfigurationError(f"{where} stands for {path}, which is given too, with another value; leave one out")
    holder[key] = value


def _read(model: type[BaseModel], path: str, value: Any, where: str) -> Any:
    """A value as its field holds it: a text with commas as a list, or as a table of options."""
    table, dot, key = path.rpartition(".")
    holder = _nested(all_fields(model).get(table)) if dot else model
    field = None if holder is None else all_fields(holder).get(key)
    if field is not None and "each" in extra(field) and isinstance(value, str | list | tuple):
        return _entries([value] if isinstance(value, str) else value, path, where)
    if field is None or not isinstance(value, str):
        return value
    if (kind := _kind(field)) == "list":
        return split_components(value) if Any in _types(field.annotation) else split_names(value)
    return _assignments(value, path) if kind == "assignments" else value


def split_names(text: str) -> list[str]:
    """``"a, b"`` as a list, without empty names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def split_components(text: str) -> list[str]:
    """Components with commas between: ``random,epsilon_greedy:epsilon=0.2,prior_weight=5`` are two.

    A part that only sets an option belongs to the component before it.
    """
    parts: list[str] = []
    for part in split_names(text):
        if parts and ":" in parts[-1] and _ASSIGNMENT.match(part):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def _assignments(text: str, path: str) -> dict[str, Any]:
    """``"ent_coef=0.01,use_rms_prop=false"`` as a table; a value is JSON or else a text."""
    assigned: dict[str, Any] = {}
    for part in split_names(text):
        key, equals, written = part.partition("=")
        if not equals or not key.strip():
            raise ConfigurationError(f"{path}: expected name=value with commas between, got {part!r}")
        try:
            assigned[key.strip()] = json.loads(written)
        except ValueError:
            assigned[key.strip()] = written.strip()
    return assigned


def _entries(texts: Sequence[Any], path: str, where: str) -> dict[str, str]:
    """``["control=popular", "new=http://127.0.0.1:8000"]`` as a table; no name stands twice."""
    entries: dict[str, str] = {}
    for text in texts:
        name, equals, written = (part.strip() for part in str(text).partition("="))
        if not (name and equals and written):
            raise OptionError(where, path, f"expected NAME=VALUE, such as control=popular, got {text!r}")
        if name in entries:
            problem = f"the name {name!r} is given twice, to {entries[name]!r} and {written!r}"
            raise OptionError(where, path, problem)
        entries[name] = written
    return entries


def _leaves(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, str, bool]]:
    """Path, field, section and rarity of each option of a model."""
    for name, field in all_fields(model).items():
        # Without a section of its own, it stands under the title of the first model in the line of bases that has it.
        holder = [one for one in model.__mro__ if issubclass(one, BaseModel) and name in one.model_fields][-1:]
        title = [str(one.model_config.get("title") or one.__name__) for one in holder]
        section = str(extra(field)["section"]) if "section" in extra(field) else title[0]
        rare = bool(extra(field).get("rare", False))
        nested = _nested(field)
        if nested is None:
            yield name, field, section, rare
            continue
        for inner, inner_field in nested.model_fields.items():
            yield f"{name}.{inner}", inner_field, section, rare or bool(extra(inner_field).get("rare", False))


def _nested(field: FieldInfo | None) -> type[BaseModel] | None:
    annotation = None if field is None else field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def extra(field: FieldInfo) -> Mapping[str, Any]:
    """What a field says in its ``json_schema_extra``."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, Mapping) else {}


def _types(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of, those within lists and unions too."""
    parts = () if get_origin(annotation) is Literal else get_args(annotation)
    yield get_origin(annotation) if parts else annotation
    for part in parts:
        yield from _types(part)


_KINDS: dict[Any, str] = {
    **dict.fromkeys((tuple, list, set, frozenset, Sequence), "list"),
    **dict.fromkeys((Union, types.UnionType), "component"),
    dict: "assignments",
    bool: "flag",
    int: "integer",
    float: "number",
}


def _kind(field: FieldInfo) -> str:
    """How a text is read as the value of a field."""
    if "each" in extra(field):
        return "entries"
    outer = _without_none(field.annotation)
    path = isinstance(outer, type) and issubclass(outer, Path)
    return _KINDS.get(get_origin(outer) or outer, "path" if path else "text")


def _without_none(annotation: Any) -> Any:
    """``int`` of ``int | None``; ``str | dict`` of ``str | dict | None``."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    parts = [part for part in get_args(annotation) if part is not types.NoneType]
    return parts[0] if len(parts) == 1 else Union[tuple(parts)]  # noqa: UP007


def _default(field: FieldInfo) -> str:
    """The default as one types it, or in words."""
    unset = str(extra(field).get("unset", ""))
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
