"""Keeper: puts answers into the cache in a thread of its own, and hands them out when they are there."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from emosim_core.errors import EmoSimError
from emosim_core.hooks.faults import fault
from emosim_core.llm.cache import AnswerCache
from emosim_core.llm.chat import ChatAnswer
from emosim_core.llm.inflight import InFlight, Question

_AT_ONCE = 256

Answered = tuple[Question, ChatAnswer]


class Keeper:
    """Keeps answers. Those that arrive while others are being written share the next transaction.

    Args:
        cache: where answers are kept.
        identity: what answers.
        in_flight: where questions are settled.
        broken: called with an error where answers cannot be kept.
    """

    def __init__(
        self, cache: AnswerCache, identity: str, in_flight: InFlight, broken: Callable[[EmoSimError], None]
    ) -> None:
        self._cache = cache
        self._identity = identity
        self._in_flight = in_flight
        self._broken = broken
        self._queue: queue.SimpleQueue[list[Answered] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, answered: list[Answered]) -> None:
        """Keep answers soon, then hand them out. For one thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="emosim-llm-cache", daemon=True)
            self._thread.start()
        self._queue.put(answered)

    def keep(self, answered: list[Answered]) -> None:
        """Keep answers now, then hand them out."""
        try:
            there = self._cache.put_many([(q.key, self._identity, q.request, answer) for q, answer in answered])
        except EmoSimError as error:
            self._fail(answered, error)
        except Exception as error:  # one that is not as ChatAnswer says; the others are kept
            if len(answered) == 1:
                self._fail(answered, fault(f"language-model backend {self._identity!r}", error))
            else:
                for one in answered:
                    self.keep([one])
        else:
            for question, answer in answered:
                self._in_flight.settle(question, there.get(question.key, answer))

    def close(self) -> None:
        """Keep what was put, then end. For the thread that puts."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _fail(self, answered: list[Answered], error: EmoSimError) -> None:
        self._broken(error)
        for question, _ in answered:
            self._in_flight.settle(question, error)

    def _run(self) -> None:
        ended = False
        while not ended:
            answered: list[Answered] = []
            further = self._queue.get()
            while further is not None:
                answered += further
                if len(answered) >= _AT_ONCE:
                    break
                try:
                    further = self._queue.get_nowait()
                except queue.Empty:
                    break
            ended = further is None
            if answered:
                self.keep(answered)
