"""What the cells of tables hold: numbers, lists and public ratings, with errors that name file, row and field."""

from __future__ import annotations

import ast
import json
import os
import re
import warnings
from collections.abc import Callable
from typing import Any

from emosim_core.errors import DataError

_WHOLE = re.compile(r"([+-]?[0-9]{1,18})(?:\.0*)?")
_DIGITS = re.compile(r"([0-9]{1,18})")
_BEGINS_LITERAL = "[({\"'"
_SHOWN = 60


def shortened(value: object) -> str:
    """A value as a message quotes it: not longer than a line bears."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def number(text: str, path: str | os.PathLike[str], row: int | str, field: str) -> float:
    """A number read from a field.

    Raises:
        DataError: the text is no finite number.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value or value in (float("inf"), float("-inf")):
        raise DataError(path, f"expected a number, got {shortened(text)}", row=row, field=field)
    return value


def whole_number(
    text: str,
    path: str | os.PathLike[str],
    row: int | str,
    field: str,
    what: str = "a whole number",
    digits_only: bool = False,
) -> int:
    """A whole number; ``2008.0`` is one, as table programs write it where a column has gaps.

    Args:
        text: the cell.
        path: the file, for messages.
        row: the line, for messages.
        field: the column, for messages.
        what: what is expected, for messages ("an age in whole years").
        digits_only: whether it must be written in digits alone, without a sign or ``.0``, as identifiers are.

    Raises:
        DataError: the text is none; names file, row and field.
    """
    match = (_DIGITS if digits_only else _WHOLE).fullmatch(text)
    if match is None:
        raise DataError(path, f"expected {what}, got {shortened(text)}", row=row, field=field)
    return int(match[1])


def known_rating(rating: float | None, count: int | None) -> float | None:
    """A public rating; None where it is 0 and by nobody, as tables write what is unknown."""
    return None if rating == 0 and not count else rating


def list_of_names(
    text: str, path: str | os.PathLike[str], row: int | str, field: str, example: str, bars: bool = False
) -> list[str]:
    """Names in a cell; an empty cell has none.

    They are written as a JSON or Python list, which is parsed and never run, or with ``bars`` also as ``drama|crime``.

    Args:
        text: the cell.
        path: the file, for messages.
        row: the line, for messages.
        field: the column, for messages.
        example: how names may be written, for messages ("['Ada Berg']").
        bars: whether there may be bars between names instead.

    Raises:
        DataError: the text is no such list, or an entry is no text; names file, row and field.
    """
    entries = _barred(text) if bars and text[:1] not in _BEGINS_LITERAL else _literal_list(text)
    if entries is None or not all(isinstance(entry, str) for entry in entries):
        raise DataError(path, f"expected a list such as {example}, got {shortened(text)}", row=row, field=field)
    return entries


def list_of_numbers(text: str, path: str | os.PathLike[str], row: int | str, field: str) -> list[float]:
    """Numbers in a cell, written as a JSON or Python list, which is parsed and never run; an empty cell has none.

    Raises:
        DataError: the text is no such list, or an entry is no number; names file, row and field.
    """
    entries = _literal_list(text)
    if entries is None or not all(type(entry) in (int, float) for entry in entries):
        raise DataError(path, f"expected a list of numbers, got {shortened(text)}", row=row, field=field)
    return entries


def _literal_list(text: str) -> list[Any] | None:
    """The entries of a JSON or Python list; None where the text is neither."""
    if not text:
        return []
    readers: tuple[Callable[[str], object], ...] = (json.loads, ast.literal_eval)
    for reader in readers:
        try:
            with warnings.catch_warnings():
                # The Python parser warns of backslashes in strings that mean nothing to it.
                warnings.simplefilter("ignore")
                value = reader(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        return list(value) if isinstance(value, (list, tuple)) else None
    return None


def _barred(text: str) -> list[str] | None:
    """What stands between bars; None where other marks part the text, or it is a number."""
    if _is_number(text) or ("|" not in text and ("," in text or ";" in text)):
        return None
    return text.split("|")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
