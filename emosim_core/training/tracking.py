"""Tracking: curves in TensorBoard and Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter, TensorBoardOutputFormat

from emosim_core.errors import ConfigurationError, MissingDependencyError
from emosim_core.training.config import TrainConfig


def trackers(config: TrainConfig, directory: Path) -> list[KVWriter]:
    """The writers that ``config.track`` asks for.

    Raises:
        ConfigurationError: Weights & Biases is not logged in.
        MissingDependencyError: a package is missing.
    """
    writers: list[KVWriter] = []
    for name in dict.fromkeys(config.track):
        if name != "tensorboard":
            writers.append(_WandbWriter(config, directory, name == "wandb-offline"))
            continue
        try:
            writers.append(TensorBoardOutputFormat(str(directory / name)))
        except (AssertionError, ImportError) as error:
            raise MissingDependencyError(f"--track {name}", name, 'pip install "emosim-core[train]"') from error
    return writers


class _WandbWriter(KVWriter):
    """Sends what is logged to a run of Weights & Biases; offline, the run stays in the directory."""

    def __init__(self, config: TrainConfig, directory: Path, offline: bool) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingDependencyError("--track wandb", "wandb", 'pip install "emosim-core[wandb]"') from error
        settings = wandb.Settings(silent=True, console="off", mode="offline" if offline else None)
        try:
            made, place = config.model_dump(mode="json"), str(directory)
            self._run = wandb.init(project="emosim", name=directory.name, dir=place, config=made, settings=settings)
        except wandb.errors.Error as error:
            raise ConfigurationError(
                f"Weights & Biases does not answer ({error}). Log in with: wandb login, "
                "or keep the run here with --track wandb-offline"
            ) from error

    def write(self, key_values: Mapping[str, Any], key_excluded: Mapping[str, tuple[str, ...]], step: int = 0) -> None:
        self._run.log(dict(key_values), step=step)

    def close(self) -> None:
        self._run.finish()
