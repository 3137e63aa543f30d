"""Batched: collects requests for a backend that answers a batch in one pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from emosim_core.errors import LLMTransientError, PluginError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.gateway.asking import ASKER, Asker
from emosim_core.llm.gateway.wrapper import BackendWrapper

_COLLECT_SECONDS = 0.002


class Batched(BackendWrapper):
    """Calls a batched backend for all requests that are due, one batch at a time, in a thread that waits for one.

    Args:
        backend: the backend.
        num_sending: returns the number of requests that were sent here, or are about to be.
    """

    def __init__(self, backend: LLMBackend, num_sending: Callable[[], int]) -> None:
        super().__init__(backend)
        self._num_sending = num_sending
        self._due: list[tuple[ChatRequest, Asker, asyncio.Future[object]]] = []
        self._batches: asyncio.Task[None] | None = None

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """The answer from the next batch."""
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._due.append((request, ASKER.get(), future))
        if self._batches is None or self._batches.done():
            self._batches = asyncio.create_task(self._call_batches())
        answer = await future
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[return-value]  # the wrapper in front checks it

    async def _call_batches(self) -> None:
        while self._due:
            while len(self._due) < self._num_sending():  # the others are repeated soon
                await asyncio.sleep(_COLLECT_SECONDS)
            batch, self._due = self._due, []
            answers: asyncio.Future[Sequence[object]] = asyncio.get_running_loop().create_future()
            batch[0][1].run(partial(self._call, [request for request, *_ in batch], answers))
            for (*_, future), answer in zip(batch, await answers, strict=True):
                future.set_result(answer)

    def _call(
        self, requests: Sequence[ChatRequest], future: asyncio.Future[Sequence[object]], interrupted: bool
    ) -> None:
        """Call the backend, in the thread of an asker."""
        error: Exception = LLMTransientError("the thread that sent this request was interrupted")
        answers: Sequence[object] = [error] * len(requests)
        try:
            if not interrupted:
                answers = self._checked(self.inner.answer_batch(requests), len(requests))
        except Exception as raised:
            answers = [raised] * len(requests)
        finally:
            future.get_loop().call_soon_threadsafe(future.set_result, answers)

    def _checked(self, answers: object, count: int) -> Sequence[object]:
        if isinstance(answers, list | tuple) and len(answers) == count:
            return answers
        returned = f"{len(answers)} answers" if isinstance(answers, list | tuple) else f"a {type(answers).__name__}"
        raise PluginError(
            f"language-model backend {type(self.inner).__name__} returned {returned} for {count} requests"
        )
