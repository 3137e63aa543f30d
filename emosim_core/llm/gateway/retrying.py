"""Retrying: the link that repeats failed calls, and says that it waits."""

from __future__ import annotations

import asyncio
import logging

from emosim_core.errors import LLMAuthenticationError, LLMBudgetError, LLMError, LLMTransientError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.limited import AdaptiveLimiter
from emosim_core.llm.gateway.request import PENDING, PendingRequest, reworded
from emosim_core.llm.gateway.retries import LONGEST_WAIT, Retries, WaitNotice, for_how_long, requested_wait

log = logging.getLogger("emosim_core.llm")


class Retrying(LLMBackend):
    """Repeats failed calls; ``together``, those that fail in the same turn of the loop, as the calls of a batch do."""

    def __init__(self, backend: LLMBackend, retries: Retries, limiter: AdaptiveLimiter, together: bool) -> None:
        self._backend, self._retries, self._limiter, self._together = backend, retries, limiter, together
        self._notice = WaitNotice()
        self._round: asyncio.Event | None = None
        self._longest = 0.0

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        pending = PENDING.get()
        while True:
            try:
                return await self._backend.answer(request)
            except (LLMAuthenticationError, LLMBudgetError):
                raise
            except LLMError as error:
                raised = error
            wait = self._wait(pending, raised)
            await (self._sleep(wait) if self._together else asyncio.sleep(wait))

    def _wait(self, pending: PendingRequest, error: LLMError) -> float:
        """Seconds until a failed call is repeated; raises its error if it is not."""
        starting = isinstance(error, LLMTransientError) and error.starting
        if starting:
            pending.calls = min(pending.calls, 1)  # a service that is starting costs no attempt
        wait = self._retries.wait(error, pending.calls)
        again = "not repeated" if wait is None else f"repeated in {wait:.2f} s"
        log.debug("request %.12s, call %d: %s; %s", pending.key, pending.calls, type(error).__name__, again)
        requested = requested_wait(error)
        if wait is None:
            message = str(error) if pending.calls == 1 else f"{error} ({pending.calls} calls)"
            if requested > LONGEST_WAIT:
                message += f". It asks to wait {for_how_long(requested)}, which is too long"
            raise error if message == str(error) else reworded(error, message)
        if pending.ending is not None:
            raise pending.ending
        if requested or starting:
            self._limiter.hold(wait if starting else requested)
        self._notice.waits(error, max(wait, self._limiter.pause()))
        return wait

    async def _sleep(self, wait: float) -> None:
        """Sleep for the longest wait of the calls that fail in this turn of the loop."""
        loop = asyncio.get_running_loop()
        if self._round is None:
            self._round, self._longest = asyncio.Event(), 0.0
            loop.call_soon(self._end_round, loop, self._round)
        self._longest = max(self._longest, wait)
        await self._round.wait()

    def _end_round(self, loop: asyncio.AbstractEventLoop, round_: asyncio.Event) -> None:
        loop.call_later(self._longest, round_.set)
        self._round = None
