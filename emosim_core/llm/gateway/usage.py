"""UsageTally: requests to a language model, calls, tokens and cost; and Budgeted, the link that makes no call once a
budget is spent, and counts the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from emosim_core.errors import LLMBudgetError
from emosim_core.llm.backend import LLMBackend, Price
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Usage
from emosim_core.llm.gateway.request import PENDING, PendingRequest


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
        return None if self._answered and self.price is None else self._cost

    def count_requests(self, requests: int, cached: int, shared: int) -> None:
        """Count requests, and those of them that need no call."""
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
        """Count the tokens and the cost of an answered call; ``most`` returns an upper bound of what is unknown."""
        with self._lock:
            self._answered += 1
            self.prompt_tokens += usage.prompt
            self.cached_tokens += usage.cached
            self.completion_tokens += usage.completion
            self.reasoning_tokens += usage.reasoning
            self.unknown_usage += not usage.known
            if self.price is not None:
                bound = usage if usage.known else most()
                self._cost += self.price.cost(
                    Usage(usage.prompt or bound.prompt, usage.cached, usage.completion or bound.completion)
                )

    def count_end(self, failed: int, seconds: float) -> None:
        """Count failed requests, and the seconds that a batch took."""
        with self._lock:
            self.failed += failed
            self.seconds += seconds

    def summary(self) -> dict[str, Any]:
        """All counts, the cost, and the price on which it is based, as JSON values."""
        price = self.price
        with self._lock:
            counts = {name: value for name, value in vars(self).items() if name[0] != "_" and name != "price"}
            return {
                **counts,
                "seconds": round(self.seconds, 3),
                "cost": self.cost,
                "currency": None if price is None else price.currency,
                "price_as_of": None if price is None else price.as_of,
            }


class Budgeted(LLMBackend):
    """Makes a call if the budget allows it: the most that may be spent, in the currency of the price, or no limit."""

    def __init__(self, backend: LLMBackend, usage: UsageTally, max_cost: float | None) -> None:
        self._backend, self._usage, self._max_cost = backend, usage, max_cost

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        self.begin(PENDING.get())
        return await self._backend.answer(request)

    def begin(self, pending: PendingRequest) -> None:
        """Count a call that starts; an LLMBudgetError where the budget is spent, so that it must not start."""
        usage, spent = self._usage, self._usage.cost or 0.0
        if self._max_cost is not None and spent >= self._max_cost:
            currency = "" if usage.price is None else f" {usage.price.currency}"
            raise LLMBudgetError(
                f"the budget is spent: {spent:.6g} of {self._max_cost:g}{currency} (--max-cost), "
                f"for {usage.calls:,} calls. Every answer is cached; go on with a higher --max-cost"
            )
        usage.count_call(again=pending.calls > 0)
        pending.calls += 1
        pending.calling = True
