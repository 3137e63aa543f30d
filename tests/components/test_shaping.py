"""Reward shapings against their formulas, and churn against a naive user who counts and averages."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emosim_core.components.base import BeginRequest, Draws, RewardShaping, ShapingRequest, ShapingSituation
from emosim_core.components.shaping import (
    ChurnOptions,
    ChurnSatisfaction,
    ExpDecayTime,
    Identity,
    RandomWatch,
    RepeatOptions,
    SameItemTerminate,
)
from emosim_core.hooks import Registry
from emosim_core.model import RatingScale
from emosim_core.testing import shaping_request, small_world

MakeDraws = Callable[..., Draws]
TEN, FIVE, HALVES = RatingScale(low=1, high=10), RatingScale(low=1, high=5), RatingScale(low=0.5, high=5, step=0.5)
MANY = 20_000


class Fixed:
    """Draws that are all the same."""

    def __init__(self, rows: int, value: float) -> None:
        self.rows, self.value = rows, value

    def uniform(self, count: int) -> Any:
        return np.full((self.rows, count), self.value)


def consume(
    ratings: list[list[float]],
    times: Any = 1,
    since: Any = 0,
    step: int = 1,
    activity: Any = 2,
    scale: RatingScale = TEN,
    consumed: Any = True,
    rows: Any = None,
) -> ShapingRequest:
    """What users consumed; every argument is spread over users and slates."""
    return shaping_request(
        ratings,
        small_world(scale),
        rows=None if rows is None else np.array(rows),
        consumed=consumed,
        times=times,
        since=since,
        steps=step,
        traits=np.stack(np.broadcast_arrays(activity, np.full(len(ratings), 2), 2), axis=1),
    )


# -------------------------------------------------------------------------------- first times, repeats


@pytest.mark.parametrize(
    "shaping",
    [Identity(), ExpDecayTime(RepeatOptions()), RandomWatch(RepeatOptions()), SameItemTerminate()],
    ids=lambda shaping: type(shaping).__name__,
)
@pytest.mark.parametrize("scale", [TEN, FIVE, HALVES], ids=str)
def test_a_first_consumption_is_never_changed(draws: MakeDraws, shaping: RewardShaping, scale: RatingScale) -> None:
    ratings = scale.levels[:, None]
    rewards, ends = shaping.shape_batch(consume(ratings.tolist(), scale=scale), draws(len(ratings)))
    np.testing.assert_array_equal(rewards, ratings)
    assert not ends.any()


@given(
    st.sampled_from([TEN, FIVE, HALVES]), st.data(), st.integers(2, 30), st.integers(1, 40), st.sampled_from([0.1, 0.5])
)
def test_exp_decay_time_is_the_faded_rating_floored_to_the_step_and_clipped(
    scale: RatingScale, data: st.DataObject, times: int, since: int, q: float
) -> None:
    rating = data.draw(st.sampled_from(scale.levels.tolist()))
    rewards, ends = ExpDecayTime(RepeatOptions(q=q)).shape_batch(
        consume([[rating]], times, since, scale=scale), Fixed(1, 0.5)
    )
    faded = rating * q ** (times / since)
    steps = math.floor((faded - scale.low) / scale.step + 1e-9)
    assert rewards[0, 0] == pytest.approx(min(scale.high, max(scale.low, scale.low + steps * scale.step)))
    assert scale.contains(rewards[0, 0])
    assert rewards[0, 0] <= rating
    assert ends.tolist() == [0]


def test_exp_decay_time_has_the_values_that_the_formula_gives_by_hand() -> None:
    shaping = ExpDecayTime(RepeatOptions())
    # 10 * .1 ** 2 = .1 -> 1; 10 * .1 ** (2 / 4) = 3.16 -> 3; 8 * .1 ** (2 / 20) = 6.35 -> 6; 9 * .1 ** (3 / 30) -> 7
    ratings, times, since = [[10, 10, 8, 9]], [2, 2, 2, 3], [1, 4, 20, 30]
    assert shaping.shape_batch(consume(ratings, times, since), Fixed(1, 0.5))[0].tolist() == [[1, 3, 6, 7]]


@pytest.mark.parametrize(("times", "since", "q"), [(2, 1, 0.1), (2, 4, 0.1), (3, 30, 0.1), (2, 2, 0.7)])
def test_random_watch_repeats_with_the_probability_of_its_formula(
    draws: MakeDraws, times: int, since: int, q: float
) -> None:
    rewards, ends = RandomWatch(RepeatOptions(q=q)).shape_batch(consume([[7.0]] * MANY, times, since), draws(MANY))
    assert set(np.unique(rewards)) <= {0.0, 7.0}
    assert (rewards == 7).mean() == pytest.approx(q ** (times / since), abs=0.01)
    assert not ends.any()


@given(st.integers(2, 9), st.integers(1, 20), st.floats(0, 1, exclude_max=True))
def test_random_watch_takes_a_draw_below_the_probability(times: int, since: int, draw: float) -> None:
    rewards, _ = RandomWatch(RepeatOptions()).shape_batch(consume([[7.0]], times, since), Fixed(1, draw))
    assert rewards[0, 0] == (7.0 if draw < 0.1 ** (times / since) else 0.0)


def test_each_item_of_a_slate_is_drawn_for_by_itself(draws: MakeDraws) -> None:
    rewards, _ = RandomWatch(RepeatOptions()).shape_batch(consume([[7.0, 7.0]] * MANY, 2, 4), draws(MANY))
    again = rewards == 7
    share = 0.1**0.5
    assert again.all(axis=1).mean() == pytest.approx(share**2, abs=0.01)


def test_a_repeat_of_the_same_item_gives_nothing_and_ends_the_episode() -> None:
    shaping = SameItemTerminate()
    rewards, ends = shaping.shape_batch(
        consume([[7, 8], [7, 8], [7, 8]], times=[[1, 2], [1, 1], [1, 2]], consumed=[[True] * 2] * 2 + [[True, False]]),
        Fixed(3, 0),
    )
    assert rewards.tolist()[:2] == [[7, 0], [7, 8]]
    assert ends.tolist() == [1, 0, 0]  # what was not consumed is no repeat
    assert shaping.end_reasons == ("repeat",)


def test_the_original_name_of_the_repeat_rule_still_works() -> None:
    registry = Registry()
    made = [registry.resolve("reward_shaping", f"same_{what}_terminate", "movies").build() for what in ("item", "film")]
    assert [type(one) for one in made] == [SameItemTerminate] * 2


@pytest.mark.parametrize("wrong", [{"q": 0}, {"q": 1.1}, {"q": -0.5}, {"base": 0.1}])
def test_a_base_outside_0_to_1_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        RepeatOptions(**wrong)


# -------------------------------------------------------------------------------------------- churn


class User:
    """Churn as the specification tells it, for one user on 1 to 10."""

    def __init__(self, options: ChurnOptions, activity: int) -> None:
        self.options, self.average, self.low, self.good = options, None, 0, 0
        self.limit, self.rate = options.low_streak, options.rate
        if options.use_traits:
            self.limit = max(1, self.limit + {1: -1, 2: 0, 3: 1}[activity])
            self.rate *= {1: 2.0, 2: 1.0, 3: 0.5}[activity]

    def take(self, rating: float) -> None:
        """One consumed item."""
        alpha, theta = self.options.alpha, self.options.threshold
        self.average = rating if self.average is None else alpha * rating + (1 - alpha) * self.average
        self.low = self.low + 1 if rating <= theta else 0
        self.good = 0 if rating <= theta else self.good + 1

    def end(self, step: int, consumed: bool, draw: float) -> int:
        """The code of the end at a step."""
        if step < self.options.min_steps or not consumed:
            return 0
        if self.low >= self.limit:
            return 1
        leaves = 1 - math.exp(-self.rate * max(0.0, self.options.threshold - self.average))
        if self.good >= 2:
            leaves *= 1 - self.options.recovery
        return 2 if draw < leaves - 1e-12 else 0


@settings(max_examples=60)
@given(
    st.builds(
        ChurnOptions,
        alpha=st.sampled_from([0.2, 0.5, 1.0]),
        threshold=st.sampled_from([4.0, 5.5, 7.0]),
        low_streak=st.integers(1, 4),
        min_steps=st.integers(1, 6),
        rate=st.sampled_from([0.0, 0.3, 2.0]),
        recovery=st.sampled_from([0.0, 0.5, 1.0]),
        use_traits=st.booleans(),
    ),
    st.lists(st.lists(st.tuples(st.integers(1, 10), st.booleans()), min_size=2, max_size=2), min_size=1, max_size=15),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=15, max_size=15),
)
def test_churn_follows_its_moving_average_its_streak_and_its_hazard(
    options: ChurnOptions, episodes: list[list[tuple[int, bool]]], uniforms: list[float]
) -> None:
    shaping = ChurnSatisfaction(options)
    shaping.start(small_world().shaping_setting(5))
    rows = np.array([4, 0, 2])  # slots of users of all activities
    shaping.begin(BeginRequest(rows=rows))
    users = [User(options, activity) for activity in (1, 2, 3)]
    for step, (slate, draw) in enumerate(zip(episodes, uniforms, strict=False), start=1):
        ratings, taken = [float(rating) for rating, _ in slate], [consumed for _, consumed in slate]
        consumption = consume([ratings] * 3, step=step, activity=[1, 2, 3], consumed=[taken] * 3, rows=rows)
        rewards, ends = shaping.shape_batch(consumption, Fixed(3, draw))
        assert rewards.tolist() == [ratings] * 3
        for rating, consumed in slate:
            if consumed:
                for user in users:
                    user.take(float(rating))
        assert ends.tolist() == [user.end(step, any(taken), draw) for user in users]


def episode(
    ratings: list[float], draws: Draws, rows: int, scale: RatingScale = TEN, activity: int = 2, **options: Any
) -> np.ndarray:
    """Codes of the ends of ``rows`` users who all rate the same, one row per step."""
    shaping = ChurnSatisfaction(ChurnOptions(**options))
    shaping.start(small_world().shaping_setting(rows))
    shaping.begin(BeginRequest(rows=np.arange(rows)))
    return np.array(
        [
            shaping.shape_batch(consume([[rating]] * rows, step=step, activity=activity, scale=scale), draws)[1]
            for step, rating in enumerate(ratings, start=1)
        ]
    )


@pytest.mark.parametrize(("activity", "factor"), [(1, 2.0), (2, 1.0), (3, 0.5)])
@pytest.mark.parametrize("use_traits", [False, True])
def test_users_leave_as_often_as_the_hazard_says(
    draws: MakeDraws, activity: int, factor: float, use_traits: bool
) -> None:
    ratings = [1.0, 1.0, 2.0, 1.0, 5.0]
    average = ratings[0]
    for rating in ratings[1:]:
        average = 0.2 * rating + 0.8 * average
    expected = 1 - math.exp(-0.3 * (factor if use_traits else 1) * max(0.0, 4 - average))
    ends = episode(ratings, draws(MANY), MANY, activity=activity, use_traits=use_traits)
    assert not ends[:4].any()
    assert (ends[4] == 2).mean() == pytest.approx(expected, abs=0.01)
    assert not (ends[4] == 1).any()


def test_nobody_who_is_satisfied_leaves_by_chance(draws: MakeDraws) -> None:
    assert not episode([4.5, 5.0] * 10, draws(2000), 2000).any()


@pytest.mark.parametrize("recovery", [0.0, 0.5, 1.0])
def test_two_good_ratings_in_a_row_lower_the_probability_of_leaving(draws: MakeDraws, recovery: float) -> None:
    ratings = [1.0, 1.0, 1.0, 1.0, 1.0, 5.0, 5.0]
    average = ratings[0]
    shares = []
    for step, code in enumerate(episode(ratings, draws(MANY), MANY, recovery=recovery, low_streak=9), start=1):
        average = 0.2 * ratings[step - 1] + 0.8 * average
        shares.append(((code == 2).mean(), 1 - math.exp(-0.3 * (4 - average))))
    assert shares[5][0] == pytest.approx(shares[5][1], abs=0.01)  # after one good rating: as before
    assert shares[6][0] == pytest.approx(shares[6][1] * (1 - recovery), abs=0.01)


@pytest.mark.parametrize(
    ("slate", "consumed", "end"),
    [([5.0, 9.0], [True, False], 2), ([5.0, 9.0], [True, True], 0), ([5.0, 1.0], [True, False], 2)],
)
def test_only_consumed_items_count_as_good_ratings(slate: list[float], consumed: list[bool], end: int) -> None:
    shaping = ChurnSatisfaction(ChurnOptions(rate=9.0, recovery=1.0, low_streak=9, min_steps=1, use_traits=False))
    shaping.start(small_world().shaping_setting(1))
    shaping.begin(BeginRequest(rows=np.array([0])))
    shaping.shape_batch(consume([[1.0, 1.0]], step=1), Fixed(1, 0.5))
    assert shaping.shape_batch(consume([slate], step=2, consumed=[consumed]), Fixed(1, 0.5))[1].tolist() == [end]


@pytest.mark.parametrize(("use_traits", "end_steps"), [(True, [5, 6, 7]), (False, [6, 6, 6])])
def test_activity_moves_how_many_disappointments_a_user_takes(use_traits: bool, end_steps: list[int]) -> None:
    for activity, step in zip((1, 2, 3), end_steps, strict=True):
        ends = episode([9.0] * 4 + [4.0] * 4, Fixed(1, 0.99), 1, activity=activity, use_traits=use_traits)
        assert ends[:, 0].tolist().index(1) + 1 == step


def test_a_good_rating_begins_the_count_of_disappointments_anew() -> None:
    ends = episode([9.0] * 5 + [4.0, 5.0, 4.0, 4.0], Fixed(1, 0.99), 1)
    assert ends[:, 0].tolist() == [0] * 8 + [1]


@pytest.mark.parametrize(("scale", "low", "good"), [(FIVE, 2.0, 3.0), (HALVES, 2.0, 2.5)])
def test_other_scales_carry_the_threshold_and_count_in_points_of_ten(
    draws: MakeDraws, scale: RatingScale, low: float, good: float
) -> None:
    best = scale.high
    assert episode([best] * 5 + [low] * 2, Fixed(1, 0.99), 1, scale=scale)[:, 0].tolist() == [0] * 6 + [1]
    assert not episode([best] * 5 + [good] * 4, Fixed(1, 0.99), 1, scale=scale).any()
    ends = episode([scale.low] * 5, draws(MANY, seed=MANY), MANY, scale=scale, low_streak=9)
    assert (ends[4] == 2).mean() == pytest.approx(1 - math.exp(-0.3 * 3), abs=0.01)  # 4 - 1 points of ten


def test_a_new_episode_forgets_the_last_and_leaves_other_slots_alone() -> None:
    shaping = ChurnSatisfaction(ChurnOptions(rate=0.0, use_traits=False))
    shaping.start(small_world().shaping_setting(2))
    shaping.begin(BeginRequest(rows=np.arange(2)))
    shaping.shape_batch(consume([[2.0], [2.0]], step=5), Fixed(2, 0.5))
    shaping.begin(BeginRequest(rows=np.array([0])))
    assert shaping.shape_batch(consume([[2.0], [2.0]], step=6), Fixed(2, 0.5))[1].tolist() == [0, 1]


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0}, {"alpha": 1.1}, {"threshold": 0}, {"low_streak": 0}, {"recovery": 2}, {"rate": -1}]
)
def test_options_of_churn_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ChurnOptions(**wrong)


# ------------------------------------------------------------------------------------- single form


def test_a_single_form_is_asked_about_consumed_items_only_and_may_end_the_episode(draws: MakeDraws) -> None:
    calls = []

    class Half(RewardShaping):
        def shape(self, situation: ShapingSituation, rng: np.random.Generator) -> Any:
            rating, user, item = situation.rating, situation.user.id, situation.item.id
            calls.append((rating, situation.times, situation.since, situation.step, str(situation.scale), user, item))
            return (rating / 2, rating < 3) if rating < 5 else rating

    consumption = consume(
        [[2, 8], [4, 6], [1, 9]], times=2, since=[[1, 2]] * 3, consumed=[[True, True], [True, True], [False, True]]
    )
    rewards, ends = Half().shape_batch(consumption, draws(3))
    assert rewards.tolist() == [[1, 8], [2, 6], [0, 9]]
    assert ends.tolist() == [1, 0, 0]
    assert calls[1] == (8.0, 2, 2, 1, "1-10", "u000", "i001")
    assert len(calls) == 5
    with pytest.raises(NotImplementedError, match="neither shape nor shape_batch"):
        RewardShaping().shape_batch(consumption, draws(3))
