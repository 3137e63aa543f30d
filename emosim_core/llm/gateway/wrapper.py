"""BackendWrapper: a backend in front of another; the gateway is a chain of them."""

from __future__ import annotations

from collections.abc import Sequence

from emosim_core.llm.backend import LLMBackend, Price
from emosim_core.llm.chat import ChatAnswer, ChatRequest


class BackendWrapper(LLMBackend):
    """Passes requests on to another backend. Subclasses override :meth:`answer`.

    Args:
        inner: the other backend.
    """

    def __init__(self, inner: LLMBackend) -> None:
        self.inner = inner
        self.identity = inner.identity

    @property
    def reasoning_tokens(self) -> int:  # type: ignore[override]
        return self.inner.reasoning_tokens

    def secrets(self) -> Sequence[str]:
        return self.inner.secrets()

    def price(self) -> Price | None:
        return self.inner.price()

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        return await self.inner.answer(request)

    async def close(self) -> None:
        await self.inner.close()
