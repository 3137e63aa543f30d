"""UsageTally and Price: what was requested, and what it cost."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.llm.backend import Price
from emosim_core.llm.chat import Usage, checked
from emosim_core.llm.gateway.usage import UsageTally

PRICE = Price(prompt=2.0, cached=0.5, completion=10.0, as_of="2026-07-01")


def test_a_cost_is_reckoned_from_cached_and_uncached_questions_and_answers() -> None:
    tally = UsageTally()
    tally.price = PRICE
    tally.count_answer(Usage(prompt=1_000_000, cached=400_000, completion=100_000, reasoning=90_000))
    assert tally.cost == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 10)
    assert (tally.prompt_tokens, tally.cached_tokens) == (1_000_000, 400_000)
    assert (tally.completion_tokens, tally.reasoning_tokens) == (100_000, 90_000)


def test_without_a_price_the_cost_is_unknown_once_something_was_answered() -> None:
    tally = UsageTally()
    assert tally.cost == 0
    tally.count_call(again=False)
    assert tally.cost == 0
    tally.count_answer(Usage(5, 0, 1))
    assert tally.cost is None


def test_a_summary_is_json_and_tells_the_prices_date() -> None:
    tally = UsageTally()
    tally.price = PRICE
    tally.count_requests(requests=5, cached=2, shared=1)
    tally.count_call(again=False)
    tally.count_call(again=True)
    tally.count_answer(Usage(10, 5, 2, 1))
    tally.count_end(failed=1, seconds=0.25)
    summary = tally.summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary == {
        "requests": 5,
        "cached": 2,
        "shared": 1,
        "failed": 1,
        "calls": 2,
        "retried": 1,
        "prompt_tokens": 10,
        "cached_tokens": 5,
        "completion_tokens": 2,
        "reasoning_tokens": 1,
        "unknown_usage": 0,
        "seconds": 0.25,
        "cost": pytest.approx(3.25e-5),
        "currency": "USD",
        "price_as_of": "2026-07-01",
    }


def test_counts_of_many_threads_add_up() -> None:
    tally = UsageTally()
    tally.price = PRICE

    def count() -> None:
        for _ in range(2000):
            tally.count_requests(2, 1, 0)
            tally.count_call(again=True)
            tally.count_answer(Usage(1, 1, 1, 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tally.requests, tally.cached, tally.calls, tally.retried) == (16_000, 8_000, 8_000, 8_000)
    assert tally.prompt_tokens == tally.reasoning_tokens == 8_000
    assert tally.cost == pytest.approx(8_000 * 10.5e-6)


odd = st.sampled_from([10**19, -1, 3.5, "12", True, float("nan"), float("inf"), [], {}, None, 2**63, 10_000_001])
fine = st.integers(0, 10_000_000)


@given(odd | fine, odd | fine, odd | fine, odd | fine)
def test_whatever_a_service_reports_is_a_usage_that_can_be_cached(p: Any, c: Any, k: Any, r: Any) -> None:
    usage = Usage.reported(p, c, k, r)
    counts = (usage.prompt, usage.completion, usage.cached, usage.reasoning)
    assert all(type(count) is int and 0 <= count <= 10_000_000 for count in counts)
    assert usage.cached <= usage.prompt
    assert usage.reasoning <= usage.completion
    legal = [type(count) is int and 0 <= count <= 10_000_000 for count in (p, c, k, r)]
    assert usage.known == (legal[0] and legal[1] and (legal[2] or k is None) and (legal[3] or r is None))
    assert checked(usage) == usage


def test_an_unknown_usage_costs_the_most_that_it_can_be() -> None:
    tally = UsageTally()
    tally.price = Price(1e6, 1e6, 1e6, "2026-07-01")
    tally.count_answer(Usage.reported(5, -1), lambda: Usage(100, completion=20))
    assert (tally.cost, tally.unknown_usage, tally.prompt_tokens) == (25, 1, 5)
    tally.count_answer(Usage.reported(None, None), lambda: Usage(100, completion=20))
    assert (tally.cost, tally.unknown_usage) == (145, 2)


@given(fine, fine)
def test_what_a_service_reports_that_can_be_is_cached_as_it_is(one: int, other: int) -> None:
    least, most = sorted((one, other))
    assert Usage.reported(most, most, least, least) == Usage(most, least, most, least)
