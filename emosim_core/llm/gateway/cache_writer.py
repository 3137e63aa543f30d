"""CacheWriter: writes answers and claims requests in few transactions, and says what could not be written."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from emosim_core.errors import DataError, LLMCacheError
from emosim_core.hooks.faults import fault
from emosim_core.llm.chat import ChatAnswer
from emosim_core.llm.gateway.cache import AnswerCache, Exchange, Row
from emosim_core.llm.gateway.claims import HEARTBEAT, Owner
from emosim_core.llm.gateway.limited import AdaptiveLimiter
from emosim_core.llm.gateway.request import PendingRequest, Result
from emosim_core.llm.gateway.reserve import Reserve
from emosim_core.terminal import counted

RETRY_SECONDS = 0.1
"""Seconds between two attempts to write to the cache."""

PATIENCE = 5.0
"""Seconds until these attempts end."""

_PATIENCE_WITH_LOCK = 60.0
_SETTLED_AFTER = 200
"""Answers written after which the cache is checkpointed at the next idle moment."""

_BYTES_PER_ANSWER = 64 * 1024
_MIN_RESERVE = 1024 * 1024
_POLLED = 500
_FIRST_POLL, _LONGEST_POLL = 0.05, 0.5
"""Seconds between two looks at requests that other processes have claimed: at first, and at most."""


class _Claim(NamedTuple):
    key: str
    outcome: asyncio.Future[Result | None]


class _Write(NamedTuple):
    row: Row
    answer: ChatAnswer
    outcome: asyncio.Future[Result]


class CacheWriter:
    """Writes answers, claims requests and releases claims: all of one turn of the loop in one transaction.

    That transaction claims requests for all slots that are free after it, and as many beyond, so that few transactions
    are needed. :meth:`beat` and :meth:`close` may run in any thread, all else in the event loop.

    Args:
        cache: the cache.
        identity: identity of the backend.
        name: name of the backend for messages.
        limiter: tells how many requests to claim; held while the cache cannot be written.
        slots: greatest number of running calls, for which disk space is reserved.
    """

    def __init__(self, cache: AnswerCache, identity: str, name: str, limiter: AdaptiveLimiter, slots: int) -> None:
        self._cache, self._identity, self._name, self._limiter = cache, identity, name, limiter
        self._reserve = Reserve(cache.path.parent, max(_MIN_RESERVE, slots * _BYTES_PER_ANSWER))
        self._owner = Owner()
        self._beat: float | None = None
        self._claims: deque[_Claim] = deque()
        self._writes: list[_Write] = []
        self._released: set[str] = set()
        self._elsewhere: list[_Claim] = []
        self._pause = _FIRST_POLL
        self._polling = self._flushing = False
        self._failing_since: float | None = None
        self._unsettled = 0

    def claim(self, key: str) -> asyncio.Future[Result | None]:
        """Claim a request; the outcome is None once it is claimed, else its cached answer, or why it has none."""
        outcome: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        self._claims.append(_Claim(key, outcome))
        self.flush_soon()
        return outcome

    def write(self, pending: PendingRequest, answer: ChatAnswer) -> asyncio.Future[Result]:
        """Write an answer; the outcome is the answer in the cache, or why it is not there.

        Raises:
            PluginError: it is no valid answer.
        """
        try:
            row = self._cache.row(pending.key, self._identity, pending.canonical, answer)
        except Exception as error:
            raise fault(self._name, error) from error
        outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._writes.append(_Write(row, answer, outcome))
        self.flush_soon()
        return outcome

    def release(self, key: str) -> None:
        """Release the claim on a request."""
        self._released.add(key)
        self.flush_soon()

    def flush_soon(self) -> None:
        """Begin a transaction at the end of this turn of the loop, if there is anything to do."""
        if not self._flushing and (self._claims or self._writes or self._released):
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def keep(self) -> None:
        """Give signs of life, and checkpoint the cache while no answers come."""
        before = 0
        while True:
            await asyncio.sleep(1.0)
            self.beat()
            if self._unsettled == before >= _SETTLED_AFTER:
                self._unsettled = 0
                self._cache.settle()
            before = self._unsettled

    def beat(self) -> None:
        """Give a sign of life if it is due."""
        now = time.monotonic()
        if self._beat is not None and now - self._beat >= HEARTBEAT:
            self._beat = now
            with contextlib.suppress(DataError):  # the next one may come through
                self._cache.sign_of_life(self._owner)

    def close(self) -> None:
        """Release all claims and the reserved disk space, after the loop has ended."""
        self._reserve.release()
        give_up = time.monotonic() + PATIENCE
        while self._beat is not None:
            try:
                self._cache.release(self._owner)
                self._beat = None
            except DataError as error:  # claims that cannot be released end with this process
                if "locked" not in str(error) or time.monotonic() > give_up:
                    return

    # ------------------------------------------------------------------------------------------- transactions

    def _flush(self) -> None:
        self._flushing = False
        claims = self._next_claims()
        if not (claims or self._writes or self._released):
            return
        try:
            done = self._exchange(self._writes, claims)
        except DataError as error:
            self._claims.extendleft(reversed(claims))
            if claims or self._writes:
                self._failed(error)
            return
        self._failing_since = None
        self._released.clear()
        self._deliver(self._writes, done)
        self._writes = []
        for claim in claims:
            if claim.key in done.elsewhere:
                self._elsewhere.append(claim)
            else:
                claim.outcome.set_result(done.answered.get(claim.key))
        if self._claims and len(done.elsewhere) + len(done.answered) == len(claims) > 0:
            self.flush_soon()  # none is to be sent
        self._poll_later()

    def _next_claims(self) -> list[_Claim]:
        """The requests to claim for the slots that are free after the next transaction, if too few are claimed."""
        limiter = self._limiter
        free = limiter.limit - limiter.running + len(self._writes) - limiter.waiting
        claims: list[_Claim] = []
        while self._claims and free > 0 and len(claims) < free + limiter.limit:
            claim = self._claims.popleft()
            if not claim.outcome.done():
                claims.append(claim)
        return claims

    def _exchange(self, writes: Sequence[_Write], claims: Sequence[_Claim] = ()) -> Exchange:
        rows, keys = [one.row for one in writes], [one.key for one in claims]
        if claims:
            try:
                self._reserve.hold()
            except OSError as problem:
                error = LLMCacheError(
                    self._cache.path,
                    f"the cache of answers has no room left: {problem.strerror}. Make room on its disk.",
                )
                error.passing = True
                raise error from problem
            self._beat = time.monotonic()
        try:
            return self._cache.exchange(rows, keys, self._owner, self._released)
        except DataError:
            if not self._reserve.release():
                raise
            return self._cache.exchange(rows, keys, self._owner, self._released)

    def _deliver(self, writes: Sequence[_Write], done: Exchange) -> None:
        self._unsettled += len(writes)
        for one in writes:
            if not one.outcome.done():  # a backend may have cancelled the task that waits for it
                one.outcome.set_result(done.existing.get(str(one.row[0]), one.answer))

    def _failed(self, error: DataError) -> None:
        """Try again later, and start no call until then; or give up."""
        # Running calls are completed first, so that the error can count the lost answers.
        if self._is_patient(error) or self._limiter.running > len(self._writes):
            self._limiter.hold(2 * RETRY_SECONDS)
            self._flushing = True
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._flush)
        else:
            self._give_up(error)

    def _is_patient(self, error: DataError) -> bool:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        patience = _PATIENCE_WITH_LOCK if "locked" in str(error) else PATIENCE
        return isinstance(error, LLMCacheError) and error.passing and now - self._failing_since < patience

    def _give_up(self, error: DataError) -> None:
        """Write what can be written, and end the rest with an error that counts the lost answers."""
        lost: list[_Write] = []
        for one in self._writes:
            try:
                self._deliver([one], self._exchange([one]))
            except DataError:
                lost.append(one)
        outcome = "No further call was made, and every answer that was received is in the cache."
        if lost:
            count = counted(len(lost), "answer")
            outcome = f"No further call was made; {count} could not be written and will be requested again."
        error.args = (f"{error} {outcome}",)
        outcomes: list[asyncio.Future[Any]] = [one.outcome for one in lost]
        outcomes += [one.outcome for one in (*self._claims, *self._elsewhere)]
        for unfinished in outcomes:
            if not unfinished.done():
                unfinished.set_result(error)
        self._failing_since = None
        self._writes = []
        self._claims.clear()
        self._elsewhere.clear()

    # ------------------------------------------------------------------------------------------ other processes

    def _poll_later(self) -> None:
        if self._elsewhere and not self._polling:
            self._polling = True
            asyncio.get_running_loop().call_later(self._pause, self._poll)

    def _poll(self) -> None:
        """Take over what other processes have answered, or have released."""
        self._polling = False
        waiting = [one for one in self._elsewhere if not one.outcome.done()]
        batch, rest = waiting[:_POLLED], waiting[_POLLED:]
        self._elsewhere = waiting
        try:
            answered, claimed = self._cache.progress([one.key for one in batch], self._owner)
        except DataError as error:
            if not self._is_patient(error):
                self._give_up(error)
            self._poll_later()
            return
        still = [one for one in batch if one.key in claimed]
        for one in batch:
            if one.key in answered:
                one.outcome.set_result(answered[one.key])
            elif one.key not in claimed:
                self._claims.appendleft(one)
        self._pause = _FIRST_POLL if len(still) < len(batch) else min(2 * self._pause, _LONGEST_POLL)
        self._elsewhere = [*rest, *still]
        self.flush_soon()
        self._poll_later()
