"""How names are read: ``decay_emotion_3``, ``decay_emotion:k=5,time_decay=0.3``, ``csv:PATH``."""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from emosim_core.errors import ConfigurationError, EmoSimError, OptionError
from emosim_core.hooks.component import Component

_NUMBERED = re.compile(r"(?P<name>.+)_(?P<number>\d+(?P<decimals>\.\d+)?)")
_ASSIGNMENT = re.compile(r"\s*(?P<key>[A-Za-z_][A-Za-z0-9_]*)\s*=(?P<value>.*)", re.DOTALL)


M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Request:
    """A component as a user asked for it.

    Attributes:
        name: the name as written, trailing number included.
        text: what followed the first colon, if anything did.
        options: options by name, where they came from a table of a TOML file.
        written: name, colon and text.
    """

    name: str
    text: str | None = None
    options: Mapping[str, Any] | None = None
    written: str = ""

    @classmethod
    def read(cls, value: str | Mapping[str, Any]) -> Request:
        """A request from what an option or a configuration file holds; a table must have a name."""
        if isinstance(value, str):
            name, colon, text = value.strip().partition(":")
            return cls(name.strip(), text if colon else None, written=value.strip())
        if not isinstance(value.get("name"), str):
            raise ConfigurationError(f"the table {dict(value)!r} needs a 'name'{instead_of('name', value)}")
        head = cls.read(value["name"])
        options = {key: item for key, item in value.items() if key != "name"}
        return cls(head.name, head.text, options, head.written)


def spelled(choice: str | Mapping[str, Any]) -> str:
    """A component as one types it: ``"epsilon_greedy:epsilon=0.2"``."""
    if isinstance(choice, str):
        return choice
    options = ",".join(f"{key}={value}" for key, value in choice.items() if key != "name")
    head = str(choice.get("name", ""))
    return head + (("," if ":" in head else ":") + options if options else "")


def split_number(name: str) -> tuple[str, float] | None:
    """``("decay_emotion", 3)`` for ``decay_emotion_3``; None without a trailing number, whole or decimal."""
    match = _NUMBERED.fullmatch(name)
    if match is None:
        return None
    return match["name"], (float if match["decimals"] else int)(match["number"])


def written_options(
    component: Component, request: Request, number: float | None = None, whole: bool = False
) -> dict[str, Any]:
    """The options of a component as written: unchecked, without its presets, none of them twice.

    Args:
        number: the trailing number of the name, where the component reads one.
        whole: whether all that was written is the option that ``component.value`` names.
    """
    model, where = component.options_model(), component.title
    values: dict[str, Any] = {}
    if number is not None and component.number:
        values[component.number] = number
    written: Mapping[str, Any] = {}
    if whole and component.value:
        written = {component.value: request.written}
    elif request.text is not None:
        written = _assignments(component, request.text, model, where)
    for more in (written, request.options or {}):
        for key in more:
            if key in values:
                raise ConfigurationError(f"{where}: the option {key!r} is given twice")
        values.update(more)
    if model is None and values:
        raise ConfigurationError(f"{where} takes no options; remove {', '.join(map(repr, values))}")
    return values


def checked_options(model: type[M], values: Mapping[str, Any], where: str = "configuration") -> M:
    """An instance of a model of options; ``where`` says in messages what they are options of.

    Raises:
        ConfigurationError: an unknown option (with the nearest name), or a value of the wrong type or out of range.
    """
    try:
        made = model(**values)
    except ValidationError as error:
        raise _wrong(error, model, where) from error
    if (strange := _not_finite(made.model_dump())) is not None:
        raise OptionError(where, strange, "expected a finite number")
    return made


def _not_finite(value: Any, place: str = "") -> str | None:
    """Where a number in nested options is not finite; None where all are."""
    if isinstance(value, float):
        return None if math.isfinite(value) else place
    inner = value if isinstance(value, Mapping) else dict(enumerate(value)) if isinstance(value, list | tuple) else {}
    places = (_not_finite(one, f"{place}.{key}" if place else str(key)) for key, one in inner.items())
    return next((one for one in places if one is not None), None)


def _assignments(component: Component, text: str, model: type[BaseModel] | None, where: str) -> dict[str, str]:
    fields = () if model is None else tuple(model.model_fields)
    any_key = model is not None and model.model_config.get("extra") == "allow"

    def assigns(part: str) -> bool:
        match = _ASSIGNMENT.fullmatch(part)
        return match is not None and (any_key or match["key"] in fields)

    parts = text.split(",")
    values: dict[str, str] = {}
    if component.value and not assigns(parts[0]):
        # The value, which may have commas, and options of the component after it, as in fitted:people,count=1000.
        end = len(parts)
        while end > 1 and assigns(parts[end - 1]):
            end -= 1
        values[component.value], parts = ",".join(parts[:end]), parts[end:]
        _check_misspelled(values[component.value], fields, model, where)
    for part in parts:
        match = _ASSIGNMENT.match(part)
        if match is None:
            raise ConfigurationError(f"{where}: expected option=value after the colon, got {part!r}")
        if match["key"] in values:
            raise ConfigurationError(f"{where}: the option {match['key']!r} is given twice")
        values[match["key"]] = match["value"].strip()
    return values


def _check_misspelled(value: str, fields: Sequence[str], model: type[BaseModel] | None, where: str) -> None:
    """See that a value with commas has no misspelled option in it, which would be sent or opened as a part of it.

    Raises:
        ConfigurationError: what looks like an option is nearly one, as in ``openai:NAME,base=URL``, and no file has
            this name.
    """
    keys = [match["key"] for part in value.split(",")[1:] if (match := _ASSIGNMENT.fullmatch(part)) is not None]
    for key in keys:
        if model is not None and len(key) > 2 and nearest(key, fields) and not os.path.lexists(value):
            raise ConfigurationError(unknown_option(where, key, model))


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """What a pydantic error means, for users: the first problem, with the nearest field for a typo."""
    return str(_wrong(error, model, where))


def _wrong(error: ValidationError, model: type[BaseModel], where: str) -> ConfigurationError:
    errors = error.errors()
    # Of a value of one of several types, one error for each is told; one that is of the type and wrong says most.
    around = errors[0]["loc"][:-1]
    same = [one for one in errors if around and one["loc"][: len(around)] == around]
    first = next((one for one in same if not one["type"].endswith("_type")), errors[0])
    holder, place = _place(first["loc"], model)
    field = ".".join(place)
    if first["type"] == "extra_forbidden":
        return ConfigurationError(unknown_option(where, field, holder))
    if first["type"] == "missing":
        known = holder.model_fields.get(place[-1])
        return OptionError(where, field, (known.description or "") if known else "", missing=True)
    message = first["msg"].removeprefix("Value error, ")
    if not field:
        return ConfigurationError(f"{where}: {message}")
    given = first.get("input")
    named = any(repr(one) in message for one in (given if isinstance(given, list | tuple) else [given]))
    got = "" if ", got " in message or (named and first["type"] == "value_error") else f" (got {given!r})"
    return OptionError(where, field, message + got)


def unknown_option(where: str, path: str, holder: type[BaseModel]) -> str:
    """What to say of an option, or the path of one, whose last part ``holder`` does not have; with the nearest."""
    return (
        f"{where}: unknown option {path!r}."
        + did_you_mean(path.rpartition(".")[2], holder.model_fields)
        + f" Options: {', '.join(holder.model_fields) or 'none'}."
    )


def _place(location: Iterable[str | int], model: type[BaseModel]) -> tuple[type[BaseModel], list[str]]:
    """The model that holds a wrong field, and the path to the field without pydantic's names of types."""
    place: list[str] = []
    inner: Any = model
    for part in location:
        if get_origin(inner) in (Union, UnionType):
            kinds = [one for one in get_args(inner) if one is not NoneType]
            named = [one for one in kinds if getattr(one, "__name__", "") == part]
            if named or len(kinds) != 1:
                inner = named[0] if named else None
                continue
            inner = kinds[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model, known = inner, inner.model_fields.get(str(part))
            inner = known.annotation if known else None
        elif get_origin(inner) is dict:
            inner = get_args(inner)[1]
        else:
            break
        place.append(str(part))
    return model, place


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Up to three known names that look like ``name``, best first."""
    return difflib.get_close_matches(name, list(known), cutoff=0.55)


def with_value(written: str, components: Iterable[Component]) -> list[str]:
    """What a value such as a path may mean that was written without the name before it: ``csv:PATH``, ``openai:MODEL``.

    Returns:
        The value with the names of those that read it: the one named like the ending of a file, or else up to four.
    """
    if not written or ":" in written:
        return []
    known = list(components)
    ending = Path(written).suffix.lower().removeprefix(".")
    values: tuple[str, ...] = ("model",)
    if ending or "/" in written or os.sep in written:
        values = ("model", "file", "path", "logs") if ending else ("model", "path", "logs")
    known = next((fitting for value in values if (fitting := [one for one in known if one.value == value])), [])
    known = [one for one in known if _takes(one, written)]
    named = [one for one in known if ending in one.names] or known
    return [f"{one.name}:{written}" for one in named[:4]]


def _takes(component: Component, value: str) -> bool:
    """Whether the options of a component allow this value, as far as they alone say."""
    try:
        model = component.options_model()
        if model is not None and component.value:
            checked_options(model, {**component.preset, component.value: value})
    except EmoSimError:
        return False
    return True


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x' or 'y'?``, or nothing."""
    close = nearest(name, known)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def instead_of(name: str, given: Iterable[str]) -> str:
    """``, not 'x'``, where one of the names given looks like the one that is needed; else nothing."""
    close = nearest(name, given)
    return f", not {close[0]!r}" if close else ""


def package_hint(kind: str, name: str, any_of_kind: bool = False) -> str:
    """Which package would bring a name, as a sentence; empty where that is not known.

    Where the name is not known, ``any_of_kind`` tells which packages bring anything of this kind.
    """
    known = json.loads(resources.files("emosim_core.hooks").joinpath("known_packages.json").read_text("utf-8"))
    for prefix, package in known.get(kind, {}).items():
        if name == prefix or (kind != "domain" and name.startswith(prefix)):
            return f"It comes with the package {package}; {_in_checkout(package)}."
    packages = sorted(set(known.get(kind, {}).values())) if any_of_kind else []
    return f"None is installed; some come with {' and '.join(packages)}; {_in_checkout(*packages)}." if packages else ""


def _in_checkout(*packages: str) -> str:
    """How packages of this project are installed from its repository, whether they are released or not."""
    folders = (f"-e plugins/{package.replace('-', '_')}" for package in packages)
    return f"in a checkout: pip install {' '.join(folders)}"
