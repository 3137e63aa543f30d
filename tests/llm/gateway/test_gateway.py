"""Gateway: real threads, processes and files; what is requested, kept, shared, requested again, and given up."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fixtures.answers import answer_cache_key, put_many

from emosim_core.errors import (
    ConfigurationError,
    DataError,
    EmoSimError,
    LLMAuthenticationError,
    LLMBudgetError,
    LLMCacheError,
    LLMError,
    LLMMalformedError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMReplayError,
    LLMRequestError,
    LLMTransientError,
    PluginError,
)
from emosim_core.llm.backend import LLMBackend, Price
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message, Usage
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.llm.gateway.chain import Chain
from emosim_core.llm.gateway.claims import Owner
from emosim_core.llm.gateway.gateway import Gateway, GatewayOptions
from emosim_core.llm.gateway.request import Caller
from emosim_core.llm.gateway.reserve import Reserve
from emosim_core.llm.gateway.retries import Retries

QUICK = {"first": 0.002, "longest": 0.01}


def question(number: int) -> ChatRequest:
    return ChatRequest((Message("user", f"How good is film {number}?"),))


def questions(*numbers: int) -> list[ChatRequest]:
    return [question(number) for number in numbers]


def number_of(request: ChatRequest) -> int:
    return int(request.messages[-1].content.split()[-1].rstrip("?"))


class Service(LLMBackend):
    """A service that answers with the number of the film, or as a script says, after a while."""

    identity = "a service"

    def __init__(
        self, script: Callable[[int, int], Any] = lambda number, calls: None, delay: float = 0.0, price: bool = False
    ) -> None:
        self.script, self.delay, self.priced = script, delay, price
        self.requested: list[int] = []
        self.times: list[float] = []
        self.running = self.most = self.closed = 0

    def price(self) -> Price | None:
        return Price(1e6, 1e6, 1e6, "2026-07-01") if self.priced else None  # a token costs 1

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        number = number_of(request)
        self.requested.append(number)
        self.times.append(time.monotonic())
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            outcome = self.script(number, self.requested.count(number))
            await asyncio.sleep(self.delay)
        finally:
            self.running -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return ChatAnswer(str(number), usage=Usage(prompt=1)) if outcome is None else outcome

    async def close(self) -> None:
        self.closed += 1


class Local(LLMBackend):
    """A model in this process, which answers batches."""

    batched = True
    identity = "a local model"

    def __init__(self, script: Callable[[list[int]], Any] = lambda numbers: None) -> None:
        self.script = script
        self.batches: list[list[int]] = []
        self.threads: list[str] = []

    def answer_batch(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer | LLMError]:
        numbers = [number_of(request) for request in requests]
        self.batches.append(numbers)
        self.threads.append(threading.current_thread().name)
        outcome = self.script(numbers)
        if isinstance(outcome, BaseException):
            raise outcome
        return [ChatAnswer(str(number)) for number in numbers] if outcome is None else outcome


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llm.sqlite3"


@pytest.fixture
def made(path: Path) -> Iterator[Callable[..., Gateway]]:
    """Makes gateways that ask again quickly, and closes them."""
    gateways: list[Gateway] = []

    def make(backend: LLMBackend, **options: Any) -> Gateway:
        options = {"cache": path, **options}
        gateway = Gateway(backend, GatewayOptions(**options), Retries(options.get("attempts", 5), **QUICK))
        gateways.append(gateway)
        return gateway

    yield make
    for gateway in gateways:
        gateway.close()


def cached_in(path: Path, identity: str, *numbers: int) -> set[int]:
    """Which of these questions have an answer in the file."""
    cache = AnswerCache(path)
    found = cache.get_many([answer_cache_key(identity, question(number)) for number in numbers])
    cache.close()
    return {int(answer.text) for answer in found.values()}


def texts_of(answers: list[ChatAnswer | LLMError]) -> list[str]:
    return [one.text if isinstance(one, ChatAnswer) else type(one).__name__ for one in answers]


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What a function of 0 to ``count`` - 1 answers in threads that run at the same time."""
    results: list[Any] = [None] * count
    together = threading.Barrier(count)

    def run(worker: int) -> None:
        together.wait()
        try:
            results[worker] = work(worker)
        except Exception as error:
            results[worker] = error

    threads = [threading.Thread(target=run, args=(worker,)) for worker in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    return results


# --------------------------------------------------------------------------------------- asking and keeping


def test_answers_come_in_the_order_of_the_questions(made: Any) -> None:
    backend = Service(lambda number, calls: time.sleep(0.0005 * (number % 3)))
    gateway = made(backend)
    order = [7, 3, 9, 1, 0, 8, 2]
    assert texts_of(gateway.ask(questions(*order))) == [str(number) for number in order]
    assert gateway.ask([]) == []


def test_nothing_is_started_or_written_before_the_first_question(path: Path) -> None:
    threads = threading.active_count()
    gateway = Gateway(Service(), GatewayOptions(cache=path))
    gateway.close()
    assert threading.active_count() == threads
    assert not path.exists()


def test_what_was_answered_is_never_requested_again(made: Any, path: Path) -> None:
    first, second = Service(), Service()
    gateway = made(first)
    gateway.ask(questions(1, 2, 3))
    assert texts_of(gateway.ask(questions(3, 4, 1))) == ["3", "4", "1"]
    assert sorted(first.requested) == [1, 2, 3, 4]
    again = made(second)
    assert texts_of(again.ask(questions(1, 2, 3, 4, 1))) == ["1", "2", "3", "4", "1"]
    assert second.requested == []
    usage = again.usage
    assert (usage.requests, usage.cached, usage.shared, usage.calls) == (5, 5, 0, 0)
    assert usage.cost == 0


def test_another_model_has_answers_of_its_own(made: Any) -> None:
    one, other = Service(), Service()
    other.identity = "another service"
    made(one).ask(questions(1))
    made(other).ask(questions(1))
    assert one.requested == other.requested == [1]


def test_answers_that_an_earlier_version_cached_under_another_identity_stay_valid(made: Any, path: Path) -> None:
    old, new, elsewhere = Service(), Service(), Service()
    old.identity = "a service base=http://127.0.0.1:8000/v1"
    new.former_identities = (old.identity,)
    elsewhere.former_identities = ("a service base=http://10.0.0.5/v1",)
    made(old).ask(questions(1, 2))
    assert texts_of(made(new).ask(questions(2, 3, 1))) == ["2", "3", "1"]
    assert new.requested == [3]
    replayed = made(new, replay=True)
    assert texts_of(replayed.ask(questions(1, 3))) == ["1", "3"]
    assert replayed.usage.cached == 2
    made(elsewhere).ask(questions(1, 3))  # the answers of another address were not those of this model for sure
    assert elsewhere.requested == [1]


def test_the_first_questions_are_requested_while_the_next_are_made(made: Any) -> None:
    backend, begun = Service(), threading.Event()
    backend.script = lambda number, calls: begun.set()

    def made_one_by_one() -> Iterator[ChatRequest]:
        yield from questions(1, 2)
        assert begun.wait(30)
        yield from questions(2, 3, 1)

    gateway = made(backend, concurrency=2)
    assert texts_of(gateway.ask(made_one_by_one())) == ["1", "2", "2", "3", "1"]
    assert sorted(backend.requested) == [1, 2, 3]
    assert gateway.usage.requests == 5


def test_questions_are_made_as_calls_are_answered(made: Any) -> None:
    backend, unanswered = Service(delay=0.001), []

    def made_one_by_one() -> Iterator[ChatRequest]:
        for number in range(60):
            unanswered.append(number - len(backend.requested) + backend.running)
            yield question(number)

    assert texts_of(made(backend, concurrency=3).ask(made_one_by_one())) == [str(number) for number in range(60)]
    assert 3 <= max(unanswered) < 3 * 3


def test_a_question_that_cannot_be_made_leaves_none_under_way(made: Any) -> None:
    backend = Service()

    def broken() -> Iterator[ChatRequest]:
        yield from questions(1, 2)
        raise ValueError("no third question")

    gateway = made(backend, concurrency=2)
    with pytest.raises(ValueError, match="no third question"):
        gateway.ask(broken())
    assert backend.running == 0
    assert texts_of(gateway.ask(questions(1, 2, 3))) == ["1", "2", "3"]


def test_equal_questions_of_one_call_are_requested_once(made: Any) -> None:
    backend = Service()
    gateway = made(backend)
    assert texts_of(gateway.ask(questions(5, 5, 6, 5))) == ["5", "5", "6", "5"]
    assert sorted(backend.requested) == [5, 6]
    assert (gateway.usage.requests, gateway.usage.shared, gateway.usage.calls) == (4, 2, 2)


def test_questions_in_flight_are_joined_by_other_threads(made: Any) -> None:
    backend = Service(delay=0.2)
    gateway = made(backend)
    results = in_threads(8, lambda worker: texts_of(gateway.ask(questions(*range(worker, worker + 5)))))
    assert results == [[str(number) for number in range(worker, worker + 5)] for worker in range(8)]
    assert sorted(backend.requested) == list(range(12))
    usage = gateway.usage
    assert (usage.requests, usage.cached, usage.shared, usage.calls) == (40, 0, 28, 12)


def test_threads_never_pay_twice_however_they_meet(made: Any) -> None:
    backend = Service()
    gateway = made(backend, concurrency=8)

    def work(worker: int) -> bool:
        return all(
            texts_of(gateway.ask(questions(i, i + 1, i + worker))) == [str(i), str(i + 1), str(i + worker)]
            for i in range(60)
        )

    assert in_threads(6, work) == [True] * 6
    assert len(backend.requested) == len(set(backend.requested)) == gateway.usage.calls
    usage = gateway.usage
    assert usage.requests == 6 * 60 * 3 == usage.cached + usage.shared + usage.calls
    assert usage.failed == 0


def test_an_answer_is_in_the_file_before_it_is_handed_out(made: Any, path: Path) -> None:
    gateway = made(Service())
    for number in range(20):
        gateway.ask(questions(number))
        assert cached_in(path, "a service", number) == {number}


def test_an_answer_that_was_cut_off_is_cached_like_any_other(made: Any) -> None:
    backend = Service(lambda number, calls: ChatAnswer("cut", finished=False))
    for _ in range(2):
        (answer,) = made(backend).ask(questions(1))
        assert answer == ChatAnswer("cut", finished=False)
    assert backend.requested == [1]


def test_two_processes_use_the_answer_that_was_cached_first(made: Any, path: Path) -> None:
    def elsewhere(number: int, calls: int) -> None:
        other = AnswerCache(path)
        put_many(
            other, [(answer_cache_key("a service", question(1)), "a service", question(1), ChatAnswer("of another"))]
        )
        other.close()

    assert texts_of(made(Service(elsewhere)).ask(questions(1))) == ["of another"]


def test_the_default_file_lies_in_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSIM_CACHE_DIR", str(tmp_path / "folder"))
    gateway = Gateway(Service())
    gateway.ask(questions(1))
    gateway.close()
    assert cached_in(tmp_path / "folder" / "llm.sqlite3", "a service", 1) == {1}


def test_closing_ends_the_threads_and_closes_the_backend_and_requesting_opens_it_again(made: Any) -> None:
    threads = threading.active_count()
    backend = Service()
    gateway = made(backend)
    for turn in range(3):
        gateway.ask(questions(turn))
        assert threading.active_count() == threads + 1
        gateway.close()
        gateway.close()
        assert backend.closed == turn + 1
        assert threading.active_count() == threads


def test_closing_waits_for_what_is_under_way_and_gives_up_the_rest(made: Any, path: Path) -> None:
    backend = Service(delay=0.3)
    gateway = made(backend, concurrency=2)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.extend(texts_of(gateway.ask(questions(1, 2, 3, 4)))))
    thread.start()
    while backend.running < 2:
        time.sleep(0.005)
    gateway.close()
    thread.join(5)
    assert answers == ["1", "2", "LLMTransientError", "LLMTransientError"]
    assert cached_in(path, "a service", 1, 2, 3, 4) == {1, 2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_requests_for_itself(path: Path) -> None:
    answered = Gateway(Service(), GatewayOptions(cache=path))
    answered.ask(questions(1))
    answered.close()
    code = textwrap.dedent(
        """
        import os, sys
        from test_gateway_backend import Gateway, GatewayOptions, Service, questions, texts_of
        gateway = Gateway(Service(), GatewayOptions(cache=sys.argv[1]))
        assert texts_of(gateway.ask(questions(1, 2))) == ["1", "2"]
        child = os.fork()
        if child == 0:
            assert texts_of(gateway.ask(questions(2, 3))) == ["2", "3"]
            gateway.close()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert texts_of(gateway.ask(questions(3, 4))) == ["3", "4"]
        assert gateway.backend.requested == [2, 4], gateway.backend.requested
        gateway.close()
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env=environment(path.parent),
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------------------- concurrency


@pytest.mark.parametrize("concurrency", [1, 5, 64])
def test_as_many_calls_as_allowed_are_under_way(made: Any, concurrency: int) -> None:
    backend = Service(delay=0.01)
    made(backend, concurrency=concurrency).ask(questions(*range(60)))
    assert backend.most == min(concurrency, 60)


def test_a_rate_limit_makes_fewer_calls_and_loses_no_question(made: Any) -> None:
    backend = Service(delay=0.01)
    backend.script = lambda number, calls: LLMRateLimitError("too many") if backend.running > 4 else None
    gateway = made(backend, concurrency=32, attempts=20)
    assert texts_of(gateway.ask(questions(*range(100)))) == [str(number) for number in range(100)]
    usage = gateway.usage
    assert usage.calls == 100 + usage.retried
    assert usage.failed == 0
    assert 28 <= usage.retried < 80


def test_no_call_starts_before_the_time_that_the_service_reported(made: Any) -> None:
    backend = Service(lambda number, calls: LLMRateLimitError("wait", 0.3) if number == 0 and calls == 1 else None)
    gateway = made(backend, concurrency=1)
    assert texts_of(gateway.ask(questions(0, 1, 2))) == ["0", "1", "2"]
    first, *later = backend.times
    assert all(0.29 <= at - first < 20 for at in later)


def test_a_service_that_wants_too_long_a_wait_is_not_waited_for(made: Any) -> None:
    backend = Service(lambda number, calls: LLMRateLimitError("come back tomorrow", 86400.0))
    gateway = made(backend, concurrency=2)
    began = time.monotonic()
    assert texts_of(gateway.ask(questions(*range(10)))) == ["LLMRateLimitError"] * 10
    assert time.monotonic() - began < 5
    assert backend.requested == [0, 1]


# ------------------------------------------------------------------------------------------ failed calls


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (LLMRateLimitError("x"), 4),
        (LLMTransientError("x"), 4),
        (LLMMalformedError("x"), 2),
        (LLMRequestError("x"), 1),
        (LLMRefusedError("x"), 1),
        (LLMAuthenticationError("x"), 1),
        (LLMError("x"), 1),
    ],
)
def test_a_call_is_made_again_as_often_as_that_may_help(made: Any, path: Path, error: LLMError, calls: int) -> None:
    backend = Service(lambda number, calls: error)
    gateway = made(backend, attempts=4)
    (answer,) = gateway.ask(questions(1))
    assert type(answer) is type(error)
    assert str(answer) == ("x" if calls == 1 else f"x ({calls} calls)")
    assert len(backend.requested) == gateway.usage.calls == calls
    assert gateway.usage.retried == calls - 1
    assert gateway.usage.failed == 1
    assert cached_in(path, "a service", 1) == set()


def test_a_question_that_failed_is_requested_anew_by_the_next_who_requests(made: Any) -> None:
    backend = Service(lambda number, calls: LLMRefusedError("no") if calls == 1 else None)
    gateway = made(backend)
    assert texts_of(gateway.ask(questions(1, 2))) == ["LLMRefusedError"] * 2
    assert texts_of(gateway.ask(questions(1, 2))) == ["1", "2"]


def test_one_failed_question_leaves_the_others_alone(made: Any) -> None:
    backend = Service(lambda number, calls: LLMRequestError("too long") if number == 3 else None)
    assert texts_of(made(backend).ask(questions(*range(6)))) == ["0", "1", "2", "LLMRequestError", "4", "5"]


def test_after_a_wrong_key_nothing_more_is_requested_until_the_gateway_is_closed(made: Any, path: Path) -> None:
    backend = Service(lambda number, calls: LLMAuthenticationError("wrong key") if number == 1 else None, delay=0.02)
    gateway = made(backend, concurrency=2)
    assert texts_of(gateway.ask(questions(0, 1, 2, 3, 4, 5))) in (
        ["0", *["LLMAuthenticationError"] * 5],
        ["0", "LLMAuthenticationError", "2", *["LLMAuthenticationError"] * 3],
    )
    requested = len(backend.requested)
    assert texts_of(gateway.ask(questions(0, 7))) == ["0", "LLMAuthenticationError"]
    assert len(backend.requested) == requested
    gateway.close()
    assert texts_of(gateway.ask(questions(7))) == ["7"]


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (
            ZeroDivisionError("oops"),
            r"backend Service failed with ZeroDivisionError: oops \(test_gateway.py, line \d+\)",
        ),
        (SystemExit(3), "it raised SystemExit 3"),
        (asyncio.CancelledError(), "it raised CancelledError"),
        ("a text", "backend Service returned a str instead of a ChatAnswer"),
        (ChatAnswer(None), "instead of a ChatAnswer with a text"),  # type: ignore[arg-type]
        (ChatAnswer("x", reasoning=object()), "not JSON serializable"),  # type: ignore[arg-type]
        (DataError("model.bin", "is damaged"), "model.bin: is damaged"),
    ],
)
def test_a_broken_backend_is_named_and_paid_answers_are_cached(
    made: Any, path: Path, raised: Any, outcome: str
) -> None:
    backend = Service(delay=0.02)
    backend.script = lambda number, calls: raised if number == 2 else None
    gateway = made(backend, concurrency=4)
    with pytest.raises(EmoSimError, match=outcome) as caught:
        gateway.ask(questions(*range(20)))
    assert isinstance(caught.value, PluginError | DataError)
    assert cached_in(path, "a service", *range(20)) == set(backend.requested) - {2}
    assert len(backend.requested) < 20


def test_a_backend_whose_answer_is_no_coroutine_is_named(made: Any) -> None:
    backend = Service()
    backend.answer = lambda request: ChatAnswer("7")  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(
        PluginError, match=r"Service failed with TypeError: answer\(\) must be an 'async def'; it returned"
    ):
        made(backend).ask(questions(1))


def test_a_backend_that_cannot_be_closed_is_named(made: Any) -> None:
    backend = Service()

    async def close() -> None:
        raise ValueError("still open")

    backend.close = close  # type: ignore[method-assign]
    gateway = made(backend)
    gateway.ask(questions(1))
    with pytest.raises(PluginError, match="backend Service failed with ValueError: still open"):
        gateway.close()


# ------------------------------------------------------------------------------------------------- files


def test_a_damaged_file_is_an_error_before_anything_is_requested(made: Any, path: Path) -> None:
    path.write_bytes(b"no database " * 1000)
    backend = Service()
    with pytest.raises(DataError, match="no cache of answers"):
        made(backend).ask(questions(1))
    assert backend.requested == []


def test_a_file_that_can_not_be_made_is_an_error_before_anything_is_requested(made: Any, path: Path) -> None:
    path.write_text("")
    backend = Service()
    with pytest.raises(DataError, match="its folder cannot be made"):
        made(backend, cache=path / "llm.sqlite3").ask(questions(1))
    assert backend.requested == []


def test_answers_that_cannot_be_cached_are_an_error_and_end_the_requesting(made: Any, path: Path) -> None:
    def break_it(number: int, calls: int) -> None:
        if number == 3:
            with sqlite3.connect(path) as connection:
                connection.execute("DROP TABLE answers")
            connection.close()

    backend = Service(break_it, delay=0.01)
    gateway = made(backend, concurrency=1)
    for _ in range(2):
        with pytest.raises(DataError, match=r"cannot be (written|read): no such table"):
            gateway.ask(questions(*range(20)))
    assert backend.requested[:4] == [0, 1, 2, 3]
    assert len(backend.requested) < 12  # those that started before it was noticed


def test_a_file_that_another_process_writes_to_for_long_is_waited_for(made: Any, path: Path) -> None:
    gateway = made(Service())
    gateway.ask(questions(1))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, other.execute, ["COMMIT"])
    timer.start()
    assert texts_of(gateway.ask(questions(2))) == ["2"]
    timer.join()
    other.close()


# ------------------------------------------------------------------------------------------------ budget


def test_no_call_starts_once_the_most_is_spent_and_what_was_paid_for_is_cached(made: Any, path: Path) -> None:
    backend = Service(price=True, delay=0.005)
    gateway = made(backend, concurrency=4, max_cost=10)
    answers = gateway.ask(questions(*range(50)))
    paid = set(backend.requested)
    assert 10 <= len(paid) <= 13
    assert gateway.usage.cost == len(paid)
    assert {number for number, answer in enumerate(answers) if isinstance(answer, ChatAnswer)} == paid
    assert cached_in(path, "a service", *range(50)) == paid
    errors = [answer for answer in answers if not isinstance(answer, ChatAnswer)]
    assert {type(error) for error in errors} == {LLMBudgetError}
    assert str(errors[-1]) == (
        f"the budget is spent: {errors[-1].args[0].split(': ')[1].split()[0]} of 10 USD (--max-cost), "
        f"for {len(paid)} calls. Every answer is cached; go on with a higher --max-cost"
    )
    assert texts_of(gateway.ask(questions(min(paid), 99))) == [str(min(paid)), "LLMBudgetError"]
    assert texts_of(made(backend, max_cost=100).ask(questions(*range(50)))) == [str(number) for number in range(50)]
    assert len(backend.requested) == 50


def test_a_budget_of_nothing_still_hands_out_what_is_cached(made: Any) -> None:
    backend = Service(price=True)
    made(backend).ask(questions(1))
    assert texts_of(made(backend, max_cost=0).ask(questions(1, 2))) == ["1", "LLMBudgetError"]
    assert backend.requested == [1]


def test_a_budget_without_a_price_is_an_error_before_any_call(made: Any) -> None:
    for backend in (Service(), Local()):
        with pytest.raises(ConfigurationError, match=r"--max-cost\) needs a price, and none is known for 'a "):
            made(backend, max_cost=1).ask(questions(1))
        assert not getattr(backend, "requested", getattr(backend, "batches", None))


# ------------------------------------------------------------------------------------------------ replay


def test_a_replay_hands_out_what_is_cached_and_requests_nothing(made: Any, path: Path) -> None:
    made(Service()).ask(questions(1, 2))

    class Untouchable(LLMBackend):
        identity = "a service"

        def __getattribute__(self, name: str) -> Any:
            assert name in ("identity", "former_identities", "failures", "secrets"), f"{name} was used"
            return super().__getattribute__(name)

    gateway = Gateway(Untouchable(), GatewayOptions(cache=path, replay=True))
    threads = threading.active_count()
    answers = gateway.ask(questions(1, 3, 2, 3))
    assert texts_of(answers) == ["1", "LLMReplayError", "2", "LLMReplayError"]
    assert isinstance(answers[1], LLMReplayError)
    assert f"no answer of 'a service' to this request (key {answer_cache_key('a service', question(3))[:12]})" in str(
        answers[1]
    )
    assert threading.active_count() == threads
    usage = gateway.usage.summary()
    assert (usage["requests"], usage["cached"], usage["failed"], usage["calls"], usage["cost"]) == (4, 2, 2, 0, 0)
    gateway.close()


def test_a_replay_without_a_file_finds_nothing_and_makes_none(made: Any, path: Path) -> None:
    assert texts_of(made(Service(), replay=True).ask(questions(1))) == ["LLMReplayError"]
    assert not path.exists()


# --------------------------------------------------------------------------------------- batched backends


def test_a_batched_backend_gets_all_that_is_left_at_once_in_the_thread_that_requests(made: Any) -> None:
    backend = Local()
    gateway = made(backend)
    gateway.ask(questions(2))
    assert texts_of(gateway.ask(questions(1, 2, 3, 3))) == ["1", "2", "3", "3"]
    assert backend.batches == [[2], [1, 3]]
    assert set(backend.threads) == {threading.current_thread().name}
    usage = gateway.usage
    assert (usage.requests, usage.cached, usage.shared, usage.calls) == (5, 1, 1, 3)


def test_a_batched_backend_is_requested_again_for_what_failed(made: Any, path: Path) -> None:
    def script(numbers: list[int]) -> list[Any]:
        failing = {2: LLMTransientError("busy"), 3: LLMRefusedError("no"), 4: LLMMalformedError("half")}
        return [failing.get(number) or ChatAnswer(str(number)) for number in numbers]

    backend = Local(script)
    gateway = made(backend, attempts=3)
    assert texts_of(gateway.ask(questions(1, 2, 3, 4))) == [
        "1",
        "LLMTransientError",
        "LLMRefusedError",
        "LLMMalformedError",
    ]
    assert backend.batches == [[1, 2, 3, 4], [2, 4], [2]]
    assert (gateway.usage.calls, gateway.usage.retried, gateway.usage.failed) == (7, 3, 3)
    assert cached_in(path, "a local model", 1, 2, 3, 4) == {1}


def test_threads_share_what_a_batched_backend_answers(made: Any) -> None:
    backend = Local(lambda numbers: time.sleep(0.1))
    gateway = made(backend)
    assert in_threads(4, lambda worker: texts_of(gateway.ask(questions(1, 2, worker + 3)))) == [
        ["1", "2", str(worker + 3)] for worker in range(4)
    ]
    assert sorted(number for batch in backend.batches for number in batch) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (ZeroDivisionError("oops"), "backend Local failed with ZeroDivisionError: oops"),
        ([ChatAnswer("1")], "backend Local returned 1 answers for 2 requests"),
        ("12", "backend Local returned a str for 2 requests"),
        ([ChatAnswer("1"), None], "backend Local returned a NoneType instead"),
    ],
)
def test_a_broken_batched_backend_is_named(made: Any, path: Path, outcome: Any, message: str) -> None:
    backend = Local(lambda numbers: outcome)
    with pytest.raises(PluginError, match=message):
        made(backend).ask(questions(1, 2))
    cached = {1} if isinstance(outcome, list) and len(outcome) == 2 else set()
    assert cached_in(path, "a local model", 1, 2) == cached


def test_an_error_of_a_whole_batch_is_that_of_each_question(made: Any) -> None:
    backend = Local(lambda numbers: LLMRequestError("no such model"))
    assert texts_of(made(backend).ask(questions(1, 2))) == ["LLMRequestError"] * 2


# ------------------------------------------------------------------------------------------- interruptions


BACKEND = """
import asyncio, sys, time
from emosim_core.errors import LLMTransientError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message
from emosim_core.llm.gateway.gateway import Gateway, GatewayOptions

def questions(*numbers):
    return [ChatRequest((Message("user", f"How good is film {number}?"),)) for number in numbers]

def texts_of(answers):
    return [answer.text for answer in answers]

class Service(LLMBackend):
    identity = "a service"
    delay = 0.0
    def __init__(self):
        self.requested = []
    async def answer(self, request):
        number = int(request.messages[-1].content.split()[-1][:-1])
        self.requested.append(number)
        print("requested", number, flush=True)
        await asyncio.sleep(self.delay)
        return ChatAnswer(str(number))

class Failing(Service):
    async def answer(self, request):
        await super().answer(request)
        raise LLMTransientError("busy")

class Local(LLMBackend):
    identity = "a local model"
    batched = True
    def answer_batch(self, requests):
        print("requested", len(requests), flush=True)
        time.sleep(30)
"""

INTERRUPTED = """
import sys, time
from test_gateway_backend import *
backend = globals()[sys.argv[2]]()
backend.delay = float(sys.argv[3])
gateway = Gateway(backend, GatewayOptions(cache=sys.argv[1], concurrency=3))
try:
    gateway.ask(questions(*range(10)))
except KeyboardInterrupt:
    print("interrupted", flush=True)
    gateway.ask(questions(*backend.requested) if "again" in sys.argv else [])
    if "again" in sys.argv:
        gateway.close()
"""

HANDED_OUT = """
import sys
from test_gateway_backend import *
gateway = Gateway(Service(), GatewayOptions(cache=sys.argv[1], concurrency=16))
for start in range(0, 10**6, 8):
    for answer in gateway.ask(questions(*range(start, start + 8))):
        print("handed", answer.text, flush=True)
"""


def environment(folder: Path) -> dict[str, str]:
    """That of a process which finds the backend above."""
    (folder / "test_gateway_backend.py").write_text(BACKEND)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}


def process(path: Path, code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path), *arguments],
        env=environment(path.parent),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until_asked(running: subprocess.Popen[str], count: int) -> None:
    assert running.stdout is not None
    for _ in range(count):
        assert running.stdout.readline().startswith("requested ")


def test_ctrl_c_starts_nothing_more_and_keeps_what_is_under_way(path: Path) -> None:
    with process(path, INTERRUPTED, "Service", "0.6", "again") as running:
        read_until_asked(running, 3)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert out == "interrupted\n", out + err
    assert running.returncode == 0, err
    assert cached_in(path, "a service", *range(10)) == {0, 1, 2}


def test_after_ctrl_c_a_failed_call_is_not_made_again(path: Path) -> None:
    with process(path, INTERRUPTED, "Failing", "0.5") as running:
        read_until_asked(running, 3)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert (out, running.returncode) == ("interrupted\n", 0), err


def test_a_second_ctrl_c_does_not_wait(path: Path) -> None:
    began = time.monotonic()
    with process(path, INTERRUPTED, "Service", "60") as running:
        read_until_asked(running, 3)
        running.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.4)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert (out, running.returncode) == ("interrupted\n", 0), err
    assert time.monotonic() - began < 20


def test_ctrl_c_interrupts_a_batched_backend(path: Path) -> None:
    with process(path, INTERRUPTED, "Local", "0") as running:
        read_until_asked(running, 1)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert (out, running.returncode) == ("interrupted\n", 0), err


def test_an_interrupted_thread_leaves_what_others_wait_for(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Service(delay=0.8)
    gateway = made(backend, concurrency=1)
    original, interrupted = Chain.wait, threading.Event()

    def wait(self: Chain, caller: Caller) -> None:
        if threading.current_thread().name == "interrupted" and not interrupted.is_set():
            while not backend.requested or not any(len(one.callers) > 1 for one in self._pending._table.values()):
                time.sleep(0.005)
            interrupted.set()
            raise KeyboardInterrupt
        original(self, caller)

    monkeypatch.setattr(Chain, "wait", wait)
    caught: list[str] = []

    def first() -> None:
        try:
            gateway.ask(questions(1, 2, 3, 4))
        except KeyboardInterrupt:
            caught.append("interrupted")

    thread = threading.Thread(target=first, name="interrupted")
    thread.start()
    while not backend.requested:
        time.sleep(0.005)
    assert texts_of(gateway.ask(questions(3, 5))) == ["3", "5"]
    thread.join(30)
    assert caught == ["interrupted"]
    assert sorted(backend.requested) == [1, 3, 5]
    assert texts_of(gateway.ask(questions(1, 2))) == ["1", "2"]


def test_kill_9_loses_nothing_that_was_handed_out(path: Path) -> None:
    with process(path, HANDED_OUT) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(300)]
        running.kill()
        lines += running.stdout.read().splitlines()[:-1]
    handed = {int(line.split()[1]) for line in lines if line.startswith("handed ") and line.strip()}
    assert len(handed) > 50
    assert cached_in(path, "a service", *handed) == handed


LOGGED = """
import sys
from test_gateway_backend import *
class Logged(Service):
    delay = 0.005
    async def answer(self, request):
        with open(sys.argv[2], "a") as log:
            log.write(request.messages[-1].content.split()[-1][:-1] + "\\n")
        await asyncio.sleep(self.delay)
        return ChatAnswer(request.messages[-1].content.split()[-1][:-1])
print("ready", flush=True)
Gateway(Logged(), GatewayOptions(cache=sys.argv[1], concurrency=8)).ask(questions(*range(100_000)))
"""


def test_kill_9_loses_no_more_answers_than_were_under_way(path: Path) -> None:
    log = path.with_name("requested")
    with process(path, LOGGED, str(log)) as running:
        assert running.stdout is not None
        running.stdout.readline()
        while not log.exists() or len(log.read_text().splitlines()) < 200:
            time.sleep(0.02)
        running.kill()
    requested = [int(line) for line in log.read_text().splitlines()]
    assert len(requested) == len(set(requested))
    assert len(requested) - len(cached_in(path, "a service", *requested)) <= 8


def test_a_place_is_given_back_when_its_answer_is_in_the_file(made: Any, path: Path) -> None:
    lost: list[int] = []

    def look(number: int, calls: int) -> None:
        missing = set(backend.requested) - cached_in(path, "a service", *backend.requested)
        lost.append(len(missing))

    backend = Service(look)
    made(backend, concurrency=3).ask(questions(*range(40)))
    assert max(lost) == 3


def fill_disk(monkeypatch: pytest.MonkeyPatch, path: Path, until: Callable[[], bool]) -> None:
    """Lets the file not grow beyond what it is, as on a full disk, until something is so."""
    original = AnswerCache.exchange

    def exchange(self: AnswerCache, *arguments: Any) -> Any:
        if self._connection is not None:
            pages = 1 if not until() else 2**30
            self._connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        return original(self, *arguments)

    monkeypatch.setattr(AnswerCache, "exchange", exchange)


def test_on_a_full_disk_nothing_more_is_sent_and_it_is_reported_what_is_lost(
    made: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emosim_core.llm.gateway.cache_writer.PATIENCE", 0.3)
    backend = Service(delay=0.01)
    fill_disk(monkeypatch, path, lambda: len(backend.requested) < 40)
    gateway = made(backend, concurrency=4)
    with pytest.raises(LLMCacheError, match=r"is full\. Make room on its disk\. No further call was made") as caught:
        gateway.ask(questions(*range(500)))
    lost = len(backend.requested) - len(cached_in(path, "a service", *backend.requested))
    assert len(backend.requested) <= 60  # its last pages have room for a few
    assert lost <= 4
    if lost:
        assert f"{lost} answer" in str(caught.value)


def test_what_is_under_way_when_a_disk_is_full_is_cached_when_there_is_room_again(
    made: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Service(delay=0.01)
    full: list[float] = []

    def room() -> bool:
        if len(backend.requested) >= 40 and not full:
            full.append(time.monotonic())
        return not full or time.monotonic() > full[0] + 0.5

    fill_disk(monkeypatch, path, room)
    assert texts_of(made(backend, concurrency=4).ask(questions(*range(200)))) == [str(n) for n in range(200)]
    assert sorted(backend.requested) == list(range(200))


def test_room_is_held_for_what_is_under_way(tmp_path: Path) -> None:
    free = Reserve(tmp_path, 1024 * 1024)
    free.hold()
    free.hold()
    assert not list(tmp_path.iterdir())
    assert (free.release(), free.release()) == (True, False)


# ------------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize("count", [10**19, -1, 3.5, "12", True, [], None])
def test_an_odd_usage_costs_no_answer_and_the_limit_holds(made: Any, path: Path, count: Any) -> None:
    backend = Service(lambda number, calls: ChatAnswer(str(number), usage=Usage(count)), price=True)
    gateway = made(backend, concurrency=1, max_cost=2000)
    answers = texts_of(gateway.ask(questions(*range(20))))
    assert answers[0] == "0"
    assert answers[-1] == "LLMBudgetError"
    assert gateway.usage.unknown_usage == gateway.usage.calls < 20
    assert cached_in(path, "a service", 0) == {0}


@pytest.mark.parametrize("error", [LLMMalformedError, LLMRefusedError, LLMRequestError, LLMTransientError])
def test_what_failed_answers_took_is_counted_and_the_limit_holds(made: Any, error: type[LLMError]) -> None:
    def fail(number: int, calls: int) -> LLMError:
        raised = error("no")
        raised.usage = Usage(3)
        return raised

    gateway = made(Service(fail, price=True), concurrency=1, max_cost=10)
    answers = gateway.ask(questions(*range(30)))
    assert isinstance(answers[-1], LLMBudgetError)
    assert gateway.usage.cost == gateway.usage.prompt_tokens == 12


# ----------------------------------------------------------------------------------------------- secrets


def test_a_secret_that_a_backend_names_is_in_no_answer_error_or_file(made: Any, path: Path) -> None:
    key = "sk-4f2a9c7e1b8d3056aaf0"

    def repeat(number: int, calls: int) -> Any:
        if number == 2:
            return LLMRefusedError(f"I do not tell {key}")
        if number == 3:
            return ValueError(f"Bearer {key}")
        return ChatAnswer(f"7 {key}", f"because {key}", key, Usage(1), {key: 1.0})

    backend = Service(repeat)
    backend.secrets = lambda: [key]  # type: ignore[method-assign]
    gateway = made(backend, concurrency=1)
    shown = repr(gateway.ask(questions(1, 2)))
    with pytest.raises(PluginError) as caught:
        gateway.ask(questions(3))
    gateway.close()
    shown += "".join(traceback.format_exception(caught.value))
    assert "7 [key]" in shown
    assert key not in shown
    assert key.encode() not in path.read_bytes()
    old = AnswerCache(path)
    put_many(old, [(answer_cache_key("a service", question(9)), "a service", question(9), ChatAnswer(key))])
    old.close()
    assert texts_of(made(backend).ask(questions(9))) == ["[key]"]


@pytest.mark.parametrize("where", ["price", "secrets", "close"])
def test_a_secret_is_in_no_error_of_what_a_backend_does_beside_answering(made: Any, where: str) -> None:
    key = "sk-4f2a9c7e1b8d3056aaf0"

    def fail(*_: Any) -> Any:
        raise ConnectionError(f"the session of {key} is gone")

    async def fail_later() -> None:
        fail()

    backend = Service()
    backend.secrets = lambda: [key]  # type: ignore[method-assign]
    gateway = made(backend)
    gateway.ask(questions(1))
    setattr(backend, where, fail_later if where == "close" else fail)
    with pytest.raises(PluginError, match=r"the session of \[key\] is gone") as caught:
        gateway.close() if where == "close" else gateway.ask(questions(2))
    assert key not in "".join(traceback.format_exception(caught.value))
    del backend.__dict__[where]


def test_logs_tell_no_question_and_no_answer(made: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    backend = Service(lambda number, calls: LLMRateLimitError("slow down", 0.01) if calls == 1 else None)
    made(backend, concurrency=4).ask(questions(101, 102))
    assert "repeated in" in caplog.text
    assert "2 calls at the same time instead of 4" in caplog.text
    assert "film" not in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def test_options_are_checked_and_described() -> None:
    for wrong in ({"concurrency": 0}, {"concurrency": 1025}, {"attempts": 0}, {"max_cost": -1}, {"unknown": 1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            GatewayOptions(**wrong)  # type: ignore[arg-type]
    assert all(field.description for field in GatewayOptions.model_fields.values())
    assert json.loads(GatewayOptions().model_dump_json())["concurrency"] == 32


def test_few_transactions_claim_what_is_requested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed: list[int] = []
    claim = Owner.claim

    def counted(self: Owner, connection: sqlite3.Connection, keys: Sequence[str]) -> set[str]:
        claimed.append(len(keys))
        return claim(self, connection, keys)

    monkeypatch.setattr(Owner, "claim", counted)
    with closing(
        Gateway(Service(delay=0.002), GatewayOptions(cache=tmp_path / "llm.sqlite3", concurrency=4))
    ) as gateway:
        assert texts_of(gateway.ask(questions(*range(100)))) == [str(number) for number in range(100)]
    assert sum(claimed) == 100
    assert len(claimed) <= 50  # under load, fewer answers come within one turn of the loop
    assert max(claimed) <= 8


def test_answers_settle_in_the_file_itself_while_nothing_is_requested(tmp_path: Path) -> None:
    def settled() -> int:
        shutil.copy(tmp_path / "llm.sqlite3", tmp_path / "copy.sqlite3")
        with closing(sqlite3.connect(f"{(tmp_path / 'copy.sqlite3').as_uri()}?immutable=1", uri=True)) as copy:
            tables = copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'answers'").fetchall()
            return int(copy.execute("SELECT count(*) FROM answers").fetchone()[0]) if tables else 0

    with closing(Gateway(Service(), GatewayOptions(cache=tmp_path / "llm.sqlite3", concurrency=4))) as gateway:
        gateway.ask(questions(*range(250)))
        until = time.monotonic() + 30
        while settled() < 250:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert texts_of(gateway.ask(questions(250, 3))) == ["250", "3"]
