"""Objects in the cells and lines of published data sets, written in JSON or as Python literals."""

from __future__ import annotations

import ast
import json
import os
import re
import warnings
from collections.abc import Callable
from typing import Any

from emosim_core.data.cells import shortened
from emosim_core.errors import DataError

_TOKEN = re.compile(r"""'((?:[^'\\\n]|\\.)*)'|"(?:[^"\\\n]|\\.)*"|None|True|False""")
_IN_JSON = {"None": "null", "True": "true", "False": "false"}
_MAX_LITERAL = 1 << 20
"""Characters of a text that the Python parser is given; it takes some hundred bytes for each of them."""


def list_of_objects(text: str, path: str | os.PathLike[str], row: int | str, field: str) -> list[dict[str, Any]]:
    """Objects in a cell, written as a JSON or Python list, which is parsed and never run; an empty cell has none.

    Raises:
        DataError: the text is no such list, or an entry is no object; names file, row and field.
    """
    entries = literal(text) if text else []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(path, f"expected a list of objects, got {shortened(text)}", row=row, field=field)
    return entries


def literal(text: str) -> Any:
    """What a JSON or Python literal stands for, which is parsed and never run; None where the text is neither.

    Most Python literals are lists and objects of texts and numbers. They are written as JSON first, since the JSON
    parser is some six times as fast as the Python parser.
    """
    readers: tuple[Callable[[str], object], ...] = (
        json.loads,
        lambda text: json.loads(_TOKEN.sub(_json_token, text)),
        python_literal,
    )
    for reader in readers:
        try:
            return reader(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None


def _json_token(match: re.Match[str]) -> str:
    token = match[0]
    if token in _IN_JSON:
        return _IN_JSON[token]
    if "\\" in token:
        return json.dumps(python_literal(token))
    return token if token[0] == '"' else '"' + match[1].replace('"', '\\"') + '"'


def python_literal(text: str) -> Any:
    """What a Python literal stands for.

    Raises:
        ValueError, SyntaxError, TypeError, RecursionError, MemoryError: it is none, or too long.
    """
    if len(text) > _MAX_LITERAL:
        raise ValueError("is too long")
    with warnings.catch_warnings():
        # The Python parser warns of backslashes in strings that mean nothing to it.
        warnings.simplefilter("ignore")
        return ast.literal_eval(text)
