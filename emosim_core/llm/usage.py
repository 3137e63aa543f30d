"""UsageTally: requests to a language model, calls, tokens and cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from emosim_core.llm.chat import Usage
from emosim_core.llm.prices import Price


class UsageTally:
    """Counts; any thread may add and read.

    Attributes:
        price: what the model costs; None where that is not known, and before the first call.
        requests: number of requests, equal ones included.
        cached: of these, answered from the cache.
        shared: of these, answered by the call of an equal request.
        failed: of these, without an answer.
        calls: calls that were made, failed ones included.
        retried: of these, calls for a question whose call before failed.
        prompt_tokens: tokens of the questions of answered calls, those in ``cached_tokens`` included.
        cached_tokens: tokens of questions that the service had in its own cache.
        completion_tokens: tokens of the answers, those in ``reasoning_tokens`` included.
        reasoning_tokens: tokens of the model's reasoning.
        unknown_usage: answers of which tokens are not known; their known tokens are counted, and in ``cost`` the most
            that the others can be.
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
        """What all answered calls cost, in the price's currency; None where no price is known, 0 before any call.

        The most they can have cost, where tokens of an answer are unknown.
        """
        with self._lock:
            return self._known_cost()

    def count_questions(self, requests: int, cached: int, shared: int) -> None:
        """Count questions that were put, and which of them need no call."""
        with self._lock:
            self.requests += requests
            self.cached += cached
            self.shared += shared

    def count_call(self, again: bool) -> None:
        """Count a call that starts."""
        with self._lock:
            self.calls += 1
            self.retried += again

    def count_answer(self, usage: Usage, most: Callable[[], Usage] = Usage) -> None:
        """Count what an answered call took.

        Args:
            usage: what the service reports.
            most: the most that it can have taken; calls where something is unknown.
        """
        with self._lock:
            self._answered += 1
            self.prompt_tokens += usage.prompt
            self.cached_tokens += usage.cached
            self.completion_tokens += usage.completion
            self.reasoning_tokens += usage.reasoning
            self.unknown_usage += not usage.known
            if self.price is not None:
                self._cost += self.price.cost(usage if usage.known else _at_most(usage, most()))

    def count_end(self, failed: int, seconds: float) -> None:
        """Count questions that stay without an answer, and the time that was spent on them and those beside them."""
        with self._lock:
            self.failed += failed
            self.seconds += seconds

    def summary(self) -> dict[str, Any]:
        """All counts, the cost and the price that it was reckoned with, as JSON has them."""
        with self._lock:
            price = self.price
            return {
                "requests": self.requests,
                "cached": self.cached,
                "shared": self.shared,
                "failed": self.failed,
                "calls": self.calls,
                "retried": self.retried,
                "prompt_tokens": self.prompt_tokens,
                "cached_tokens": self.cached_tokens,
                "completion_tokens": self.completion_tokens,
                "reasoning_tokens": self.reasoning_tokens,
                "unknown_usage": self.unknown_usage,
                "seconds": round(self.seconds, 3),
                "cost": self._known_cost(),
                "currency": None if price is None else price.currency,
                "price_as_of": None if price is None else price.as_of,
            }

    def _known_cost(self) -> float | None:
        return None if self._answered and self.price is None else self._cost


def _at_most(usage: Usage, most: Usage) -> Usage:
    """A usage with the most that they can be in the place of unknown tokens."""
    return Usage(usage.prompt or most.prompt, usage.cached, usage.completion or most.completion)
