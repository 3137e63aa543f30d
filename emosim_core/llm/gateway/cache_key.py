"""Cache key: a hash of everything that can change an answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from emosim_core.errors import ConfigurationError
from emosim_core.llm.chat import ChatRequest, Message

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
    """The cache key of a request.

    Args:
        identity: identity of the backend; see :class:`~emosim_core.llm.backend.LLMBackend`.
        canonical: the request, as :func:`request_json` writes it.

    Returns:
        64 hexadecimal digits.
    """
    # The hashed text is a JSON list of the format, the identity and the request.
    return hashlib.sha256(f"[{FORMAT},{json.dumps(identity)},{canonical}]".encode("ascii")).hexdigest()


def answer_cache_key(identity: str, request: ChatRequest) -> str:
    """The cache key of a request to the backend with this identity: 64 hexadecimal digits."""
    return cache_key_of(identity, request_json(request))


def request_of(payload: Any) -> ChatRequest:
    """The request that :func:`request_json` wrote.

    Args:
        payload: the parsed JSON.

    Raises:
        ValueError: it is not a request; the message says why.
    """
    fields = {"messages", "max_tokens", "temperature", "choices", "schema", "sample", "seed"}
    if not isinstance(payload, dict) or set(payload) != fields:
        raise ValueError(f"a request has exactly the fields {', '.join(sorted(fields))}")
    messages, choices, schema, seed = payload["messages"], payload["choices"], payload["schema"], payload["seed"]
    if not isinstance(messages, list) or not all(
        isinstance(one, dict)
        and set(one) == {"role", "content"}
        and one["role"] in ("system", "user", "assistant")
        and isinstance(one["content"], str)
        for one in messages
    ):
        raise ValueError("'messages' is a list of objects with a known 'role' and a text as 'content'")
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise ValueError("'choices' is a list of texts")
    if not (schema is None or isinstance(schema, dict)):
        raise ValueError("'schema' is an object or null")
    if type(payload["temperature"]) not in (int, float):
        raise ValueError("'temperature' is a number")
    for name in ("max_tokens", "sample"):
        if type(payload[name]) is not int:
            raise ValueError(f"{name!r} is a whole number")
    if not (seed is None or type(seed) is int):
        raise ValueError("'seed' is a whole number or null")
    try:
        return ChatRequest(
            tuple(Message(one["role"], one["content"]) for one in messages),
            max_tokens=payload["max_tokens"],
            temperature=payload["temperature"],
            choices=tuple(choices),
            schema=schema,
            sample=payload["sample"],
            seed=seed,
        )
    except ConfigurationError as error:
        raise ValueError(str(error)) from error
