"""Gateway: calls a language model through a persistent cache, so that no request is paid for twice."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from emosim_core.errors import LLMError, LLMReplayError, LLMTransientError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.cache import AnswerCache, default_cache_path
from emosim_core.llm.gateway.cache_lines import cache_key_of, request_json
from emosim_core.llm.gateway.counted import Counted
from emosim_core.llm.gateway.request import CLOSED, Caller, PendingRequest, Result
from emosim_core.llm.gateway.retries import Retries
from emosim_core.llm.gateway.usage import UsageTally
from emosim_core.llm.options import GatewayOptions as GatewayOptions

if TYPE_CHECKING:
    from emosim_core.llm.gateway.chain import Chain

log = logging.getLogger("emosim_core.llm")

_AHEAD = 2
"""Requests that may be without an answer, for each call at once, before further ones are made: the thread that makes
them holds up the event loop."""

_PATIENCE_WITH_LOCK = 0.2
"""Seconds to wait for the write lock of another process before the next attempt."""


class Gateway:
    """Calls a language model, in parallel where it is a service, and caches every answer before it is used.

    Args:
        options: concurrency, attempts, budget, replay and cache.
        retries: which calls are repeated, and when; exponential backoff where not given.

    Attributes:
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
        self._begin_closed()

    def _begin_closed(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._session: _Session | None = None

    def __getstate__(self) -> dict[str, Any]:
        opened = ("_process", "_lock", "_session", "_forked")
        return {name: value for name, value in vars(self).items() if name not in opened}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin_closed()

    def ask(self, requests: Iterable[ChatRequest], usage: UsageTally | None = None) -> list[ChatAnswer | LLMError]:
        """The answers in the order of the requests; in the place of a failed one, its error. Thread-safe.

        A service gets requests while the next ones are still made. After Ctrl-C no further call starts;
        running calls are completed and cached, unless Ctrl-C comes again. A batched backend is called in the thread
        that asks; Ctrl-C interrupts it.

        Args:
            requests: the requests.
            usage: counts what these requests take; a part of the gateway's.

        Raises:
            ConfigurationError: a limit on the cost is set, and the backend's price is not known.
            PluginError: the backend raised something else than an LLMError.
            DataError: the cache cannot be read or written.
        """
        began = time.perf_counter()
        usage = usage or self.usage
        caller = Caller(usage)
        results = self._current().ask(requests, caller)
        failed = sum(not isinstance(result, ChatAnswer) for result in results)
        usage.count_end(failed, time.perf_counter() - began if len(caller.cached) < len(caller.keys) else 0.0)
        return [result for result in results if isinstance(result, ChatAnswer | LLMError)]  # others were raised

    def charge(self, cost: float | Callable[[], float]) -> None:
        """Count a cost towards the limit on the cost, or what a function returns before each call."""
        self.usage.charged = cost

    def close(self) -> None:
        """Complete the running calls, and close the backend and the cache; the next request opens them again.

        A PluginError where the backend cannot be closed.
        """
        self._leave_parent()
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _current(self) -> _Session:
        self._leave_parent()
        with self._lock:
            if self._session is None:
                self._session = _Session(self.backend, self.options, self.usage, self._retries)
            return self._session

    def _leave_parent(self) -> None:
        """After a fork, begin anew: the threads of the parent process are not here."""
        if self._process != os.getpid():
            # The session of the parent process stays referenced, so that its connections are not closed here.
            self._forked = self._session
            self._begin_closed()


class RepeatedFailure(LLMError):
    """A request failed when it was made, and a replay repeats why; the message is the whole explanation."""

    @property
    def explained(self) -> str:
        """The message alone, which has its summary."""
        return str(self)


class _Session:
    """Connections and the chain of a gateway, from the first request until it is closed."""

    def __init__(self, backend: LLMBackend, options: GatewayOptions, usage: UsageTally, retries: Retries) -> None:
        self._backend, self._options, self._usage, self._retries = backend, options, usage, retries
        path = options.cache or default_cache_path()
        self._cache = AnswerCache(path, read_only=options.replay, patience=_PATIENCE_WITH_LOCK)
        self._counted = Counted(backend, usage)
        self._lock = threading.Lock()
        self._chain: Chain | None = None
        self._closed = False

    def ask(self, requests: Iterable[ChatRequest], caller: Caller) -> list[Result]:
        """The results in the order of the requests."""
        keys: list[str] = []
        try:
            for part in self._parts(requests):
                keys += [one.key for one in part]
                self._submit(caller, part)
                self._wait(caller, _AHEAD * self._options.concurrency)
            self._wait(caller, 0)
        except BaseException:
            caller.gone = True
            if self._chain is not None:
                self._chain.leave(caller)
            raise
        return [caller.results[key] for key in keys]

    def _wait(self, caller: Caller, enough: int) -> None:
        """Wait until at most so many results are missing."""
        caller.enough = enough
        caller.check()
        while caller.waits:
            assert self._chain is not None
            self._chain.wait(caller)
            caller.check()

    def close(self) -> None:
        """Close the chain and the cache."""
        with self._lock:
            self._closed = True
        try:
            if self._chain is not None:
                self._chain.close()
        finally:
            self._cache.close()

    def _parts(self, requests: Iterable[ChatRequest]) -> Iterator[list[PendingRequest]]:
        """The requests in parts of at most ``concurrency``; in a single part for a batched backend or a replay."""
        remaining = iter(requests)
        size = None if self._options.replay or self._backend.batched else self._options.concurrency
        while part := list(islice(remaining, size)):
            identity, texts = self._backend.identity, [request_json(request) for request in part]
            yield [
                PendingRequest(cache_key_of(identity, text), request, text)
                for request, text in zip(part, texts, strict=True)
            ]

    def _submit(self, caller: Caller, part: Sequence[PendingRequest]) -> None:
        """Answer requests from the cache, and send the others."""
        new = {one.key: one for one in part if one.key not in caller.keys}
        cached = self._cached(list(new.values()))
        redactor = self._counted.redactor()
        for key, answer in cached.items():
            caller.take(key, replace(redactor.answer(answer), cached=True))
            del new[key]
        hits = sum(one.key in caller.cached for one in part)
        (caller.usage or self._usage).count_requests(
            len(part), hits, 0 if self._options.replay else len(part) - hits - len(new)
        )
        log.debug("%d requests: %d cached, %d new", len(part), hits, len(new))
        if self._options.replay:
            for key in new:
                if (failure := self._backend.failures.get(key)) is not None:
                    caller.take(key, RepeatedFailure(failure))
                    continue
                problem = f"no answer of {self._backend.identity!r} to this request (key {key[:12]}) is cached in"
                advice = "without --replay the model is called"
                caller.take(key, LLMReplayError(f"{problem} {self._cache.path}; {advice}"))
        elif new:
            self._counted.check(priced=self._options.max_cost is not None)
            self._send(caller, new)

    def _cached(self, part: Sequence[PendingRequest]) -> dict[str, ChatAnswer]:
        """The cached answers by key; where there is none, that under a former identity of the backend."""
        cached = self._cache.get_many([one.key for one in part])
        for identity in self._backend.former_identities:
            former = {cache_key_of(identity, one.canonical): one.key for one in part if one.key not in cached}
            if former:
                cached |= {former[key]: answer for key, answer in self._cache.get_many(list(former)).items()}
        return cached

    def _send(self, caller: Caller, new: Mapping[str, PendingRequest]) -> None:
        with self._lock:
            if self._closed:
                for key in new:
                    caller.take(key, LLMTransientError(CLOSED))
                return
            if self._chain is None:
                self._start_chain()
            caller.keys.update(new)
            assert self._chain is not None
            self._chain.submit(caller, list(new.values()))

    def _start_chain(self) -> None:
        from emosim_core.llm.gateway.chain import Chain  # an event loop only where a call is made

        chain = Chain(self._backend, self._counted, self._options, self._usage, self._cache, self._retries)
        try:
            chain.start()
            self._chain = chain
        except BaseException:
            self._chain = None
            chain.abandon()
            raise
