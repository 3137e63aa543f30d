"""Retries: which failed calls are repeated, and after how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from emosim_core.errors import LLMError, LLMMalformedError, LLMRateLimitError, LLMTransientError

LONGEST_WAIT = 900.0
"""Longest wait in seconds that a service may request; if it requests more, its error is raised."""

LONGEST_START = 900.0
"""Longest time in seconds to wait for a service that is starting."""

_FORGOTTEN = 60.0
"""Seconds without another report of a start after which it counts as finished."""


def asked_wait(error: object) -> float:
    """The wait that a service requests, in seconds; 0 if it requests none."""
    if isinstance(error, LLMRateLimitError | LLMTransientError):
        return max(0.0, error.retry_after or 0.0)
    return 0.0


class Retries:
    """Exponential backoff with full jitter, from randomness of its own.

    Args:
        attempts: maximum calls for one request, at least 1.
        first: upper bound of the first wait, in seconds.
        longest: upper bound of every wait, in seconds, without the wait that the service requests.
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
        """Seconds until a failed call is repeated; None if it is not.

        Args:
            error: how its last call failed.
            calls: number of calls for the request so far, at least 1.
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
        """The wait for a service that is starting, whatever the number of calls: 1 to 10 s, growing with time."""
        now = self._clock()
        if now > self._start_seen + _FORGOTTEN + self._longest:
            self._start_began = now
        self._start_seen = now + requested
        lasted = now - self._start_began
        if lasted > LONGEST_START:
            return None
        return (requested or min(10.0, 1.0 + lasted / 4)) + self._random.uniform(0, self._first)
