"""ModelRater: every rating is an answer of the model, read strictly, and never made up."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosim_core import ConfigurationError, DataError
from emosim_core.llm import (
    ChatAnswer,
    ChatRequest,
    LLMAuthenticationError,
    LLMBudgetError,
    LLMError,
    LLMMalformedError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMRequestError,
    LLMTransientError,
    Message,
    PromptStrategy,
    Reply,
)
from emosim_core.llm.gateway.retries import LONGEST_WAIT
from emosim_core.llm.label_weights import fit_label_weights
from emosim_core.llm.rater import ModelRater, ModelRaterOptions
from emosim_core.testing import draws, small_world
from emosim_core.testing.rater import request

WORLD = small_world()
SKIPPING = dataclasses.replace(WORLD.setting(), on_failed_rating="skip")


class Plain(PromptStrategy):
    """Asks for a digit, which is the rating."""

    def ask(self, request: Any, row: int, place: int) -> ChatRequest:
        return ChatRequest((Message("user", f"{request.users[row]} {request.items[row, place]}"),))

    def ask_again(self, request: ChatRequest, answer: ChatAnswer, problem: str) -> ChatRequest:
        return ChatRequest((*request.messages, Message("assistant", answer.text), Message("user", problem)))

    def read(self, answer: ChatAnswer) -> Reply:
        if answer.text not in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]:
            raise LLMMalformedError(f"no digit: {answer.text}")
        return Reply(float(answer.text), "because", answer.text)


class Script:
    """Answers by a function of the question, and keeps what it was asked."""

    def __init__(self, answer: Callable[[ChatRequest], ChatAnswer | LLMError]) -> None:
        self.answer, self.batches, self.closed = answer, [], False  # type: ignore[var-annotated]
        self.kept = 0

    def ask(self, requests: Iterable[ChatRequest]) -> list[ChatAnswer | LLMError]:
        self.batches.append(list(requests))
        return [self.answer(request) for request in self.batches[-1]]

    def charge(self, cost: float) -> None:
        self.charged = cost

    def close(self) -> None:
        self.closed = True

    @property
    def usage(self) -> Any:
        return self

    @property
    def calls(self) -> int:
        return sum(map(len, self.batches[self.kept :]))

    def summary(self) -> dict[str, Any]:
        return {"calls": self.calls}


def rated(answer: Callable[[ChatRequest], ChatAnswer | LLMError], **options: Any) -> tuple[Any, Script]:
    script = Script(answer)
    rater = ModelRater(Plain(), script, ModelRaterOptions(**options))
    rater.prepare(SKIPPING)
    return rater.rate_batch(request(WORLD), draws(12)), script


def test_all_users_and_items_are_asked_at_once_and_each_gets_its_own_answer() -> None:
    def answer(asked: ChatRequest) -> ChatAnswer:
        user, item = map(int, asked.messages[0].content.split())
        return ChatAnswer(str(1 + (user + item) % 10))

    ratings, script = rated(answer)
    asked = request(WORLD)
    assert [len(batch) for batch in script.batches] == [24]
    assert np.array_equal(ratings.values, 1 + (asked.users[:, None] + asked.items) % 10)


def test_an_answer_that_cannot_be_read_is_asked_again_saying_why_and_then_has_failed() -> None:
    ratings, script = rated(lambda asked: ChatAnswer("8.5" if "no digit" not in str(asked) else "9"))
    assert [len(batch) for batch in script.batches] == [24, 24]
    assert (ratings.values == 9).all()
    assert "no digit: 8.5" in script.batches[1][0].messages[-1].content
    ratings, script = rated(lambda asked: ChatAnswer("five stars"), parse_attempts=3)
    assert [len(batch) for batch in script.batches] == [24, 24, 24]
    assert np.isnan(ratings.values).all()
    assert ratings.reason(0, 0) == "no answer could be parsed in 3 attempts: no digit: five stars"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (LLMTransientError("gone"), "no answer of the language model: gone"),
        (LLMRefusedError("no"), "the language model refuses to answer: no"),
        (LLMMalformedError("cut"), "the answer of the language model cannot be used: cut"),
    ],
)
def test_a_question_without_an_answer_is_a_failed_rating_that_says_why(error: LLMError, says: str) -> None:
    ratings, script = rated(lambda asked: error if asked.messages[0].content.endswith("4") else ChatAnswer("7"))
    failed = request(WORLD).items % 10 == 4
    assert failed.any()
    assert not failed.all()
    assert np.array_equal(np.isnan(ratings.values), failed)
    assert (ratings.values[~failed] == 7).all()
    row, place = np.argwhere(failed)[0]
    assert ratings.reason(int(row), int(place)) == says
    assert len(script.batches) == 1


@pytest.mark.parametrize("error", [LLMAuthenticationError("no key"), LLMBudgetError("spent")])
def test_what_every_question_would_meet_is_raised(error: LLMError) -> None:
    with pytest.raises(type(error), match=str(error)):
        rated(lambda asked: error)


def test_reasons_are_kept_where_they_are_asked_for() -> None:
    assert rated(lambda asked: ChatAnswer("7"))[0].reason(0, 0) == ""
    assert rated(lambda asked: ChatAnswer("7", reasoning="hm"), explain=True)[0].reason(0, 0) == "because"


def test_probabilities_are_kept_and_read_as_they_are_asked_to_be() -> None:
    shares = {"2": 0.25, "8": 0.5, "10": 0.24996, "1": 0.00004}
    answer = ChatAnswer("8", probabilities=shares)
    ratings, _ = rated(lambda asked: answer, reading="likeliest")
    assert (ratings.values == 8).all()
    assert ratings.probabilities(0, 0) == {"2": 0.25, "8": 0.5, "10": 0.24996}
    ratings, _ = rated(lambda asked: answer, reading="expected")
    assert (ratings.values == 7).all()
    ratings, _ = rated(lambda asked: answer)
    again, _ = rated(lambda asked: answer, reading="sampled")
    assert np.array_equal(ratings.values, again.values)
    assert set(np.unique(ratings.values)) == {2, 8, 10}
    with pytest.raises(ConfigurationError, match="needs a model that returns the probability"):
        rated(lambda asked: ChatAnswer("8"), reading="expected")
    ratings, _ = rated(lambda asked: ChatAnswer("8"))
    assert (ratings.values == 8).all()


def test_a_text_that_cannot_be_read_is_read_by_its_probabilities_if_it_has_any() -> None:
    answer = ChatAnswer("I would say 9", probabilities={"8": 0.7, "9": 0.3}, finished=False)
    rater = ModelRater(Plain(), Script(lambda asked: answer), ModelRaterOptions(reading="likeliest"))
    rater.prepare(SKIPPING)
    assert (rater.rate_batch(request(WORLD), draws(12)).values == 8).all()
    assert rater.usage() == {"calls": 24, "cut_answers": 24}


def test_draws_follow_the_probabilities_and_the_expected_rating_is_their_mean() -> None:
    answer = ChatAnswer("8", probabilities={"2": 0.25, "8": 0.75})
    rater = ModelRater(Plain(), Script(lambda asked: answer))
    rater.prepare(SKIPPING)
    many = [rater.rate_batch(request(WORLD), draws(12, seed=100 * seed)).values for seed in range(40)]
    assert np.mean(many == np.float64(2)) == pytest.approx(0.25, abs=0.05)
    asked = request(WORLD)
    assert rater.distribution_batch(asked).shape == (*asked.items.shape, 10)
    assert rater.distribution_batch(asked)[0, 0, [1, 7]].tolist() == [0.25, 0.75]
    assert (rater.expected_batch(asked) == 6.5).all()
    assert rater.usage()["read_probabilities"] == 40 * 24


def test_without_probabilities_no_expected_rating_is_made_up() -> None:
    rater = ModelRater(Plain(), Script(lambda asked: ChatAnswer("8")))
    rater.prepare(SKIPPING)
    with pytest.raises(NotImplementedError, match="no probabilities"):
        rater.expected_batch(request(WORLD))


def test_a_corrected_reading_weights_the_probabilities_by_the_real_shares(tmp_path: Path) -> None:
    answer = ChatAnswer("8", probabilities={"2": 0.5, "8": 0.5})
    levels = SKIPPING.scale.levels
    expected = np.zeros((1000, 10))
    expected[:, [1, 7]] = 0.5
    given = np.where(np.arange(1000) < 200, 2.0, 8.0)
    weights = tmp_path / "label_weights.json"
    weights.write_text(json.dumps(fit_label_weights(expected, given, levels, "")))

    def rater_with(**options: Any) -> ModelRater:
        rater = ModelRater(Plain(), Script(lambda asked: answer), ModelRaterOptions(**options))
        rater.prepare(SKIPPING)
        return rater

    rater = rater_with(reading="prior_corrected", prior=weights)
    assert rater.distribution_batch(request(WORLD))[0, 0, [1, 7]] == pytest.approx([0.2, 0.8], abs=0.01)
    assert set(np.unique(rater.rate_batch(request(WORLD), draws(12)).values)) == {2, 8}
    with pytest.raises(ConfigurationError, match="go together"):
        rater_with(reading="prior_corrected")
    with pytest.raises(ConfigurationError, match="go together"):
        rater_with(prior=weights)
    stored = json.loads(weights.read_text())
    weights.write_text(json.dumps({**stored, "answered_by": "another model"}))
    with pytest.raises(ConfigurationError, match="are of 'another model'"):
        rater_with(reading="prior_corrected", prior=weights)
    weights.write_text(json.dumps({**stored, "levels": [*range(1, 6)], "weights": [1.0] * 5}))
    with pytest.raises(ConfigurationError, match="another scale"):
        rater_with(reading="prior_corrected", prior=weights)
    weights.write_text("{}")
    with pytest.raises(DataError, match="cannot be read as label weights"):
        rater_with(reading="prior_corrected", prior=weights)


def test_it_tells_its_usage_and_closes_what_it_asks_through() -> None:
    script = Script(lambda asked: ChatAnswer("7"))
    rater = ModelRater(Plain(), script)
    rater.prepare(SKIPPING)
    rater.rate_batch(request(WORLD), draws(12))
    assert rater.usage() == {"calls": 24}
    rater.close()
    assert script.closed


def test_where_a_failed_rating_ends_a_run_what_was_answered_before_does_not_count_as_a_try() -> None:
    for persistent, batches in ((True, 5), (False, 3)):
        script = Script(lambda asked: ChatAnswer("five stars" if len(asked.messages) < 9 else "5"))
        script.kept = 3
        rater = ModelRater(Plain(), script, ModelRaterOptions(parse_attempts=3))
        rater.prepare(dataclasses.replace(WORLD.setting(), on_failed_rating="raise" if persistent else "skip"))
        values = rater.rate_batch(request(WORLD), draws(12)).values
        assert len(script.batches) == batches
        assert np.isnan(values).all() != persistent


def test_a_prompt_strategy_that_puts_the_same_question_again_ends_where_its_answer_is_kept() -> None:
    class Stubborn(Plain):
        def ask_again(self, request: ChatRequest, answer: ChatAnswer, problem: str) -> ChatRequest:
            return request

    class CachedAnswer(Script):
        calls = 0

    script = CachedAnswer(lambda asked: ChatAnswer("five stars"))
    rater = ModelRater(Stubborn(), script)
    rater.prepare(WORLD.setting())
    assert np.isnan(rater.rate_batch(request(WORLD), draws(12)).values).all()
    assert len(script.batches) == 1


def refuses(doubtful: bool) -> LLMRequestError:
    error = LLMRequestError("status 400: no")
    error.doubtful = doubtful
    return error


def test_an_objection_that_may_be_about_one_question_is_one_failed_rating_where_others_are_answered() -> None:
    ratings, _ = rated(lambda asked: refuses(True) if asked.messages[0].content.endswith("4") else ChatAnswer("7"))
    failed = request(WORLD).items % 10 == 4
    assert failed.any()
    assert np.array_equal(np.isnan(ratings.values), failed)
    row, place = np.argwhere(failed)[0]
    assert (
        ratings.reason(int(row), int(place))
        == "the language model's service does not accept the request: status 400: no"
    )


def test_it_is_one_failed_rating_too_before_anything_was_answered_as_long_as_few_items_are_objected_to() -> None:
    script = Script(lambda asked: refuses(True))
    rater = ModelRater(Plain(), script)
    rater.prepare(SKIPPING)
    whole = request(WORLD)
    narrow = dataclasses.replace(whole, items=np.full_like(whole.items, 4))
    assert np.isnan(rater.rate_batch(narrow, draws(12)).values).all()
    with pytest.raises(LLMRequestError):
        rater.rate_batch(whole, draws(12))


def test_an_objection_that_every_question_meets_and_a_wait_that_is_too_long_are_raised() -> None:
    for error in (refuses(False), LLMRateLimitError("later", retry_after=LONGEST_WAIT + 1)):
        with pytest.raises(type(error)):
            rated(lambda asked, error=error: error if asked.messages[0].content.endswith("4") else ChatAnswer("7"))
