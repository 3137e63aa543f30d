"""Reading: the one reader of JSON files and JSON lines of job directories; whatever is wrong with one is a RunError."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from emosim_core.data import json_text
from emosim_core.data.files import plain_file
from emosim_core.errors import RunError
from emosim_core.runs.typed import typed

_DEEPEST = 100
"""Levels of lists and tables within each other; more is nothing that EmoSim writes."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
"""Half of a character, which a model can send and JSON can hold, but no Unicode text."""


def read_object(path: Path, schema: TypeAdapter[Any] | None = None, newest: int | None = None) -> dict[str, Any]:
    """A file that holds one JSON object.

    Args:
        newest: the highest number of its ``format`` that can be read; None where the file has none.

    Raises:
        RunError: it is missing, cannot be read, is no JSON object, has a field twice, was written by a newer version,
            or a field is not what the schema says; names the field.
    """
    payload = parse(path, read_bytes(path))
    if newest is not None:
        check_format(path, payload, newest)
    if schema is not None:
        check(path, payload, schema)
    return payload


def no_run(directory: Path, missing: str) -> RunError:
    """What to say of a directory that lacks the file that every job has; it may not be there at all."""
    if directory.is_dir():
        return RunError(f"{directory} is no run: it has no {missing}")
    return RunError(f"{directory} is no directory; list what there is with: {typed('runs')}")


def read_bytes(path: Path) -> bytes:
    """All bytes of a file; a RunError where it is missing, is something else than a file, or cannot be read."""
    with _readable(path):
        return plain_file(path).read_bytes()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise RunError(f"{path.parent} has no {path.name}") from error
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error


def parse(where: object, content: bytes) -> dict[str, Any]:
    """A JSON object; a RunError where it is none."""
    try:
        payload = json_text.loads(content.decode("utf-8"), object_pairs_hook=json_text.unique)
    except RecursionError as error:
        raise RunError(f"{where} is damaged: lists and tables stand too deep within each other") from error
    except ValueError as error:
        raise RunError(f"{where} is not JSON ({error})") from error
    if not isinstance(payload, dict):
        raise RunError(f"{where} is damaged: it holds no JSON object")
    if _deeper(payload, _DEEPEST):
        raise RunError(f"{where} is damaged: lists and tables stand too deep within each other")
    return payload


def check(where: object, payload: object, schema: TypeAdapter[Any]) -> None:
    """See that a value that was read is what its schema says.

    Raises:
        RunError: it is not; names the first field.
    """
    try:
        schema.validate_python(payload)
    except ValidationError as error:
        raise RunError(f"{where} is damaged: {first_fault(error)}") from error


def first_fault(error: ValidationError) -> str:
    """The first field that is wrong, and what is wrong with it."""
    fault = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in fault["loc"] if not str(part).startswith(("function-", "constrained-")))
    return f"{field}: {fault['msg']}" if field else fault["msg"]


def check_format(path: Path, payload: dict[str, Any], newest: int) -> None:
    """See that this version can read a file.

    Raises:
        RunError: a newer version wrote it, or one before the names of now, or it does not say which.
    """
    number = payload.get("format")
    if type(number) is not int or number < 1:
        raise RunError(f"{path} is damaged: format: {json.dumps(number)[:40]} is no number of a format")
    if number > newest:
        raise RunError(
            f"{path} was written by a newer version of EmoSim (format {number}; this one reads {newest}). "
            "Update it with: pip install --upgrade emosim-core"
        )
    if number < newest:
        raise RunError(
            f"{path} was written by an older version of EmoSim, with other names (format {number}; "
            f"this one reads {newest}). Make it anew, or read it with the version that wrote it"
        )


def lines_of(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a file with their numbers, from 1; one in flight when its writer was killed is left out.

    Args:
        start: byte at which the first of them begins.

    Raises:
        RunError: the file is missing or cannot be read.
    """
    with _readable(path), plain_file(path).open("rb") as stream:
        stream.seek(start)
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                return
            yield number, line


def read_lines(path: Path, schema: TypeAdapter[Any] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file's lines, with the numbers of these.

    Raises:
        RunError: the file or a line cannot be read, or a field is not what the schema says; names line and field.
    """
    for number, line in lines_of(path):
        where = f"{path}, line {number}:"
        payload = parse(where, line)
        if schema is not None:
            check(where, payload, schema)
        yield number, payload


def read_line(where: str, line: bytes, schema: TypeAdapter[Any]) -> dict[str, Any]:
    """One line by a schema, as fast as it gets: fields that stand twice are not noticed.

    Raises:
        RunError: it is no JSON, or a field is not what the schema says.
    """
    try:
        return schema.validate_json(line)
    except ValidationError as error:
        if _SURROGATE.search(line):
            payload = parse(where, line)
            check(where, parse(where, _SURROGATE.sub(b"\\\\ufffd", line)), schema)
            return payload
        parse(where, line)
        raise RunError(f"{where} is damaged: {first_fault(error)}") from error


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    """Makes a RunError of what fails because a file does not hold what it should.

    Raises:
        RunError: something failed; names the file.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise RunError(f"{path} is damaged ({type(error).__name__}: {error})") from error


def _deeper(value: Any, levels: int) -> bool:
    """Whether lists and tables stand more than ``levels`` deep within each other."""
    level = [value]
    for _ in range(levels):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
