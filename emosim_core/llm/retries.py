"""Retries: which failed calls are made again, and after how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from emosim_core.errors import LLMError, LLMMalformedError, LLMRateLimitError, LLMTransientError

LONGEST_WAIT = 900.0
"""Seconds that a service may ask to wait; where it asks for more, its error is handed on."""

LONGEST_START = 900.0
"""Seconds for which a service is waited for that says that it is starting."""

_FORGOTTEN = 60.0
"""Seconds without a word of it after which a start is over."""


def asked_wait(error: object) -> float:
    """Seconds that a service asks to wait, at least 0."""
    if isinstance(error, LLMRateLimitError | LLMTransientError):
        return max(0.0, error.retry_after or 0.0)
    return 0.0


class Retries:
    """Exponential backoff with full jitter, from randomness of its own.

    Args:
        attempts: calls for one question, at least 1.
        first: seconds that the first wait is at most.
        longest: seconds that any wait is at most, but for one that the service asks for.
        clock: seconds, from any origin.
    """

    def __init__(
        self, attempts: int, first: float = 0.5, longest: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._attempts = attempts
        self._first = first
        self._longest = longest
        self._clock = clock
        self._random = random.Random()
        self._start_began = self._start_seen = float("-inf")

    def wait(self, error: LLMError, calls: int) -> float | None:
        """Seconds after which a question is asked again; None where it is not.

        Args:
            error: how its last call failed.
            calls: how often it was asked, at least 1.
        """
        requested = asked_wait(error)
        if requested > LONGEST_WAIT:
            return None
        if isinstance(error, LLMTransientError) and error.starting:
            return self._while_starting(requested)
        if isinstance(error, LLMMalformedError):
            if calls > 1:
                return None
        elif not isinstance(error, LLMRateLimitError | LLMTransientError):
            return None
        if calls >= self._attempts:
            return None
        most = min(self._longest, self._first * 2.0 ** min(calls - 1, 60))
        return requested + self._random.uniform(0, most)

    def _while_starting(self, requested: float) -> float | None:
        """The wait for a service that is starting, however often it was asked: 1 to 10 s, and rarer with time."""
        now = self._clock()
        if now > self._start_seen + _FORGOTTEN + self._longest:
            self._start_began = now
        self._start_seen = now + requested
        lasted = now - self._start_began
        if lasted > LONGEST_START:
            return None
        return (requested or min(10.0, 1.0 + lasted / 4)) + self._random.uniform(0, self._first)
