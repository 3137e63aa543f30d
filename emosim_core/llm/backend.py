"""LLMBackend: the interface to a language model, for one request at a time or a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from emosim_core.errors import LLMError
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.prices import Price


class LLMBackend:
    """Asks a language model.

    Write either :meth:`answer`, for a service that is asked many questions at the same time, or
    :meth:`answer_batch`, for a model in this process that answers a batch in one pass; the latter sets
    :attr:`batched`. A backend is made without a network and without a key: what it lacks is said when it is asked.
    It keeps no answers, counts no costs and asks nothing twice; all of that is done around it.

    Attributes:
        batched: whether :meth:`answer_batch` is the backend's own and questions should come many at once.
        identity: which model of which service answers, without a secret: answers are kept under it, so it must
            differ where answers may differ, such as ``"deepseek deepseek-v4-flash thinking=off"``.
        reasoning_tokens: tokens that the model may think with, beside the ``max_tokens`` of a question; what an answer
            can cost at most is reckoned with them where a service does not report its tokens.
    """

    batched: ClassVar[bool] = False
    identity: str
    reasoning_tokens: int = 0

    def secrets(self) -> Sequence[str]:
        """Texts that may occur in no answer, error or file, such as the key; read anew each time and stored nowhere.

        The gateway takes them out of every answer and error, whatever a service repeats.
        """
        return ()

    def models(self) -> Sequence[str]:
        """The models that can be named, as far as they are known without a network and without a key."""
        return ()

    def announcements(self) -> Sequence[str]:
        """Notes for the user of this model, printed once, such as that a name now means another model."""
        return ()

    def price(self) -> Price | None:
        """What the model costs; None where that is not known. Looked up in data, never on a network."""
        return None

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The answer to one question. Several may be under way at once, in one event loop.

        Raises:
            LLMError: there is no answer; its class says why. A made-up answer is never returned.
        """
        raise NotImplementedError(f"{type(self).__name__} implements neither answer nor answer_batch")

    def answer_batch(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer | LLMError]:
        """The answers to several questions, in their order; an :class:`LLMError` in the place of one that failed."""
        import asyncio

        async def all_at_once() -> list[ChatAnswer | LLMError]:
            try:
                return await asyncio.gather(*(self._answer_or_error(request) for request in requests))
            finally:
                await self.close()

        return asyncio.run(all_at_once())

    async def _answer_or_error(self, request: ChatRequest) -> ChatAnswer | LLMError:
        try:
            return await self.answer(request)
        except LLMError as error:
            return error

    async def close(self) -> None:
        """Close what was opened in the running event loop; :meth:`answer` may be called again in another one."""
