"""LoopThread: an event loop in a daemon thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class LoopThread:
    """Runs an event loop from its construction until it is stopped.

    Args:
        name: name of the thread.

    Attributes:
        ended: whether the loop runs no more.
        error: what ended it; None where it was stopped.
    """

    def __init__(self, name: str) -> None:
        self.ended = False
        self.error: BaseException | None = None
        loop: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._run, args=(loop,), name=name, daemon=True)
        try:
            self._thread.start()
            self._loop = loop.result()
        except BaseException:  # an interruption: the thread ends as soon as its loop runs
            loop.add_done_callback(_stop)
            raise

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in the loop; nothing happens after its end. From any thread."""
        if not self.ended:
            self._loop.call_soon_threadsafe(function, *arguments)

    def join(self, seconds: float) -> bool:
        """Wait for the end of the thread, at most so long; returns whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        started.set_result(loop)
        try:
            loop.run_forever()
        except BaseException as error:  # such as SystemExit in a task that a backend has started
            self.error = error
        self.ended = True
        try:
            if remaining := asyncio.all_tasks(loop):
                for task in remaining:
                    task.cancel()
                loop.run_until_complete(asyncio.wait(remaining, timeout=1.0))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _stop(started: Future[asyncio.AbstractEventLoop]) -> None:
    loop = started.result()
    loop.call_soon_threadsafe(loop.stop)
