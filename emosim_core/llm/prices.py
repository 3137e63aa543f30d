"""Price: what a language model costs, as data with a date."""

from __future__ import annotations

from dataclasses import dataclass

from emosim_core.llm.chat import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """Price of a million tokens.

    Attributes:
        prompt: price of prompt tokens that are not in the cache of the service.
        cached: price of prompt tokens in the cache of the service.
        completion: price of answer tokens, reasoning included.
        as_of: date of the price, as ``2026-07-15``.
        source: source of the price.
        currency: currency of the three prices.
    """

    prompt: float
    cached: float
    completion: float
    as_of: str
    source: str = ""
    currency: str = "USD"

    def cost(self, usage: Usage) -> float:
        """Cost of an answer."""
        uncached = usage.prompt - usage.cached
        return (uncached * self.prompt + usage.cached * self.cached + usage.completion * self.completion) / 1e6
