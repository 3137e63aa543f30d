"""Ablation: a sweep of jobs that can be killed and resumed, and its results, made anew from the records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from emosim_core.data.tables import write_csv
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.hooks import Registry
from emosim_core.hooks.names import spelled
from emosim_core.kinds import ABLATION, KINDS
from emosim_core.runs.cells import Executor, Worlds
from emosim_core.runs.job import JobDirectory, job_directory, write_file
from emosim_core.runs.manifest import begin_job, check_same, data_of, now, versions_of
from emosim_core.runs.plain import child, own_files
from emosim_core.runs.reach import reaches, same_component
from emosim_core.runs.reading import check, check_format, read_object
from emosim_core.runs.records import FORMAT, MANIFEST, read_json
from emosim_core.runs.schemas import Count, Name, Number, Part, Usage, Written
from emosim_core.runs.trust import CommandHint, confirmed
from emosim_core.runs.typed import typed
from emosim_core.runs.usage import summed
from emosim_core.simulation.config import ComponentChoice, EnvironmentConfig
from emosim_core.studies.ablation.grid import ALL, AblationConfig, jobs, variants
from emosim_core.studies.ablation.jobs import DONE, Job, JobRecords, label, read_job, study_of
from emosim_core.studies.ablation.metrics import AXES, HOW, compute_metrics, measure_job
from emosim_core.studies.cost import Estimate, estimate
from emosim_core.studies.jobs import JOBS, claimed
from emosim_core.studies.study import Study
from emosim_core.studies.trials import draw_trials

RESULTS, TABLE = KINDS[ABLATION].results, "results.csv"

_MODELS = (EnvironmentConfig, AblationConfig)
"""Models of the fields of an ablation."""

MeasuredJob = tuple[JobRecords, dict[str, Any]]
"""The records of a job, and its measures."""

_COLUMNS = (
    *("of", "study", *AXES, "seed", "metric", "side", "estimate", "low", "high", "interval", "better"),
    *("ratings", "failed"),
)


@dataclass(frozen=True)
class Plan:
    """What an ablation is about to do: all its jobs in order, and how many ratings each asks for, by its key.

    ``left_out`` are studies that the domain has no material for, each with the reason; ``estimates`` what asking will
    take, by the key of each job that calls a language model.
    """

    jobs: Sequence[Job]
    ratings: Mapping[str, int]
    left_out: Mapping[str, str]
    estimates: Mapping[str, Estimate]
    announcements: Sequence[str]

    @property
    def remaining(self) -> list[Job]:
        """The jobs that are not done yet."""
        return [job for job in self.jobs if not job.complete]


class Ablation:
    """One ablation in its directory.

    The studies of the configuration may be :data:`~emosim_core.studies.ablation.grid.ALL`. ``resume`` is known by a job
    directory.
    """

    def __init__(
        self,
        config: AblationConfig,
        directory: Path | JobDirectory,
        registry: Registry,
        resume: bool = False,
    ) -> None:
        self.job_directory = job_directory(directory, "ablate", resume)
        self.job_directory.check()
        self.worlds = Worlds(registry)
        self.config, left_out = self._with_studies(config)
        self.plan = self._planned(left_out)

    @property
    def directory(self) -> Path:
        """Where it is written."""
        return self.job_directory.path

    def _with_studies(self, config: AblationConfig) -> tuple[AblationConfig, dict[str, str]]:
        """The configuration with its studies by name, and those that the domain lacks material for."""
        if config.studies != [ALL]:
            if ALL in config.studies:
                raise ConfigurationError(f"'{ALL}' stands for every study; name no other beside it")
            return config, {}
        world = self.worlds.of(variants(config)[0].environment)
        left_out, studies = {}, []
        for component, _ in self.worlds.registry.components("study", world.domain.name):
            study, resolved = study_of(self.worlds.registry, component.name, world.domain.name)
            try:
                draw_trials(study, component.name, world, config.seed, label(resolved))
            except ConfigurationError as error:
                left_out[component.name] = str(error)
            else:
                studies.append(component.name)
        if not studies:
            raise ConfigurationError(
                f"the domain {world.domain.name!r} has material for no study:\n  "
                + "\n  ".join(f"{name}: {reason}" for name, reason in left_out.items())
            )
        return config.model_copy(update={"studies": studies}), left_out

    def _planned(self, left_out: Mapping[str, str]) -> Plan:
        """Counts everything and makes every component once, so that what is wrong is found before anything is asked."""
        planned = jobs(self.config, self.directory)
        ratings: dict[str, int] = {}
        estimates: dict[str, Estimate] = {}
        announcements: list[str] = []
        chosen: dict[tuple[str, int], Any] = {}
        self.parts: list[dict[str, Any]] = []
        self.uses_llm = False
        seen: list[Mapping[str, Any]] = []
        for job in planned:
            world = self.worlds.of(job.environment)
            if job.environment not in seen:
                seen.append(job.environment)
                self.parts.append({"variant": dict(job.variant), "parts": world.parts})
                self.uses_llm = self.uses_llm or world.rater.uses_llm
                announcements += [one for one in world.announcements if one not in announcements]
            same = (spelled(job.study), job.seed)
            if same not in chosen:
                study, resolved = study_of(self.worlds.registry, job.study, world.domain.name)
                chosen[same] = draw_trials(study, resolved.component.name, world, job.seed, label(resolved))
            ratings[job.key] = len(chosen[same].trials)
            if world.rater.uses_llm and (cost := estimate(world, chosen[same])) is not None:
                estimates[job.key] = cost
        self.worlds.serves = self.uses_llm
        world = self.worlds.of(planned[0].environment)
        domain, scale = world.domain, world.domain.scale
        about = {"name": domain.name, "title": domain.title, "scale": [scale.low, scale.high, scale.step]}
        self.about = {"domain": about, "data": data_of(world)}
        return Plan(planned, ratings, dict(left_out), estimates, announcements)

    def manifest(self) -> dict[str, Any]:
        """What manifest.json holds."""
        return {
            "format": FORMAT,
            "kind": "ablation",
            "created": now(),
            "uses_llm": self.uses_llm,
            "config": self.config.model_dump(mode="json"),
            "variants": self.parts,
            "jobs": [
                {"job": job.key, "study": spelled(job.study), "seed": job.seed, "variant": dict(job.variant)}
                for job in self.plan.jobs
            ],
            "left_out": dict(self.plan.left_out),
            **self.about,
            "versions": versions_of(variant["parts"] for variant in self.parts),
            "announcements": list(self.plan.announcements),
        }

    def run(
        self,
        executor: Executor,
        on_ratings: Callable[[int], None] = lambda count: None,
        on_job: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Do every job that is not done, and write and return the results.

        ``on_ratings`` gets the number of new ratings, ``on_job`` is called at the end of each job. After an EmoSimError
        or a KeyboardInterrupt, the jobs that are done stay, to be resumed.
        """
        with claimed(self.job_directory, lambda: any(job.complete for job in self.plan.jobs)):
            self.plan = replace(self.plan, jobs=jobs(self.config, self.directory))  # it may have a number
            self._begin()
            measured: dict[str, MeasuredJob] = {}
            if cells := [replace(job, data=self.about["data"]).cell for job in self._ordered(executor)]:
                with closing(executor.run(cells, self.worlds, on_ratings)) as done:
                    for cell in done:
                        on_job()
                        if executor.workers > 1:  # while others are done
                            measured[cell.key] = self._measured(cell.arguments)
            outcome = results(self.directory, self.worlds.registry, self.config.flat(), measured)
            write_file(self.directory / RESULTS, outcome)
            write_csv(self.directory / TABLE, _COLUMNS, list(_rows(outcome)))
            return outcome

    def _ordered(self, executor: Executor) -> list[Job]:
        """The jobs that are not done; of each variant the longest first where several workers do them."""
        if executor.workers == 1:
            return self.plan.remaining
        of_variants = groupby(self.plan.remaining, key=lambda job: job.variant)
        return [job for _, some in of_variants for job in sorted(some, key=lambda job: -self.plan.ratings[job.key])]

    def _measured(self, job: Job) -> MeasuredJob:
        """A job that is done, read and measured."""
        study, resolved = study_of(self.worlds.registry, job.study, self.about["domain"]["name"])
        records = read_job(job.directory)
        return records, measure_job(records, study, label(resolved))

    def _begin(self) -> None:
        """Write the manifest, or see that what is resumed is answered as it was begun."""
        manifest = self.manifest()

        def check(stored: Mapping[str, Any]) -> None:
            check_same(self.directory, _comparable(stored), _comparable(manifest))

        flat = partial(AblationConfig.flat_of, self.directory)
        begin_job(self.job_directory, manifest, _MODELS, self.worlds.registry, check, _manifest, flat)


def resumed(
    directory: Path | JobDirectory,
    registry: Registry,
    given: Mapping[str, Any] | None = None,
    again: CommandHint | None = None,
) -> Ablation:
    """An ablation that was begun, to be continued; as :class:`Ablation`.

    An EmoSimError where there is none, or what it names cannot be made any more.

    Args:
        given: values of the grid and of its environment that the user gives again, as the error of another value says;
            how a language model is called (``gateway``) may be another way.
        again: how values are given again.
    """
    path = directory.path if isinstance(directory, JobDirectory) else directory
    config = AblationConfig.of(path, _manifest(path))
    own_files(path)
    own = dict(given or {})
    if gateway := own.get("gateway"):
        shared = {**config.environment, "gateway": {**config.environment.get("gateway", {}), **gateway}}
        config = config.model_copy(update={"environment": shared})
    stored = config.flat()
    again = again or CommandHint(typed("ablate", "--resume", path))
    confirmed(path, stored, own, stored, _MODELS, registry, again)
    domain = registry.resolve_domain(stored["plugin"]).component.name
    for name, value in own.items():
        existing = stored.get(name) if name != "gateway" else value
        if value != existing and not same_component(name, value, existing, _MODELS, registry, domain):
            raise ConfigurationError(
                f"--resume goes on with the grid of {path}, which has another {name}; leave it out"
            )
    return Ablation(config, directory, registry, resume=True)


def _see_studies(
    directory: Path, choices: Sequence[ComponentChoice], given: Mapping[str, Any], registry: Registry
) -> None:
    """See that the studies which records name are of the grid, and reach no further than they may."""
    manifest = _manifest(directory)
    domain = manifest["domain"]["name"]
    reaching = [one for one in choices if reaches({"studies": [one]}, _MODELS, registry, domain)]
    if not reaching:
        return
    grid = manifest.get("config", {}).get("studies", [])
    stored = {"plugin": domain, "studies": grid}
    again = CommandHint(typed("ablate", "report", directory), {"studies": "--study"})
    confirmed(directory, stored, given, stored, _MODELS, registry, again)
    for one in reaching:
        if not any(same_component("studies", one, other, _MODELS, registry, domain) for other in grid):
            raise RunError(f"{directory}: the study {spelled(one)!r} is not one of its grid; the files were changed")


def results(
    directory: Path,
    registry: Registry,
    given: Mapping[str, Any] | None = None,
    measured: Mapping[str, MeasuredJob] | None = None,
) -> dict[str, Any]:
    """What results.json holds of an ablation, computed from its records.

    ``given`` are values that the user gives again, of those that the directory names; ``measured`` are jobs that were
    measured already, by their keys. An EmoSimError where there is no ablation, a record is damaged, or a study of it is
    not installed any more or must be given again by the user.
    """
    measured = measured or {}
    manifest = _manifest(directory)
    domain = manifest["domain"]["name"]
    registry.load_all(domain=domain)
    complete, missing = [], []
    for one in manifest["jobs"]:
        folder = child(directory / JOBS, one["job"])
        if (folder / DONE).is_file():
            complete.append((one["job"], measured[one["job"]][0] if one["job"] in measured else read_job(folder)))
        else:
            missing.append(one["job"])
    heads = [job.head["study"] for _, job in complete]
    chosen: dict[str, ComponentChoice] = {one["spec"]: {"name": one["name"], **one["options"]} for one in heads}
    _see_studies(directory, list(chosen.values()), given or {}, registry)
    studies: dict[str, tuple[Study, str]] = {}
    for name, choice in chosen.items():
        study, resolved = study_of(registry, choice, domain)
        studies[name] = (study, label(resolved))
    return {
        "format": FORMAT,
        "kind": "ablation",
        "plugin": domain,
        "title": manifest["domain"]["title"],
        "scale": manifest["domain"]["scale"],
        "uses_llm": any(job.head.get("uses_llm") for _, job in complete),
        "studies": list(studies),
        "left_out": manifest["left_out"],
        "missing": missing,
        **compute_metrics(complete, studies, {key: metrics for key, (_, metrics) in measured.items()}),
        "intervals": HOW,
    }


def usage(directory: Path) -> dict[str, Any]:
    """What calling a language model took in all jobs that are done; empty if none was called."""
    paths = [child(directory / JOBS, one["job"]) / DONE for one in _manifest(directory)["jobs"]]
    return summed([read_object(path, _DONE)["usage"] for path in paths if path.is_file()])


def _rows(outcome: Mapping[str, Any]) -> Iterable[list[Any]]:
    for of, part in (("job", "jobs"), ("seeds together", "pooled")):
        for one in outcome[part]:
            for metric in one["metrics"]:
                row = {"of": of, **one, **one["variant"], **metric}
                if of != "job":
                    row["seed"] = " ".join(map(str, one["seeds"]))
                yield ["" if row.get(name) is None else row[name] for name in _COLUMNS]
    for one in outcome["differences"]:
        row = {**one, "of": "difference", "interval": "bootstrap", "seed": " ".join(map(str, one["seeds"]))}
        for axis in AXES:
            first, second = one["first"][axis], one["second"][axis]
            row[axis] = first if first == second else f"{first} - {second}"
        yield ["" if row.get(name) is None else row[name] for name in _COLUMNS]


class _Domain(Written):
    name: Name
    title: str
    scale: Annotated[list[Number], Field(min_length=3, max_length=3)]


class _Job(Written):
    job: Annotated[str, Field(pattern=r"^[^/\\.\x00][^/\\\x00]*$")]
    study: str
    seed: int
    variant: dict[str, str]


class _Variant(Written):
    variant: dict[str, str]
    parts: dict[str, Part]


class _Manifest(Written):
    """What manifest.json of an ablation holds; ``config`` is checked by who goes on with it."""

    format: Count
    kind: Literal["ablation"]
    config: dict[str, Any]
    variants: list[_Variant]
    jobs: list[_Job]
    left_out: dict[str, str]
    domain: _Domain
    data: dict[str, int | str | None]
    announcements: list[str]


class _Done(Written):
    """What job.json holds."""

    ratings: Count
    failed: Count
    usage: Usage


_MANIFEST, _DONE = TypeAdapter(_Manifest), TypeAdapter(_Done)


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    manifest = read_json(path)
    if manifest.get("kind") != "ablation":
        raise RunError(f"{directory} is no ablation; emosim ablate makes one")
    check_format(path, manifest, FORMAT)
    check(path, manifest, _MANIFEST)
    return manifest


def _comparable(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What must be as it was when an ablation is resumed: all but how a language model is called."""
    variants = enumerate(manifest["variants"], start=1)
    return {
        "config": {"domain": manifest["domain"], "jobs": manifest["jobs"]},
        "parts": {f"variant {n}: {kind}": part for n, one in variants for kind, part in one["parts"].items()},
        "data": manifest["data"],
    }
