"""Intervals: Wilson's by hand, the bootstrap against theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.stats import (
    bootstrap_difference,
    bootstrap_ratios,
    divided,
    percentiles,
    resampled,
    resampled_ratios,
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
