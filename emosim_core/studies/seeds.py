"""Trainings of one recommender under several seeds, side by side in one directory: a sweep of one configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emosim_core.hooks import Registry
from emosim_core.runs import schemas
from emosim_core.runs.job import MANIFEST, JobDirectory
from emosim_core.runs.reading import check
from emosim_core.runs.records import config_of_seeds, read_json, stored_config
from emosim_core.studies.sweep import Sweep, SweepPlan
from emosim_core.training.config import TrainConfig


def train_seeds(
    config: TrainConfig,
    job: JobDirectory,
    registry: Registry,
    executor: str | Mapping[str, Any] = "local",
    on_job: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Train a recommender under each of ``config.num_seeds`` seeds, into ``jobs/`` of one directory.

    Arguments, results and errors are as of :meth:`~emosim_core.studies.sweep.Sweep.run`.
    """
    one = config.model_copy(update={"num_seeds": 1}).model_dump(mode="json")
    plan = SweepPlan(command="train", num_seeds=config.num_seeds, base=one, configurations=[{}])
    return Sweep(plan, job, registry, "train").run(executor, on_job)


def base(values: Mapping[str, Any], resumed: Path | None) -> tuple[Path | None, dict[str, Any]]:
    """The training, or the trainings of several seeds, that are resumed, and their configuration; None and nothing.

    Raises:
        RunError: there is nothing to resume.
    """
    if resumed is None:
        return None, {}
    config = config_of_seeds(read_json(resumed / MANIFEST)) if (resumed / MANIFEST).exists() else None
    if config is None:
        return resumed, stored_config(resumed, "train")
    check(f"{resumed / MANIFEST}: jobs", config, schemas.ENVIRONMENT)
    return resumed, config
