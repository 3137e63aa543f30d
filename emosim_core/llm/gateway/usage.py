"""UsageTally: requests to a language model, calls, tokens and cost; and Budgeted, the link that makes no call once a
budget is spent, and counts the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from emosim_core.errors import LLMBudgetError
from emosim_core.llm.backend import LLMBackend, Price
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Usage
from emosim_core.llm.gateway.request import PENDING, PendingRequest


class UsageTally:
    """Counts; any thread may add and read.

    Args:
        total: the tally of which this one is a part, and which counts the same; it has the price.

    Attributes:
        charged: cost of other calls that count towards the same limit, or what returns it.
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

    def __init__(self, total: UsageTally | None = None) -> None:
        self.charged: float | Callable[[], float] = 0.0
        self._total = total
        self._price: Price | None = None
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
    def price(self) -> Price | None:
        """Price of the model; None if unknown, and before the first call."""
        return self._price if self._total is None else self._total.price

    @price.setter
    def price(self, price: Price | None) -> None:
        self._price = price

    @property
    def cost(self) -> float | None:
        """Cost of all answered calls, in the currency of the price; None if no price is known, 0 before any call.

        An upper bound where tokens of an answer are unknown.
        """
        return None if self._answered and self.price is None else self._cost

    @property
    def spent(self) -> float:
        """What counts towards a limit on the cost: the cost of these calls, and what is ``charged``."""
        return self._cost + (self.charged() if callable(self.charged) else self.charged)

    def count_requests(self, requests: int, cached: int, shared: int) -> None:
        """Count requests, and those of them that need no call."""
        self._add(requests=requests, cached=cached, shared=shared)

    def count_call(self, again: bool) -> None:
        """Count a call that starts."""
        self._add(calls=1, retried=int(again))

    def count_answer(self, usage: Usage, most: Callable[[], Usage] = Usage) -> None:
        """Count the tokens and the cost of an answered call; ``most`` returns an upper bound of what is unknown."""
        cost, price = 0.0, self.price
        if price is not None:
            bound = usage if usage.known else most()
            cost = price.cost(Usage(usage.prompt or bound.prompt, usage.cached, usage.completion or bound.completion))
        self._add(
            _answered=1,
            _cost=cost,
            prompt_tokens=usage.prompt,
            cached_tokens=usage.cached,
            completion_tokens=usage.completion,
            reasoning_tokens=usage.reasoning,
            unknown_usage=int(not usage.known),
        )

    def count_end(self, failed: int, seconds: float) -> None:
        """Count failed requests, and the seconds that a batch took."""
        self._add(failed=failed, seconds=seconds)

    def part(self) -> dict[str, Any]:
        """All counts, the cost and the price as JSON values, for :meth:`add_part` in another process."""
        price = self.price
        with self._lock:
            counts = {
                name: value
                for name, value in vars(self).items()
                if isinstance(value, int | float) and name != "charged"
            }
        return {**counts, "price": None if price is None else asdict(price)}

    def add_part(self, part: Mapping[str, Any]) -> None:
        """Count what :meth:`part` of another tally returned."""
        if part["price"] is not None:
            self.price = Price(**part["price"])
        self._add(**{name: count for name, count in part.items() if name != "price"})

    def _add(self, **counts: float) -> None:
        tally: UsageTally | None = self
        while tally is not None:
            with tally._lock:
                for name, count in counts.items():
                    setattr(tally, name, getattr(tally, name) + count)
            tally = tally._total

    def summary(self) -> dict[str, Any]:
        """All counts, the cost, and the price on which it is based, as JSON values."""
        price = self.price
        with self._lock:
            counts = {name: value for name, value in vars(self).items() if name[0] != "_" and name != "charged"}
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
        usage, spent = self._usage, self._usage.spent
        if self._max_cost is not None and spent >= self._max_cost:
            currency = "" if usage.price is None else f" {usage.price.currency}"
            raise LLMBudgetError(
                f"the budget is spent: {spent:.6g} of {self._max_cost:g}{currency} (--max-cost), "
                f"for {usage.calls:,} calls. Every answer is cached; go on with a higher --max-cost"
            )
        (pending.usage or usage).count_call(again=pending.calls > 0)
        pending.calls += 1
        pending.calling = True
