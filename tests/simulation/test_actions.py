"""Scores as actions: the environment recommends the best of them, and libraries for continuous actions accept it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from emosim_core import ConfigurationError, EmoSimEnv, EmoSimVectorEnv
from emosim_core.simulation.assembly import World

SCORES = np.array([0.1, 0.9, -0.5, 0.9, 0.0, 0.2, -1.0, 0.3], dtype=np.float32)


def test_the_highest_scores_are_the_slate_and_equal_ones_stand_as_in_the_catalog(
    small_world: Callable[..., World],
) -> None:
    env = EmoSimEnv(world=small_world(slate=4, choice="cascade"), action_space="scores")
    assert env.action_space == spaces.Box(-1, 1, (8,), dtype=np.float32)
    for _ in range(2):  # what was consumed may come again
        env.reset(seed=1)
        assert env.step(SCORES)[4]["items"] == ["i1", "i3", "i7", "i5"]


def test_what_is_remembered_comes_last_where_consumed_items_are_marked(small_world: Callable[..., World]) -> None:
    world = small_world(slate=3, observe_consumed=True, selector="greedy", max_steps=8)
    env = EmoSimEnv(world=world, action_space="scores")
    seen, _ = env.reset(seed=1)
    order = np.argsort(-SCORES, kind="stable")
    for _ in range(8):
        consumed = seen["consumed"].astype(bool)
        expected = [item for last in (False, True) for item in order if consumed[item] == last][:3]
        seen, _, terminated, truncated, info = env.step(SCORES)
        assert info["items"] == [f"i{item}" for item in expected]
        if terminated or truncated:
            break
    assert seen["consumed"].sum() > 3


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_a_batch_of_scores_is_the_same_as_their_indices(small_world: Callable[..., World], mode: str) -> None:
    world = small_world(slate=3, choice="cascade", max_steps=3)
    scored = EmoSimVectorEnv(num_envs=4, world=world, action_space="scores", autoreset_mode=mode)
    named = EmoSimVectorEnv(num_envs=4, world=world, autoreset_mode=mode)
    assert scored.action_space.shape == (4, 8)
    scored.reset(seed=5)
    named.reset(seed=5)
    rng = np.random.default_rng(0)
    for _ in range(9):
        scores = rng.uniform(-1, 1, (4, 8)).astype(np.float32)
        one, other = scored.step(scores), named.step(np.argsort(-scores, axis=1)[:, :3])
        for part, values in one[0].items():
            assert np.array_equal(values, other[0][part]), part
        assert np.array_equal(one[1], other[1])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros(7), "expected 8 scores of items, got 7"),
        (np.full(8, np.nan), "must be finite numbers"),
        ("best", "an action must be 8 scores"),
    ],
)
def test_what_are_no_scores_is_refused(small_world: Callable[..., World], action: Any, message: str) -> None:
    env = EmoSimEnv(world=small_world(slate=2), action_space="scores")
    env.reset(seed=1)
    with pytest.raises(ConfigurationError, match=message):
        env.step(action)


def test_another_kind_of_action_is_refused_by_name(small_world: Callable[..., World]) -> None:
    with pytest.raises(ConfigurationError, match=r"items or scores, not 'score'. Did you mean 'scores'\?"):
        EmoSimEnv(world=small_world(), action_space="score")  # type: ignore[arg-type]


@pytest.mark.parametrize("slate", [1, 3])
def test_both_checkers_accept_scores_and_sac_learns_with_them(small_world: Callable[..., World], slate: int) -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3 import SAC
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    from emosim_core import StableBaselines3VecEnv

    world = small_world(slate=slate, choice="cascade" if slate > 1 else "ratings_first", max_steps=6)
    check_env(EmoSimEnv(world=world, action_space="scores"), skip_render_check=True)
    sb3_check_env(EmoSimEnv(world=world, action_space="scores"), warn=True)
    users = EmoSimVectorEnv(num_envs=2, world=world, action_space="scores", autoreset_mode="SameStep")
    options: dict[str, Any] = {"learning_starts": 20, "batch_size": 8, "buffer_size": 200, "seed": 1, "device": "cpu"}
    model = SAC("MultiInputPolicy", StableBaselines3VecEnv(users), policy_kwargs={"net_arch": [8]}, **options)
    before = {name: value.clone() for name, value in model.actor.state_dict().items()}
    model.learn(80)
    assert model._n_updates > 0
    assert any(not value.equal(before[name]) for name, value in model.actor.state_dict().items())
