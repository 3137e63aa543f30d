"""Sweep: runs or trainings of many configurations and seeds, in one directory, with one table of what came out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from emosim_core.components.base import Rater
from emosim_core.data import json_text
from emosim_core.data.tables import write_csv
from emosim_core.errors import ConfigurationError, EmoSimError, RunError
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import by_field
from emosim_core.hooks.names import checked_options, spelled
from emosim_core.kinds import KINDS, SWEEP
from emosim_core.model.frozen import Frozen
from emosim_core.runs.cells import Cell, OnProgress, Worlds, executor_of
from emosim_core.runs.job import MANIFEST, JobDirectory
from emosim_core.runs.manifest import now
from emosim_core.runs.reading import read_object
from emosim_core.runs.records import FORMAT, SUMMARY
from emosim_core.runs.runner import run_part
from emosim_core.simulation.assembly import STRATEGIES
from emosim_core.simulation.config import EnvironmentConfig, RunConfig, read_config, read_toml
from emosim_core.studies.jobs import JOBS, folder_name
from emosim_core.studies.search import Search, SearchPlan, best_of, check_metric

RESULTS, TABLE = KINDS[SWEEP].results, "results.csv"

_MOST = 100_000
"""Jobs of one sweep."""

_METRICS = {
    "run": ("mean_reward", "mean_rating", "share_liked", "episode_length", "failed_ratings"),
    "train": ("reward", "length", "train", "test"),
}
"""Metrics of the table, by command: of a training, reward and length of its last episodes, and the reward of train
and test users."""


class SweepPlan(Frozen):
    """What a sweep goes through, each with each seed: combinations of ``grid``, ``configurations``, or a ``search``."""

    command: Literal["run", "train"] = Field(default="run", description="What is done with each configuration.")
    num_seeds: int = Field(default=1, ge=1, description="Seeds of each configuration: that of it, and the next ones.")
    base: dict[str, Any] = Field(default_factory=dict, description="Fields that all configurations share.")
    grid: dict[str, list[Any]] = Field(
        default_factory=dict, description="Fields and the values of each; every combination is a configuration."
    )
    configurations: list[dict[str, Any]] = Field(default_factory=list, description="Fields of each configuration.")
    search: SearchPlan | None = Field(default=None, description="Where Optuna looks for the best configuration.")


@dataclass(frozen=True)
class SweepJob:
    """One run or training of a sweep.

    Attributes:
        key: its name, and that of its folder in ``directory``.
        place: which of the configurations it is of, from 0.
        values: the fields in which it differs from ``base``.
        config: the whole configuration, as JSON.
    """

    key: str
    place: int
    seed: int
    command: str
    values: Mapping[str, Any]
    config: Mapping[str, Any]
    directory: Path

    @property
    def complete(self) -> bool:
        """Whether it was done already."""
        path = self.directory / SUMMARY
        return path.is_file() and read_object(path).get("complete", True) is True

    @property
    def metrics(self) -> dict[str, float | None]:
        """What came out, by name; None where there is nothing to take the mean of."""
        summary = read_object(self.directory / SUMMARY)
        if self.command == "run":
            summary["episode_length"] = summary["episode_length"]["mean"]
        else:
            summary |= summary["evaluation"] or {}
        return {name: summary.get(name) for name in _METRICS[self.command]}


def read_plan(path: Path) -> SweepPlan:
    """The plan in a TOML file.

    Raises:
        ConfigurationError: it is no TOML, a field is unknown or wrong, or it names no configuration or several ways
            to them.
        DataError: there is no such file.
    """
    plan = checked_options(SweepPlan, read_toml(path), str(path))
    if [bool(plan.grid), bool(plan.configurations), plan.search is not None].count(True) != 1:
        raise ConfigurationError(f"{path}: give one of [grid], [[configurations]] and [search]")
    if plan.search is not None:
        check_metric(plan.search, _METRICS[plan.command], str(path))
    for name, values in plan.grid.items():
        if not values:
            raise ConfigurationError(f"{path}: grid: {name!r} has no value")
    return plan


class Sweep:
    """One sweep in its directory; every configuration is checked before it is done, those of a plan before any is.

    Args:
        plan: what it goes through.
        where: where the plan is from, for messages.

    Raises:
        ConfigurationError: a configuration is wrong; says which.
    """

    def __init__(self, plan: SweepPlan, directory: JobDirectory, registry: Registry, where: str = "sweep") -> None:
        self.plan, self.directory, self.registry, self._where = plan, directory, registry, where
        self._model: type[EnvironmentConfig] = RunConfig
        if plan.command == "train":
            from emosim_core.training.config import TrainConfig

            self._model = TrainConfig
        self._base = by_field(self._model, plan.base, f"{where}: base")
        self._own: list[dict[str, Any]] = []
        self._configs: list[Any] = []
        self._uses_llm = False
        self._search = None if plan.search is None else Search(plan.search)
        # Of a search the first ones: they show what is wrong with its plan.
        self._add(_combinations(plan) if self._search is None else self._search.ask())
        directory.check()

    def _add(self, configurations: Sequence[Mapping[str, Any]]) -> None:
        """Take in the next configurations, as their own fields."""
        for values in configurations:
            here = f"{self._where}: configuration {len(self._own) + 1}"
            own = by_field(self._model, values, self._where)
            config: Any = read_config(self._model, _over(self._base, own, here), here)
            try:
                domain = self.registry.resolve_domain(config.plugin).component.name
                for kind, (field, _) in {**STRATEGIES, "policy": ("policy", None)}.items():
                    if choice := getattr(config, field, None):
                        resolved = self.registry.resolve(kind, choice, domain)
                        if kind == "rater":
                            rater: Rater = resolved.build(Rater)
                            self._uses_llm = self._uses_llm or rater.uses_llm
            except EmoSimError as error:
                error.args = (f"{here}: {error}",)
                raise
            self._own.append(own)
            self._configs.append(config)
        if len(self._own) * self.plan.num_seeds > _MOST:
            raise ConfigurationError(f"{self._where}: more than {_MOST:,} jobs")

    @property
    def jobs(self) -> list[SweepJob]:
        """All jobs that are known, those of one configuration side by side."""
        jobs = []
        for place, (own, config) in enumerate(zip(self._own, self._configs, strict=True)):
            for number in range(self.plan.num_seeds):
                seed = config.seed + number
                values = config.model_copy(update={"seed": seed}).model_dump(mode="json")
                key = _key(place, own, seed)
                folder = self.directory.path / JOBS / key
                jobs.append(SweepJob(key, place, seed, self.plan.command, own, values, folder))
        return jobs

    @property
    def _total(self) -> int:
        """How many jobs there will be."""
        count = len(self._own) if self.plan.search is None else self.plan.search.trials
        return count * self.plan.num_seeds

    def run(
        self,
        executor: str | Mapping[str, Any] = "local",
        on_job: Callable[[int, int], None] = lambda done, total: None,
    ) -> dict[str, Any]:
        """Do every job that is not done, and write and return the results.

        Args:
            executor: where the jobs are done.
            on_job: called with the number of jobs that are done, and that of all.

        Raises:
            EmoSimError: a job cannot be done; those that are done stay, to be resumed, also at a KeyboardInterrupt.
        """
        where = executor_of(executor, self.registry)
        with self.directory:
            self.directory.claim()
            self._begin()
            done = 0
            jobs = self.jobs
            worlds = Worlds(self.registry, self._uses_llm)
            while jobs:
                remaining = [job for job in jobs if not job.complete]
                done += len(jobs) - len(remaining)
                on_job(done, self._total)
                if remaining:
                    cells = [Cell(job.key, run_job, job, job.directory) for job in remaining]
                    with closing(where.run(cells, worlds, lambda count: None)) as ended:
                        for _ in ended:
                            done += 1
                            on_job(done, self._total)
                jobs = self._searched(jobs)
            results = compute_results(self.plan.command, self.jobs, self.plan.search)
            self.directory.write(RESULTS, results)
            write_csv(self.directory.path / TABLE, *_table(results))
            return results

    def _searched(self, jobs: Sequence[SweepJob]) -> list[SweepJob]:
        """The next jobs of a search, after what came out of the last ones; empty where nothing is left."""
        if self._search is None:
            return []
        known, metric = len(self._own), self._search.plan.metric
        metrics = [one["metrics"][metric] for one in compute_results(self.plan.command, jobs)["configurations"]]
        self._search.tell([None if one is None else one["mean"] for one in metrics])
        self._add(self._search.ask())
        jobs = [job for job in self.jobs if job.place >= known]
        for place in sorted({job.place for job in jobs}):
            # Other versions of Optuna may choose otherwise; what was done then is none of this search.
            names = {job.key for job in jobs if job.place == place}
            for folder in self.directory.path.glob(f"{JOBS}/{place + 1:03d}-*"):
                if folder.name not in names:
                    raise RunError(
                        f"{folder} is of another configuration than Optuna chooses now: its version has changed. "
                        "Choose another place with --out"
                    )
        return jobs

    def _begin(self) -> None:
        plan: dict[str, Any] = {
            "command": self.plan.command,
            "jobs": [{"job": job.key, "config": dict(job.config)} for job in self.jobs],
        }
        if self.plan.search is not None:
            plan |= {"jobs_in_all": self._total, "plan": self.plan.model_dump(mode="json")}
        if self.directory.resume:
            stored = read_object(self.directory.path / MANIFEST)
            if stored.get("kind") != "sweep" or {**stored, **json_text.loads(json_text.dumps(plan))} != stored:
                raise RunError(f"{self.directory.path} was begun with another plan; choose another place with --out")
            return
        manifest = {"format": FORMAT, "kind": "sweep", "created": now(), **plan}
        self.directory.write(MANIFEST, manifest)


def run_job(job: SweepJob, worlds: Worlds, on_progress: OnProgress) -> None:
    """Do one job of a sweep, or what is left of it.

    Raises:
        EmoSimError: it cannot be done; names the job.
    """
    try:
        if job.command == "run":
            run_part(RunConfig(**job.config), job.directory, worlds, lambda count: None)
        else:
            from emosim_core.training.config import TrainConfig
            from emosim_core.training.trainer import Training

            place = JobDirectory(job.directory, "train", resume=(job.directory / MANIFEST).exists(), part=True)
            config = TrainConfig(**job.config)
            before = worlds.spent
            training = Training(config, place, False, worlds.registry, before, worlds.ask_service(config.environment))
            try:
                training.train()
            finally:
                worlds.spent = before + (training.world.rater.usage().get("cost") or 0.0)
    except EmoSimError as error:
        error.args = (f"{job.key}: {error}",)
        raise
    on_progress(1)


def compute_results(command: str, jobs: Sequence[SweepJob], search: SearchPlan | None = None) -> dict[str, Any]:
    """What results.json holds: of each configuration its metrics, over its seeds, and of each job its own.

    Each metric of a configuration has ``mean``, ``lowest`` and ``highest`` over the seeds; None where one has no value.
    Of a ``search`` also what was best: ``metric``, ``direction`` and ``best``, the place of the configuration.
    """
    rows: list[dict[str, Any]] = [
        {"job": job.key, "seed": job.seed, "values": _shown(job.values), "metrics": job.metrics} for job in jobs
    ]
    together = []
    for place in sorted({job.place for job in jobs}):
        own = [row for row, job in zip(rows, jobs, strict=True) if job.place == place]
        metrics = {}
        for name in _METRICS[command]:
            values: list[Any] = [row["metrics"][name] for row in own]
            metrics[name] = None if None in values else _over_seeds(values)
        seeds = [row["seed"] for row in own]
        together.append({"values": own[0]["values"], "seeds": seeds, "metrics": metrics})
    results = {"format": FORMAT, "kind": "sweep", "command": command, "configurations": together, "jobs": rows}
    if search is not None:
        best = best_of(search, [one["metrics"] for one in together])
        results["search"] = {"metric": search.metric, "direction": search.direction, "best": best}
    return results


def _over_seeds(values: Sequence[float]) -> dict[str, float]:
    return {"mean": round(float(np.mean(values)), 6), "lowest": min(values), "highest": max(values)}


def _table(results: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """results.csv: a row for each job."""
    fields = list(dict.fromkeys(name for row in results["jobs"] for name in row["values"]))
    metrics = _METRICS[results["command"]]
    rows = [
        [
            row["job"],
            *(row["values"].get(name, "") for name in fields),
            row["seed"],
            *("" if (value := row["metrics"][name]) is None else value for name in metrics),
        ]
        for row in results["jobs"]
    ]
    return ["job", *fields, "seed", *metrics], rows


def _combinations(plan: SweepPlan) -> list[dict[str, Any]]:
    if plan.configurations:
        return list(plan.configurations)
    return [dict(zip(plan.grid, values, strict=True)) for values in itertools.product(*plan.grid.values())]


def _over(base: Mapping[str, Any], own: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of a configuration over those of all; ``policy.epsilon`` is an option of the policy that is chosen."""
    values = {**base, **{name: value for name, value in own.items() if "." not in name}}
    for name, value in own.items():
        field, dot, option = name.partition(".")
        if dot:
            if not (choice := values.get(field)):
                raise ConfigurationError(f"{where}: {name!r} is an option of {field!r}, which is not given")
            values[field] = {**({"name": choice} if isinstance(choice, str) else choice), option: value}
    return values


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they stand in a table: a component as one writes it."""
    return {
        name: spelled(value) if isinstance(value, Mapping) and "name" in value else value
        for name, value in values.items()
    }


def _key(place: int, values: Mapping[str, Any], seed: int) -> str:
    """A name for a folder: readable, and different for every job."""
    parts = [f"{place + 1:03d}", *(f"{name}_{value}" for name, value in _shown(values).items()), f"seed{seed}"]
    return folder_name(parts)
