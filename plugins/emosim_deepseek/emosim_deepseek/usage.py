"""Usage: reads the token counts in the body of a response, however malformed they are."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

from emosim_core.llm import Usage

_BEGINS = re.compile(r'"usage"\s*:\s*')
_MAX_USAGES = 1000
"""Maximum number of usages read from one body; a stream may repeat them in each piece."""

_DECODER = json.JSONDecoder()


def usage_of(value: Any) -> Usage:
    """The usage in a parsed body; unknown if it is missing or invalid."""
    usage = _part(value, "usage")
    cached = _first(usage.get("prompt_cache_hit_tokens"), _part(usage, "prompt_tokens_details").get("cached_tokens"))
    reasoning = _part(usage, "completion_tokens_details").get("reasoning_tokens")
    prompt = _first(usage.get("prompt_tokens"), usage.get("input_tokens"))
    completion = _first(usage.get("completion_tokens"), usage.get("output_tokens"))
    return Usage.reported(prompt, completion, cached, reasoning)


def usage_of_error(body: bytes) -> Usage | None:
    """The usage in a body without an answer; None if there is none, as nothing is charged then.

    The body may be incomplete or not JSON, such as a truncated stream. The largest usage in it counts.
    """
    text = body.decode(json.detect_encoding(body), "replace")
    usages: list[Usage] = []
    for match in islice(_BEGINS.finditer(text), _MAX_USAGES):
        try:
            value, _ = _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        if value is not None:
            usages.append(usage_of({"usage": value}))
    return max(usages, key=lambda usage: usage.prompt + usage.completion, default=None)


def _part(value: Any, name: str) -> dict[str, Any]:
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)
