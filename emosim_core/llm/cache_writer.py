"""CacheWriter: writes answers to the cache, delivers them, claims the next requests, and reports failed writes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from emosim_core.errors import EmoSimError, LLMCacheError
from emosim_core.hooks.faults import fault
from emosim_core.llm.cache import AnswerCache, Row
from emosim_core.llm.chat import ChatAnswer
from emosim_core.llm.claims import Heartbeat, Owner
from emosim_core.llm.pending import PendingRequests, Question
from emosim_core.llm.reserve import Reserve

AGAIN = 0.1
"""Seconds between attempts to write to the cache."""

PATIENCE = 5.0
"""Seconds for which that is tried."""

_PATIENCE_WITH_LOCK = 60.0
_SETTLED_AFTER = 200
"""Answers after which the cache settles at the next rest."""

_ROOM_FOR_ANSWER = 64 * 1024
_LEAST_ROOM = 1024 * 1024

Answered = tuple[Question, ChatAnswer]


class CacheWriter:
    """Keeps answers and claims questions. For one thread at a time.

    Args:
        cache: the cache.
        identity: what answers.
        pending: where questions are settled.
        broken: called with the error when the cache cannot be written.
        found: called with an answer that another process had; returns it as it is handed out.
        places: how many questions may be under way.
    """

    def __init__(
        self,
        cache: AnswerCache,
        identity: str,
        pending: PendingRequests,
        broken: Callable[[EmoSimError], None],
        found: Callable[[ChatAnswer], ChatAnswer],
        places: int,
    ) -> None:
        self._cache = cache
        self._identity = identity
        self._pending = pending
        self._broken = broken
        self._found = found
        self._owner = Owner()
        self._heartbeat = Heartbeat(self._live)
        self._reserve = Reserve(cache.path.parent, max(_LEAST_ROOM, places * _ROOM_FOR_ANSWER))
        self._failing_since: float | None = None
        self._known = False
        self._owed: set[str] = set()
        self._unsettled = 0
        self._releasing = threading.Lock()

    @property
    def failing(self) -> bool:
        """Whether the cache could not be written, so that no further call is made."""
        return self._failing_since is not None

    def exchange(
        self, answered: Sequence[Answered], wanted: Sequence[Question] = ()
    ) -> tuple[list[Question], list[Question]]:
        """Keep answers and hand them out; claim questions, and settle those that have an answer by now.

        Args:
            answered: questions with their answers.
            wanted: questions that are to be asked now.

        Returns:
            Those that are claimed, and those that another process asks.

        Raises:
            LLMCacheError: nothing of this was done.
        """
        pairs = list(self._rows(answered))
        try:
            if wanted:
                self._prepare()
                with self._releasing:
                    self._owed.difference_update(one.key for one in wanted)
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
        for (question, answer), _ in pairs:
            self._pending.settle(question, self._existing(done.there, question) or answer)
        for question in wanted:
            if (found := self._existing(done.answered, question)) is not None:
                self._pending.settle(question, found)
        open_ones = [question for question in wanted if question.key not in done.answered]
        return (
            [question for question in open_ones if question.key not in done.elsewhere],
            [question for question in open_ones if question.key in done.elsewhere],
        )

    def again(self, error: LLMCacheError) -> bool:
        """Whether to try again, after :data:`AGAIN` seconds, what has failed."""
        patience = _PATIENCE_WITH_LOCK if "locked" in str(error) else PATIENCE
        return error.passing and time.monotonic() - (self._failing_since or 0.0) < patience

    def give_up(self, answered: Sequence[Answered], error: LLMCacheError) -> None:
        """Write what can be written, settle the rest with an error that counts lost answers, and stop calling."""
        lost: list[Question] = []
        for one in answered:
            try:
                self.exchange([one])
            except LLMCacheError:
                lost.append(one[0])
        said = "Nothing more was asked, and every answer that had come is kept."
        if lost:
            count = "1 answer that was" if len(lost) == 1 else f"{len(lost)} answers that were"
            said = f"Nothing more was asked; {count} under way could not be kept and will be asked for again."
        error.args = (f"{error} {said}",)
        self._broken(error)
        for question in lost:
            self._pending.settle(question, error)

    def keep(self, answered: Sequence[Answered]) -> None:
        """Keep answers and hand them out, however long it takes, or give up."""
        while True:
            try:
                self.exchange(answered)
                return
            except LLMCacheError as error:
                if not self.again(error):
                    self.give_up(answered, error)
                    return
            time.sleep(AGAIN)

    def look(self, questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
        """Settle those of these questions, which other processes ask, that are answered by now.

        Returns:
            Those that others ask still, and those that nobody asks any more.

        Raises:
            LLMCacheError: the cache cannot be read.
        """
        answered, asked = self._cache.progress([question.key for question in questions], self._owner)
        for question in questions:
            if question.key in answered:
                self._pending.settle(question, self._found(answered[question.key]))
        rest = [question for question in questions if question.key not in answered]
        return [one for one in rest if one.key in asked], [one for one in rest if one.key not in asked]

    def release(self, questions: Sequence[Question]) -> None:
        """Let others ask these questions."""
        if questions and self._known:
            with self._releasing:
                self._owed.update(question.key for question in questions)
            self._pay()

    def rest(self) -> None:
        """Nothing is asked for a moment, which is the time to let the cache settle, in another thread."""
        if self._unsettled >= _SETTLED_AFTER:
            self._heartbeat.soon()

    def close(self) -> None:
        """Take all claims back and give the room back."""
        self._heartbeat.stop()
        self._heartbeat = Heartbeat(self._live)
        self._reserve.release()
        give_up = time.monotonic() + PATIENCE
        while self._known:
            try:
                self._cache.release(self._owner)
                self._known = False
            except LLMCacheError as error:
                # Where it cannot be done, the claims lapse with this process.
                self._known = "locked" in str(error) and time.monotonic() < give_up

    def _prepare(self) -> None:
        """What must be so before anything is asked: there is room for what is under way, and claims have an owner."""
        try:
            self._reserve.hold()
        except OSError as problem:
            error = LLMCacheError(
                self._cache.path,
                f"the cache of answers has no room left: {problem.strerror}. Make room on its disk.",
            )
            error.passing = True
            raise error from problem
        if not self._known:
            self._cache.sign_of_life(self._owner)
            self._known = True
            self._heartbeat.start()

    def _live(self) -> None:
        with contextlib.suppress(LLMCacheError):  # the next sign of life may come through
            self._cache.sign_of_life(self._owner)
        self._pay()
        if self._unsettled >= _SETTLED_AFTER:
            self._unsettled = 0
            self._cache.settle()

    def _pay(self) -> None:
        """Takes claims back; those that cannot be taken back now are at the next sign of life."""
        with self._releasing, contextlib.suppress(LLMCacheError):
            if self._owed:
                self._cache.release(self._owner, list(self._owed))
                self._owed.clear()

    def _existing(self, answers: object, question: Question) -> ChatAnswer | None:
        found = answers.get(question.key)  # type: ignore[attr-defined]
        return None if found is None else self._found(found)

    def _rows(self, answered: Sequence[Answered]) -> list[tuple[Answered, Row]]:
        """Answers as the cache takes them; one that is not as ChatAnswer says ends the asking."""
        rows = []
        for question, answer in answered:
            try:
                row = self._cache.row(question.key, self._identity, question.canonical, answer)
            except Exception as raised:
                error = fault(f"language-model backend {self._identity!r}", raised)
                self._broken(error)
                self._pending.settle(question, error)
            else:
                rows.append(((question, answer), row))
        return rows
