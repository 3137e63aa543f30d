"""The Gymnasium environments: contracts, equality of single and batched, determinism."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core import ConfigurationError, EmoSimEnv, EmoSimVectorEnv, RatingError, make, make_vec
from emosim_core.plugins import Rater, Ratings, assemble
from emosim_core.simulation.config import EnvironmentConfig


def same(left: Any, right: Any) -> None:
    """Observations are equal, exactly."""
    assert left.keys() == right.keys()
    for key in left:
        np.testing.assert_array_equal(left[key], right[key], err_msg=key)


@pytest.mark.parametrize("slate", [1, 3])
def test_gymnasium_and_stable_baselines3_accept_the_environment_without_a_warning(slate: int) -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    env = make("movies", slate=slate, render_mode="ansi")
    check_env(env, skip_render_check=True)
    sb3_check_env(make("movies", slate=slate), warn=True)


def test_importing_the_domain_registers_it_with_gymnasium() -> None:
    env = gym.make("emosim_movies:EmoSim/Movies-v0", max_steps=3, reward_shaping="identity")
    env.reset(seed=3)
    ends = [env.step(i)[2:4] for i in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]
    vector = gym.make_vec("EmoSim/Movies-v0", num_envs=2, vectorization_mode="vector_entry_point", slate=2)
    assert isinstance(vector, EmoSimVectorEnv)
    assert vector.action_space.shape == (2, 2)


CHOICES = {
    "items_retrieval": ["none", "last_2", "most_similar_3", "best_worst", "decay_emotion_3", "simple_2"],
    "chosen": [
        *({"selector": name} for name in ("greedy", "random", "probabilistic", "multinomial_logit")),
        *({"choice": name} for name in ("cascade", "position_based", "multinomial_logit")),
    ],
    "perturbator": ["none", "gaussian", "greedy"],
    "reward_shaping": [
        "identity",
        "exp_decay_time",
        "random_watch",
        "same_item_terminate",
        "same_film_terminate",
        "churn_satisfaction",
    ],
    "slate": [1, 1, 2],
    "p_interrupt": [0.0, 0.1],
    "keep_memory": [False, True],
}


@settings(max_examples=12, deadline=None)
@given(st.fixed_dictionaries({key: st.sampled_from(values) for key, values in CHOICES.items()}), st.integers(0, 99))
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_every_slot_of_a_batch_equals_the_single_environment(
    mode: AutoresetMode, options: dict[str, Any], seed: int
) -> None:
    options = {**options, "max_steps": 12}
    options |= options.pop("chosen")
    batch = make_vec("movies", 3, autoreset_mode=mode, **options)
    world = assemble(EnvironmentConfig(plugin="movies", **options))
    loop = SyncVectorEnv([lambda: EmoSimEnv(world=world) for _ in range(3)], autoreset_mode=mode)
    mine, theirs = batch.reset(seed=seed), loop.reset(seed=seed)
    same(mine[0], theirs[0])
    rng = np.random.default_rng(seed)
    shape = batch.action_space.shape
    for _ in range(30):
        actions = rng.integers(0, 40, shape)
        mine, theirs = batch.step(actions), loop.step(actions)
        same(mine[0], theirs[0])
        for left, right in zip(mine[1:4], theirs[1:4], strict=True):
            np.testing.assert_array_equal(left, right)
        assert mine[0] in batch.observation_space
        finals, expected = mine[4].get("final_obs"), theirs[4].get("final_obs")
        assert (finals is None) == (expected is None)
        if finals is not None:
            for left, right in zip(finals, expected, strict=True):
                assert (left is None) == (right is None)
                if left is not None:
                    same(left, right)


def test_the_same_seed_repeats_an_episode_and_each_reset_is_the_next_episode() -> None:
    env = make("movies", reward_shaping="identity", max_steps=5)

    def play(**how: Any) -> list[float]:
        env.reset(**how)
        return [env.step(i)[1] for i in range(5)]

    first, second = play(seed=5), play()
    assert (first, second) == (play(seed=5), play())
    assert first != second


def test_not_rated_is_a_mask_and_never_a_rating() -> None:
    env = make("movies", reward_shaping="identity", history_length=4)
    observation, _ = env.reset(seed=1)
    assert observation["history_mask"].tolist() == [0, 0, 0, 0]
    for action in (7, 8):
        observation, *_ = env.step(action)
    assert observation["history_mask"].tolist() == [1, 1, 0, 0]
    assert observation["history_items"].tolist()[:2] == [8, 7]
    assert observation["history_ratings"].min() >= 1
    assert observation in env.observation_space


def test_the_user_can_be_chosen_and_users_can_come_in_order() -> None:
    env = make("movies")
    assert env.reset(options={"user": 17})[0]["user"] == 17
    name = env.world.population.users[3].id
    assert env.reset(options={"user": name})[0]["user"] == 3
    for options in ({"user": "nobody"}, {"user": -1}, {"usr": 1}):
        with pytest.raises(ConfigurationError):
            env.reset(options=options)
    ordered = make_vec("movies", 4, user_order="sequential")
    assert ordered.reset(seed=0)[0]["user"].tolist() == [0, 1, 2, 3]


def test_misuse_is_a_clear_error() -> None:
    env = make("movies")
    with pytest.raises(ConfigurationError, match="reset"):
        env.step(0)
    env.reset(seed=0)
    for action in (-1, len(env.world.catalog)):
        with pytest.raises(ConfigurationError, match="an action must lie in 0 to"):
            env.step(action)
    with pytest.raises(ConfigurationError, match="Did you mean 'items_retrieval'"):
        make("movies", items_retreival="last_3")
    with pytest.raises(ConfigurationError, match="render_mode"):
        make("movies", render_mode="human")
    vector = make_vec("movies", 2)
    with pytest.raises(ConfigurationError, match="reset"):
        vector.step([0, 0])
    with pytest.raises(ConfigurationError, match="as many seeds"):
        vector.reset(seed=[1])


def test_info_and_render_tell_the_step_in_words() -> None:
    env = make("movies", render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == "No step was taken yet."
    info = env.step(4)[4]
    title = env.world.catalog.titles[4]
    assert info["titles"] == [title]
    assert "makes" in info["reasons"][0]
    assert title in env.render()
    vector = make_vec("movies", 2)
    vector.reset(seed=0)
    vector.step([4, 5])
    assert vector.describe(0)["titles"] == [title]
    assert vector.describe(0)["reasons"] == info["reasons"]


class Scripted(Rater):
    """Fails for one item and rates the others 8."""

    def __init__(self, fails: int) -> None:
        self.fails = fails

    def rate_batch(self, request: Any, draws: Any) -> Ratings:
        return Ratings(np.where(request.items == self.fails, np.nan, 8.0), lambda row, place: "no answer")


def test_a_failed_rating_is_an_error_or_missing_and_never_a_number() -> None:
    world = assemble(EnvironmentConfig(plugin="movies"))
    env = EmoSimEnv(world=replace(world, rater=Scripted(5)))
    env.reset(seed=0)
    with pytest.raises(RatingError, match="no answer"):
        env.step(5)
    world = assemble(EnvironmentConfig(plugin="movies", on_failed_rating="skip", slate=2, selector="random"))
    env = EmoSimEnv(world=replace(world, rater=Scripted(5)))
    env.reset(seed=0)
    for _ in range(30):
        _, reward, *_, info = env.step([5, 6])
        assert reward in (0.0, 8.0)
        assert info["raw_ratings"] == [None, 8.0]
        assert info["consumed"][0] is False
        if env._over:
            env.reset()
    assert not np.isin(5, env.engine.memory.items[0])


def test_memory_lasts_only_where_it_is_kept() -> None:
    for keep in (False, True):
        env = make("movies", keep_memory=keep, reward_shaping="identity", max_steps=2)
        env.reset(seed=0, options={"user": 3})
        env.step(1)
        env.step(2)
        env.reset(options={"user": 4})
        env.step(9)
        env.reset(options={"user": 3})
        assert env.engine.memory.lengths.tolist() == [2 if keep else 0]


def test_an_interrupted_episode_remembers_and_rewards_nothing() -> None:
    env = make("movies", p_interrupt=1.0)
    env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(0)
    assert (reward, terminated, truncated, info["end_reason"], info["raw_ratings"]) == (
        0.0,
        True,
        False,
        "interrupted",
        [None],
    )
    assert observation["history_mask"].sum() == 0


def test_observations_stay_in_their_space_while_a_mood_moves() -> None:
    env = make("movies", reward_shaping="identity", max_steps=60, perturbator="gaussian:sd=4")
    observation, _ = env.reset(seed=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for action in range(60):
            observation, *_ = env.step(action)
            assert observation in env.observation_space
