"""Batched: the link that collects requests to a batched backend, and has it answer them in the thread that asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import copy_context
from typing import NamedTuple

from emosim_core.errors import LLMError, LLMTransientError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.counted import Counted
from emosim_core.llm.gateway.limited import AdaptiveLimiter
from emosim_core.llm.gateway.request import PENDING, Caller, PendingRequest, Result, answer_or_raise
from emosim_core.llm.gateway.usage import Budgeted

_LOOK_SECONDS = 0.2
"""Seconds between two looks whether the thread that computes a batch was interrupted."""


class _Waiting(NamedTuple):
    pending: PendingRequest
    outcome: asyncio.Future[Result]


class Batched(LLMBackend):
    """Answers requests in batches, one batch at a time, each with the requests of one thread."""

    def __init__(self, backend: Counted, budgeted: Budgeted, limiter: AdaptiveLimiter) -> None:
        self._backend, self._budgeted, self._limiter = backend, budgeted, limiter
        self._waiting: list[_Waiting] = []
        self._sending: asyncio.Task[None] | None = None

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        loop = asyncio.get_running_loop()
        one = _Waiting(PENDING.get(), loop.create_future())
        self._waiting.append(one)
        if self._sending is None:
            self._sending = loop.create_task(self._send_all())
        self._limiter.defer()
        try:
            return answer_or_raise(await one.outcome, shared=True)
        finally:
            if not one.pending.calling:
                self._limiter.resume()

    async def _send_all(self) -> None:
        while self._waiting:
            # At least one turn of the loop, in which requests come together, and failed ones hold the limiter.
            await asyncio.sleep(self._limiter.pause())
            if self._limiter.pause() > 0:
                continue
            waiting, self._waiting = [one for one in self._waiting if not one.outcome.done()], []
            caller = next((caller for one in waiting for caller in one.pending.callers if not caller.gone), None)
            batch: list[_Waiting] = []
            for one in waiting:
                if caller is None:
                    one.outcome.set_result(LLMTransientError("the thread that sent this request was interrupted"))
                elif caller not in one.pending.callers:
                    self._waiting.append(one)
                else:
                    one.pending.usage = caller.usage
                    try:
                        self._budgeted.begin(one.pending)
                        self._limiter.resume()
                        batch.append(one)
                    except LLMError as error:
                        one.outcome.set_result(error)
            if caller is not None and batch:
                await self._send(caller, batch)
        self._sending = None

    async def _send(self, caller: Caller, batch: Sequence[_Waiting]) -> None:
        """Have a batch answered in a thread; requests of which it is interrupted wait for another thread."""
        loop = asyncio.get_running_loop()
        answers: asyncio.Future[Sequence[Result]] = loop.create_future()
        requests = [one.pending.request for one in batch]

        def answer() -> list[Result]:
            PENDING.set(batch[0].pending)  # all are counted for the thread that runs this
            return self._backend.answer_batch(requests)

        def run() -> None:
            loop.call_soon_threadsafe(answers.set_result, copy_context().run(answer))

        caller.inbox.put(run)
        while not answers.done() and not caller.gone:
            await asyncio.wait([answers], timeout=_LOOK_SECONDS)
        if answers.done():
            for one, outcome in zip(batch, answers.result(), strict=True):
                if not one.outcome.done():
                    one.outcome.set_result(outcome)
            return
        for one in batch:
            one.pending.calling = False
            self._limiter.defer()
        self._waiting += batch
