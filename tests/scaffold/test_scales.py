"""Scales that are found from ratings: exact where they have few levels, else coarser, and never without saying so."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.errors import ConfigurationError
from emosim_core.scaffold.scales import MAX_LEVELS, find_scale, shares


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4, 5], (1, 5, 1)),
        ([0.5, 1.0, 4.5, 5.0], (0.5, 5, 0.5)),
        ([2, 3, 4, 5], (1, 5, 1)),
        ([4, 5, 6, 10], (1, 10, 1)),
        ([6, 7, 10], (6, 10, 1)),
        ([-1, 1], (-1, 1, 2)),
        ([0, 1], (0, 1, 1)),
        ([0, 20, 60, 100], (0, 100, 20)),
        ([1, 1.1, 1.2], (1, 1.2, 0.1)),
    ],
)
def test_few_levels_are_those_of_the_ratings(values: list[float], expected: tuple[float, float, float]) -> None:
    scale, note = find_scale(dict.fromkeys(values, 1))
    assert (scale.low, scale.high, scale.step) == expected
    assert f"{len(values)} different ratings" in note
    assert ("though nobody gave it" in note) == (scale.low < min(values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-9.95, -3.21, 0.04, 9.9], (-10, 10, 1)),
        (list(range(101)), (0, 100, 5)),
        ([1 / 3, 2.7182818, 4.9], (0, 5, 0.5)),
    ],
)
def test_many_levels_become_fewer_and_it_says_so(values: list[float], expected: tuple[float, float, float]) -> None:
    scale, note = find_scale(dict.fromkeys(values, 1))
    assert (scale.low, scale.high, scale.step) == expected
    assert scale.low <= min(values) < max(values) <= scale.high
    assert len(scale.levels) <= MAX_LEVELS
    assert f"steps of {scale.step:g}" in note


def test_what_is_given_holds() -> None:
    assert find_scale({1: 1, 4: 1}, (0, 10))[0].levels.tolist() == list(range(11))
    assert find_scale(dict.fromkeys(range(101), 1), step=1.0)[0].step == 1
    assert find_scale({-9.95: 1, 9.9: 1}, (-10, 10), 0.5)[0].step == 0.5
    with pytest.raises(ConfigurationError, match="choose another --step"):
        find_scale({1: 1, 5: 1}, (1, 5), 0.3)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50, unique=True).filter(lambda v: max(v) - min(v) > 1e-3))
def test_every_rating_lies_on_its_scale(values: list[float]) -> None:
    scale, _ = find_scale(Counter(values))
    assert scale.low <= min(values) < max(values) <= scale.high
    assert 2 <= len(scale.levels) <= MAX_LEVELS + 1
    assert abs(sum(shares(Counter(values), scale)) - 1) < 1e-3


def test_shares_are_of_the_nearest_levels() -> None:
    scale, _ = find_scale({-9.95: 1, 0.4: 2, 0.6: 1, 9.9: 4})
    found = dict(zip(scale.levels.tolist(), shares({-9.95: 1, 0.4: 2, 0.6: 1, 9.9: 4}, scale), strict=True))
    assert {level: share for level, share in found.items() if share} == {-10: 0.125, 0: 0.25, 1: 0.125, 10: 0.5}
    assert np.isclose(sum(found.values()), 1)
