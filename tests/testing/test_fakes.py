"""Fakes: they do as the script says, keep what they were asked, and keep to the contract themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from emosim_core import EmoSimEnv, EnvironmentConfig
from emosim_core.errors import LLMRefusedError
from emosim_core.llm.chat import ChatRequest, Message
from emosim_core.plugins import assemble
from emosim_core.testing import (
    LLMBackendConformance,
    RaterConformance,
    ScriptedBackend,
    ScriptedRater,
    draws,
    run_suite,
    small_world,
)
from emosim_core.testing.rater import request


def question(text: str) -> ChatRequest:
    return ChatRequest((Message("system", "Be brief."), Message("user", text)))


def test_a_scripted_rater_rates_by_user_item_and_times() -> None:
    calls: list[tuple[int, int, int]] = []

    def script(user: int, item: int, times: int) -> float:
        calls.append((user, item, times))
        return math.nan if times else 7.0

    rating_request = request(small_world())
    rater = ScriptedRater(script)
    answer = rater.rate_batch(rating_request, draws(12))
    assert rater.requests == [rating_request]
    np.testing.assert_array_equal(answer.values, np.where(rating_request.times > 0, np.nan, 7.0))
    assert [item for _, item, _ in calls] == rating_request.items.ravel().tolist()
    assert answer.reason(0, 0) == "as the script says"


def test_a_scripted_rater_rates_in_an_environment() -> None:
    rater = ScriptedRater(lambda user, item, times: 3.0 + times)
    env = EmoSimEnv(world=replace(assemble(EnvironmentConfig(plugin="movies")), rater=rater))
    env.reset(seed=0)
    assert [env.step(5)[1], env.step(5)[1], env.step(6)[1]] == [3.0, 4.0, 3.0]
    assert [one.items.item() for one in rater.requests] == [5, 5, 6]


def test_a_scripted_backend_answers_by_function_or_in_turn() -> None:
    backend = ScriptedBackend(lambda request: request.messages[-1].content.upper())
    assert [answer.text for answer in backend.answer_batch([question("a b"), question("c")])] == ["A B", "C"]
    assert [one.messages[-1].content for one in backend.requests] == ["a b", "c"]
    (answer,) = ScriptedBackend(["one two three"]).answer_batch([question("a b")])
    assert (answer.usage.prompt, answer.usage.completion, answer.model) == (4, 3, "scripted")


def test_an_error_in_the_script_is_raised_in_its_place() -> None:
    error = LLMRefusedError("no")
    answers = ScriptedBackend(["yes", error, "yes"]).answer_batch([question(text) for text in "abc"])
    assert answers[1] is error
    assert [answer.text for answer in answers[::2]] == ["yes", "yes"]


def test_a_script_that_is_over_says_so() -> None:
    backend = ScriptedBackend(["one"])
    backend.answer_batch([question("a")])
    with pytest.raises(IndexError, match="the script has no answer left to 'b'"):
        backend.answer_batch([question("b")])


def test_fakes_keep_to_their_contract() -> None:
    def rater(self: object = None) -> ScriptedRater:
        return ScriptedRater(lambda user, item, times: float(1 + (user + item) % 5))

    def backend(self: object = None) -> ScriptedBackend:
        return ScriptedBackend(lambda request: request.messages[-1].content)

    for outcome in run_suite(RaterConformance, make=rater) + run_suite(LLMBackendConformance, make=backend):
        assert outcome.error is None, outcome
