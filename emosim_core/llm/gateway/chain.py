"""Chain: the links through which a request goes to a backend, and the event loop in which they work."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty

from emosim_core.errors import EmoSimError, LLMTransientError, PluginError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.gateway.batched import Batched
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.llm.gateway.cache_writer import CacheWriter
from emosim_core.llm.gateway.cached import Cached, Written
from emosim_core.llm.gateway.counted import Counted
from emosim_core.llm.gateway.limited import AdaptiveLimiter, Limited
from emosim_core.llm.gateway.pending import PendingRequests
from emosim_core.llm.gateway.request import CLOSED, Caller, PendingRequest
from emosim_core.llm.gateway.retries import Retries
from emosim_core.llm.gateway.retrying import Retrying
from emosim_core.llm.gateway.usage import Budgeted, UsageTally
from emosim_core.llm.options import GatewayOptions

_LOOK_SECONDS = 0.5
"""Seconds of one wait; an unlimited one cannot be interrupted on every system."""


class Chain:
    """Sends requests to a backend: ``cached(retrying(limited(written(budgeted(counted(backend))))))``.

    A slot of the limit is held until the answer is on disk, and not while a failed call waits to be repeated. The links
    work in one event loop, in a daemon thread; methods are called from the threads that ask. ``ended`` says whether
    the loop has ended; ``counted`` is the innermost link, around the backend.
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
        self.ended = False
        self._counted = counted
        self._new_event_loop = backend.new_event_loop
        self._error: BaseException | None = None
        limiter = AdaptiveLimiter(sys.maxsize if backend.batched else options.concurrency)
        self._writer = CacheWriter(cache, backend.identity, counted.name, limiter, options.concurrency)
        budgeted = Budgeted(counted, usage, options.max_cost)
        called = Batched(counted, budgeted, limiter) if backend.batched else budgeted
        limited = Limited(Written(called, self._writer, counted), limiter, self._writer.flush_soon)
        retrying = Retrying(limited, retries, limiter, together=backend.batched)
        self._pending = PendingRequests(Cached(retrying, self._writer, counted, usage), usage, counted.name)
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._run, name="emosim-llm", daemon=True)

    def start(self) -> None:
        """Start the thread; all other methods need it."""
        self._thread.start()
        self._loop = self._started.result()

    def abandon(self) -> None:
        """End the thread, whatever became of :meth:`start`, without waiting for it."""
        self._started.add_done_callback(self._end)

    def submit(self, caller: Caller, requests: list[PendingRequest]) -> None:
        """Send requests for a thread."""
        self._call(self._pending.submit, caller, requests)

    def leave(self, caller: Caller) -> None:
        """Send nothing more for a thread, and wait until its running calls are completed."""
        caller.enough = 0
        self._call(self._pending.leave, caller)
        while caller.waits and not self.ended:
            self.wait(caller)

    def wait(self, caller: Caller) -> None:
        """Wait for news of a thread's requests, at most half a second, or run a batch in it."""
        try:
            batch = caller.inbox.get(timeout=_LOOK_SECONDS)
        except Empty:
            self._writer.beat()  # the loop cannot, while a backend blocks it
            if self.ended and caller.waits:
                caller.error = caller.error or self._fault()
        else:
            if batch is not None:
                batch()

    def close(self) -> None:
        """Start no further call, complete the running ones, close the backend (else a PluginError) and end the loop."""
        self._end(self._started)
        while self._thread.is_alive():
            self._thread.join(_LOOK_SECONDS)
            self._writer.beat()
        self._writer.close()
        if isinstance(self._error, EmoSimError):
            raise self._error

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def _end(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        if not started.exception():
            with contextlib.suppress(RuntimeError):
                started.result().call_soon_threadsafe(self._closing.set)

    def _fault(self) -> EmoSimError:
        if self._closing.is_set():
            return LLMTransientError(CLOSED)
        how = "" if isinstance(self._error, RuntimeError | None) else f" by {type(self._error).__name__}"
        return PluginError(f"{self._counted.name} has ended the event loop in which it works{how}")

    # --------------------------------------------------------------------------------- in the loop's thread

    def _run(self) -> None:
        try:
            self._run_until_closed(self._new_event_loop())
        except BaseException as error:  # also of a task that the backend has started, such as SystemExit
            self._error = error
            if not self._started.done():
                self._started.set_exception(error)
        finally:
            self.ended = True

    def _run_until_closed(self, loop: asyncio.AbstractEventLoop) -> None:
        """As ``asyncio.run``, which takes no loop before Python 3.12."""
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._live())
        finally:
            try:
                if left := asyncio.all_tasks(loop):
                    for task in left:
                        task.cancel()
                    loop.run_until_complete(asyncio.wait(left))
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
            finally:
                asyncio.set_event_loop(None)
                loop.close()

    async def _live(self) -> None:
        """What the loop does until it is closed."""
        try:
            self._closing = asyncio.Event()
            self._started.set_result(asyncio.get_running_loop())
            keeping = asyncio.create_task(self._writer.keep())
            await self._closing.wait()
            await self._pending.close()
            keeping.cancel()
            await self._counted.close()
        finally:
            self.ended = True
