"""Budgeted: no call starts once the budget is spent, or once every further call would fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emosim_core.errors import ConfigurationError, LLMAuthenticationError, LLMRefusedError, PluginError
from emosim_core.llm import ChatAnswer, ChatRequest, Message, Price
from emosim_core.llm.gateway.budget import Budgeted, CallRefused
from emosim_core.llm.gateway.usage import UsageTally

REQUEST = ChatRequest((Message("user", "?"),))


def test_calls_go_through_until_the_budget_is_spent(scripted: Any) -> None:
    backend, usage = scripted(), UsageTally()
    budgeted = Budgeted(backend, usage, 2.0)
    backend.cost = Price(1, 1, 1, "2026-07-01")
    budgeted.check_price()
    usage.add(_cost=1.5, calls=3)
    assert budgeted.refusal() is None
    assert asyncio.run(budgeted.answer(REQUEST)).text == "7"
    usage.add(_cost=0.5)
    with pytest.raises(CallRefused) as caught:
        asyncio.run(budgeted.answer(REQUEST))
    assert str(caught.value.error).startswith("the budget is spent: 2 of 2 USD (--max-cost), for 3 calls.")
    assert len(backend.calls) == 1


def test_a_budget_needs_a_price(scripted: Any) -> None:
    Budgeted(scripted(), UsageTally(), None).check_price()
    with pytest.raises(ConfigurationError, match="none is known for 'scripted'"):
        Budgeted(scripted(), UsageTally(), 1.0).check_price()


@pytest.mark.parametrize("error", [LLMAuthenticationError("wrong key"), PluginError("broken")])
def test_an_error_that_every_call_would_raise_refuses_the_others(scripted: Any, error: Exception) -> None:
    backend = scripted(error, ChatAnswer("never"))
    budgeted = Budgeted(backend, UsageTally(), None)
    with pytest.raises(type(error)):
        asyncio.run(budgeted.answer(REQUEST))
    with pytest.raises(CallRefused) as caught:
        asyncio.run(budgeted.answer(REQUEST))
    assert caught.value.error is error is budgeted.refusal()
    assert len(backend.calls) == 1


def test_an_error_of_one_request_refuses_no_other(scripted: Any) -> None:
    budgeted = Budgeted(scripted(LLMRefusedError("no")), UsageTally(), None)
    with pytest.raises(LLMRefusedError):
        asyncio.run(budgeted.answer(REQUEST))
    assert asyncio.run(budgeted.answer(REQUEST)).text == "7"


def test_the_first_reason_to_stop_stays(scripted: Any) -> None:
    budgeted, first = Budgeted(scripted(), UsageTally(), None), PluginError("first")
    budgeted.stop(first)
    budgeted.stop(PluginError("second"))
    assert budgeted.refusal() is first
