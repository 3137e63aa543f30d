"""Strict parsing: only a rating in the requested form, on the scale of the prompt, counts."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import Any, NoReturn

from emosim_core.data import json_text
from emosim_core.data.cells import shortened
from emosim_core.errors import LLMMalformedError
from emosim_core.llm.prompts.scales import PromptScale

_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u2018": "\u2019"}
_JSON_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL | re.IGNORECASE)

_LONGEST = 50_000
"""Maximum characters of an answer in JSON."""

MOST_REASONS = 3
"""Maximum reasons that an answer may list, as instructions say in words; it lists at least one."""


def expected_object(scale: PromptScale, key: str) -> str:
    """Description of the form of an answer in JSON with one ``"reason"`` or a list of ``"reasons"``."""
    first, last = (f'"{label}"' if scale.in_words else label for label in (scale.labels[0], scale.labels[-1]))
    form, words = '{"reason": "...", "rating": ...}', "the reason is a short text"
    if key == "reasons":
        form = '{"reasons": ["..."], "rating": ...}'
        words = f"there are one to {MOST_REASONS} reasons, each a short text"
    return f"one JSON object {form} and nothing else, where {words} and the rating is one of {first} to {last}"


def answer_schema(scale: PromptScale, key: str) -> dict[str, Any]:
    """The JSON schema of what :func:`read_object` reads; the reasons come before the rating."""
    text = {"type": "string"}
    labels: list[Any] = list(scale.labels) if scale.in_words else [int(label) for label in scale.labels]
    reasons = text if key == "reason" else {"type": "array", "items": text, "minItems": 1, "maxItems": MOST_REASONS}
    rating = {"type": "string" if scale.in_words else "integer", "enum": labels}
    properties = {key: reasons, "rating": rating}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def read_label(text: str, scale: PromptScale) -> str:
    """The label that an answer is; an LLMMalformedError where it is anything else.

    White space around it, one full stop after it and one pair of quotes or backticks around it are allowed.
    """
    return read_one_of(text, scale.labels, f"{scale.listed()}, and nothing else")


def read_one_of(text: str, labels: Sequence[str], expected: str) -> str:
    """The label that an answer is, as :func:`read_label`; an LLMMalformedError that says what was ``expected``."""
    label = _bare(text).lower() if len(text) <= 200 else ""
    if label in labels:
        return label
    _malformed(text, expected)


def read_object(text: str, scale: PromptScale, key: str) -> tuple[str, list[str]]:
    """The label and the reasons in an answer in JSON; an LLMMalformedError where it is anything else.

    The answer is one object with exactly the keys ``key`` and ``"rating"``; a code fence around it is allowed.
    """
    expected = expected_object(scale, key)
    value = json_object(text, {key, "rating"}, expected)
    reasons = value[key] if key == "reasons" else [value[key]]
    if (
        not isinstance(reasons, list)
        or not 1 <= len(reasons) <= MOST_REASONS
        or not all(isinstance(reason, str) and reason.strip() for reason in reasons)
    ):
        _malformed(text, expected, f"{key!r} is {_shown(value[key])}")
    label = _label(value["rating"])
    if label not in scale.labels:
        _malformed(text, expected, f"'rating' is {_shown(value['rating'])}")
    return label, [reason.strip() for reason in reasons]


def json_object(text: str, keys: Set[str], expected: str) -> dict[str, Any]:
    """The object in an answer in JSON that has exactly these keys; a code fence around it is allowed.

    An LLMMalformedError where the answer is anything else says what was ``expected``.
    """
    if len(text) > _LONGEST:
        _malformed(text, expected, f"the answer is {len(text):,} characters long")
    text = text.strip()
    fenced = _JSON_FENCE.fullmatch(text)
    try:
        value = json_text.loads(fenced[1] if fenced else text, object_pairs_hook=json_text.unique)
    except (ValueError, RecursionError):
        _malformed(text, expected)
    if not isinstance(value, dict) or set(value) != keys:
        _malformed(text, expected)
    return value


def refuse_unfinished(text: str, expected: str) -> NoReturn:
    """Raise an LLMMalformedError that says that an answer was cut off, whatever it says so far."""
    _malformed(text, expected, f"the answer was cut off after {len(text):,} characters, at its limit of tokens")


def _malformed(text: str, expected: str, problem: str = "") -> NoReturn:
    if not problem:
        problem = f"the answer is {_shown(text)}" if text.strip() else "the answer is empty"
    raise LLMMalformedError(f"{problem}; expected {expected}")


def _shown(value: object) -> str:
    """A value as a message quotes it, however long or deep it is."""
    if isinstance(value, str):
        return shortened(value[:200])
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else shortened(value)


def _bare(text: str) -> str:
    """A text without white space, one trailing full stop and one pair of quotes around it."""
    text = text.strip()
    stopped = text.endswith(".")
    if stopped:
        text = text[:-1].rstrip()
    if len(text) >= 2 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
        if not stopped and text.endswith("."):
            text = text[:-1].rstrip()
    return text


def _label(rating: object) -> str:
    """A rating in JSON as a label would be written; nothing that is no number or text becomes one."""
    if isinstance(rating, str):
        return rating.strip().lower()
    if isinstance(rating, float) and rating.is_integer():
        return str(int(rating))
    return str(rating) if type(rating) is int else ""
