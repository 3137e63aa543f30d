"""Records in JSON: one value per line, or the entries of one document, each read alone and none larger than a bound."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Generator
from typing import Any

from emosim_core.data import json_text
from emosim_core.data.bounds import MAX_RECORD, max_records, raise_hint
from emosim_core.data.objects import literal
from emosim_core.data.places import open_table, read_lines
from emosim_core.data.tables import text_of
from emosim_core.errors import DataError

_AT_ONCE = 1 << 20
_BLANKS = re.compile(r"[ \t\r\n]+")


def read_json_lines(
    path: str | os.PathLike[str] | zipfile.Path, what: str, held: bool = True, literals: bool = False
) -> Generator[tuple[int, dict[str, Any]], None, None]:
    """The objects of a file of JSON lines, as (line number, object). NaN is null.

    Whoever may leave them before their end, by an error too, closes them: ``contextlib.closing``.

    Args:
        what: what is expected there, for messages ("Amazon Reviews 2023, one JSON object per line").
        held: whether the caller holds all objects in memory, which bounds their number.
        literals: whether a line may also be a Python literal, which is parsed and never run, as in old data sets.

    Raises:
        DataError: no file that can be read, a line that is no object of JSON, a key twice in one object, or more than
            the bounds of :mod:`emosim_core.data.bounds` allow; names the row.
    """
    most = max_records() if held else 0
    with open_table(path, what) as raw:
        for count, (number, line) in enumerate(read_lines(raw, str(path)), start=1):
            if most and count > most:
                raise DataError(str(path), f"has more than {most:,} records; {raise_hint()}", row=number)
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                try:
                    value = _DECODER.decode(text)
                except json.JSONDecodeError:
                    if (value := literal(text.strip()) if literals else None) is None:
                        raise
                if not isinstance(value, dict):
                    raise _RefusedError(f"expected an object, got {_kind(value)}")
            except UnicodeDecodeError as error:
                problem = f"is not UTF-8 text ({error.reason}); save it as UTF-8"
                raise DataError(str(path), problem, row=number) from error
            except json.JSONDecodeError as error:
                problem = f"is not JSON: {error.msg} at column {error.colno}; expected {what}"
                raise DataError(str(path), problem, row=number) from error
            except (_RefusedError, RecursionError) as error:
                raise DataError(str(path), f"{_worded(error)}; expected {what}", row=number) from error
            yield number, value


def read_json_entries(
    path: str | os.PathLike[str] | zipfile.Path, what: str
) -> Generator[tuple[str | int, Any], None, None]:
    """The entries of a JSON document, one after the other: (key, value) of an object, (number from 1, value) of a list.

    NaN is null. Whoever may leave the entries before their end, by an error too, closes them: ``contextlib.closing``.

    Args:
        what: what is expected there, for messages ("a JSON object of films by their TMDB id").

    Raises:
        DataError: no file that can be read, no JSON, neither an object nor a list, a key twice in one object, or more
            than the bounds of :mod:`emosim_core.data.bounds` allow; names the entry.
    """
    most = max_records()
    with open_table(path, what) as raw, text_of(raw) as stream:
        document = _Document(stream, str(path), what)
        for count, entry in enumerate(document.entries(), start=1):
            if count > most:
                raise DataError(str(path), f"has more than {most:,} records; {raise_hint()}", row=entry[0])
            yield entry


class _Document:
    """A JSON document that is read piece by piece; of its text, one value and the next piece are held."""

    def __init__(self, stream: io.TextIOWrapper, path: str, what: str) -> None:
        self._stream, self._path, self._what = stream, path, what
        self._text, self._at, self._ended = "", 0, False
        self._lines, self._column = 1, 0

    def entries(self) -> Generator[tuple[str | int, Any], None, None]:
        opening = self._next()
        if opening not in ("{", "["):
            what = f"holds {_kind(self._value(None))}" if opening else "is empty"
            raise DataError(self._path, f"{what}; expected {self._what}")
        closing, number = "}" if opening == "{" else "]", 0
        seen: set[str] = set()
        self._at += 1
        mark = closing if self._next() == closing else ","
        self._at += mark == closing
        while mark == ",":
            number += 1
            row: str | int = number
            if opening == "{":
                if self._next() != '"':
                    raise self._wrong("Expecting property name enclosed in double quotes")
                row = key = self._value(None)
                if self._next() != ":":
                    raise self._wrong("Expecting ':' delimiter")
                self._at += 1
                if key in seen:
                    raise DataError(self._path, f"the key {key!r} stands twice; expected {self._what}", row=key)
                seen.add(key)
            self._next()
            yield row, self._value(row or None)
            mark = self._next()
            if mark not in (",", closing):
                raise self._wrong("Expecting ',' delimiter")
            self._at += 1
        if self._next():
            raise self._wrong("Extra data")

    def _more(self) -> bool:
        """Reads on, three times as much as is held, so that a value is begun a few times only; False at the end."""
        if self._ended:
            return False
        done = self._text[: self._at]
        self._lines += done.count("\n")
        self._column = len(done) - done.rfind("\n") - 1 if "\n" in done else self._column + len(done)
        rest = self._text[self._at :]
        try:
            piece = self._stream.read(min(max(_AT_ONCE, 3 * len(rest)), max(MAX_RECORD + 1 - len(rest), 1)))
        except UnicodeError as error:
            raise DataError(
                self._path, f"is not UTF-8 text ({getattr(error, 'reason', error)}); expected {self._what}"
            ) from error
        self._text, self._at, self._ended = rest + piece, 0, not piece
        return bool(piece)

    def _next(self) -> str:
        """The next character that is no blank, which stays; empty at the end."""
        blanks = 0
        while True:
            match = _BLANKS.match(self._text, self._at)
            if match:
                blanks += match.end() - self._at
                self._at = match.end()
            if blanks > MAX_RECORD:
                raise self._wrong(f"more than {MAX_RECORD:,} blanks")
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _value(self, row: str | int | None) -> Any:
        """The value that begins here."""
        while True:
            begin = self._at
            try:
                value, end = _DECODER.raw_decode(self._text, begin)
                # A number may go on in the next piece, be it behind a point. Reading on leaves its beginning in front.
                if len(self._text) - end > len("e+") or not self._more():
                    self._at += end - begin
                    return value
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > MAX_RECORD:
                    message = f"a value has more than {MAX_RECORD:,} characters; expected {self._what}"
                    raise DataError(self._path, message, row=row) from error
                if not self._more():
                    raise self._wrong(error.msg, self._at + error.pos - begin) from error
            except (_RefusedError, RecursionError) as error:
                raise DataError(self._path, f"{_worded(error)}; expected {self._what}", row=row) from error

    def _wrong(self, message: str, place: int | None = None) -> DataError:
        done = self._text[: self._at if place is None else place]
        column = len(done) - done.rfind("\n") - 1 if "\n" in done else self._column + len(done)
        where = f"line {self._lines + done.count(chr(10))}, column {column + 1}"
        return DataError(self._path, f"is not JSON: {message} at {where}; expected {self._what}")


class _RefusedError(Exception):
    """The text is JSON to Python and not to us."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    try:
        return json_text.unique(pairs)
    except ValueError as error:
        raise _RefusedError(f"{error} in one object") from error


def _constant(name: str) -> None:
    if name != "NaN":
        raise _RefusedError(f"is not JSON: it holds {name}")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def _worded(error: Exception) -> str:
    return "is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
