"""Whom episodes are about: everyone, the train users or the new ones."""

from __future__ import annotations

import numpy as np
import pytest

from emosim_core.errors import ConfigurationError
from emosim_core.simulation.assembly import split_users
from emosim_core.simulation.vector_env import EmoSimVectorEnv


def test_known_and_new_users_make_up_everyone_and_share_nobody():
    known, new = split_users(600, "train", 0.2), split_users(600, "test", 0.2)
    assert len(new) == 120
    assert sorted([*known, *new]) == list(range(600))


def test_a_share_that_leaves_nobody_is_an_error():
    with pytest.raises(ConfigurationError, match="leaves nobody on one side"):
        split_users(2, "test", 0.01)


@pytest.mark.parametrize("order", ["random", "sequential"])
def test_episodes_are_about_the_users_asked_for(order):
    env = EmoSimVectorEnv("movies", 8, user_split="test", user_order=order, max_steps=1)
    met = set(env.reset(seed=1)[0]["user"].tolist())
    for _ in range(40):
        met |= set(env.step(np.zeros(8, dtype=int))[0]["user"].tolist())
    assert met <= set(split_users(600, "test", 0.2).tolist())
    assert len(met) > 40


def test_an_observation_marks_what_was_consumed():
    env = EmoSimVectorEnv("movies", 2, observe_consumed=True, reward_shaping="identity")
    observation, _ = env.reset(seed=1)
    assert observation["consumed"].sum() == 0
    observation = env.step(np.array([3, 5]))[0]
    assert [np.flatnonzero(row).tolist() for row in observation["consumed"]] == [[3], [5]]
    assert env.observation_space.contains(observation)
