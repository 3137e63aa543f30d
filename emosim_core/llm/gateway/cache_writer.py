"""CacheWriter: writes answers to the cache, delivers them, claims the next requests, and reports failed writes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from emosim_core.errors import EmoSimError, LLMCacheError
from emosim_core.hooks.faults import fault
from emosim_core.llm.chat import ChatAnswer
from emosim_core.llm.gateway.cache import AnswerCache, Row
from emosim_core.llm.gateway.claims import Heartbeat, Owner
from emosim_core.llm.gateway.pending import PendingRequest, PendingRequests
from emosim_core.llm.gateway.reserve import Reserve

RETRY_SECONDS = 0.1
"""Seconds between two attempts to write to the cache."""

PATIENCE = 5.0
"""Seconds until these attempts end."""

_PATIENCE_WITH_LOCK = 60.0
_SETTLED_AFTER = 200
"""Answers written after which the cache is checkpointed at the next idle moment."""

_BYTES_PER_ANSWER = 64 * 1024
_MIN_RESERVE = 1024 * 1024

Answered = tuple[PendingRequest, ChatAnswer]


class CacheWriter:
    """Writes answers and claims requests. For one thread at a time.

    Args:
        cache: the cache.
        identity: identity of the backend.
        pending: table in which requests are settled.
        broken: called with the error when the cache cannot be written.
        found: called with an answer of another process; returns the answer to deliver.
        slots: greatest number of concurrent calls.
    """

    def __init__(
        self,
        cache: AnswerCache,
        identity: str,
        pending: PendingRequests,
        broken: Callable[[EmoSimError], None],
        found: Callable[[ChatAnswer], ChatAnswer],
        slots: int,
    ) -> None:
        self._cache = cache
        self._identity = identity
        self._pending = pending
        self._broken = broken
        self._found = found
        self._owner = Owner()
        self._heartbeat = Heartbeat(self._beat)
        self._reserve = Reserve(cache.path.parent, max(_MIN_RESERVE, slots * _BYTES_PER_ANSWER))
        self._failing_since: float | None = None
        self._registered = False
        self._unreleased: set[str] = set()
        self._unsettled = 0
        self._releasing = threading.Lock()

    @property
    def failing(self) -> bool:
        """Whether the cache could not be written, so that no further call is made."""
        return self._failing_since is not None

    def exchange(
        self, answered: Sequence[Answered], wanted: Sequence[PendingRequest] = ()
    ) -> tuple[list[PendingRequest], list[PendingRequest]]:
        """Write and deliver answers; claim requests, and settle those that have a cached answer by now.

        Args:
            answered: requests with their answers.
            wanted: requests to claim.

        Returns:
            The requests that are claimed now, and those that another process has claimed.

        Raises:
            LLMCacheError: the cache cannot be written; nothing was changed.
        """
        pairs = list(self._rows(answered))
        try:
            if wanted:
                self._prepare()
                with self._releasing:
                    self._unreleased.difference_update(one.key for one in wanted)
            try:
                done = self._cache.exchange([row for _, row in pairs], [one.key for one in wanted], self._owner)
            except LLMCacheError:
                if not self._reserve.release():
                    raise
                done = self._cache.exchange([row for _, row in pairs], [one.key for one in wanted], self._owner)
        except LLMCacheError:
            self._failing_since = self._failing_since or time.monotonic()
            raise
        self._failing_since = None
        self._unsettled += len(pairs)
        for (entry, answer), _ in pairs:
            self._pending.settle(entry, self._existing(done.existing, entry) or answer)
        for entry in wanted:
            if (cached := self._existing(done.answered, entry)) is not None:
                self._pending.settle(entry, cached)
        open_ones = [entry for entry in wanted if entry.key not in done.answered]
        return (
            [entry for entry in open_ones if entry.key not in done.elsewhere],
            [entry for entry in open_ones if entry.key in done.elsewhere],
        )

    def should_retry(self, error: LLMCacheError) -> bool:
        """Whether to try a failed write again, after :data:`RETRY_SECONDS`."""
        patience = _PATIENCE_WITH_LOCK if "locked" in str(error) else PATIENCE
        return error.passing and time.monotonic() - (self._failing_since or 0.0) < patience

    def give_up(self, answered: Sequence[Answered], error: LLMCacheError) -> None:
        """Write what can be written, settle the rest with an error that counts lost answers, and stop calling."""
        lost: list[PendingRequest] = []
        for one in answered:
            try:
                self.exchange([one])
            except LLMCacheError:
                lost.append(one[0])
        outcome = "No further call was made, and every answer that was received is in the cache."
        if lost:
            count = "1 answer" if len(lost) == 1 else f"{len(lost)} answers"
            outcome = f"No further call was made; {count} could not be written and will be requested again."
        error.args = (f"{error} {outcome}",)
        self._broken(error)
        for entry in lost:
            self._pending.settle(entry, error)

    def write(self, answered: Sequence[Answered]) -> None:
        """Write and deliver answers, with retries, or give up."""
        while True:
            try:
                self.exchange(answered)
                return
            except LLMCacheError as error:
                if not self.should_retry(error):
                    self.give_up(answered, error)
                    return
            time.sleep(RETRY_SECONDS)

    def poll(self, entries: Sequence[PendingRequest]) -> tuple[list[PendingRequest], list[PendingRequest]]:
        """Settle those of these requests, which other processes have claimed, that are answered by now.

        Returns:
            The requests that are still claimed, and those that were released without an answer.

        Raises:
            LLMCacheError: the cache cannot be read.
        """
        answered, claimed = self._cache.progress([entry.key for entry in entries], self._owner)
        for entry in entries:
            if entry.key in answered:
                self._pending.settle(entry, self._found(answered[entry.key]))
        rest = [entry for entry in entries if entry.key not in answered]
        return [one for one in rest if one.key in claimed], [one for one in rest if one.key not in claimed]

    def release(self, entries: Sequence[PendingRequest]) -> None:
        """Release the claims on these requests."""
        if entries and self._registered:
            with self._releasing:
                self._unreleased.update(entry.key for entry in entries)
            self._release_claims()

    def idle(self) -> None:
        """Called when no call is running; checkpoints the cache in another thread if it is due."""
        if self._unsettled >= _SETTLED_AFTER:
            self._heartbeat.soon()

    def close(self) -> None:
        """Release all claims and the reserved disk space."""
        self._heartbeat.stop()
        self._heartbeat = Heartbeat(self._beat)
        self._reserve.release()
        give_up = time.monotonic() + PATIENCE
        while self._registered:
            try:
                self._cache.release(self._owner)
                self._registered = False
            except LLMCacheError as error:
                # Claims that cannot be released end with this process.
                self._registered = "locked" in str(error) and time.monotonic() < give_up

    def _prepare(self) -> None:
        """Reserve disk space for the running calls, and register the owner of the claims."""
        try:
            self._reserve.hold()
        except OSError as problem:
            error = LLMCacheError(
                self._cache.path,
                f"the cache of answers has no room left: {problem.strerror}. Make room on its disk.",
            )
            error.passing = True
            raise error from problem
        if not self._registered:
            self._cache.sign_of_life(self._owner)
            self._registered = True
            self._heartbeat.start()

    def _beat(self) -> None:
        with contextlib.suppress(LLMCacheError):  # the next sign of life may come through
            self._cache.sign_of_life(self._owner)
        self._release_claims()
        if self._unsettled >= _SETTLED_AFTER:
            self._unsettled = 0
            self._cache.settle()

    def _release_claims(self) -> None:
        """Release claims; those that cannot be released now are released at the next sign of life."""
        with self._releasing, contextlib.suppress(LLMCacheError):
            if self._unreleased:
                self._cache.release(self._owner, list(self._unreleased))
                self._unreleased.clear()

    def _existing(self, answers: object, entry: PendingRequest) -> ChatAnswer | None:
        answer = answers.get(entry.key)  # type: ignore[attr-defined]
        return None if answer is None else self._found(answer)

    def _rows(self, answered: Sequence[Answered]) -> list[tuple[Answered, Row]]:
        """Rows of answers; an answer that is no valid ChatAnswer is an error that stops all further calls."""
        rows = []
        for entry, answer in answered:
            try:
                row = self._cache.row(entry.key, self._identity, entry.canonical, answer)
            except Exception as raised:
                error = fault(f"language-model backend {self._identity!r}", raised)
                self._broken(error)
                self._pending.settle(entry, error)
            else:
                rows.append(((entry, answer), row))
        return rows
