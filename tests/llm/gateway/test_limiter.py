"""AdaptiveLimiter and Limited: how many calls run at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

from emosim_core.errors import (
    LLMRateLimitError,
    LLMTransientError,
)
from emosim_core.llm import ChatAnswer, ChatRequest, Message
from emosim_core.llm.gateway.limiter import AdaptiveLimiter, Limited


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def fill(limiter: AdaptiveLimiter) -> list[int]:
    """Start as many calls as may be."""
    numbers = []
    while limiter.free():
        numbers.append(limiter.start())
    return numbers


def test_it_starts_with_the_most_and_never_exceeds_it() -> None:
    limiter = AdaptiveLimiter(32)
    for _ in range(10):
        numbers = fill(limiter)
        assert limiter.running == len(numbers) == 32
        for number in numbers:
            limiter.succeed(number)
    assert limiter.limit == 32


def test_a_burst_of_refused_calls_halves_it_once() -> None:
    limiter = AdaptiveLimiter(32)
    for number in fill(limiter):
        limiter.refuse(number)
    assert limiter.limit == 16
    assert limiter.running == 0


def test_refused_rounds_halve_it_down_to_one() -> None:
    limiter = AdaptiveLimiter(20)
    seen = []
    for _ in range(7):
        for number in fill(limiter):
            limiter.refuse(number)
        seen.append(limiter.limit)
    assert seen == [10, 5, 2, 1, 1, 1, 1]


def test_successes_grow_it_back_by_one_per_round() -> None:
    limiter = AdaptiveLimiter(6)
    for number in fill(limiter):
        limiter.refuse(number)
    seen = []
    for _ in range(5):
        numbers = fill(limiter)
        for number in numbers:
            limiter.succeed(number)
        seen.append((len(numbers), limiter.limit))
    assert seen == [(3, 4), (4, 5), (5, 6), (6, 6), (6, 6)]


def test_calls_that_started_before_a_refusal_do_not_count_after_it() -> None:
    limiter = AdaptiveLimiter(8)
    numbers = fill(limiter)
    limiter.refuse(numbers[0])
    for number in numbers[1:]:
        limiter.succeed(number)
    assert limiter.limit == 4


def test_other_failures_change_nothing() -> None:
    limiter = AdaptiveLimiter(4)
    for _ in fill(limiter):
        limiter.fail()
    assert (limiter.limit, limiter.running) == (4, 0)


def test_no_call_starts_until_the_time_that_the_service_said() -> None:
    clock = Clock()
    limiter = AdaptiveLimiter(4, clock)
    assert limiter.pause() == 0
    limiter.hold(10.0)
    limiter.hold(3.0)
    limiter.hold(-5.0)
    assert limiter.pause() == 10
    clock.now += 9.5
    assert limiter.pause() == 0.5
    clock.now += 1
    assert limiter.pause() == 0


# ------------------------------------------------------------------------------------------------ the link


def ask(limited: Limited, count: int) -> list[Any]:
    """The results of requests that are sent at the same time."""

    async def send() -> list[Any]:
        requests = [ChatRequest((Message("user", str(number)),)) for number in range(count)]
        return await asyncio.gather(*map(limited.answer, requests), return_exceptions=True)

    return asyncio.run(send())


def test_no_more_calls_run_than_allowed_and_the_others_wait_in_their_order(scripted: Any) -> None:
    backend = scripted(delay=0.002)
    assert [answer.text for answer in ask(Limited(backend, AdaptiveLimiter(3)), 10)] == ["7"] * 10
    assert backend.most == 3
    assert [request.messages[0].content for request in backend.calls] == [str(number) for number in range(10)]


def test_a_rate_limit_lets_fewer_calls_run(scripted: Any) -> None:
    limited = Limited(scripted(LLMRateLimitError("x"), LLMTransientError("x")), AdaptiveLimiter(8))
    assert [type(result).__name__ for result in ask(limited, 3)] == [
        "LLMRateLimitError",
        "LLMTransientError",
        "ChatAnswer",
    ]
    assert (limited.limiter.limit, limited.limiter.running) == (4, 0)


def test_a_free_slot_is_told_unless_calls_are_held(scripted: Any) -> None:
    limited = Limited(scripted(delay=0.001), AdaptiveLimiter(2))
    rooms: list[int] = []
    limited.freed = lambda: rooms.append(limited.room())
    ask(limited, 4)
    assert rooms[-1] == 2
    limited.limiter.hold(60)
    assert limited.room(ending=1) == 0


def test_a_waiting_task_is_cancelled_at_once_and_a_running_one_only_when_its_call_failed(scripted: Any) -> None:
    backend = scripted(ChatAnswer("answered"), LLMTransientError("x"), LLMTransientError("x"), delay=0.02)
    limited = Limited(backend, AdaptiveLimiter(3))
    request = ChatRequest((Message("user", "?"),))

    async def patient() -> ChatAnswer | str:
        try:
            return await limited.answer(request)
        except LLMTransientError:
            await asyncio.sleep(0)
            return "failed"

    async def send() -> list[Any]:
        tasks = [asyncio.create_task(patient()) for _ in range(4)]
        await asyncio.sleep(0.005)
        assert [limited.cancel(task) for task in tasks] == [False, False, False, True]
        limited.cancel(tasks[2], now=False)
        return await asyncio.gather(*tasks, return_exceptions=True)

    answered, cancelled, failed, waiting = asyncio.run(send())
    assert answered == ChatAnswer("answered")
    assert failed == "failed"
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(waiting, asyncio.CancelledError)
    assert limited.limiter.running == 0
