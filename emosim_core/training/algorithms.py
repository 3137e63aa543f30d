"""Algorithms: what trains, by name, with the defaults that suit recommending."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emosim_core.errors import ConfigurationError
from emosim_core.hooks.names import did_you_mean
from emosim_core.training.config import TrainConfig

_HERE = "emosim_core.training"


@dataclass(frozen=True)
class Algorithm:
    """An algorithm of stable-baselines3 or sb3-contrib, with the places of its class and its policy.

    Attributes:
        steps: the argument that says how many steps each environment makes between updates.
        prior: where the score of an item begins, in standard deviations of the public ratings.
        gain: what a taste for an item adds to its score in the beginning, per unit; read by ``mlp``.
        defaults: arguments that differ from the library's.
        by_net: arguments that differ for one network.
    """

    title: str
    cls: str
    policy: str
    steps: str
    prior: float
    gain: float
    defaults: Mapping[str, Any] = field(default_factory=dict)
    by_net: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_ACTOR_CRITIC = f"{_HERE}.policies:ItemActorCritic"

_PPO: dict[str, Any] = {"n_steps": 16, "batch_size": 512, "n_epochs": 4, "gae_lambda": 0.0}
_PPO_BY_NET = {"cf": {"learning_rate": 0.02}, "mlp": {"learning_rate": 0.002}}

# One rating tells little and later ones are hardly moved by it, so advantages look one step ahead, not far.
ALGORITHMS: dict[str, Algorithm] = {
    "a2c": Algorithm(
        "A2C",
        "stable_baselines3:A2C",
        _ACTOR_CRITIC,
        "n_steps",
        prior=2.0,
        gain=1.0,
        defaults={"gae_lambda": 0.0, "use_rms_prop": False},
        by_net={"cf": {"learning_rate": 0.02}, "mlp": {"learning_rate": 0.003}},
    ),
    "ppo": Algorithm(
        "PPO", "stable_baselines3:PPO", _ACTOR_CRITIC, "n_steps", prior=2.0, gain=1.0, defaults=_PPO, by_net=_PPO_BY_NET
    ),
    "dqn": Algorithm(
        "DQN",
        f"{_HERE}.dqn:MaskedDQN",
        f"{_HERE}.policies:ItemDQNPolicy",
        "train_freq",
        prior=0.15,
        gain=0.45,  # half of a scale from 1 to 10, as a share of its top
        defaults={
            "train_freq": 1,
            "gradient_steps": 2,
            "batch_size": 512,
            "buffer_size": 50_000,
            "learning_starts": 3_000,
            "target_update_interval": 64,
            "tau": 0.005,
            "exploration_fraction": 0.3,
            "exploration_initial_eps": 0.5,
            "exploration_final_eps": 0.02,
        },
        by_net={"cf": {"learning_rate": 0.003, "batch_size": 256, "tau": 0.02}, "mlp": {"learning_rate": 0.001}},
    ),
    "trpo": Algorithm(
        "TRPO",
        "sb3_contrib:TRPO",
        _ACTOR_CRITIC,
        "n_steps",
        prior=2.0,
        gain=1.0,
        defaults={
            "n_steps": 32,
            "batch_size": 512,
            "gae_lambda": 0.0,
            "target_kl": 0.02,
            "n_critic_updates": 4,
            "cg_max_steps": 6,
        },
        by_net={"cf": {"learning_rate": 0.005}, "mlp": {"learning_rate": 0.002}},
    ),
    "maskable_ppo": Algorithm(
        "MaskablePPO",
        "sb3_contrib:MaskablePPO",
        f"{_HERE}.policies:MaskableItemActorCritic",
        "n_steps",
        prior=2.0,
        gain=1.0,
        defaults=_PPO,
        by_net=_PPO_BY_NET,
    ),
}

_OURS = {"policy", "env", "policy_kwargs", "seed", "device", "verbose", "tensorboard_log", "_init_setup_model"}
"""Arguments that a training sets itself."""

_LAST_RATE = 0.1
"""Share of the learning rate that is left at the end, so that a training of one update learns too."""


def load(place: str) -> Any:
    """A class by ``"package.module:Class"``."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def arguments(config: TrainConfig) -> dict[str, Any]:
    """The arguments of the algorithm's class: the defaults, then what the configuration says.

    Raises:
        ConfigurationError: the class has no such argument, or it is set otherwise.
    """
    algorithm = ALGORITHMS[config.algo]
    parameters = inspect.signature(load(algorithm.cls).__init__).parameters
    known = set(parameters) - {"self"}
    for name, value in config.algorithm.items():
        if name in _OURS or name in ("gamma", "learning_rate", algorithm.steps):
            raise ConfigurationError(f"algorithm.{name}: a training sets this itself, or has an option for it")
        if name not in known:
            raise ConfigurationError(
                f"algorithm.{name}: {algorithm.title} has no such argument.{did_you_mean(name, known)}"
            )
        if isinstance(parameters[name].default, int | float) and not isinstance(value, int | float):
            raise ConfigurationError(f"algorithm.{name}: {algorithm.title} wants a number, got {value!r}")
    made = {**algorithm.defaults, **algorithm.by_net.get(config.policy_net, {}), **config.algorithm}
    made["gamma"] = config.gamma
    rate = made["learning_rate"] if config.learning_rate is None else config.learning_rate
    # By the share of the training that is left: linearly down to a tenth.
    made["learning_rate"] = lambda remaining: rate * (_LAST_RATE + (1.0 - _LAST_RATE) * max(remaining, 0.0))
    if config.n_steps is not None:
        made[algorithm.steps] = config.n_steps
    if algorithm.steps == "n_steps" and "batch_size" in made and "batch_size" not in config.algorithm:
        steps = made["n_steps"] if "n_steps" in made else parameters["n_steps"].default
        made["batch_size"] = min(made["batch_size"], steps * config.num_envs)
    return made
