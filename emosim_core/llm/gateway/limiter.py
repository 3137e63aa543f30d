"""AdaptiveLimiter: limits the number of concurrent calls, adapted to the rate limit of the service."""

from __future__ import annotations

import time
from collections.abc import Callable


class AdaptiveLimiter:
    """Halves the number of calls at a rate limit, down to 1, and grows it by one per round of successes.

    All concurrent calls count as one round, so that a burst of refused calls halves the number once. Not
    thread-safe.

    Args:
        most: greatest and initial number of concurrent calls; at least 1.
        clock: seconds, from any origin.

    Attributes:
        limit: current limit of concurrent calls, 1 to ``most``.
        running: number of running calls.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self.limit = most
        self.running = 0
        self._round = 0
        self._successes = 0
        self._resume = clock()

    def free(self) -> bool:
        """Whether one more call fits."""
        return self.running < self.limit

    def pause(self) -> float:
        """Seconds until a call may start; 0 for now."""
        return max(0.0, self._resume - self._clock())

    def start(self) -> int:
        """Register a started call. Returns its round id for ``succeed()`` and ``refuse()``."""
        self.running += 1
        return self._round

    def succeed(self, number: int) -> None:
        """Count the end of a call that was answered."""
        self.running -= 1
        if number != self._round or self.limit == self._most:
            return
        self._successes += 1
        if self._successes >= self.limit:
            self.limit, self._successes = self.limit + 1, 0

    def fail(self) -> None:
        """Count the end of a call that failed for another reason than its rate."""
        self.running -= 1

    def refuse(self, number: int, retry_after: float | None = None) -> None:
        """Count the end of a call that was refused by a rate limit.

        Args:
            number: what :meth:`start` returned.
            retry_after: seconds for which no call may start, if the service gave them.
        """
        self.running -= 1
        if number == self._round:
            self.limit, self._successes = max(1, self.limit // 2), 0
            self._round += 1
        self.hold(retry_after or 0.0)

    def hold(self, seconds: float) -> None:
        """Let no call start for some seconds."""
        if seconds > 0:
            self._resume = max(self._resume, self._clock() + seconds)
