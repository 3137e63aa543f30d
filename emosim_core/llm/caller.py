"""Caller: asks a backend many questions at the same time, in an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence

from emosim_core.errors import EmoSimError, LLMError, LLMRateLimitError, LLMTransientError
from emosim_core.hooks.faults import named
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.inflight import InFlight, Question
from emosim_core.llm.keeper import Answered, Keeper
from emosim_core.llm.limiter import AdaptiveLimiter
from emosim_core.llm.retries import LONGEST_WAIT, asked_wait
from emosim_core.llm.rules import CLOSED, CallRules, log
from emosim_core.llm.waiting import WaitNotice, for_how_long


class Caller:
    """Asks. Its public methods may be called by any thread; all the rest happens in the loop's.

    Args:
        backend: what is asked.
        rules: whether a call may start, and what becomes of one that failed.
        limiter: how many calls may be under way.
        in_flight: where questions that failed are settled.
        keeper: where answers go.
    """

    def __init__(
        self, backend: LLMBackend, rules: CallRules, limiter: AdaptiveLimiter, in_flight: InFlight, keeper: Keeper
    ) -> None:
        self._backend = backend
        self._rules = rules
        self._limiter = limiter
        self._in_flight = in_flight
        self._keeper = keeper
        self._queue: deque[Question] = deque()
        self._later: dict[Question, asyncio.TimerHandle] = {}
        self._answered: list[Answered] = []
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
        for question in questions:
            if question in self._later and self._drop(question):
                self._later.pop(question).cancel()
        self._queue = deque(question for question in self._queue if not self._drop(question))

    def _drop(self, question: Question) -> bool:
        return self._in_flight.drop(question, LLMTransientError("the question was withdrawn before it was asked"))

    def _pump(self) -> None:
        """Starts the calls that may start."""
        refusal = self._rules.refusal()
        if refusal is not None:
            self._settle_waiting(refusal)
            return
        while self._queue and self._limiter.free():
            pause = self._limiter.pause()
            if pause > 0:
                if self._wake is None:
                    self._wake = self._loop.call_later(pause, self._awake)
                return
            question = self._queue.popleft()
            if self._drop(question):
                continue
            self._rules.start(question)
            call = self._loop.create_task(self._call(question, self._limiter.start()))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    def _awake(self) -> None:
        self._wake = None
        self._pump()

    async def _call(self, question: Question, number: int) -> None:
        try:
            answer = self._rules.answered(await self._backend.answer(question.request))
        except BaseException as error:  # whatever it is, who waits must hear of it
            self._failed(question, number, error)
        else:
            self._limiter.succeed(number)
            if not self._answered:  # what arrives at the same time is handed over at once
                self._loop.call_soon(self._hand_over)
            self._answered.append((question, answer))
        self._pump()

    def _hand_over(self) -> None:
        if self._answered:
            self._keeper.put(self._answered)
            self._answered = []

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
        error, wait = self._rules.failed(question, raised)
        if pause > LONGEST_WAIT:
            error.args = (f"{error}. It asks to wait {for_how_long(pause)}, which is not waited for", *error.args[1:])
        elif wait is not None and (pause or starting):
            self._limiter.hold(wait if starting else pause)
        if wait is not None and isinstance(error, LLMError):
            self._notice.waits(error, max(wait, self._limiter.pause()))
        if wait is None:
            self._in_flight.settle(question, error)
            if pause > LONGEST_WAIT:
                self._settle_waiting(error)
        elif not self._drop(question):
            self._later[question] = self._loop.call_later(wait, self._again, question)

    def _again(self, question: Question) -> None:
        del self._later[question]
        self._queue.appendleft(question)
        self._pump()

    def _settle_waiting(self, error: EmoSimError) -> None:
        """Gives up all questions that are not under way."""
        for handle in self._later.values():
            handle.cancel()
        waiting = [*self._later, *self._queue]
        self._later.clear()
        self._queue.clear()
        for question in waiting:
            self._in_flight.settle(question, error)

    async def _finish(self) -> None:
        self._rules.stopped = self._rules.stopped or LLMTransientError(CLOSED)
        self._pump()
        while self._calls:
            await asyncio.wait(set(self._calls))
        self._hand_over()
        self._keeper.close()
        await self._backend.close()
