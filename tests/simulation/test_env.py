"""EmoSimEnv: the contracts of Gymnasium and stable-baselines3, what is observed, reported and refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core import ConfigurationError, EmoSimEnv, EmoSimVectorEnv, make
from emosim_core.model import RatingScale
from emosim_core.simulation.assembly import World

MakeWorld = Callable[..., World]


def same(left: Any, right: Any) -> None:
    """Observations are equal, exactly, in names, types and numbers."""
    assert set(left) == set(right)
    for key in left:
        np.testing.assert_array_equal(left[key], right[key], err_msg=key)


def transcript(env: EmoSimEnv, actions: list[Any], **reset: Any) -> list[Any]:
    """All that an episode tells, up to its end."""
    observation, info = env.reset(**reset)
    lines: list[Any] = [{key: value.tolist() for key, value in observation.items()}, info["user_id"]]
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        lines.append(({key: value.tolist() for key, value in observation.items()}, reward, terminated, truncated))
        lines.append((info["raw_ratings"], list(info["reasons"]), info["consumed"], info["end_reason"]))
        if terminated or truncated:
            break
    return lines


# -------------------------------------------------------------------------------------- contracts


@pytest.mark.parametrize("slate", [1, 3])
@pytest.mark.parametrize("options", [{}, {"keep_memory": True, "p_interrupt": 0.3, "perturbator": "gaussian:sd=3"}])
def test_gymnasium_finds_no_fault_with_the_environment(slate: int, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make("emosim_movies:EmoSim/Movies-v0", slate=slate, render_mode="ansi", **options)
        check_env(env.unwrapped)


@pytest.mark.parametrize("slate", [1, 3])
def test_stable_baselines3_finds_no_fault_with_the_environment(slate: int) -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3_check_env(make("movies", slate=slate), warn=True, skip_render_check=False)


def test_gym_make_builds_the_environment_with_options_and_its_wrappers_find_no_fault() -> None:
    env = gym.make("emosim_movies:EmoSim/Movies-v0", slate=2, max_steps=4, reward_shaping="identity")
    assert isinstance(env.unwrapped, EmoSimEnv)
    assert env.spec is not None
    assert env.spec.id == "EmoSim/Movies-v0"
    env.reset(seed=1)
    assert [env.step(env.action_space.sample())[3] for _ in range(4)] == [False, False, False, True]
    env.close()


def test_a_step_without_an_episode_says_whether_none_began_or_it_is_over() -> None:
    env = make("movies", max_steps=1, user_dataset="sampled:n=2")
    with pytest.raises(ConfigurationError, match="no episode has begun"):
        env.step(0)
    env.reset(seed=1)
    env.step(0)
    with pytest.raises(ConfigurationError, match="the episode is over"):
        env.step(0)


def test_gym_make_vec_builds_the_batched_environment() -> None:
    env = gym.make_vec("EmoSim/Movies-v0", num_envs=3, vectorization_mode="vector_entry_point", slate=2, max_steps=4)
    assert isinstance(env.unwrapped, EmoSimVectorEnv)
    observation, _ = env.reset(seed=1)
    assert observation in env.observation_space
    assert env.step(env.action_space.sample())[1].shape == (3,)
    env.close()


@pytest.mark.parametrize("mode", ["sync", "vector_entry_point"])
def test_gym_make_vec_answers_the_same_in_both_ways(mode: str) -> None:
    env = gym.make_vec("emosim_movies:EmoSim/Movies-v0", num_envs=2, vectorization_mode=mode, max_steps=5)
    env.reset(seed=4)
    rewards = [env.step(np.array([i, i + 1]))[1].tolist() for i in range(8)]
    reference = make("movies", max_steps=5)
    reference.reset(seed=4)
    expected = []
    over = False
    for i in range(8):
        if over:
            reference.reset()
            expected.append(0.0)
            over = False
            continue
        _, reward, terminated, truncated, _ = reference.step(i)
        expected.append(reward)
        over = terminated or truncated
    assert [row[0] for row in rewards] == expected
    env.close()


def test_a_policy_of_stable_baselines3_learns_in_it() -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3 import PPO

    model = PPO("MultiInputPolicy", make("movies", max_steps=5), n_steps=16, batch_size=8, n_epochs=1, seed=0)
    before = model.policy.action_net.weight.tolist()
    model.learn(16)
    assert model.num_timesteps == 16
    assert model.policy.action_net.weight.tolist() != before
    env = make("movies")
    observation, _ = env.reset(seed=0)
    action, _ = model.predict(observation)
    assert env.action_space.contains(int(action))
    assert env.step(action)[4]["user_id"]


# ----------------------------------------------------------------------------------- observations


@settings(max_examples=30)
@given(
    st.sampled_from([(1, 10, 1), (1, 5, 1), (0, 9, 1), (0.5, 5, 0.5)]),
    st.sampled_from(["none", "gaussian:sd=5", "greedy"]),
    st.sampled_from(["greedy", "random"]),
    st.integers(1, 3),
    st.integers(1, 12),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_observations_lie_in_their_space_and_show_what_happened_most_recent_first(
    small_world: MakeWorld,
    levels: tuple[float, float, float],
    perturbator: str,
    selector: str,
    slate: int,
    length: int,
    keep: bool,
    seed: int,
) -> None:
    scale = RatingScale(low=levels[0], high=levels[1], step=levels[2])
    world = small_world(
        scale=scale,
        perturbator=perturbator,
        selector=selector,
        slate=slate,
        history_length=length,
        keep_memory=keep,
        max_steps=9,
        observation="full",
    )
    env = EmoSimEnv(world=world)
    env.action_space.seed(seed % 1000)
    histories: dict[str, list[tuple[int, float]]] = {}
    for episode in range(4):
        observation, info = env.reset(seed=seed if episode == 0 else None)
        past = histories.setdefault(info["user_id"], [])
        if not keep:
            past.clear()
        steps, over = 0, False
        while True:
            assert observation in env.observation_space
            assert observation["step"].tolist() == [steps]
            assert world.population.users[observation["user"]].id == info["user_id"]
            assert observation["traits"].tolist() == world.population.traits[observation["user"]].tolist()
            shown = past[::-1][:length]
            assert observation["history_mask"].tolist() == [1] * len(shown) + [0] * (length - len(shown))
            assert observation["history_items"][: len(shown)].tolist() == [item for item, _ in shown]
            assert observation["history_ratings"][: len(shown)].tolist() == [np.float32(r) for _, r in shown]
            # Not rated is shown by the mask: behind it there is a rating of the scale, and never a number of its own.
            assert set(observation["history_ratings"][len(shown) :].tolist()) <= {np.float32(scale.low)}
            if over:
                break
            action = env.action_space.sample()
            observation, _, terminated, truncated, info = env.step(action)
            slot = env.engine.memory.history().interactions(0)
            for place, item in enumerate(np.atleast_1d(action).tolist()):
                if info["consumed"][place]:
                    past.append((item, slot[len(past)].rating))
            steps, over = steps + 1, terminated or truncated


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("slate", [1, 2])
def test_consumed_items_are_shown_as_marks_and_as_ids_in_the_order_of_consumption(
    small_world: MakeWorld, slate: int, keep: bool
) -> None:
    world = small_world(
        slate=slate, keep_memory=keep, max_steps=3, observe_consumed=True, user_order="sequential",
        selector="random", reward_shaping="identity",
    )  # fmt: skip
    env, longest = EmoSimEnv(world=world), 0
    env.action_space.seed(1)
    seen, _ = env.reset(seed=4)
    for _ in range(60):
        past = [one.item for one in env.engine.memory.history().interactions(0)]
        last = [item for place, item in enumerate(past) if item not in past[place + 1 :]]
        assert seen in env.observation_space
        shown = seen["consumed_items"].tolist()
        assert len(shown) == (8 if keep else 3 * slate)
        assert shown == [*last, *[-1] * (len(shown) - len(last))]
        assert np.flatnonzero(seen["consumed"]).tolist() == sorted(last)
        longest = max(longest, len(last))
        seen, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            seen, _ = env.reset()
    assert longest >= (5 if keep else 2)


def test_what_no_real_recommender_sees_is_shown_where_it_is_named_and_announced(small_world: MakeWorld) -> None:
    honest = {"user", "step", "history_items", "history_ratings", "history_mask"}
    assert set(EmoSimEnv(world=small_world()).observation_space.spaces) == honest
    assert set(EmoSimEnv(world=small_world(observation="full")).observation_space.spaces) == honest | {"traits", "mood"}
    for observation, shown in (
        ("behavior:mood=true", "mood"),
        ("full:mood=false", "traits"),
        ("full", "traits and mood"),
    ):
        env = make("movies", observation=observation)
        assert [note for note in env.world.announcements if f"Observations show the {shown} of users" in note]
    assert not [note for note in make("movies").world.announcements if "Observations" in note]


def test_spaces_are_those_of_the_world() -> None:
    env = make("movies", slate=3, history_length=7, max_steps=20)
    count = len(env.world.catalog)
    assert env.action_space == gym.spaces.MultiDiscrete([count] * 3)
    assert make("movies").action_space == gym.spaces.Discrete(count)
    spaces = env.observation_space.spaces
    assert spaces["user"] == gym.spaces.Discrete(600)
    assert spaces["history_items"].shape == spaces["history_ratings"].shape == spaces["history_mask"].shape == (7,)
    assert (spaces["history_items"].low.min(), spaces["history_items"].high.max()) == (0, count - 1)
    assert (spaces["history_ratings"].low.min(), spaces["history_ratings"].high.max()) == (1, 10)
    assert spaces["step"].high.tolist() == [20]


def test_an_observation_does_not_change_afterwards() -> None:
    env = make("movies", reward_shaping="identity")
    first, _ = env.reset(seed=3)
    copied = {key: np.copy(value) for key, value in first.items()}
    second = env.step(5)[0]
    same(first, copied)
    copied = {key: np.copy(value) for key, value in second.items()}
    env.step(6)
    env.reset()
    same(second, copied)


# ------------------------------------------------------------------------------------- determinism


ACTIONS = [4, 9, 4, 17, 30, 2, 2, 8, 11, 12]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"perturbator": "gaussian", "reward_shaping": "random_watch", "p_interrupt": 0.1},
        {"perturbator": "greedy", "selector": "multinomial_logit", "max_steps": 6},
    ],
)
def test_a_seed_repeats_all_episodes_that_follow_it(options: dict[str, Any]) -> None:
    env, other = make("movies", **options), make("movies", **options)
    episodes = [transcript(env, ACTIONS, seed=7), transcript(env, ACTIONS), transcript(env, ACTIONS)]
    transcript(env, ACTIONS, seed=8)
    assert [transcript(env, ACTIONS, seed=7), transcript(env, ACTIONS), transcript(env, ACTIONS)] == episodes
    assert [transcript(other, ACTIONS, seed=7), transcript(other, ACTIONS), transcript(other, ACTIONS)] == episodes
    assert episodes[0] != episodes[1] != episodes[2]


def test_choosing_a_user_does_not_move_the_draws_of_the_episode() -> None:
    env = make("movies", reward_shaping="identity", perturbator="gaussian")
    plain = transcript(env, ACTIONS, seed=7)
    user = env.engine.users[0]
    assert transcript(env, ACTIONS, seed=7, options={"user": int(user)}) == plain


def test_an_episode_is_the_same_whatever_was_done_in_those_before() -> None:
    env = make("movies")
    transcript(env, ACTIONS, seed=7)
    second = transcript(env, ACTIONS)
    transcript(env, [1], seed=7)
    assert transcript(env, ACTIONS) == second
    env.reset(seed=7)
    with pytest.raises(ConfigurationError):  # a reset that is refused is none
        env.reset(options={"user": "nobody"})
    assert transcript(env, ACTIONS) == second


def test_without_a_seed_episodes_differ_from_one_environment_to_the_next() -> None:
    assert transcript(make("movies"), ACTIONS) != transcript(make("movies"), ACTIONS)


# ------------------------------------------------------------------------------------------ users


@pytest.mark.parametrize("user", [17, np.int64(17), "by id"])
def test_a_user_can_be_chosen_by_index_or_id(user: Any) -> None:
    env = make("movies")
    observation, info = env.reset(
        seed=0, options={"user": env.world.population.users[17].id if user == "by id" else user}
    )
    chosen = env.world.population.users[17]
    assert observation["user"] == 17
    assert (info["user_id"], info["user_name"], info["episode"]) == (chosen.id, chosen.name, 0)
    assert env.reset()[1]["episode"] == 1


def test_users_come_one_after_another_where_that_is_asked_for() -> None:
    env = make("movies", user_order="sequential", user_dataset="sampled:n=3")
    users = [int(env.reset(seed=5)[0]["user"]), *(int(env.reset()[0]["user"]) for _ in range(6))]
    assert users == [0, 1, 2, 0, 1, 2, 0]
    assert int(env.reset(seed=6)[0]["user"]) == 0


def test_users_come_at_random_otherwise() -> None:
    env = make("movies", user_dataset="sampled:n=5")
    env.reset(seed=5)
    users = [int(env.reset()[0]["user"]) for _ in range(60)]
    assert set(users) == {0, 1, 2, 3, 4}
    assert users[:5] != [0, 1, 2, 3, 4]


# ------------------------------------------------------------------------------------------ errors


def test_a_step_without_an_episode_is_refused() -> None:
    env = make("movies", max_steps=1)
    with pytest.raises(ConfigurationError, match=r"call reset\(\) before step\(\)"):
        env.step(0)
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(ConfigurationError, match=r"call reset\(\) before step\(\)"):
        env.step(0)
    env.reset()
    env.step(0)


@pytest.mark.parametrize("action", [-1, 8, 2**40, 1.5, "1", None, [0, 1], np.nan, {}, True])
def test_an_action_that_is_no_item_index_is_refused_and_the_episode_goes_on(
    small_world: MakeWorld, action: Any
) -> None:
    env = EmoSimEnv(world=small_world())
    env.reset(seed=0)
    with pytest.raises(ConfigurationError, match=r"action must|item indices"):
        env.step(action)
    assert env.step(7)[0]["step"].tolist() == [1]


@pytest.mark.parametrize("action", [3, np.int32(3), np.array(3), np.array([3], dtype=np.uint8), [3]])
def test_an_action_may_be_any_kind_of_whole_number(small_world: MakeWorld, action: Any) -> None:
    env = EmoSimEnv(world=small_world())
    env.reset(seed=0)
    assert env.step(action)[4]["items"] == ["i3"]


@pytest.mark.parametrize("user", ["nobody", -1, 4, None, 1.5, [1], True])
def test_an_unknown_user_is_refused(small_world: MakeWorld, user: Any) -> None:
    env = EmoSimEnv(world=small_world())
    with pytest.raises(ConfigurationError, match=r"the population of 4 has no user"):
        env.reset(options={"user": user})


def test_misspelt_and_contradicting_options_are_refused(small_world: MakeWorld) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown reset option 'usr'"):
        EmoSimEnv(world=small_world()).reset(options={"usr": 1})
    with pytest.raises(ConfigurationError, match=r"not both"):
        EmoSimEnv(world=small_world(), slate=2)
    with pytest.raises(ConfigurationError, match=r"name the domain"):
        EmoSimEnv()
    with pytest.raises(ConfigurationError, match=r"render_mode"):
        EmoSimEnv(world=small_world(), render_mode="human")
    with pytest.raises(ConfigurationError, match=r"slate of 5000"):
        make("movies", slate=5000)


# ------------------------------------------------------------------------------- words for users


def test_info_tells_who_saw_what_and_why() -> None:
    env = make("movies", slate=2, selector="greedy", max_steps=1)
    _, info = env.reset(seed=3)
    user = env.world.population.users[env.engine.users[0]]
    assert info == {"user_id": user.id, "user_name": user.name, "episode": 0}
    reward, info = _reward_and_info(env, [6, 11])
    items = env.world.catalog.items
    assert info["user_id"] == user.id
    assert info["items"] == [items[6].id, items[11].id]
    assert info["titles"] == [items[6].title, items[11].title]
    assert sum(info["consumed"]) == 1
    assert reward == max(info["raw_ratings"])
    assert info["end_reason"] == "max_steps"
    reasons = info["reasons"]
    assert len(reasons) == 2
    assert all("makes" in reason for reason in reasons)
    assert reasons[-1] == reasons[1] == list(reasons)[1]
    assert reasons[:1] == [reasons[0]]
    assert repr(reasons) == repr(list(reasons))
    with pytest.raises(IndexError):
        reasons[2]


def _reward_and_info(env: EmoSimEnv, action: Any) -> tuple[float, dict[str, Any]]:
    _, reward, _, _, info = env.step(action)
    return reward, info


def test_reasons_can_be_read_after_later_steps() -> None:
    env, other = make("movies", reward_shaping="identity"), make("movies", reward_shaping="identity")
    env.reset(seed=1)
    other.reset(seed=1)
    late = [env.step(i)[4]["reasons"] for i in range(5)]
    at_once = [list(other.step(i)[4]["reasons"]) for i in range(5)]
    assert [list(reasons) for reasons in late] == at_once


def test_an_interruption_is_reported_without_a_rating_or_a_reason() -> None:
    env = make("movies", p_interrupt=1.0, render_mode="ansi")
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(2)
    assert (reward, terminated, truncated) == (0.0, True, False)
    assert (info["raw_ratings"], list(info["reasons"]), info["consumed"]) == ([None], [""], [False])
    assert info["end_reason"] == "interrupted"
    assert "no rating" in env.render()


def test_render_tells_the_last_step_of_this_episode_in_words() -> None:
    env = make("movies", render_mode="ansi", slate=2, choice="ratings_first", max_steps=1)
    env.reset(seed=0)
    assert env.render() == "No step was taken yet."
    info = _reward_and_info(env, [4, 5])[1]
    lines = str(env.render()).splitlines()
    assert len(lines) == 3
    for line, title, rating, reason in zip(lines, info["titles"], info["raw_ratings"], info["reasons"], strict=False):
        assert line == f"{info['user_name']} on {title}: {rating:g} ({reason})"
    assert lines[2] == "The episode ended: max_steps."
    env.reset()
    assert env.render() == "No step was taken yet."
    assert make("movies").render() is None


def test_an_image_holds_the_words_of_the_step_black_on_white() -> None:
    env = make("movies", render_mode="rgb_array", slate=2, max_steps=3)
    env.reset(seed=0)
    blank = env.render()
    env.step([4, 5])
    image = env.render()
    assert isinstance(blank, np.ndarray)
    assert isinstance(image, np.ndarray)
    assert (image.dtype, image.shape) == (np.uint8, blank.shape)
    assert (image == 255).mean() > 0.5
    assert (image < 128).sum() > (blank < 128).sum() > 0


def test_the_world_of_one_environment_can_be_used_by_another(small_world: MakeWorld) -> None:
    world = small_world()
    alone = transcript(EmoSimEnv(world=small_world()), [1, 2, 3, 4, 5, 6], seed=1)
    first, second = EmoSimEnv(world=world), EmoSimEnv(world=world)
    second.reset(seed=9)
    assert transcript(first, [1, 2, 3, 4, 5, 6], seed=1) == alone
    second.step(0)
