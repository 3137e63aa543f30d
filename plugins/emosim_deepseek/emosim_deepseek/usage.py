"""Usage: the tokens in the body of a response, whatever stands in the place of their numbers."""

from __future__ import annotations

import json
from typing import Any

from emosim_core import Usage


def usage_of(value: Any) -> Usage:
    """The usage in an envelope; unknown where it is missing or is none."""
    usage = _part(value, "usage")
    cached = _first(usage.get("prompt_cache_hit_tokens"), _part(usage, "prompt_tokens_details").get("cached_tokens"))
    reasoning = _part(usage, "completion_tokens_details").get("reasoning_tokens")
    return Usage.reported(usage.get("prompt_tokens"), usage.get("completion_tokens"), cached, reasoning)


def usage_of_error(body: bytes | object) -> Usage | None:
    """The usage in the body of an error, its JSON or its bytes; None where there is none, as nothing was paid then."""
    value: Any = body
    if isinstance(body, bytes):
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return None
    for one in (value, _part(value, "error")):
        if isinstance(one, dict) and one.get("usage") is not None:
            return usage_of(one)
    return None


def _part(value: Any, name: str) -> dict[str, Any]:
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)
