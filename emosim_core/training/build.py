"""Building what is trained: the network and the algorithm, from a configuration and a world."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from emosim_core.errors import ConfigurationError
from emosim_core.hooks.component import load_object
from emosim_core.recommenders.networks import Net, NetOptions, item_features, public_ratings
from emosim_core.simulation.assembly import World
from emosim_core.training.algorithms import ALGORITHMS, arguments
from emosim_core.training.config import TrainConfig
from emosim_core.training.vec_env import StableBaselines3VecEnv


def make_net(config: TrainConfig, world: World) -> Net:
    """The network of a training, with what it begins with."""
    features = item_features(world.catalog)
    algorithm = ALGORITHMS[config.algo]
    prior = algorithm.prior if config.prior is None else config.prior
    met = np.zeros(len(world.population), dtype=np.bool_)
    met[world.user_indices] = True
    options = NetOptions(
        kind=config.policy_net,
        num_users=len(world.population),
        items=len(world.catalog),
        features=features.shape[1],
        history_length=config.history_length,
        low=world.domain.scale.low,
        high=world.domain.scale.high,
        max_steps=config.max_steps,
        embedding_dim=config.embedding_dim,
        hidden=config.hidden,
    )
    catalog = world.catalog
    public = 2.0 * (catalog.public_ratings - catalog.scale.low) / catalog.scale.span - 1.0
    start = prior * public_ratings(catalog)
    return Net(options, features, public.astype(np.float32), start.astype(np.float32), algorithm.gain, met)


def make_model(config: TrainConfig, net: Net, env: StableBaselines3VecEnv) -> Any:
    """The algorithm with its network, untrained.

    Raises:
        ConfigurationError: the algorithm refuses an argument, or there is no such device.
    """
    algorithm = ALGORITHMS[config.algo]
    given = arguments(config)
    if config.device.startswith("cuda") and not torch.cuda.is_available():  # stable-baselines3 would take the CPU
        raise ConfigurationError(f"device {config.device!r}: torch finds no CUDA here; give --device auto or cpu")
    try:
        return load_object(algorithm.cls)(
            load_object(algorithm.policy),
            env,
            policy_kwargs={"net": net},
            seed=config.seed,
            device=config.device,
            **given,
        )
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{algorithm.title} refuses its arguments: {error}") from error
