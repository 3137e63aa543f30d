"""Waiting: reports that a run waits for its service, for how long and until when, once for each outage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from emosim_core.errors import LLMError

log = logging.getLogger("emosim_core.llm")

_MIN_REPORTED = 5.0
"""Seconds of the shortest wait that is reported."""

_SAME_OUTAGE = 60.0
_REPEAT = 600.0
"""Seconds after which a continuing outage is reported again."""

_UNITS = ((86400.0, "day", "days"), (3600.0, "h", "h"), (60.0, "min", "min"), (1.0, "s", "s"))


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
    """Reports in the log, as a warning, that calls wait.

    Args:
        clock: seconds, from any origin.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = self._reported = float("-inf")
        self._longest = 0.0

    def waits(self, error: LLMError, seconds: float) -> None:
        """Note that a call waits.

        Args:
            error: why.
            seconds: how long.
        """
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
