"""Lists of names in the cells of a table, in every form that people and programs write them in."""

from __future__ import annotations

import ast
import json
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from emosim_core.data.cells import is_number, known_text, plain_text, shortened
from emosim_core.errors import DataError

LIST_FORMS = "['drama', 'crime'], drama|crime, drama;crime or drama, crime"
"""How lists may be written, for messages."""

_MAX_LITERAL = 1 << 20
"""Characters of a Python literal; parsing one takes some hundred bytes for each of them."""

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_BARE = re.compile(r"""[^\s,;|'"\[\]{}()](?:[^,;|'"\[\]{}()]|(?<=\w)'(?=\w))*""")
_NO_NAMES = ("True", "False", "...")
_BETWEEN = re.compile(r"\s*[,;|]\s*|\s+|$")
_CALL = re.compile(r"(?:array|c|list|tuple|set|frozenset|Index)\((.*?)(?:,\s*dtype=[\w.'<>\[\]]+)?\)", re.DOTALL)
_NOTHING = ("[]", "()", "{}", "set()", "character(0)", "c()")
_COMMA = re.compile(r",(?!\s*(?:Jr|Sr|II|III|IV|Ph\.?\s?D|M\.?D|Esq)\.?\s*(?:,|$))\s*")
_INITIALS = re.compile(r"(?:[^\W\d_]\.[\s\-]*)+")
_PAIRS = {"[": "]", "(": ")", "{": "}"}


def list_separator(cells: Iterable[str]) -> str:
    """What is between the names in the cells of one column; a column is read one way, whatever a single cell holds.

    A bar, where one of its cells that are no list in brackets or quotes has one; else a semicolon; else a line end;
    else a comma, but for columns that have a list in brackets or quotes, or a part of initials alone, as in
    "Tolkien, J. R. R.": there commas belong to names.

    Args:
        cells: all cells of the column.

    Returns:
        The separator; empty where a cell that is no list in brackets or quotes is one name.
    """
    seen: set[str] = set()
    for cell in cells:
        if not (text := known_text(cell)):
            continue
        if _is_literal(text):
            seen.add("[")
            continue
        text = plain_text(text)
        if "|" in text:
            return "|"
        seen.update(mark for mark in ";\n" if mark in text)
        if "," in text:
            seen.add("," if not any(map(_INITIALS.fullmatch, split_names(text))) else "[")
    for mark in ";\n":
        if mark in seen:
            return mark
    return "," if "," in seen and "[" not in seen else ""


def split_names(text: str) -> list[str]:
    """Names between commas. One before "Jr.", "Sr.", "III", "PhD" and the like belongs to the name."""
    return _COMMA.split(text)


def list_of_names(
    text: str, path: str | os.PathLike[str], row: int | str, field: str, separator: str = ""
) -> list[str]:
    """The names in a cell; an empty cell has none, nor has one that says so ("nan").

    They are written as a list of JSON, Python, NumPy (``['a' 'b']``), PostgreSQL (``{a,"b c"}``), R (``c("a", "b")``)
    or YAML (``[a, b]``), which is parsed and never run; its entries are texts, or objects with a ``name``. Or they are
    written with ``separator`` between them. Entities of HTML become what they stand for.

    Args:
        text: the cell.
        path: the file, for messages.
        row: the line, for messages.
        field: the column, for messages.
        separator: what :func:`list_separator` says of the column.

    Raises:
        DataError: the text is no such list, or an entry is no name; names file, row and field.
    """
    if separator == "|" and "|" in text and text[0].isalnum() and text[-1] != ")" and "&" not in text:
        return text.split("|")
    text = known_text(text)
    if not text:
        return []
    entries = _entries(text)
    if entries is None and not text.startswith(("[", "{", '"[', '"{')) and not is_number(text):
        text = plain_text(text)
        return split_names(text) if separator == "," else text.split(separator) if separator else [text]
    names = None if entries is None else [_name(entry) for entry in entries if entry is not None]
    if names is None or None in names:
        raise DataError(
            path, f"expected a list of names such as {LIST_FORMS}, got {shortened(text)}", row=row, field=field
        )
    return [plain_text(name) for name in names if name is not None]


def list_of_numbers(text: str, path: str | os.PathLike[str], row: int | str, field: str) -> list[float]:
    """Numbers in a cell, written as a list of JSON, Python or NumPy, which is parsed and never run.

    An empty cell has none.

    Raises:
        DataError: the text is no such list, or an entry is no number; names file, row and field.
    """
    if not text:
        return []
    entries = _json(text)
    if entries is None:
        inner = text[1:-1] if _PAIRS.get(text[0]) == text[-1] and text[0] != "{" else "?"
        try:
            entries = [float(entry) for entry in (inner.split(",") if "," in inner else inner.split()) if entry]
        except ValueError:
            entries = None
    if not isinstance(entries, list) or not all(type(entry) in (int, float) for entry in entries):
        raise DataError(path, f"expected a list of numbers, got {shortened(text)}", row=row, field=field)
    return entries


def _is_literal(text: str) -> bool:
    """Whether a cell is a list in brackets or quotes."""
    return text[0] in "[{" or _entries(text) is not None


def _entries(text: str) -> Sequence[Any] | None:
    """The entries of a list in brackets or quotes; None where the text is none."""
    first = text[0]
    if first not in "[{('\"" and text[-1] != ")":
        return None
    if text in _NOTHING:
        return []
    call = _CALL.fullmatch(text) if text[-1] == ")" else None
    if call:
        return _entries(call[1]) if call[1] else []
    if first in "[{":
        value = _json(text)
        if value is not None:
            return [value] if isinstance(value, dict) else value if isinstance(value, list) else None
    if first in "'\"":
        quoted = _quoted(text, False)
        return None if quoted is None or (quoted[0] or "").startswith(("[", "{")) else quoted
    if first not in _PAIRS or text[-1] != _PAIRS[first]:
        return None
    inner = text[1:-1].strip()
    entries = _quoted(inner, bare=first != "(") if inner else []
    return _objects(text) if entries is None else entries


def _quoted(text: str, bare: bool) -> list[str | None] | None:
    """What stands between commas, or all of it between blanks, in quotes or, with ``bare``, without; None where not."""
    found: list[str | None] = []
    at, blanks, commas = 0, False, False
    while at < len(text):
        match = _QUOTED.match(text, at)
        if match:
            entry = _unquoted(match[0])
            if entry is None:
                return None
            found.append(entry)
        else:
            match = _BARE.match(text, at) if bare else None
            word = match[0].strip() if match else "..."
            if match is None or word in _NO_NAMES or (known_text(word) and is_number(word)):
                return None
            found.append(known_text(word) or None)
        between = _BETWEEN.match(text, match.end())
        if between is None:
            return None
        at = between.end()
        marked = bool(between[0].strip())
        commas, blanks = commas or marked, blanks or (at < len(text) and not marked)
    return None if blanks and commas else found


def _unquoted(text: str) -> Any:
    if "\\" not in text:
        return text[1:-1]
    value = _json(text)
    return value if isinstance(value, str) else _literal(text)


def _objects(text: str) -> Sequence[Any] | None:
    """The entries of a list of Python objects."""
    value = _literal(text)
    entries = [value] if isinstance(value, dict) else value
    # Python puts texts together between which no comma is.
    return entries if isinstance(entries, (list, tuple)) and not any(isinstance(e, str) for e in entries) else None


def _literal(text: str) -> Any:
    if len(text) > _MAX_LITERAL:
        return None
    try:
        with warnings.catch_warnings():
            # The Python parser warns of backslashes in strings that mean nothing to it.
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _name(entry: object) -> str | None:
    """The name of an entry; None where it has none."""
    name = entry.get("name") if isinstance(entry, dict) else entry
    return name if isinstance(name, str) else None
