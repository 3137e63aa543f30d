"""Made-up worlds: the same arguments give the same world, and its memories are such as the engine makes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.model import RatingScale
from emosim_core.simulation.streams import Stage
from emosim_core.testing import draws, small_world
from emosim_core.testing.worlds import FIVE, TEN, columns

HALVES = RatingScale(low=0.5, high=5, step=0.5)


@given(
    st.sampled_from([TEN, FIVE, HALVES]),
    st.integers(1, 12),
    st.integers(1, 6),
    st.integers(0, 30),
    st.integers(0, 5),
)
def test_what_users_remember_is_counted_as_a_naive_user_counts(
    scale: RatingScale, items: int, users: int, longest: int, seed: int
) -> None:
    history = small_world(scale, items, 3).memories(users, longest, seed).history()
    assert len(history) == users
    assert history.lengths.max() <= longest
    assert history.lengths[:2].tolist() == [0, min(1, longest)][:users]
    for row in range(users):
        past = history.interactions(row)
        for t, one in enumerate(past):
            same = [other for other in past if other.item == one.item]
            assert one.time == t + 1
            assert one.times_consumed == 1 + same.index(one)
            assert scale.contains(one.rating)
            assert 0 <= one.item < items
            assert history.latest[row, t] == (one is same[-1])
        assert not history.latest[row, len(past) :].any()


@given(st.sampled_from([TEN, FIVE]), st.integers(1, 60), st.integers(1, 40))
def test_a_world_of_any_size_can_be_made_and_made_again(scale: RatingScale, items: int, users: int) -> None:
    one, other = small_world(scale, items, users), small_world(scale, items, users)
    assert one.catalog.items == other.catalog.items
    assert one.population.users == other.population.users
    assert len(one.catalog) == items
    assert len(one.population) == users
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, other.arrays()[name])
    for item in one.catalog.items:
        assert item.public_rating is None or scale.low <= item.public_rating <= scale.high


def test_the_usual_world_holds_what_is_easily_forgotten() -> None:
    world = small_world()
    assert any(item.public_rating is None for item in world.catalog.items)
    assert any(item.collection is None for item in world.catalog.items)
    assert not world.catalog.embeddings[3].any()
    for trait in world.population.traits.T:
        assert set(trait.tolist()) == {1, 2, 3}
    history = world.memories(12).history()
    assert any(one.times_consumed > 1 for row in range(12) for one in history.interactions(row))


def test_a_copy_shares_no_array() -> None:
    world = small_world()
    mine = world.copy()
    for name, array in world.arrays().items():
        np.testing.assert_array_equal(array, mine.arrays()[name])
        assert not np.shares_memory(array, mine.arrays()[name])
    history = world.memories(3).history()
    assert set(columns(history)) == {
        f"the history's {name}" for name in ("items", "ratings", "codes", "times_consumed", "latest", "lengths")
    }


@pytest.mark.parametrize("stage", [Stage.RATE, Stage.SELECT])
def test_draws_are_a_users_own(stage: Stage) -> None:
    together, alone = draws(4, stage), draws(np.array([2]), stage)
    np.testing.assert_array_equal(together.uniform(3)[2], alone.uniform(3)[0])
    np.testing.assert_array_equal(together.normal(3)[2], alone.normal(3)[0])
    assert together.generator(2).random() == alone.generator(0).random()
    assert draws(1, stage, seed=2).uniform(1) == draws(np.array([2]), stage).uniform(1)
    assert draws(1, Stage.PERTURB).uniform(1) != draws(1, stage).uniform(1)


def test_about_the_share_asked_for_of_ratings_failed() -> None:
    ratings = small_world(FIVE).ratings(400, 3, failed=0.3)
    assert np.isnan(ratings).mean() == pytest.approx(0.3, abs=0.05)
    assert set(ratings[~np.isnan(ratings)].tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert not np.isnan(small_world().ratings(40, 3)).any()
