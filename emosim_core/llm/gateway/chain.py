"""Chain: the links through which a request goes to a backend, and the event loop in which they work."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from queue import Empty

from emosim_core.errors import EmoSimError, LLMTransientError, PluginError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.gateway.batched import Batched
from emosim_core.llm.gateway.budgeted import Budget, Budgeted
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.llm.gateway.cache_writer import CacheWriter
from emosim_core.llm.gateway.cached import Cached, Written
from emosim_core.llm.gateway.counted import Counted
from emosim_core.llm.gateway.limited import AdaptiveLimiter, Limited
from emosim_core.llm.gateway.loop_thread import LoopThread
from emosim_core.llm.gateway.pending import PendingRequests
from emosim_core.llm.gateway.request import CLOSED, Caller, PendingRequest
from emosim_core.llm.gateway.reserve import Reserve
from emosim_core.llm.gateway.retries import Retries
from emosim_core.llm.gateway.retrying import Retrying
from emosim_core.llm.gateway.usage import UsageTally
from emosim_core.llm.options import GatewayOptions

_LOOK_SECONDS = 0.5
"""Seconds of one wait; an unlimited one cannot be interrupted on every system."""

_BYTES_PER_ANSWER = 64 * 1024
_MIN_RESERVE = 1024 * 1024


class Chain:
    """Sends requests to a backend: ``cached(retrying(limited(written(budgeted(counted(backend))))))``.

    A slot of the limit is held until the answer is on disk, and not while a failed call waits to be repeated. All links
    work in one event loop, in a thread of its own; methods are called from the threads that ask.

    Args:
        backend: the language model.
        counted: the innermost link, around the backend.
        options: concurrency and budget.
        usage: counts requests, calls and tokens.
        cache: the cache of answers.
        retries: which calls are repeated, and when.
    """

    def __init__(
        self,
        backend: LLMBackend,
        counted: Counted,
        options: GatewayOptions,
        usage: UsageTally,
        cache: AnswerCache,
        retries: Retries,
    ) -> None:
        self._backend = backend
        self._counted = counted
        reserve = Reserve(cache.path.parent, max(_MIN_RESERVE, options.concurrency * _BYTES_PER_ANSWER))
        limiter = AdaptiveLimiter(sys.maxsize if backend.batched else options.concurrency)
        budget = Budget(usage, options.max_cost)
        writer = CacheWriter(cache, backend.identity, counted.name, limiter, reserve)
        called = Batched(counted, budget, limiter) if backend.batched else Budgeted(counted, budget)
        limited = Limited(Written(called, writer, counted.clean), limiter, writer.flush_soon)
        retrying = Retrying(limited, retries, limiter, together=backend.batched)
        self._pending = PendingRequests(Cached(retrying, writer, counted.clean, usage), usage, counted.name)
        self._writer = writer
        self._closing: asyncio.Task[None] | None = None
        self._error: EmoSimError | None = None
        self._thread = LoopThread("emosim-llm")
        self._thread.call(self._begin)

    def submit(self, caller: Caller, requests: Sequence[PendingRequest]) -> None:
        """Send requests for a thread."""
        self._thread.call(self._pending.submit, caller, requests)

    def leave(self, caller: Caller) -> None:
        """Send nothing more for a thread; its running calls are completed."""
        self._thread.call(self._pending.leave, caller)

    @property
    def ended(self) -> bool:
        """Whether the event loop has ended."""
        return self._thread.ended

    def wait(self, caller: Caller) -> None:
        """Wait for news of a thread's requests, at most half a second, or run a batch in it."""
        try:
            batch = caller.inbox.get(timeout=_LOOK_SECONDS)
        except Empty:
            self._writer.beat()  # the loop cannot, while a backend blocks it
            if self.ended:
                caller.error = caller.error or self._fault()
        else:
            if batch is not None:
                batch()

    def close(self) -> None:
        """Start no further call, complete the running ones, close the backend and end the loop.

        Raises:
            PluginError: the backend cannot be closed.
        """
        self._thread.call(self._begin_to_close)
        while not self._thread.join(_LOOK_SECONDS):
            self._writer.beat()
        self._writer.close()
        if self._error is not None:
            raise self._error

    def _fault(self) -> EmoSimError:
        if self._closing is not None:
            return LLMTransientError(CLOSED)
        error = self._thread.error
        how = "" if error is None else f" by {type(error).__name__}"
        return PluginError(f"{self._counted.name} has ended the event loop in which it works{how}")

    # --------------------------------------------------------------------------------- in the loop's thread

    def _begin(self) -> None:
        self._keeping = asyncio.get_running_loop().create_task(self._writer.keep())

    def _begin_to_close(self) -> None:
        self._closing = asyncio.get_running_loop().create_task(self._close())

    async def _close(self) -> None:
        try:
            await self._pending.close()
            await self._counted.close()
        except EmoSimError as error:
            self._error = error
        finally:
            asyncio.get_running_loop().stop()
