"""Shared: what stands for the gateway in other processes answers, counts and fails as the gateway does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from emosim_core.errors import ConfigurationError, LLMError, LLMRefusedError
from emosim_core.llm.backend import LLMBackend, Price
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message, Usage
from emosim_core.llm.gateway.gateway import Gateway, GatewayOptions
from emosim_core.llm.gateway.shared import GatewayService, SharedGateway
from emosim_core.llm.gateway.usage import UsageTally

PRICE = Price(1.0, 0.5, 2.0, "2026-01-01")


class Model(LLMBackend):
    """Answers a text with itself, and refuses "no"."""

    identity = "model"

    def __init__(self, batched: bool = False, price: Price | None = PRICE) -> None:
        self.batched, self._price = batched, price  # type: ignore[misc]
        self.asked: list[ChatRequest] = []

    def price(self) -> Price | None:
        return self._price

    def _answer(self, request: ChatRequest) -> ChatAnswer:
        self.asked.append(request)
        text = request.messages[-1].content
        if text == "no":
            refused = LLMRefusedError("not that")
            refused.usage = Usage(5, 0, 0)
            raise refused
        return ChatAnswer(text, "why \udcff", "m-1", Usage(10, 4, 2, 1), {"8": 0.1, "7": 0.9}, finished=False)

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        return self._answer(request)

    def answer_batch(self, requests: Any) -> list[ChatAnswer | LLMError]:
        answers: list[ChatAnswer | LLMError] = []
        for request in requests:
            try:
                answers.append(self._answer(request))
            except LLMError as error:
                answers.append(error)
        return answers


def request(text: str, **more: Any) -> ChatRequest:
    return ChatRequest((Message("system", "rate"), Message("user", text)), **more)


def shared(model: Model, cache: Path, **options: Any) -> tuple[SharedGateway, Gateway]:
    """A gateway, and what stands for it behind JSON."""
    gateway = Gateway(model, GatewayOptions(cache=cache, **options))
    service = GatewayService(gateway)

    def ask(messages: Iterable[Any]) -> Any:
        return json.loads(json.dumps(service.answer(json.loads(json.dumps(one)) for one in messages)))

    return SharedGateway(ask, UsageTally()), gateway


TEXTS = ("7", "no", "8 \ud800", "7", *map(str, range(100, 140)))


@pytest.mark.parametrize("batched", [False, True])
def test_answers_errors_and_counts_are_those_of_the_gateway(tmp_path: Path, batched: bool) -> None:
    schema = {"properties": {"reasons": {}, "rating": {}}}
    requests = [request(text, schema=schema, seed=3) for text in TEXTS]
    there, gateway = shared(Model(batched), tmp_path / "there.sqlite3")
    direct = Gateway(Model(batched), GatewayOptions(cache=tmp_path / "here.sqlite3"))
    for attempt in range(2):
        answers, expected = there.ask(iter(requests)), direct.ask(requests)
        assert [answer.cached for answer in answers if isinstance(answer, ChatAnswer)] == [
            answer.cached for answer in expected if isinstance(answer, ChatAnswer)
        ]
        for answer, one in zip(answers, expected, strict=True):
            if isinstance(one, LLMError):
                assert (type(answer), str(answer)) == (LLMRefusedError, "not that")
                assert answer.usage == Usage(5, 0, 0)
            else:
                assert answer == one
        assert answers[0] is answers[3]
        counts, same = ({**one.usage.summary(), "seconds": 0} for one in (there, direct))
        assert counts == same
        assert {**gateway.usage.summary(), "seconds": 0} == counts
        assert counts["requests"] == 44 * (attempt + 1)
    (first, *_) = gateway.backend.asked  # type: ignore[attr-defined]
    assert first == requests[0]
    assert list(first.schema["properties"]) == ["reasons", "rating"]  # a model answers in this order
    gateway.close()
    direct.close()


def test_each_counts_its_own_and_the_gateway_all(tmp_path: Path) -> None:
    one, gateway = shared(Model(), tmp_path / "a.sqlite3")
    service = GatewayService(gateway)
    two = SharedGateway(lambda messages: service.answer(iter(list(messages))), UsageTally())
    one.ask([request("1"), request("2")])
    two.ask([request("2"), request("3")])
    assert (one.usage.calls, one.usage.cached) == (2, 0)
    assert (two.usage.calls, two.usage.cached) == (1, 1)
    assert gateway.usage.calls == 3
    assert (one.usage.cost or 0) + (two.usage.cost or 0) == pytest.approx(gateway.usage.cost)
    assert service.cost() == gateway.usage.cost
    service.close()


def test_a_budget_counts_what_others_spend_before_every_call(tmp_path: Path) -> None:
    there, gateway = shared(Model(), tmp_path / "a.sqlite3", max_cost=5.0, concurrency=1)
    others = iter([0.0, 1.0, 5.0, 5.0, 5.0, 5.0])
    GatewayService(gateway).charge(lambda: next(others))
    answers = there.ask([request(text) for text in "abcd"])
    assert [type(answer).__name__ for answer in answers] == ["ChatAnswer"] * 2 + ["LLMBudgetError"] * 2
    assert "of 5 USD (--max-cost), for 2 calls" in str(answers[2])
    gateway.close()


def test_what_ends_the_asking_is_raised_and_counted(tmp_path: Path) -> None:
    there, gateway = shared(Model(price=None), tmp_path / "a.sqlite3", max_cost=1.0)
    with pytest.raises(ConfigurationError, match="a limit on the cost"):
        there.ask([request("1")])
    assert there.usage.requests == 1
    gateway.close()
