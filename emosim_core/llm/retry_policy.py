"""CallRules: whether a call may start, and what becomes of one that failed; the same for every kind of backend."""

from __future__ import annotations

import contextlib
import copy
import logging
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
from emosim_core.llm.cache_key import request_json
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Usage, checked
from emosim_core.llm.pending import Question
from emosim_core.llm.redaction import Redactor
from emosim_core.llm.retries import Retries
from emosim_core.llm.usage import UsageTally

log = logging.getLogger("emosim_core.llm")

_FRAME = 64
"""Tokens that a model may have around a message, at most."""

CLOSED = "the gateway was closed before this was asked"
"""Said of questions that were waiting when the gateway was closed."""


class RetryPolicy:
    """Whether calls may start, and what becomes of failed ones.

    Args:
        backend: what is asked.
        usage: where calls are counted.
        max_cost: the most that may be spent, in the currency of the backend's price; None for no limit.
        retries: which calls are made again.

    Attributes:
        stopped: why nothing more is asked, until the gateway is closed; None while it is.
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
        """Called before questions are taken up; asks for the price.

        Raises:
            ConfigurationError: a limit is set, and the backend has no price.
            PluginError: the backend cannot say its price.
        """
        with named(self._name):
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
        """Why no call may start; None where one may."""
        if self.stopped is not None or self._max_cost is None:
            return self.stopped
        spent = self._usage.cost or 0.0
        if spent < self._max_cost:
            return None
        price = self._usage.price
        currency = "" if price is None else f" {price.currency}"
        return LLMBudgetError(
            f"the budget is spent: {spent:.6g} of {self._max_cost:g}{currency} (--max-cost), "
            f"for {self._usage.calls:,} calls. Every answer is kept; go on with a higher --max-cost"
        )

    def start(self, question: Question) -> None:
        """Count a call for a question."""
        self._usage.count_call(again=question.calls > 0)
        question.calls += 1

    def answered(self, question: Question, answer: object) -> ChatAnswer:
        """Count the answer to a call; returns it with a usage that can be, and without a secret.

        Raises:
            PluginError: the backend answered something else.
        """
        if isinstance(answer, ChatAnswer):
            usage = self._counted(question, answer.usage)
            answer = answer if usage == answer.usage else replace(answer, usage=usage)
        if not isinstance(answer, ChatAnswer) or not isinstance(answer.text, str):
            raise PluginError(f"{self._name} answered a {type(answer).__name__} instead of a ChatAnswer with a text")
        return self.clean(answer)

    def clean(self, answer: ChatAnswer) -> ChatAnswer:
        """An answer without a secret of the backend, as an older cache may hold one."""
        return self.redactor().answer(answer)

    def redactor(self) -> Redactor:
        """Takes out all secrets that the backend has had so far.

        Raises:
            PluginError: the backend cannot say its secrets.
        """
        with named(self._name):
            secrets = self._backend.secrets()
            known = self._secrets.union((secrets,) if isinstance(secrets, str) else secrets)
            if known != self._secrets:
                self._secrets, self._redactor = known, Redactor(known)
        return self._redactor

    def _counted(self, question: Question, reported: object) -> Usage:
        """Count what a call took."""
        usage = checked(reported)
        self._usage.count_answer(usage, lambda: _most(question.request, self._backend.reasoning_tokens))
        return usage

    def failed(self, question: Question, error: BaseException) -> tuple[EmoSimError, float | None]:
        """What becomes of a question whose call failed: an error for people, and seconds until it is asked again."""
        if not isinstance(error, LLMError):
            worded = self.redactor().error(error if isinstance(error, EmoSimError) else self._fault(error))
            self.stopped = self.stopped or worded
            return worded, None
        if error.usage is not None:
            self._counted(question, error.usage)
        error = self.redactor().error(error)
        if isinstance(error, LLMAuthenticationError):
            self.stopped = self.stopped or error
            return error, None
        wait = self._retries.wait(error, question.calls)
        again = "not asked again" if wait is None else f"asked again in {wait:.2f} s"
        log.debug("question %.12s, call %d: %s; %s", question.key, question.calls, type(error).__name__, again)
        return error if wait is not None or question.calls == 1 else _counted(error, question.calls), wait

    def _fault(self, error: BaseException) -> PluginError:
        raised = error if isinstance(error, Exception) else RuntimeError(f"it raised {type(error).__name__} {error}")
        worded = fault(self._name, raised)
        worded.__cause__ = raised
        return worded


def _counted(error: LLMError, calls: int) -> LLMError:
    """An error that says how often was asked; another object, as a backend may raise one and the same again."""
    with contextlib.suppress(Exception):  # a class of a plugin may not be made to be copied
        final = copy.copy(error)
        final.args = (f"{error} (asked {calls} times)", *error.args[1:])
        final.__cause__ = error
        return final
    return error


def _most(request: ChatRequest, reasoning_tokens: int) -> Usage:
    """The most tokens that a question and its answer can have: a token is a byte at least."""
    prompt = len(request_json(request)) + _FRAME * (len(request.messages) + 1)
    return Usage(prompt, completion=request.max_tokens + reasoning_tokens)
