"""Batched: all requests that are due are one batch, in the thread that waits for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from emosim_core.errors import LLMError, LLMRefusedError, LLMTransientError, PluginError
from emosim_core.llm import ChatAnswer, ChatRequest, LLMBackend, Message
from emosim_core.llm.gateway.asking import ASKER, Asker
from emosim_core.llm.gateway.batched import Batched

REQUESTS = [ChatRequest((Message("user", str(number)),)) for number in range(4)]


class Local(LLMBackend):
    identity, batched = "local", True

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.threads: set[str] = set()

    def answer_batch(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer | LLMError]:
        self.batches.append(len(requests))
        self.threads.add(threading.current_thread().name)
        return [
            LLMRefusedError("no") if request is REQUESTS[2] else ChatAnswer(request.messages[0].content)
            for request in requests
        ]


def ask(backend: LLMBackend, interrupt: bool = False) -> list[Any]:
    """The results of four requests of this thread, through an event loop in another one."""
    asker, results = Asker(), []

    async def send() -> None:
        batched = Batched(backend, lambda: len(REQUESTS))
        ASKER.set(asker)
        results.extend(await asyncio.gather(*map(batched.answer, REQUESTS), return_exceptions=True))

    async def serve() -> None:
        asker.tasks.append(task := asyncio.create_task(send()))
        task.add_done_callback(asker.wake)
        await task

    asker.sent = 1
    if interrupt:
        asker.interrupt()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    asker.wait()
    thread.join()
    return results


def test_requests_that_are_due_are_one_batch_in_the_thread_that_waits() -> None:
    backend = Local()
    results = ask(backend)
    assert [getattr(result, "text", type(result)) for result in results] == ["0", "1", LLMRefusedError, "3"]
    assert backend.batches == [4]
    assert backend.threads == {threading.current_thread().name}


def test_an_interrupted_thread_calls_nothing_more() -> None:
    backend = Local()
    assert {type(result) for result in ask(backend, interrupt=True)} == {LLMTransientError}
    assert backend.batches == []


def test_a_batch_of_the_wrong_size_is_an_error_of_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Local()
    monkeypatch.setattr(backend, "answer_batch", lambda requests: [ChatAnswer("1")])
    results = ask(backend)
    assert {str(result) for result in results} == {"language-model backend Local returned 1 answers for 4 requests"}
    assert {type(result) for result in results} == {PluginError}
