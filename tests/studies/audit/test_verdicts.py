"""Intervals of an audit, and what is made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.studies.audit.verdicts import OK, OPEN, PROBLEM, interval, students_t

stats = pytest.importorskip("scipy.stats")

VALUES = st.lists(st.floats(-9, 9), min_size=3, max_size=12)


@given(VALUES, st.integers(1, 5))
def test_the_interval_of_users_with_as_many_answers_each_is_that_of_the_t_test(values: list[float], each: int) -> None:
    sums = np.array([(value * each, each) for value in values])
    result = interval(sums)
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    assert result["low"] == pytest.approx(np.mean(values) - half, abs=1e-5)
    assert result["high"] == pytest.approx(np.mean(values) + half, abs=1e-5)
    assert result["estimate"] == pytest.approx(np.mean(values), abs=1e-5)


def test_one_user_has_no_interval() -> None:
    assert interval(np.array([[4.0, 2.0]])) == {"estimate": 2.0, "low": None, "high": None}
    assert students_t(1) == pytest.approx(12.706, abs=1e-3)


@given(st.floats(-5, 5), st.floats(0, 5), st.floats(0, 2))
def test_a_verdict_is_that_of_the_whole_interval(middle: float, half: float, limit: float) -> None:
    from emosim_core.studies.audit.verdicts import _above, _below, _within

    low, high = middle - half, middle + half
    result = {"estimate": middle, "low": low, "high": high}
    assert (_within(result, limit) == OK) == (-limit <= low and high <= limit)
    assert (_within(result, limit) == PROBLEM) == (low > limit or high < -limit)
    opposite = {OK: PROBLEM, PROBLEM: OK, OPEN: OPEN}
    assert _below(result, limit) == opposite[_above(result, limit)]
    assert _above({"estimate": middle, "low": None, "high": None}, limit) == OPEN
