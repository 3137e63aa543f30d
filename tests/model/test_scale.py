"""Rating scales: levels, rounding, and what moves between scales."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emosim_core.model import RatingScale

TEN, FIVE, DIGIT = RatingScale(low=1, high=10), RatingScale(low=1, high=5), RatingScale(low=0, high=9)
HALVES = RatingScale(low=0.5, high=5, step=0.5)
SCALES = st.sampled_from([TEN, FIVE, DIGIT, HALVES, RatingScale(low=-2, high=2), RatingScale(low=1, high=7, step=0.1)])


def test_levels_go_from_worst_to_best() -> None:
    assert TEN.levels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert HALVES.levels.tolist() == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
    assert (TEN.span, FIVE.span, DIGIT.span, HALVES.span) == (9, 4, 9, 4.5)


@given(SCALES, st.floats(-20, 20))
def test_rounding_gives_the_nearest_level_and_halves_go_up(scale: RatingScale, value: float) -> None:
    rounded = float(scale.round(value))
    assert scale.contains(rounded)
    nearest = min(abs(level - value) for level in scale.levels)
    assert abs(rounded - value) == pytest.approx(nearest, abs=1e-9)


@given(SCALES, st.floats(-20, 20))
def test_flooring_gives_the_highest_level_that_is_not_above(scale: RatingScale, value: float) -> None:
    floored = float(scale.floor(value))
    assert scale.contains(floored)
    below = [level for level in scale.levels if level <= value + 1e-8 * scale.step]
    assert floored == pytest.approx(max(below, default=scale.low))


@given(SCALES)
def test_a_level_stays_what_it_is(scale: RatingScale) -> None:
    np.testing.assert_allclose(scale.round(scale.levels), scale.levels, rtol=0, atol=1e-12)
    np.testing.assert_allclose(scale.floor(scale.levels), scale.levels, rtol=0, atol=1e-12)
    assert all(scale.contains(level) for level in scale.levels)
    assert not any(scale.contains(level + scale.step / 2) for level in scale.levels)
    assert not scale.contains(scale.low - scale.step)
    assert not scale.contains(math.nan)


def test_halves_go_up_and_what_is_outside_is_cut_off() -> None:
    assert TEN.round([1.5, 2.5, 9.5, -3, 12]).tolist() == [2, 3, 10, 1, 10]
    assert TEN.floor([1.99, 2, 10.7, -3]).tolist() == [1, 2, 10, 1]
    assert HALVES.round([0.74, 0.75, 5.3]).tolist() == [0.5, 1, 5]


def test_not_rated_stays_not_rated() -> None:
    assert np.isnan(TEN.round(math.nan))
    assert np.isnan(TEN.floor([math.nan])).tolist() == [True]
    assert np.isnan(TEN.convert(math.nan, DIGIT))


def test_a_digit_and_one_to_ten_are_a_shift_by_one_exactly() -> None:
    assert DIGIT.convert(range(10), TEN).tolist() == list(range(1, 11))
    assert TEN.convert(range(1, 11), DIGIT).tolist() == list(range(10))


@given(st.integers(-5, 5), st.integers(1, 200), st.integers(-5, 5), st.integers(1, 200), st.data())
def test_conversion_is_affine_end_on_end_and_whole_numbers_come_out_exact(
    low: int, span: int, to_low: int, to_span: int, data: st.DataObject
) -> None:
    scale, to = RatingScale(low=low, high=low + span), RatingScale(low=to_low, high=to_low + to_span)
    value = data.draw(st.integers(low, low + span))
    exact = to_low + Fraction((value - low) * to_span, span)
    converted = float(scale.convert(value, to))
    assert converted == pytest.approx(float(exact), rel=1e-12, abs=1e-12)
    if exact.denominator == 1:
        assert converted == exact
    assert scale.convert([low, low + span], to).tolist() == [to_low, to_low + to_span]


def test_thresholds_are_carried_to_their_relative_position() -> None:
    assert [TEN.carry(value) for value in range(1, 11)] == list(range(1, 11))
    assert [DIGIT.carry(value) for value in range(1, 11)] == list(range(10))
    assert [FIVE.carry(value) for value in (1, 10)] == [1, 5]
    assert [round(FIVE.carry(value), 4) for value in (7, 4, 8, 3)] == [3.6667, 2.3333, 4.1111, 1.8889]


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": 5, "high": 5},
        {"low": 6, "high": 5},
        {"low": 1, "high": 10, "step": 2},
        {"step": 0},
        {"step": -1},
        {"low": math.nan},
        {"high": math.inf},
        {"high": "many"},
        {"levels": 5},
    ],
)
def test_a_scale_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RatingScale(**wrong)


def test_ratings_are_written_as_users_write_them() -> None:
    assert [TEN.format(7.0), HALVES.format(3.5), str(TEN), str(HALVES)] == ["7", "3.5", "1-10", "0.5-5"]


def test_scales_are_equal_by_what_they_hold_whether_their_levels_were_asked_for_or_not() -> None:
    one, same, other = RatingScale(low=1, high=10), RatingScale(low=1, high=10), RatingScale(low=1, high=5)
    fresh = RatingScale(low=1, high=10)
    assert (len(one.levels), len(same.levels), len(other.levels)) == (10, 10, 5)
    assert one == same
    assert one == fresh
    assert one != other
    assert one != RatingScale(low=1, high=10, step=0.5)
    assert one != "1-10"
    assert {one, same, fresh, other} == {one, other}
