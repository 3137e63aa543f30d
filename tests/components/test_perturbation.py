"""Perturbators against their distributions, alone and on the scale where the engine puts them."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from emosim_core.components.base import Draws, PerturbationSituation, Perturbator
from emosim_core.components.perturbation import (
    Gaussian,
    GaussianOptions,
    GreedyOptions,
    GreedyPerturbation,
    NoPerturbation,
)
from emosim_core.model import RatingScale
from emosim_core.testing import perturbation_request, small_world

MakeDraws = Callable[..., Draws]
TEN, FIVE, HALVES = RatingScale(low=1, high=10), RatingScale(low=1, high=5), RatingScale(low=0.5, high=5, step=0.5)
MANY = 20_000


def test_none_leaves_ratings_as_they_are(draws: MakeDraws) -> None:
    ratings = np.array([[3.0, np.nan], [10.0, 1.0]])
    np.testing.assert_array_equal(NoPerturbation().perturb_batch(perturbation_request(ratings), draws(2)), ratings)


@pytest.mark.parametrize("scale", [TEN, FIVE, HALVES], ids=str)
def test_greedy_goes_a_step_down_or_up_with_a_tenth_each(draws: MakeDraws, scale: RatingScale) -> None:
    perturbed = GreedyPerturbation(GreedyOptions()).perturb_batch(
        perturbation_request(np.full((MANY, 2), 3.0), small_world(scale)), draws(MANY)
    )
    steps = np.round((perturbed - 3) / scale.step).astype(int)
    for place in range(2):
        shares = [(steps[:, place] == step).mean() for step in (-1, 0, 1)]
        assert shares == pytest.approx([0.1, 0.8, 0.1], abs=0.01)
    assert abs(np.corrcoef(steps.T)[0, 1]) < 0.03


@pytest.mark.parametrize(("rating", "shares"), [(1.0, {1: 0.9, 2: 0.1}), (10.0, {9: 0.1, 10: 0.9})])
def test_greedy_at_an_end_of_the_scale_stays_on_it(draws: MakeDraws, rating: float, shares: dict[int, float]) -> None:
    ratings = np.full((MANY, 1), rating)
    seen = TEN.round(GreedyPerturbation(GreedyOptions()).perturb_batch(perturbation_request(ratings), draws(MANY)))
    assert {value: (seen == value).mean() for value in np.unique(seen)} == pytest.approx(shares, abs=0.01)


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5])
def test_greedy_has_the_probability_that_it_is_given(draws: MakeDraws, p: float) -> None:
    seen = GreedyPerturbation(GreedyOptions(p=p)).perturb_batch(
        perturbation_request(np.full((MANY, 1), 5.0)), draws(MANY)
    )
    shares = [(seen == value).mean() for value in (4, 5, 6)]
    assert shares == pytest.approx([p, 1 - 2 * p, p], abs=0.015)


@pytest.mark.parametrize("sd", [0.5, 2.0])
def test_gaussian_adds_normal_noise_and_the_scale_rounds_it(draws: MakeDraws, sd: float) -> None:
    noise = (
        Gaussian(GaussianOptions(sd=sd)).perturb_batch(perturbation_request(np.full((MANY, 1), 6.0)), draws(MANY)) - 6
    )
    assert (noise.mean(), noise.std()) == pytest.approx((0, sd), abs=0.03)
    seen, normal = TEN.round(noise + 6), NormalDist(6, sd)
    for level in (5, 6, 7):
        assert (seen == level).mean() == pytest.approx(normal.cdf(level + 0.5) - normal.cdf(level - 0.5), abs=0.015)
    assert (seen == 10).mean() == pytest.approx(1 - normal.cdf(9.5), abs=0.015)
    assert set(np.unique(seen)) <= set(TEN.levels)


def test_gaussian_noise_of_one_half_is_the_default() -> None:
    assert (GaussianOptions().sd, GreedyOptions().p) == (0.5, 0.1)


@pytest.mark.parametrize("perturbator", [Gaussian(GaussianOptions()), GreedyPerturbation(GreedyOptions())])
def test_what_is_not_rated_stays_not_rated(draws: MakeDraws, perturbator: Perturbator) -> None:
    seen = perturbator.perturb_batch(perturbation_request(np.array([[np.nan, 5.0]])), draws(1))
    assert np.isnan(seen).tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (GaussianOptions, {"sd": -1}),
        (GreedyOptions, {"p": 0.6}),
        (GreedyOptions, {"p": -0.1}),
        (GreedyOptions, {"q": 1}),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        options(**wrong)


def test_the_single_form_of_a_third_party_perturbs_a_batch_with_draws_of_each_user(draws: MakeDraws) -> None:
    class Dice(Perturbator):
        def perturb(self, situation: PerturbationSituation, rng: np.random.Generator) -> float:
            return situation.rating + float(rng.integers(0, 6))

    ratings = np.arange(20.0).reshape(10, 2)
    together = Dice().perturb_batch(perturbation_request(ratings), draws(10))
    alone = [
        Dice().perturb_batch(perturbation_request(ratings[row : row + 1]), draws(1, seed=row))[0].tolist()
        for row in range(10)
    ]
    assert together.tolist() == alone
    with pytest.raises(NotImplementedError, match="neither perturb nor perturb_batch"):
        Perturbator().perturb_batch(perturbation_request(ratings), draws(10))
