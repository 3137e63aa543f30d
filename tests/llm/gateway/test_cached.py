"""Cached: each request is sent once, whoever waits for it, and its answer is in the file before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emosim_core.errors import LLMBudgetError, LLMCacheError, LLMRefusedError, LLMTransientError, PluginError
from emosim_core.llm import ChatAnswer, ChatRequest, LLMBackend, Message
from emosim_core.llm.gateway import cached as module
from emosim_core.llm.gateway.budget import Budgeted
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.llm.gateway.cache_key import answer_cache_key
from emosim_core.llm.gateway.cached import Cached, Stored
from emosim_core.llm.gateway.claims import Owner
from emosim_core.llm.gateway.limiter import AdaptiveLimiter, Limited
from emosim_core.llm.gateway.usage import UsageTally


def request(number: int) -> ChatRequest:
    return ChatRequest((Message("user", str(number)),))


def key(number: int) -> str:
    return answer_cache_key("scripted", request(number))


class Chain:
    """The shortest chain that has all that the link needs."""

    def __init__(self, cache: AnswerCache, backend: LLMBackend) -> None:
        self.usage = UsageTally()
        self.stored = Stored(backend, lambda *answered: self.link.write(*answered))
        self.budget = Budgeted(self.stored, self.usage, None)
        calls = Limited(self.budget, AdaptiveLimiter(4))
        self.link = Cached(calls, cache, calls, self.budget, self.usage, lambda answer: answer, 4)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    made = AnswerCache(tmp_path / "llm.sqlite3", patience=0.01)
    yield made
    made.close()


def serve(cache: AnswerCache, backend: LLMBackend, work: Callable[[Chain], Awaitable[Any]]) -> Any:
    """The result of a function of a chain in an event loop, in which the chain is closed afterwards."""

    async def run() -> Any:
        chain = Chain(cache, backend)
        try:
            return await asyncio.wait_for(work(chain), 20)
        finally:
            await chain.link.close()

    return asyncio.run(run())


async def three_at_once(chain: Chain) -> list[Any]:
    return await asyncio.gather(*(chain.link.answer(request(one)) for one in range(3)), return_exceptions=True)


def test_an_answer_is_written_before_it_is_returned(cache: AnswerCache, scripted: Any) -> None:
    async def work(chain: Chain) -> None:
        answer = await chain.link.answer(request(1))
        assert cache.get_many([key(1)]) == {key(1): answer}

    serve(cache, scripted(), work)


def test_a_request_with_an_answer_in_the_file_is_not_sent(cache: AnswerCache, scripted: Any) -> None:
    backend = scripted()
    cache.put_many([(key(1), "scripted", request(1), ChatAnswer("from the file"))])

    async def work(chain: Chain) -> None:
        assert (await chain.link.answer(request(1))).text == "from the file"
        assert chain.usage.shared == 1

    serve(cache, backend, work)
    assert (backend.calls, backend.closed) == ([], 1)


def test_equal_requests_that_are_pending_share_a_call_and_its_error(cache: AnswerCache, scripted: Any) -> None:
    backend = scripted(LLMRefusedError("no"), delay=0.01)

    async def work(chain: Chain) -> list[Any]:
        return await asyncio.gather(*(chain.link.answer(request(1)) for _ in range(3)), return_exceptions=True)

    first, second, third = serve(cache, backend, work)
    assert first is second is third
    assert isinstance(first, LLMRefusedError)
    assert len(backend.calls) == 1


def test_a_request_that_is_withdrawn_is_not_sent_but_a_running_call_is_completed(
    cache: AnswerCache, scripted: Any
) -> None:
    backend = scripted(delay=0.05)

    async def work(chain: Chain) -> None:
        tasks = [asyncio.create_task(chain.link.answer(request(number))) for number in range(6)]
        while backend.running < 4:
            await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        assert backend.running == 0

    serve(cache, backend, work)
    assert len(backend.calls) == 4
    assert set(cache.get_many([key(number) for number in range(6)])) == {key(number) for number in range(4)}


def test_a_request_that_others_wait_for_is_not_withdrawn(cache: AnswerCache, scripted: Any) -> None:
    backend = scripted(delay=0.01)

    async def work(chain: Chain) -> None:
        tasks = [asyncio.create_task(chain.link.answer(request(1))) for _ in range(2)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        assert (await tasks[1]).text == "7"
        assert tasks[0].cancelled()

    serve(cache, backend, work)


def test_a_request_that_is_asked_anew_just_as_it_is_withdrawn_is_sent(cache: AnswerCache, scripted: Any) -> None:
    backend = scripted(delay=0.01)

    async def work(chain: Chain) -> None:
        for wait in (0, 0, 0, 0.002):
            task = asyncio.create_task(chain.link.answer(request(1)))
            await asyncio.sleep(wait)
            task.cancel()
        assert (await chain.link.answer(request(1))).text == "7"

    serve(cache, backend, work)
    assert len(backend.calls) == 1


def test_refused_requests_end_with_the_error_and_running_calls_are_completed(cache: AnswerCache, scripted: Any) -> None:
    backend = scripted(delay=0.02)

    async def work(chain: Chain) -> list[Any]:
        tasks = [asyncio.create_task(chain.link.answer(request(number))) for number in range(6)]
        while backend.running < 4:
            await asyncio.sleep(0.001)
        chain.link.refuse(LLMBudgetError("spent"))
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result).__name__ for result in serve(cache, backend, work)] == [
        *["ChatAnswer"] * 4,
        *["LLMBudgetError"] * 2,
    ]


def test_an_answer_that_is_no_json_is_an_error_that_refuses_all_others(cache: AnswerCache, scripted: Any) -> None:
    backend = scripted(ChatAnswer("7", reasoning=object()))  # type: ignore[arg-type]

    async def work(chain: Chain) -> None:
        for number in range(2):
            with pytest.raises(PluginError, match="not JSON serializable"):
                await chain.link.answer(request(number))

    serve(cache, backend, work)
    assert len(backend.calls) == 1


def test_the_claims_of_another_process_are_waited_for_and_taken_over(cache: AnswerCache, scripted: Any) -> None:
    backend, other = scripted(), Owner()
    cache.exchange([], [key(1), key(2)], other)

    async def work(chain: Chain) -> list[ChatAnswer]:
        tasks = [asyncio.create_task(chain.link.answer(request(number))) for number in (1, 2)]
        await asyncio.sleep(0.1)
        assert backend.calls == []
        cache.put_many([(key(1), "scripted", request(1), ChatAnswer("theirs"))])
        cache.leave(other)
        return await asyncio.gather(*tasks)

    assert [answer.text for answer in serve(cache, backend, work)] == ["theirs", "7"]
    assert backend.calls == [request(2)]


@pytest.mark.parametrize(("passes", "outcome"), [(True, ChatAnswer), (False, LLMCacheError)])
def test_a_write_that_fails_is_tried_again_for_a_while(
    cache: AnswerCache, scripted: Any, monkeypatch: pytest.MonkeyPatch, passes: bool, outcome: type
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    exchange, failures = cache.exchange, []

    def failing(rows: Any, *arguments: Any) -> Any:
        if rows and not (passes and len(failures) > 1):
            failures.append(LLMCacheError("llm.sqlite3", "the cache of answers cannot be written: disk I/O error."))
            failures[-1].passing = True
            raise failures[-1]
        return exchange(rows, *arguments)

    monkeypatch.setattr(cache, "exchange", failing)

    async def work(chain: Chain) -> list[Any]:
        return await asyncio.gather(
            *(chain.link.answer(request(number)) for number in range(3)), return_exceptions=True
        )

    results = serve(cache, scripted(delay=0.01), work)
    assert {type(result) for result in results} == {outcome}
    if not passes:
        assert "3 answers could not be written and will be requested again" in str(results[0])


def test_an_error_that_asks_for_too_long_a_wait_ends_all_that_wait(cache: AnswerCache, scripted: Any) -> None:
    backend = scripted(LLMTransientError("tomorrow", 86400.0))

    async def work(chain: Chain) -> list[Any]:
        chain.link._calls.limiter.limit = 1
        return await asyncio.gather(
            *(chain.link.answer(request(number)) for number in range(3)), return_exceptions=True
        )

    assert {str(result) for result in serve(cache, backend, work)} == {"tomorrow"}
    assert len(backend.calls) == 1
