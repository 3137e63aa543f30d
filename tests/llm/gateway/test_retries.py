"""Retrying: failed calls are repeated where that may help; the waiting is reported and kept by all calls."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest

from emosim_core.errors import (
    LLMAuthenticationError,
    LLMError,
    LLMMalformedError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMRequestError,
    LLMTransientError,
    PluginError,
)
from emosim_core.llm import ChatRequest, Message
from emosim_core.llm.gateway.budget import CallRefused
from emosim_core.llm.gateway.limiter import AdaptiveLimiter
from emosim_core.llm.gateway.retries import LONGEST_WAIT, Retries, Retrying
from emosim_core.llm.gateway.usage import UsageTally

REQUEST = ChatRequest((Message("user", "?"),))


def retrying(backend: Any, attempts: int = 4) -> tuple[Retrying, AdaptiveLimiter, UsageTally]:
    limiter, usage = AdaptiveLimiter(8), UsageTally()
    return Retrying(backend, Retries(attempts, first=0.001, longest=0.002), limiter, usage), limiter, usage


def test_a_call_is_repeated_until_it_is_answered(scripted: Any) -> None:
    backend = scripted(LLMTransientError("x"), LLMRateLimitError("x"))
    link, _, usage = retrying(backend)
    assert asyncio.run(link.answer(REQUEST)).text == "7"
    assert backend.calls == [REQUEST] * 3
    assert usage.retried == 2


def test_the_last_error_says_how_many_calls_failed_and_comes_from_the_error_of_the_backend(scripted: Any) -> None:
    errors = [LLMTransientError(f"number {number}") for number in range(3)]
    with pytest.raises(LLMTransientError, match=r"^number 1 \(2 calls\)$") as caught:
        asyncio.run(retrying(scripted(*errors), attempts=2)[0].answer(REQUEST))
    assert caught.value.__cause__ is errors[1]
    assert str(errors[1]) == "number 1"


@pytest.mark.parametrize(
    "error", [LLMRefusedError("no"), LLMError("no"), PluginError("no"), CallRefused(PluginError("no"))]
)
def test_what_repeating_cannot_mend_is_raised_as_it_is(scripted: Any, error: Exception) -> None:
    backend = scripted(error)
    link, _, usage = retrying(backend)
    with pytest.raises(type(error)) as caught:
        asyncio.run(link.answer(REQUEST))
    assert caught.value is error
    assert (len(backend.calls), usage.retried) == (1, 0)


def test_a_wait_that_the_service_requests_holds_all_calls(scripted: Any) -> None:
    link, limiter, _ = retrying(scripted(LLMRateLimitError("slow down", 0.05)))

    async def ask() -> float:
        task = asyncio.create_task(link.answer(REQUEST))
        await asyncio.sleep(0.01)
        pause = limiter.pause()
        await task
        return pause

    assert 0 < asyncio.run(ask()) <= 0.05


def test_a_wait_that_is_too_long_is_said_and_holds_no_call(scripted: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    link, limiter, _ = retrying(scripted(LLMTransientError("come back", 7500.0)))
    with pytest.raises(
        LLMTransientError, match=r"^come back\. It asks to wait 2 h 5 min, until .*, which is too long$"
    ):
        asyncio.run(link.answer(REQUEST))
    assert limiter.pause() == 0
    assert not caplog.records


# --------------------------------------------------------------------------------------------- the waits


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


def test_a_malformed_answer_is_asked_for_again_once() -> None:
    assert Retries(5).wait(LLMMalformedError("x"), 1) is not None
    assert Retries(5).wait(LLMMalformedError("x"), 2) is None


@pytest.mark.parametrize("kind", [LLMAuthenticationError, LLMRequestError, LLMRefusedError, LLMError])
def test_what_asking_again_cannot_mend_is_not_asked_again(kind: type[LLMError]) -> None:
    assert Retries(5).wait(kind("x"), 1) is None


def test_a_wait_is_at_least_what_the_service_said_unless_that_is_too_long() -> None:
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
