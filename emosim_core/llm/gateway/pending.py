"""PendingRequests: the table of the requests without an answer, each of which is asked once, whoever waits for it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence

from emosim_core.errors import (
    EmoSimError,
    LLMAuthenticationError,
    LLMBudgetError,
    LLMCacheError,
    LLMError,
    LLMTransientError,
    PluginError,
)
from emosim_core.hooks.faults import fault
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.gateway.request import CLOSED, PENDING, Caller, PendingRequest, Result
from emosim_core.llm.gateway.retries import LONGEST_WAIT, requested_wait
from emosim_core.llm.gateway.usage import UsageTally


class PendingRequests:
    """Table of the pending requests, each of which goes through the backend in a task of its own.

    All methods run in the event loop. ``usage`` counts the requests that share the call of another.
    """

    def __init__(self, backend: LLMBackend, usage: UsageTally, name: str) -> None:
        self._backend = backend
        self._name = name
        self._usage = usage
        self._table: dict[str, PendingRequest] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped: LLMError | None = None
        self._stopped_until = -math.inf

    def submit(self, caller: Caller, requests: Sequence[PendingRequest]) -> None:
        """Ask requests for a thread; those that are pending already are joined."""
        shared = 0
        stopped = self._stopped if time.monotonic() < self._stopped_until else None
        for new in requests:
            if refusal := stopped or caller.error:
                caller.deliver(new.key, refusal)
                continue
            pending = self._table.setdefault(new.key, new)
            pending.ending = None
            pending.callers.append(caller)
            if pending is new:
                new.usage = caller.usage
                new.task = asyncio.get_running_loop().create_task(self._answer(new))
                self._tasks.add(new.task)
                new.task.add_done_callback(self._tasks.discard)
            else:
                shared += 1
        (caller.usage or self._usage).count_requests(0, 0, shared)

    def leave(self, caller: Caller) -> None:
        """End the requests that only this thread waits for; their running calls are completed."""
        withdrawn = LLMTransientError("the request was withdrawn before it was sent")
        for key in caller.keys - caller.results.keys():
            pending = self._table.get(key)
            if pending is not None and pending.callers == [caller]:
                self._end(pending, withdrawn)
            else:  # others wait for it, or the thread was interrupted before it could submit it
                if pending is not None and caller in pending.callers:
                    pending.callers.remove(caller)
                caller.deliver(key, withdrawn)

    async def close(self) -> None:
        """Ask no further request, and wait for the running calls."""
        self._stop(LLMTransientError(CLOSED), math.inf)
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _answer(self, pending: PendingRequest) -> None:
        PENDING.set(pending)
        result: Result
        try:
            result = await self._backend.answer(pending.request)
        except asyncio.CancelledError:
            result = pending.ending or PluginError(f"{self._name} cancelled the task of a request")
        except EmoSimError as error:
            result = error
        except Exception as error:
            result = fault("the gateway", error)
        if pending.ending is None and isinstance(result, EmoSimError):
            wait = requested_wait(result)
            if wait > LONGEST_WAIT:
                self._stop(result, wait)
            elif isinstance(result, LLMAuthenticationError):
                self._stop(result, math.inf)
            elif isinstance(result, LLMBudgetError | LLMCacheError):
                self._stop(result)
        self._settle(pending, result)

    def _stop(self, error: EmoSimError, seconds: float = 0.0) -> None:
        """End all requests, and those that come within some seconds, until the gateway is closed and opened anew."""
        until = time.monotonic() + seconds
        if isinstance(error, LLMError) and seconds and until > self._stopped_until:
            self._stopped, self._stopped_until = error, until
        for pending in list(self._table.values()):
            self._end(pending, error)

    def _end(self, pending: PendingRequest, error: EmoSimError) -> None:
        pending.ending = error
        if not pending.calling and pending.task is not None:
            pending.task.cancel()
            self._settle(pending, error)

    def _settle(self, pending: PendingRequest, result: Result) -> None:
        if self._table.get(pending.key) is pending:
            del self._table[pending.key]
        callers, pending.callers = pending.callers, []
        for caller in callers:
            goes_on = caller.error is None
            caller.deliver(pending.key, result)
            if goes_on and caller.error is not None:
                self.leave(caller)
