"""A quick look at a model in training: its mean return on held-out episodes."""

from __future__ import annotations

from typing import Any

import numpy as np

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
    observation: Any = adapter.reset()
    returns = np.full(config.eval_episodes, np.nan)
    while np.isnan(returns).any():
        given = {"action_masks": adapter.action_masks()} if config.algo == "maskable_ppo" else {}
        actions, _ = model.predict(observation, deterministic=True, **given)
        observation, _, dones, infos = adapter.step(actions)
        for slot in np.flatnonzero(dones).tolist():
            if np.isnan(returns[slot]):
                returns[slot] = infos[slot]["episode"]["r"]
    return float(returns.mean())
