"""Limited: limits the number of concurrent calls, adapted to the rate limit of the service."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from emosim_core.errors import LLMRateLimitError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.wrapper import BackendWrapper

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

    def refuse(self, number: int) -> None:
        """Count the end of a call that was refused by a rate limit; ``number`` is what :meth:`start` returned."""
        self.running -= 1
        if number == self._round:
            before, self.limit, self._successes = self.limit, max(1, self.limit // 2), 0
            self._round += 1
            if self.limit < before:
                log.debug("rate limit: %d calls at the same time instead of %d", self.limit, before)

    def hold(self, seconds: float) -> None:
        """Let no call start for some seconds."""
        self._resume = max(self._resume, self._clock() + seconds)


class Limited(BackendWrapper):
    """Makes no more calls at the same time than a limiter allows; the others wait in their order.

    Args:
        inner: the backend that is called.
        limiter: how many, and when.

    Attributes:
        limiter: the limiter.
        freed: called when a further call could start, and none waits here.
    """

    def __init__(self, inner: LLMBackend, limiter: AdaptiveLimiter) -> None:
        super().__init__(inner)
        self.freed: Callable[[], object] = lambda: None
        self.limiter = limiter
        self._queue: deque[tuple[asyncio.Future[int], asyncio.Task[Any] | None]] = deque()
        self._calls: dict[asyncio.Task[Any] | None, bool] = {}
        self._timer: asyncio.TimerHandle | None = None

    def room(self, ending: int = 0) -> int:
        """Number of further calls that could start now.

        Args:
            ending: number of running calls that are about to end.
        """
        limiter = self.limiter
        return 0 if limiter.pause() > 0 else limiter.limit - limiter.running - len(self._queue) + ending

    def cancel(self, task: asyncio.Task[Any] | None, now: bool = True) -> bool:
        """Cancel a task, unless its call is running; then the task is cancelled if the call fails.

        Args:
            task: a task that calls :meth:`answer`.
            now: False takes back the cancelling of a task whose call is running.

        Returns:
            Whether the task was cancelled.
        """
        if task in self._calls:
            self._calls[task] = now
            return False
        return now and task is not None and task.cancel()

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The answer of the backend, when the call had its turn."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        turn: asyncio.Future[int] = loop.create_future()
        self._queue.append((turn, task))
        self._start()
        number = await turn
        try:
            answer = await self.inner.answer(request)
        except BaseException as error:
            if isinstance(error, LLMRateLimitError):
                self.limiter.refuse(number)
            else:
                self.limiter.fail()
            if self._calls.pop(task) and task is not None:
                task.cancel()
            raise
        else:
            self.limiter.succeed(number)
            del self._calls[task]
            return answer
        finally:
            loop.call_soon(self._start)  # soon: whoever handles the error may let no call start for a while

    def _start(self) -> None:
        """Start the calls that may start."""
        pause = self.limiter.pause()
        if pause > 0:
            self._timer = self._timer or asyncio.get_running_loop().call_later(pause, self._resume)
            return
        while self._queue and self.limiter.free():
            turn, task = self._queue.popleft()
            if not turn.done():  # else the task was cancelled
                self._calls[task] = False
                turn.set_result(self.limiter.start())
        if not self._queue and self.limiter.free():
            self.freed()

    def _resume(self) -> None:
        self._timer = None
        self._start()
