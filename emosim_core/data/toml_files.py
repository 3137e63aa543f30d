"""Reads a TOML file into a model; an error names the file and the field."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from emosim_core.data.cells import shortened
from emosim_core.errors import ConfigurationError, DataError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

T = TypeVar("T")

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
"""What pydantic calls the error about a field that a model or a dataclass lacks."""


def read_toml(file: Traversable, name: str, model: type[T], more: Mapping[str, Any] | None = None) -> T:
    """An instance of a model made of a TOML file.

    Args:
        name: what it is called in messages.
        model: a pydantic model or a dataclass; keys that it lacks are refused where it forbids extras.
        more: values of fields that the file does not give, and may not.

    Raises:
        DataError: the file is missing, is no TOML, or a value is wrong; names the field, such as
            ``categories.comedy.popularity``.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(name, "no such file") from error
    except OSError as error:
        raise DataError(name, f"cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(name, f"is not TOML: {error}") from error
    for field in more or {}:
        if field in values:
            raise DataError(name, "this field is given in Python, not in the file", field=field)
    try:
        return TypeAdapter(model).validate_python({**values, **(more or {})})
    except ValidationError as error:
        # A misspelt field is an unknown one and perhaps a missing one; the first says more.
        first = min(error.errors(), key=lambda one: one["type"] not in _UNKNOWN)
        place = [str(part) for part in first["loc"]]
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] in _UNKNOWN:
            message = "no such field"
            missing = [str(one["loc"][-1]) for one in error.errors() if one["type"] == "missing"]
            near = difflib.get_close_matches(place[-1], [*missing, *getattr(model, "__annotations__", ())], n=1)
            message += f"; did you mean {near[0]!r}?" if near else ""
        elif first["type"] != "missing":
            message += f" (got {shortened(first['input'])})"
        raise DataError(name, message, field=".".join(place) or None) from error
    except ConfigurationError as error:
        raise DataError(name, str(error)) from error
