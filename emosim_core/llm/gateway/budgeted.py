"""Budgeted: the link that makes no call once the budget is spent, and counts the others."""

from __future__ import annotations

from emosim_core.errors import LLMBudgetError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.request import PENDING, PendingRequest
from emosim_core.llm.gateway.usage import UsageTally


class Budget:
    """The most that may be spent.

    Args:
        usage: counts the calls; knows what is spent.
        max_cost: the most, in the currency of the price; None for no limit.
    """

    def __init__(self, usage: UsageTally, max_cost: float | None) -> None:
        self._usage = usage
        self._max_cost = max_cost

    def begin(self, pending: PendingRequest) -> None:
        """Count a call that starts.

        Raises:
            LLMBudgetError: the budget is spent; the call must not start.
        """
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


class Budgeted(LLMBackend):
    """Makes a call if the budget allows it.

    Args:
        backend: the next link.
        budget: the most that may be spent.
    """

    def __init__(self, backend: LLMBackend, budget: Budget) -> None:
        self._backend = backend
        self._budget = budget

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The answer to a request, unless the budget is spent."""
        self._budget.begin(PENDING.get())
        return await self._backend.answer(request)
