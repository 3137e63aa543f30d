"""Adapting: fields of a request that are left out or renamed, because the service has rejected them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from emosim_deepseek.bodies import PHRASES, Fault

log = logging.getLogger("emosim_core.llm")

Body = dict[str, Any]


_FEWER = 5
"""Tokens with probabilities that are requested of a service that returns fewer than 20."""


class _Change(NamedTuple):
    """A change of a request that a service rejects with a message ``about`` something.

    ``make`` returns the changed request, or None if there is nothing to change; ``effect`` describes the change for the
    warning; ``option`` makes it from the start.
    """

    about: str
    make: Callable[[Body], Body | None]
    effect: str
    option: str


def _renamed(old: str, new: str | None) -> Callable[[Body], Body | None]:
    """A field under another name, or left out."""

    def make(body: Body) -> Body | None:
        fields = ((new if name == old else name, value) for name, value in body.items())
        return {name: value for name, value in fields if name is not None} if old in body else None

    return make


def _plain_json(body: Body) -> Body | None:
    form = body.get("response_format")
    of_schema = isinstance(form, Mapping) and form.get("type") == "json_schema"
    return {**body, "response_format": {"type": "json_object"}} if of_schema else None


def _fewer_logprobs(body: Body) -> Body | None:
    return {**body, "top_logprobs": _FEWER} if body.get("top_logprobs", 0) > _FEWER else None


def _without_logprobs(body: Body) -> Body | None:
    names = ("logprobs", "top_logprobs")
    return {name: value for name, value in body.items() if name not in names} if "logprobs" in body else None


def _without_system(body: Body) -> Body | None:
    """The system prompt at the beginning of the first message of the user."""
    first, *rest = body["messages"]
    if first["role"] != "system":
        return None
    texts = [first["content"], *(rest.pop(0)["content"] for _ in rest[:1] if rest[0]["role"] == "user")]
    return {**body, "messages": [{"role": "user", "content": "\n\n".join(texts)}, *rest]}


_CHANGES = (
    _Change(
        r"max_completion_tokens",
        _renamed("max_tokens", "max_completion_tokens"),
        "the limit on answer tokens is sent as max_completion_tokens",
        "max_tokens_field=max_completion_tokens",
    ),
    _Change(
        r"max_completion_tokens",
        _renamed("max_completion_tokens", "max_tokens"),
        "the limit on answer tokens is sent as max_tokens",
        "max_tokens_field=max_tokens",
    ),
    _Change(
        r"json_schema|response_format|structured output|schema",
        _plain_json,
        "any JSON object is requested instead of one of a schema",
        "structured=json_object",
    ),
    _Change(
        r"json_object|response_format|structured output",
        _renamed("response_format", None),
        "the form of the answer is requested in the prompt alone",
        "structured=none",
    ),
    _Change(
        r"logprobs.*(\d|between|maximum|at most|exceed|greater|range)",
        _fewer_logprobs,
        f"the probabilities of {_FEWER} tokens are requested",
        "",
    ),
    _Change(
        r"logprobs|log.?probabilit",
        _without_logprobs,
        "no probabilities are requested, and ratings are read from the text alone",
        "logprobs=false",
    ),
    _Change(r"temperature", _renamed("temperature", None), "no temperature is sent", "send_temperature=false"),
    _Change(r"\bseed\b", _renamed("seed", None), "no seed is sent", ""),
    _Change(
        r"system.{0,20}(role|message|prompt|instruction)|role.{0,20}system|developer instruction|roles must alternate",
        _without_system,
        "the system prompt is sent at the beginning of the user's message",
        "--llm-rater 0Shot_system_default, a strategy without a system prompt",
    ),
)

_OPTIONS = {
    "temperature": "send_temperature",
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens"), "max_tokens_field, reasoning_tokens, or max_tokens of --llm-rater"
    ),
    **dict.fromkeys(("response_format", "json_schema"), "structured"),
    "reasoning_effort": "reasoning_effort",
    "thinking": "thinking",
    **dict.fromkeys(("structured_outputs", "grammar"), "choices"),
    **dict.fromkeys(("logprobs", "top_logprobs"), "logprobs"),
    **dict.fromkeys(("stop", "seed"), "extra_body"),
}


class Adaptation:
    """Changes that one service needs, each made and reported once; fields that the user has set (``fixed``) stay."""

    def __init__(self, service: str, fixed: Mapping[str, Any]) -> None:
        self._service, self._fixed = service, frozenset(fixed)
        self._made: list[_Change] = []

    @property
    def count(self) -> int:
        return len(self._made)

    def adapted(self, body: Body) -> Body:
        """A request as the service accepts it."""
        for change in self._made:
            body = change.make(body) or body
        return body

    def learn(self, body: Body, fault: Fault) -> bool:
        """Learn from the error for a request; returns whether a changed request may be accepted."""
        if PHRASES.not_taken.search(fault.text) is None and not any(map(PHRASES.not_taken.search, fault.codes)):
            return False
        text = " ".join((fault.text, *fault.params))
        for change in _CHANGES:
            if change in self._made or re.search(change.about, text.lower()) is None:
                continue
            changed = change.make(body)
            if changed is None or any(body.get(name) != changed.get(name) for name in self._fixed):
                continue
            self._made.append(change)
            advice = f" The option for that is {change.option}" if change.option else ""
            log.warning("%s does not accept the request as it is: %s.%s", self._service, change.effect, advice)
            return True
        return False

    def advice(self, body: Body, fault: Fault) -> str:
        """A sentence that names the option for a field that a service rejects; empty if it names no field."""
        text = " ".join((fault.text, *fault.params)).lower()
        known = {name: option for name, option in _OPTIONS.items() if name in body and name not in self._fixed}
        for name, option in {**dict.fromkeys(self._fixed, "extra_body"), **known}.items():
            if re.search(rf"\b{re.escape(name.lower())}\b", text):
                return f". What is sent as {name} is set by the option {option}"
        return ""
