"""Price: what a language model costs, as data with a date."""

from __future__ import annotations

from dataclasses import dataclass

from emosim_core.llm.chat import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost.

    Attributes:
        prompt: a million tokens of questions that the service did not have in its cache.
        cached: a million tokens of questions that it had.
        completion: a million tokens of answers, reasoning included.
        as_of: the day on which this was so, as ``2026-07-15``.
        source: where it is written.
        currency: of all three.
    """

    prompt: float
    cached: float
    completion: float
    as_of: str
    source: str = ""
    currency: str = "USD"

    def cost(self, usage: Usage) -> float:
        """What an answer cost."""
        asked = usage.prompt - usage.cached
        return (asked * self.prompt + usage.cached * self.cached + usage.completion * self.completion) / 1e6
