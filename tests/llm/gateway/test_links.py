"""The links of the gateway's chain, each alone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from emosim_core.errors import (
    EmoSimError,
    LLMBudgetError,
    LLMError,
    LLMRateLimitError,
    LLMRequestError,
    LLMTransientError,
    PluginError,
)
from emosim_core.llm.backend import LLMBackend, Price
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message, Usage
from emosim_core.llm.gateway.counted import Counted
from emosim_core.llm.gateway.limited import AdaptiveLimiter, Limited
from emosim_core.llm.gateway.pending import PendingRequests
from emosim_core.llm.gateway.request import PENDING, Caller, PendingRequest
from emosim_core.llm.gateway.retries import Retries
from emosim_core.llm.gateway.retrying import Retrying
from emosim_core.llm.gateway.usage import Budgeted, UsageTally

REQUEST = ChatRequest((Message("user", "How good is it?"),))


class Scripted(LLMBackend):
    """Answers or raises what a script returns for the number of the call."""

    identity = "scripted"

    def __init__(self, script: Callable[[int], Any], delay: float = 0.0) -> None:
        self.script, self.delay = script, delay
        self.calls = self.running = self.most = 0

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        self.calls += 1
        self.running += 1
        self.most = max(self.most, self.running)
        outcome = self.script(self.calls)
        await asyncio.sleep(self.delay)
        self.running -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[no-any-return]


def pending(key: str = "key") -> PendingRequest:
    return PendingRequest(key, REQUEST, "{}")


def outcomes(link: LLMBackend, *requests: PendingRequest) -> list[ChatAnswer | BaseException]:
    """What a link makes of requests at the same time."""

    async def one(request: PendingRequest) -> ChatAnswer:
        PENDING.set(request)
        return await link.answer(request.request)

    async def every() -> list[ChatAnswer | BaseException]:
        return await asyncio.gather(*(one(request) for request in requests), return_exceptions=True)

    return asyncio.run(every())


def test_limited_lets_as_many_calls_run_as_there_are_slots_and_no_more() -> None:
    backend = Scripted(lambda call: ChatAnswer(str(call)), delay=0.01)
    limiter = AdaptiveLimiter(3)
    assert len(outcomes(Limited(backend, limiter, lambda: None), *(pending() for _ in range(10)))) == 10
    assert (backend.most, limiter.running, limiter.waiting) == (3, 0, 0)


def test_limited_loses_no_slot_to_a_request_that_is_cancelled() -> None:
    async def cancelled() -> tuple[int, int]:
        limiter = AdaptiveLimiter(1)
        link = Limited(Scripted(lambda call: ChatAnswer("7"), delay=0.02), limiter, lambda: None)
        PENDING.set(pending())
        first, second, third = (asyncio.create_task(link.answer(REQUEST)) for _ in range(3))
        await asyncio.sleep(0)
        first.add_done_callback(lambda _: asyncio.get_running_loop().call_soon(second.cancel))
        assert await third == ChatAnswer("7")
        return limiter.running, limiter.waiting

    assert asyncio.run(cancelled()) == (0, 0)


def test_retrying_repeats_a_call_and_names_the_number_of_calls_in_the_end() -> None:
    usage = UsageTally()
    backend = Scripted(lambda call: LLMTransientError("busy") if call < 3 else ChatAnswer("7"))
    link = Retrying(Budgeted(backend, usage, None), Retries(3, 0.001, 0.001), AdaptiveLimiter(1), together=False)
    assert outcomes(link, pending()) == [ChatAnswer("7")]
    backend.script = lambda call: LLMTransientError("busy")
    (error,) = outcomes(link, pending())
    assert str(error) == "busy (3 calls)"
    assert (usage.calls, usage.retried) == (6, 4)


def test_retrying_repeats_no_call_that_nobody_waits_for() -> None:
    backend = Scripted(lambda call: LLMTransientError("busy"))
    link = Retrying(Budgeted(backend, UsageTally(), None), Retries(5, 0.001), AdaptiveLimiter(1), together=False)
    request = pending()
    request.ending = LLMTransientError("withdrawn")
    assert outcomes(link, request) == [request.ending]
    assert backend.calls == 1


def test_calls_of_a_batch_that_fail_together_are_repeated_together() -> None:
    turns = [0]

    def script(call: int) -> Any:
        if call > 5:
            loop = asyncio.get_running_loop()
            loop.call_soon(turns.append, call)  # after all calls of this turn
        return LLMTransientError("busy") if call <= 5 else ChatAnswer("7")

    class AtOnce(LLMBackend):
        calls = itertools.count(1)

        async def answer(self, request: ChatRequest) -> ChatAnswer:
            outcome = script(next(self.calls))
            assert turns == [0], "a turn of the loop came between two calls"
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome  # type: ignore[no-any-return]

    limiter = AdaptiveLimiter(9)
    link = Retrying(Budgeted(AtOnce(), UsageTally(), None), Retries(3, 0.2), limiter, together=True)
    assert outcomes(link, *(pending() for _ in range(5))) == [ChatAnswer("7")] * 5
    assert turns == [0, 6, 7, 8, 9, 10]


def test_budgeted_makes_no_call_once_the_budget_is_spent() -> None:
    usage = UsageTally()
    usage.price = Price(1e6, 1e6, 1e6, "2026-07-01")
    backend = Scripted(lambda call: ChatAnswer("7", usage=Usage(2)))
    link = Budgeted(Counted(backend, usage), usage, 3)
    kinds = [type(outcomes(link, pending())[0]) for _ in range(3)]
    assert kinds == [ChatAnswer, ChatAnswer, LLMBudgetError]
    assert backend.calls == usage.calls == 2


@pytest.mark.parametrize(
    "raised", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, StopIteration]
)
def test_counted_lets_nothing_pass_but_errors_that_name_the_backend(raised: type[BaseException]) -> None:
    class Odd(Scripted):
        async def answer(self, request: ChatRequest) -> ChatAnswer:
            raise raised("oops")

        async def close(self) -> None:
            raise raised("oops")

    link = Counted(Odd(lambda call: None), UsageTally())
    (error,) = outcomes(link, pending())
    assert isinstance(error, PluginError)
    assert "language-model backend Odd" in str(error)
    with pytest.raises(PluginError, match="language-model backend Odd"):
        asyncio.run(link.close())


@pytest.mark.parametrize("method", ["price", "secrets"])
@pytest.mark.parametrize("raised", [ValueError, SystemExit])
def test_counted_names_a_backend_that_cannot_say_its_price_or_its_secrets(
    method: str, raised: type[BaseException]
) -> None:
    def fail() -> Any:
        raise raised("oops")

    backend = Scripted(lambda call: ChatAnswer("7"))
    setattr(backend, method, fail)
    with pytest.raises(PluginError, match="language-model backend Scripted"):
        Counted(backend, UsageTally()).check(priced=False)


@pytest.mark.parametrize("listed", [False, True])
def test_counted_counts_an_error_that_a_batch_has_in_common_once(listed: bool) -> None:
    class Failing(LLMBackend):
        identity = "failing"
        batched = True

        def answer_batch(self, requests: Any) -> Any:
            error = LLMRequestError("no")
            error.usage = Usage(7)
            if listed:
                return [error] * len(requests)
            raise error

    usage = UsageTally()
    returned = Counted(Failing(), usage).answer_batch([REQUEST] * 5)
    assert [type(one) for one in returned] == [LLMRequestError] * 5
    assert usage.prompt_tokens == 7


def answered(script: Callable[[PendingRequests, Caller], Any], backend: LLMBackend) -> dict[str, Any]:
    """The results of a thread that asks, as a script in the loop has it."""
    caller = Caller()

    async def work() -> None:
        table = PendingRequests(backend, UsageTally(), "language-model backend Scripted")
        await script(table, caller)
        await table.close()

    asyncio.run(work())
    return dict(caller.results)


def submit(table: PendingRequests, caller: Caller, *keys: str) -> None:
    caller.keys.update(keys)
    table.submit(caller, [pending(key) for key in keys])


def test_a_request_that_is_requested_anew_just_as_it_is_withdrawn_is_requested() -> None:
    other = Caller()

    async def script(table: PendingRequests, caller: Caller) -> None:
        submit(table, caller, "a", "b")
        await asyncio.sleep(0)
        table.leave(caller)
        submit(table, other, "a")
        while other.waits:
            await asyncio.sleep(0.001)

    results = answered(script, Scripted(lambda call: ChatAnswer("7"), delay=0.01))
    assert {type(result) for result in results.values()} == {LLMTransientError}
    assert other.results == {"a": ChatAnswer("7")}


def test_a_thread_that_leaves_waits_for_no_request_that_was_never_submitted() -> None:
    async def script(table: PendingRequests, caller: Caller) -> None:
        caller.keys.add("interrupted before it was submitted")
        table.leave(caller)

    assert len(answered(script, Scripted(lambda call: ChatAnswer("7")))) == 1


def test_an_error_that_concerns_all_requests_ends_those_that_wait() -> None:
    class Limiting(Scripted):
        async def answer(self, request: ChatRequest) -> ChatAnswer:
            if PENDING.get().key == "first":
                raise LLMRateLimitError("come back tomorrow", 86400.0)
            await asyncio.sleep(60)
            raise AssertionError("it was ended")

    async def script(table: PendingRequests, caller: Caller) -> None:
        submit(table, caller, "first", *map(str, range(5)))
        while caller.waits:
            await asyncio.sleep(0.001)

    results = answered(script, Limiting(lambda call: None))
    assert {str(result) for result in results.values()} == {"come back tomorrow"}


def test_an_error_that_is_no_answer_ends_the_requesting_of_its_thread_alone() -> None:
    class Broken(Scripted):
        async def answer(self, request: ChatRequest) -> ChatAnswer:
            await asyncio.sleep(0.01)
            if PENDING.get().key == "broken":
                raise PluginError("broken")
            await asyncio.sleep(0.02)
            return ChatAnswer("7")

    other = Caller()

    async def script(table: PendingRequests, caller: Caller) -> None:
        submit(table, caller, "broken", "more")
        submit(table, other, "another")
        while caller.waits or other.waits:
            await asyncio.sleep(0.001)

    results = answered(script, Broken(lambda call: None))
    assert str(results["broken"]) == "broken"
    assert isinstance(results["more"], LLMError)
    assert other.results == {"another": ChatAnswer("7")}
    assert all(isinstance(result, EmoSimError) for result in results.values())
