"""Cached and Written: the links that look an answer up in the cache before it is requested, and write it there."""

from __future__ import annotations

from collections.abc import Callable

from emosim_core.errors import EmoSimError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.cache_writer import CacheWriter
from emosim_core.llm.gateway.request import PENDING
from emosim_core.llm.gateway.usage import UsageTally


class Cached(LLMBackend):
    """Answers from the cache what has an answer there, and claims the rest, so that no other process sends it.

    Args:
        backend: the next link; gets the claimed requests.
        writer: reads and writes the cache.
        clean: removes secrets from a cached answer.
        usage: counts answers of other processes.
    """

    def __init__(
        self, backend: LLMBackend, writer: CacheWriter, clean: Callable[[ChatAnswer], ChatAnswer], usage: UsageTally
    ) -> None:
        self._backend = backend
        self._writer = writer
        self._clean = clean
        self._usage = usage

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The cached answer, or else that of the next link."""
        key = PENDING.get().key
        claim = self._writer.claim(key)
        try:
            cached = await claim
            if cached is None:
                return await self._backend.answer(request)
        except BaseException:
            if claim.done() and not claim.cancelled() and claim.result() is None:
                self._writer.release(key)
            raise
        if isinstance(cached, EmoSimError):
            raise cached
        self._usage.count_requests(0, 0, 1)
        return self._clean(cached)


class Written(LLMBackend):
    """Writes each answer to the cache before it is used. Inside the slot of its call, so that a kill loses no more
    answers than may be under way.

    Args:
        backend: the next link.
        writer: writes the cache.
        clean: removes secrets from a cached answer.
    """

    def __init__(self, backend: LLMBackend, writer: CacheWriter, clean: Callable[[ChatAnswer], ChatAnswer]) -> None:
        self._backend = backend
        self._writer = writer
        self._clean = clean

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The answer of the next link, or that which another process wrote first."""
        pending = PENDING.get()
        answer = await self._backend.answer(request)
        written = await self._writer.write(pending.key, pending.canonical, answer)
        if isinstance(written, EmoSimError):
            raise written
        return answer if written is answer else self._clean(written)
