"""Cached: answers from the cache; a request without an answer is sent once, whoever waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from emosim_core.errors import EmoSimError, LLMCacheError, LLMTransientError
from emosim_core.hooks.faults import fault
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.asking import ASKER
from emosim_core.llm.gateway.budget import Budgeted, CallRefused
from emosim_core.llm.gateway.cache import AnswerCache, Row, State
from emosim_core.llm.gateway.cache_key import cache_key_of, request_json
from emosim_core.llm.gateway.claims import HEARTBEAT, Owner
from emosim_core.llm.gateway.limiter import Limited
from emosim_core.llm.gateway.reserve import Reserve
from emosim_core.llm.gateway.retries import LONGEST_WAIT, asked_wait
from emosim_core.llm.gateway.usage import UsageTally
from emosim_core.llm.gateway.wrapper import BackendWrapper

RETRY_SECONDS = 0.1
"""Seconds between two attempts to write to the cache."""

PATIENCE = 5.0
"""Seconds until these attempts end."""

_PATIENCE_WITH_LOCK = 60.0
_POLLED = 500
_FIRST_POLL, _LONGEST_POLL = 0.05, 0.5
"""Seconds between two looks at requests that other processes have claimed: at first, and at most."""

_SETTLED_AFTER = 200
"""Answers written after which the cache is checkpointed at the next idle moment."""

_IDLE_SECONDS = 0.005

_RESERVED, _RESERVED_PER_CALL = 1024 * 1024, 64 * 1024
"""Bytes of disk space that are reserved for the answers of running calls: at least, and for each."""

Claim = tuple[str, "asyncio.Future[ChatAnswer | None]"]
"""A cache key, and whether the request is claimed (None) or has an answer by now."""

Answered = tuple[Row, ChatAnswer, "asyncio.Future[ChatAnswer]"]
"""A row of the cache, its answer, and the answer to use once it is written."""


class Stored(BackendWrapper):
    """Has each answer written before it is returned, so that the call holds its slot until then.

    Args:
        inner: the backend that is called.
        write: writes the answer to a request; returns the answer to use.
    """

    def __init__(self, inner: LLMBackend, write: Callable[[ChatRequest, ChatAnswer], Awaitable[ChatAnswer]]) -> None:
        super().__init__(inner)
        self._write = write

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        return await self._write(request, await self.inner.answer(request))


@dataclass(eq=False, slots=True)
class _Pending:
    """A request without a result: the task that sends it, how many wait for it, and why it is not sent any more."""

    key: str
    task: asyncio.Task[ChatAnswer]
    waiting: int = 0
    refusal: EmoSimError | None = None


class Cached(BackendWrapper):
    """Answers from the cache; sends a request without an answer once, also between processes.

    A transaction that writes answers also claims the next requests, up to twice the free slots, so that few
    transactions are needed.

    Args:
        inner: the chain that sends requests; a :class:`Stored` in it writes with :meth:`write`.
        cache: the cache.
        calls: the link of the chain that limits the calls.
        budget: the link of the chain that refuses calls.
        usage: counts the requests that need no call.
        clean: applied to answers of the cache.
        slots: number of answers for which disk space is reserved.

    Attributes:
        sending: number of requests that are claimed and have no result.
    """

    def __init__(
        self,
        inner: LLMBackend,
        cache: AnswerCache,
        calls: Limited,
        budget: Budgeted,
        usage: UsageTally,
        clean: Callable[[ChatAnswer], ChatAnswer],
        slots: int,
    ) -> None:
        super().__init__(inner)
        self.sending = 0
        self._cache, self._calls, self._budget, self._usage, self._clean = cache, calls, budget, usage, clean
        self._owner = Owner()
        self._reserve = Reserve(cache.path.parent, max(_RESERVED, slots * _RESERVED_PER_CALL))
        self._pending: dict[str, _Pending] = {}
        self._queue: deque[Claim] = deque()
        self._elsewhere: list[Claim] = []
        self._answers: list[Answered] = []
        self._released: set[str] = set()
        self._due = asyncio.Event()
        self._failing_since: float | None = None
        self._unsettled = 0
        self._background: list[asyncio.Task[Any]] = []
        self._polling: asyncio.Task[None] | None = None
        calls.freed = self._due.set

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The answer to a request."""
        return await self.answer_to(cache_key_of(self.identity, request_json(request)), request)

    async def answer_to(self, key: str, request: ChatRequest) -> ChatAnswer:
        """The answer to the request with this cache key.

        If this is cancelled and nobody else waits for the request, it is withdrawn, but a running call is completed.
        """
        if not self._background:
            self._background = [asyncio.create_task(work()) for work in (self._exchange, self._beat)]
        pending = self._pending.get(key)
        if pending is None:
            asker = ASKER.get(None)
            refusal = self._budget.refusal() or (None if asker is None else asker.refusal)
            if refusal is not None:
                raise refusal
            pending = self._pending[key] = _Pending(key, asyncio.create_task(self._send(key, request)))
        else:
            self._usage.add(shared=1)
            self._calls.cancel(pending.task, now=False)
        pending.waiting += 1
        try:
            await asyncio.wait({pending.task})  # awaiting the task itself would cancel it too
        except asyncio.CancelledError:
            if pending.waiting == 1:
                self._withdraw(pending, LLMTransientError("the request was withdrawn before it was sent"))
                await asyncio.wait({pending.task})
            raise
        finally:
            pending.waiting -= 1
        if pending.task.cancelled() and pending.refusal is not None:
            raise pending.refusal
        try:
            return pending.task.result()
        except CallRefused as refused:
            raise refused.error from None

    def refuse(self, error: EmoSimError) -> None:
        """End all requests whose call is not running with an error; running calls are not repeated."""
        for pending in list(self._pending.values()):
            self._withdraw(pending, error)

    async def close(self) -> None:
        """Release all claims and close the backend. No request is pending."""
        for task in self._background:
            task.cancel()
        self._background = []
        self._reserve.release()
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                self._cache.leave(self._owner)
                break
            except LLMCacheError as error:
                if "locked" not in str(error) or time.monotonic() > give_up:
                    break  # claims that cannot be released end with this process
        await self.inner.close()

    def _withdraw(self, pending: _Pending, error: EmoSimError) -> None:
        pending.refusal = error
        if self._calls.cancel(pending.task):
            self._forget(pending.key, pending.task)

    def _forget(self, key: str, task: asyncio.Task[Any] | None) -> None:
        if key in self._pending and self._pending[key].task is task:
            del self._pending[key]

    async def _send(self, key: str, request: ChatRequest) -> ChatAnswer:
        claim: asyncio.Future[ChatAnswer | None] = asyncio.get_running_loop().create_future()
        self._queue.append((key, claim))
        self._due.set()
        refusal: EmoSimError | None = None
        try:
            if (answer := await claim) is not None:
                return self._from_other(answer)
            self.sending += 1
            try:
                return await self.inner.answer(request)
            finally:
                self.sending -= 1
        except BaseException as error:
            if claim.done() and not claim.cancelled():
                self._released.add(key)
            if isinstance(error, EmoSimError) and asked_wait(error) > LONGEST_WAIT:
                refusal = error
                if (asker := ASKER.get(None)) is not None:
                    asker.refusal = error
            raise
        finally:
            self._forget(key, asyncio.current_task())
            refusal = refusal or self._budget.refusal()
            if refusal is not None:
                self.refuse(refusal)
            self._due.set()
            if not self._pending and self._unsettled >= _SETTLED_AFTER:
                asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._idle)

    def _from_other(self, answer: ChatAnswer) -> ChatAnswer:
        """Count and clean an answer that another process wrote before the request was sent here."""
        self._usage.add(shared=1)
        return self._clean(answer)

    # ----------------------------------------------------------------------------------------------- the cache

    async def write(self, request: ChatRequest, answer: ChatAnswer) -> ChatAnswer:
        """Write the answer to a request; returns the answer to use.

        Raises:
            PluginError: the answer cannot be written as JSON.
            LLMCacheError: the cache cannot be written.
        """
        text = request_json(request)
        try:
            row = self._cache.row(cache_key_of(self.identity, text), self.identity, text, answer)
        except Exception as raised:
            raise fault(f"language-model backend {self.identity!r}", raised) from raised
        written: asyncio.Future[ChatAnswer] = asyncio.get_running_loop().create_future()
        self._answers.append((row, answer, written))
        self._due.set()
        return await written

    async def _exchange(self) -> None:
        """Write answers and claim requests, whenever there are some; keep trying for a while if that fails."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                self._write_and_claim()
            except Exception as raised:
                error = raised if isinstance(raised, LLMCacheError) else LLMCacheError(self._cache.path, str(raised))
                # Running calls are completed first, so that the error can count the lost answers.
                if self._may_pass(error) or self._calls.limiter.running > len(self._answers):
                    self._calls.limiter.hold(RETRY_SECONDS)
                    await asyncio.sleep(RETRY_SECONDS)
                    self._due.set()
                else:
                    self._give_up(error)

    def _write_and_claim(self) -> None:
        """Write the answers, release claims, and claim as many requests as there are free slots."""
        count, claimed = 1, False
        while not claimed:
            # Answered requests still hold their slots. The more requests are claimed elsewhere, the more are tried.
            room = self._calls.room(len(self._answers)) if self._budget.refusal() is None else 0
            count = max(count, room + self._calls.limiter.limit) if room > 0 else 0
            wanted: list[Claim] = []
            while self._queue and len(wanted) < count:
                claim = self._queue.popleft()
                wanted += () if claim[1].done() else (claim,)
            if not (self._answers or wanted or self._released):
                break
            answers = self._answers
            try:
                done = self._transact(answers, [key for key, _ in wanted])
            except LLMCacheError:
                self._queue.extendleft(reversed(wanted))
                if answers or wanted:
                    raise
                break  # claims are released at the next occasion
            self._answers = []
            for key, future in wanted:
                if key in done.elsewhere:
                    self._elsewhere.append((key, future))
                else:
                    future.set_result(done.answers.get(key))
                    claimed = claimed or key not in done.answers
            count *= 2
        if self._elsewhere and (self._polling is None or self._polling.done()):
            self._polling = asyncio.create_task(self._poll())

    def _transact(self, answers: Sequence[Answered], wanted: Sequence[str]) -> State:
        """Write answers and have them used, release claims, and claim requests, in one transaction.

        Raises:
            LLMCacheError: the cache cannot be written; nothing was changed.
        """
        rows = [row for row, *_ in answers]
        try:
            if wanted:
                self._hold_room()
            try:
                done = self._cache.exchange(rows, wanted, self._owner, self._released)
            except LLMCacheError:
                if not self._reserve.release():
                    raise
                done = self._cache.exchange(rows, wanted, self._owner, self._released)
        except LLMCacheError:
            self._failing_since = self._failing_since or time.monotonic()
            raise
        self._failing_since = None
        self._unsettled += len(rows)
        self._released.clear()
        for row, answer, written in answers:
            other = done.answers.get(str(row[0]))
            written.set_result(answer if other is None else self._from_other(other))
        return done

    def _hold_room(self) -> None:
        try:
            self._reserve.hold()
        except OSError as problem:
            error = LLMCacheError(
                self._cache.path, f"the cache of answers has no room left: {problem.strerror}. Make room on its disk."
            )
            error.passing = True
            raise error from problem

    def _may_pass(self, error: LLMCacheError) -> bool:
        patience = _PATIENCE_WITH_LOCK if "locked" in str(error) else PATIENCE
        return error.passing and time.monotonic() - (self._failing_since or 0.0) < patience

    def _give_up(self, error: LLMCacheError) -> None:
        """Write what can be written, end the rest with an error that counts lost answers, and stop all calls."""
        answers, self._answers = self._answers, []
        lost: list[asyncio.Future[ChatAnswer]] = []
        for answer in answers:
            try:
                self._transact([answer], ())
            except LLMCacheError:
                lost.append(answer[-1])
        outcome = "No further call was made, and every answer that was received is in the cache."
        if lost:
            count = "1 answer" if len(lost) == 1 else f"{len(lost)} answers"
            outcome = f"No further call was made; {count} could not be written and will be requested again."
        error.args = (f"{error} {outcome}",)
        self._budget.stop(error)
        for written in lost:
            written.set_exception(error)
        self.refuse(error)

    async def _poll(self) -> None:
        """Take over what other processes have answered, or have released."""
        pause = _FIRST_POLL
        while self._elsewhere:
            await asyncio.sleep(pause)
            claims = [claim for claim in self._elsewhere if not claim[1].done()]
            batch, rest, waiting = claims[:_POLLED], claims[_POLLED:], list[Claim]()
            try:
                answered, claimed = self._cache.progress([key for key, _ in batch], self._owner)
            except LLMCacheError as error:
                self._give_up(error)
                return
            for key, future in batch:
                if key in answered:
                    future.set_result(answered[key])
                elif key in claimed:
                    waiting.append((key, future))
                else:
                    self._queue.appendleft((key, future))
            changed = len(waiting) < len(batch)
            pause = _FIRST_POLL if changed else min(2 * pause, _LONGEST_POLL)
            self._elsewhere = [*waiting, *rest] if changed else [*rest, *waiting]
            self._due.set()

    async def _beat(self) -> None:
        """Give signs of life; one that fails may come through at the next beat."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            with contextlib.suppress(LLMCacheError):
                self._cache.exchange((), (), self._owner)
            self._due.set()

    def _idle(self) -> None:
        if not self._pending:
            self._unsettled = 0
            self._cache.settle()
