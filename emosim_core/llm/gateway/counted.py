"""Counted: the link that checks what a backend returns, counts its tokens, and removes its secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import isawaitable
from typing import TypeVar

from emosim_core.errors import ConfigurationError, EmoSimError, LLMError, PluginError
from emosim_core.hooks.faults import fault
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Usage, checked
from emosim_core.llm.gateway.cache_lines import request_json
from emosim_core.llm.gateway.redaction import Redactor
from emosim_core.llm.gateway.request import PENDING, Result, answer_or_raise
from emosim_core.llm.gateway.usage import UsageTally

_T = TypeVar("_T")
_FRAME = 64
"""Greatest number of tokens that a chat format adds to a message."""


class Counted(LLMBackend):
    """Calls a backend, and lets nothing pass but answers and errors of EmoSim, counted and without secrets.

    ``name`` is that of the backend, for messages.
    """

    def __init__(self, backend: LLMBackend, usage: UsageTally) -> None:
        self.name = f"language-model backend {type(backend).__name__}"
        self._backend = backend
        self._usage = usage
        self._secrets: frozenset[str] = frozenset()
        self._redactor = Redactor(())

    def check(self, priced: bool) -> None:
        """Read the price of the backend, and check its identity; a ConfigurationError where a price is needed, and none
        is known, a PluginError where the backend raises one."""
        self._usage.price = self._called(self._backend.price, self.redactor())
        identity = self._backend.identity
        if self.redactor().text(identity) != identity:
            raise ConfigurationError(f"the identity of {self.name} holds a secret, and would be written into files")
        if priced and self._usage.price is None:
            raise ConfigurationError(
                f"a limit on the cost (--max-cost) needs a price, and none is known for {identity!r}; leave the limit "
                "out"
            )

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        returned: object
        try:
            answering = self._backend.answer(request)
            if not isawaitable(answering):
                raise TypeError(f"answer() must be an 'async def'; it returned a {type(answering).__name__}")
            returned = await answering
        except BaseException as error:  # of any type: the waiting thread must get it
            returned = self._error(error, [request])
        return answer_or_raise(returned if isinstance(returned, EmoSimError) else self._answered(request, returned))

    def answer_batch(self, requests: Sequence[ChatRequest]) -> list[Result]:  # type: ignore[override]
        """The answers of the backend to a batch, with errors in the places of failed ones; raises only interruptions.

        An error that several requests have in common is counted once.
        """
        returned: object
        try:
            returned = self._backend.answer_batch(requests)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return [self._error(error, requests)] * len(requests)
        if not isinstance(returned, list | tuple) or len(returned) != len(requests):
            what = f"{len(returned)} answers" if isinstance(returned, list | tuple) else f"a {type(returned).__name__}"
            return [PluginError(f"{self.name} returned {what} for {len(requests)} requests")] * len(requests)
        errors: dict[int, EmoSimError] = {}
        outcomes: list[Result] = []
        for request, one in zip(requests, returned, strict=True):
            if isinstance(one, BaseException):
                if id(one) not in errors:
                    errors[id(one)] = self._error(one, [request])
                outcomes.append(errors[id(one)])
            else:
                outcomes.append(self._answered(request, one))
        return outcomes

    async def close(self) -> None:
        """Close the backend; a PluginError where it cannot be closed."""
        error: EmoSimError | None = None
        try:
            await self._backend.close()
        except BaseException as raised:
            error = self._error(raised, [])
        if error is not None:
            raise error

    def clean(self, answer: ChatAnswer) -> ChatAnswer:
        """An answer without secrets of the backend, which an older cache may hold."""
        return self.redactor().answer(answer)

    def redactor(self) -> Redactor:
        """Redactor of all secrets that the backend has had so far; a PluginError where it does not name them."""
        known = self._called(self._known_secrets, self._redactor)
        if known != self._secrets:
            self._secrets, self._redactor = known, Redactor(known)
        return self._redactor

    def _known_secrets(self) -> frozenset[str]:
        secrets = self._backend.secrets()
        return self._secrets.union((secrets,) if isinstance(secrets, str) else secrets)

    def _called(self, method: Callable[[], _T], redactor: Redactor) -> _T:
        """What a method of the backend returns; what it raises becomes a :class:`PluginError` without secrets."""
        try:
            return method()
        except KeyboardInterrupt:
            raise
        except BaseException as raised:
            error = redactor.error(raised if isinstance(raised, EmoSimError) else self._fault(raised))
        raise error from error.__cause__

    def _answered(self, request: ChatRequest, answer: object) -> Result:
        """An answer with a valid usage and without secrets, counted; an error if it is none."""
        if isinstance(answer, ChatAnswer):
            usage = self._count(answer.usage, [request])
            answer = answer if usage == answer.usage else replace(answer, usage=usage)
        if not isinstance(answer, ChatAnswer) or not isinstance(answer.text, str):
            return PluginError(f"{self.name} returned a {type(answer).__name__} instead of a ChatAnswer with a text")
        try:
            return self.clean(answer)
        except EmoSimError as error:
            return error

    def _error(self, raised: BaseException, requests: Sequence[ChatRequest]) -> EmoSimError:
        """The error for users, without secrets, after its tokens are counted."""
        error = raised if isinstance(raised, EmoSimError) else self._fault(raised)
        if isinstance(error, LLMError) and error.usage is not None:
            self._count(error.usage, requests)
        try:
            return self.redactor().error(error)
        except EmoSimError as unnamed:
            return unnamed

    def _count(self, reported: object, requests: Sequence[ChatRequest]) -> Usage:
        usage = checked(reported)
        pending = PENDING.get(None)
        tally = (pending and pending.usage) or self._usage
        tally.count_answer(usage, lambda: _most(requests, self._backend.reasoning_tokens))
        return usage

    def _fault(self, raised: BaseException) -> PluginError:
        error = raised
        if not isinstance(error, Exception):
            ended = ", or has ended the event loop" if isinstance(raised, asyncio.CancelledError) else ""
            error = RuntimeError(f"it raised {type(raised).__name__} {raised}".strip() + ended)
        worded = fault(self.name, error)
        worded.__cause__ = error
        return worded


def _most(requests: Sequence[ChatRequest], reasoning_tokens: int) -> Usage:
    """Upper bound on the tokens of requests and their answers; a token has at least one byte."""
    prompt = sum(len(request_json(request)) + _FRAME * (len(request.messages) + 1) for request in requests)
    return Usage(prompt, completion=sum(request.max_tokens + reasoning_tokens for request in requests))
