"""Intervals: Wilson's by hand, the bootstrap against theory."""

from __future__ import annotations

import numpy as np
import pytest

from emosim_core.runs.intervals import (
    bootstrap_ratios,
    divided,
    percentiles,
    resampled,
    resampled_ratios,
    weights,
    wilson,
)


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


def test_people_are_drawn_whole_so_many_ratings_of_few_people_say_little() -> None:
    people = np.array([2.0, 8.0, 5.0, 9.0])
    few = bootstrap_ratios(people[:, None], np.ones((4, 1)))
    many = bootstrap_ratios(1000 * people[:, None], np.full((4, 1), 1000.0))
    assert few == many


def test_the_same_seed_draws_the_same_people_and_another_others() -> None:
    values, ones = np.arange(20.0)[:, None], np.ones((20, 1))
    assert (resampled_ratios(values, ones, 300, seed=3) == resampled_ratios(values, ones, 300, seed=3)).all()
    assert (resampled_ratios(values, ones, 300, seed=3) != resampled_ratios(values, ones, 300, seed=4)).any()


def test_one_person_gives_no_interval() -> None:
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
    kept = resampled(sums, 200, seed=5)
    monkeypatch.setattr("emosim_core.runs.intervals._KEPT", 0)
    monkeypatch.setattr("emosim_core.runs.intervals._AT_ONCE", 70)
    np.testing.assert_allclose(resampled(sums, 200, seed=5), kept, rtol=1e-12)
    assert sum(len(block) for block in weights(30, 200, 5)) == 200


def test_resamples_without_a_value_are_left_out_of_the_percentiles() -> None:
    low, high = percentiles(np.array([[np.nan, np.nan], [1.0, np.nan], [1.0, np.nan]]))
    assert (low[0], high[0]) == (1.0, 1.0)
    assert np.isnan([low[1], high[1]]).all()
    assert np.isnan(percentiles(np.empty((0, 2)))[0]).all()
