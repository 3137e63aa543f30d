"""Recorder: the requests and answers of a rater's last batch, without secrets, for the transcript of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from emosim_core.components.base import Exchange
from emosim_core.errors import LLMBudgetError, LLMError, LLMReplayError
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Usage
from emosim_core.llm.gateway.redaction import Redactor

_NEVER_SENT = (LLMBudgetError, LLMReplayError)
"""Errors of requests that no model received."""

_MOST_LINES = 100_000
"""Lines of prompts whose redaction is remembered, because most lines repeat."""

_OPTIONS = ("max_tokens", "temperature", "choices", "schema", "sample", "seed")


@dataclass(slots=True)
class Recorded:
    """One request and its answer; ``problem`` says why the answer cannot be parsed."""

    row: int
    place: int
    request: ChatRequest
    answer: ChatAnswer | LLMError
    cached: bool
    problem: str = ""


class Recorder:
    """Records what a rater requests and receives. A pickled or copied recorder is empty and holds no secret.

    ``secrets`` returns the texts that must not occur in a transcript, such as a key.
    """

    def __init__(self, secrets: Callable[[], Sequence[str]] = tuple) -> None:
        self._secrets = secrets
        self._batch: list[Recorded] = []
        self._known: tuple[str, ...] = ()
        self._redactor = Redactor(())
        self._lines: dict[str, str] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._secrets,)

    def clear(self) -> None:
        """Begin a batch."""
        self._batch = []

    def record(
        self,
        places: Sequence[tuple[int, int]],
        requests: Sequence[ChatRequest],
        answers: Sequence[ChatAnswer | LLMError],
    ) -> list[Recorded]:
        """Record the answers to one call of the gateway; rows and places say which ratings they are for."""
        seen: set[int] = set()
        records = []
        for (row, place), request, answer in zip(places, requests, answers, strict=True):
            cached = isinstance(answer, ChatAnswer) and (answer.cached or id(answer) in seen)
            records.append(Recorded(row, place, request, answer, cached))
            seen.add(id(answer))
        self._batch += records
        return records

    def exchanges(self) -> list[Exchange]:
        """The exchanges of the batch so far, without secrets."""
        secrets = self._secrets()
        known = (secrets,) if isinstance(secrets, str) else tuple(secrets)
        if known != self._known:
            self._known, self._redactor, self._lines = known, Redactor(known), {}
        return [self._exchange(one) for one in self._batch if not isinstance(one.answer, _NEVER_SENT)]

    def _exchange(self, one: Recorded) -> Exchange:
        text, answer, error = None, ChatAnswer("", usage=Usage(known=False)), one.problem
        if isinstance(one.answer, ChatAnswer):
            text, answer = one.answer.text, one.answer
        else:
            error = one.answer.explained
            answer = replace(answer, usage=one.answer.usage or answer.usage)
        return Exchange(
            row=one.row,
            place=one.place,
            messages=[(message.role, self._redacted(message.content)) for message in one.request.messages],
            options={
                **{name: getattr(one.request, name) for name in _OPTIONS},
                **({"opening": one.request.opening} if one.request.opening else {}),
            },
            answer=text,
            error=self._redactor.message(error),
            reasoning=answer.reasoning,
            model=answer.model,
            finished=answer.finished,
            usage=_tokens(answer.usage),
            cached=one.cached,
        )

    def _redacted(self, text: str) -> str:
        """A prompt without secrets. Answers and errors, the gateway's, have none."""
        if not self._known:
            return text
        if len(self._lines) > _MOST_LINES:
            self._lines = {}
        lines = []
        for line in text.splitlines(keepends=True):
            if (clean := self._lines.get(line)) is None:
                clean = self._lines[line] = self._redactor.text(line)
            lines.append(clean)
        return "".join(lines)


def _tokens(usage: Usage) -> dict[str, int | None]:
    counts = {
        "prompt_tokens": usage.prompt,
        "cached_tokens": usage.cached,
        "completion_tokens": usage.completion,
        "reasoning_tokens": usage.reasoning,
    }
    return {name: count if usage.known else count or None for name, count in counts.items()}
