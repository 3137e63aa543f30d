"""Trackers: where the learning curves of a training go beside progress.jsonl."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter, TensorBoardOutputFormat

from emosim_core.data import json_text
from emosim_core.errors import ConfigurationError, MissingDependencyError
from emosim_core.training.config import TrainConfig

_EXPERIMENT = "emosim"
"""What W&B calls a project, and MLflow an experiment."""


_PACKAGES = {
    "tensorboard": ("tensorboard", "train"),
    "wandb": ("wandb", "wandb"),
    "wandb-offline": ("wandb", "wandb"),
    "mlflow": ("mlflow", "mlflow"),
}
"""Package of each tracker, and the extra that brings it."""


def check_trackers(names: Iterable[str]) -> None:
    """See that the packages of some trackers are installed; a MissingDependencyError names the first that is not."""
    for name in names:
        if find_spec(_PACKAGES[name][0]) is None:
            raise _missing(name)


def _missing(name: str) -> MissingDependencyError:
    package, extra = _PACKAGES[name]
    return MissingDependencyError(f"--track {name}", package, f'pip install "emosim-core[{extra}]"')


def trackers(config: TrainConfig, directory: Path) -> list[KVWriter]:
    """The writers that ``config.track`` asks for; an EmoSimError where a package is missing or nobody answers."""
    writers: list[KVWriter] = []
    for name in dict.fromkeys(config.track):
        if name == "mlflow":
            writers.append(_MlflowWriter(config, directory))
        elif name != "tensorboard":
            writers.append(_WandbWriter(config, directory, name == "wandb-offline"))
        else:
            try:
                writers.append(TensorBoardOutputFormat(str(directory / name)))
            except (AssertionError, ImportError) as error:
                raise _missing(name) from error
    return writers


class _WandbWriter(KVWriter):
    """Sends what is logged to a run of Weights & Biases; offline, the run stays in the directory."""

    def __init__(self, config: TrainConfig, directory: Path, offline: bool) -> None:
        try:
            import wandb
        except ImportError as error:
            raise _missing("wandb") from error
        settings = wandb.Settings(silent=True, console="off", mode="offline" if offline else None)
        try:
            made, place = config.model_dump(mode="json"), str(directory)
            self._run = wandb.init(project=_EXPERIMENT, name=directory.name, dir=place, config=made, settings=settings)
        except wandb.errors.Error as error:
            raise ConfigurationError(
                f"Weights & Biases does not answer ({error}). Log in with: wandb login, "
                "or keep the run here with --track wandb-offline"
            ) from error

    def write(self, key_values: Mapping[str, Any], key_excluded: Mapping[str, tuple[str, ...]], step: int = 0) -> None:
        self._run.log(dict(key_values), step=step)

    def close(self) -> None:
        self._run.finish()


class _MlflowWriter(KVWriter):
    """Sends what is logged to a run of MLflow: in the store that ``MLFLOW_TRACKING_URI`` names, or in the directory.

    A store that fails later on ends the tracking with a warning, and the training goes on.
    """

    def __init__(self, config: TrainConfig, directory: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # MLflow would report its use to its makers
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # seconds, where MLflow would wait for minutes
        try:
            import sqlalchemy  # noqa: F401
            from mlflow import MlflowClient
            from mlflow.entities import Metric, Param
            from mlflow.exceptions import MlflowException
        except ImportError as error:
            raise _missing("mlflow") from error
        for name in ("mlflow", "alembic"):  # each tells of the tables that it makes
            logging.getLogger(name).setLevel(logging.WARNING)
        self._error, self._metric = MlflowException, Metric
        address = os.environ.get("MLFLOW_TRACKING_URI") or _local_store(directory)
        values = config.model_dump(mode="json").items()
        parameters = [Param(name, one if isinstance(one, str) else json_text.dumps(one)) for name, one in values]
        try:
            self._client = MlflowClient(tracking_uri=address)
            experiment = self._client.get_experiment_by_name(_EXPERIMENT)
            number = experiment.experiment_id if experiment else self._client.create_experiment(_EXPERIMENT)
            self._run = self._client.create_run(number, run_name=directory.name).info.run_id
            self._client.log_batch(self._run, params=parameters)
        except MlflowException as error:
            raise ConfigurationError(
                f"MLflow does not answer ({error}). MLFLOW_TRACKING_URI names its server or its store; without it, the "
                "run is kept in the directory"
            ) from error

    def write(self, key_values: Mapping[str, Any], key_excluded: Mapping[str, tuple[str, ...]], step: int = 0) -> None:
        if self._run is None:
            return
        now = int(1000 * time.time())
        metrics = [
            self._metric(name, float(value), now, step)
            for name, value in key_values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        try:
            self._client.log_batch(self._run, metrics=metrics)
        except self._error as error:
            warnings.warn(f"MLflow gets no more of the curves, which are in progress.jsonl: {error}", stacklevel=2)
            self._run = None

    def close(self) -> None:
        if self._run is not None:
            self._client.set_terminated(self._run)


def _local_store(directory: Path) -> str:
    """A database in the directory, as MLflow names it."""
    folder = (directory / "mlflow").absolute()
    folder.mkdir(exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"
