"""Cached and Written: the links that look for an answer in the cache before it is requested, and write it there."""

from __future__ import annotations

from dataclasses import replace

from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.cache_writer import CacheWriter
from emosim_core.llm.gateway.counted import Counted
from emosim_core.llm.gateway.request import PENDING, answer_or_raise
from emosim_core.llm.gateway.usage import UsageTally


class Cached(LLMBackend):
    """Answers from the cache what has an answer there, and claims the rest, so that no other process sends it.

    ``counted`` removes secrets, which an older cache may hold; ``usage`` counts answers of other processes.
    """

    def __init__(self, backend: LLMBackend, writer: CacheWriter, counted: Counted, usage: UsageTally) -> None:
        self._backend, self._writer, self._counted, self._usage = backend, writer, counted, usage

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        pending = PENDING.get()
        key = pending.key
        claim = self._writer.claim(key)
        try:
            cached = await claim
            if cached is None:
                return await self._backend.answer(request)
        except BaseException:
            if claim.done() and not claim.cancelled() and claim.result() is None:
                self._writer.release(key)
            raise
        answer = answer_or_raise(cached)
        (pending.usage or self._usage).count_requests(0, 0, 1)
        return replace(self._counted.clean(answer), cached=True)


class Written(LLMBackend):
    """Writes each answer to the cache before it is used, or gives the answer that another process wrote first.

    It works inside the slot of a call, so that a kill loses no more answers than calls may run.
    """

    def __init__(self, backend: LLMBackend, writer: CacheWriter, counted: Counted) -> None:
        self._backend, self._writer, self._counted = backend, writer, counted

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        answer = await self._backend.answer(request)
        written = answer_or_raise(await self._writer.write(PENDING.get(), answer))
        return answer if written is answer else self._counted.clean(written)
