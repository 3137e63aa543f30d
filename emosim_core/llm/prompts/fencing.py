"""Fences: separate the data of users and items from the instructions of a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SPACES = re.compile(r"[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+")
"""White space, line breaks and control characters; runs of them become one space."""

_UNSEEN = re.compile(r"[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]+")
"""Invisible characters, some of which reverse text or spell hidden words; they are removed."""

_SURROGATES = re.compile(r"[\ud800-\udfff]")
"""Halves of characters, which cannot be sent."""

_OPENS_TAG = re.compile(r"([<\uff1c\ufe64\u2039\u00ab])(?=\S)")
"""What a fence begins with, and the tokens of chat templates: ``<|im_end|>``, ``</s>``, ``<<SYS>>``."""

_OPENS_TOKEN = re.compile(r"([\[\uff3b])(?=/?\w+[\]\uff3d])")
"""What tokens such as ``[INST]`` begin with."""


def defused(text: str) -> str:
    """A text in which no fence and no token of a chat template stands: a space parts what would be one."""
    return _OPENS_TOKEN.sub(r"\1 ", _OPENS_TAG.sub(r"\1 ", _SURROGATES.sub("\ufffd", text)))


def legible(text: str) -> str:
    """A text on one line without control characters, invisible characters and lone surrogates."""
    return _SURROGATES.sub("\ufffd", _SPACES.sub(" ", _UNSEEN.sub("", text)).strip())


def one_line(text: str, limit: int | None = None) -> str:
    """A text from data as one defused line, cut off between words after ``limit`` characters."""
    if limit is not None:
        text = cut(text, limit)
    return defused(legible(text))


def cut(text: str, limit: int) -> str:
    """A text of at most about ``limit`` characters, with ``...`` where something was cut off."""
    if len(text) <= limit:
        return text
    beginning = text[:limit]
    return (beginning.rpartition(" ")[0] or beginning).rstrip() + " ..."


def fence(name: str, lines: Iterable[str]) -> str:
    """Lines between ``<name>`` and ``</name>``, with a line break at the end. The lines are defused already."""
    body = "\n".join(lines)
    return f"<{name}>\n{body}\n</{name}>\n"
