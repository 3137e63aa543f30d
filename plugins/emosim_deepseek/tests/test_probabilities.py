"""Probabilities of labels: read from the logprobs of an answer, and never guessed."""

from __future__ import annotations

import math
from typing import Any

import pytest
from emosim_deepseek.endpoint import Endpoint, EndpointOptions
from emosim_deepseek.probabilities import label_probabilities

from emosim_core.llm import ChatAnswer, ChatRequest, LLMError, Message
from emosim_core.testing import ChatServer
from emosim_core.testing.chat_server import Answer

DIGITS = tuple("0123456789")
TO_TEN = tuple(str(number) for number in range(1, 11))
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def place(written: str, **others: float) -> dict[str, Any]:
    """One place of an answer: the token that was written, and the probabilities of tokens."""
    listed = [{"token": token.replace("_", " "), "logprob": math.log(p)} for token, p in others.items()]
    mine = next((one for one in listed if one["token"] == written), {"token": written, "logprob": -50.0})
    return {**mine, "top_logprobs": listed}


def read(*places: dict[str, Any], labels: tuple[str, ...] = DIGITS) -> dict[str, float]:
    return {
        label: round(p, 6)
        for label, p in label_probabilities({"logprobs": {"content": [*places]}}, labels).items()
        if p
    }


def digits(written: str, shares: dict[str, float]) -> dict[str, Any]:
    return place(written, **shares)


def test_the_first_token_tells_all_labels_and_they_sum_to_one() -> None:
    found = label_probabilities({"logprobs": {"content": [digits("7", {"7": 0.5, "3": 0.25, "The": 0.2})]}}, DIGITS)
    assert list(found) == list(DIGITS)
    assert found["7"] == pytest.approx(2 / 3)
    assert sum(found.values()) == pytest.approx(1)


def test_white_space_quotes_and_case_around_a_label_belong_to_it() -> None:
    assert read(digits("7", {"7": 0.4, " 7": 0.1, '"7': 0.1, "\u01207": 0.1, "4": 0.1})) == {"7": 0.875, "4": 0.125}
    assert read(digits("\n", {"\n": 0.9}), digits("4", {"4": 0.6, "5": 0.2})) == {"4": 0.75, "5": 0.25}
    assert read(digits(" Seven", {" Seven": 0.6, "two": 0.2}), labels=WORDS) == {"two": 0.25, "seven": 0.75}


def test_ten_is_told_from_one_by_its_own_token_or_by_the_token_that_follows() -> None:
    own = digits("1", {"1": 0.2, "10": 0.6, "3": 0.2})
    assert read(own, labels=TO_TEN) == {"1": 0.2, "3": 0.2, "10": 0.6}
    first, second = digits("1", {"1": 0.8, "3": 0.2}), digits("0", {"0": 0.75, "<end>": 0.25})
    assert read(first, second, labels=TO_TEN) == {"1": 0.2, "3": 0.2, "10": 0.6}


def test_where_one_and_ten_cannot_be_told_apart_nothing_is_known() -> None:
    assert read(digits("3", {"3": 0.6, "1": 0.4}), labels=TO_TEN) == {}
    assert read(digits("3", {"3": 0.998, "1": 0.002}), labels=TO_TEN) == {"3": 1.0}
    assert read(digits("t", {"t": 0.9, "nine": 0.1}), labels=WORDS) == {}


def test_an_answer_that_begins_with_something_else_tells_nothing() -> None:
    assert read(digits("I", {"I": 0.95, "7": 0.04})) == {}
    assert read(digits("I", {"I": 0.6, "7": 0.3, "8": 0.1})) == {"7": 0.75, "8": 0.25}


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"logprobs": None},
        {"logprobs": {"content": None}},
        {"logprobs": {"content": []}},
        {"logprobs": {"content": [None]}},
        {"logprobs": {"content": [{"token": "7", "logprob": math.nan}]}},
        {"logprobs": {"content": [{"token": "7", "logprob": 3.0}]}},
        {"logprobs": {"content": [{"token": 7, "logprob": -1.0}]}},
        {"logprobs": {"content": [{"token": "7", "logprob": "-1"}]}},
        {"logprobs": {"content": [{"token": "7", "logprob": True}]}},
        {"logprobs": {"tokens": ["7"], "token_logprobs": [-0.1]}},
        None,
    ],
)
def test_whatever_else_a_service_sends_is_no_probability(choice: Any) -> None:
    assert label_probabilities(choice, DIGITS) == {}


def ask(server: ChatServer, choices: tuple[str, ...] = DIGITS, **options: Any) -> tuple[ChatAnswer, dict[str, Any]]:
    backend = Endpoint(EndpointOptions(model="m", base_url=server.url, **options))
    (answer,) = backend.answer_batch([ChatRequest((Message("user", "How good?"),), choices=choices)])
    assert not isinstance(answer, LLMError), answer
    return answer, server.calls[-1].body


def test_a_server_that_returns_them_is_read_by_them() -> None:
    with ChatServer(lambda body: Answer("7", probabilities={"7": 0.6, "2": 0.2, "no": 0.2})) as server:
        answer, body = ask(server)
        assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
        assert {label: round(p, 9) for label, p in answer.probabilities.items() if p} == {"2": 0.25, "7": 0.75}
        assert answer.text == "7"
        answer, body = ask(server, logprobs=False)
        assert "logprobs" not in body
        assert answer.probabilities == {}
        answer, body = ask(server, choices=())
        assert "logprobs" not in body
        assert answer.probabilities == {}


def test_a_server_that_returns_none_is_read_by_its_text() -> None:
    with ChatServer(lambda body: Answer("7")) as server:
        answer, _ = ask(server)
    assert (answer.text, answer.probabilities) == ("7", {})


@pytest.mark.parametrize(
    ("refusal", "sent"),
    [
        ("You are not allowed to request logprobs from this model", None),
        ("Unrecognized request argument supplied: top_logprobs", None),
        ("Requested sample logprobs of 20, which is greater than max allowed: 5", 5),
        ("Invalid value for top_logprobs: must be less than or equal to 5", 5),
    ],
)
def test_a_server_that_takes_fewer_or_none_is_asked_for_as_many_as_it_takes(
    refusal: str, sent: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    def script(body: dict[str, Any]) -> Answer:
        if body.get("top_logprobs", 0) > (sent or 0):
            return Answer(refusal, status=400)
        return Answer("7", probabilities={"7": 0.5, "2": 0.5})

    with ChatServer(script) as server:
        answer, body = ask(server)
    assert body.get("top_logprobs") == sent
    assert bool(answer.probabilities) == (sent is not None)
    assert "does not accept the request as it is" in caplog.text
