"""Jobs: the independent parts of an ablation, each of one study, seed and variant, done and read back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter

from emosim_core.data import json_text
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.hooks import Registry, Resolved
from emosim_core.hooks.names import spelled
from emosim_core.model import RatingScale
from emosim_core.runs.cells import Cell, OnProgress, Worlds, check_data
from emosim_core.runs.job import cannot_write, write_file
from emosim_core.runs.manifest import data_of
from emosim_core.runs.reading import damaged
from emosim_core.runs.records import FORMAT
from emosim_core.runs.schemas import Count, Name, Number, Written
from emosim_core.runs.usage import since
from emosim_core.simulation.config import ComponentChoice
from emosim_core.studies.jobs import read_job_file
from emosim_core.studies.study import RatedTrials, Study, rated_trials
from emosim_core.studies.trials import draw_trials, run_trials

RECORDS = "records.jsonl"
DONE = "job.json"
"""Written last: a job without it is done again."""


class _Study(Written):
    name: Name
    options: dict[str, Any]
    spec: str


class _Head(Written):
    """The first line: which study this is."""

    format: Count
    study: _Study
    seed: int
    variant: dict[str, str]
    scale: Annotated[list[Number], Field(min_length=3, max_length=3)]
    trials: Count
    facts: dict[str, Any]


class _Record(Written):
    """What metrics are made from, in every other line."""

    trial: Count
    side: str
    group: str
    cluster: str
    user: str
    item: str
    at_least: Number | None
    at_most: Number | None
    rating: Number | None


_HEAD, _RECORD = TypeAdapter(_Head), TypeAdapter(_Record)


@dataclass(frozen=True)
class Job:
    """One unit of work, whole in itself: a process elsewhere can do it.

    Attributes:
        key: its name, and that of its folder ``directory``.
        environment: an environment's configuration as JSON; ``variant`` has its components by name, for tables.
        data: digests of the items and users that it must have; empty for any.
    """

    key: str
    directory: Path
    study: ComponentChoice
    seed: int
    environment: Mapping[str, Any]
    variant: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether it was done already."""
        return (self.directory / DONE).is_file() and (self.directory / RECORDS).is_file()

    @property
    def cell(self) -> Cell:
        """It as a cell, for executors."""
        return Cell(self.key, run_job, self, self.directory, needs=())


def study_of(registry: Registry, choice: ComponentChoice, domain: str) -> tuple[Study, Resolved]:
    """A study by its name, and where it comes from."""
    resolved = registry.resolve("study", choice, domain)
    study: Study = resolved.build(Study)
    return study, resolved


def label(resolved: Resolved) -> str:
    """A study in words."""
    return f"study {resolved.component.name!r} of {resolved.provider.label}"


def run_job(job: Job, worlds: Worlds, on_ratings: OnProgress = lambda count: None) -> None:
    """Put the trials of a job and write its records, whole or not at all; ``on_ratings`` gets the number of new ones.

    An EmoSimError where items or users are others than ``job.data`` says, a component failed, no request can be
    answered, or the records cannot be written.
    """
    began = time.perf_counter()
    world = worlds.of(job.environment)
    check_data(worlds.cached(job.environment, lambda: data_of(world)), job.data)
    study, resolved = study_of(worlds.registry, job.study, world.domain.name)
    trials = draw_trials(study, resolved.component.name, world, job.seed, label(resolved))
    before = world.rater.usage()
    scale = world.domain.scale
    brought = {user.id: user for user in trials.users if user.id not in world.population.index}
    head = {
        "format": FORMAT,
        "study": {**resolved.describe(), "spec": spelled(job.study)},
        "seed": job.seed,
        "variant": dict(job.variant),
        "uses_llm": world.rater.uses_llm,
        "scale": [scale.low, scale.high, scale.step],
        "trials": len(trials.trials),
        "facts": dict(trials.facts),
        "users": [user.model_dump(mode="json") for user in brought.values()],
    }
    lines = [json_text.line(head)]
    failed = 0
    for one in run_trials(world, trials, job.seed, on_ratings):
        failed += one["rating"] is None
        lines.append(json_text.line(one))
    usage = since(before, world.rater.usage())
    done = {
        "ratings": len(lines) - 1,
        "failed": failed,
        "seconds": round(time.perf_counter() - began, 3),
        "usage": usage,
    }
    try:
        job.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(job.directory, error) from error
    write_file(job.directory / RECORDS, b"".join(lines))
    write_file(job.directory / DONE, done)


@dataclass(frozen=True)
class JobRecords:
    """The records of a job: the first line, the columns that metrics are made from, and number, user and item of each.

    ``trials`` are the same for all jobs of a study and seed.
    """

    head: Mapping[str, Any]
    rated: RatedTrials
    trials: Sequence[tuple[int, str, str]]


def read_job(directory: Path) -> JobRecords:
    """The records of a job. Raises RunError: the file is missing or damaged; names the line."""
    path = directory / RECORDS
    head, records = read_job_file(path, _HEAD, _RECORD, whole=False)
    if len(records) != head["trials"]:
        raise RunError(f"{path}: {len(records)} records of {head['trials']} trials; the file was cut or added to")
    low, high, step = head["scale"]
    with damaged(path):
        scale = RatingScale(low=low, high=high, step=step)
    for number, one in enumerate(records, start=2):
        rating = one["rating"]
        if rating is not None and not scale.contains(rating):
            raise RunError(f"{path}, line {number}: {rating!r} is no rating of the scale {scale}")
    trials = [(one["trial"], one["user"], one["item"]) for one in records]
    return JobRecords(head, rated_trials(records, scale, head["facts"]), trials)


def together(some: Sequence[RatedTrials]) -> RatedTrials:
    """The same study under several seeds as one. Raises ConfigurationError: they are not of one study."""
    first = some[0]
    if any(str(one.scale) != str(first.scale) or one.facts != first.facts for one in some):
        raise ConfigurationError("the jobs of one study differ in their scale or in what they compare with")
    names = ("ratings", "succeeded", "sides", "groups", "clusters")
    columns: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in some]) for name in names}
    return replace(first, **columns)
