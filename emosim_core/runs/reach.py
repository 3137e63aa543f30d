"""Reach: which values of a configuration reach code, keys, hosts or paths, and which choose data alone.

Deny by default: a value is data where its type cannot reach anything (a truth value, a number, one of a few names), or
where it names a component of the core whose options are such. All else reaches. A text option that is data all the
same says so in its model: ``Field(..., json_schema_extra={"harmless": True})``.
"""

from __future__ import annotations

import json
import os
import re
import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from emosim_core.hooks import Registry
from emosim_core.hooks.component import KIND_TITLES
from emosim_core.hooks.fields import all_fields, by_field, extra
from emosim_core.hooks.mixtures import choice_of, read_mixture
from emosim_core.simulation.logs import is_table_log

HARMLESS = "harmless"
"""Key of a field's ``json_schema_extra``: True or False for all its values, or a list of those that are harmless."""

_COMPONENTS = {
    "items": "item_loader",
    "ratings": "log",
    "user_dataset": "user_loader",
    "rater": "rater",
    "raters": "rater",
    "llm_models": "llm_backend",
    "llm_raters": "prompt_strategy",
    "items_retrieval": "retrieval",
    "retrievals": "retrieval",
    "choice": "choice",
    "selector": "selector",
    "perturbator": "perturbator",
    "perturbators": "perturbator",
    "emotion_model": "emotion_model",
    "reward_shaping": "reward_shaping",
    "observation": "observation",
    "policy": "policy",
    "policies": "policy",
    "studies": "study",
}
"""Fields that hold a component or a list of them, and the kind of each; an option of a component says it itself. A log
is a table, or an item loader that has ratings."""

_CONTAINERS = (Union, types.UnionType, tuple, list, set, frozenset, Sequence, AbstractSet)

_ASSIGNMENT = re.compile(r"\w+=")
"""What stands after a comma within one component."""

_LONGEST = 4000
"""Characters of a value that is offered as an option of the command line."""


@dataclass(frozen=True)
class Reach:
    """One value that reaches beyond data.

    Attributes:
        name: its field, such as ``"llm_model"`` or ``"gateway.cache"``.
        value: as the configuration holds it.
        identity: equal for values that mean the same; JSON.
        what: what it is, in words.
        inline: how it is written as an option of the command line; None where it cannot be.
    """

    name: str
    value: Any
    identity: Any
    what: str
    inline: str | None


def reaches(
    values: Mapping[str, Any], models: Sequence[type[BaseModel]], registry: Registry, domain: str | None
) -> dict[str, Reach]:
    """The values of a configuration that reach beyond data, by the name of their field.

    Nothing that is named is made, opened or asked; of a value's options not even the model is instantiated. A value
    under a short name is that of its field, as it is for the models; so is an option of a component that is a field of
    its own.

    Args:
        domain: the domain that components are used in.

    Raises:
        ConfigurationError: nothing provides a component that is named, or a field is given under two names.
    """
    for model in models:
        values = by_field(model, values)
    result: dict[str, Reach] = {}
    fields = {name: field for model in models for name, field in all_fields(model).items()}
    for name in fields.keys() & values.keys():
        for one in _reaches_of(name, fields[name], to_jsonable_python(values[name]), registry, domain):
            result[one.name] = one
    return dict(sorted(result.items()))


def identity(kind: str, value: Any, registry: Registry, domain: str | None) -> Any:
    """What a component is, however it is written: its kind, its name, and its options that are not the defaults.

    Raises:
        ConfigurationError: nothing provides it.
    """
    return _component(kind, value, registry, domain)[1]


def same_component(
    name: str, one: Any, other: Any, models: Sequence[type[BaseModel]], registry: Registry, domain: str | None
) -> bool:
    """Whether two values of a field that holds one component or several mean the same."""
    kind = _kind(name, next((fields[name] for model in models if name in (fields := all_fields(model))), None))
    if kind is None or one is None or other is None or isinstance(one, list) != isinstance(other, list):
        return False
    pair = [[identity(kind, part, registry, domain) for part in _listed(value)] for value in (one, other)]
    return bool(pair[0] == pair[1])


def _kind(name: str, field: FieldInfo | None) -> str | None:
    """The kind of the component that a field holds; None where it holds something else."""
    own = None if field is None else extra(field).get("component")
    return _COMPONENTS.get(name) if own is None else str(own)


def _reaches_of(name: str, field: FieldInfo, value: Any, registry: Registry, domain: str | None) -> list[Reach]:
    kind = _kind(name, field)
    if kind is not None:
        if value is None or value == "":
            return []
        parts = [_component(kind, part, registry, domain) for part in _listed(value)]
        what = [words for reach, _, words, _ in parts if reach]
        if not what:
            return []
        texts = [inline for _, _, _, inline in parts]
        identities = [identified for _, identified, _, _ in parts]
        return [
            Reach(name, value, identities, "; ".join(what), _joined(texts) if isinstance(value, list) else texts[0])
        ]
    each = extra(field).get("each")
    if each is not None and isinstance(value, Mapping):
        return _entries_reach(name, str(each), value, registry, domain)
    inner = field.annotation
    if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping):
        nested = reaches(value, (inner,), registry, domain)
        return [Reach(f"{name}.{one.name}", one.value, one.identity, one.what, one.inline) for one in nested.values()]
    if not field_reaches(field, value):
        return []
    inline = value if isinstance(value, str) else None
    if isinstance(value, list) and all(isinstance(part, str) and "," not in part for part in value):
        inline = ",".join(value)
    inline = inline if inline is not None and _plain_text(inline) else None
    return [Reach(name, value, _canonical(value, field.annotation), field.description or name, inline)]


def _entries_reach(
    name: str, kind: str, entries: Mapping[str, Any], registry: Registry, domain: str | None
) -> list[Reach]:
    """What a table of components by name reaches; a list in it is one of directories."""
    parts = {
        key: (True, _canonical(value, Path), "directories", None)
        if isinstance(value, list)
        else _component(kind, value, registry, domain)
        for key, value in entries.items()
    }
    what = [f"{key}: {words}" for key, (reach, _, words, _) in parts.items() if reach]
    identities = {key: identified for key, (_, identified, _, _) in parts.items()}
    return [Reach(name, dict(entries), identities, "; ".join(what), None)] if what else []


def _component(kind: str, value: Any, registry: Registry, domain: str | None) -> tuple[bool, Any, str, str | None]:
    """Of a component: whether it reaches beyond data, its identity, what it is in words, and how it is written."""
    if kind == "log" and isinstance(value, str) and is_table_log(value):
        form, _, path = value.partition(":")
        return True, [kind, form, _place(path, True)], f"a log, a {form} file", value if _plain_text(value) else None
    kind = "item_loader" if kind == "log" else kind
    title = KIND_TITLES[kind]
    if not isinstance(value, str | Mapping):
        return True, [kind, value], f"a {title}", None
    component, record, written = registry.written(kind, value, domain)
    model = component.options_model()
    fields = {} if model is None else model.model_fields
    options = {}
    for key, option in {**component.preset, **written}.items():
        field = fields.get(key)
        canonical = _canonical(option, None if field is None else field.annotation)
        if field is None or canonical != _canonical(_default(field), field.annotation):
            options[key] = canonical
    core = record is registry.records[0]
    reaching = [
        key for key in written if key not in fields or _option_reaches(fields[key], written[key], registry, domain)
    ]
    if model is not None and not _keys_are_fields(model):
        reaching = list(written)
    # What a third party's component reaches by default, nobody but its author knows.
    reach = kind == "llm_backend" or bool(reaching) or (not core and model is not None and not _is_harmless(model))
    words = f"a {title}, {component.name!r} of {record.distribution}"
    if reaching:
        words += f", with {', '.join(reaching)}"
    identified = [kind, component.name, options]
    if isinstance(value, str):
        return reach, identified, words, value if _plain_text(value) else None
    text = _inline(component.name, written)
    if text is not None and identity(kind, text, registry, domain) != identified:
        text = None
    return reach, identified, words, text


def _option_reaches(field: FieldInfo, value: Any, registry: Registry, domain: str | None) -> bool:
    """Whether the value of an option reaches beyond data; of a mixture, whether a component in it does."""
    mixed = extra(field).get("mixture")
    if mixed is None:
        return field_reaches(field, value)
    entries = read_mixture(value, KIND_TITLES[str(mixed)]).items()
    return any(_component(str(mixed), choice_of(name, one), registry, domain)[0] for name, one in entries)


def _inline(name: str, written: Mapping[str, Any]) -> str | None:
    """A component as the command line takes it, ``name:option=value,option=value``; None where it cannot be said so."""
    texts = {key: _scalar(option) for key, option in written.items() if option is not None}
    if not all(text is not None and _plain_text(text) and "," not in text for text in texts.values()):
        return None
    text = name + (":" if texts else "") + ",".join(f"{key}={option}" for key, option in texts.items())
    return text if _plain_text(text) else None


def _joined(texts: Sequence[str | None]) -> str | None:
    """Several values as an option takes them, with commas between; None where they could not be separated again."""
    if any(text is None or not all(map(_ASSIGNMENT.match, text.split(",")[1:])) for text in texts):
        return None
    return ",".join(text for text in texts if text is not None)


def _plain_text(text: str) -> bool:
    """Whether a text can be typed: nothing in it is invisible, and nothing is lost at its ends."""
    return 0 < len(text) <= _LONGEST and text.isprintable() and text == text.strip()


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ----------------------------------------------------------------------------------------------- types


def field_reaches(field: FieldInfo, value: Any) -> bool:
    """Whether this value of a field reaches beyond data; its default does not."""
    harmless = extra(field).get(HARMLESS, _harmless_type(field.annotation))
    if harmless is True or (isinstance(harmless, list | tuple) and value in harmless):
        return False
    return bool(to_jsonable_python(value) != _default(field))


def is_harmless(field: FieldInfo) -> bool:
    """Whether no value of a field can reach beyond data."""
    return extra(field).get(HARMLESS, _harmless_type(field.annotation)) is True


def _is_harmless(model: type[BaseModel], seen: frozenset[type] = frozenset()) -> bool:
    """Whether no option of a model can reach beyond data."""
    return _keys_are_fields(model) and all(
        extra(field).get(HARMLESS, _harmless_type(field.annotation, seen | {model})) is True
        for field in model.model_fields.values()
    )


def _keys_are_fields(model: type[BaseModel]) -> bool:
    """Whether each key of a table can be nothing but the field of its name."""
    return model.model_config.get("extra") != "allow" and all(
        field.validation_alias is None for field in model.model_fields.values()
    )


def _harmless_type(annotation: Any, seen: frozenset[type] = frozenset()) -> bool:
    if any(annotation is one for one in (bool, int, float, None, types.NoneType)):
        return True
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _harmless_type(parts[0], seen)
    if origin is Literal:
        return True
    if origin in _CONTAINERS:
        return all(part is Ellipsis or _harmless_type(part, seen) for part in parts)
    if not isinstance(annotation, type) or annotation in seen:
        return False
    if issubclass(annotation, BaseModel):
        return _is_harmless(annotation, seen)
    return issubclass(annotation, Enum)


def _default(field: FieldInfo) -> Any:
    """The default of a field as JSON has it; what no value equals where there is none."""
    if field.is_required():
        return object()
    try:
        return to_jsonable_python(field.get_default(call_default_factory=True, validated_data={}))
    except Exception:  # a factory may need what is not there, and may return what JSON does not have
        return object()


# -------------------------------------------------------------------------------------------- identity


def _canonical(value: Any, annotation: Any) -> Any:
    """A value such that two that mean the same are equal: numbers as text, paths by where they lead from here."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(part, annotation) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(part, annotation) for part in value]
    if isinstance(value, str):
        return _place(value, names_path(annotation))
    return _scalar(value)


def _scalar(value: Any) -> str | None:
    """A truth value, a number or a text as one types it; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return None if isinstance(value, Mapping | list | tuple) or value is None else repr(value)


def _place(text: str, path: bool) -> str:
    """A text that may name a file: where that is, if it depends on the folder that the command is called in.

    A model's name is a folder's name, too, as soon as there is such a folder. Nothing but what lies in the current
    folder is looked at.
    """
    if not text or os.path.isabs(text) or text.startswith("~") or "\0" in text:
        return text
    try:
        return os.path.abspath(text) if path or os.path.lexists(text) else text
    except (OSError, ValueError):
        return text


def names_path(annotation: Any) -> bool:
    """Whether an option of this type holds a path, or several."""
    if isinstance(annotation, type) and not get_args(annotation):  # in Python 3.10, list[str] is a type too
        return issubclass(annotation, os.PathLike) or annotation is Path
    return any(names_path(part) for part in get_args(annotation))
