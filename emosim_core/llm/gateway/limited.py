"""Limited: the link that limits the number of concurrent calls, adapted to the rate limit of the service."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from emosim_core.errors import LLMRateLimitError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.request import PENDING

log = logging.getLogger("emosim_core.llm")


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
        waiting: number of requests that wait for a call of theirs to start.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self.limit = most
        self.running = self.waiting = 0
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

    def defer(self) -> None:
        """Let a started call wait once more."""
        self.running -= 1
        self.waiting += 1

    def resume(self) -> None:
        """Start a call that was deferred."""
        self.running += 1
        self.waiting -= 1

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

    def refuse(self, number: int) -> None:
        """Count the end of a call with this round id that was refused by a rate limit."""
        self.running -= 1
        if number == self._round:
            before, self.limit, self._successes = self.limit, max(1, self.limit // 2), 0
            self._round += 1
            if self.limit < before:
                log.debug("rate limit: %d calls at the same time instead of %d", self.limit, before)

    def hold(self, seconds: float) -> None:
        """Let no call start for some seconds."""
        self._resume = max(self._resume, self._clock() + seconds)


class Limited(LLMBackend):
    """Makes a call when there is a slot for it.

    Args:
        backend: the next link; the slot of a request is free again when it has returned.
        limiter: gives out the slots.
        idle: called when a slot is free and no request waits for it.
    """

    def __init__(self, backend: LLMBackend, limiter: AdaptiveLimiter, idle: Callable[[], None]) -> None:
        self._backend, self._limiter, self._idle = backend, limiter, idle
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        number = await self._slot()
        try:
            answer = await self._backend.answer(request)
        except BaseException as error:
            if isinstance(error, LLMRateLimitError):
                self._limiter.refuse(number)
            else:
                self._limiter.fail()
            # In the next turn of the loop, as what failed may hold or stop all calls.
            asyncio.get_running_loop().call_soon(self._give_out)
            raise
        finally:
            PENDING.get().calling = False
        self._limiter.succeed(number)
        self._give_out()
        return answer

    async def _slot(self) -> int:
        slot: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        self._limiter.waiting += 1
        self._give_out()
        try:
            return await slot
        except asyncio.CancelledError:
            if slot.cancelled():
                self._limiter.waiting -= 1
            else:  # it was cancelled at the moment in which it got its slot
                self._limiter.fail()
                self._give_out()
            raise

    def _give_out(self) -> None:
        """Give the free slots to the requests that wait."""
        while self._limiter.free():
            while self._waiting and self._waiting[0].cancelled():
                self._waiting.popleft()
            if not self._waiting:
                self._idle()
                return
            pause = self._limiter.pause()
            if pause > 0:
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(pause, self._resume)
                return
            self._waiting.popleft().set_result(self._limiter.start())
            self._limiter.waiting -= 1

    def _resume(self) -> None:
        self._timer = None
        self._give_out()
