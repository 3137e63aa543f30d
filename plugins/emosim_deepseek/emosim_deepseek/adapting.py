"""Adapting: what a question leaves out or words otherwise, because the service has said that it does not take it so."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from emosim_deepseek.bodies import Fault

log = logging.getLogger("emosim_core.llm")

Body = dict[str, Any]

_NOT_TAKEN = re.compile(
    r"not (currently |yet )?(be )?(support|permit|allow|accept|recogni|implement|enabled|available|compatible)|"
    r"(does|do|can|is)(n't| not) (support|allow|accept|take)|unsupported|unknown|unrecogni|unexpected|invalid|extra|"
    r"deprecated|only the default|only .{0,40}(is|are) supported|instead|(must|should) be (1|'text'|text)|not a valid|"
    r"may only be|can only be|strictly positive|must contain the word|"
    r"unavailable|alternate",
    re.IGNORECASE,
)


class _Change(NamedTuple):
    """A change of what is sent.

    Attributes:
        about: what a service's message names where it is needed.
        make: the changed question; None where there is nothing to change.
        effect: what is then so, for the note to the user.
        option: the option with which that is so from the start.
    """

    about: re.Pattern[str]
    make: Callable[[Body], Body | None]
    effect: str
    option: str


def _without(field: str) -> Callable[[Body], Body | None]:
    def make(body: Body) -> Body | None:
        return {name: value for name, value in body.items() if name != field} if field in body else None

    return make


def _renamed(old: str, new: str) -> Callable[[Body], Body | None]:
    def make(body: Body) -> Body | None:
        return {new if name == old else name: value for name, value in body.items()} if old in body else None

    return make


def _plain_json(body: Body) -> Body | None:
    form = body.get("response_format")
    if not isinstance(form, Mapping) or form.get("type") != "json_schema":
        return None
    return {**body, "response_format": {"type": "json_object"}}


def _without_system(body: Body) -> Body | None:
    """The words of the system in front of the first of the user."""
    first, *rest = body["messages"]
    if first["role"] != "system":
        return None
    if rest and rest[0]["role"] == "user":
        joined = {"role": "user", "content": f"{first['content']}\n\n{rest[0]['content']}"}
        return {**body, "messages": [joined, *rest[1:]]}
    return {**body, "messages": [{"role": "user", "content": first["content"]}, *rest]}


_CHANGES = (
    _Change(
        re.compile(r"max_completion_tokens"),
        _renamed("max_tokens", "max_completion_tokens"),
        "the most tokens of an answer are called max_completion_tokens",
        "max_tokens_field=max_completion_tokens",
    ),
    _Change(
        re.compile(r"max_completion_tokens"),
        _renamed("max_completion_tokens", "max_tokens"),
        "the most tokens of an answer are called max_tokens",
        "max_tokens_field=max_tokens",
    ),
    _Change(
        re.compile(r"json_schema|response_format|structured output|schema"),
        _plain_json,
        "it is asked for any JSON object instead of one of a schema",
        "structured=json_object",
    ),
    _Change(
        re.compile(r"json_object|response_format|structured output"),
        _without("response_format"),
        "the form of the answer is asked for in words alone",
        "structured=none",
    ),
    _Change(re.compile(r"temperature"), _without("temperature"), "no temperature is sent", "send_temperature=false"),
    _Change(re.compile(r"\bseed\b"), _without("seed"), "no seed is sent", ""),
    _Change(
        re.compile(r"system.{0,20}(role|message|prompt|instruction)|role.{0,20}system|developer instruction|"
                   r"roles must alternate"),
        _without_system,
        "the words of the system stand at the beginning of the user's",
        "--llm-rater 0Shot_system_default, a strategy without a system prompt",
    ),
)  # fmt: skip

_OPTIONS = {
    "temperature": "send_temperature",
    "max_tokens": "max_tokens_field, reasoning_tokens, or max_tokens of --llm-rater",
    "max_completion_tokens": "max_tokens_field, reasoning_tokens, or max_tokens of --llm-rater",
    "response_format": "structured",
    "json_schema": "structured",
    "reasoning_effort": "reasoning_effort",
    "thinking": "thinking",
    "structured_outputs": "choices",
    "grammar": "choices",
    "logprobs": "extra_body",
    "top_logprobs": "extra_body",
    "stop": "extra_body",
    "seed": "extra_body",
}


class Adaptation:
    """What was learnt of one service. Every change is made once, and said once.

    Args:
        service: who is asked, for messages.
        fixed: fields that the user has set as they are; they are never changed.
    """

    def __init__(self, service: str, fixed: Mapping[str, Any]) -> None:
        self._service, self._fixed = service, frozenset(fixed)
        self._made: list[_Change] = []

    @property
    def count(self) -> int:
        """How many changes are made."""
        return len(self._made)

    def adapted(self, body: Body) -> Body:
        """A question as the service takes it."""
        for change in self._made:
            body = change.make(body) or body
        return body

    def learn(self, body: Body, fault: Fault) -> bool:
        """Learn from what a service says of a question, as it was sent; returns whether another form may be taken."""
        if _NOT_TAKEN.search(fault.text) is None and not any(map(_NOT_TAKEN.search, fault.codes)):
            return False
        text = " ".join((fault.text, *fault.params))
        for change in _CHANGES:
            if change in self._made or change.about.search(text.lower()) is None:
                continue
            changed = change.make(body)
            if changed is None or any(body.get(name) != changed.get(name) for name in self._fixed):
                continue
            self._made.append(change)
            advice = f" The option for that is {change.option}" if change.option else ""
            log.warning("%s does not take the question as it is: %s.%s", self._service, change.effect, advice)
            return True
        return False

    def advice(self, body: Body, fault: Fault) -> str:
        """Which option sets a field that a service objects to, as a sentence; empty where none is named."""
        text = " ".join((fault.text, *fault.params)).lower()
        for name, option in _OPTIONS.items():
            if name in body and re.search(rf"\b{name}\b", text):
                where = "extra_body" if name in self._fixed else option
                return f". What is sent as {name} is set by the option {where}"
        for name in self._fixed:
            if re.search(rf"\b{re.escape(name.lower())}\b", text):
                return f". What is sent as {name} is set by the option extra_body"
        return ""
