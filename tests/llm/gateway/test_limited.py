"""AdaptiveLimiter and Retries: how many calls at the same time, and which of them again."""

from __future__ import annotations

import random

import pytest

from emosim_core.errors import (
    LLMAuthenticationError,
    LLMError,
    LLMMalformedError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMRequestError,
    LLMTransientError,
)
from emosim_core.llm.gateway.limited import AdaptiveLimiter
from emosim_core.llm.gateway.retries import LONGEST_WAIT, Retries


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


def test_no_call_starts_until_the_time_that_the_service_reported() -> None:
    clock = Clock()
    limiter = AdaptiveLimiter(4, clock)
    assert limiter.pause() == 0
    for seconds in (10.0, 3.0, -5.0):
        limiter.hold(seconds)
    assert limiter.pause() == 10
    clock.now += 9.5
    assert limiter.pause() == 0.5
    clock.now += 1
    assert limiter.pause() == 0


@pytest.mark.parametrize("error", [LLMTransientError("x"), LLMRateLimitError("x"), LLMRateLimitError("x", 0.0)])
def test_waits_are_jittered_and_grow(error: LLMError) -> None:
    retries = Retries(attempts=100, first=0.5, longest=30.0)
    for calls in range(1, 100):
        waits = [retries.wait(error, calls) for _ in range(200)]
        most = min(30.0, 0.5 * 2 ** (calls - 1))
        assert all(wait is not None and 0 <= wait <= most for wait in waits)
        assert max(wait or 0 for wait in waits) > 0.8 * most
        assert min(wait or 0 for wait in waits) < 0.2 * most


def test_the_number_of_calls_is_bounded() -> None:
    assert Retries(1).wait(LLMTransientError("x"), 1) is None
    assert Retries(3).wait(LLMTransientError("x"), 2) is not None
    assert Retries(3).wait(LLMTransientError("x"), 3) is None


def test_a_malformed_answer_is_requested_for_again_once() -> None:
    assert Retries(5).wait(LLMMalformedError("x"), 1) is not None
    assert Retries(5).wait(LLMMalformedError("x"), 2) is None


@pytest.mark.parametrize("kind", [LLMAuthenticationError, LLMRequestError, LLMRefusedError, LLMError])
def test_what_requesting_again_cannot_mend_is_not_requested_again(kind: type[LLMError]) -> None:
    assert Retries(5).wait(kind("x"), 1) is None


def test_a_wait_is_at_least_what_the_service_reported_unless_that_is_too_long() -> None:
    wait = Retries(5).wait(LLMRateLimitError("x", 60.0), 1)
    assert wait is not None
    assert 60 <= wait <= 60.5
    assert Retries(5).wait(LLMRateLimitError("x", LONGEST_WAIT), 1) is not None
    assert Retries(5).wait(LLMRateLimitError("x", LONGEST_WAIT + 1), 1) is None


def test_jitter_leaves_the_randomness_of_others_alone() -> None:
    random.seed(1)
    before = random.getstate()
    Retries(5).wait(LLMTransientError("x"), 1)
    assert random.getstate() == before
