"""PendingRequests: the requests without an answer, and the threads that wait for each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from emosim_core.errors import EmoSimError
from emosim_core.llm.chat import ChatAnswer, ChatRequest

Result = ChatAnswer | EmoSimError
"""Result of a request."""

_LOOK_SECONDS = 0.5


class PendingRequest:
    """A request without an answer.

    Attributes:
        key: its cache key.
        request: the request.
        canonical: the request as canonical JSON.
        calls: number of calls so far.
        queued: whether the dispatcher has it.
        result: its answer or error; None until then.
        withdrawn: whether no thread waits for it any more.
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
    """A thread that waits for the results of several requests.

    Attributes:
        entries: the requests.
        keys: their cache keys.
    """

    def __init__(self) -> None:
        self.entries: list[PendingRequest] = []
        self.keys: set[str] = set()
        self._open = 0
        self._done = threading.Event()

    def wait(self) -> None:
        """Wait until each request has an answer or an error."""
        # In steps, because an unlimited wait cannot be interrupted on every system; and the results are checked, not
        # the count, which may be off by one after an interruption.
        while any(entry.result is None and self in entry.waiting for entry in self.entries):
            if self._done.wait(_LOOK_SECONDS):
                self._done.clear()

    def add(self, entry: PendingRequest) -> None:
        """Wait for one more request; the lock of its table is held."""
        self._open += 1
        self.entries.append(entry)
        self.keys.add(entry.key)
        entry.waiting.append(self)

    def less(self) -> None:
        """Wait for one request less; the lock of its table is held."""
        self._open -= 1
        if not self._open:
            self._done.set()


class PendingRequests:
    """Table of the requests without an answer, by cache key. Thread-safe."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._open: dict[str, PendingRequest] = {}

    def enter(
        self,
        requests: Mapping[str, ChatRequest],
        look_up: Callable[[Sequence[str]], Mapping[str, ChatAnswer]],
        before_new: Callable[[], None],
        waiter: Waiter,
    ) -> tuple[Mapping[str, ChatAnswer], list[PendingRequest]]:
        """Look requests up in the cache, join those that are pending, and register the rest.

        The lock is held throughout, so that no request is answered and removed between the look-ups.

        Args:
            requests: the requests by cache key.
            look_up: finds cached answers.
            before_new: called before requests are registered, if there are any; may raise.
            waiter: waits for the requests without an answer.

        Returns:
            Cached answers by key, and the new requests, which must be sent.
        """
        with self.lock:
            cached = look_up([key for key in requests if key not in self._open])
            new = [key for key in requests if key not in cached and key not in self._open]
            if new:
                before_new()
            for key in requests:
                if key in self._open:
                    self._open[key].withdrawn = False
                    waiter.add(self._open[key])
            registered: list[PendingRequest] = []
            for key in new:
                entry = PendingRequest(key, requests[key])
                waiter.add(entry)
                registered.append(entry)
                self._open[key] = entry
        return cached, registered

    def settle(self, entry: PendingRequest, result: Result) -> None:
        """Set the result of a request and wake its waiters; a result that is set is never replaced."""
        with self.lock:
            self._settle(entry, result)

    def leave(self, waiter: Waiter) -> list[PendingRequest]:
        """Stop waiting for requests that others wait for too; returns the open ones that no other thread waits for."""
        with self.lock:
            alone: list[PendingRequest] = []
            for entry in waiter.entries:
                if entry.result is not None or waiter not in entry.waiting:
                    continue
                if len(entry.waiting) > 1:
                    entry.waiting.remove(waiter)
                    waiter.less()
                else:
                    entry.withdrawn = True
                    alone.append(entry)
        return alone

    def drop(self, entry: PendingRequest, result: Result) -> bool:
        """Settle a request that was withdrawn; returns whether the request has a result, so that it needs no call."""
        with self.lock:
            if entry.withdrawn:
                self._settle(entry, result)
            return entry.result is not None

    def _settle(self, entry: PendingRequest, result: Result) -> None:
        if entry.result is None:
            entry.result = result
            if self._open.get(entry.key) is entry:
                del self._open[entry.key]
            for waiter in entry.waiting:
                waiter.less()
