"""Keys: where the key of a service is found, and how it is kept out of every text."""

from __future__ import annotations

import os
import re

from emosim_core import LLMAuthenticationError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HIDDEN = "[key]"
_LOOKS_LIKE_A_KEY = re.compile(r"(?<![A-Za-z0-9])(sk|pk)-[^\s\"',;)]+|Bearer\s+[^\s\"',;)]+|[^\s\"']*\*{2,}[^\s\"']*")
_PART = 6
"""How many characters of a key in a row are a part of it that is hidden."""


def is_variable(name: str) -> bool:
    """Whether an environment variable can have this name; a key that was given in its place mostly cannot."""
    return _VARIABLE.fullmatch(name) is not None


def read_key(variable: str) -> str:
    """The key in an environment variable; empty where there is none.

    Raises:
        LLMAuthenticationError: it holds what no header can carry.
    """
    key = os.environ.get(variable, "").strip()
    if not all("!" <= sign <= "~" for sign in key):
        raise LLMAuthenticationError(
            f"what is in the environment variable {variable} is no key: it has spaces, line ends or letters that no "
            "key has"
        )
    return key


def without_key(text: str, key: str) -> str:
    """A text in which neither a key nor a part of it stands, nor what looks like one."""
    text = _LOOKS_LIKE_A_KEY.sub(_HIDDEN, text)
    if len(key) < _PART:
        return re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", _HIDDEN, text) if key else text
    hidden = [False] * len(text)
    for start in range(len(key) - _PART + 1):
        part = key[start : start + _PART]
        found = text.find(part)
        while found >= 0:
            hidden[found : found + _PART] = [True] * _PART
            found = text.find(part, found + 1)
    shown, before = [], False
    for sign, hide in zip(text, hidden, strict=True):
        if not hide:
            shown.append(sign)
        elif not before:
            shown.append(_HIDDEN)
        before = hide
    return "".join(shown)
