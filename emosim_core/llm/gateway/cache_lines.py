"""Cache lines: a cached answer with its request as one line of JSON, for export and import."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, NamedTuple

from emosim_core.data import json_text
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message, Usage
from emosim_core.llm.gateway.cache_key import request_json, request_of
from emosim_core.llm.gateway.redaction import Redactor, secrets_of_environment, without_keys

_USAGE = ("prompt", "cached", "completion", "reasoning")


class CachedAnswer(NamedTuple):
    """A cached answer.

    Attributes:
        identity: identity of the backend.
        request: the request.
        answer: the answer.
        created: time of the answer, in seconds since 1970 UTC.
    """

    identity: str
    request: ChatRequest
    answer: ChatAnswer
    created: int


class Cleaner:
    """Removes keys from exported and imported answers: those in the environment, and texts that look like one.

    Attributes:
        changed: number of answers that held a key.
    """

    def __init__(self) -> None:
        self._redactor = Redactor(secrets_of_environment())
        self.changed = 0

    def __call__(self, entry: CachedAnswer) -> CachedAnswer:
        answer, request = entry.answer, entry.request
        clean = CachedAnswer(
            self._text(entry.identity),
            replace(request, messages=tuple(Message(one.role, self._text(one.content)) for one in request.messages)),
            replace(
                answer,
                text=self._text(answer.text),
                reasoning=self._text(answer.reasoning),
                model=self._text(answer.model),
                probabilities={self._text(label): share for label, share in answer.probabilities.items()},
            ),
            entry.created,
        )
        self.changed += clean != entry
        return clean

    def _text(self, text: str) -> str:
        return without_keys(text, self._redactor)


def answer_json(answer: ChatAnswer) -> str:
    """An answer as JSON without its usage; in ASCII."""
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


def answer_of(payload: dict[str, Any], usage: Usage) -> ChatAnswer:
    """The answer that :func:`answer_json` wrote, from the parsed JSON."""
    return ChatAnswer(
        payload["text"],
        payload.get("reasoning", ""),
        payload.get("model", ""),
        usage,
        payload.get("probabilities", {}),
        payload.get("finished", True),
    )


def write_line(entry: CachedAnswer) -> str:
    """The line of a cached answer, in ASCII, with its line end."""
    tokens = {name: getattr(entry.answer.usage, name) for name in _USAGE}
    if not entry.answer.usage.known:
        tokens = {name: count or None for name, count in tokens.items()}
    usage = json.dumps(tokens)
    return (
        f'{{"identity": {json.dumps(entry.identity)}, "created": {entry.created}, '
        f'"request": {request_json(entry.request)}, "answer": {answer_json(entry.answer)}, "usage": {usage}}}\n'
    )


def read_line(line: str) -> CachedAnswer:
    """The cached answer of a line.

    Raises:
        ValueError: the line is not of the form that :func:`write_line` writes; the message says why.
    """
    try:
        payload = json_text.loads(line)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    fields = {"identity", "created", "request", "answer", "usage"}
    if not isinstance(payload, dict) or set(payload) != fields:
        raise ValueError(f"a line is an object with exactly the fields {', '.join(sorted(fields))}")
    if not isinstance(payload["identity"], str) or not payload["identity"]:
        raise ValueError("'identity' is a text")
    if not _is_count(payload["created"]):
        raise ValueError("'created' is a whole number of seconds")
    usage, answer = payload["usage"], payload["answer"]
    if (
        not isinstance(usage, dict)
        or set(usage) != set(_USAGE)
        or not all(count is None or (type(count) is int and count >= 0) for count in usage.values())
    ):
        raise ValueError(f"'usage' has exactly the fields {', '.join(_USAGE)}, whole numbers of at least 0 or null")
    types = {"text": str, "reasoning": str, "model": str, "probabilities": dict, "finished": bool}
    if (
        not isinstance(answer, dict)
        or "text" not in answer
        or not all(name in types and isinstance(value, types[name]) for name, value in answer.items())
        or not all(type(share) in (int, float) for share in answer.get("probabilities", {}).values())
    ):
        raise ValueError("'answer' has a text as 'text', and may have reasoning, model, probabilities and finished")
    tokens = Usage.reported(**{name: count or 0 for name, count in usage.items()})
    tokens = replace(tokens, known=tokens.known and None not in usage.values())
    return CachedAnswer(
        payload["identity"], request_of(payload["request"]), answer_of(answer, tokens), payload["created"]
    )


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63
