"""RetryPolicy: whether a call may start, and whether a failed one is repeated; the same for every backend."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

from emosim_core.errors import (
    ConfigurationError,
    EmoSimError,
    LLMAuthenticationError,
    LLMBudgetError,
    LLMError,
    PluginError,
)
from emosim_core.hooks.faults import fault, named
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Usage, checked
from emosim_core.llm.gateway.cache_key import request_json
from emosim_core.llm.gateway.pending import PendingRequest
from emosim_core.llm.gateway.redaction import Redactor
from emosim_core.llm.gateway.retries import Retries
from emosim_core.llm.gateway.usage import UsageTally

log = logging.getLogger("emosim_core.llm")

_FRAME = 64
"""Greatest number of tokens that a chat format adds to a message."""

CLOSED = "the gateway was closed before this request was sent"
"""Message for requests that were waiting when the gateway was closed."""


class RetryPolicy:
    """Decides whether calls may start, and whether failed ones are repeated.

    Args:
        backend: the language model.
        usage: counts the calls.
        max_cost: the most that may be spent, in the currency of the backend's price; None for no limit.
        retries: which calls are repeated, and when.

    Attributes:
        stopped: error with which all further calls are refused; None while calls may start.
    """

    def __init__(self, backend: LLMBackend, usage: UsageTally, max_cost: float | None, retries: Retries) -> None:
        self._backend = backend
        self._name = f"language-model backend {type(backend).__name__}"
        self._usage = usage
        self._max_cost = max_cost
        self._retries = retries
        self._secrets: frozenset[str] = frozenset()
        self._redactor = Redactor(())
        self.stopped: EmoSimError | None = None

    def check_price(self) -> None:
        """Called before new requests are sent; reads the price of the backend.

        Raises:
            ConfigurationError: a limit is set, and the backend has no price.
            PluginError: the backend raised an error instead.
        """
        with self.worded():
            self._usage.price = self._backend.price()
        identity = self._backend.identity
        if self.redactor().text(identity) != identity:
            raise ConfigurationError(f"the identity of {self._name} holds a secret, and would be written into files")
        if self._max_cost is not None and self._usage.price is None:
            raise ConfigurationError(
                f"a limit on the cost (--max-cost) needs a price, and none is known for {self._backend.identity!r}; "
                "leave the limit out"
            )

    def refusal(self) -> EmoSimError | None:
        """Error with which a call is refused; None if it may start."""
        if self.stopped is not None or self._max_cost is None:
            return self.stopped
        spent = self._usage.cost or 0.0
        if spent < self._max_cost:
            return None
        price = self._usage.price
        currency = "" if price is None else f" {price.currency}"
        return LLMBudgetError(
            f"the budget is spent: {spent:.6g} of {self._max_cost:g}{currency} (--max-cost), "
            f"for {self._usage.calls:,} calls. Every answer is cached; go on with a higher --max-cost"
        )

    def start(self, entry: PendingRequest) -> None:
        """Count a call for a request."""
        self._usage.count_call(again=entry.calls > 0)
        entry.calls += 1

    def answered(self, entry: PendingRequest, answer: object) -> ChatAnswer:
        """Count the answer to a call; returns it with a valid usage and without secrets.

        Raises:
            PluginError: the backend returned something else.
        """
        if isinstance(answer, ChatAnswer):
            usage = self._counted(entry, answer.usage)
            answer = answer if usage == answer.usage else replace(answer, usage=usage)
        if not isinstance(answer, ChatAnswer) or not isinstance(answer.text, str):
            raise PluginError(f"{self._name} returned a {type(answer).__name__} instead of a ChatAnswer with a text")
        return self.clean(answer)

    def clean(self, answer: ChatAnswer) -> ChatAnswer:
        """An answer without secrets of the backend, which an older cache may hold."""
        return self.redactor().answer(answer)

    def redactor(self) -> Redactor:
        """Redactor of all secrets that the backend has had so far.

        Raises:
            PluginError: the backend raised an error instead of naming its secrets.
        """
        with self._worded(self._redactor):
            secrets = self._backend.secrets()
            known = self._secrets.union((secrets,) if isinstance(secrets, str) else secrets)
            if known != self._secrets:
                self._secrets, self._redactor = known, Redactor(known)
        return self._redactor

    def worded(self) -> AbstractContextManager[None]:
        """A context in which what the backend raises becomes a :class:`PluginError` that names it, without secrets."""
        return self._worded(self.redactor())

    @contextlib.contextmanager
    def _worded(self, redactor: Redactor) -> Iterator[None]:
        try:
            with named(self._name):
                yield
        except EmoSimError as error:
            clean = redactor.error(error)
            raise clean from clean.__cause__

    def _counted(self, entry: PendingRequest, reported: object) -> Usage:
        """Count the tokens of a call."""
        usage = checked(reported)
        self._usage.count_answer(usage, lambda: _most(entry.request, self._backend.reasoning_tokens))
        return usage

    def failed(self, entry: PendingRequest, error: BaseException) -> tuple[EmoSimError, float | None]:
        """Handle a failed call: returns its error for users, and the seconds until it is repeated; None for never."""
        if not isinstance(error, LLMError):
            worded = self.redactor().error(error if isinstance(error, EmoSimError) else self._fault(error))
            self.stopped = self.stopped or worded
            return worded, None
        if error.usage is not None:
            self._counted(entry, error.usage)
        error = self.redactor().error(error)
        if isinstance(error, LLMAuthenticationError):
            self.stopped = self.stopped or error
            return error, None
        wait = self._retries.wait(error, entry.calls)
        again = "not repeated" if wait is None else f"repeated in {wait:.2f} s"
        log.debug("request %.12s, call %d: %s; %s", entry.key, entry.calls, type(error).__name__, again)
        return error if wait is not None or entry.calls == 1 else _counted(error, entry.calls), wait

    def _fault(self, error: BaseException) -> PluginError:
        raised = error if isinstance(error, Exception) else RuntimeError(f"it raised {type(error).__name__} {error}")
        worded = fault(self._name, raised)
        worded.__cause__ = raised
        return worded


def _counted(error: LLMError, calls: int) -> LLMError:
    """A copy of an error with the number of calls; a copy, as a backend may raise the same object again."""
    with contextlib.suppress(Exception):  # an error class of a plugin may not be copyable
        final = copy.copy(error)
        final.args = (f"{error} ({calls} calls)", *error.args[1:])
        final.__cause__ = error
        return final
    return error


def _most(request: ChatRequest, reasoning_tokens: int) -> Usage:
    """Upper bound on the tokens of a request and its answer; a token has at least one byte."""
    prompt = len(request_json(request)) + _FRAME * (len(request.messages) + 1)
    return Usage(prompt, completion=request.max_tokens + reasoning_tokens)
