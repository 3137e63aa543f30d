"""Budgeted: refuses calls when the budget is spent, or when every further call would fail."""

from __future__ import annotations

from emosim_core.errors import ConfigurationError, EmoSimError, LLMAuthenticationError, LLMBudgetError, LLMError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.usage import UsageTally
from emosim_core.llm.gateway.wrapper import BackendWrapper


class CallRefused(Exception):
    """No call was made.

    Attributes:
        error: why.
    """

    def __init__(self, error: EmoSimError) -> None:
        super().__init__(str(error))
        self.error = error


class Budgeted(BackendWrapper):
    """Refuses calls when the budget is spent, or after an error that every further call would raise.

    Args:
        inner: the backend that is called.
        usage: what was spent.
        max_cost: the most that may be spent, in the currency of the backend's price; None for no limit.
    """

    def __init__(self, inner: LLMBackend, usage: UsageTally, max_cost: float | None) -> None:
        super().__init__(inner)
        self._usage, self._max_cost = usage, max_cost
        self._stopped: EmoSimError | None = None

    def check_price(self) -> None:
        """Read the price of the backend.

        Raises:
            ConfigurationError: a limit is set, and the backend has no price.
        """
        self._usage.price = self.price()
        if self._max_cost is not None and self._usage.price is None:
            raise ConfigurationError(
                f"a limit on the cost (--max-cost) needs a price, and none is known for {self.identity!r}; "
                "leave the limit out"
            )

    def stop(self, error: EmoSimError) -> None:
        """Refuse all further calls with this error."""
        self._stopped = self._stopped or error

    def refusal(self) -> EmoSimError | None:
        """Error with which a call is refused; None if it may start."""
        if self._stopped is not None or self._max_cost is None:
            return self._stopped
        spent = self._usage.cost or 0.0
        if spent < self._max_cost:
            return None
        price = self._usage.price
        currency = "" if price is None else f" {price.currency}"
        return LLMBudgetError(
            f"the budget is spent: {spent:.6g} of {self._max_cost:g}{currency} (--max-cost), "
            f"for {self._usage.calls:,} calls. Every answer is cached; go on with a higher --max-cost"
        )

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The answer of the backend.

        Raises:
            CallRefused: the call was not made.
        """
        if (refusal := self.refusal()) is not None:
            raise CallRefused(refusal)
        try:
            return await self.inner.answer(request)
        except EmoSimError as error:
            if isinstance(error, LLMAuthenticationError) or not isinstance(error, LLMError):
                self.stop(error)
            raise
