"""LLMBackend: the interface to a language model, for one request at a time or a batch, and its Price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from emosim_core.errors import LLMError
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Usage

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True, slots=True)
class Price:
    """Price of a million tokens.

    Attributes:
        prompt: price of prompt tokens that are not in the cache of the service.
        cached: price of prompt tokens in the cache of the service.
        completion: price of answer tokens, reasoning included.
        as_of: date of the price, as ``2026-07-15``.
        source: source of the price.
        currency: currency of the three prices.
    """

    prompt: float
    cached: float
    completion: float
    as_of: str
    source: str = ""
    currency: str = "USD"

    def cost(self, usage: Usage) -> float:
        """Cost of an answer."""
        uncached = usage.prompt - usage.cached
        return (uncached * self.prompt + usage.cached * self.cached + usage.completion * self.completion) / 1e6


class LLMBackend:
    """A language model.

    Implement either :meth:`answer`, for a service with concurrent requests, or :meth:`answer_batch`, for a model in
    this process that answers a batch in one pass; the latter sets :attr:`batched`. The constructor needs no network
    and no key; a missing one is an error of the first request. A backend caches no answers, counts no costs and
    repeats no calls; the gateway does.

    Attributes:
        kind: what answers, in words, as the line about the rater tells it.
        batched: whether the backend implements :meth:`answer_batch` and takes many requests at once.
        deferred: whether answers come hours after their requests. Studies then ask all that they can at once, and
            episodes, each step of which depends on the one before, are refused.
        identity: the model and all options that may change an answer, without secrets and without the address where
            it is served; part of the cache key, such as ``"deepseek deepseek-v4-flash thinking=off"``.
        former_identities: identities of earlier versions, under which the same model's answers may still be cached.
        title: the model as people are shown it, such as ``"qwen3-8b at http://127.0.0.1:8000/v1"``; empty for the
            identity.
        failures: why requests have no answer, by their cache keys; a replay repeats these in the place of an answer.
        reasoning_tokens: maximum tokens of reasoning, in addition to the ``max_tokens`` of a request; used for the
            upper bound of the cost if a service does not report its tokens.
    """

    kind: ClassVar[str] = "language model"
    batched: ClassVar[bool] = False
    deferred: ClassVar[bool] = False
    identity: str
    former_identities: Sequence[str] = ()
    title: str = ""
    failures: Mapping[str, str] = {}
    reasoning_tokens: int = 0

    def secrets(self) -> Sequence[str]:
        """Texts that must not occur in answers, errors or files, such as the key; read at each call, never stored.

        The gateway removes them from every answer and error.
        """
        return ()

    def models(self) -> Sequence[str]:
        """Names of models, as far as they are known without a network and without a key."""
        return ()

    def announcements(self) -> Sequence[str]:
        """Notes for the user of this model, printed once, such as that a name now means another model."""
        return ()

    def price(self) -> Price | None:
        """Price of the model; None if unknown. Read from data, never from a network."""
        return None

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The answer to one request. Several may run at the same time, in one event loop.

        Raises:
            LLMError: the request failed; the class says why. No answer is ever invented.
        """
        raise NotImplementedError(f"{type(self).__name__} implements neither answer nor answer_batch")

    def answer_batch(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer | LLMError]:
        """The answers in the order of the requests; in the place of a failed one, its :class:`LLMError`."""
        import asyncio

        async def answer_or_error(request: ChatRequest) -> ChatAnswer | LLMError:
            try:
                return await self.answer(request)
            except LLMError as error:
                return error

        async def all_at_once() -> list[ChatAnswer | LLMError]:
            try:
                return await asyncio.gather(*map(answer_or_error, requests))
            finally:
                await self.close()

        return asyncio.run(all_at_once())

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop in which the gateway calls :meth:`answer`; that of asyncio unless a backend has a faster."""
        import asyncio

        return asyncio.new_event_loop()

    async def close(self) -> None:
        """Close everything opened in the running event loop; :meth:`answer` may be called again in another one."""
