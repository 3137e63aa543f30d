"""Usage: the tokens in the body of a response, whatever stands in the place of their numbers."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

from emosim_core.llm import Usage

_BEGINS = re.compile(r'"usage"\s*:\s*')
_LOOKED_AT = 1000
"""Usages of one body that are looked at; a stream may repeat them in each piece."""

_DECODER = json.JSONDecoder()


def usage_of(value: Any) -> Usage:
    """The usage in an envelope; unknown where it is missing or is none."""
    usage = _part(value, "usage")
    cached = _first(usage.get("prompt_cache_hit_tokens"), _part(usage, "prompt_tokens_details").get("cached_tokens"))
    reasoning = _part(usage, "completion_tokens_details").get("reasoning_tokens")
    asked = _first(usage.get("prompt_tokens"), usage.get("input_tokens"))
    answered = _first(usage.get("completion_tokens"), usage.get("output_tokens"))
    return Usage.reported(asked, answered, cached, reasoning)


def usage_of_error(body: bytes) -> Usage | None:
    """The usage in a body that is no answer; None where there is none, as nothing was paid then.

    It is read from whatever is not whole, or no JSON, such as a stream that was cut. Of several the largest counts.
    """
    text = body.decode(json.detect_encoding(body), "replace")
    found: list[Usage] = []
    for match in islice(_BEGINS.finditer(text), _LOOKED_AT):
        try:
            value, _ = _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        if value is not None:
            found.append(usage_of({"usage": value}))
    return max(found, key=lambda usage: usage.prompt + usage.completion, default=None)


def _part(value: Any, name: str) -> dict[str, Any]:
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)
