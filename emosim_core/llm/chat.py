"""Chat: a question to a language model, its answer, and what the answer cost in tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, Literal

from emosim_core.errors import ConfigurationError

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: who says it: ``"system"``, ``"user"`` or ``"assistant"``.
        content: its text.
    """

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a language model. Everything in it can change the answer.

    Attributes:
        messages: the conversation; the last message is what is to be answered.
        max_tokens: tokens that the answer may have, reasoning not counted; at least 1.
        temperature: 0 for the likeliest answer; at least 0.
        choices: texts of which the answer must be one; empty for a free answer. A backend that can constrain the
            answer does so; one that cannot answers freely, and whoever asked checks.
        schema: JSON schema that the answer, a JSON text, must fit; None for none. As for ``choices``.
        sample: number of the sample, from 0, where the same question is asked several times.
        seed: seed of the model's randomness, where it has one.

    Raises:
        ConfigurationError: no message, an empty range, or both ``choices`` and ``schema``.
    """

    messages: tuple[Message, ...]
    max_tokens: int = 512
    temperature: float = 0.0
    choices: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    sample: int = 0
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.messages:
            raise ConfigurationError("a question to a language model needs at least one message")
        if self.max_tokens < 1 or not self.temperature >= 0 or self.sample < 0:
            raise ConfigurationError("max_tokens is at least 1, temperature and sample are at least 0")
        if self.choices and self.schema is not None:
            raise ConfigurationError("an answer is held to choices or to a schema, not to both")


LARGEST_COUNT = 10_000_000
"""Tokens that no question and no answer has; a count above it is none."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, each at least 0.

    Attributes:
        prompt: tokens of the question, those in ``cached`` included.
        cached: tokens of the question that the service had in its own cache.
        completion: tokens of the answer, those in ``reasoning`` included.
        reasoning: tokens that the model thought with.
        known: False where a number is missing or is no count of tokens; such a number is 0 here.
    """

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0
    known: bool = True

    @classmethod
    def reported(
        cls, prompt: object = None, completion: object = None, cached: object = None, reasoning: object = None
    ) -> Usage:
        """The usage that a service reports, whatever stands in the place of its numbers.

        A count is a whole number from 0 to 10 million. What is none is unknown, and so is a missing ``prompt`` or
        ``completion``; a missing ``cached`` or ``reasoning`` is 0.
        """
        asked, answered = _count(prompt), _count(completion)
        from_cache = 0 if cached is None else _count(cached)
        thought = 0 if reasoning is None else _count(reasoning)
        return cls(
            asked or 0,
            min(from_cache or 0, asked or 0),
            answered or 0,
            min(thought or 0, answered or 0),
            None not in (asked, answered, from_cache, thought),
        )


def checked(usage: object) -> Usage:
    """What a backend says that an answer took, if it can be that; what cannot be is unknown."""
    if not isinstance(usage, Usage):
        return Usage(known=False)
    sane = Usage.reported(usage.prompt, usage.completion, usage.cached, usage.reasoning)
    return replace(sane, known=sane.known and bool(usage.known))


def _count(value: object) -> int | None:
    """A count of tokens; None for what is none."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole and not (isinstance(value, float) and value.is_integer()):
        return None
    count = int(value)  # type: ignore[call-overload]
    return count if 0 <= count <= LARGEST_COUNT else None


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """What a language model answered.

    Attributes:
        text: the answer.
        reasoning: what the model thought before, where it tells.
        model: the model that answered, as it calls itself.
        usage: what it took; unknown unless given.
        probabilities: of each of the request's ``choices``, where the backend knows them; sum to 1.
        finished: False where the answer was cut off at ``max_tokens``.
    """

    text: str
    reasoning: str = ""
    model: str = ""
    usage: Usage = Usage(known=False)
    probabilities: Mapping[str, float] = field(default_factory=dict)
    finished: bool = True
