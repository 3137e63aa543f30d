"""Intervals: Wilson's by hand, the bootstrap against theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.stats import (
    FEWEST,
    bootstrap_difference,
    bootstrap_ratios,
    divided,
    influences,
    percentiles,
    resampled,
    resampled_ratios,
    smallest_difference,
    users_of_a_test,
    weights,
    wilson,
)
from emosim_core.studies.validation import metrics as measures


def test_wilsons_interval_is_that_of_the_formula() -> None:
    low, high = wilson([8, 0, 10], 10)
    assert low.tolist() == pytest.approx([0.490162, 0.0, 0.722467], abs=1e-6)
    assert high.tolist() == pytest.approx([0.943318, 0.277533, 1.0], abs=1e-6)


def test_a_bootstrap_of_means_comes_near_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    low, high = bootstrap_ratios(values[:, None], np.ones((400, 1)))
    error = values.std() / 20
    assert low[0] == pytest.approx(values.mean() - 1.96 * error, abs=0.03)
    assert high[0] == pytest.approx(values.mean() + 1.96 * error, abs=0.03)


def test_users_are_drawn_whole_so_many_ratings_of_few_users_say_little() -> None:
    users = np.array([2.0, 8.0, 5.0, 9.0])
    few = bootstrap_ratios(users[:, None], np.ones((4, 1)))
    many = bootstrap_ratios(1000 * users[:, None], np.full((4, 1), 1000.0))
    assert few == many


def test_the_same_seed_draws_the_same_users_and_another_others() -> None:
    values, ones = np.arange(20.0)[:, None], np.ones((20, 1))
    assert (resampled_ratios(values, ones, 300, seed=3) == resampled_ratios(values, ones, 300, seed=3)).all()
    assert (resampled_ratios(values, ones, 300, seed=3) != resampled_ratios(values, ones, 300, seed=4)).any()


def test_one_user_gives_no_interval() -> None:
    low, high = bootstrap_ratios([[3.0, 1.0], [0.0, 2.0]], [[1.0, 1.0], [0.0, 1.0]])
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert low[1] == 1.0
    assert high[1] == 2.0


def test_nothing_over_nothing_is_no_number() -> None:
    assert np.isnan(divided([0.0], [0.0])).all()
    assert divided([3.0], [2.0]).tolist() == [1.5]


def test_few_clusters_are_drawn_as_many_are(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = np.random.default_rng(2).random((30, 3))
    expected = resampled(sums, 200, seed=5)
    monkeypatch.setattr("emosim_core.stats._MOST_CACHED", 0)
    monkeypatch.setattr("emosim_core.stats._AT_ONCE", 70)
    np.testing.assert_allclose(resampled(sums, 200, seed=5), expected, rtol=1e-12)
    assert sum(len(block) for block in weights(30, 200, 5)) == 200


def test_resamples_without_a_value_are_left_out_of_the_percentiles() -> None:
    low, high = percentiles(np.array([[np.nan, np.nan], [1.0, np.nan], [1.0, np.nan]]))
    assert (low[0], high[0]) == (1.0, 1.0)
    assert np.isnan([low[1], high[1]]).all()
    assert np.isnan(percentiles(np.empty((0, 2)))[0]).all()


LEVELS = 5


@st.composite
def users_beside_real(draw: st.DrawFn) -> tuple[np.ndarray, float]:
    """How often users use each level, really and simulated, and how far levels are apart, in rating points."""
    counts = st.lists(st.integers(0, 6), min_size=2 * LEVELS, max_size=2 * LEVELS)
    rows = draw(st.lists(counts, min_size=1, max_size=8))
    return np.array(rows, dtype=np.float64), draw(st.sampled_from([0.5, 1.0, 2.0, 9.0]))


@settings(max_examples=40)
@given(users_beside_real())
def test_the_interval_of_a_distance_holds_it_and_stays_within_what_there_can_be(users: tuple[Any, float]) -> None:
    sums, step = users
    for value, most in ((measures.total_variation, 1.0), (measures.wasserstein(step), step * (LEVELS - 1))):
        interval = measures.estimate(sums, value, most)
        low, estimate, high = interval["low"], interval["estimate"], interval["high"]
        if not sums[:, :LEVELS].any() or not sums[:, LEVELS:].any():
            assert low is estimate is high is None
            continue
        assert low is not None
        assert estimate is not None
        assert high is not None
        assert 0.0 <= low <= estimate <= high <= most + 1e-6


def test_a_distance_of_many_rating_points_has_an_interval_around_it() -> None:
    worst, best = [4.0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 4.0]
    sums = np.array([worst + best, worst + worst] * 4, dtype=np.float64)
    interval = measures.estimate(sums, measures.wasserstein(1.0), 9.0)
    assert interval["estimate"] == 4.5
    assert interval["low"] < 4.5 < interval["high"] <= 9.0  # type: ignore[operator]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilsons_interval_holds_its_share(total: int, part: float) -> None:
    count = round(part * total)
    low, high = wilson(count, total)
    assert 0.0 <= low <= count / total <= high <= 1.0


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=8))
def test_the_interval_of_a_share_is_one_of_shares(rows: list[list[int]]) -> None:
    for value in measures.AGREEMENT:
        interval = measures.estimate(np.array(rows, dtype=np.float64), value)
        if interval["low"] is not None:
            assert 0.0 <= interval["low"] <= interval["high"] <= 1.0


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=1, max_size=8))
def test_the_interval_of_a_difference_of_shares_lies_within_one(rows: list[list[int]]) -> None:
    table = np.array(rows, dtype=np.float64)
    first, second = table[:, :2] + [[0, 5]], table[:, 2:] + [[0, 5]]
    low, high = bootstrap_difference(first, second, measures.ratio, measures.ratio)
    assert -1.0 <= low <= high <= 1.0


def test_nobody_has_no_interval() -> None:
    assert measures.mean_of(np.array([np.nan])) == {"estimate": None, "low": None, "high": None}


@given(users=st.integers(FEWEST, 400), deviation=st.floats(0.01, 100))
@settings(max_examples=40)
def test_the_smallest_difference_is_that_of_the_paired_t_test_to_a_fiftieth(users: int, deviation: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    difference = float(smallest_difference(deviation**2, users))
    degrees, beyond = users - 1, difference / deviation * users**0.5
    power = stats.nct.sf(stats.t.ppf(0.975, degrees), degrees, beyond)
    more = stats.nct.sf(stats.t.ppf(0.975, degrees), degrees, 1.02 * beyond)
    assert power <= 0.8 + 1e-3
    assert more >= 0.8


def test_users_with_the_smallest_difference_are_shown_it_in_four_of_five_experiments() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(11)
    for users in (10, 40):
        true = float(smallest_difference(9.0, users))
        differences = rng.normal(true, 3.0, (20_000, users))
        detected = (stats.ttest_1samp(differences, 0.0, axis=1).pvalue < 0.05).mean()
        assert detected == pytest.approx(0.8, abs=0.015), users


@given(effect=st.floats(0.05, 1.2), ratio=st.floats(0.5, 2.0))
@settings(max_examples=40)
def test_the_users_of_a_test_show_the_difference_in_four_of_five_and_fewer_do_not(effect: float, ratio: float) -> None:
    """By Welch's test of two groups, whose variances are 1 and ``ratio``."""
    stats = pytest.importorskip("scipy.stats")

    def power(each: int) -> float:
        error = (1 + ratio) / each
        degrees = error**2 / ((1 + ratio**2) / each**2 / (each - 1))
        return float(stats.nct.sf(stats.t.ppf(0.975, degrees), degrees, effect / error**0.5))

    each = users_of_a_test(1 + ratio, effect)
    assert each is not None
    assert power(each) > 0.79
    assert power(each - 2) < 0.8


def test_groups_of_the_users_of_a_test_are_shown_the_difference_in_four_of_five() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(12)
    each = users_of_a_test(4.0 + 9.0, 1.5)
    assert each == 47
    one, other = rng.normal(0.0, 2.0, (20_000, each)), rng.normal(1.5, 3.0, (20_000, each))
    detected = (stats.ttest_ind(one, other, axis=1, equal_var=False).pvalue < 0.05).mean()
    assert detected == pytest.approx(0.8, abs=0.015)


def test_no_number_of_users_shows_no_difference_and_few_users_are_given_none() -> None:
    assert users_of_a_test(1.0, 0.0) is None
    assert users_of_a_test(1.0, float("nan")) is None
    assert users_of_a_test(float("nan"), 1.0) is None
    assert users_of_a_test(2.0, -0.5) == users_of_a_test(2.0, 0.5) == 64
    assert np.isnan(smallest_difference(1.0, FEWEST - 1))


def test_the_variance_of_influences_is_that_of_a_ratio_over_other_users() -> None:
    rng = np.random.default_rng(13)

    def sums(rows: int) -> tuple[Any, Any]:
        counts = rng.integers(1, 30, (rows, 200)).astype(float)
        return counts * rng.normal(3.0, 1.0, (rows, 200)) + 0.1 * counts**2, counts

    totals, counts = sums(4000)
    true = (totals.sum(axis=1) / counts.sum(axis=1)).std()
    totals, counts = sums(1)
    moved = influences(totals.T, counts.T)
    assert moved.shape == (200, 1)
    assert moved.mean() == pytest.approx(0.0, abs=1e-12)
    assert moved.std(ddof=1) / 200**0.5 == pytest.approx(true, rel=0.15)
