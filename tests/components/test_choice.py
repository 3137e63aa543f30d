"""Choice models against their formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.components.base import Draws
from emosim_core.components.choice import (
    Cascade,
    CascadeOptions,
    Choice,
    ChoiceLogitOptions,
    ChoiceSituation,
    FittedLogit,
    InterestLogit,
    PositionBased,
    PositionOptions,
)
from emosim_core.errors import WrongAnswerError
from emosim_core.model.arrays import Flags
from emosim_core.testing import choice_request

MakeDraws = Callable[..., Draws]
MANY = 20_000


def chosen(model: Choice, interest: Any, draws: MakeDraws, **changed: Any) -> tuple[Flags, Flags]:
    request = replace(choice_request(np.asarray(interest, dtype=float)), **changed)
    return model.choose_batch(request, draws(len(request.users), seed=1), draws(len(request.users), seed=MANY + 1))


def sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_places_are_examined_as_their_power_says_and_clicked_on_their_own(draws: MakeDraws, eta: float) -> None:
    model = PositionBased(PositionOptions(eta=eta, threshold=1.0, sensitivity=2.0))
    examined, clicked = chosen(model, np.tile([1.0, 2.0, 0.0], (MANY, 1)), draws)
    expected = np.array([1.0, 2.0, 3.0]) ** -eta
    assert examined.mean(axis=0) == pytest.approx(expected, abs=0.015)
    rates = [sigmoid(2 * (interest - 1)) for interest in (1.0, 2.0, 0.0)]
    assert clicked.mean(axis=0) == pytest.approx(expected * rates, abs=0.015)
    both = (clicked[:, 0] & clicked[:, 1]).mean()
    assert both == pytest.approx(expected[1] * rates[0] * rates[1], abs=0.015)


@pytest.mark.parametrize("persistence", [1.0, 0.6])
def test_a_cascade_goes_down_to_the_first_click(draws: MakeDraws, persistence: float) -> None:
    model = Cascade(CascadeOptions(threshold=1.0, persistence=persistence))
    examined, clicked = chosen(model, np.tile([1.0, 2.0, 0.0], (MANY, 1)), draws)
    wanted = np.array([sigmoid(interest - 1) for interest in (1.0, 2.0, 0.0)])
    reached = np.array([1.0, persistence, persistence**2]) * np.cumprod([1.0, *(1 - wanted[:2])])
    assert examined.mean(axis=0) == pytest.approx(reached, abs=0.015)
    assert clicked.mean(axis=0) == pytest.approx(reached * wanted, abs=0.015)
    assert clicked.sum(axis=1).max() == 1


@pytest.mark.parametrize("no_choice", [-20.0, 1.0, 20.0])
def test_a_logit_takes_one_item_or_none_by_their_weights(draws: MakeDraws, no_choice: float) -> None:
    model = InterestLogit(ChoiceLogitOptions(no_choice=no_choice, sensitivity=1.5))
    interest = np.array([1.0, 2.0, 0.0])
    examined, clicked = chosen(model, np.tile(interest, (MANY, 1)), draws)
    weight = np.exp(1.5 * np.array([*interest, no_choice]))
    assert examined.all()
    assert clicked.mean(axis=0) == pytest.approx((weight / weight.sum())[:3], abs=0.015)


def test_a_fitted_logit_chooses_by_the_log_odds_of_the_rater(draws: MakeDraws) -> None:
    model = FittedLogit(ChoiceLogitOptions(no_choice=0.5))
    interest, spread = np.array([1.0, 2.0, 0.0]), 0.4
    _, clicked = chosen(model, np.tile(interest, (MANY, 1)), draws, spread=np.full(MANY, spread))
    weight = np.exp(spread * np.array([*interest, 0.5]))
    assert clicked.mean(axis=0) == pytest.approx((weight / weight.sum())[:3], abs=0.015)


def test_a_logit_chooses_among_what_is_examined(draws: MakeDraws) -> None:
    model = InterestLogit(ChoiceLogitOptions(eta=1.0, no_choice=-20.0))
    examined, clicked = chosen(model, np.tile([0.0, 9.0, 9.0], (MANY, 1)), draws)
    assert not (clicked & ~examined).any()
    only_first = ~examined[:, 1:].any(axis=1)
    assert clicked[only_first, 0].all()
    assert clicked[~only_first, 0].mean() < 0.01


MODELS = [PositionBased(PositionOptions()), Cascade(CascadeOptions()), InterestLogit(ChoiceLogitOptions(eta=0.7))]


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4), min_size=1, max_size=5))
def test_whatever_the_interest_what_is_clicked_is_examined(draws: MakeDraws, interest: list[list[float]]) -> None:
    for model in MODELS:
        examined, clicked = chosen(model, interest, draws)
        assert examined.dtype == clicked.dtype == np.bool_
        assert not (clicked & ~examined).any()
        assert isinstance(model, PositionBased) or clicked.sum(axis=1).max() <= 1


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_good_mood_clicks_more_and_a_repeat_less(draws: MakeDraws, model: Choice) -> None:
    interest = np.full((MANY, 3), 2.0)
    request = choice_request(interest)
    rate = chosen(model, interest, draws)[1].mean()
    assert chosen(model, interest, draws, moods=request.moods + np.array([0.5, 0.0]))[1].mean() > rate + 0.02
    assert chosen(model, interest, draws, times=np.full((MANY, 3), 3))[1].mean() < rate - 0.05


def test_the_single_form_is_handed_the_slate_and_answers_for_each_user(draws: MakeDraws) -> None:
    seen: list[ChoiceSituation] = []

    class Second(Choice):
        def choose(self, situation: ChoiceSituation, rng: np.random.Generator) -> Any:
            seen.append(situation)
            places = np.arange(len(situation.items))
            return places < 2, (places == 1) & (situation.interest > 0)

    examined, clicked = chosen(Second(), [[1.0, 2.0, 3.0], [1.0, -2.0, 3.0]], draws)
    assert examined.tolist() == [[True, True, False]] * 2
    assert clicked.tolist() == [[False, True, False], [False] * 3]
    request = choice_request([[1.0, 2.0, 3.0], [1.0, -2.0, 3.0]])
    for row, situation in enumerate(seen):
        assert situation.user == request.population.users[row]
        assert situation.interest.tolist() == request.interest[row].tolist()
        assert situation.times_consumed.tolist() == [0, 0, 0]
        assert [item.id for item in situation.items] == [request.catalog.ids[item] for item in range(3)]


@pytest.mark.parametrize(
    "answer",
    [None, np.ones(3, dtype=bool), (np.ones(3, dtype=bool),), (np.ones(2, dtype=bool),) * 2, ([0, 1, 2], [0, 0, 1])],
    ids=repr,
)
def test_another_answer_of_the_single_form_is_an_error(draws: MakeDraws, answer: Any) -> None:
    class Odd(Choice):
        def choose(self, situation: ChoiceSituation, rng: np.random.Generator) -> Any:
            return answer

    with pytest.raises(WrongAnswerError, match=r"Odd\.choose .*expected a pair of 3 booleans each"):
        chosen(Odd(), [[1.0, 2.0, 3.0]], draws)


def test_neither_form_is_an_error(draws: MakeDraws) -> None:
    with pytest.raises(NotImplementedError, match="implements neither choose nor choose_batch"):
        chosen(Choice(), [[1.0]], draws)
