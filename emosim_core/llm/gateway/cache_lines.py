"""A request as canonical JSON and its cache key; a cached answer as a line of JSON, for export and import."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from typing import Annotated, Any, NamedTuple

from pydantic import ConfigDict, Field, InstanceOf, TypeAdapter, ValidationError, with_config
from typing_extensions import NotRequired, TypedDict

from emosim_core.data import json_text
from emosim_core.errors import ConfigurationError
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message, Role, Usage
from emosim_core.llm.gateway.redaction import Redactor, secrets_of_environment, with_texts, without_keys
from emosim_core.runs.reading import first_fault

FORMAT = 1
"""Changes whenever equal requests get another key than before."""

_LARGEST_INTEGER = 2**63 - 1
_EXACT = with_config(ConfigDict(extra="forbid", strict=True))
_Text = Annotated[str, InstanceOf]  # also with a lone surrogate, which models do send
_Tokens = Annotated[int, Field(ge=0)] | None


@_EXACT
class _Message(TypedDict):
    role: Role
    content: _Text


@_EXACT
class _Request(TypedDict):
    messages: list[_Message]
    max_tokens: int
    temperature: float
    choices: list[_Text]
    schema: dict[_Text, Any] | None
    sample: int
    seed: int | None
    opening: NotRequired[_Text]


@_EXACT
class _Answer(TypedDict):
    text: _Text
    reasoning: NotRequired[_Text]
    model: NotRequired[_Text]
    probabilities: NotRequired[dict[_Text, float]]
    finished: NotRequired[bool]


@_EXACT
class _Usage(TypedDict):
    prompt: _Tokens
    cached: _Tokens
    completion: _Tokens
    reasoning: _Tokens


@_EXACT
class _Line(TypedDict):
    identity: Annotated[str, Field(min_length=1)]
    created: Annotated[int, Field(ge=0, le=_LARGEST_INTEGER)]
    request: _Request
    answer: _Answer
    usage: _Usage


@cache
def _schema() -> TypeAdapter[_Line]:
    return TypeAdapter(_Line)


class CachedAnswer(NamedTuple):
    """The answer of the backend with this identity to a request, ``created`` in seconds since 1970 UTC."""

    identity: str
    request: ChatRequest
    answer: ChatAnswer
    created: int


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
    return _canonical(_fields(request))


def request_text(request: ChatRequest) -> str:
    """A request as JSON, in ASCII, as :func:`request_of` reads it; the parts of its schema keep their order.

    Raises:
        ConfigurationError: the schema holds a value that is not a JSON type.
    """
    return json.dumps(_fields(request), default=_plain)


def _fields(request: ChatRequest) -> dict[str, Any]:
    # A request without an opening is written as before there were any, so that cached answers stay valid.
    opening = {"opening": request.opening} if request.opening else {}
    return {
        **opening,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": float(request.temperature) + 0.0,  # 0, 0.0 and -0.0 are equal
        "choices": request.choices,
        "schema": request.schema,
        "sample": request.sample,
        "seed": request.seed,
    }


def cache_key_of(identity: str, canonical: str) -> str:
    """The cache key, 64 hexadecimal digits, of a request to a backend, as :func:`request_json` writes it."""
    # The hashed text is a JSON list of the format, the identity and the request.
    return hashlib.sha256(f"[{FORMAT},{json.dumps(identity)},{canonical}]".encode("ascii")).hexdigest()


class Cleaner:
    """Removes keys from exported and imported answers: those in the environment, and texts that look like one.

    ``changed`` counts the answers that held a key.
    """

    def __init__(self) -> None:
        self._redactor = Redactor(secrets_of_environment())
        self.changed = 0

    def __call__(self, entry: CachedAnswer) -> CachedAnswer:
        request, clean = entry.request, self._text
        cleaned = CachedAnswer(
            clean(entry.identity),
            replace(request, messages=tuple(Message(one.role, clean(one.content)) for one in request.messages)),
            with_texts(entry.answer, clean),
            entry.created,
        )
        self.changed += cleaned != entry
        return cleaned

    def _text(self, text: str) -> str:
        return without_keys(text, self._redactor)


def answer_json(answer: ChatAnswer) -> str:
    """An answer as JSON without its usage; in ASCII. What has its default is left out."""
    payload: dict[str, Any] = {"text": answer.text}
    if answer.reasoning:
        payload["reasoning"] = answer.reasoning
    if answer.model:
        payload["model"] = answer.model
    if answer.probabilities:
        payload["probabilities"] = dict(answer.probabilities)
    if not answer.finished:
        payload["finished"] = False
    return json.dumps(payload, separators=(",", ":"))


def answer_of(payload: Any, usage: Usage) -> ChatAnswer:
    """The answer that :func:`answer_json` wrote, from the parsed JSON."""
    return ChatAnswer(**payload, usage=usage)


def request_of(payload: Any) -> ChatRequest:
    """The request that :func:`request_json` wrote, from the parsed JSON."""
    messages = tuple(Message(**message) for message in payload["messages"])
    return ChatRequest(**{**payload, "messages": messages, "choices": tuple(payload["choices"])})


def write_line(entry: CachedAnswer) -> str:
    """The line of a cached answer, in ASCII, with its line end."""
    tokens = asdict(entry.answer.usage)
    if not tokens.pop("known"):
        tokens = {name: count or None for name, count in tokens.items()}
    return (
        f'{{"identity": {json.dumps(entry.identity)}, "created": {entry.created}, '
        f'"request": {request_json(entry.request)}, "answer": {answer_json(entry.answer)}, '
        f'"usage": {json.dumps(tokens)}}}\n'
    )


def read_line(line: str) -> CachedAnswer:
    """The cached answer of a line; a ValueError names the field that is not as :func:`write_line` writes it."""
    try:
        payload = _schema().validate_python(json_text.loads(line))
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    except ValidationError as error:
        raise ValueError(first_fault(error)) from error
    usage = payload["usage"]
    tokens = Usage.reported(**{name: count or 0 for name, count in usage.items()})
    tokens = replace(tokens, known=tokens.known and None not in usage.values())
    return CachedAnswer(
        payload["identity"], request_of(payload["request"]), answer_of(payload["answer"], tokens), payload["created"]
    )
