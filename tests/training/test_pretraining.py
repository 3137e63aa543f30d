"""Pretraining: random items, ratings as observations show them, and a training that goes on from what they say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from emosim_core.recommenders.posterior import Posterior
from emosim_core.training.config import TrainConfig
from emosim_core.training.pretraining import random_ratings
from emosim_core.training.trainer import checkpoints

DQN = {"algo": "dqn", "policy_net": "bayes", "algorithm": {"learning_starts": 40, "batch_size": 16}, "n_steps": 1}


def test_ratings_are_those_that_users_gave_and_no_item_comes_twice(train: Callable[..., Any]) -> None:
    training = train(**DQN, items=8, max_steps=6, observation="behavior")
    env, ends, given = training.env, Counter[str](), []
    step = env.env.engine.step

    def looked_at(actions: Any, rows: Any = None) -> Any:
        consumed = env.env.engine.memory.consumed(env.env.engine.all_rows)
        assert not consumed[env.env.engine.all_rows, np.ravel(actions)].any()
        users = env.env.engine.users.copy()
        made = step(actions, rows)
        given.extend(zip(users.tolist(), np.ravel(actions).tolist(), np.ravel(made.ratings).tolist(), strict=True))
        return made

    env.env.engine.step = looked_at
    env.seed(1)
    rated = random_ratings(env, 4 * 20, np.random.default_rng(2), ends)
    found = list(zip(rated.users.tolist(), rated.items.tolist(), rated.ratings.tolist(), strict=True))
    assert len(given) == 80
    assert sorted(found) == sorted(given)
    assert ends == {"max_steps": 12}  # 20 steps of 4 users, in episodes of 6
    assert set(rated.items.tolist()) == set(range(8))


def test_a_training_begins_with_what_random_items_say_and_counts_them(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    training = train(**DQN, items=20, timesteps=800, pretrain_steps=700, eval_every=200, eval_episodes=8)
    begun = training.model.policy.q_net.features_extractor.posterior
    assert isinstance(begun, Posterior)
    before = begun.means.clone()
    summary = training.train()
    assert not before.any()
    assert (begun.means[:-1] != 0).any(dim=1).all()
    assert not begun.means[-1].any()
    assert summary["timesteps"] == 800
    assert sum(summary["end_reasons"].values()) == summary["episodes"] >= 140 + 16
    lines = [json.loads(line) for line in (tmp_path / "t" / "progress.jsonl").read_text().splitlines()]
    assert lines[0]["timesteps"] == 700  # what it has learned before the algorithm begins
    assert lines[0]["evaluation"]["all"] > summary["references"]["all"]["untrained"]["estimate"]


def test_a_training_that_was_killed_after_its_pretraining_ends_as_one_that_was_not(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    options = {**DQN, "timesteps": 320, "checkpoint_every": 1000}
    train("whole", **options).train()
    killed = train("killed", **options)

    def wait() -> Any:
        raise MemoryError  # nothing is written in the end

    learn = killed.model.learn
    killed.model.learn = lambda *args, **more: (setattr(killed.env, "step_wait", wait), learn(*args, **more))
    with pytest.raises(MemoryError):
        killed.train()
    assert [one.name for one in checkpoints(tmp_path / "killed")] == ["000000000240"]
    train("killed", resume=True, **options).train()
    whole, other = (tmp_path / out / "model" / "weights.safetensors" for out in ("whole", "killed"))
    assert whole.read_bytes() == other.read_bytes()


def test_at_least_one_batch_is_left_to_the_algorithm() -> None:
    made = {"plugin": "movies", "algo": "dqn", "num_envs": 64}
    assert TrainConfig(**made, policy_net="bayes", timesteps=100_000).pretrains == 75_008
    assert TrainConfig(**made, policy_net="bayes", timesteps=64).pretrains == 0
    assert TrainConfig(**made, policy_net="bayes", timesteps=640, pretrain_steps=639).pretrains == 576
    assert TrainConfig(**made, policy_net="mlp").pretrains == 0
    for more, message in (
        ({"policy_net": "mlp", "pretrain_steps": 64}, "for the network bayes"),
        ({"policy_net": "bayes", "timesteps": 640, "pretrain_steps": 640}, "less than the timesteps, 640"),
    ):
        with pytest.raises(ValidationError, match=message):
            TrainConfig(**{**made, **more})
