"""Caller: asks a backend many questions at the same time, in an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence

from emosim_core.errors import EmoSimError, LLMCacheError, LLMError, LLMRateLimitError, LLMTransientError
from emosim_core.hooks.faults import named
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.cache_writer import AGAIN, Answered, CacheWriter
from emosim_core.llm.limiter import AdaptiveLimiter
from emosim_core.llm.pending import PendingRequests, Question
from emosim_core.llm.retries import LONGEST_WAIT, asked_wait
from emosim_core.llm.retry_policy import CLOSED, RetryPolicy, log
from emosim_core.llm.waiting import WaitNotice, for_how_long

_LOOKED_AT = 500
_FIRST_LOOK, _LONGEST_LOOK = 0.05, 0.5
"""Seconds between two looks at what other processes ask: at first, and at most."""


class Dispatcher:
    """Asks. Its public methods may be called by any thread; all the rest happens in the loop's.

    A place is free again when its answer is in the cache. The transaction that keeps an answer claims what is asked
    next where nothing claimed is left, and as much again as there are places, so that few transactions have to.

    Args:
        backend: what is asked.
        retry_policy: whether a call may start, and what becomes of one that failed.
        limiter: how many calls may be under way.
        pending: where questions that failed are settled.
        cache_writer: where answers go.
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
        self._queue: deque[Question] = deque()
        self._ready: deque[Question] = deque()
        self._elsewhere: list[Question] = []
        self._look: asyncio.TimerHandle | None = None
        self._pause = _FIRST_LOOK
        self._later: dict[Question, asyncio.TimerHandle] = {}
        self._answered: list[Answered] = []
        self._kept: asyncio.Future[None] | None = None
        self._retrying = False
        self._calls: set[asyncio.Task[None]] = set()
        self._wake: asyncio.TimerHandle | None = None
        self._notice = WaitNotice()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="emosim-llm", daemon=True)
        self._thread.start()

    def submit(self, questions: Sequence[Question]) -> None:
        """Ask questions as soon as may be."""
        self._loop.call_soon_threadsafe(self._submit, questions)

    def withdraw(self, questions: Sequence[Question]) -> None:
        """Ask no more of these questions for which nobody waits; what is under way comes to its end."""
        self._loop.call_soon_threadsafe(self._withdraw, questions)

    def stop(self) -> None:
        """Settle what is not under way, after the rules have been told to stop."""
        self._loop.call_soon_threadsafe(self._pump)

    def close(self) -> None:
        """Start nothing more, let what is under way come to its end, close the backend and end the thread.

        Raises:
            PluginError: the backend cannot be closed.
        """
        closing = asyncio.run_coroutine_threadsafe(self._finish(), self._loop)
        try:
            with named(f"language-model backend {type(self._backend).__name__}"):
                closing.result()
        finally:
            if closing.done():  # else who waited was interrupted, and must not wait any longer
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

    def _submit(self, questions: Sequence[Question]) -> None:
        for question in questions:
            if not question.queued:
                question.queued = True
                self._queue.append(question)
        self._pump()

    def _withdraw(self, questions: Sequence[Question]) -> None:
        claimed = [*self._later, *self._ready]
        for question in questions:
            if question in self._later and self._drop(question):
                self._later.pop(question).cancel()
        self._queue = deque(question for question in self._queue if not self._drop(question))
        self._ready = deque(question for question in self._ready if not self._drop(question))
        self._elsewhere = [question for question in self._elsewhere if not self._drop(question)]
        self._cache_writer.release([question for question in claimed if question.result is not None])

    def _drop(self, question: Question) -> bool:
        return self._pending.drop(question, LLMTransientError("the question was withdrawn before it was asked"))

    def _pump(self) -> None:
        """Starts the calls that may start."""
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
            question = self._ready.popleft()
            if self._drop(question):
                self._cache_writer.release([question])
                continue
            self._retry_policy.start(question)
            call = self._loop.create_task(self._call(question, self._limiter.start()))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    def _exchange(self) -> None:
        """Keeps what was answered, and claims and starts as many questions as there are places for."""
        count = 1
        while self._answered or (self._queue and count):
            # All that was answered has its place still; the more is asked elsewhere, the more is looked at.
            places = self._limiter.limit - self._limiter.running + len(self._answered) - len(self._ready)
            may_start = self._retry_policy.refusal() is None and self._limiter.pause() <= 0
            count = max(count, places + self._limiter.limit) if places > 0 and may_start else 0
            wanted = [self._queue.popleft() for _ in range(min(count, len(self._queue)))]
            try:
                mine, elsewhere = self._cache_writer.exchange(self._answered, wanted)
            except LLMCacheError as error:
                self._queue.extendleft(reversed(wanted))
                self._not_kept(error)
                return
            self._told()
            self._ready.extend(mine)
            self._wait_for(elsewhere)
            count *= 2
            if mine:
                break
        self._start()

    def _not_kept(self, error: LLMCacheError) -> None:
        # What is under way is waited for, so that it can be said what is lost.
        if self._cache_writer.again(error) or self._limiter.running > len(self._answered):
            self._retrying = True
            self._loop.call_later(AGAIN, self._retry)
            return
        self._cache_writer.give_up(self._answered, error)
        self._told()
        self._pump()

    def _retry(self) -> None:
        self._retrying = False
        self._exchange()

    def _told(self) -> None:
        """What was answered is kept, or lost: its places are free."""
        self._answered = []
        if self._kept is not None:
            self._kept.set_result(None)
            self._kept = None

    def _wait_for(self, questions: Sequence[Question]) -> None:
        """Waits for what other processes ask."""
        self._elsewhere += questions
        if self._elsewhere and self._look is None:
            self._look = self._loop.call_later(self._pause, self._look_elsewhere)

    def _look_elsewhere(self) -> None:
        """Takes up what other processes have answered, or ask no more."""
        self._look = None
        some, rest = self._elsewhere[:_LOOKED_AT], self._elsewhere[_LOOKED_AT:]
        try:
            asked, free = self._cache_writer.look(some)
        except LLMCacheError as error:
            self._cache_writer.give_up([], error)
            return
        self._pause = _FIRST_LOOK if len(asked) < len(some) else min(2 * self._pause, _LONGEST_LOOK)
        self._elsewhere = [*rest, *asked] if len(asked) == len(some) else [*asked, *rest]
        self._queue.extendleft(reversed(free))
        self._wait_for(())
        self._pump()

    def _awake(self) -> None:
        self._wake = None
        self._pump()

    async def _call(self, question: Question, number: int) -> None:
        try:
            answer = self._retry_policy.answered(question, await self._backend.answer(question.request))
        except BaseException as error:  # whatever it is, who waits must hear of it
            self._failed(question, number, error)
        else:
            if self._kept is None:  # what arrives at the same time is kept at once
                self._kept = self._loop.create_future()
                self._loop.call_soon(self._hand_over)
            self._answered.append((question, answer))
            await self._kept
            self._limiter.succeed(number)
        self._pump()

    def _hand_over(self) -> None:
        if self._answered and not self._retrying:
            self._exchange()

    def _failed(self, question: Question, number: int, raised: BaseException) -> None:
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
            question.calls = min(question.calls, 1)  # to wait for a start is no failed try
        error, wait = self._retry_policy.failed(question, raised)
        if pause > LONGEST_WAIT:
            error.args = (f"{error}. It asks to wait {for_how_long(pause)}, which is not waited for", *error.args[1:])
        elif wait is not None and (pause or starting):
            self._limiter.hold(wait if starting else pause)
        if wait is not None and isinstance(error, LLMError):
            self._notice.waits(error, max(wait, self._limiter.pause()))
        if wait is None:
            self._pending.settle(question, error)
            self._cache_writer.release([question])
            if pause > LONGEST_WAIT:
                self._settle_waiting(error)
        elif self._drop(question):
            self._cache_writer.release([question])
        else:
            self._later[question] = self._loop.call_later(wait, self._again, question)

    def _again(self, question: Question) -> None:
        del self._later[question]
        self._ready.appendleft(question)
        self._pump()

    def _settle_waiting(self, error: EmoSimError) -> None:
        """Gives up all questions that are not under way."""
        for handle in self._later.values():
            handle.cancel()
        claimed = [*self._later, *self._ready]
        waiting = [*claimed, *self._queue, *self._elsewhere]
        self._later.clear()
        self._ready.clear()
        self._queue.clear()
        self._elsewhere.clear()
        for question in waiting:
            self._pending.settle(question, error)
        self._cache_writer.release(claimed)

    async def _finish(self) -> None:
        self._retry_policy.stopped = self._retry_policy.stopped or LLMTransientError(CLOSED)
        self._pump()
        while self._calls:
            await asyncio.wait(set(self._calls))
        self._cache_writer.close()
        await self._backend.close()
