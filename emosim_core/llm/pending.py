"""InFlight: the questions that have no answer yet, and who waits for each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from emosim_core.errors import EmoSimError
from emosim_core.llm.chat import ChatAnswer, ChatRequest

Result = ChatAnswer | EmoSimError
"""What becomes of a question."""

_LOOK_SECONDS = 0.5


class Question:
    """A question that has no answer yet.

    Attributes:
        key: its key.
        request: what is asked.
        canonical: the request as canonical JSON.
        calls: how often it was asked.
        queued: whether it was handed to who asks.
        result: what became of it; None while that is open.
        withdrawn: whether nobody waits for it any more.
    """

    __slots__ = ("calls", "canonical", "key", "queued", "request", "result", "waiting", "withdrawn")

    def __init__(self, key: str, request: ChatRequest) -> None:
        self.key, self.request = key, request
        self.canonical = ""
        self.calls = 0
        self.queued = False
        self.result: Result | None = None
        self.withdrawn = False
        self.waiting: list[Waiter] = []


class Waiter:
    """Who waits for the answers to several questions.

    Attributes:
        questions: these.
        keys: theirs.
    """

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.keys: set[str] = set()
        self._open = 0
        self._done = threading.Event()

    def wait(self) -> None:
        """Wait until each question has its answer or error."""
        # In steps, because an unlimited wait cannot be interrupted on every system, and by looking at the questions
        # themselves, because a count may be off by one after an interruption.
        while any(question.result is None and self in question.waiting for question in self.questions):
            if self._done.wait(_LOOK_SECONDS):
                self._done.clear()

    def add(self, question: Question) -> None:
        """Wait for one more question; the lock of its table is held."""
        self._open += 1
        self.questions.append(question)
        self.keys.add(question.key)
        question.waiting.append(self)

    def less(self) -> None:
        """Wait for one question less; the lock of its table is held."""
        self._open -= 1
        if not self._open:
            self._done.set()


class PendingRequests:
    """The table of open questions by key. Safe with several threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._open: dict[str, Question] = {}

    def enter(
        self,
        requests: Mapping[str, ChatRequest],
        look_up: Callable[[Sequence[str]], Mapping[str, ChatAnswer]],
        before_new: Callable[[], None],
        waiter: Waiter,
    ) -> tuple[Mapping[str, ChatAnswer], list[Question]]:
        """Look questions up, join those that are in flight, and take up the rest.

        All of it in one step, so that no question can be answered and forgotten here between the look-ups.

        Args:
            requests: the questions by key.
            look_up: finds cached answers.
            before_new: called before questions are taken up, if any are; may raise.
            waiter: who waits for what has no answer.

        Returns:
            Kept answers by key, and the questions that must be asked now.
        """
        with self.lock:
            known = look_up([key for key in requests if key not in self._open])
            new = [key for key in requests if key not in known and key not in self._open]
            if new:
                before_new()
            for key in requests:
                if key in self._open:
                    self._open[key].withdrawn = False
                    waiter.add(self._open[key])
            taken: list[Question] = []
            for key in new:
                question = Question(key, requests[key])
                waiter.add(question)
                taken.append(question)
                self._open[key] = question
        return known, taken

    def settle(self, question: Question, result: Result) -> None:
        """Hand a result to all who wait for it; a question that has one keeps it."""
        with self.lock:
            self._settle(question, result)

    def leave(self, waiter: Waiter) -> list[Question]:
        """Stop waiting for what others wait for too; returns what now nobody waits for, and is open still."""
        with self.lock:
            alone: list[Question] = []
            for question in waiter.questions:
                if question.result is not None or waiter not in question.waiting:
                    continue
                if len(question.waiting) > 1:
                    question.waiting.remove(waiter)
                    waiter.less()
                else:
                    question.withdrawn = True
                    alone.append(question)
        return alone

    def drop(self, question: Question, result: Result) -> bool:
        """Settle a question if nobody waits for it still; returns whether it needs no call."""
        with self.lock:
            if question.withdrawn:
                self._settle(question, result)
            return question.result is not None

    def _settle(self, question: Question, result: Result) -> None:
        if question.result is None:
            question.result = result
            if self._open.get(question.key) is question:
                del self._open[question.key]
            for waiter in question.waiting:
                waiter.less()
