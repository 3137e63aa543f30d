"""Budgeted: the link that makes no call once the budget is spent, and counts the others."""

from __future__ import annotations

from emosim_core.errors import LLMBudgetError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.request import PENDING, PendingRequest
from emosim_core.llm.gateway.usage import UsageTally


class Budgeted(LLMBackend):
    """Makes a call if the budget allows it.

    Args:
        backend: the next link.
        usage: counts the calls; knows what is spent.
        max_cost: the most that may be spent, in the currency of the price; None for no limit.
    """

    def __init__(self, backend: LLMBackend, usage: UsageTally, max_cost: float | None) -> None:
        self._backend, self._usage, self._max_cost = backend, usage, max_cost

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        self.begin(PENDING.get())
        return await self._backend.answer(request)

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
