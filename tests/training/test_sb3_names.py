"""Every way of stable-baselines3 to name an environment, and what it then asks of it; warnings are errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate_masked
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor, VecNormalize

from emosim_core import ConfigurationError, EmoSimEnv, EmoSimVectorEnv, StableBaselines3VecEnv, make_vec
from emosim_core.simulation.assembly import World

ID = "emosim_movies:EmoSim/Movies-v0"

SHORT: dict[str, Any] = {"n_steps": 8, "batch_size": 8, "n_epochs": 1, "device": "cpu", "seed": 1}


def adapter(world: World, count: int = 3, **options: Any) -> StableBaselines3VecEnv:
    return StableBaselines3VecEnv(EmoSimVectorEnv(num_envs=count, autoreset_mode="SameStep", world=world, **options))


def single(world: World, count: int = 3, **options: Any) -> DummyVecEnv:
    return DummyVecEnv([lambda: EmoSimEnv(world=world, **options)] * count)


NAMED: dict[str, Callable[[], Any]] = {
    "id": lambda: ID,
    "gym.make": lambda: gymnasium.make(ID, max_steps=4),
    "make_vec_env": lambda: make_vec_env(ID),
    "env_kwargs": lambda: make_vec_env(ID, n_envs=2, seed=3, env_kwargs={"max_steps": 4, "observe_consumed": True}),
    "a class": lambda: make_vec_env(EmoSimEnv, env_kwargs={"plugin": "movies"}),
    "a function": lambda: make_vec_env(lambda: gymnasium.make(ID, render_mode=None)),
    "wrapper_class": lambda: make_vec_env(
        ID, wrapper_class=gymnasium.wrappers.TimeLimit, wrapper_kwargs={"max_episode_steps": 3}
    ),
    "VecMonitor": lambda: VecMonitor(DummyVecEnv([lambda: gymnasium.make(ID)])),
    "VecNormalize": lambda: VecNormalize(make_vec_env(ID), norm_obs_keys=["step", "history_ratings"]),
    "the adapter": lambda: StableBaselines3VecEnv(make_vec("movies", num_envs=2, autoreset_mode="SameStep")),
}


@pytest.mark.parametrize("name", NAMED)
def test_an_algorithm_learns_however_its_environment_is_named(name: str) -> None:
    model = PPO("MultiInputPolicy", NAMED[name](), **SHORT)
    before = model.policy.action_net.weight.tolist()
    model.learn(8)
    assert model.policy.action_net.weight.tolist() != before
    env = model.get_env()
    assert env is not None
    assert model.predict(env.reset())[0].shape == (env.num_envs,)


def test_a_model_is_evaluated_saved_and_loaded(tmp_path: Path) -> None:
    env = make_vec_env(ID, n_envs=2, seed=1, env_kwargs={"max_steps": 3})
    model = A2C("MultiInputPolicy", env, device="cpu", seed=1)
    model.learn(20)
    model.save(tmp_path / "model")
    other = A2C.load(tmp_path / "model", env=env, device="cpu")
    env.seed(5)
    first = evaluate_policy(model, env, n_eval_episodes=2)
    env.seed(5)
    assert evaluate_policy(other, env, n_eval_episodes=2) == first
    other.learn(20, reset_num_timesteps=False)
    normalized = VecNormalize(env, norm_obs=False)
    normalized.save(str(tmp_path / "normalized"))
    VecNormalize.load(str(tmp_path / "normalized"), env).reset()


def test_masks_cross_processes() -> None:
    env = make_vec_env(
        ID, n_envs=2, seed=1, vec_env_cls=SubprocVecEnv, env_kwargs={"max_steps": 3, "observe_consumed": True}
    )
    try:
        model = MaskablePPO("MultiInputPolicy", env, **SHORT)
        model.learn(16)
        assert get_action_masks(env).shape == (2, 645)
        env.set_options([{"user": 3}, {"user": "u0009"}])
        env.seed(7)
        env.reset()
        assert [info["user_id"] for info in env.reset_infos] == ["u0004", "u0009"]
        evaluate_masked(model, env, n_eval_episodes=2)
    finally:
        env.close()


def test_a_recurrent_policy_learns() -> None:
    model = RecurrentPPO("MultiInputLstmPolicy", ID, **SHORT)
    before = model.policy.action_net.weight.tolist()
    model.learn(8)
    assert model.policy.action_net.weight.tolist() != before


# ------------------------------------------------------------------------------------------ rendering


@pytest.mark.parametrize("mode", ["ansi", "rgb_array", None])
def test_the_checker_of_gymnasium_finds_nothing(mode: str | None) -> None:
    check_env(gymnasium.make(ID, render_mode=mode, max_steps=4).unwrapped)


def test_an_image_shows_the_words_of_the_step(small_world: Callable[..., World]) -> None:
    env = EmoSimEnv(world=small_world(slate=2), render_mode="rgb_array")
    env.reset(seed=1)
    before = env.render()
    env.step([1, 2])
    after = env.render()
    assert isinstance(before, np.ndarray)
    assert isinstance(after, np.ndarray)
    assert (before.dtype, before.shape[2], before.shape) == (np.uint8, 3, after.shape)
    assert (after < 128).sum() > (before < 128).sum() > 0
    assert after.shape[0] < 400


def test_a_render_mode_that_is_none_is_refused(small_world: Callable[..., World]) -> None:
    for kind in (EmoSimEnv, EmoSimVectorEnv):
        with pytest.raises(ConfigurationError, match="'ansi', 'rgb_array' or None, not 'video'"):
            kind(world=small_world(), render_mode="video")


def test_a_batch_renders_each_slot(small_world: Callable[..., World]) -> None:
    world = small_world()
    words, images = adapter(world, render_mode="ansi"), adapter(world, render_mode="rgb_array")
    for env in (words, images):
        env.seed(1)
        env.reset()
        env.step(np.array([1, 2, 3]))
    rendered = words.env_method("render")
    assert [f"Item {place}" in text for place, text in enumerate(rendered, start=1)] == [True] * 3
    assert words.env.render() == tuple(rendered)
    tiled = images.render()
    assert tiled is not None
    assert tiled.ndim == 3


# ----------------------------------------------------------- what is asked of single environments


def test_options_choose_the_user_of_each_slot_for_one_reset(small_world: Callable[..., World]) -> None:
    world = small_world()
    for options in ({"user": 2}, [{"user": "u1"}, {}, {"user": 3}], None, [{}, {}, {}]):
        envs = (adapter(world), single(world))
        users = []
        for env in envs:
            env.seed(11)
            env.set_options(options)
            users.append([env.reset()["user"].tolist(), env.reset()["user"].tolist()])
        assert users[0] == users[1], options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"people": 2}, "unknown reset option 'people'"),
        ([{"user": 1}, {}, {"kind": 3}], "unknown reset option 'kind'"),
        ({"user": "nobody"}, "has no user 'nobody'"),
        ([{"user": 1}], "3 environments need as many users, got 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(small_world: Callable[..., World], options: Any, message: str) -> None:
    env = adapter(small_world())
    env.set_options(options)
    with pytest.raises(ConfigurationError, match=message):
        env.reset()


def test_attributes_and_methods_reach_what_single_environments_have(small_world: Callable[..., World]) -> None:
    world = small_world(observe_consumed=True)
    batch, alone = adapter(world, render_mode="ansi"), single(world, render_mode="ansi")
    for env in (batch, alone):
        env.seed(4)
        env.reset()
        env.step(np.array([1, 2, 3]))
    for name in ("render_mode", "observation_space", "action_space", "np_random_seed", "world"):
        for indices in (None, 1, [0, 2]):
            assert batch.get_attr(name, indices) == alone.get_attr(name, indices), name
    for method in ("action_masks", "render"):
        for indices in (None, 1, [2, 0]):
            one, other = (env.env_method(method, indices=indices) for env in (batch, alone))
            assert [str(value) for value in one] == [str(value) for value in other], method
    one, other = (env.env_method("reset", seed=9, options={"user": 1}, indices=[1]) for env in (batch, alone))
    (seen, info), (also, same) = one[0], other[0]
    assert {key: value.tolist() for key, value in seen.items()} == {key: value.tolist() for key, value in also.items()}
    assert info == same
    one, other = (env.step(np.array([4, 5, 6])) for env in (batch, alone))
    assert all(one[0][key].tolist() == other[0][key].tolist() for key in seen)
    assert one[1].tolist() == other[1].tolist()
    for env in (batch, alone):
        env.set_attr("note", "mine", indices=[1])
        assert env.get_attr("note", 1) == ["mine"]
        assert not env.has_attr("note")
        assert not env.has_attr("nothing_of_this_name")
        with pytest.raises(AttributeError):
            env.env_method("nothing_of_this_name")


def test_what_slots_share_cannot_be_set_for_some_nor_stepped_alone(small_world: Callable[..., World]) -> None:
    env = adapter(small_world())
    env.set_attr("observed", ["user"])
    assert env.get_attr("observed") == [["user"]] * 3
    with pytest.raises(ConfigurationError, match="share 'observed': set it without indices"):
        env.set_attr("observed", None, indices=[0])
    with pytest.raises(ConfigurationError, match="stepped together"):
        env.env_method("step", 1, indices=0)


def test_who_comes_next_is_in_the_infos_of_the_reset(small_world: Callable[..., World]) -> None:
    world = small_world(max_steps=2)
    batch, alone = adapter(world), single(world)
    seen = []
    for env in (batch, alone):
        env.seed(4)
        env.reset()
        seen.append([[{key: info[key] for key in ("user_id", "user_name")} for info in env.reset_infos]])
        for _ in range(4):
            env.step(np.array([1, 2, 3]))
            seen[-1].append([{key: info[key] for key in ("user_id", "user_name")} for info in env.reset_infos])
    assert seen[0] == seen[1]
