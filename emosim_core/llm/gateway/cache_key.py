"""Cache key: a hash of everything that can change an answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from emosim_core.errors import ConfigurationError
from emosim_core.llm.chat import ChatRequest

FORMAT = 1
"""Changes whenever equal requests get another key than before."""


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise ConfigurationError(f"the schema of a request holds a {type(value).__name__}, which is not a JSON type")


# Escaped to ASCII, so that a lone surrogate, which models do send, has an encoding too.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False, default=_plain).encode


def request_json(request: ChatRequest) -> str:
    """A request as canonical JSON, in ASCII; equal requests, and only these, have the same text.

    Raises:
        ConfigurationError: the schema holds a value that is not a JSON type.
    """
    return _canonical(
        {
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": float(request.temperature) + 0.0,  # 0, 0.0 and -0.0 are equal
            "choices": request.choices,
            "schema": request.schema,
            "sample": request.sample,
            "seed": request.seed,
        }
    )


def cache_key_of(identity: str, canonical: str) -> str:
    """The cache key, 64 hexadecimal digits, of a request to a backend, as :func:`request_json` writes it."""
    # The hashed text is a JSON list of the format, the identity and the request.
    return hashlib.sha256(f"[{FORMAT},{json.dumps(identity)},{canonical}]".encode("ascii")).hexdigest()
