"""Request: a request without an answer, and the threads that wait for it."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from contextvars import ContextVar
from queue import SimpleQueue
from typing import TYPE_CHECKING

from emosim_core.errors import EmoSimError, LLMError
from emosim_core.llm.chat import ChatAnswer, ChatRequest

if TYPE_CHECKING:
    import asyncio

    from emosim_core.llm.gateway.usage import UsageTally

CLOSED = "the gateway was closed before this request was sent"
"""Message for requests that were waiting when the gateway was closed."""

Result = ChatAnswer | EmoSimError
"""Result of a request. An :class:`LLMError` is that of this request alone; any other error ends the asking."""


class Caller:
    """A thread that asks; it waits for results, and runs the batches of a batched backend in the meantime.

    Attributes:
        usage: counts what it asks; None for the tally of the gateway.
        keys: cache keys of the requests it waits for.
        results: their results so far.
        cached: keys of the requests that were answered from the cache.
        enough: how many results may be missing before it is woken.
        error: the error that ends its asking; None while there is none.
        gone: whether it was interrupted, so that it runs no batch any more.
        inbox: batches to run; None when there are results to look at.
    """

    def __init__(self, usage: UsageTally | None = None) -> None:
        self.usage = usage
        self.keys: set[str] = set()
        self.results: dict[str, Result] = {}
        self.cached: set[str] = set()
        self.error: EmoSimError | None = None
        self.gone = False
        self.enough = 0
        self.inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    @property
    def waits(self) -> bool:
        """Whether more than ``enough`` results are missing."""
        return len(self.keys) - len(self.results) > self.enough

    def check(self) -> None:
        """Raise the error that ends its asking, if there is one."""
        if self.error is not None:
            raise self.error

    def take(self, key: str, result: Result) -> None:
        """Take a result that it need not wait for."""
        self.results[key] = result
        self.keys.add(key)
        if isinstance(result, ChatAnswer):
            self.cached.add(key)

    def deliver(self, key: str, result: Result) -> None:
        """Give it a result; from any thread."""
        self.results[key] = result
        if not isinstance(result, ChatAnswer | LLMError):
            self.error = self.error or result
        if self.error is not None or not self.waits:
            self.inbox.put(None)


class PendingRequest:
    """A request without an answer, with its cache key and as canonical JSON.

    Attributes:
        callers: the threads that wait for it.
        calls: number of calls so far.
        calling: whether a call is running, or its answer being written.
        ending: error with which it ends, at the latest when its running call has failed; None while it goes on.
        task: its way through the chain of backends.
        usage: counts its calls and tokens, that of the thread whose request it is; None for the tally of the gateway.
    """

    __slots__ = ("callers", "calling", "calls", "canonical", "ending", "key", "request", "task", "usage")

    def __init__(self, key: str, request: ChatRequest, canonical: str) -> None:
        self.key, self.request, self.canonical = key, request, canonical
        self.callers: list[Caller] = []
        self.calls = 0
        self.calling = False
        self.ending: EmoSimError | None = None
        self.task: asyncio.Task[None] | None = None
        self.usage: UsageTally | None = None


PENDING: ContextVar[PendingRequest] = ContextVar("PENDING")
"""The pending request that the current task answers."""


def answer_or_raise(result: Result, shared: bool = False) -> ChatAnswer:
    """The answer of a result; its error is raised, without a trace where other requests have the same (``shared``)."""
    if isinstance(result, EmoSimError):
        raise result.with_traceback(None) if shared else result
    return result


def reworded(error: LLMError, message: str) -> LLMError:
    """A copy of an error with another message; a copy, as a backend may raise the same object again."""
    with contextlib.suppress(Exception):  # an error class of a plugin may not be copyable
        reworded = copy.copy(error)
        reworded.args = (message, *error.args[1:])
        reworded.__cause__ = error
        return reworded
    return error
