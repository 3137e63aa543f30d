"""Lists of names in the cells of a table, in every form that users and programs write them in."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from emosim_core.data.cells import is_number, known_text, plain_text, shortened
from emosim_core.data.objects import python_literal
from emosim_core.errors import DataError

LIST_FORMS = "['drama', 'crime'], drama|crime, drama;crime or drama, crime"
"""How lists may be written, for messages."""

_QUOTED = re.compile(r"""[uU]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\")""", re.DOTALL)
_BARE = re.compile(r"""[^\s,;|'"\[\]{}()](?:[^,;|'"\[\]{}()]|(?<=\w)'(?=\w))*""")
_NO_NAMES = ("True", "False", "...")
_BETWEEN = re.compile(r"\s*[,;|]\s*|\s+|$")
_CALL = re.compile(
    r"(?:(?:array|c|list|tuple|set|frozenset|Index)\(|[A-Za-z][\w.]*\((?=\s*[\[({'\"]))(.*?)(?:,\s*dtype=[\w.'<>\[\]]+)?\)",
    re.DOTALL,
)
_NOTHING = ("[]", "()", "{}", "set()", "character(0)", "c()")
_COMMA = re.compile(
    # Neither within brackets, "Ada Berg (words, music)", nor before what belongs to a name.
    r"[,\uff0c\u3001](?![^()]{0,80}\))(?!\s*(?:Jr|Sr|II|III|IV|Ph\.?\s?D|M\.?D|Esq)\.?\s*(?:,|$))\s*"
)
_MARKS = {
    "|": re.compile(r"[|\uff5c]"),
    ";": re.compile(r"[;\uff1b]"),
    "\n": re.compile(r"[,;]?[^\S\n]*\n(?:\s*[-*\u2022]\s)?"),
    "\t": re.compile(r"\t"),
    ",": _COMMA,
    "/": re.compile(r"\s[/\u2022\u00b7]\s"),
}
"""What may be between names, by what stands for it; what comes first counts first."""

_BULLET = re.compile(r"[-*\u2022]\s")
_INITIALS = re.compile(r"(?:[^\W\d_]\.[\s\-]*)+")
_PAIRS = {"[": "]", "(": ")", "{": "}"}
_CURLED = str.maketrans("\u201c\u201d\u201e\u2018\u2019", '"""\'\'')
_UNSEEN = "\ufeff\u200b"
_SPECIAL = re.compile(r"""[\[\]{}()'"&]""")
_OTHER = re.compile(r"""[,;\t\n\[{('"&/\u2022\u00b7\uff5c\uff1b\uff0c\u3001]""")


def list_separator(cells: Iterable[str]) -> str:
    """What is between the names in the cells of one column.

    Bars, semicolons, line ends, tabs, commas, and slashes and bullets between blanks are; the first of these that a
    cell has counts for it. One of them separates nothing in the whole column where the names between others, or
    commas in lists in brackets or quotes, show that it belongs to names ("Le Guin, Ursula; Gaiman, Neil"), as does a
    part of initials alone ("Tolkien, J. R. R.").

    Returns:
        A character for each, in this order; empty where a cell that is no list in brackets or quotes is one name.
    """
    column = [text for cell in cells if (text := _seen(cell))]
    seen: set[str] = set()
    within: set[str] = set()
    for text in column:
        if text[0].isalnum() and text[-1] != ")" and not _OTHER.search(text):
            if "|" in text:
                seen.add("|")
            continue
        entries = _entries(text)
        if entries is not None or text[0] in "[{":
            if "," not in within and any(_COMMA.search(_name(entry) or "") for entry in entries or ()):
                within.add(",")
            continue
        text = plain_text(text)
        first, *others = [mark for mark, pattern in _MARKS.items() if pattern.search(text)] or [""]
        seen.add(first)
        if first == "\n":
            lines = _MARKS[first].split(text)
            others = [mark for mark, pattern in _MARKS.items() if any(map(pattern.search, lines))]
        within.update(others)
        if first == "," and any(map(_INITIALS.fullmatch, split_names(text))):
            within.add(",")
    return "".join(mark for mark in _MARKS if mark in seen and mark not in within)


def _seen(cell: str) -> str:
    """A cell without characters that nobody sees, and with plain quotes where it is a list in curled ones."""
    text = known_text(cell)
    if text.isascii():
        return text
    text = known_text(text.strip(_UNSEEN).strip())
    return text.translate(_CURLED) if text.lstrip("[({ ")[:1] in ("\u201c", "\u201e", "\u2018") else text


def split_names(text: str) -> list[str]:
    """Names between commas. One before "Jr.", "Sr.", "III", "PhD" and the like belongs to the name."""
    return _COMMA.split(text)


def list_of_names(
    text: str, path: str | os.PathLike[str], row: int | str, field: str, separator: str = ""
) -> list[str]:
    """The names in a cell; an empty cell has none, nor has one that says so ("nan").

    They are written as a list of JSON, Python, NumPy (``['a' 'b']``), PostgreSQL (``{a,"b c"}``), R (``c("a", "b")``)
    or YAML (``[a, b]``), which is parsed and never run; its entries are texts, or objects with a ``name``. Or they are
    written with one of ``separator`` between them. Entities of HTML become what they stand for.

    Args:
        separator: what :func:`list_separator` says of the column.

    Raises:
        DataError: the text is no such list, or an entry is no name; names file, row and field.
    """
    if separator[:1] == "|" and "|" in text and text.isascii() and text[0].isalnum() and not _SPECIAL.search(text):
        return text.split("|")
    text = _seen(text)
    if not text:
        return []
    entries = _entries(text)
    names: list[str | None] | None = None
    if entries is not None:
        names = [_name(entry) for entry in entries if entry is not None]
    elif not text.startswith(("[", "{", '"[', '"{')) and not is_number(text):
        parts = _parts(plain_text(text), separator)
        # A piece of a list in brackets is no name.
        whole = all(name.count("[") == name.count("]") and name.count("{") == name.count("}") for name in parts)
        names = list(parts) if whole else None
    if names is None or None in names:
        raise DataError(
            path, f"expected a list of names such as {LIST_FORMS}, got {shortened(text)}", row=row, field=field
        )
    return [plain_text(name) for name in names if name is not None]


def _parts(text: str, separator: str) -> list[str]:
    for mark in separator:
        if _MARKS[mark].search(text):
            return _MARKS[mark].split(_BULLET.sub("", text, count=1) if mark == "\n" and _BULLET.match(text) else text)
    return [text]


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
    entries = _quoted(inner, bare=first != "(" or "," in inner) if inner else []
    if entries is not None:
        return entries
    value = _literal(text)
    objects = [value] if isinstance(value, dict) else value
    # Python puts texts together between which no comma is.
    return objects if isinstance(objects, list | tuple) and not any(isinstance(e, str) for e in objects) else None


def _quoted(text: str, bare: bool) -> list[str | None] | None:
    """What stands between commas, or all of it between blanks, in quotes or, with ``bare``, without; None where not."""
    entries: list[str | None] = []
    at, blanks, commas = 0, False, False
    while at < len(text):
        match = _QUOTED.match(text, at)
        if match:
            entry = _unquoted(match[0])
            if entry is None:
                return None
            entries.append(entry)
        else:
            match = _BARE.match(text, at) if bare else None
            word = match[0].strip() if match else "..."
            if match is None or word in _NO_NAMES or (known_text(word) and is_number(word)):
                return None
            entries.append(known_text(word) or None)
        between = _BETWEEN.match(text, match.end())
        if between is None:
            return None
        at = between.end()
        marked = bool(between[0].strip())
        commas, blanks = commas or marked, blanks or (at < len(text) and not marked)
    return None if blanks and commas else entries


def _unquoted(text: str) -> Any:
    text = text.lstrip("uU")
    if "\\" not in text:
        return text[1:-1]
    value = _json(text)
    return value if isinstance(value, str) else _literal(text)


def _literal(text: str) -> Any:
    try:
        return python_literal(text)
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
