"""Asker: a thread that waits for the answers to its requests."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from emosim_core.errors import EmoSimError
from emosim_core.llm.chat import ChatAnswer

Result = ChatAnswer | BaseException
"""Result of a request."""

Job = Callable[[bool], None]
"""A function whose argument says whether the thread that calls it was interrupted."""

_LOOK_SECONDS = 0.5


class Asker:
    """A thread that waits for answers, and meanwhile calls functions that take long.

    Attributes:
        keys: cache keys of the requests.
        results: results by cache key.
        sent: number of tasks that send requests of this thread.
        tasks: these tasks.
        refusal: why the rest of its requests is not sent; None if it is.
    """

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.results: dict[str, Result] = {}
        self.sent = 0
        self.tasks: list[asyncio.Task[None]] = []
        self.refusal: EmoSimError | None = None
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._interrupted = False

    def wait(self) -> None:
        """Wait until the tasks have ended."""
        while sum(task.done() for task in self.tasks) < self.sent:
            with contextlib.suppress(queue.Empty):  # an unlimited wait cannot be interrupted on every system
                if (job := self._jobs.get(timeout=_LOOK_SECONDS)) is not None:
                    job(self._interrupted)

    def wake(self, task: asyncio.Task[Any]) -> None:
        """Called when a task has ended."""
        self._jobs.put(None)

    def run(self, job: Job) -> None:
        """Have a function called in this thread."""
        self._jobs.put(job)
        if self._interrupted:
            self.interrupt()

    def interrupt(self) -> None:
        """Call no further function."""
        self._interrupted = True
        with contextlib.suppress(queue.Empty):
            while True:
                if (job := self._jobs.get_nowait()) is not None:
                    job(True)


ASKER: ContextVar[Asker] = ContextVar("asker")
"""The thread that waits for the request which is sent."""
