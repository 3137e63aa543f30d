"""A run that waits for its service says so, how long and until when, once."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.llm import ChatAnswer, ChatRequest, LLMBackend, LLMError, LLMRateLimitError, LLMTransientError, Message
from emosim_core.llm.gateway.gateway import Gateway, GatewayOptions
from emosim_core.llm.gateway.retries import LONGEST_START, LONGEST_WAIT, Retries, WaitNotice, duration, for_how_long


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def starting(retry_after: float | None = None) -> LLMTransientError:
    error = LLMTransientError("status 503: Loading model", retry_after)
    error.starting = True
    return error


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (1.4, "1 s"), (60, "1 min"), (90, "1 min 30 s"), (7500, "2 h 5 min"), (86400, "1 day"),
     (200000, "2 days 7 h"), (1e300, "more than 30 years")],
)  # fmt: skip
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_how_long_and_until_when() -> None:
    now = datetime(2026, 11, 28, 20, 0, 0)
    assert for_how_long(300, now) == "5 min, until 20:05:00"
    assert for_how_long(86400 * 2, now) == "2 days, until 20:00:00 of 2026-11-30"


@given(st.floats(min_value=0, allow_infinity=False, allow_nan=False))
def test_any_wait_has_words(seconds: float) -> None:
    assert for_how_long(seconds)


def test_a_wait_is_reported_once_and_again_when_it_grows_or_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    notice = WaitNotice(clock)
    error = LLMRateLimitError("slow down", 30)
    for _ in range(500):  # as many questions as are under way
        notice.waits(error, 30.2)
    assert len(caplog.records) == 1
    assert "Waiting 30 s, until " in caplog.text
    assert "slow down" in caplog.text
    for _ in range(15):
        clock.now += 35
        notice.waits(error, 31)
    assert len(caplog.records) == 1
    notice.waits(error, 300)
    assert len(caplog.records) == 2
    clock.now += 5000
    notice.waits(error, 30)
    assert len(caplog.records) == 3
    notice.waits(error, 1)
    assert len(caplog.records) == 3


def test_a_start_is_reported_however_short_the_wait(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    notice = WaitNotice(clock)
    for second in range(1, 60):
        clock.now += 1
        notice.waits(starting(), min(second, 10.0))
    assert [record.getMessage() for record in caplog.records] == [
        "Waiting until it has started: status 503: Loading model"
    ]


def test_a_service_that_starts_is_waited_for_for_minutes_whatever_the_attempts() -> None:
    clock = Clock()
    retries = Retries(2, clock=clock)
    waits = []
    while (wait := retries.wait(starting(), 50)) is not None:
        assert 1 <= wait <= 10.5
        waits.append(wait)
        clock.now += wait
    assert LONGEST_START <= sum(waits) < LONGEST_START + 12
    assert len(waits) < 150
    clock.now += 1000
    assert retries.wait(starting(), 1) is not None


@pytest.mark.parametrize("make", [LLMRateLimitError, LLMTransientError])
def test_a_service_is_waited_for_as_long_as_it_requests_up_to_a_quarter_of_an_hour(
    make: Callable[[str, float], LLMError],
) -> None:
    assert Retries(5).wait(make("x", 300.0), 1) >= 300  # type: ignore[operator]
    assert Retries(5).wait(make("x", LONGEST_WAIT + 1), 1) is None
    assert Retries(5).wait(make("x", 1e300), 1) is None


@given(st.none() | st.floats(min_value=0, allow_infinity=False), st.integers(1, 100), st.booleans())
def test_every_wait_is_bounded(retry_after: float | None, calls: int, starts: bool) -> None:
    error = starting(retry_after) if starts else LLMTransientError("x", retry_after)
    wait = Retries(5).wait(error, calls)
    assert wait is None or (math.isfinite(wait) and 0 <= wait <= LONGEST_WAIT + 30)


class Loading(LLMBackend):
    """Answers when it has been requested some times."""

    identity = "loading"

    def __init__(self, errors: list[LLMError]) -> None:
        self.errors = errors

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        if self.errors:
            raise self.errors.pop()
        return ChatAnswer("7")


def test_a_start_is_no_failed_try_and_holds_all_calls_back(
    caplog: pytest.LogCaptureFixture, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Retries, "_while_starting", lambda self, requested: 0.02)
    gateway = Gateway(
        Loading([starting() for _ in range(20)]), GatewayOptions(attempts=2, cache=f"{tmp_path}/c.sqlite3")
    )
    (answer,) = gateway.ask([ChatRequest((Message("user", "?"),))])
    gateway.close()
    assert isinstance(answer, ChatAnswer)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("make", [LLMRateLimitError, LLMTransientError])
def test_a_wait_that_is_too_long_says_how_long_and_gives_up_all_that_waits(
    make: Callable[[str, float], LLMError], tmp_path: object
) -> None:
    gateway = Gateway(
        Loading([make("quota", 7500.0)] * 9), GatewayOptions(concurrency=1, cache=f"{tmp_path}/c.sqlite3")
    )
    answers = gateway.ask([ChatRequest((Message("user", str(n)),)) for n in range(9)])
    gateway.close()
    assert {type(answer) for answer in answers} == {make}
    assert "quota. It asks to wait 2 h 5 min, until " in str(answers[0])
    assert gateway.usage.calls == 1
