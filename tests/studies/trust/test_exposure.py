"""Logs that are made from complete answers: who is shown what, and how probable that was."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from emosim_core.studies.trust.exposure import BLOCKS, Policy, expose


@pytest.mark.parametrize("policy", get_args(Policy))
def test_everybody_is_shown_as_many_known_items_as_wanted_and_none_twice(policy: Policy) -> None:
    rng = np.random.default_rng(0)
    answers = rng.normal(size=(50, 12))
    answers[0, 3:] = np.nan
    lengths = rng.integers(1, 8, 50)
    made = expose(answers, lengths, policy, 0.2, 0.5, rng)
    assert np.bincount(made.users).tolist() == np.minimum(lengths, [3, *[12] * 49]).tolist()
    assert len(np.unique(made.users * 12 + made.items)) == len(made.users)
    assert np.array_equal(made.values, answers[made.users, made.items])
    assert (np.diff(made.users) >= 0).all()
    assert ((made.propensities > 0) & (made.propensities <= 1)).all()


@pytest.mark.parametrize("policy", get_args(Policy))
def test_one_over_the_propensity_is_on_average_the_number_of_items(policy: Policy) -> None:
    # E[1 / p] over what is shown first is the number of items, whatever the policy.
    rng = np.random.default_rng(1)
    made = expose(rng.normal(size=(40_000, 6)), np.ones(40_000, dtype=int), policy, 0.5, 0.0, rng)
    assert np.mean(1.0 / made.propensities) == pytest.approx(6.0, rel=0.02)


def test_without_exploration_the_best_guess_is_the_item_that_earlier_users_rated_best() -> None:
    answers = np.tile(np.arange(5.0), (200, 1))
    made = expose(answers, np.full(200, 2), "best_guess", 0.0, 10.0, np.random.default_rng(2))
    first, second = made.items[::2], made.items[1::2]
    late = 200 - 2 * 200 // BLOCKS  # in the first blocks little is known
    assert (first == 4).sum() >= late
    assert (second == 3).sum() >= late - 200 // BLOCKS
    assert (made.propensities[::2] == 1.0).sum() >= late


def test_users_who_choose_themselves_take_what_they_like() -> None:
    rng = np.random.default_rng(3)
    answers = rng.normal(size=(2000, 10))
    made = expose(answers, np.ones(2000, dtype=int), "self_selection", 0.0, 0.0, rng)
    assert made.values.mean() > 0.6
    popular = expose(answers, np.ones(2000, dtype=int), "popular", 0.0, 0.0, rng)
    assert abs(popular.values.mean()) < 0.15
