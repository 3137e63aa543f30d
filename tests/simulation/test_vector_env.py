"""EmoSimVectorEnv: 200 steps beside Gymnasium's loop over single environments, autoreset, users, infos, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from emosim_core import ConfigurationError, EmoSimEnv, EmoSimVectorEnv, make, make_vec
from emosim_core.simulation.assembly import World

MakeWorld = Callable[..., World]
NEXT, SAME = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP


def same(left: Any, right: Any) -> None:
    """Observations are equal, exactly, in names, types and numbers."""
    assert set(left) == set(right)
    for key in left:
        np.testing.assert_array_equal(left[key], right[key], err_msg=key)
        assert np.asarray(left[key]).dtype == np.asarray(right[key]).dtype, key


def pair(make_world: Callable[[], World], size: int, mode: AutoresetMode) -> tuple[EmoSimVectorEnv, SyncVectorEnv]:
    """The batched environment, and Gymnasium's own loop over single ones."""
    loop = SyncVectorEnv([lambda: EmoSimEnv(world=make_world()) for _ in range(size)], autoreset_mode=mode)
    return EmoSimVectorEnv(world=make_world(), num_envs=size, autoreset_mode=mode), loop


STORIES: list[dict[str, Any]] = [
    {},
    {"p_interrupt": 0.1, "perturbator": "gaussian", "max_steps": 7, "items_retrieval": "best_worst"},
    {"slate": 3, "selector": "random", "perturbator": "greedy", "reward_shaping": "random_watch", "max_steps": 11},
    {"slate": 2, "selector": "multinomial_logit", "reward_shaping": "same_item_terminate", "keep_memory": True},
    {"reward_shaping": "exp_decay_time", "keep_memory": True, "p_interrupt": 0.05, "max_steps": 20},
    {"slate": 3, "choice": "cascade:patience=2", "perturbator": "gaussian", "p_interrupt": 0.1},
    {"slate": 3, "choice": "position_based:eta=0.5,threshold=0.5", "keep_memory": True, "max_steps": 12},
    {"max_steps": 1},
    {"p_interrupt": 1.0},
]


@pytest.mark.parametrize("mode", [NEXT, SAME])
@pytest.mark.parametrize("options", STORIES, ids=str)
def test_two_hundred_steps_equal_a_loop_over_single_environments(
    small_world: MakeWorld, mode: AutoresetMode, options: dict[str, Any]
) -> None:
    batch, loop = pair(lambda: small_world(**options), 3, mode)
    assert batch.single_observation_space == loop.single_observation_space
    assert batch.observation_space == loop.observation_space
    assert batch.action_space == loop.action_space
    assert batch.metadata["autoreset_mode"] == loop.metadata["autoreset_mode"]
    (observed, reset_info), (expected, info) = batch.reset(seed=11), loop.reset(seed=11)
    same(observed, expected)
    for key in ("user_id", "user_name"):
        assert reset_info[key].tolist() == list(info[key])
    rng = np.random.default_rng(11)
    shape = batch.action_space.shape
    ended = 0
    for number in range(200):
        if number == 120:  # a reset without a seed, in the midst of episodes
            same(batch.reset()[0], loop.reset()[0])
        actions = rng.integers(0, 8, shape)
        mine, theirs = batch.step(actions), loop.step(actions)
        same(mine[0], theirs[0])
        assert mine[0] in batch.observation_space
        for left, right in zip(mine[1:4], theirs[1:4], strict=True):
            np.testing.assert_array_equal(left, right)
            assert left.dtype == right.dtype
        over = mine[2] | mine[3]
        ended += int(over.sum())
        assert over.any() == ("end_reason" in mine[4])
        if over.any():
            np.testing.assert_array_equal(mine[4]["_end_reason"], over)
        if mode is NEXT:
            assert "final_obs" not in mine[4]
            if over.any():
                ends = theirs[4]["end_reason"]
                assert [mine[4]["end_reason"][i] for i in np.flatnonzero(over)] == [
                    ends[i] for i in np.flatnonzero(over)
                ]
            continue
        assert ("final_obs" in mine[4]) == ("final_obs" in theirs[4]) == bool(over.any())
        if over.any():
            np.testing.assert_array_equal(mine[4]["_final_obs"], theirs[4]["_final_obs"])
            np.testing.assert_array_equal(mine[4]["_final_info"], theirs[4]["_final_info"])
            for slot in range(3):
                left, right = (infos["final_obs"][slot] for infos in (mine[4], theirs[4]))
                assert (left is None) == (right is None) == (not over[slot])
                if left is not None:
                    same(left, right)
                    assert left in batch.single_observation_space
                    assert mine[4]["final_info"]["end_reason"][slot] == theirs[4]["final_info"]["end_reason"][slot]
                    raw_ratings = [None if np.isnan(r) else r for r in mine[4]["final_info"]["raw_ratings"][slot]]
                    assert raw_ratings == list(theirs[4]["final_info"]["raw_ratings"][slot])
    assert ended > 20


@pytest.mark.parametrize("mode", [NEXT, SAME])
def test_films_are_answered_for_as_in_a_loop_too(mode: AutoresetMode) -> None:
    batch = make_vec("movies", 2, autoreset_mode=mode, slate=2)
    loop = SyncVectorEnv([lambda: make("movies", slate=2) for _ in range(2)], autoreset_mode=mode)
    same(batch.reset(seed=[5, 99])[0], loop.reset(seed=[5, 99])[0])
    rng = np.random.default_rng(0)
    for _ in range(40):
        actions = rng.integers(0, len(batch.world.catalog), (2, 2))
        mine, theirs = batch.step(actions), loop.step(actions)
        same(mine[0], theirs[0])
        np.testing.assert_array_equal(mine[1], theirs[1])


# -------------------------------------------------------------------------------------- autoreset


def test_in_the_next_step_mode_the_call_after_an_end_begins_an_episode_and_ignores_the_action(
    small_world: MakeWorld,
) -> None:
    env = EmoSimVectorEnv(world=small_world(max_steps=2, reward_shaping="identity"), num_envs=2)
    env.reset(seed=0)
    env.step([1, 2])
    observation, _, _, truncated, info = env.step([1, 2])
    assert truncated.tolist() == [True, True]
    assert info["end_reason"].tolist() == ["max_steps"] * 2
    assert observation["step"].tolist() == [[2], [2]]
    observation, rewards, terminated, truncated, info = env.step([999, -5])
    assert (rewards.tolist(), terminated.tolist(), truncated.tolist()) == ([0, 0], [False] * 2, [False] * 2)
    assert observation["step"].tolist() == [[0], [0]]
    assert observation["history_mask"].sum() == 0
    assert np.isnan(info["raw_ratings"]).all()
    assert not info["consumed"].any()
    assert "end_reason" not in info
    assert env.step([1, 2])[0]["step"].tolist() == [[1], [1]]


def test_in_the_same_step_mode_the_next_episode_is_seen_at_once_and_the_end_in_final_obs(
    small_world: MakeWorld,
) -> None:
    world = small_world(max_steps=2, reward_shaping="identity")
    env = EmoSimVectorEnv(world=world, num_envs=2, autoreset_mode="SameStep")
    env.reset(seed=0)
    env.step([1, 2])
    observation, rewards, _, truncated, info = env.step([3, 4])
    assert truncated.tolist() == [True, True]
    assert (rewards > 0).all()
    assert observation["step"].tolist() == [[0], [0]]
    assert [final["step"].tolist() for final in info["final_obs"]] == [[2], [2]]
    assert [final["history_items"][:2].tolist() for final in info["final_obs"]] == [[3, 1], [4, 2]]
    assert "final_obs" not in env.step([1, 2])[4]


def test_what_was_handed_out_does_not_change_with_later_steps(small_world: MakeWorld) -> None:
    env = EmoSimVectorEnv(world=small_world(observe_consumed=True), num_envs=3)
    first, _ = env.reset(seed=3)
    copied = {key: value.copy() for key, value in first.items()}
    second, rewards, _, _, info = env.step([1, 2, 3])
    copies = rewards.copy(), info["raw_ratings"].copy(), {key: value.copy() for key, value in second.items()}
    for _ in range(15):
        env.step([3, 2, 1])
    same(first, copied)
    same(second, copies[2])
    np.testing.assert_array_equal(rewards, copies[0])
    np.testing.assert_array_equal(info["raw_ratings"], copies[1])


# ------------------------------------------------------------------------------- users and seeds


def test_action_masks_say_which_items_each_user_does_not_remember(small_world: MakeWorld) -> None:
    env = EmoSimVectorEnv(world=small_world(reward_shaping="identity", p_interrupt=0.0), num_envs=2)
    env.reset(seed=1)
    assert env.action_masks().all()
    env.step([1, 2])
    env.step([1, 3])
    assert [np.flatnonzero(~mask).tolist() for mask in env.action_masks()] == [[1], [2, 3]]


def test_users_come_in_order_across_the_slots(small_world: MakeWorld) -> None:
    env = EmoSimVectorEnv(
        world=small_world(max_steps=1, user_order="sequential"), num_envs=3, autoreset_mode=AutoresetMode.SAME_STEP
    )
    users = [env.reset(seed=0)[0]["user"].tolist()]
    users += [env.step([0, 0, 0])[0]["user"].tolist() for _ in range(4)]
    assert users == [[0, 1, 2], [3, 0, 1], [2, 3, 0], [1, 2, 3], [0, 1, 2]]


def test_everyone_can_be_the_same_user(small_world: MakeWorld) -> None:
    env = EmoSimVectorEnv(world=small_world(), num_envs=3)
    observation, info = env.reset(seed=1, options={"user": "u2"})
    assert observation["user"].tolist() == [2, 2, 2]
    assert info["user_id"].tolist() == ["u2"] * 3
    assert info["user_name"].tolist() == ["User 2"] * 3


@pytest.mark.parametrize("seed", [5, np.int64(5), [5, 6], np.array([5, 6])])
def test_a_seed_repeats_everything_and_slot_i_has_the_seed_plus_i(small_world: MakeWorld, seed: Any) -> None:
    env = EmoSimVectorEnv(world=small_world(perturbator="gaussian"), num_envs=2)

    def transcript() -> list[Any]:
        return [{key: value.tolist() for key, value in env.reset(seed=seed)[0].items()}] + [
            env.step([i % 8, 3])[1].tolist() for i in range(20)
        ]

    first = transcript()
    env.reset(seed=77)
    env.step([1, 1])
    assert transcript() == first
    single = EmoSimEnv(world=small_world(perturbator="gaussian"))
    single.reset(seed=6)
    assert single.step(3)[1] == first[1][1]


def test_a_slot_without_a_seed_goes_on_with_its_next_episode(small_world: MakeWorld) -> None:
    batch, loop = pair(lambda: small_world(perturbator="gaussian"), 2, NEXT)
    for env in (batch, loop):
        env.reset(seed=[3, 4])
        env.step(np.array([1, 2]))
    same(batch.reset(seed=[None, 9])[0], loop.reset(seed=[None, 9])[0])
    np.testing.assert_array_equal(batch.step(np.array([1, 2]))[1], loop.step(np.array([1, 2]))[1])


# ------------------------------------------------------------------------------------ infos, errors


def test_describe_tells_the_last_step_of_a_slot_as_the_single_environment_does(small_world: MakeWorld) -> None:
    env, single = EmoSimVectorEnv(world=small_world(slate=2), num_envs=2), EmoSimEnv(world=small_world(slate=2))
    env.reset(seed=4)
    single.reset(seed=5)
    env.step([[1, 2], [3, 4]])
    assert env.describe(1) == single.step([3, 4])[4]


def test_describe_tells_of_the_episode_that_ended_where_the_next_one_began(small_world: MakeWorld) -> None:
    world = small_world(max_steps=2, user_order="sequential")
    env = EmoSimVectorEnv(world=world, num_envs=2, autoreset_mode=SAME)
    env.reset(seed=4)
    env.step([1, 2])
    env.step([3, 4])
    assert [env.describe(slot)["user_name"] for slot in (0, 1)] == [user.name for user in world.population.users[:2]]
    assert env.engine.users.tolist() == [2, 3]


def test_describe_is_refused_where_no_step_was_taken(small_world: MakeWorld) -> None:
    env = EmoSimVectorEnv(world=small_world(max_steps=1), num_envs=2)
    env.reset(seed=4)
    with pytest.raises(ConfigurationError, match="slot 0 took no step"):
        env.describe(0)
    env.step([1, 2])
    assert env.describe(1)["end_reason"] == "max_steps"
    with pytest.raises(ConfigurationError, match="slot 2 took no step"):
        env.describe(2)
    env.step([1, 2])  # both begin an episode
    for slot in (0, 1):
        with pytest.raises(ConfigurationError, match="took no step since its episode began"):
            env.describe(slot)
    env.step([1, 2])
    env.reset()
    with pytest.raises(ConfigurationError, match="slot 1 took no step"):
        env.describe(1)


@pytest.mark.parametrize("actions", [[0], [0, 1, 2], [[0, 1], [2, 3]], [0, 8], [-1, 0], [0.5, 1], None, ["a", "b"]])
def test_actions_that_are_no_item_indices_are_refused(small_world: MakeWorld, actions: Any) -> None:
    env = EmoSimVectorEnv(world=small_world(), num_envs=2)
    env.reset(seed=0)
    with pytest.raises(ConfigurationError, match=r"action must|item indices"):
        env.step(actions)


def test_misuse_is_refused(small_world: MakeWorld) -> None:
    env = EmoSimVectorEnv(world=small_world(), num_envs=2)
    with pytest.raises(ConfigurationError, match=r"call reset\(\) before step\(\)"):
        env.step([0, 0])
    with pytest.raises(ConfigurationError, match="2 environments need as many seeds, got 3"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(ConfigurationError, match="must not be negative"):
        env.reset(seed=-1)
    with pytest.raises(ConfigurationError, match="has no user 'nobody'"):
        env.reset(options={"user": "nobody"})
    with pytest.raises(ConfigurationError, match="unknown reset option"):
        env.reset(options={"person": 1})
    with pytest.raises(ConfigurationError, match="at least 1"):
        EmoSimVectorEnv(world=small_world(), num_envs=0)
    with pytest.raises(ConfigurationError, match="NEXT_STEP or SAME_STEP"):
        EmoSimVectorEnv(world=small_world(), num_envs=2, autoreset_mode=AutoresetMode.DISABLED)
    with pytest.raises(ConfigurationError, match="not both"):
        EmoSimVectorEnv(world=small_world(), num_envs=2, slate=2)


def test_a_refused_reset_does_not_skip_an_episode(small_world: MakeWorld) -> None:
    rewards = []
    for refused in (False, True):
        env = EmoSimVectorEnv(world=small_world(perturbator="gaussian"), num_envs=2)
        env.reset(seed=4)
        if refused:
            with pytest.raises(ConfigurationError):
                env.reset(options={"user": "nobody"})
        env.reset()
        rewards.append([env.step([i, i])[1].tolist() for i in range(8)])
    assert rewards[0] == rewards[1]


def test_failed_ratings_are_reported_as_nan(small_world: MakeWorld, scripted: Callable[..., Any]) -> None:
    rater = scripted(lambda user, item, times: np.nan if item == 5 else 8.0)
    world = small_world(parts={"rater": rater}, on_failed_rating="skip", reward_shaping="identity")
    env = EmoSimVectorEnv(world=world, num_envs=2)
    env.reset(seed=0)
    observation, rewards, _, _, info = env.step([5, 1])
    assert rewards.tolist() == [0.0, 8.0]
    assert np.isnan(info["raw_ratings"]).tolist() == [[True], [False]]
    assert info["consumed"].tolist() == [[False], [True]]
    assert observation["history_mask"].sum(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ({"nmu_envs": 3}, "num_envs"),
        ({"autoreset_mod": "x"}, "autoreset_mode"),
        ({"rendr_mode": "human"}, "render_mode"),
        ({"slat": 2}, "slate"),
    ],
)
def test_a_misspelt_argument_or_option_is_answered_with_the_nearest(wrong: dict[str, Any], meant: str) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean") as raised:
        make_vec("movies", **wrong)
    assert f"'{meant}'" in str(raised.value)


def test_a_misspelt_argument_of_a_single_environment_is_answered_too() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown option 'rendermode'\. Did you mean 'render_mode'"):
        make("movies", rendermode="human")


def test_a_slot_can_be_reset_alone_and_acts_at_once_and_the_others_go_on(small_world: MakeWorld) -> None:
    batch, untouched = (EmoSimVectorEnv(world=small_world(max_steps=3), num_envs=2) for _ in range(2))
    with pytest.raises(ConfigurationError, match=r"call reset\(\) before reset_slot\(\)"):
        batch.reset_slot(1)
    single = EmoSimEnv(world=small_world(max_steps=3))
    for env in (batch, untouched):
        env.reset(seed=4)
        for item in range(3):
            ended = env.step(np.array([item, item]))
    assert (ended[2] | ended[3]).all()
    begun, info = batch.reset_slot(1, seed=9, options={"user": 2})
    same(begun, single.reset(seed=9, options={"user": 2})[0])
    assert (info["episode"], info["user_id"]) == (0, single.world.population.users[2].id)
    after, others = batch.step(np.array([5, 5])), untouched.step(np.array([5, 5]))
    alone = single.step(5)
    same({key: value[1] for key, value in after[0].items()}, alone[0])
    assert after[1][1] == alone[1] > 0
    assert (after[1][0], others[1][0]) == (0.0, 0.0)  # this slot begins an episode, as ever
    same({key: value[0] for key, value in after[0].items()}, {key: value[0] for key, value in others[0].items()})
    assert batch.reset_slot(1)[1]["episode"] == 1
    with pytest.raises(ConfigurationError, match="a seed must not be negative, got -1"):
        batch.reset_slot(0, seed=-1)
