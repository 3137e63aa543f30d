"""Interfaces of components: what a class has that defines nothing of its own, and what single forms may answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from emosim_core.components.base import (
    Draws,
    Policy,
    PolicySetting,
    Rater,
    RaterService,
    RecommendationOutcome,
    RecommendationRequest,
    RewardShaping,
)
from emosim_core.errors import WrongAnswerError
from emosim_core.testing import shaping_request, small_world
from emosim_core.testing.rater import request as rating_request

MakeDraws = Callable[..., Draws]


def test_a_rater_that_says_nothing_calls_no_model_costs_nothing_and_tells_nothing() -> None:
    rater = Rater()
    assert (rater.uses_llm, rater.deferred, rater.interest_is_log_odds) == (False, False, False)
    assert (rater.language_model, rater.answered_by, rater.data_sha256, rater.batch_size) == ("", "", "", 16)
    assert (rater.announcements(), rater.usage(), rater.exchanges(), rater.service()) == ((), {}, (), None)
    request: Any = None
    assert (rater.interest_terms(request), rater.interest_without(request)) == ({}, {})
    assert rater.answering(np.zeros(1, dtype=np.intp), request) is None
    assert RaterService().cost() == 0.0
    for name in ("expected_batch", "distribution_batch", "interest_batch"):
        with pytest.raises(NotImplementedError, match="Rater does not tell"):
            getattr(rater, name)(request)


@pytest.mark.parametrize("name", ["expected_batch", "interest_batch"])
def test_a_rater_tells_interest_where_it_defines_either_and_no_model_is_called(name: str) -> None:
    teller = type("Teller", (Rater,), {name: lambda self, request: None})()
    assert teller.tells_interest()
    assert teller.interest_teller() is teller
    model = type("Model", (Rater,), {name: lambda self, request: None, "uses_llm": True})()
    for silent in (model, Rater()):
        assert not silent.tells_interest()
        assert silent.interest_teller() is None


class Single(Rater):
    """Answers what it is made with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def rate(self, situation: Any, rng: np.random.Generator) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "value", "reason"),
    [(7, 7.0, ""), (7.0, 7.0, ""), ((3, "dull"), 3.0, "dull"), (np.float32(2), 2.0, ""), (float("nan"), None, "")],
)
def test_a_rating_of_the_single_form_may_have_a_reason(
    draws: MakeDraws, answer: Any, value: float | None, reason: str
) -> None:
    ratings = Single(answer).rate_batch(rating_request(small_world(), [0], slate=2), draws(1))
    assert [None if one != one else one for one in ratings.values[0].tolist()] == [value, value]
    assert ratings.reason(0, 1) == reason


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (11, "rater-scale"),
        (2.5, "rater-scale"),
        ((3, 4), "rater-shape"),
        ((3, "a", "b"), "rater-shape"),
        ("7", "rater-shape"),
    ],
)
def test_what_is_no_rating_is_a_wrong_answer_with_its_rule(draws: MakeDraws, answer: Any, rule: str) -> None:
    with pytest.raises(WrongAnswerError, match=r"^Single\.rate ") as raised:
        Single(answer).rate_batch(rating_request(small_world(), [0], slate=1), draws(1))
    assert raised.value.rule == rule


class Shaped(RewardShaping):
    """Answers what it is made with; remembers what it was handed."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.seen = answer, list[Any]()

    def shape(self, situation: Any, rng: np.random.Generator) -> Any:
        self.seen.append(situation)
        return self.answer(situation) if callable(self.answer) else self.answer


def test_the_single_form_of_a_shaping_is_called_for_what_was_consumed_and_any_item_may_end(draws: MakeDraws) -> None:
    request = shaping_request([[5.0, 8.0], [3.0, 9.0], [4.0, 2.0]])
    request.consumed[:] = [[True, False], [True, True], [False, False]]
    shaping = Shaped(lambda one: (one.rating / 2, one.rating < 4))
    rewards, ends = shaping.shape_batch(request, draws(3))
    assert rewards.tolist() == [[2.5, 0.0], [1.5, 4.5], [0.0, 0.0]]
    assert ends.tolist() == [0, 1, 0]
    assert shaping.end_reasons == ("shaped",)
    first = shaping.seen[0]
    assert first.user == request.population.users[request.users[0]]
    assert first.item == request.catalog.items[request.items[0, 0]]
    assert (first.times, first.since, first.step) == (request.times[0, 0], request.since[0, 0], request.steps[0])
    plain_rewards, plain_ends = Shaped(1).shape_batch(request, draws(3))
    assert plain_rewards.tolist() == [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    assert plain_ends.tolist() == [0, 0, 0]


@pytest.mark.parametrize("answer", [None, "1", (1.0, "yes"), (1.0, None), (1.0, False, 2)])
def test_what_is_no_reward_is_a_wrong_answer(draws: MakeDraws, answer: Any) -> None:
    with pytest.raises(WrongAnswerError, match=r"^Shaped\.shape answered"):
        Shaped(answer).shape_batch(shaping_request([[5.0]]), draws(1))


class Recommends(Policy):
    """Answers what it is made with."""

    def __init__(self, answer: Any, slate: int) -> None:
        self.answer = answer
        catalog = small_world().catalog
        self.start(PolicySetting(catalog=catalog, slate=slate, batch_size=2, users=("a", "b")))

    def recommend(self, observation: Any, rng: np.random.Generator) -> Any:
        return self.answer[int(observation["user"])]


def asked(policy: Policy, draws: MakeDraws) -> list[Any]:
    request = RecommendationRequest(rows=np.arange(2), observations={"user": np.array([0, 1])})
    return list(policy.recommend_batch(request, draws(2)).tolist())


def test_the_single_form_of_a_policy_answers_slates_or_nothing(draws: MakeDraws) -> None:
    assert asked(Recommends([[3], []], slate=1), draws) == [[3], [-1]]
    assert asked(Recommends([(4, 5), np.array([6, 7])], slate=2), draws) == [[4, 5], [6, 7]]
    for answer in ([1], [1, 2, 3]):
        with pytest.raises(WrongAnswerError, match=rf"recommended {len(answer)} items for a slate of 2"):
            asked(Recommends([answer, [0, 1]], slate=2), draws)


def test_a_policy_that_says_nothing_sees_what_there_is_and_forgets_with_each_episode() -> None:
    policy = Recommends([], slate=2)
    assert (policy.history_length, tuple(policy.observes), policy.deterministic) == (0, (), False)
    assert policy.learns_across_episodes is False
    assert (policy.propensities(), policy.counts()) == (None, {})
    assert (policy.slate, policy.batch_size, policy.users) == (2, 2, ("a", "b"))
    setting = PolicySetting(catalog=policy.catalog)
    assert (setting.slate, setting.batch_size, setting.users, setting.history_length) == (1, 1, (), 0)


def test_what_was_consumed_counts_as_clicked_where_nobody_clicks() -> None:
    some = {"rows": np.arange(1), "actions": np.array([[0, 1]]), "rewards": np.zeros(1), "ended": np.zeros(1, bool)}
    ratings = np.array([[4.0, np.nan]])
    assert RecommendationOutcome(**some, ratings=ratings).clicked.tolist() == [[True, False]]
    clicked = np.array([[False, True]])
    assert RecommendationOutcome(**some, ratings=ratings, clicked=clicked).clicked is clicked
