"""Candidates: what could have been chosen, and that matching matches."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.studies.validation.candidates import MATCHED, MATCHED_YEAR, RANDOM, Existing, draw_tests
from emosim_core.studies.validation.users import RealUser

ITEMS = 60


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), most=st.integers(1, 4), timed=st.booleans())
def test_no_candidate_is_from_after_its_moment_or_rated_by_the_user(seed: int, most: int, timed: bool) -> None:
    rng = np.random.default_rng(seed)
    taken = rng.permutation(ITEMS)[:16]
    when = np.sort(rng.integers(12 * 20, 12 * 40, 16)) if timed else None
    years = np.where(rng.random(ITEMS) < 0.2, np.nan, rng.integers(1980, 2015, ITEMS))
    first = rng.integers(12 * 15, 12 * 45, ITEMS) if timed else rng.integers(0, 2, ITEMS)
    user = RealUser(str(seed), 0, taken, None, when, 8)
    tests = draw_tests(user, Existing(first, years), rng.integers(0, 30, ITEMS), most, 5, seed)
    for name, test in tests.items():
        assert test.others.shape == (len(test.chosen), most)
        assert len(set(test.others.ravel().tolist())) == test.others.size
        assert not set(test.others.ravel().tolist()) & set(taken.tolist())
        for item, beside in zip(test.chosen.tolist(), test.others, strict=True):
            month = None if when is None else int(when[taken.tolist().index(item)])
            for one in [item, *beside.tolist()]:
                assert first[one] < (1 if month is None else month)
                assert month is None or not years[one] > 1970 + month // 12
            if name == MATCHED_YEAR:
                assert (np.abs(years[beside] - years[item]) <= 3).all()


def user_of(items: np.ndarray) -> RealUser:
    return RealUser("u", 0, items, None, None, len(items) // 2)


def test_what_the_user_chose_is_matched_in_popularity() -> None:
    rng = np.random.default_rng(2)
    popularity = rng.integers(0, 30, 3000)
    existing = Existing(np.zeros(3000, dtype=np.intp), np.full(3000, np.nan))
    tests = draw_tests(user_of(np.arange(40)), existing, popularity, 3, 20, 1)
    assert set(tests) == {RANDOM, MATCHED}
    test = tests[MATCHED]
    assert len(test.chosen) == 20
    apart = np.abs(popularity[test.others] - popularity[test.chosen][:, None])
    assert (apart <= 0.1 * popularity[test.chosen][:, None]).all()


def test_of_unequal_candidates_the_nearest_comes_first() -> None:
    popularity = np.array([0] * 10 + [100, 50, 80])
    existing = Existing(np.zeros(13, dtype=np.intp), np.full(13, np.nan))
    user = RealUser("u", 0, np.array([*range(10), 10]), None, None, 10)
    assert draw_tests(user, existing, popularity, 2, 5, 1)[MATCHED].others.tolist() == [[12, 11]]


def test_the_same_seed_draws_the_same_and_chosen_items_without_candidates_are_left_out() -> None:
    existing = Existing(np.zeros(30, dtype=np.intp), np.full(30, np.nan))
    user, popularity = user_of(np.arange(20)), np.arange(30)
    first, second = (draw_tests(user, existing, popularity, 3, 10, 5)[RANDOM] for _ in range(2))
    assert np.array_equal(first.others, second.others)
    assert len(first.chosen) == 3
    other = draw_tests(user, existing, popularity, 3, 10, 6)[RANDOM]
    assert not np.array_equal(first.others, other.others)
