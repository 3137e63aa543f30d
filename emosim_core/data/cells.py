"""What the cells of tables hold: numbers, texts and public ratings, with errors that name file, row and field."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Mapping

from emosim_core.errors import DataError

_WHOLE = re.compile(r"([+-]?[0-9]{1,18})(?:\.0*)?")
_COMMA = re.compile(r"\s*[+-]?[0-9]+,[0-9]+\s*")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ENCODED_TIMES = 3
"""How often a text may have been encoded."""

_MISSING = frozenset(
    ("nan", "NaN", "-nan", "-NaN", "NA", "N/A", "n/a", "#N/A", "<NA>", "null", "NULL", "None", "NaT", "\\N")
)
"""What table programs write for a value that is not known."""

_SHOWN = 60


def shortened(value: object) -> str:
    """A value as a message quotes it: not longer than a line bears."""
    try:
        text = repr(value[: 2 * _SHOWN] if isinstance(value, str) else value)
    except RecursionError:
        text = f"a deeply nested {type(value).__name__}"
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
        advice = f"; write a decimal point: {text.strip().replace(',', '.')}" if _COMMA.fullmatch(text) else ""
        raise DataError(path, f"expected a number, got {shortened(text)}{advice}", row=row, field=field)
    return value


def whole_number(
    text: str, path: str | os.PathLike[str], row: int | str, field: str, what: str = "a whole number"
) -> int:
    """A whole number; ``2008.0`` is one, as table programs write it where a column has gaps.

    Args:
        what: what is expected, for messages ("an age in whole years").

    Raises:
        DataError: the text is none; names file, row and field.
    """
    match = _WHOLE.fullmatch(text)
    if match is None:
        raise DataError(path, f"expected {what}, got {shortened(text)}", row=row, field=field)
    return int(match[1])


def known_rating(rating: float | None, count: int | None) -> float | None:
    """A public rating; None where it is 0 and by nobody, as tables write what is unknown."""
    return None if rating == 0 and not count else rating


def known_text(text: str) -> str:
    """A text; empty where it says that nothing is known, as table programs write it ("nan", "NULL", "N/A")."""
    return "" if text in _MISSING else text


def plain_text(text: str) -> str:
    """A text whose entities of HTML are what they stand for: "R&amp;D" is "R&D", as is "R&amp;amp;D"; "AT&T" stays."""
    if "&" not in text:
        return text
    for _ in range(_ENCODED_TIMES):
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return text


def is_number(text: str) -> bool:
    """Whether a text is written as a number."""
    if text[:1].isalpha() and text[0] not in "iInN":
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def counted_notes(path: str | os.PathLike[str], counts: Mapping[str, int]) -> list[str]:
    """Notes on what a loader did to a file, for :attr:`~emosim_core.plugins.LoadedItems.notes`.

    Args:
        counts: how often, by what was done ("left out books without a title"); what was never done gets no note.
    """
    return [f"{os.fspath(path)}: {what}: {count:,}." for what, count in counts.items() if count]
