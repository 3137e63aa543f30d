"""Selectors, perturbators, reward shapings and policies against their formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.components import perturbation, selection, shaping
from emosim_core.components.base import (
    BeginRequest,
    PerturbationSituation,
    Perturbator,
    Policy,
    PolicySetting,
    RecommendationOutcome,
    RecommendationRequest,
    RewardShaping,
    SelectionSituation,
    Selector,
    ShapingRequest,
    ShapingSituation,
)
from emosim_core.model import Catalog, Item, RatingScale
from emosim_core.recommenders import heuristics as policies
from emosim_core.simulation.streams import Stage, Streams
from emosim_core.testing import perturbation_request, selection_request, shaping_request, small_world

SCALE = RatingScale(low=1, high=10)
MANY = 20_000


def draws(rows: int, seed: int = 0) -> Any:
    streams = Streams(rows)
    streams.begin(np.arange(rows), list(range(seed, seed + rows)), [0] * rows)
    return streams.of(Stage.SELECT, np.arange(rows))


def consumption(
    ratings: list[float], times: int = 1, since: int = 0, step: int = 1, activity: int = 2, scale: RatingScale = SCALE
) -> ShapingRequest:
    return shaping_request(
        np.array(ratings)[:, None], small_world(scale), times=times, since=since, steps=step, traits=[activity, 2, 2]
    )


def test_greedy_takes_the_best_and_never_a_failed_rating() -> None:
    ratings = np.array([[3.0, 9.0, 9.0], [np.nan, 2.0, 1.0]])
    assert selection.Greedy().select_batch(selection_request(ratings), draws(2)).tolist() == [
        [False, True, False],
        [False, True, False],
    ]
    assert selection.Greedy().select_batch(selection_request(np.array([[np.nan]])), draws(1)).tolist() == [[False]]


def test_random_and_probabilistic_selectors_have_their_probabilities() -> None:
    ratings = np.tile([4.0, 8.0], (MANY, 1))
    assert selection.RandomChoice().select_batch(selection_request(ratings), draws(MANY)).mean(axis=0) == pytest.approx(
        [0.5, 0.5], abs=0.02
    )
    chosen = selection.Probabilistic(selection.ProbabilisticOptions(p=0.3)).select_batch(
        selection_request(ratings), draws(MANY)
    )
    assert chosen.mean(axis=0) == pytest.approx([0, 0.3], abs=0.02)


def test_multinomial_logit_has_softmax_probabilities_with_a_no_choice_option() -> None:
    options = selection.LogitOptions(temperature=2.0, no_choice=5.0)
    ratings = np.tile([4.0, 8.0, np.nan], (MANY, 1))
    chosen = selection.MultinomialLogit(options).select_batch(selection_request(ratings), draws(MANY))
    weights = [math.exp(2), math.exp(4), math.exp(2.5)]
    assert chosen.sum(axis=1).max() == 1
    assert chosen.mean(axis=0) == pytest.approx([weights[0] / sum(weights), weights[1] / sum(weights), 0], abs=0.02)


def test_perturbators_have_their_distributions() -> None:
    ratings = np.full((MANY, 1), 5.0)
    assert perturbation.NoPerturbation().perturb_batch(perturbation_request(ratings), draws(MANY)) is ratings
    noise = (
        perturbation.Gaussian(perturbation.GaussianOptions()).perturb_batch(perturbation_request(ratings), draws(MANY))
        - 5
    )
    assert (noise.mean(), noise.std()) == pytest.approx((0, 0.5), abs=0.02)
    steps = (
        perturbation.GreedyPerturbation(perturbation.GreedyOptions()).perturb_batch(
            perturbation_request(ratings), draws(MANY)
        )
        - 5
    )
    assert [(steps == value).mean() for value in (-1, 0, 1)] == pytest.approx([0.1, 0.8, 0.1], abs=0.02)


@given(st.integers(1, 10), st.integers(1, 6), st.integers(1, 8))
def test_exp_decay_time_fades_repeats_to_the_floor_of_the_scale(rating: int, times: int, since: int) -> None:
    shaped, ends = shaping.ExpDecayTime(shaping.RepeatOptions()).shape_batch(
        consumption([float(rating)], times, since if times > 1 else 0), draws(1)
    )
    expected = rating if times == 1 else max(1, math.floor(rating * 0.1 ** (times / since) + 1e-9))
    assert shaped.tolist() == [[expected]]
    assert ends.tolist() == [0]


def test_random_watch_repeats_with_its_probability_and_leaves_first_times_alone() -> None:
    strategy = shaping.RandomWatch(shaping.RepeatOptions())
    shaped, _ = strategy.shape_batch(consumption([7.0] * MANY, times=2, since=4), draws(MANY))
    assert set(np.unique(shaped)) == {0.0, 7.0}
    assert (shaped == 7).mean() == pytest.approx(0.1**0.5, abs=0.02)
    first, _ = strategy.shape_batch(consumption([7.0] * 50), draws(50))
    assert (first == 7).all()


def test_same_item_terminate_ends_at_a_repeat_without_reward() -> None:
    strategy = shaping.SameItemTerminate()
    assert [part.tolist() for part in strategy.shape_batch(consumption([7.0], 2, 1), draws(1))] == [[[0.0]], [1]]
    assert [part.tolist() for part in strategy.shape_batch(consumption([7.0]), draws(1))] == [[[7.0]], [0]]
    assert strategy.end_reasons == ("repeat",)


def churned(ratings: list[float], rows: int = 1, scale: RatingScale = SCALE, activity: int = 2, **options: Any) -> Any:
    strategy = shaping.ChurnSatisfaction(shaping.ChurnOptions(**options))
    strategy.start(small_world().shaping_setting(rows))
    strategy.begin(BeginRequest(rows=np.arange(rows)))
    source = draws(rows)
    ends = [
        strategy.shape_batch(consumption([rating] * rows, step=step, activity=activity, scale=scale), source)[1]
        for step, rating in enumerate(ratings, start=1)
    ]
    return np.array(ends)


def test_churn_leaves_at_the_second_disappointment_in_a_row_but_not_before_step_five() -> None:
    assert churned([2.0, 2.0, 2.0, 9.0, 9.0], rate=0)[:, 0].tolist() == [0, 0, 0, 0, 0]
    assert churned([2.0, 2.0, 2.0, 2.0, 2.0], rate=0)[:, 0].tolist() == [0, 0, 0, 0, 1]
    assert churned([9.0] * 5 + [4.0, 9.0, 4.0, 4.0], rate=0)[:, 0].tolist() == [0] * 8 + [1]
    assert churned([9.0] * 5 + [5.0, 5.0, 5.0], rate=0)[:, 0].tolist() == [0] * 8


def test_churn_hazard_follows_the_moving_average_of_satisfaction() -> None:
    ratings = [1.0, 1.0, 1.0, 9.0, 1.0]
    average = ratings[0]
    for rating in ratings[1:]:
        average += 0.2 * (rating - average)
    ends = churned(ratings, rows=MANY)
    assert (ends[:4] == 0).all()
    expected = 1 - math.exp(-0.3 * max(0.0, 4 - average))
    assert (ends[4] == 2).mean() == pytest.approx(expected, abs=0.02)
    for activity, factor in ((1, 2.0), (3, 0.5)):
        share = (churned(ratings, rows=MANY, activity=activity, low_streak=5)[4] == 2).mean()
        assert share == pytest.approx(1 - math.exp(-0.3 * factor * (4 - average)), abs=0.02)
        plain = churned(ratings, rows=MANY, activity=activity, low_streak=5, use_traits=False)[4] == 2
        assert plain.mean() == pytest.approx(expected, abs=0.02)


def test_activity_moves_the_streak_and_other_scales_carry_the_threshold() -> None:
    assert [churned([9.0] * 5 + [1.0] * 3, rate=0, activity=a)[:, 0].tolist().index(1) for a in (1, 2, 3)] == [5, 6, 7]
    five = RatingScale(low=1, high=5)
    assert churned([5.0] * 5 + [2.0, 2.0], rate=0, scale=five)[:, 0].tolist()[-1] == 1
    assert churned([5.0] * 5 + [3.0, 3.0], rate=0, scale=five)[:, 0].tolist()[-1] == 0


def test_recovery_lowers_the_probability_of_leaving_after_two_good_ratings() -> None:
    ratings = [1.0, 1.0, 1.0, 5.0, 5.0]
    plain, mild = (((churned(ratings, rows=MANY, recovery=r))[4] == 2).mean() for r in (0.0, 0.5))
    assert mild == pytest.approx(plain / 2, abs=0.02)


def test_single_forms_of_third_parties_answer_for_a_batch() -> None:
    class First(Selector):
        def select(self, situation: SelectionSituation, rng: np.random.Generator) -> Any:
            return np.arange(len(situation.items)) == 0

    class Shift(Perturbator):
        def perturb(self, situation: PerturbationSituation, rng: np.random.Generator) -> float:
            return situation.rating + rng.choice([1])

    class Half(RewardShaping):
        def shape(self, situation: ShapingSituation, rng: np.random.Generator) -> tuple[float, bool]:
            return situation.rating / 2, situation.rating < 3

    ratings = np.array([[2.0, 8.0], [4.0, 6.0]])
    assert First().select_batch(selection_request(ratings), draws(2)).tolist() == [[True, False]] * 2
    assert Shift().perturb_batch(perturbation_request(ratings), draws(2)).tolist() == (ratings + 1).tolist()
    rewards, ends = Half().shape_batch(consumption([2.0, 8.0]), draws(2))
    assert rewards[:, 0].tolist() == [1.0, 4.0]
    assert ends.tolist() == [1, 0]


# ----------------------------------------------------------------------------------------- policies


def world() -> Catalog:
    rng = np.random.default_rng(0)
    items = [
        Item(id=str(i), title=str(i), public_rating=float(rng.integers(2, 10)), public_count=int(rng.integers(1, 99)))
        for i in range(9)
    ]
    return Catalog(items, SCALE, rng.normal(size=(9, 4)).astype(np.float32))


def seen(rows: int, items: list[int] = (), ratings: list[float] = ()) -> dict[str, Any]:  # type: ignore[assignment]
    length = 4
    history, mask, given_ratings = np.zeros((rows, length), int), np.zeros((rows, length), int), np.ones((rows, length))
    history[:, : len(items)], mask[:, : len(items)], given_ratings[:, : len(items)] = items, 1, ratings
    return {"history_items": history, "history_mask": mask, "history_ratings": given_ratings}


BUILT_IN = [
    policies.RandomPolicy(),
    policies.Popular(),
    policies.TopRated(),
    policies.SimilarToLiked(policies.SimilarOptions()),
    policies.EpsilonGreedy(policies.EpsilonGreedyOptions(epsilon=0.5)),
]


@pytest.mark.parametrize("policy", BUILT_IN, ids=lambda policy: type(policy).__name__)
@pytest.mark.parametrize("slate", [1, 2])
def test_no_policy_recommends_an_item_twice_in_an_episode_and_each_runs_out(policy: Policy, slate: int) -> None:
    catalog, rows = world(), np.arange(3)
    source = draws(3)
    policy.start(PolicySetting(catalog=catalog, slate=slate, batch_size=3))
    for _ in range(2):
        policy.begin(BeginRequest(rows=rows), source)
        recommended = np.concatenate(
            [
                policy.recommend_batch(RecommendationRequest(rows=rows, observations=seen(3)), source)
                for _ in range(9 // slate)
            ],
            axis=1,
        )
        for row in recommended.tolist():
            assert len(set(row)) == len(row)
            assert set(row) <= set(range(9))
        assert (policy.recommend_batch(RecommendationRequest(rows=rows, observations=seen(3)), source) == -1).all()


def test_popular_and_top_rated_follow_the_public() -> None:
    catalog, row = world(), np.array([0])
    for policy, column in (
        (policies.Popular(), catalog.public_counts),
        (policies.TopRated(), catalog.public_ratings),
    ):
        policy.start(PolicySetting(catalog=catalog, slate=9, batch_size=1))
        policy.begin(BeginRequest(rows=row), draws(1))
        order = policy.recommend_batch(RecommendationRequest(rows=row, observations=seen(1)), draws(1))[0]
        assert (np.diff(column[order]) <= 0).all()


def test_similar_to_liked_goes_towards_liked_items_and_away_from_disliked_ones() -> None:
    catalog, row = world(), np.array([0])
    for rating, sign in ((10.0, 1), (1.0, -1)):
        policy = policies.SimilarToLiked(policies.SimilarOptions())
        policy.start(PolicySetting(catalog=catalog, batch_size=1))
        policy.begin(BeginRequest(rows=row), draws(1))
        ((chosen,),) = policy.recommend_batch(
            RecommendationRequest(rows=row, observations=seen(1, [0], [rating])), draws(1)
        ).tolist()
        cosines = catalog.embeddings @ catalog.embeddings[0]
        assert sign * cosines[chosen] > sign * np.median(cosines)


def test_epsilon_greedy_learns_what_is_rated_high() -> None:
    catalog, row = world(), np.array([0])
    good = int(np.argsort(-catalog.public_ratings, kind="stable")[1])
    policy = policies.EpsilonGreedy(policies.EpsilonGreedyOptions(epsilon=0.0))
    policy.start(PolicySetting(catalog=catalog, slate=1, batch_size=1))
    for _ in range(60):
        policy.begin(BeginRequest(rows=row), draws(1))
        action = policy.recommend_batch(RecommendationRequest(rows=row, observations=seen(1)), draws(1))
        policy.learn(
            RecommendationOutcome(
                rows=row,
                actions=action,
                ratings=np.where(action == good, 10.0, 2.0),
                rewards=np.array([0.0]),
                ended=np.array([True]),
            )
        )
    policy.begin(BeginRequest(rows=row), draws(1))
    assert policy.recommend_batch(RecommendationRequest(rows=row, observations=seen(1)), draws(1)).tolist() == [[good]]


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_a_random_order_depends_on_the_seed_alone(seed: int) -> None:
    orders = []
    for rows in (1, 3):
        policy = policies.RandomPolicy()
        policy.start(PolicySetting(catalog=world(), slate=9, batch_size=rows))
        source = draws(rows, seed)
        policy.begin(BeginRequest(rows=np.arange(rows)), source)
        orders.append(
            policy.recommend_batch(RecommendationRequest(rows=np.arange(rows), observations=seen(rows)), source)[
                0
            ].tolist()
        )
    assert orders[0] == orders[1]
