"""Chat: a request to a language model, its answer, and the tokens of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, Literal

from emosim_core.errors import ConfigurationError

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation: its text, and the role of its author."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request to a language model. Every field can change the answer.

    Attributes:
        messages: the conversation; the model answers the last message.
        max_tokens: maximum tokens of the answer, reasoning not counted; at least 1.
        temperature: sampling temperature, at least 0; 0 for the likeliest answer.
        choices: texts of which the answer must be one; empty for a free answer. A backend that can constrain the
            answer does so; one that cannot answers freely, and the rater checks the answer.
        schema: JSON schema that the answer, a JSON text, must fit; None for none. As for ``choices``.
        sample: number of the sample, from 0, for several answers to the same messages.
        seed: seed of the model's random numbers; None for none.
        opening: text that the answer begins with, such as ``"Rating: "``, and that is no part of it; only with
            ``choices``. A backend that can make the model go on from there does so; others ignore it.

    Raises:
        ConfigurationError: no message, an empty range, both ``choices`` and ``schema``, or an opening without choices.
    """

    messages: tuple[Message, ...]
    max_tokens: int = 512
    temperature: float = 0.0
    choices: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    sample: int = 0
    seed: int | None = None
    opening: str = ""

    def __post_init__(self) -> None:
        if not self.messages:
            raise ConfigurationError("a request to a language model needs at least one message")
        if self.max_tokens < 1 or not self.temperature >= 0 or self.sample < 0:
            raise ConfigurationError("max_tokens is at least 1, temperature and sample are at least 0")
        if self.choices and self.schema is not None:
            raise ConfigurationError("an answer is held to choices or to a schema, not to both")
        if self.opening and not self.choices:
            raise ConfigurationError("the answer is opened only where it is one of choices")


LARGEST_COUNT = 10_000_000
"""Maximum tokens of a prompt or an answer; a greater count is invalid."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, each at least 0.

    Attributes:
        prompt: tokens of the prompt, those in ``cached`` included.
        cached: tokens of the prompt that the service had in its own cache.
        completion: tokens of the answer, those in ``reasoning`` included.
        reasoning: tokens of the model's reasoning.
        known: False if a number is missing or invalid; such a number is 0 here.
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
        """The usage that a service reports, from values of any type.

        A count is a whole number from 0 to 10 million. Any other value is unknown, and so is a missing ``prompt`` or
        ``completion``; a missing ``cached`` or ``reasoning`` is 0.
        """
        prompt_count, completion_count = _count(prompt), _count(completion)
        from_cache = 0 if cached is None else _count(cached)
        thought = 0 if reasoning is None else _count(reasoning)
        return cls(
            prompt_count or 0,
            min(from_cache or 0, prompt_count or 0),
            completion_count or 0,
            min(thought or 0, completion_count or 0),
            None not in (prompt_count, completion_count, from_cache, thought),
        )


def checked(usage: object) -> Usage:
    """The usage that a backend reports, with invalid numbers as unknown."""
    if not isinstance(usage, Usage):
        return Usage(known=False)
    sane = Usage.reported(usage.prompt, usage.completion, usage.cached, usage.reasoning)
    return replace(sane, known=sane.known and bool(usage.known))


def _count(value: object) -> int | None:
    """A count of tokens; None for an invalid value."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole and not (isinstance(value, float) and value.is_integer()):
        return None
    count = int(value)  # type: ignore[call-overload]
    return count if 0 <= count <= LARGEST_COUNT else None


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """The answer of a language model.

    Attributes:
        text: the answer.
        reasoning: reasoning before the answer, if the model returns it.
        model: name of the model, as the service reports it.
        usage: tokens of the answer; unknown by default.
        probabilities: probability of each of the request's ``choices``, if the backend knows them; they sum to 1.
        finished: False if the answer was cut off at ``max_tokens``.
        cached: whether it comes from the cache; the gateway sets it, and equality does not regard it.
    """

    text: str
    reasoning: str = ""
    model: str = ""
    usage: Usage = Usage(known=False)
    probabilities: Mapping[str, float] = field(default_factory=dict)
    finished: bool = True
    cached: bool = field(default=False, compare=False)
