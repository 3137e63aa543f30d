"""A quick look at a model in training: its mean return on evaluation episodes."""

from __future__ import annotations

from typing import Any

from sb3_contrib.common.maskable import evaluation as masked
from stable_baselines3.common.evaluation import evaluate_policy

from emosim_core.recommenders.networks import Net
from emosim_core.simulation.assembly import World
from emosim_core.simulation.vector_env import EmoSimVectorEnv
from emosim_core.training.config import TrainConfig
from emosim_core.training.vec_env import StableBaselines3VecEnv

EVALUATION_SEED = 4042
"""Seed of the episodes: neither a training meets them, whose seeds are derived, nor ``emosim evaluate``."""


def mean_return(world: World, model: Any, net: Net, config: TrainConfig) -> float:
    """Mean return of ``config.eval_episodes`` episodes, one in each slot, the best item recommended each time."""
    env = EmoSimVectorEnv(num_envs=config.eval_episodes, autoreset_mode="SameStep", world=world)
    adapter = StableBaselines3VecEnv(env, net.options.keys)
    adapter.seed(EVALUATION_SEED)
    evaluate: Any = masked.evaluate_policy if config.algo == "maskable_ppo" else evaluate_policy
    return float(evaluate(model, adapter, n_eval_episodes=config.eval_episodes)[0])
