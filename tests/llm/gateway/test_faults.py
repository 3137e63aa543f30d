"""Gateway: backends that break the loop, threads that are interrupted or closed, and files that fail for a while."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fixtures.answers import answer_cache_key, put_many

from emosim_core.errors import LLMAuthenticationError, LLMCacheError, LLMError, LLMRateLimitError, PluginError
from emosim_core.llm.backend import LLMBackend, Price
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message, Usage
from emosim_core.llm.gateway import cache_writer
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.llm.gateway.chain import Chain
from emosim_core.llm.gateway.gateway import Gateway, GatewayOptions
from emosim_core.llm.gateway.request import Caller
from emosim_core.llm.gateway.retries import Retries


def request(number: int) -> ChatRequest:
    return ChatRequest((Message("user", str(number)),))


def number_of(request: ChatRequest) -> int:
    return int(request.messages[0].content)


class Service(LLMBackend):
    """Answers with the number of a request; a script does something before."""

    identity = "a service"

    def __init__(self, script: Callable[[int], Any] = lambda number: None, delay: float = 0.02) -> None:
        self.script, self.delay = script, delay
        self.requested: list[int] = []

    def price(self) -> Price:
        return Price(1e6, 1e6, 1e6, "2026-07-01")

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        self.requested.append(number_of(request))
        self.script(number_of(request))
        await asyncio.sleep(self.delay)
        return ChatAnswer(str(number_of(request)), usage=Usage(1))


class Local(LLMBackend):
    """Answers batches; a script does something before, and may return something else."""

    identity = "a local model"
    batched = True

    def __init__(self, script: Callable[[list[int]], Any] = lambda numbers: None) -> None:
        self.script = script
        self.batches: list[list[int]] = []

    def price(self) -> Price:
        return Price(1e6, 1e6, 1e6, "2026-07-01")

    def answer_batch(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer | LLMError]:
        numbers = [number_of(request) for request in requests]
        self.batches.append(numbers)
        returned = self.script(numbers)
        if isinstance(returned, BaseException):
            raise returned
        return [ChatAnswer(str(number), usage=Usage(1)) for number in numbers] if returned is None else returned


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """Makes gateways on one cache."""

    def make(backend: LLMBackend, **options: Any) -> Gateway:
        options = {"cache": tmp_path / "llm.sqlite3", **options}
        return Gateway(backend, GatewayOptions(**options), Retries(5, 0.002, 0.01))

    return make


def texts(gateway: Gateway, *numbers: int) -> list[str]:
    answers = gateway.ask([request(number) for number in numbers])
    return [one.text if isinstance(one, ChatAnswer) else type(one).__name__ for one in answers]


def in_threads(*works: Callable[[], Any]) -> list[Any]:
    """What functions return or raise in threads at the same time, none of which may hang."""
    results: list[Any] = [None] * len(works)

    def run(place: int) -> None:
        try:
            results[place] = works[place]()
        except BaseException as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return results


def after(seconds: float, work: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        time.sleep(seconds)
        return work()

    return run


def chain_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "emosim-llm"]


# --------------------------------------------------------------------------------------------- the event loop


def stop_loop() -> None:
    asyncio.get_running_loop().stop()


def exit_in_a_callback() -> None:
    asyncio.get_running_loop().call_soon(sys.exit, 3)


def cancel_every_task() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


def cancel_own_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.parametrize("harm", [stop_loop, exit_in_a_callback, cancel_every_task, cancel_own_task])
def test_a_backend_that_ends_the_loop_or_its_tasks_is_named_and_nothing_hangs(
    made: Any, harm: Callable[[], None]
) -> None:
    backend = Service(lambda number: harm() if number == 1 else None)
    gateway = made(backend)
    (error,) = in_threads(lambda: texts(gateway, 0, 1, 2))
    assert isinstance(error, PluginError)
    assert "language-model backend Service" in str(error)
    assert in_threads(gateway.close) == [None]
    assert not chain_threads()
    assert texts(gateway, 0, 5) == ["0", "5"]
    gateway.close()


def test_signs_of_life_go_on_while_a_backend_blocks_the_loop(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_writer, "HEARTBEAT", 0.2)
    gateway = made(Service(lambda number: time.sleep(3)))
    seen = set()

    def look() -> None:
        for _ in range(5):
            time.sleep(0.5)
            with sqlite3.connect(tmp_path / "llm.sqlite3") as connection:
                seen.update(connection.execute("SELECT expires FROM owners").fetchall())
            connection.close()

    assert in_threads(lambda: texts(gateway, 1), look)[0] == ["1"]
    assert len(seen) >= 3
    gateway.close()


# -------------------------------------------------------------------------------------------------- threads


def test_a_thread_that_is_interrupted_as_the_loop_starts_leaves_no_thread_and_the_next_requests(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Chain.start

    def interrupted(self: Chain) -> None:
        monkeypatch.setattr(Chain, "start", start)
        self._thread.start()
        raise KeyboardInterrupt

    monkeypatch.setattr(Chain, "start", interrupted)
    gateway = made(Service())
    with pytest.raises(KeyboardInterrupt):
        texts(gateway, 1)
    deadline = time.monotonic() + 10
    while chain_threads():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert texts(gateway, 1, 2) == ["1", "2"]
    gateway.close()


def test_a_batch_whose_thread_is_interrupted_is_answered_in_the_thread_of_another(made: Any) -> None:
    begun = threading.Event()

    def script(numbers: list[int]) -> None:
        if not begun.is_set():
            begun.set()
            time.sleep(0.5)
            raise KeyboardInterrupt

    backend = Local(script)
    gateway = made(backend)
    first, second = in_threads(lambda: texts(gateway, 1, 2), lambda: begun.wait() and texts(gateway, 2, 3))
    assert isinstance(first, KeyboardInterrupt)
    assert second == ["2", "3"]
    assert backend.batches == [[1, 2], [3, 2]]
    gateway.close()


def test_a_wrong_answer_ends_the_requesting_of_its_thread_alone_and_later_ones_go_on(made: Any) -> None:
    class Odd(Service):
        async def answer(self, request: ChatRequest) -> ChatAnswer:
            answer = await super().answer(request)
            return "a text" if number_of(request) == 3 else answer  # type: ignore[return-value]

    gateway = made(Odd(), concurrency=2)
    error, others = in_threads(lambda: texts(gateway, 3), lambda: texts(gateway, *range(10, 20)))
    assert isinstance(error, PluginError)
    assert others == [str(number) for number in range(10, 20)]
    assert texts(gateway, 4) == ["4"]
    gateway.close()


@pytest.mark.parametrize("backend", [Service(delay=0.3), Local(lambda numbers: time.sleep(0.3))])
def test_a_thread_that_requests_while_another_closes_never_hangs(made: Any, backend: LLMBackend) -> None:
    gateway = made(backend, concurrency=2)
    one, other, closed = in_threads(
        lambda: texts(gateway, *range(6)), after(0.1, lambda: texts(gateway, *range(4, 9))), after(0.15, gateway.close)
    )
    for numbers, results in ((range(6), one), (range(4, 9), other)):
        assert all(
            result in (str(number), "LLMTransientError") for number, result in zip(numbers, results, strict=True)
        )
    assert closed is None
    gateway.close()
    assert not chain_threads()


def test_threads_that_ask_first_at_the_same_time_share_what_is_open(made: Any) -> None:
    backend = Service()
    gateway = made(backend)
    together = threading.Barrier(6)
    works = [lambda: together.wait() >= 0 and texts(gateway, 1, 2)] * 6
    assert in_threads(*works) == [["1", "2"]] * 6
    assert sorted(backend.requested) == [1, 2]
    assert len(chain_threads()) == 1
    gateway.close()


# -------------------------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("refused", ["budget", "key"])
def test_no_batch_of_another_thread_passes_a_spent_budget_or_a_wrong_key(made: Any, refused: str) -> None:
    def script(numbers: list[int]) -> Any:
        time.sleep(0.4)
        return LLMAuthenticationError("wrong key") if refused == "key" else None

    backend = Local(script)
    gateway = made(backend, max_cost=2)
    _, other = in_threads(lambda: texts(gateway, 1, 2), after(0.15, lambda: texts(gateway, 3, 4)))
    assert other == ["LLMBudgetError" if refused == "budget" else "LLMAuthenticationError"] * 2
    assert backend.batches == [[1, 2]]
    assert gateway.usage.calls == 2
    gateway.close()


def test_no_batch_of_another_thread_starts_before_the_time_that_the_service_reported(made: Any) -> None:
    times: list[float] = []

    def script(numbers: list[int]) -> Any:
        times.append(time.monotonic())
        if len(times) > 1:
            return None
        time.sleep(0.3)
        return LLMRateLimitError("wait", 0.5)

    gateway = made(Local(script))
    results = in_threads(lambda: texts(gateway, 1), after(0.1, lambda: texts(gateway, 2)))
    assert results == [["1"], ["2"]]
    assert min(times[1:]) - times[0] >= 0.75
    gateway.close()


def test_an_error_of_a_large_batch_is_delivered_at_once(made: Any) -> None:
    gateway = made(Local(lambda numbers: ValueError("no")))
    began = time.process_time()
    with pytest.raises(PluginError, match="ValueError: no"):
        texts(gateway, *range(5000))
    assert time.process_time() - began < 20  # it takes 1 s; with quadratic work, a minute
    gateway.close()


# ------------------------------------------------------------------------------------------- other processes


def test_waiting_for_another_process_survives_read_errors_that_pass(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = AnswerCache.progress
    failures: list[LLMCacheError] = []

    def failing(self: AnswerCache, *arguments: Any) -> Any:
        if len(failures) < 3:
            failures.append(LLMCacheError(self.path, "the cache of answers cannot be read: database is locked."))
            failures[-1].passing = True
            raise failures[-1]
        return progress(self, *arguments)

    class Slow(Service):
        async def answer(self, request: ChatRequest) -> ChatAnswer:
            self.requested.append(number_of(request))
            while len(failures) < 3:
                await asyncio.sleep(0.01)
            return ChatAnswer("1", usage=Usage(1))

    def claimed_elsewhere() -> list[str]:
        while not one.backend.requested:
            time.sleep(0.01)
        return texts(other, 1)

    monkeypatch.setattr(AnswerCache, "progress", failing)
    one, other = made(Slow()), made(Service())
    assert in_threads(lambda: texts(one, 1), claimed_elsewhere) == [["1"], ["1"]]
    assert len(failures) == 3
    assert other.backend.requested == []
    assert (other.usage.requests, other.usage.shared, other.usage.calls) == (1, 1, 0)
    one.close()
    other.close()


def test_a_call_whose_answer_another_process_wrote_first_is_counted_as_a_call_alone(made: Any, tmp_path: Path) -> None:
    def elsewhere(number: int) -> None:
        other = AnswerCache(tmp_path / "llm.sqlite3")
        key = answer_cache_key("a service", request(1))
        put_many(other, [(key, "a service", request(1), ChatAnswer("of another"))])
        other.close()

    gateway = made(Service(elsewhere))
    assert texts(gateway, 1) == ["of another"]
    assert (gateway.usage.requests, gateway.usage.cached, gateway.usage.shared, gateway.usage.calls) == (1, 0, 0, 1)
    gateway.close()


def test_a_thread_that_waits_is_known_by_no_more_than_its_results() -> None:
    caller = Caller()
    caller.keys.update("ab")
    caller.deliver("a", ChatAnswer("1"))
    assert caller.waits
    caller.deliver("b", LLMAuthenticationError("wrong key"))
    assert not caller.waits
    assert caller.error is None
    caller.deliver("b", PluginError("broken"))
    with pytest.raises(PluginError, match="broken"):
        caller.check()
