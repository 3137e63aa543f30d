"""Counted: counts the calls to a language model, tokens and cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from emosim_core.errors import LLMError
from emosim_core.llm.backend import LLMBackend, Price
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Usage, checked
from emosim_core.llm.gateway.cache_key import request_json
from emosim_core.llm.gateway.wrapper import BackendWrapper

_FRAME = 64
"""Greatest number of tokens that a chat format adds to a message."""


class UsageTally:
    """Counts; any thread may add and read.

    Attributes:
        price: price of the model; None if unknown, and before the first call.
        requests: number of requests, equal ones included.
        cached: of these, answered from the cache.
        shared: of these, answered by the call of an equal request.
        failed: of these, without an answer.
        calls: calls that were made, failed ones included.
        retried: of these, calls that repeat a failed one.
        prompt_tokens: tokens of the prompts of answered calls, those in ``cached_tokens`` included.
        cached_tokens: tokens of prompts that the service had in its own cache.
        completion_tokens: tokens of the answers, those in ``reasoning_tokens`` included.
        reasoning_tokens: tokens of the model's reasoning.
        unknown_usage: answers whose tokens are partly unknown; the known ones are counted, and ``cost`` has an upper
            bound of the others.
        seconds: time spent waiting for calls, summed over threads.
    """

    def __init__(self) -> None:
        self.price: Price | None = None
        self._answered = 0
        self._cost = 0.0
        self._lock = threading.Lock()
        self.requests = self.cached = self.shared = self.failed = self.calls = self.retried = 0
        self.prompt_tokens = self.cached_tokens = self.completion_tokens = self.reasoning_tokens = 0
        self.unknown_usage = 0
        self.seconds = 0.0

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    @property
    def cost(self) -> float | None:
        """Cost of all answered calls, in the currency of the price; None if no price is known, 0 before any call.

        An upper bound where tokens of an answer are unknown.
        """
        with self._lock:
            return self._known_cost()

    def add(self, **counts: float) -> None:
        """Add to counts, by their names."""
        with self._lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)

    def count_answer(self, usage: Usage, most: Callable[[], Usage] = Usage) -> None:
        """Count the tokens and the cost of an answered call.

        Args:
            usage: what the service reports.
            most: returns an upper bound; called if a part of the usage is unknown.
        """
        self.add(
            _answered=1,
            prompt_tokens=usage.prompt,
            cached_tokens=usage.cached,
            completion_tokens=usage.completion,
            reasoning_tokens=usage.reasoning,
            unknown_usage=not usage.known,
            _cost=0.0 if self.price is None else self.price.cost(usage if usage.known else _at_most(usage, most())),
        )

    def summary(self) -> dict[str, Any]:
        """All counts, the cost, and the price on which it is based, as JSON values."""
        with self._lock:
            counts = {name: value for name, value in vars(self).items() if name[0] != "_" and name != "price"}
            return {
                **counts,
                "seconds": round(self.seconds, 3),
                "cost": self._known_cost(),
                "currency": None if self.price is None else self.price.currency,
                "price_as_of": None if self.price is None else self.price.as_of,
            }

    def _known_cost(self) -> float | None:
        return None if self._answered and self.price is None else self._cost


def _at_most(usage: Usage, most: Usage) -> Usage:
    """A usage with upper bounds in the place of unknown tokens."""
    return Usage(usage.prompt or most.prompt, usage.cached, usage.completion or most.completion)


class Counted(BackendWrapper):
    """Counts calls and their tokens, those of failed calls included; answers get a valid usage.

    Args:
        backend: the backend that is called.
        usage: the counts.
    """

    def __init__(self, backend: LLMBackend, usage: UsageTally) -> None:
        super().__init__(backend)
        self._usage = usage

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The answer of the backend."""
        self._usage.add(calls=1)
        try:
            answer = await self.inner.answer(request)
        except LLMError as error:
            if error.usage is not None:
                self._count(request, error.usage)
            raise
        if not isinstance(answer, ChatAnswer):
            return answer
        usage = self._count(request, answer.usage)
        return answer if usage == answer.usage else replace(answer, usage=usage)

    def _count(self, request: ChatRequest, reported: object) -> Usage:
        usage = checked(reported)
        self._usage.count_answer(usage, lambda: self._most(request))
        return usage

    def _most(self, request: ChatRequest) -> Usage:
        """Upper bound on the tokens of a request and its answer; a token has at least one byte."""
        prompt = len(request_json(request)) + _FRAME * (len(request.messages) + 1)
        return Usage(prompt, completion=request.max_tokens + self.reasoning_tokens)
