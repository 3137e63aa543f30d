"""Logs as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from emosim_core.data.interactions import Interactions
from emosim_core.model import LoadedRatings


def log(times: list[float] | None = None, values: list[float] | None = None) -> LoadedRatings:
    return LoadedRatings(
        ["b", "a", "b", "a", "b"],
        np.array([2, 1, 0, 0, 2]),
        None if values is None else np.array(values),
        None if times is None else np.array(times),
    )


def test_they_are_sorted_by_user_and_time_and_the_last_rating_of_an_item_counts() -> None:
    made = Interactions.of(log([5.0, 9.0, 6.0, 2.0, 7.0], [1.0, 2.0, 3.0, 4.0, 5.0]), 3, seed=1)
    assert made.user_ids == ("a", "b")
    assert made.users.tolist() == [0, 0, 1, 1]
    assert made.items.tolist() == [0, 1, 0, 2]
    assert made.values is not None
    assert made.values.tolist() == [4.0, 2.0, 3.0, 5.0]
    assert made.times is not None
    assert made.times.tolist() == [2.0, 9.0, 6.0, 7.0]
    assert made.starts.tolist() == [0, 2, 4]


@pytest.mark.parametrize("times", [None, [1.0] * 5])
def test_the_seed_decides_the_order_of_what_has_no_order(times: list[float] | None) -> None:
    orders = {tuple(Interactions.of(log(times), 3, seed).items.tolist()) for seed in range(20)}
    assert len(orders) > 1
    assert Interactions.of(log(times), 3, 3).items.tolist() == Interactions.of(log(times), 3, 3).items.tolist()


def test_a_part_has_the_same_users() -> None:
    made = Interactions.of(log(), 3, seed=1)
    part = made.only(made.users == 1)
    assert part.user_ids == made.user_ids
    assert part.users.tolist() == [1, 1]
    assert part.values is None
    assert part.times is None
    assert len(part) == 2
