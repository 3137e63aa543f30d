"""Trained recommenders beside random and popular, on users whom they know and episodes that they never met."""

from __future__ import annotations

from pathlib import Path

import pytest

from emosim_core.simulation.config import read_config
from emosim_core.training.config import TrainConfig
from emosim_core.training.evaluation import evaluate
from emosim_core.training.trainer import Training

TRAININGS = {
    "a2c": ("cf", 50_000),
    "ppo": ("mlp", 50_000),
    "maskable_ppo": ("mlp", 50_000),
    "trpo": ("mlp", 20_000),
    "dqn": ("mlp", 40_000),
}
"""Network and steps of each algorithm, as many as a test has time for; all with the seed 42."""


@pytest.mark.slow
def test_every_algorithm_is_better_than_random_and_than_popular(tmp_path: Path) -> None:
    for algo, (net, steps) in TRAININGS.items():
        values = {"plugin": "movies", "algo": algo, "policy_net": net, "timesteps": steps}
        Training(read_config(TrainConfig, values), tmp_path / algo).train()
    found = evaluate(
        {
            "plugin": "movies",
            "recommenders": tuple(str(tmp_path / algo) for algo in TRAININGS),
            "policies": ("random", "popular"),
            "user_splits": ("train",),
        },
        tmp_path / "evaluation",
        charts=False,
    )
    known = found["user_splits"]["train"]
    reward = {name: told["metrics"]["mean_reward"] for name, told in known["recommenders"].items()}
    for algo in TRAININGS:
        assert reward[algo]["low"] > reward["random"]["high"], reward
    beside = known["differences"]["best_baseline"]
    assert beside["reference"] == "popular"
    above = {name: told["metrics"]["mean_reward"] for name, told in beside["recommenders"].items()}
    for algo in TRAININGS:
        assert above[algo]["low"] > 0, above
