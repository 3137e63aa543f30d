"""The stable-baselines3 adapter: row by row it is the single environment, with infos as that library wants them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.monitor import Monitor

from emosim_core import ConfigurationError, EmoSimEnv, make
from emosim_core.components.base import Selector
from emosim_core.simulation.assembly import World
from emosim_core.simulation.vector_env import EmoSimVectorEnv
from emosim_core.training.vec_env import StableBaselines3VecEnv

ITEMS = 8


def adapter(world: World, count: int, **options: Any) -> StableBaselines3VecEnv:
    return StableBaselines3VecEnv(EmoSimVectorEnv(num_envs=count, autoreset_mode="SameStep", world=world), **options)


def unconsumed(observations: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    return np.where(observations["consumed"] > 0, -1.0, rng.random(observations["consumed"].shape)).argmax(axis=1)


def ran(env: StableBaselines3VecEnv, steps: int, seed: int = 0) -> list[tuple[Any, ...]]:
    """What items that were not consumed lead to: actions, and what the step answers."""
    env.seed(seed)
    observations, rng, transitions = env.reset(), np.random.default_rng(1), []
    for _ in range(steps):
        actions = unconsumed(observations, rng)
        observations, rewards, dones, infos = env.step(actions)
        transitions.append((actions, observations, rewards, dones, infos))
    return transitions


@pytest.mark.parametrize("max_steps", [3, 50])
@pytest.mark.parametrize("shaping", ["churn_satisfaction:min_steps=2", "identity"])
def test_every_row_is_the_single_environment_with_the_same_seed(
    small_world: Callable[..., World], max_steps: int, shaping: str
) -> None:
    world = small_world(observe_consumed=True, max_steps=max_steps, reward_shaping=shaping)
    env = adapter(world, 3)
    env.seed(10)
    seen, rng = env.reset(), np.random.default_rng(0)
    alone = [EmoSimEnv(world=world) for _ in range(3)]
    now = [one.reset(seed=10 + slot)[0] for slot, one in enumerate(alone)]
    returns, lengths, ended = np.zeros(3), np.zeros(3, dtype=int), 0
    for _ in range(30):
        for slot in range(3):
            for key, value in now[slot].items():
                assert np.array_equal(seen[key][slot], value), key
        actions = unconsumed(seen, rng)
        seen, rewards, dones, infos = env.step(actions)
        for slot, one in enumerate(alone):
            now[slot], reward, terminated, truncated, info = one.step(int(actions[slot]))
            returns[slot] += reward
            lengths[slot] += 1
            assert rewards[slot] == pytest.approx(reward)
            assert dones[slot] == (terminated or truncated)
            if not dones[slot]:
                assert infos[slot] == {}
                continue
            ended += 1
            slot_info = infos[slot]
            for key, value in now[slot].items():
                assert np.array_equal(slot_info["terminal_observation"][key], value), key
            assert slot_info["TimeLimit.truncated"] is truncated
            assert slot_info["end_reason"] == info["end_reason"]
            assert slot_info["episode"]["r"] == pytest.approx(returns[slot])
            assert slot_info["episode"]["l"] == lengths[slot]
            returns[slot] = lengths[slot] = 0
            now[slot] = one.reset()[0]
    assert ended >= 6
    assert env.episodes == ended
    assert env.steps == 90


def test_only_an_episode_that_is_cut_off_counts_as_truncated(small_world: Callable[..., World], scripted: Any) -> None:
    for rating, end, truncated in ((9.0, "max_steps", True), (1.0, "low_streak", False)):
        world = small_world(
            parts={"rater": scripted(lambda user, item, times, rating=rating: rating)},
            observe_consumed=True, max_steps=4, reward_shaping="churn_satisfaction:min_steps=2,low_streak=3",
        )  # fmt: skip
        infos = [info for step in ran(adapter(world, 2), 8) for info in step[4] if info]
        assert infos
        for info in infos:
            if info["end_reason"] == end:
                assert info["TimeLimit.truncated"] is truncated
        assert {info["TimeLimit.truncated"] for info in infos if info["end_reason"] != "max_steps"} <= {False}
        assert end in {info["end_reason"] for info in infos}


def test_somebody_who_leaves_in_the_very_last_step_has_left(small_world: Callable[..., World], scripted: Any) -> None:
    world = small_world(
        parts={"rater": scripted(lambda user, item, times: 1.0)}, observe_consumed=True, max_steps=3,
        reward_shaping="churn_satisfaction:min_steps=3,low_streak=1,use_traits=false",
    )  # fmt: skip
    ends = [info for step in ran(adapter(world, 2), 3) for info in step[4] if info]
    assert [(info["end_reason"], info["TimeLimit.truncated"], info["episode"]["l"]) for info in ends] == [
        ("low_streak", False, 3)
    ] * 2


def test_a_slate_that_takes_the_last_items_ends_the_episode(small_world: Callable[..., World]) -> None:
    everything = Selector()
    everything.select_batch = lambda request, draws: np.ones(request.ratings.shape, dtype=bool)  # type: ignore[method-assign]
    world = small_world(observe_consumed=True, slate=3, reward_shaping="identity", parts={"selector": everything})
    env = EmoSimVectorEnv(world=world, num_envs=2)
    env.reset(seed=1)
    for slate in ([0, 1, 2], [3, 4, 5]):
        assert "end_reason" not in env.step([slate, slate])[4]
    assert env.step([[5, 6, 7]] * 2)[4]["end_reason"].tolist() == ["out_of_items"] * 2


@pytest.mark.parametrize("max_steps", [ITEMS, ITEMS + 1, 50])
def test_an_episode_that_runs_out_of_items_ends_and_is_not_cut_off(
    small_world: Callable[..., World], max_steps: int
) -> None:
    world = small_world(observe_consumed=True, max_steps=max_steps, reward_shaping="identity")
    steps = ran(adapter(world, 3), 3 * ITEMS)
    infos = [info for step in steps for info in step[4] if info]
    assert len(infos) == 9
    for info in infos:
        assert info["end_reason"] == "out_of_items"
        assert info["TimeLimit.truncated"] is False
        assert info["episode"]["l"] == ITEMS
        assert info["terminal_observation"]["consumed"].all()
    assert not steps[ITEMS - 1][1]["consumed"].any()


def test_who_remembers_everything_begins_the_next_episode_with_everything_consumed_and_it_ends(
    small_world: Callable[..., World],
) -> None:
    options = {"observe_consumed": True, "keep_memory": True, "reward_shaping": "identity", "user_order": "sequential"}
    world = small_world(**options, max_steps=5)
    env = adapter(world, 1)
    env.seed(0)
    seen, rng, ends, users = env.reset(), np.random.default_rng(0), [], [0]
    consumed: dict[int, set[int]] = {user: set() for user in range(4)}
    for _ in range(40):
        user = int(seen["user"][0])
        assert set(np.flatnonzero(seen["consumed"][0]).tolist()) == consumed[user]
        action = unconsumed(seen, rng)
        consumed[user].add(int(action[0]))
        seen, _, dones, infos = env.step(action)
        if dones[0]:
            ends.append((infos[0]["end_reason"], infos[0]["episode"]["l"]))
            users.append(int(seen["user"][0]))
    assert ends[:4] == [("max_steps", 5)] * 4
    assert ends[4:8] == [("out_of_items", 3)] * 4  # five of eight were known
    assert len(ends) > 8
    assert set(ends[8:]) == {("out_of_items", 1)}  # nothing is left: one step, and over
    assert users[:9] == [0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_rewards_are_scaled_for_the_algorithm_and_returns_are_not(small_world: Callable[..., World]) -> None:
    world = small_world(observe_consumed=True, max_steps=4)
    plain, scaled = ran(adapter(world, 2), 8), ran(adapter(world, 2, reward_scale=0.1), 8)
    for one, other in zip(plain, scaled, strict=True):
        assert other[2].dtype == np.float32
        assert other[2] == pytest.approx(0.1 * one[2])
        for info, also in zip(one[4], other[4], strict=True):
            assert info.get("episode", {}).get("r") == also.get("episode", {}).get("r")


def test_only_the_parts_that_were_asked_for_are_passed_on(small_world: Callable[..., World]) -> None:
    env = adapter(small_world(observe_consumed=True, max_steps=2), 2, keys=["consumed", "user"])
    assert set(env.observation_space.spaces) == {"consumed", "user"}  # type: ignore[attr-defined]
    last = ran(env, 2)[-1]
    assert set(last[1]) == {"consumed", "user"}
    assert set(last[4][0]["terminal_observation"]) == {"consumed", "user"}
    assert env.observation_space.contains(last[4][0]["terminal_observation"])


def test_a_part_that_is_not_there_is_refused_by_name(small_world: Callable[..., World]) -> None:
    with pytest.raises(ConfigurationError, match=r"no 'consumed'; it has history_items, .*, user\. Choose another"):
        adapter(small_world(), 2, keys=["user", "consumed"])


def test_a_batch_that_begins_episodes_in_the_next_step_is_refused(small_world: Callable[..., World]) -> None:
    with pytest.raises(ConfigurationError, match="SameStep"):
        StableBaselines3VecEnv(EmoSimVectorEnv(num_envs=2, world=small_world()))


def test_masks_are_what_is_not_consumed(small_world: Callable[..., World]) -> None:
    env = adapter(small_world(observe_consumed=True), 3)
    env.seed(0)
    seen, rng = env.reset(), np.random.default_rng(0)
    for _ in range(12):
        masks = env.action_masks()
        assert masks.dtype == np.bool_
        assert np.array_equal(masks, seen["consumed"] == 0)
        assert np.array_equal(np.stack(env.env_method("action_masks")), masks)
        assert np.array_equal(np.stack(env.env_method("action_masks", indices=[2])), masks[2:])
        seen = env.step(unconsumed(seen, rng))[0]
    assert env.has_attr("action_masks")


def test_seeds_hold_for_one_reset(small_world: Callable[..., World]) -> None:
    env = adapter(small_world(observation="full", observe_consumed=True, max_steps=6), 3)
    first, again, other = ran(env, 6, seed=5), ran(env, 6, seed=5), ran(env, 6, seed=50)
    assert all(np.array_equal(one[1]["mood"], two[1]["mood"]) for one, two in zip(first, again, strict=True))
    assert any(not np.array_equal(one[1]["mood"], two[1]["mood"]) for one, two in zip(first, other, strict=True))
    env.seed(5)
    users = [env.reset()["user"].tolist() for _ in range(8)]
    assert len({tuple(row) for row in users}) > 1  # without a seed it is the next episode


def test_slots_share_the_attributes_of_their_batch(small_world: Callable[..., World]) -> None:
    env = adapter(small_world(), 3)
    assert env.get_attr("num_envs", indices=[0, 2]) == [3, 3]
    env.set_attr("note", "all")
    assert env.get_attr("note") == ["all"] * 3
    assert env.env_is_wrapped(Monitor) == [True] * 3
    assert env.env_is_wrapped(EmoSimEnv) == [False] * 3


@pytest.mark.parametrize("domain", ["movies", "books"])
def test_the_environment_that_is_trained_on_passes_the_check_of_stable_baselines(domain: str) -> None:
    check_env(make(domain, observe_consumed=True), warn=True)
