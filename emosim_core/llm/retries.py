"""Retries: which failed calls are made again, and after how long."""

from __future__ import annotations

import random

from emosim_core.errors import LLMError, LLMMalformedError, LLMRateLimitError, LLMTransientError

LONGEST_WAIT = 120.0
"""Seconds that a service may ask to wait; where it asks for more, its error is handed on."""


class Retries:
    """Exponential backoff with full jitter, from randomness of its own.

    Args:
        attempts: calls for one question, at least 1.
        first: seconds that the first wait is at most.
        longest: seconds that any wait is at most, but for one that the service asks for.
    """

    def __init__(self, attempts: int, first: float = 0.5, longest: float = 30.0) -> None:
        self._attempts = attempts
        self._first = first
        self._longest = longest
        self._random = random.Random()

    def wait(self, error: LLMError, calls: int) -> float | None:
        """Seconds after which a question is asked again; None where it is not.

        Args:
            error: how its last call failed.
            calls: how often it was asked, at least 1.
        """
        asked_to_wait = 0.0
        if isinstance(error, LLMRateLimitError):
            asked_to_wait = max(0.0, error.retry_after or 0.0)
        elif isinstance(error, LLMMalformedError):
            if calls > 1:
                return None
        elif not isinstance(error, LLMTransientError):
            return None
        if calls >= self._attempts or asked_to_wait > LONGEST_WAIT:
            return None
        most = min(self._longest, self._first * 2.0 ** min(calls - 1, 60))
        return asked_to_wait + self._random.uniform(0, most)
