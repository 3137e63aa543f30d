"""The functions that a program starts with: make an environment, register one, run sessions, train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emosim_core.simulation.env import EmoSimEnv
    from emosim_core.simulation.vector_env import EmoSimVectorEnv


def make(plugin: str, **options: Any) -> EmoSimEnv:
    """A Gymnasium environment of one simulated person.

    Args:
        plugin: the domain, such as ``"movies"``.
        options: ``render_mode``, ``registry``, and the fields of
            :class:`~emosim_core.simulation.config.EnvironmentConfig`, such as ``slate=3`` or
            ``items_retrieval="last_3"``.

    Raises:
        EmoSimError: something that the options name is wrong or missing.
    """
    from emosim_core.simulation.env import EmoSimEnv

    return EmoSimEnv(plugin, **options)


def make_vec(plugin: str, num_envs: int = 1, **options: Any) -> EmoSimVectorEnv:
    """A Gymnasium vector environment of ``num_envs`` simulated people who are stepped as one batch.

    Args:
        plugin: the domain, such as ``"movies"``.
        num_envs: how many people.
        options: ``autoreset_mode``, ``registry``, and the fields of
            :class:`~emosim_core.simulation.config.EnvironmentConfig`.

    Raises:
        EmoSimError: something that the options name is wrong or missing.
    """
    from emosim_core.simulation.vector_env import EmoSimVectorEnv

    return EmoSimVectorEnv(plugin, num_envs, **options)


def run(plugin: str, out: str | Path, *, resume: bool = False, **options: Any) -> dict[str, Any]:
    """Simulate sessions of a recommender with simulated people, as ``emosim run`` does.

    Args:
        plugin: the domain, such as ``"movies"``.
        out: the directory of the run.
        resume: whether to continue the run that is there.
        options: fields of :class:`~emosim_core.simulation.config.RunConfig`.

    Returns:
        The summary, as written to summary.json.

    Raises:
        EmoSimError: something that the options name is wrong or missing, or the run cannot be written.
    """
    from emosim_core.runs.runner import Run
    from emosim_core.simulation.config import RunConfig, read_config

    return Run(read_config(RunConfig, {"plugin": plugin, **options}, "run"), Path(out), resume).run()


def train(plugin: str, out: str | Path, *, resume: bool = False, **options: Any) -> dict[str, Any]:
    """Train a recommender on simulated people, as ``emosim train`` does.

    Args:
        plugin: the domain, such as ``"movies"``.
        out: the directory of the training.
        resume: whether to continue the training that is there.
        options: fields of :class:`~emosim_core.training.config.TrainConfig`, such as ``algo="ppo"``.

    Returns:
        The summary, as written to summary.json.

    Raises:
        EmoSimError: something that the options name is wrong or missing, or the training cannot be written.
    """
    from emosim_core.simulation.config import read_config
    from emosim_core.training.config import TrainConfig
    from emosim_core.training.trainer import Training

    return Training(read_config(TrainConfig, {"plugin": plugin, **options}, "train"), Path(out), resume).train()


def register_environment(plugin: str) -> None:
    """Register a domain with Gymnasium, ``movies`` as ``EmoSim/Movies-v0``; its package calls this when imported."""
    import gymnasium

    name = f"EmoSim/{plugin.title().replace('_', '')}-v0"
    if name not in gymnasium.registry:
        gymnasium.register(
            name,
            entry_point="emosim_core.simulation.env:EmoSimEnv",
            vector_entry_point="emosim_core.simulation.vector_env:EmoSimVectorEnv",
            kwargs={"plugin": plugin},
        )
