"""Retries: which failed calls are repeated, after how long, and how a run reports that it waits."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from emosim_core.errors import LLMError, LLMMalformedError, LLMRateLimitError, LLMTransientError

log = logging.getLogger("emosim_core.llm")

LONGEST_WAIT = 900.0
"""Longest wait in seconds that a service may request; if it requests more, its error is raised."""

LONGEST_START = 900.0
"""Longest time in seconds to wait for a service that is starting."""

_FORGOTTEN = 60.0
"""Seconds without another report of a start after which it counts as finished."""

_MIN_REPORTED = 5.0
"""Seconds of the shortest wait that is reported."""

_SAME_OUTAGE = 60.0
_REPEAT = 600.0
"""Seconds after which a continuing outage is reported again."""

_UNITS = ((86400.0, "day", "days"), (3600.0, "h", "h"), (60.0, "min", "min"), (1.0, "s", "s"))


def requested_wait(error: object) -> float:
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
        requested = requested_wait(error)
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


def duration(seconds: float) -> str:
    """A duration in its two largest units, such as ``2 h 5 min``; any number of at least 0."""
    if seconds >= 1e9:
        return "more than 30 years"
    rest, parts = float(round(seconds)), []
    for size, one, many in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:.0f} {one if count == 1 else many}")
    return " ".join(parts[:2]) or "0 s"


def for_how_long(seconds: float, now: datetime | None = None) -> str:
    """A duration from now and its end, in local time: ``5 min, until 20:14:03``."""
    begin = (now or datetime.now()).astimezone()
    try:
        end = begin + timedelta(seconds=seconds)
    except OverflowError:
        return duration(seconds)
    return f"{duration(seconds)}, until {end:%H:%M:%S}" + ("" if end.date() == begin.date() else f" of {end:%Y-%m-%d}")


class WaitNotice:
    """Reports in the log, as a warning, that calls wait; the clock tells seconds, from any origin."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = self._reported = float("-inf")
        self._longest = 0.0

    def waits(self, error: LLMError, seconds: float) -> None:
        """Note that a call waits for some seconds, and because of which error."""
        starting = getattr(error, "starting", False)
        if seconds < _MIN_REPORTED and not starting:
            return
        now = self._clock()
        same = now < self._until + _SAME_OUTAGE
        self._until = max(self._until, now + seconds)
        if same and (starting or seconds < 2 * self._longest) and now < self._reported + _REPEAT:
            return
        self._longest = max(seconds, self._longest if same else 0.0)
        self._reported = now
        how_long = "until it has started" if starting else for_how_long(seconds)
        log.warning("Waiting %s: %s", how_long, error)
