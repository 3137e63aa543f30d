"""Gateway: calls a language model through a persistent cache, so that no request is paid for twice."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import islice
from typing import Any

from emosim_core.errors import LLMError, LLMReplayError, LLMTransientError
from emosim_core.hooks.faults import named
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.asking import ASKER, Asker
from emosim_core.llm.gateway.batched import Batched
from emosim_core.llm.gateway.budget import Budgeted
from emosim_core.llm.gateway.cache import AnswerCache, default_cache_path
from emosim_core.llm.gateway.cache_key import cache_key_of, request_json
from emosim_core.llm.gateway.cached import Cached, Stored
from emosim_core.llm.gateway.limiter import AdaptiveLimiter, Limited
from emosim_core.llm.gateway.redaction import Redacted
from emosim_core.llm.gateway.retries import Retries, Retrying
from emosim_core.llm.gateway.usage import Counted, UsageTally
from emosim_core.llm.options import GatewayOptions as GatewayOptions

log = logging.getLogger("emosim_core.llm")

CLOSED = "the gateway was closed before this request was sent"

_PATIENCE_WITH_LOCK = 0.2
"""Seconds to wait for the write lock of another process before the next attempt."""


class Gateway:
    """Calls a language model, in parallel where it is a service, and caches every answer before it is used.

    Args:
        backend: the language model.
        options: concurrency, attempts, budget, replay and cache.
        retries: which calls are repeated, and when; exponential backoff where not given.

    Attributes:
        backend: the language model.
        options: the options.
        usage: counts of requests, calls, tokens and cost.

    A pickled or copied gateway is closed and opens at the next request; its counts go on.
    """

    def __init__(
        self, backend: LLMBackend, options: GatewayOptions | None = None, retries: Retries | None = None
    ) -> None:
        self.backend = backend
        self.options = options or GatewayOptions()
        self.usage = UsageTally()
        self._retries = retries or Retries(self.options.attempts)
        self._charged = 0.0
        self._begin_closed()

    def _begin_closed(self) -> None:
        self._lock = threading.Lock()
        self._session: _Session | None = None
        self._forked: _Session | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_session", "_forked")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin_closed()

    def ask(self, requests: Iterable[ChatRequest]) -> list[ChatAnswer | LLMError]:
        """The answers in the order of the requests; in the place of a failed one, its error. Thread-safe.

        A service gets the first requests while the next ones are still made. After Ctrl-C no further call starts;
        running calls are completed and cached, unless Ctrl-C comes again.

        Raises:
            ConfigurationError: a limit on the cost is set, and the backend's price is not known.
            PluginError: the backend raised something else than an LLMError.
            DataError: the cache cannot be read or written.
        """
        return self._current().ask(requests)

    def charge(self, cost: float) -> None:
        """Count a cost towards the limit on the cost; takes effect when the gateway opens next."""
        self._charged = cost

    def close(self) -> None:
        """Complete the running calls, and close the backend and the cache; the next request opens them again.

        Raises:
            PluginError: the backend cannot be closed.
        """
        with self._lock:
            session, self._session = self._session, None
        if session is not None and session.process == os.getpid():
            session.close()

    def _current(self) -> _Session:
        """The session of this process; one of another process is unusable after a fork."""
        session = self._session
        if session is None or session.process != os.getpid():
            if session is not None:
                self._lock = threading.Lock()
            with self._lock:
                session = self._session
                if session is None or session.process != os.getpid():
                    # The session of the parent process stays referenced, so that its connections are not closed here.
                    self._forked = session
                    options, limit = self.options, self.options.max_cost
                    if limit is not None:
                        options = options.model_copy(update={"max_cost": max(0.0, limit - self._charged)})
                    session = self._session = _Session(self.backend, options, self.usage, self._retries)
        return session


class _Session:
    """A gateway from the first request until it is closed: the cache, the chain, and the thread of its event loop."""

    def __init__(self, backend: LLMBackend, options: GatewayOptions, usage: UsageTally, retries: Retries) -> None:
        self.process = os.getpid()
        self._options, self._usage, self._identity = options, usage, backend.identity
        self._name = f"language-model backend {type(backend).__name__}"
        self._cache = AnswerCache(
            options.cache or default_cache_path(), read_only=options.replay, patience=_PATIENCE_WITH_LOCK
        )
        self._lock = threading.Lock()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._asks: set[asyncio.Task[None]] = set()
        self._batched = not options.replay and backend.batched
        # A request passes this chain from its end to its beginning.
        slots = options.concurrency
        if self._batched:
            slots, backend = sys.maxsize, Batched(backend, lambda: self._cached.sending)
        limiter = AdaptiveLimiter(slots)
        self._redacted = Redacted(Counted(backend, usage), self._name)
        stored = Stored(self._redacted, lambda *answered: self._cached.write(*answered))
        self._budgeted = Budgeted(stored, usage, options.max_cost)
        limited = Limited(self._budgeted, limiter)
        retrying = Retrying(limited, retries, limiter, usage)
        self._cached = Cached(retrying, self._cache, limited, self._budgeted, usage, self._clean, options.concurrency)

    def ask(self, requests: Iterable[ChatRequest]) -> list[ChatAnswer | LLMError]:
        """See :meth:`Gateway.ask`."""
        keys: list[str] = []
        asker = Asker()
        began = time.perf_counter()
        try:
            for part in self._parts(requests):
                keys += self._submit(part, asker)
            asker.wait()
        except BaseException:
            self._leave(asker)
            raise
        results = [asker.results[key] for key in keys]
        failed = sum(not isinstance(result, ChatAnswer) for result in results)
        self._usage.add(failed=failed, seconds=time.perf_counter() - began if asker.sent else 0.0)
        for result in results:
            if not isinstance(result, ChatAnswer | LLMError):
                raise result
        return results  # type: ignore[return-value]

    def _parts(self, requests: Iterable[ChatRequest]) -> Iterator[list[ChatRequest]]:
        """The requests in parts of at most ``concurrency``; in a single part for a batched backend or a replay."""
        remaining = iter(requests)
        size = None if self._options.replay or self._batched else self._options.concurrency
        while part := list(islice(remaining, size)):
            yield part

    def _submit(self, part: Sequence[ChatRequest], asker: Asker) -> list[str]:
        """Look requests up in the cache, and send those without an answer; returns the cache keys."""
        keys = [cache_key_of(self._identity, request_json(request)) for request in part]
        first = {key: request for key, request in zip(keys, part, strict=True) if key not in asker.keys}
        asker.keys.update(first)
        cached = {key: self._clean(answer) for key, answer in self._cache.get_many(list(first)).items()}
        asker.results.update(cached)
        new = {key: request for key, request in first.items() if key not in cached}
        hits = sum(key in cached for key in keys)
        repeated = 0 if self._options.replay else len(keys) - hits - len(new)
        self._usage.add(requests=len(keys), cached=hits, shared=repeated)
        log.debug("%d requests: %d cached, %d to send", len(keys), hits, len(new))
        if self._options.replay:
            asker.results.update((key, self._missing(key)) for key in new)
        elif new:
            with named(self._name):
                self._budgeted.check_price()
            self._redacted.check_identity()
            with self._lock:
                if self._closed:
                    asker.results.update((key, LLMTransientError(CLOSED)) for key in new)
                else:
                    self._running().call_soon_threadsafe(self._start, new, asker)
                    asker.sent += 1
        return keys

    def _clean(self, answer: ChatAnswer) -> ChatAnswer:
        """An answer without secrets of the backend, which an older cache may hold."""
        return self._redacted.redactor().answer(answer)

    def _missing(self, key: str) -> LLMReplayError:
        return LLMReplayError(
            f"no answer of {self._identity!r} to this request (key {key[:12]}) is cached in {self._cache.path}; "
            "without --replay the model is called"
        )

    def _leave(self, asker: Asker) -> None:
        """Withdraw the requests of an interrupted thread, and wait for its running calls."""
        asker.interrupt()
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                return
            self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in asker.tasks])
        asker.wait()

    def close(self) -> None:
        """Complete the running calls, and close the backend and the cache."""
        with self._lock:
            self._closed = True
        try:
            if self._loop is not None and self._thread is not None:
                self._loop.call_soon_threadsafe(self._end.set)
                self._ended.result()
                self._thread.join()
        finally:
            self._cache.close()

    # --------------------------------------------------------------------------------- the thread of the event loop

    def _running(self) -> asyncio.AbstractEventLoop:
        """The event loop, which is started if it is not running; the lock is held."""
        if self._loop is None:
            started: Future[asyncio.AbstractEventLoop] = Future()
            serve = partial(asyncio.run, self._serve(started))
            self._thread = threading.Thread(target=serve, name="emosim-llm", daemon=True)
            self._thread.start()
            self._loop = started.result()
        return self._loop

    async def _serve(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        self._ended: Future[None] = Future()
        self._end = asyncio.Event()
        started.set_result(asyncio.get_running_loop())
        await self._end.wait()
        self._budgeted.stop(LLMTransientError(CLOSED))
        self._cached.refuse(self._budgeted.refusal() or LLMTransientError(CLOSED))
        if self._asks:
            await asyncio.wait(set(self._asks))
        try:
            with named(self._name):
                await self._cached.close()
        except BaseException as error:
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    def _start(self, requests: Mapping[str, ChatRequest], asker: Asker) -> None:
        task = asyncio.create_task(self._send(requests, asker))
        asker.tasks.append(task)
        self._asks.add(task)
        task.add_done_callback(self._asks.discard)
        task.add_done_callback(asker.wake)

    async def _send(self, requests: Mapping[str, ChatRequest], asker: Asker) -> None:
        ASKER.set(asker)
        answers = [self._cached.answer_to(key, request) for key, request in requests.items()]
        asker.results.update(zip(requests, await asyncio.gather(*answers, return_exceptions=True), strict=True))
