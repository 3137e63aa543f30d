"""Dispatcher: sends many requests to a backend at the same time, in an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence

from emosim_core.errors import EmoSimError, LLMCacheError, LLMError, LLMRateLimitError, LLMTransientError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.gateway.cache_writer import RETRY_SECONDS, Answered, CacheWriter
from emosim_core.llm.gateway.limiter import AdaptiveLimiter
from emosim_core.llm.gateway.pending import PendingRequest, PendingRequests
from emosim_core.llm.gateway.retries import LONGEST_WAIT, asked_wait
from emosim_core.llm.gateway.retry_policy import CLOSED, RetryPolicy, log
from emosim_core.llm.gateway.waiting import WaitNotice, for_how_long

_POLLED = 500
_FIRST_POLL, _LONGEST_POLL = 0.05, 0.5
"""Seconds between two looks at requests that other processes have claimed: at first, and at most."""


class Dispatcher:
    """Sends requests to a backend. Public methods are thread-safe; all others run in the thread of the loop.

    The slot of a call is free again when its answer is in the cache. The transaction that writes answers also claims
    the next requests, up to twice the free slots, so that few transactions are needed.

    Args:
        backend: the language model.
        retry_policy: decides whether a call may start, and whether a failed one is repeated.
        limiter: limits the number of concurrent calls.
        pending: table in which failed requests are settled.
        cache_writer: writes answers to the cache.
    """

    def __init__(
        self,
        backend: LLMBackend,
        retry_policy: RetryPolicy,
        limiter: AdaptiveLimiter,
        pending: PendingRequests,
        cache_writer: CacheWriter,
    ) -> None:
        self._backend = backend
        self._retry_policy = retry_policy
        self._limiter = limiter
        self._pending = pending
        self._cache_writer = cache_writer
        self._queue: deque[PendingRequest] = deque()
        self._ready: deque[PendingRequest] = deque()
        self._elsewhere: list[PendingRequest] = []
        self._poll_timer: asyncio.TimerHandle | None = None
        self._pause = _FIRST_POLL
        self._delayed: dict[PendingRequest, asyncio.TimerHandle] = {}
        self._answered: list[Answered] = []
        self._written: asyncio.Future[None] | None = None
        self._retrying = False
        self._calls: set[asyncio.Task[None]] = set()
        self._wake: asyncio.TimerHandle | None = None
        self._notice = WaitNotice()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="emosim-llm", daemon=True)
        self._thread.start()

    def submit(self, entries: Sequence[PendingRequest]) -> None:
        """Queue requests."""
        self._loop.call_soon_threadsafe(self._submit, entries)

    def withdraw(self, entries: Sequence[PendingRequest]) -> None:
        """Drop those of these requests that nobody waits for; running calls are completed."""
        self._loop.call_soon_threadsafe(self._withdraw, entries)

    def stop(self) -> None:
        """Settle the requests that are not running, after the retry policy was stopped."""
        self._loop.call_soon_threadsafe(self._pump)

    def close(self) -> None:
        """Start no further call, complete the running ones, close the backend and end the thread.

        Raises:
            PluginError: the backend cannot be closed.
        """
        closing = asyncio.run_coroutine_threadsafe(self._finish(), self._loop)
        try:
            with self._retry_policy.worded():
                closing.result()
        finally:
            if closing.done():  # else this thread was interrupted, and must not wait any longer
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()

    # --------------------------------------------------------------------------------- in the loop's thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    def _submit(self, entries: Sequence[PendingRequest]) -> None:
        for entry in entries:
            if not entry.queued:
                entry.queued = True
                self._queue.append(entry)
        self._pump()

    def _withdraw(self, entries: Sequence[PendingRequest]) -> None:
        claimed = [*self._delayed, *self._ready]
        for entry in entries:
            if entry in self._delayed and self._drop(entry):
                self._delayed.pop(entry).cancel()
        self._queue = deque(entry for entry in self._queue if not self._drop(entry))
        self._ready = deque(entry for entry in self._ready if not self._drop(entry))
        self._elsewhere = [entry for entry in self._elsewhere if not self._drop(entry)]
        self._cache_writer.release([entry for entry in claimed if entry.result is not None])

    def _drop(self, entry: PendingRequest) -> bool:
        return self._pending.drop(entry, LLMTransientError("the request was withdrawn before it was sent"))

    def _pump(self) -> None:
        """Start the calls that may start."""
        refusal = self._retry_policy.refusal()
        if refusal is not None:
            self._settle_waiting(refusal)
            return
        if self._retrying or not (self._queue or self._ready):
            return
        pause = self._limiter.pause()
        if pause > 0:
            if self._wake is None:
                self._wake = self._loop.call_later(pause, self._awake)
            return
        self._start()
        if self._queue and self._limiter.free():
            self._exchange()

    def _start(self) -> None:
        while self._ready and self._limiter.free():
            entry = self._ready.popleft()
            if self._drop(entry):
                self._cache_writer.release([entry])
                continue
            self._retry_policy.start(entry)
            call = self._loop.create_task(self._call(entry, self._limiter.start()))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    def _exchange(self) -> None:
        """Write the answers, and claim and start as many requests as there are free slots."""
        count = 1
        while self._answered or (self._queue and count):
            # Answered requests still hold their slots. The more requests are claimed elsewhere, the more are tried.
            slots = self._limiter.limit - self._limiter.running + len(self._answered) - len(self._ready)
            may_start = self._retry_policy.refusal() is None and self._limiter.pause() <= 0
            count = max(count, slots + self._limiter.limit) if slots > 0 and may_start else 0
            wanted = [self._queue.popleft() for _ in range(min(count, len(self._queue)))]
            try:
                claimed, elsewhere = self._cache_writer.exchange(self._answered, wanted)
            except LLMCacheError as error:
                self._queue.extendleft(reversed(wanted))
                self._write_failed(error)
                return
            self._free_slots()
            self._ready.extend(claimed)
            self._wait_for(elsewhere)
            count *= 2
            if claimed:
                break
        self._start()

    def _write_failed(self, error: LLMCacheError) -> None:
        # Running calls are completed first, so that the error can count the lost answers.
        if self._cache_writer.should_retry(error) or self._limiter.running > len(self._answered):
            self._retrying = True
            self._loop.call_later(RETRY_SECONDS, self._retry)
            return
        self._cache_writer.give_up(self._answered, error)
        self._free_slots()
        self._pump()

    def _retry(self) -> None:
        self._retrying = False
        self._exchange()

    def _free_slots(self) -> None:
        """Free the slots of the answered requests, whose answers are written or lost."""
        self._answered = []
        if self._written is not None:
            self._written.set_result(None)
            self._written = None

    def _wait_for(self, entries: Sequence[PendingRequest]) -> None:
        """Wait for requests that other processes have claimed."""
        self._elsewhere += entries
        if self._elsewhere and self._poll_timer is None:
            self._poll_timer = self._loop.call_later(self._pause, self._poll_elsewhere)

    def _poll_elsewhere(self) -> None:
        """Take over what other processes have answered, or have released."""
        self._poll_timer = None
        batch, rest = self._elsewhere[:_POLLED], self._elsewhere[_POLLED:]
        try:
            claimed, released = self._cache_writer.poll(batch)
        except LLMCacheError as error:
            self._cache_writer.give_up([], error)
            return
        self._pause = _FIRST_POLL if len(claimed) < len(batch) else min(2 * self._pause, _LONGEST_POLL)
        self._elsewhere = [*rest, *claimed] if len(claimed) == len(batch) else [*claimed, *rest]
        self._queue.extendleft(reversed(released))
        self._wait_for(())
        self._pump()

    def _awake(self) -> None:
        self._wake = None
        self._pump()

    async def _call(self, entry: PendingRequest, number: int) -> None:
        try:
            answer = self._retry_policy.answered(entry, await self._backend.answer(entry.request))
        except BaseException as error:  # of any type: the waiting thread must get it
            self._failed(entry, number, error)
        else:
            if self._written is None:  # answers of one turn of the loop are written together
                self._written = self._loop.create_future()
                self._loop.call_soon(self._write_answers)
            self._answered.append((entry, answer))
            await self._written
            self._limiter.succeed(number)
        self._pump()

    def _write_answers(self) -> None:
        if self._answered and not self._retrying:
            self._exchange()

    def _failed(self, entry: PendingRequest, number: int, raised: BaseException) -> None:
        pause = asked_wait(raised)
        if isinstance(raised, LLMRateLimitError):
            before = self._limiter.limit
            self._limiter.refuse(number)
            if self._limiter.limit < before:
                log.debug("rate limit: %d calls at the same time instead of %d", self._limiter.limit, before)
        else:
            self._limiter.fail()
        starting = isinstance(raised, LLMTransientError) and raised.starting
        if starting:
            entry.calls = min(entry.calls, 1)  # a service that is starting costs no attempt
        error, wait = self._retry_policy.failed(entry, raised)
        if pause > LONGEST_WAIT:
            error.args = (f"{error}. It asks to wait {for_how_long(pause)}, which is too long", *error.args[1:])
        elif wait is not None and (pause or starting):
            self._limiter.hold(wait if starting else pause)
        if wait is not None and isinstance(error, LLMError):
            self._notice.waits(error, max(wait, self._limiter.pause()))
        if wait is None:
            self._pending.settle(entry, error)
            self._cache_writer.release([entry])
            if pause > LONGEST_WAIT:
                self._settle_waiting(error)
        elif self._drop(entry):
            self._cache_writer.release([entry])
        else:
            self._delayed[entry] = self._loop.call_later(wait, self._resubmit, entry)

    def _resubmit(self, entry: PendingRequest) -> None:
        del self._delayed[entry]
        self._ready.appendleft(entry)
        self._pump()

    def _settle_waiting(self, error: EmoSimError) -> None:
        """Settle all requests that are not running with an error."""
        for handle in self._delayed.values():
            handle.cancel()
        claimed = [*self._delayed, *self._ready]
        waiting = [*claimed, *self._queue, *self._elsewhere]
        self._delayed.clear()
        self._ready.clear()
        self._queue.clear()
        self._elsewhere.clear()
        for entry in waiting:
            self._pending.settle(entry, error)
        self._cache_writer.release(claimed)

    async def _finish(self) -> None:
        self._retry_policy.stopped = self._retry_policy.stopped or LLMTransientError(CLOSED)
        self._pump()
        while self._calls:
            await asyncio.wait(set(self._calls))
        self._cache_writer.close()
        await self._backend.close()
