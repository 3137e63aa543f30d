"""Trained recommenders beside random and popular, on users whom they know and episodes that they never met."""

from __future__ import annotations

from pathlib import Path

import pytest

from emosim_core.evaluation.evaluate import evaluate
from emosim_core.simulation.config import read_config
from emosim_core.training.config import TrainConfig
from emosim_core.training.trainer import Training

TRAININGS = {
    "a2c": ("cf", 25_000),
    "ppo": ("mlp", 10_000),
    "maskable_ppo": ("mlp", 12_000),
    "trpo": ("mlp", 2_000),
    "dqn": ("mlp", 10_000),
}
"""Network and steps of each algorithm, as many as a test has time for; all with the seed 42."""

UNTRAINED = {"algo": "ppo", "policy_net": "mlp", "timesteps": 1024, "learning_rate": 1e-12}
"""A training that leaves the network as it begins: with public ratings and a ridge regression over the history.

That is a good recommender. On-policy algorithms fall below it before they rise above it, which takes PPO 100,000
steps, so here only DQN is held to it.
"""


@pytest.mark.long
@pytest.mark.slow
def test_every_algorithm_is_better_than_random_and_than_popular(tmp_path: Path) -> None:
    trainings = {
        algo: {"algo": algo, "policy_net": net, "timesteps": steps} for algo, (net, steps) in TRAININGS.items()
    }
    trainings["untrained"] = UNTRAINED
    for name, values in trainings.items():
        Training(read_config(TrainConfig, {"plugin": "movies", **values}), tmp_path / name).train()
    evaluation = evaluate(
        {
            "plugin": "movies",
            "recommenders": tuple(str(tmp_path / name) for name in trainings),
            "policies": ("random", "popular"),
            "user_splits": ("train",),
            "num_envs": 256,
            "episodes": 1000,
        },
        tmp_path / "evaluation",
    )
    train = evaluation["user_splits"]["train"]
    reward = {name: entry["metrics"]["mean_reward"] for name, entry in train["recommenders"].items()}
    for algo in TRAININGS:
        assert reward[algo]["low"] > reward["random"]["high"], reward
    beside = train["differences"]["best_baseline"]
    assert beside["reference"] == "popular"
    above = {name: entry["metrics"]["mean_reward"] for name, entry in beside["recommenders"].items()}
    for algo in TRAININGS:
        assert above[algo]["low"] > 0, above
    assert reward["dqn"]["estimate"] > reward["untrained"]["estimate"] + 5, reward
