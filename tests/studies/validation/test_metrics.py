"""Measures of a validation, against values worked out by hand and against other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.studies.validation import metrics as metric


def test_agreement_follows_from_the_four_counts() -> None:
    sums = np.array([[6.0, 2.0, 3.0, 9.0], [0.0, 0.0, 1.0, 4.0]])
    agreement = {value.__name__: metric.estimate(sums, value)["estimate"] for value in metric.AGREEMENT}
    assert agreement["accuracy"] == pytest.approx(19 / 25)
    assert agreement["precision"] == pytest.approx(6 / 8)
    assert agreement["recall"] == pytest.approx(6 / 10)
    assert agreement["f1"] == pytest.approx(12 / 18, abs=1e-6)


SCORED = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30)
"""Scores with ties, and whether each is of a chosen item."""


@given(SCORED)
def test_area_and_agreement_are_those_of_scikit_learn(scored: list[tuple[int, bool]]) -> None:
    theirs = pytest.importorskip("sklearn.metrics")

    scores, chosen = np.array([one for one, _ in scored], dtype=np.float64), np.array([flag for _, flag in scored])
    if 0 < chosen.sum() < len(chosen):
        assert metric.area(scores, chosen) == pytest.approx(theirs.roc_auc_score(chosen, scores))
    predicted = scores >= 3
    sums = metric.confusion(predicted, chosen)
    assert metric.accuracy(sums) == pytest.approx(theirs.accuracy_score(chosen, predicted))
    for value in (metric.precision, metric.recall, metric.f1):
        expected = getattr(theirs, f"{value.__name__}_score")(chosen, predicted, zero_division=np.nan)
        assert value(sums) == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_the_earth_movers_distance_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    first, second = (np.array(one, dtype=np.float64) for one in zip(*pairs, strict=True))
    counts = np.concatenate([np.bincount(one.astype(int), minlength=5) for one in (first, second)]).astype(np.float64)
    assert metric.wasserstein(1.0)(counts) == pytest.approx(stats.wasserstein_distance(first, second), abs=1e-9)


def test_a_share_of_nothing_is_no_number() -> None:
    assert np.isnan(metric.precision(np.array([0.0, 0.0, 3.0, 9.0])))
    assert metric.estimate(np.array([[0.0, 0.0, 3.0, 9.0]]), metric.precision)["estimate"] is None


def test_the_area_counts_pairs_and_ties_half() -> None:
    scores, chosen = np.array([3.0, 1.0, 2.0, 1.0]), np.array([True, True, False, False])
    # 3 beats both; 1 loses to 2 and ties with 1.
    assert metric.area(scores, chosen) == pytest.approx((2 + 0.5) / 4)
    assert np.isnan(metric.area(scores, np.ones(4, dtype=bool)))


def test_distances_of_distributions() -> None:
    sums = np.array([2.0, 2.0, 0.0, 0.0, 1.0, 3.0])
    assert metric.total_variation(sums) == pytest.approx(0.75)
    # From (1/2, 1/2, 0) to (0, 1/4, 3/4): half moves one step, then three quarters move one step.
    assert metric.wasserstein(0.5)(sums) == pytest.approx(0.5 * (0.5 + 0.75))


def test_the_root_of_the_mean_square() -> None:
    assert metric.root(np.array([18.0, 2.0])) == 3.0


def test_a_threshold_calls_as_many_chosen_as_were() -> None:
    scores, chosen = np.arange(10.0), np.arange(10) >= 7
    assert (scores >= metric.threshold(scores, chosen)).sum() == 3


def test_values_count_as_the_nearest_level_and_failures_as_none() -> None:
    counts = metric.levels_of(np.array([1.2, 1.6, 3.0, np.nan, 9.0]), np.array([1.0, 2.0, 3.0]))
    assert counts.tolist() == [1, 1, 2]


def test_an_interval_holds_the_mean_and_shrinks_with_users() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for count in (20, 2000):
        mean = metric.mean_of(rng.normal(5, 1, count))
        low, middle, high = (mean[name] or 0.0 for name in ("low", "estimate", "high"))
        assert low < middle < high
        widths.append(high - low)
    assert widths[0] > 5 * widths[1]
