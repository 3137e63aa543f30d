"""Retrying: which failed calls are repeated, and after how long."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
import time
from collections.abc import Callable

from emosim_core.errors import EmoSimError, LLMError, LLMMalformedError, LLMRateLimitError, LLMTransientError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.limiter import AdaptiveLimiter, log
from emosim_core.llm.gateway.usage import UsageTally
from emosim_core.llm.gateway.waiting import WaitNotice, for_how_long
from emosim_core.llm.gateway.wrapper import BackendWrapper

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

    def wait(self, error: EmoSimError, calls: int) -> float | None:
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


class Retrying(BackendWrapper):
    """Repeats failed calls, and reports long waits in the log.

    Args:
        inner: the backend that is called.
        retries: which calls are repeated, and when.
        limiter: lets no other call start either while the service requests a wait.
        usage: counts the repeated calls.
    """

    def __init__(self, inner: LLMBackend, retries: Retries, limiter: AdaptiveLimiter, usage: UsageTally) -> None:
        super().__init__(inner)
        self._retries, self._limiter, self._usage = retries, limiter, usage
        self._notice = WaitNotice()

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The answer to the first call that did not fail.

        Raises:
            EmoSimError: the error of the last call, with the number of calls.
        """
        calls, repeated = 0, False
        while True:
            answer: ChatAnswer | EmoSimError
            try:
                answer = await self.inner.answer(request)
            except EmoSimError as error:
                answer = error
            self._usage.add(retried=repeated)
            if isinstance(answer, ChatAnswer):
                return answer
            calls = 1 if _starts(answer) else calls + 1  # a service that is starting costs no attempt
            await asyncio.sleep(self._wait(answer, calls))
            repeated = True

    def _wait(self, error: EmoSimError, calls: int) -> float:
        """Seconds until a call is repeated; raises the error if it is not."""
        wait, requested = self._retries.wait(error, calls), asked_wait(error)
        again = "not repeated" if wait is None else f"repeated in {wait:.2f} s"
        log.debug("call %d of a request: %s; %s", calls, type(error).__name__, again)
        if wait is None or not isinstance(error, LLMError):
            if isinstance(error, LLMError) and calls > 1:
                error = _adding(error, f" ({calls} calls)")
            if requested > LONGEST_WAIT:
                error = _adding(error, f". It asks to wait {for_how_long(requested)}, which is too long")
            raise error
        if requested or _starts(error):
            self._limiter.hold(wait if _starts(error) else requested)
        self._notice.waits(error, max(wait, self._limiter.pause()))
        return wait


def _starts(error: EmoSimError) -> bool:
    return isinstance(error, LLMTransientError) and error.starting


def _adding(error: EmoSimError, text: str) -> EmoSimError:
    """A copy of an error with a longer message; a copy, as a backend may raise the same object again."""
    with contextlib.suppress(Exception):  # an error class of a plugin may not be copyable
        longer = copy.copy(error)
        longer.args = (f"{error}{text}", *error.args[1:])
        longer.__cause__ = error
        return longer
    return error
