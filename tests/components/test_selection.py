"""Selectors against their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emosim_core.components.base import Draws, SelectionSituation, Selector
from emosim_core.components.selection import (
    Greedy,
    LogitOptions,
    MultinomialLogit,
    Probabilistic,
    ProbabilisticOptions,
    RandomChoice,
)
from emosim_core.testing import selection_request

MakeDraws = Callable[..., Draws]
MANY = 20_000
SLATES = st.integers(1, 5).flatmap(
    lambda slate: st.lists(st.lists(st.integers(1, 10), min_size=slate, max_size=slate), min_size=1, max_size=6)
)


@given(SLATES)
def test_greedy_takes_the_best_and_the_first_of_equals(draws: MakeDraws, slates: list[list[int]]) -> None:
    chosen = Greedy().select_batch(selection_request(np.array(slates, dtype=float)), draws(len(slates)))
    expected = [[place == slate.index(max(slate)) for place in range(len(slate))] for slate in slates]
    assert chosen.tolist() == expected


@pytest.mark.parametrize("selector", [Greedy(), Probabilistic(ProbabilisticOptions(p=1))])
def test_a_failed_rating_is_passed_over(draws: MakeDraws, selector: Selector) -> None:
    ratings = np.array([[math.nan, 1.0, 2.0], [3.0, math.nan, 2.0]])
    assert selector.select_batch(selection_request(ratings), draws(2)).tolist() == [
        [False, False, True],
        [True, False, False],
    ]
    assert not selector.select_batch(selection_request(np.array([[math.nan]])), draws(1)).any()


def test_random_takes_each_item_with_probability_one_half_independently(draws: MakeDraws) -> None:
    chosen = RandomChoice().select_batch(selection_request(np.full((MANY, 3), 5.0)), draws(MANY))
    assert chosen.mean(axis=0) == pytest.approx([0.5] * 3, abs=0.015)
    counts = np.bincount(chosen.sum(axis=1), minlength=4) / MANY
    assert counts == pytest.approx([0.125, 0.375, 0.375, 0.125], abs=0.015)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_probabilistic_takes_the_best_with_its_probability_and_nothing_else(draws: MakeDraws, p: float) -> None:
    chosen = Probabilistic(ProbabilisticOptions(p=p)).select_batch(
        selection_request(np.tile([4.0, 8.0, 8.0], (MANY, 1))), draws(MANY)
    )
    assert chosen[:, 1].mean() == pytest.approx(p, abs=0.015)
    assert not chosen[:, [0, 2]].any()
    one = Probabilistic(ProbabilisticOptions(p=p)).select_batch(selection_request(np.full((MANY, 1), 2.0)), draws(MANY))
    assert one.mean() == pytest.approx(p, abs=0.015)


@pytest.mark.parametrize("slate", [[5.0], [4.0, 8.0], [1.0, 10.0, 5.0, 5.0], [3.0, math.nan, 6.0]])
@pytest.mark.parametrize(("temperature", "no_choice"), [(1.0, 5.0), (3.0, 2.0), (50.0, 5.0)])
def test_multinomial_logit_has_softmax_probabilities_with_a_no_choice_option(
    draws: MakeDraws, slate: list[float], temperature: float, no_choice: float
) -> None:
    selector = MultinomialLogit(LogitOptions(temperature=temperature, no_choice=no_choice))
    chosen = selector.select_batch(selection_request(np.tile(slate, (MANY, 1))), draws(MANY))
    weights = [0.0 if math.isnan(rating) else math.exp(rating / temperature) for rating in slate]
    total = sum(weights) + math.exp(no_choice / temperature)
    assert chosen.mean(axis=0) == pytest.approx([weight / total for weight in weights], abs=0.015)
    assert chosen.sum(axis=1).max() <= 1


def test_multinomial_logit_takes_nothing_where_every_rating_failed(draws: MakeDraws) -> None:
    assert (
        not MultinomialLogit(LogitOptions())
        .select_batch(selection_request(np.full((200, 2), math.nan)), draws(200))
        .any()
    )


def test_a_cold_multinomial_logit_is_greedy_and_does_not_overflow(draws: MakeDraws) -> None:
    selector = MultinomialLogit(LogitOptions(temperature=1e-3, no_choice=5.0))
    chosen = selector.select_batch(selection_request(np.array([[3.0, 9.0], [2.0, 4.0]])), draws(2))
    assert chosen.tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (ProbabilisticOptions, {"p": 1.1}),
        (ProbabilisticOptions, {"p": -0.1}),
        (LogitOptions, {"temperature": 0}),
        (LogitOptions, {"cold": 1}),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        options(**wrong)


def test_the_single_form_of_a_third_party_selects_for_a_batch_with_draws_of_each_user(draws: MakeDraws) -> None:
    class OneAtRandom(Selector):
        def select(self, situation: SelectionSituation, rng: np.random.Generator) -> Any:
            return np.arange(len(situation.items)) == rng.integers(len(situation.items))

    ratings = np.full((30, 4), 5.0)
    together = OneAtRandom().select_batch(selection_request(ratings), draws(30))
    alone = [
        OneAtRandom().select_batch(selection_request(ratings[:1]), draws(1, seed=row))[0].tolist() for row in range(30)
    ]
    assert together.tolist() == alone
    assert set(together.argmax(axis=1).tolist()) == {0, 1, 2, 3}
    with pytest.raises(NotImplementedError, match="neither select nor select_batch"):
        Selector().select_batch(selection_request(ratings), draws(30))


def test_a_choice_model_sees_who_chooses_what_and_in_which_mood(draws: MakeDraws) -> None:
    seen = []

    class Looks(Selector):
        def select(self, situation: SelectionSituation, rng: np.random.Generator) -> Any:
            mood = (situation.valence, situation.arousal)
            seen.append(
                (situation.user, [item.id for item in situation.items], mood, situation.times_consumed.tolist())
            )
            return situation.ratings > 5

    request = selection_request([[4.0, 6.0], [7.0, 2.0]])
    assert Looks().select_batch(request, draws(2)).tolist() == [[False, True], [True, False]]
    assert seen == [
        (user, ["i000", "i001"], (user.baseline_valence, user.baseline_arousal), [0, 0])
        for user in request.population.users[:2]
    ]
