"""Gateway: calls a language model through a persistent cache, so that no request is paid for twice."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from emosim_core.errors import EmoSimError, LLMCacheError, LLMError, LLMReplayError, LLMTransientError, PluginError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.cache import AnswerCache, default_cache_path
from emosim_core.llm.cache_key import cache_key_of, request_json
from emosim_core.llm.cache_writer import AGAIN, Answered, CacheWriter
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.limiter import AdaptiveLimiter
from emosim_core.llm.options import GatewayOptions as GatewayOptions
from emosim_core.llm.pending import PendingRequests, Question, Result, Waiter
from emosim_core.llm.retries import Retries
from emosim_core.llm.retry_policy import CLOSED, RetryPolicy, log
from emosim_core.llm.usage import UsageTally

if TYPE_CHECKING:
    from emosim_core.llm.dispatcher import Dispatcher


_PATIENCE_WITH_LOCK = 0.2
"""Seconds for which calls stand still while another process writes; then it is tried again."""

_LOOK = 0.2
"""Seconds between two looks at what other processes ask, for a model that takes batches."""


class _Part(NamedTuple):
    """Some questions: their keys, what is asked, and that as JSON."""

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
        self._making = threading.Lock()
        self._session: _Session | None = None
        self._forked: _Session | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_making", "_session", "_forked")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin_closed()

    def ask(self, requests: Iterable[ChatRequest]) -> list[ChatAnswer | LLMError]:
        """The answers to questions, in their order; in the place of one that failed, why. Any thread may ask.

        A service is asked the first questions while the next are still made. On Ctrl-C nothing more is asked; what is
        under way is waited for and kept, unless Ctrl-C comes again.

        Raises:
            ConfigurationError: a limit on the cost is set, and the backend's price is not known.
            PluginError: the backend raised something else than an LLMError.
            DataError: answers cannot be kept or looked up.
        """
        keys: list[str] = []
        results = self._current().results(self._parts(requests), keys)
        for result in results.values():
            if not isinstance(result, ChatAnswer | LLMError):
                raise result
        return [results[key] for key in keys]  # type: ignore[misc]

    def _parts(self, requests: Iterable[ChatRequest]) -> Iterator[_Part]:
        """Questions in parts, each as many as may be under way; a model that takes batches is asked all at once."""
        left = iter(requests)
        size = None if self.options.replay or self.backend.batched else self.options.concurrency
        while part := list(islice(left, size)):
            texts = [request_json(request) for request in part]
            yield _Part([cache_key_of(self.backend.identity, text) for text in texts], part, texts)

    def charge(self, cost: float) -> None:
        """Count what was paid elsewhere towards the limit on the cost, from the next opening on."""
        self._charged = cost

    def close(self) -> None:
        """Let what is under way come to its end, and close the backend and the cache. Asking opens them again.

        Raises:
            PluginError: the backend cannot be closed.
        """
        with self._making:
            session, self._session = self._session, None
        if session is not None and session.process == os.getpid():
            session.close()

    def _current(self) -> _Session:
        """What is open in this process: no thread and no connection lives on in a fork."""
        session = self._session
        if session is None or session.process != os.getpid():
            if session is not None:
                self._making = threading.Lock()
            with self._making:
                session = self._session
                if session is None or session.process != os.getpid():
                    # What a fork brought along is held on to, so that no connection of its parent is closed here.
                    self._forked = session
                    options, limit = self.options, self.options.max_cost
                    if limit is not None:
                        options = options.model_copy(update={"max_cost": max(0.0, limit - self._charged)})
                    session = self._session = _Session(self.backend, options, self.usage, self._retries)
        return session


class _Session:
    """What a gateway holds open, from the first question until it is closed."""

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
        """What became of questions, by key.

        Args:
            parts: the questions.
            keys: is filled with their keys, in their order.
        """
        known: dict[str, Result] = {}
        waiter = Waiter()
        began = time.perf_counter()
        try:
            for part in parts:
                keys += part.keys
                if self._options.replay:
                    known |= self._replayed(part)
                else:
                    known |= self._put(part, waiter)
            if not waiter.questions:
                return known
            waiter.wait()
            self._cache_writer.rest()
        except BaseException:
            self._give_up(waiter)
            raise
        results = known | {
            question.key: question.result for question in waiter.questions if question.result is not None
        }
        failed = sum(not isinstance(results[key], ChatAnswer) for key in keys)
        self._usage.count_end(failed, time.perf_counter() - began)
        return results

    def _put(self, part: _Part, waiter: Waiter) -> Mapping[str, ChatAnswer]:
        """Ask what has no answer; returns the answers that there are."""
        requests = {key: one for key, one in zip(part.keys, part.requests, strict=True) if key not in waiter.keys}
        texts = dict(zip(part.keys, part.texts, strict=True))
        known, new = self._pending.enter(requests, self._look_up, self._retry_policy.check_price, waiter)
        for question in new:
            question.canonical = texts[question.key]
        cached = sum(key in known for key in part.keys)
        self._usage.count_questions(len(part.keys), cached, len(part.keys) - cached - len(new))
        log.debug("%d questions: %d kept, %d to ask", len(part.keys), cached, len(new))
        if self._backend.batched:
            self._ask_batch(new)
        elif new:
            self._submit(new)
        return known

    def close(self) -> None:
        """End everything that was started."""
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
                f"no answer of {self._backend.identity!r} to this question (key {key[:12]}) is kept in "
                f"{self._cache.path}; without --replay the model is asked"
            )
        cached = sum(isinstance(results[key], ChatAnswer) for key in part.keys)
        self._usage.count_questions(len(part.keys), cached, 0)
        self._usage.count_end(len(part.keys) - cached, 0.0)
        return results

    def _look_up(self, keys: Sequence[str]) -> Mapping[str, ChatAnswer]:
        return {key: self._retry_policy.clean(answer) for key, answer in self._cache.get_many(keys).items()}

    def _found(self, answer: ChatAnswer) -> ChatAnswer:
        """An answer that another process had by the time the question was to be asked here."""
        self._usage.count_questions(0, 0, 1)
        return self._retry_policy.clean(answer)

    def _give_up(self, waiter: Waiter) -> None:
        """Ask no more for who was interrupted, and wait for what is under way."""
        alone = self._pending.leave(waiter)
        with self._starting:
            dispatcher = self._dispatcher
        if dispatcher is not None:
            dispatcher.submit(waiter.questions)  # those that others wait for too, in case that it was not done
            dispatcher.withdraw(alone)
            waiter.wait()
        elif not self._backend.batched:
            self._settle(waiter.questions, LLMTransientError("the question was withdrawn before it was asked"))

    def _submit(self, questions: Sequence[Question]) -> None:
        with self._starting:
            if self._dispatcher is None and not self._closed:
                from emosim_core.llm.dispatcher import Dispatcher

                limiter = AdaptiveLimiter(self._options.concurrency)
                self._dispatcher = Dispatcher(
                    self._backend, self._retry_policy, limiter, self._pending, self._cache_writer
                )
            if self._dispatcher is not None:
                self._dispatcher.submit(questions)
                return
        self._settle(questions, LLMTransientError(CLOSED))

    def _settle(self, questions: Sequence[Question], result: Result) -> None:
        for question in questions:
            self._pending.settle(question, result)

    def _broken(self, error: EmoSimError) -> None:
        """Stop, because answers cannot be kept."""
        self._retry_policy.stopped = self._retry_policy.stopped or error
        dispatcher = self._dispatcher
        if dispatcher is not None:
            dispatcher.stop()

    # ------------------------------------------------------------------------- a model that takes batches

    def _ask_batch(self, questions: list[Question]) -> None:
        """Ask a batched backend in this thread, one batch at a time, until each question has its end."""
        try:
            with self._batching:
                left = questions
                while left:
                    refusal = self._retry_policy.refusal() or (LLMTransientError(CLOSED) if self._closed else None)
                    if refusal is not None:
                        self._settle(left, refusal)
                        return
                    mine, elsewhere = self._claim(left)
                    for question in mine:
                        self._retry_policy.start(question)
                    again, wait = self._take(mine, self._answer_batch(mine)) if mine else ([], _LOOK)
                    left = again + elsewhere
                    time.sleep(wait if left else 0)
        finally:
            self._settle(questions, LLMTransientError("who asked this was interrupted"))
            self._cache_writer.release([one for one in questions if not isinstance(one.result, ChatAnswer)])

    def _claim(self, questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
        """Those of these questions to ask now, and those that another process asks; the rest is settled."""
        while True:
            try:
                return self._cache_writer.exchange((), questions)
            except LLMCacheError as error:
                if not self._cache_writer.again(error):
                    self._cache_writer.give_up((), error)
                    self._settle(questions, error)
                    return [], []
            time.sleep(AGAIN)

    def _answer_batch(self, questions: Sequence[Question]) -> Sequence[object]:
        """The backend's answers; errors in the places of those that failed."""
        try:
            answers = self._backend.answer_batch([question.request for question in questions])
        except Exception as error:
            return [error] * len(questions)
        if not isinstance(answers, list | tuple) or len(answers) != len(questions):
            returned = f"{len(answers)} answers" if isinstance(answers, list | tuple) else f"a {type(answers).__name__}"
            name = type(self._backend).__name__
            wrong = PluginError(f"language-model backend {name} answered {returned} to {len(questions)} questions")
            return [wrong] * len(questions)
        return answers

    def _take(self, questions: Sequence[Question], answers: Sequence[object]) -> tuple[list[Question], float]:
        """Keeps and hands out what was answered; returns what to ask again, and after how many seconds."""
        answered: list[Answered] = []
        failed: list[tuple[Question, EmoSimError]] = []
        again: list[Question] = []
        longest = 0.0
        for question, answer in zip(questions, answers, strict=True):
            try:
                if isinstance(answer, Exception):
                    raise answer
                answered.append((question, self._retry_policy.answered(question, answer)))
            except Exception as raised:
                error, wait = self._retry_policy.failed(question, raised)
                if wait is None:
                    failed.append((question, error))
                else:
                    again.append(question)
                    longest = max(longest, wait)
        if answered:
            self._cache_writer.keep(answered)
        for question, error in failed:
            self._pending.settle(question, error)
        return again, longest
