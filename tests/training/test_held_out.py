"""Evaluation episodes of a training: intervals, held-out users, and what simple policies and the oracle get there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosim_core import ConfigurationError
from emosim_core.components.base import Rater
from emosim_core.plugins import Registry
from emosim_core.recommenders.heuristics import Popular
from emosim_core.simulation.assembly import assemble
from emosim_core.simulation.config import EnvironmentConfig
from emosim_core.simulation.env import EmoSimEnv
from emosim_core.training.curves import read_progress
from emosim_core.training.held_out import EVALUATION_SEED, estimate_of, references, returns_of, users_met, world_of


@pytest.fixture(scope="module")
def world() -> Any:
    config = EnvironmentConfig(plugin="movies", user_dataset="sampled:n=20", max_steps=6, observe_consumed=True)
    return world_of(assemble(config, Registry()), "test")


def test_a_policy_meets_each_held_out_user_as_an_environment_under_the_seed_of_the_episode_does(world: Any) -> None:
    returns = returns_of(world, Popular(), 6)
    users = users_met(world, 6)
    assert set(users) == set(world.user_indices) == set(users[:4])
    order = np.lexsort((-world.catalog.public_ratings, -world.catalog.public_counts))
    for episode in (0, 5):
        env = EmoSimEnv(world=world)
        env.reset(seed=EVALUATION_SEED + episode, options={"user": int(users[episode])})
        total = 0.0
        for item in order:
            _, reward, terminated, truncated, _ = env.step(int(item))
            total += reward
            if terminated or truncated:
                break
        assert total == pytest.approx(returns[episode])


def test_the_references_are_random_popular_and_the_oracle_which_is_best(world: Any) -> None:
    found = references(world, 40, world.registry)
    assert list(found) == ["random", "popular", "oracle"]
    assert found["random"]["estimate"] < found["popular"]["estimate"] < found["oracle"]["estimate"]
    for one in found.values():
        assert one["low"] < one["estimate"] < one["high"]


def test_without_expectations_there_is_no_oracle_and_a_language_model_is_asked_for_no_reference(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(world.rater), "expected_batch", Rater.expected_batch)
    assert list(references(world, 4, world.registry)) == ["random", "popular"]
    monkeypatch.setattr(type(world.rater), "uses_llm", True)
    assert references(world, 4, world.registry) == {}


def test_an_interval_is_over_users_not_over_episodes() -> None:
    returns = np.array([1.0, 3.0, 5.0, 7.0] * 25)
    alike = estimate_of(np.tile(np.arange(4), 25), returns)
    apart = estimate_of(np.arange(100), returns)
    assert alike["estimate"] == apart["estimate"] == 4.0
    assert alike["high"] - alike["low"] > 3 * (apart["high"] - apart["low"])
    single = estimate_of(np.zeros(4, dtype=np.intp), np.arange(4.0))
    assert (single["estimate"], single["low"], single["high"]) == (1.5, None, None)


def test_what_the_final_model_gets_from_held_out_users_is_the_result_of_a_training(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    summary = train(user_split="train", test_fraction=0.25, eval_every=200, eval_episodes=8).train()
    last = read_progress(tmp_path / "t")[-1]
    found = summary["held_out"]
    assert (found["user_split"], found["episodes"], found["users"]) == ("test", 8, 2)
    assert [found["estimate"], found["low"], found["high"]] == [last["evaluation"]["test"], *last["intervals"]["test"]]
    stored = json.loads((tmp_path / "t" / "evaluation_episodes.json").read_text())
    assert stored["timesteps"] == 400
    assert np.mean(stored["episodes"]["test"]["returns"]) == pytest.approx(found["estimate"])
    assert not {*stored["episodes"]["test"]["users"]} & {*stored["episodes"]["train"]["users"]}
    # The rater of stones tells no expected ratings.
    assert list(summary["references"]["test"]) == ["random", "popular", "untrained"]


def test_the_untrained_network_is_the_network_before_its_training(train: Callable[..., Any]) -> None:
    few = {"user_split": "train", "test_fraction": 0.25, "eval_every": 200, "eval_episodes": 8, "items": 20}
    summary = train(out="a", learning_rate=1e-12, **few).train()
    before = {split: one["untrained"]["estimate"] for split, one in summary["references"].items()}
    assert before == summary["evaluation"]
    learned = train(out="b", timesteps=4000, **few).train()
    assert {split: one["untrained"]["estimate"] for split, one in learned["references"].items()} == before
    assert learned["evaluation"] != before


def test_a_training_with_all_users_holds_nobody_out(train: Callable[..., Any]) -> None:
    summary = train(eval_every=200, eval_episodes=4).train()
    assert summary["held_out"] is None
    assert list(summary["evaluation"]) == ["all"]


def test_it_is_evaluated_unless_that_is_not_wanted(train: Callable[..., Any], tmp_path: Path) -> None:
    assert train("a", user_split="train", test_fraction=0.25).train()["held_out"] is not None
    summary = train("b", user_split="train", test_fraction=0.25, eval_every=0).train()
    assert (summary["held_out"], summary["evaluation"], summary["references"]) == (None, None, {})
    assert not (tmp_path / "b" / "references.json").exists()


@pytest.mark.parametrize(
    ("timesteps", "eval_every", "uses_llm", "wanted"),
    [(100_000, None, False, 10_000), (8_000, None, False, 5_000), (100_000, None, True, 0), (100, 50, True, 50)],
)
def test_how_often_it_is_evaluated(timesteps: int, eval_every: int | None, uses_llm: bool, wanted: int) -> None:
    from emosim_core.training.config import TrainConfig

    config = TrainConfig(plugin="movies", timesteps=timesteps, eval_every=eval_every)
    assert config.evaluates_every(uses_llm) == wanted


def test_a_single_training_is_of_one_seed(train: Callable[..., Any]) -> None:
    with pytest.raises(ConfigurationError, match="one training has one seed"):
        train(num_seeds=2)
