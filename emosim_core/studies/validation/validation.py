"""Validation: sets simulated users the tasks that real users solved, and stores every answer."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from pydantic import ConfigDict, field_validator, model_validator
from typing_extensions import Self

from emosim_core.components.base import Rater
from emosim_core.components.rule_based import RECORDED_USERS
from emosim_core.data import json_text
from emosim_core.errors import ConfigurationError
from emosim_core.fitting.profiles import Profiles
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import component_table
from emosim_core.llm.label_weights import fit_label_weights
from emosim_core.llm.rater import model_rater
from emosim_core.model import User
from emosim_core.model.arrays import Floats
from emosim_core.model.frozen import option
from emosim_core.model.user import TRAITS
from emosim_core.runs.cells import Cell, OnProgress, Worlds, check_data, executor_of
from emosim_core.runs.job import write_file
from emosim_core.runs.manifest import digest, now, versions_of
from emosim_core.runs.records import FORMAT, MANIFEST
from emosim_core.runs.usage import since, summed
from emosim_core.simulation.assembly import World
from emosim_core.simulation.config import EnvironmentConfig, read_config
from emosim_core.simulation.logs import LogConfig
from emosim_core.studies.cost import Estimate, estimate
from emosim_core.studies.jobs import JOBS, ResumableStudy, StudyConfig
from emosim_core.studies.study import Trial, Trials
from emosim_core.studies.validation import users as real
from emosim_core.studies.validation.candidates import Existing, draw_tests
from emosim_core.studies.validation.knowledge import Knowledge, Known, RealLog
from emosim_core.studies.validation.records import RECORDS, RESULTS, ValidationJob, resumed_manifest, write_lines
from emosim_core.studies.validation.results import compute_results
from emosim_core.studies.validation.simulator import RATE, UserSimulator, simulator_at

Check = Literal["memorization", "person", "mood", "activity", "traits", "order", "paraphrase", "example", "repetition"]
"""What an audit can check, in its order."""

WORDS = "lexical"
"""How items get embeddings by default."""

CHOICES, RATINGS = "choices", "ratings"
"""What is measured."""

LABEL_WEIGHTS = "label_weights.json"
"""What corrects the probabilities of a language model for other users than those who were measured."""

_WRITTEN = 40
"""Requests that are written out to learn how long they are."""

_DIGITS = 6
"""Digits of the largest score of a user that are recorded."""


class ValidationConfig(LogConfig, StudyConfig):
    """Validation configuration: a log of real users, who is measured on what, and the environment."""

    model_config = ConfigDict(title="Validation")

    test_users: Path | None = option(
        None, "File with the ids of exactly those users who are measured, one a line.", unset="users in folds"
    )
    split: Literal["validation", "test"] | None = option(
        None, "Measure one of two fixed groups of users instead.", unset="users in folds"
    )
    max_users: int | None = option(None, "Maximum users who are measured.", ge=2, unset="all", unit="users")
    only: tuple[Literal["choices", "ratings"], ...] = option(
        (CHOICES, RATINGS), "What is measured, with commas between.", min_length=1
    )
    audit: bool = option(
        False, "Audit the rater instead: its answers about real users, with one thing changed at a time."
    )
    checks: tuple[Check, ...] = option(
        get_args(Check), "What an audit checks, with commas between.", min_length=1, rare=True
    )
    negatives: tuple[int, ...] = option(
        (1, 3, 9), "Unchosen items for each chosen one, with commas between.", min_length=1, unit="items"
    )
    max_positives: int = option(20, "Maximum held-out items per user whose choice is tested.", ge=1, unit="items")
    max_heldout: int | None = option(None, "Maximum held-out ratings per user.", ge=1, unset="all", unit="ratings")
    max_questions: int | None = option(
        None,
        "Maximum answers asked of a rater in all; lowers max_positives and max_heldout, and what an audit asks.",
        ge=1,
        unset="no limit",
        unit="answers",
    )

    @field_validator("negatives")
    @classmethod
    def _rising(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if min(value) < 1:
            raise ValueError("needs whole numbers from 1 on")
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> Self:
        if self.test_users is not None and self.split is not None:
            raise ValueError("give test_users or split, not both")
        if not self.audit and self.checks != get_args(Check):
            raise ValueError("checks are those of an audit: give audit too")
        if self.audit and self.only != (CHOICES, RATINGS):
            raise ValueError("only is about a validation: the option of an audit is checks")
        return self


@dataclass(frozen=True)
class _Task:
    """The arguments of a cell: one part of a validation, with the digests of what it must be about."""

    config: ValidationConfig
    environment: Mapping[str, Any]
    embeddings: str
    part: int
    directory: Path
    data: Mapping[str, Any]


class _Data:
    """What all parts of a validation share: the log and who is measured."""

    def __init__(self, config: ValidationConfig, plugin: str, embeddings: str, registry: Registry) -> None:
        self.log = RealLog(registry, plugin, config.source, embeddings, config.seed)
        self.real_users = real.real_users_of(self.log.interactions)
        self.parts = real.parts_of(
            self.log.interactions, self.real_users, config.folds, config.split, config.test_users, config.max_users
        )

    def about(self) -> dict[str, Any]:
        """Digests of all that decides answers."""
        log, ids = self.log.interactions, [[one.id for one in part.users] for part in self.parts]
        return {
            "items_sha256": digest(self.log.catalog.items),
            "log_sha256": self.log.digest(),
            "users": len(log.user_ids),
            "interactions": len(log),
            "items": len(self.log.catalog),
            "explicit": log.values is not None,
            "times": log.times is not None,
            "measured": {part.name: len(part.users) for part in self.parts},
            "measured_sha256": hashlib.sha256(json_text.line(ids)).hexdigest(),
        }


class Validation(ResumableStudy):
    """One validation: loads the real users, asks, and writes; a DataError where a file is missing or malformed.

    A ConfigurationError where a value is wrong, or the source has no log of users, or of too few users.
    """

    command, options = "validate", ValidationConfig
    manifest_of = staticmethod(resumed_manifest)
    alone = ""

    def __init__(self, config: ValidationConfig, registry: Registry) -> None:
        self.config, self._registry = config, registry
        values = dict(config.environment)
        if values.get("rater") is None and values.get("llm_model") is None:
            values["rater"] = {"name": "rule_based", **RECORDED_USERS.model_dump()}
        # Words serve for retrieval, and a sentence model would take minutes for thousands of items.
        chosen = values.setdefault("embeddings", WORDS)
        environment: EnvironmentConfig = read_config(EnvironmentConfig, values, "validate")
        self._embeddings = environment.embeddings
        # The domain's own items are put aside as soon as they are loaded.
        self._environment = environment.model_copy(update={"embeddings": "auto"}).model_dump(mode="json")
        self._worlds = Worlds(registry)
        world = self._worlds.of(self._environment, learns=True)
        self._worlds.serves = world.rater.uses_llm
        self.data = self._worlds.cached(
            self._key, lambda: _Data(config, environment.plugin, self._embeddings, registry)
        )
        if RATINGS in config.only and self.data.log.interactions.values is None and CHOICES not in config.only:
            raise ConfigurationError("the log has no ratings: only choices can be measured")
        self._asked = self._within(config.max_questions)
        self.world = replace(world, catalog=self.data.log.catalog)
        notes = self.data.log.embedding_notes if chosen != WORDS else ()
        self.announcements = [*self.world.announcements, *self.data.log.notes, *notes]

    @property
    def _key(self) -> str:
        return f"{self.config.model_dump_json()} {self._embeddings}"

    @property
    def measured(self) -> list[real.RealUser]:
        """Everybody who is measured, part by part."""
        return [one for part in self.data.parts for one in part.users]

    def _within(self, most: int | None) -> ValidationConfig:
        """The configuration with as many held-out items per user as a number of answers allows."""
        config = self.config
        if most is None or self._questions(config) <= most:
            return config
        largest = max(len(one.later) for one in self.measured)
        for each in range(largest, 0, -1):
            heldout = min(each, config.max_heldout or each)
            fewer = config.model_copy(update={"max_positives": min(each, config.max_positives), "max_heldout": heldout})
            if self._questions(fewer) <= most:
                return fewer
        raise ConfigurationError(
            f"max_questions={most:,} is too few: one held-out item for each of {len(self.measured):,} users takes "
            f"{self._questions(fewer):,} answers. Lower --max-users, or measure less with --only and --negatives."
        )

    @property
    def requests(self) -> int:
        """Most answers that a rater is asked for which tells ratings and nothing more, as language models do."""
        return self._questions(self._asked)

    def _questions(self, config: ValidationConfig) -> int:
        chosen = sum(min(config.max_positives, len(one.later)) for one in self.measured)
        rated = sum(min(config.max_heldout or len(one.later), len(one.later)) for one in self.measured)
        tests = 3 if (~np.isnan(self.data.log.years)).any() else 2
        choices = chosen * (1 + tests * max(config.negatives))
        return choices * (CHOICES in config.only) + rated * (RATINGS in config.only)

    def estimate(self) -> Estimate | None:
        """Estimated calls, tokens and cost of the language model; None where the rater calls none.

        Cached answers are free. One request to each of up to 40 users is written out to learn how long requests are.
        """
        if not self.world.rater.uses_llm:
            return None
        part, log = self.data.parts[0], self.data.log
        some = part.users[-_WRITTEN:]
        known = Known(log.before(part.training, some[0].moment), log.catalog)
        profiles = Profiles(known.log, known.catalog, log.domain.scale, log.domain.words)
        users = [profiles.user(one.id, profiles.row(one.past)) for one in some]
        world = replace(self.world, catalog=known.catalog)
        memory = UserSimulator(world, some, users, self.config.seed).memories
        trials = [Trial(row, int(one.later[0]), memory=memory[row]) for row, one in enumerate(some)]
        estimated = estimate(world, Trials(users, trials))
        if estimated is None:
            return None
        times = self.requests / len(some)
        prompt, completion = round(estimated.prompt * times), round(estimated.completion * times)
        return replace(estimated, requests=self.requests, prompt=prompt, completion=completion)

    def _jobs(self, directory: Path) -> list[ValidationJob]:
        """All jobs, in the order of their records."""
        return [ValidationJob.of(directory, part.name) for part in self.data.parts]

    def _has_done(self, directory: Path) -> bool:
        return any(one.complete for one in self._jobs(directory))

    def _make(self, directory: Path, on_progress: OnProgress, executor: str | Mapping[str, Any]) -> dict[str, Any]:
        """Measure the users of every part, and compute the results."""
        jobs = self._jobs(directory)
        if not (directory / RESULTS).exists() or (directory / JOBS).exists():
            self._run_jobs(jobs, on_progress, executor)
            self._collect(jobs, directory)
        outcome = compute_results(directory)
        write_file(directory / RESULTS, outcome)
        shutil.rmtree(directory / JOBS, ignore_errors=True)
        return outcome

    def _collect(self, jobs: Sequence[ValidationJob], directory: Path) -> None:
        """Write the records of all jobs as files of their own."""
        records: dict[str, list[dict[str, Any]]] = {name: [] for name in RECORDS}
        usages = []
        for job in jobs:
            answered, usage = job.read()
            usages.append(usage)
            for name, lines in answered.items():
                records[name] += lines
        for name, lines in records.items():
            write_lines(directory / f"{name}.jsonl", lines)
        if (weights := self._label_weights(records["ratings"])) is not None:
            write_file(directory / LABEL_WEIGHTS, weights)
        write_file(directory / MANIFEST, {**resumed_manifest(directory), "usage": summed(usages)})

    def _label_weights(self, ratings: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """What corrects the probabilities of a language model for other users; None without such probabilities."""
        corrected = component_table(self._environment.get("rater"), "llm").get("prior") is not None
        distributions = [one for one in ratings if one.get("distribution")]
        if corrected or not distributions:
            return None
        expected = np.array([levels for one in distributions for levels in one["distribution"]], dtype=np.float64)
        given = np.array([value for one in distributions for value in one["real"]])
        complete = ~np.isnan(expected).any(axis=1)
        if not complete.any():
            return None
        levels = self.world.domain.scale.levels
        return fit_label_weights(expected[complete], given[complete], levels, self.world.rater.answered_by)

    def _run_jobs(self, jobs: Sequence[ValidationJob], on_user: OnProgress, executor: str | Mapping[str, Any]) -> None:
        where = executor_of(executor, self._registry)
        data, cells = self.data.about(), []
        for number, job in enumerate(jobs):
            if job.complete:
                on_user(len(self.data.parts[number].users))
                continue
            task = _Task(self._asked, self._environment, self._embeddings, number, job.directory, data)
            path = job.path.relative_to(job.directory).as_posix()
            cells.append(Cell(self.data.parts[number].name, measure_part, task, job.directory, (), path))
        if cells:
            with closing(where.run(cells, self._worlds, on_user)) as done:
                for _ in done:
                    pass

    def about(self) -> dict[str, Any]:
        """The manifest: what was asked, of whom, by what."""
        world = self.world
        return {
            "format": FORMAT,
            "kind": "validation",
            "protocol": 2,
            "title": f"{world.domain.title}: simulated users beside real ones",
            "config": self.config.model_dump(mode="json"),
            "parts": {**world.parts, "user_loader": {"name": "recorded", "source": self.config.ratings}},
            "uses_llm": world.rater.uses_llm,
            "language_model": world.model,
            "answered_by": world.answered_by,
            "scale": str(world.domain.scale),
            "levels": world.domain.scale.levels.tolist(),
            "data": self.data.about(),
            "interest": type(world.rater).interest_batch is not Rater.interest_batch,
            "expectation": type(world.rater).expected_batch is not Rater.expected_batch,
            "versions": versions_of([world.parts]),
            "created": now(),
            "usage": dict(world.rater.usage()),
        }


def measure_part(task: _Task, worlds: Worlds, on_user: OnProgress) -> None:
    """Measure the users of one part and write their records, whole or not at all."""
    config = task.config
    world = worlds.of(task.environment, learns=True)
    key = f"{config.model_dump_json()} {task.embeddings}"
    plugin = str(task.environment["plugin"])
    data: _Data = worlds.cached(key, lambda: _Data(config, plugin, task.embeddings, worlds.registry))
    check_data(data.about(), task.data)
    part = data.parts[task.part]
    before = dict(world.rater.usage())
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in RECORDS}
    existing, knowledge = data.log.existing(part.training), Knowledge(data.log, part, config.seed)
    model = model_rater(world.rater)
    if model is not None and model.deferred:
        with model.collecting():  # no request depends on an answer
            ahead = Knowledge(data.log, part, config.seed)
            for month, some in groupby(part.users, key=lambda one: one.moment):
                for _ in _measured(config, world, data.log, ahead, existing, month, [*some]):
                    pass
    for month, some in groupby(part.users, key=lambda one: one.moment):
        for name, lines in _measured(config, world, data.log, knowledge, existing, month, [*some]):
            records[name] += lines
            if name == "users":
                on_user(1)
    for name, lines in records.items():
        records[name] = [{"part": part.name, **line} for line in lines]
    ValidationJob.of(task.directory, part.name).write(records, since(before, world.rater.usage()))


def _measured(
    config: ValidationConfig,
    world: World,
    log: RealLog,
    knowledge: Knowledge,
    existing: Existing,
    month: int | None,
    real_users: Sequence[real.RealUser],
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Records of the users who are split at the start of one month, by file."""
    known = knowledge.known(month)
    when = None if month is None else str(np.datetime64(month, "M"))
    if not known.enough:
        for one in real_users:
            yield "users", [{"id": one.id, "moment": when, "left_out": "too few training users before the moment"}]
        return
    simulator, rows, users = simulator_at(world, knowledge, month, real_users, config.seed)
    for row, one in enumerate(real_users):
        if CHOICES in config.only:
            yield "choices", _choices(config, simulator, row, knowledge, existing, known)
        if RATINGS in config.only and one.values is not None:
            yield "ratings", [_ratings(config, simulator, row, knowledge)]
        yield "users", [_user_record(one, users[row], dict(zip(TRAITS, rows[row].tolist(), strict=False)), when, world)]


def _user_record(
    real_user: real.RealUser, user: User, metrics: Mapping[str, float], when: str | None, world: World
) -> dict[str, Any]:
    values = real_user.past.values
    past = None if values is None else [int(np.isclose(values, one).sum()) for one in world.domain.scale.levels]
    return {
        **user.model_dump(mode="json", include={"id", "liked", "disliked", "activity", "conformity", "diversity"}),
        "moment": when,
        "left_out": None,
        "past_count": real_user.past_count,
        "heldout": len(real_user.later),
        "trait_metrics": {name: round(value, 6) for name, value in metrics.items()},
        "past_levels": past,
    }


def _ratings(config: ValidationConfig, simulator: UserSimulator, row: int, knowledge: Knowledge) -> dict[str, Any]:
    real_user = simulator.real_users[row]
    rng = np.random.default_rng([config.seed, 1, *real_user.id.encode()])
    places = real.drawn(rng, len(real_user.later), config.max_heldout)
    items, given = real_user.later[places], real_user.later_values[places]
    answers, distribution = simulator.rate(row, items, RATE), simulator.distribution(row, items)
    levels = simulator.world.domain.scale.levels
    expected = simulator.expect(row, items) if distribution is None else distribution @ levels
    estimators = knowledge.ratings(real_user.moment)
    return {
        "user": real_user.id,
        "items": [simulator.world.catalog.items[item].id for item in items.tolist()],
        "real": _written(given),
        "answer": _written(answers),
        "expected": _written(answers if expected is None else expected),
        "baselines": {one.name: _written(one.predict(real_user.past, items)) for one in estimators},
        **({} if distribution is None else {"distribution": [_written(one) for one in distribution]}),
    }


def _choices(
    config: ValidationConfig, simulator: UserSimulator, row: int, knowledge: Knowledge, existing: Existing, known: Known
) -> list[dict[str, Any]]:
    real_user, catalog = simulator.real_users[row], known.catalog
    counts, most = catalog.public_counts, max(config.negatives)
    tests = draw_tests(real_user, existing, counts, most, config.max_positives, config.seed)
    shown = {
        name: np.column_stack([test.chosen, test.others]).ravel() for name, test in tests.items() if len(test.chosen)
    }
    if not shown:
        return []
    items, place = np.unique(np.concatenate([*shown.values()]), return_inverse=True)
    scores, terms, without = simulator.choose(row, items)
    beside = {one.name: one.scores(real_user.past, items) for one in knowledge.choices(real_user.moment)}
    bounds = np.cumsum([0, *map(len, shown.values())]).tolist()
    lines = []
    for number, (name, those) in enumerate(shown.items()):
        mine = place[bounds[number] : bounds[number + 1]]
        first = mine.reshape(-1, 1 + most)[:, : 1 + min(config.negatives)].ravel()
        lines.append(
            {
                "user": real_user.id,
                "test": name,
                "items": [catalog.ids[item] for item in those.tolist()],
                "score": _written(scores[mine]),
                "terms": {term: _written(added[first]) for term, added in terms.items()},
                "without": {term: _written(others[first]) for term, others in without.items()},
                "baselines": {one: _written(values[mine]) for one, values in beside.items()},
            }
        )
    return lines


def _written(values: Floats) -> list[float | None]:
    """Numbers as records hold them; None for NaN."""
    largest = np.nanmax(np.abs(values), initial=0.0, where=np.isfinite(values))
    decimals = _DIGITS - int(np.floor(np.log10(largest))) if largest > 0 else _DIGITS
    return [None if value != value else value for value in np.round(values, decimals).tolist()]
