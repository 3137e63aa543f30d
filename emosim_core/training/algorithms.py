"""Algorithms: what trains, by name, with the defaults of ``algorithms.toml``, which suit recommending."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from emosim_core.data.toml_files import read_toml
from emosim_core.errors import ConfigurationError
from emosim_core.hooks.component import load_object
from emosim_core.hooks.names import did_you_mean
from emosim_core.training.config import TrainConfig


@dataclass(frozen=True)
class Algorithm:
    """An algorithm of stable-baselines3 or sb3-contrib, with the places of its class and its policy.

    Attributes:
        steps: the argument that says how many steps each environment makes between updates.
        prior: where the score of an item begins, in standard deviations of the public ratings.
        candidates: items that are scored at once in a large catalog.
        gain: what a taste for an item adds to its score in the beginning, per unit; read by ``mlp``.
        sharpness: score of one unit of expected reward, as a share of the top of the scale; read by ``bayes``.
        learns_choice: whether a choice model is learned from clicks on slates.
        defaults: arguments that differ from the library's.
        by_net: arguments that differ for one network.
    """

    title: str
    cls: str
    policy: str
    steps: str
    prior: float
    gain: float
    sharpness: float
    candidates: int
    learns_choice: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    by_net: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


ALGORITHMS = read_toml(
    files("emosim_core.training") / "algorithms.toml", "emosim_core/training/algorithms.toml", dict[str, Algorithm]
)
"""What trains, by name."""

_OURS = {"policy", "env", "policy_kwargs", "seed", "device", "verbose", "tensorboard_log", "_init_setup_model"}
"""Arguments that a training sets itself."""

_LAST_RATE = 0.1
"""Share of the learning rate that is left at the end, so that a training of one update learns too."""


def arguments(config: TrainConfig) -> dict[str, Any]:
    """The arguments of the algorithm's class: the defaults, then what the configuration may say; others are errors."""
    algorithm = ALGORITHMS[config.algo]
    parameters = inspect.signature(load_object(algorithm.cls).__init__).parameters
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
