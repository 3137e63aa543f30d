"""Gateway: calls a language model through a persistent cache, so that no request is paid for twice."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from emosim_core.errors import EmoSimError, LLMCacheError, LLMError, LLMReplayError, LLMTransientError, PluginError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.cache import AnswerCache, default_cache_path
from emosim_core.llm.gateway.cache_key import cache_key_of, request_json
from emosim_core.llm.gateway.cache_writer import RETRY_SECONDS, Answered, CacheWriter
from emosim_core.llm.gateway.limiter import AdaptiveLimiter
from emosim_core.llm.gateway.pending import PendingRequest, PendingRequests, Result, Waiter
from emosim_core.llm.gateway.retries import Retries
from emosim_core.llm.gateway.retry_policy import CLOSED, RetryPolicy, log
from emosim_core.llm.gateway.usage import UsageTally
from emosim_core.llm.options import GatewayOptions as GatewayOptions

if TYPE_CHECKING:
    from emosim_core.llm.gateway.dispatcher import Dispatcher


_PATIENCE_WITH_LOCK = 0.2
"""Seconds to wait for the write lock of another process before the next attempt."""

_POLL_SECONDS = 0.2
"""Seconds between two looks at requests that other processes have claimed, for a batched backend."""


class _Part(NamedTuple):
    """A part of the requests: cache keys, requests, and their canonical JSON."""

    keys: list[str]
    requests: list[ChatRequest]
    texts: list[str]


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
        keys: list[str] = []
        results = self._current().results(self._parts(requests), keys)
        for result in results.values():
            if not isinstance(result, ChatAnswer | LLMError):
                raise result
        return [results[key] for key in keys]  # type: ignore[misc]

    def _parts(self, requests: Iterable[ChatRequest]) -> Iterator[_Part]:
        """The requests in parts of at most ``concurrency``; in a single part for a batched backend or a replay."""
        remaining = iter(requests)
        size = None if self.options.replay or self.backend.batched else self.options.concurrency
        while part := list(islice(remaining, size)):
            texts = [request_json(request) for request in part]
            yield _Part([cache_key_of(self.backend.identity, text) for text in texts], part, texts)

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
    """Connections and threads of a gateway, from the first request until it is closed."""

    def __init__(self, backend: LLMBackend, options: GatewayOptions, usage: UsageTally, retries: Retries) -> None:
        self.process = os.getpid()
        self._backend = backend
        self._options = options
        self._usage = usage
        self._cache = AnswerCache(
            options.cache or default_cache_path(), read_only=options.replay, patience=_PATIENCE_WITH_LOCK
        )
        self._pending = PendingRequests()
        self._retry_policy = RetryPolicy(backend, usage, options.max_cost, retries)
        self._cache_writer = CacheWriter(
            self._cache, backend.identity, self._pending, self._broken, self._found, options.concurrency
        )
        self._dispatcher: Dispatcher | None = None
        self._closed = False
        self._starting = threading.Lock()
        self._batching = threading.Lock()

    def results(self, parts: Iterable[_Part], keys: list[str]) -> Mapping[str, Result]:
        """Results by cache key.

        Args:
            parts: the requests.
            keys: filled with the cache keys, in the order of the requests.
        """
        results: dict[str, Result] = {}
        waiter = Waiter()
        began = time.perf_counter()
        try:
            for part in parts:
                keys += part.keys
                if self._options.replay:
                    results |= self._replayed(part)
                else:
                    results |= self._submit_part(part, waiter)
            if not waiter.entries:
                return results
            waiter.wait()
            self._cache_writer.idle()
        except BaseException:
            self._give_up(waiter)
            raise
        results |= {entry.key: entry.result for entry in waiter.entries if entry.result is not None}
        failed = sum(not isinstance(results[key], ChatAnswer) for key in keys)
        self._usage.count_end(failed, time.perf_counter() - began)
        return results

    def _submit_part(self, part: _Part, waiter: Waiter) -> Mapping[str, ChatAnswer]:
        """Submit the requests without a cached answer; returns the cached answers."""
        requests = {key: one for key, one in zip(part.keys, part.requests, strict=True) if key not in waiter.keys}
        texts = dict(zip(part.keys, part.texts, strict=True))
        cached, new = self._pending.enter(requests, self._look_up, self._retry_policy.check_price, waiter)
        for entry in new:
            entry.canonical = texts[entry.key]
        hits = sum(key in cached for key in part.keys)
        self._usage.count_requests(len(part.keys), hits, len(part.keys) - hits - len(new))
        log.debug("%d requests: %d cached, %d new", len(part.keys), hits, len(new))
        if self._backend.batched:
            self._ask_batch(new)
        elif new:
            self._submit(new)
        return cached

    def close(self) -> None:
        """Close the dispatcher, the cache writer and the cache."""
        try:
            with self._starting:
                self._closed = True
                dispatcher, self._dispatcher = self._dispatcher, None
            if dispatcher is not None:
                dispatcher.close()
            with self._batching:
                if dispatcher is None:
                    self._cache_writer.close()
        finally:
            self._cache.close()

    def _replayed(self, part: _Part) -> Mapping[str, Result]:
        results: dict[str, Result] = dict(self._look_up(part.keys))
        missing = [key for key in part.keys if key not in results]
        for key in missing:
            results[key] = LLMReplayError(
                f"no answer of {self._backend.identity!r} to this request (key {key[:12]}) is cached in "
                f"{self._cache.path}; without --replay the model is called"
            )
        hits = sum(isinstance(results[key], ChatAnswer) for key in part.keys)
        self._usage.count_requests(len(part.keys), hits, 0)
        self._usage.count_end(len(part.keys) - hits, 0.0)
        return results

    def _look_up(self, keys: Sequence[str]) -> Mapping[str, ChatAnswer]:
        return {key: self._cached(answer) for key, answer in self._cache.get_many(keys).items()}

    def _cached(self, answer: ChatAnswer) -> ChatAnswer:
        return replace(self._retry_policy.clean(answer), cached=True)

    def _found(self, answer: ChatAnswer) -> ChatAnswer:
        """Count and clean an answer that another process wrote before the request was sent here."""
        self._usage.count_requests(0, 0, 1)
        return self._cached(answer)

    def _give_up(self, waiter: Waiter) -> None:
        """Withdraw the requests of an interrupted thread, and wait for its running calls."""
        alone = self._pending.leave(waiter)
        with self._starting:
            dispatcher = self._dispatcher
        if dispatcher is not None:
            dispatcher.submit(waiter.entries)  # others may wait for them too, and they may not be queued yet
            dispatcher.withdraw(alone)
            waiter.wait()
        elif not self._backend.batched:
            self._settle(waiter.entries, LLMTransientError("the request was withdrawn before it was sent"))

    def _submit(self, entries: Sequence[PendingRequest]) -> None:
        with self._starting:
            if self._dispatcher is None and not self._closed:
                from emosim_core.llm.gateway.dispatcher import Dispatcher

                limiter = AdaptiveLimiter(self._options.concurrency)
                self._dispatcher = Dispatcher(
                    self._backend, self._retry_policy, limiter, self._pending, self._cache_writer
                )
            if self._dispatcher is not None:
                self._dispatcher.submit(entries)
                return
        self._settle(entries, LLMTransientError(CLOSED))

    def _settle(self, entries: Sequence[PendingRequest], result: Result) -> None:
        for entry in entries:
            self._pending.settle(entry, result)

    def _broken(self, error: EmoSimError) -> None:
        """Stop all further calls, because the cache cannot be written."""
        self._retry_policy.stopped = self._retry_policy.stopped or error
        dispatcher = self._dispatcher
        if dispatcher is not None:
            dispatcher.stop()

    # ------------------------------------------------------------------------------------ batched backend

    def _ask_batch(self, entries: list[PendingRequest]) -> None:
        """Call a batched backend in this thread, one batch at a time, until each request has a result."""
        try:
            with self._batching:
                remaining = entries
                while remaining:
                    refusal = self._retry_policy.refusal() or (LLMTransientError(CLOSED) if self._closed else None)
                    if refusal is not None:
                        self._settle(remaining, refusal)
                        return
                    claimed, elsewhere = self._claim(remaining)
                    for entry in claimed:
                        self._retry_policy.start(entry)
                    again, wait = self._take(claimed, self._answer_batch(claimed)) if claimed else ([], _POLL_SECONDS)
                    remaining = again + elsewhere
                    time.sleep(wait if remaining else 0)
        finally:
            self._settle(entries, LLMTransientError("the thread that sent this request was interrupted"))
            self._cache_writer.release([one for one in entries if not isinstance(one.result, ChatAnswer)])

    def _claim(self, entries: Sequence[PendingRequest]) -> tuple[list[PendingRequest], list[PendingRequest]]:
        """Claim requests; returns the claimed ones and those that another process has claimed, and settles the rest."""
        while True:
            try:
                return self._cache_writer.exchange((), entries)
            except LLMCacheError as error:
                if not self._cache_writer.should_retry(error):
                    self._cache_writer.give_up((), error)
                    self._settle(entries, error)
                    return [], []
            time.sleep(RETRY_SECONDS)

    def _answer_batch(self, entries: Sequence[PendingRequest]) -> Sequence[object]:
        """The answers of the backend, with errors in the places of failed ones."""
        try:
            answers = self._backend.answer_batch([entry.request for entry in entries])
        except Exception as error:
            return [error] * len(entries)
        if not isinstance(answers, list | tuple) or len(answers) != len(entries):
            returned = f"{len(answers)} answers" if isinstance(answers, list | tuple) else f"a {type(answers).__name__}"
            name = type(self._backend).__name__
            wrong = PluginError(f"language-model backend {name} returned {returned} for {len(entries)} requests")
            return [wrong] * len(entries)
        return answers

    def _take(self, entries: Sequence[PendingRequest], answers: Sequence[object]) -> tuple[list[PendingRequest], float]:
        """Write and deliver the answers; returns the requests to repeat, and after how many seconds."""
        answered: list[Answered] = []
        failed: list[tuple[PendingRequest, EmoSimError]] = []
        again: list[PendingRequest] = []
        longest = 0.0
        for entry, answer in zip(entries, answers, strict=True):
            try:
                if isinstance(answer, Exception):
                    raise answer
                answered.append((entry, self._retry_policy.answered(entry, answer)))
            except Exception as raised:
                error, wait = self._retry_policy.failed(entry, raised)
                if wait is None:
                    failed.append((entry, error))
                else:
                    again.append(entry)
                    longest = max(longest, wait)
        if answered:
            self._cache_writer.write(answered)
        for entry, error in failed:
            self._pending.settle(entry, error)
        return again, longest
