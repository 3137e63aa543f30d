"""Validation: sets simulated users the tasks that real users solved, and stores every answer."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, field_validator

from emosim_core.components.base import Rater
from emosim_core.components.rule_based import RECORDED_USERS
from emosim_core.errors import ConfigurationError, UnknownNameError
from emosim_core.hooks import Component, Registry
from emosim_core.hooks.component import load_object
from emosim_core.hooks.fields import by_field
from emosim_core.hooks.names import nearest, with_value
from emosim_core.model import Domain, User
from emosim_core.model.arrays import Ints
from emosim_core.model.frozen import option
from emosim_core.model.loader import ItemLoader
from emosim_core.runs.job import JobDirectory, cannot_write, job_directory, write_file
from emosim_core.runs.manifest import begin_job, check_same, digest, now, versions_of
from emosim_core.runs.records import FORMAT, MANIFEST
from emosim_core.runs.steps import plain
from emosim_core.runs.usage import since, summed
from emosim_core.simulation.assembly import assemble, make_catalog
from emosim_core.simulation.config import EnvironmentConfig, read_config
from emosim_core.simulation.logs import is_table_log, load_log
from emosim_core.studies.cost import Estimate, estimate
from emosim_core.studies.jobs import JOBS, StudyConfig, claimed
from emosim_core.studies.study import Trial, Trials
from emosim_core.studies.validation import users as real
from emosim_core.studies.validation.baselines import FACTORS, Baselines
from emosim_core.studies.validation.records import RECORDS, RESULTS, ValidationJob, resumed_manifest, write_lines
from emosim_core.studies.validation.results import compute_results
from emosim_core.studies.validation.simulator import CHOOSE, RATE, RECOMMENDED, UserSimulator, episode_lengths

RECOMMENDERS = ("random", "popular", FACTORS)
"""Who recommends, worst first as it should be."""

WORDS = "lexical"
"""How items get embeddings by default."""

_ANSWERS, _RECOMMENDED, _ACTIVITY = "answers", "recommended", "activity"
"""Kinds of jobs."""

_WRITTEN = 40
"""Requests that are written out to learn how long they are."""

LISTED = 20
"""Items that each recommender recommends to each user."""


class ValidationConfig(StudyConfig):
    """Validation configuration: the real ratings, how many of them, and the simulated users' environment."""

    model_config = ConfigDict(title="Validation")

    ratings: str = option(..., "Ratings of real users: movielens:PATH, csv:FILE or parquet:FILE.")
    items: str | None = option(None, "Item source of the ratings.", unset="that of the ratings, or the domain's")
    columns: str = option("", "Columns of a csv: or parquet: log, such as user=uid,item=id,rating=stars,scale=1-5.")
    max_users: int | None = option(None, "Maximum users of each split.", ge=2, unset="all", unit="users")
    negatives: tuple[int, ...] = option(
        (1, 3, 9), "Unchosen items for each chosen one, with commas between.", min_length=1, unit="items"
    )
    max_positives: int = option(20, "Maximum held-out items per user whose choice is tested.", ge=1, unit="items")
    max_heldout: int | None = option(None, "Maximum held-out ratings per user.", ge=1, unset="all", unit="ratings")
    seed: int = option(42, "Seed of all random numbers.", ge=0, le=2**63 - 1)

    @field_validator("environment")
    @classmethod
    def _under_their_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        return by_field(EnvironmentConfig, value)

    @field_validator("negatives")
    @classmethod
    def _rising(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if min(value) < 1:
            raise ValueError("needs whole numbers from 1 on")
        return tuple(sorted(set(value)))


MODELS = (EnvironmentConfig, ValidationConfig)
"""Models of the fields of a validation."""


def stored_validation(directory: Path) -> dict[str, Any]:
    """The configuration of a validation that is to be resumed, flat."""
    return ValidationConfig.flat_of(directory, resumed_manifest(directory))


def _check_source(registry: Registry, plugin: str, source: str) -> None:
    """See that a source of items is one that may have ratings of single users.

    Raises:
        ConfigurationError: it has none, or its name is unknown; lists those that may.
    """
    domain: Domain = registry.resolve_domain(plugin).build(Domain)
    sources = [one for one, _ in registry.components("item_loader", domain.name) if _has_ratings(one)]
    known = [one.usage() for one in sources]
    try:
        chosen, _ = registry.describe("item_loader", source, domain.name)
    except UnknownNameError as error:
        close = nearest(error.name, [one.name for one in sources]) or with_value(source, sources)
        raise UnknownNameError("source of ratings", error.name, known, close) from None
    if chosen not in sources:
        raise ConfigurationError(
            f"the {chosen.title} has no ratings of single users. Sources that have: {', '.join(known) or 'none'}"
        )


def _has_ratings(component: Component) -> bool:
    """Whether an item loader may have ratings: it overrides ``load_ratings``, or a function makes it."""
    try:
        made = load_object(component.factory)
    except Exception:  # it says so itself where it is chosen
        return True
    return not isinstance(made, type) or getattr(made, "load_ratings", None) is not ItemLoader.load_ratings


class Validation:
    """One validation: loads the real users, asks, and writes; a DataError where a file is missing or malformed.

    A ConfigurationError where a value is wrong, or the source has no ratings of users, or too few users.
    """

    def __init__(self, config: ValidationConfig, registry: Registry) -> None:
        self.config, self._registry = config, registry
        values = dict(config.environment)
        if values.get("rater") is None and values.get("llm_model") is None:
            values["rater"] = {"name": "rule_based", **RECORDED_USERS.model_dump(exclude_defaults=True)}
        # Words serve for retrieval, and a sentence model would take minutes for thousands of items.
        chosen = values.setdefault("embeddings", WORDS)
        environment: EnvironmentConfig = read_config(EnvironmentConfig, values, "validate")
        if not is_table_log(config.ratings):
            _check_source(registry, environment.plugin, config.ratings)
        domain, loaded, ratings = load_log(registry, environment.plugin, config.ratings, config.items, config.columns)
        self.everybody = real.split_real_users(ratings, config.seed)
        loaded.items = real.public_items(loaded.items, self.everybody, ratings.user_written_fields)
        # The domain's own items are put aside as soon as they are loaded.
        world = assemble(environment.model_copy(update={"embeddings": "auto"}), registry)
        notes: list[str] = []
        self.world = replace(world, catalog=make_catalog(loaded, domain, environment.embeddings, notes))
        self.announcements = [
            *self.world.announcements,
            *loaded.notes,
            *ratings.notes,
            *(notes if chosen != WORDS else ()),
        ]
        self.user_splits = {
            user_split: real.of_split(self.everybody, user_split, config.max_users)
            for user_split in (real.CALIBRATION, real.VALIDATION, real.TEST)
        }

    @property
    def measured(self) -> dict[str, list[real.RealUser]]:
        """The groups that are measured."""
        return {name: self.user_splits[name] for name in (real.VALIDATION, real.TEST)}

    @property
    def requests(self) -> int:
        """Answers that a rater is asked for which tells ratings and nothing more, as language models do."""
        most, tested = self.config.max_positives, [*chain(*self.measured.values())]
        chosen, again = (
            sum(min(most, len(one.later)) for one in users) for users in (chain(*self.user_splits.values()), tested)
        )
        rated = sum(len(self._rated(real_user)) for real_user in tested)
        choices = chosen * (2 + max(self.config.negatives))
        return rated + choices + 2 * again + len(tested) * LISTED * len(RECOMMENDERS)

    def estimate(self) -> Estimate | None:
        """Estimated calls, tokens and cost of the language model; None where the rater calls none.

        Cached answers are free. One request to each of up to 40 users is written out to learn how long requests are.
        """
        if not self.world.rater.uses_llm:
            return None
        real_users = [*chain(*self.measured.values())][:_WRITTEN]
        trials = [Trial(row, int(one.later[0]), memory=one.memory) for row, one in enumerate(real_users)]
        estimated = estimate(self.world, Trials(self._users(real_users), trials))
        if estimated is None:
            return None
        times = self.requests / len(real_users)
        prompt, completion = round(estimated.prompt * times), round(estimated.completion * times)
        return replace(estimated, requests=self.requests, prompt=prompt, completion=completion)

    def run(
        self, directory: Path | JobDirectory, on_user: Callable[[], None] = lambda: None, resume: bool = False
    ) -> dict[str, Any]:
        """Do every job that is not done, write the records and the results, and return the latter.

        The directory must not exist or be empty, unless it is resumed, as a job directory knows. ``on_user`` is called
        whenever one user has finished one task. After an EmoSimError, the jobs that are done stay, to be resumed.
        """
        job = job_directory(directory, "validate", resume)
        # What a language model has answered is cached: to go on costs nothing.
        with claimed(job, lambda: self.world.rater.uses_llm or any(one.complete for one in self._jobs(job.path))):
            try:
                self._begin(job)
                self._on_user = on_user
                return self._play(job.path)
            except OSError as error:
                raise cannot_write(job.path, error) from error

    def check_resumed(self, directory: Path, stored: Mapping[str, Any] | None = None) -> None:
        """See that the validation in a directory, whose manifest is ``stored``, was begun with the same."""
        manifests = (resumed_manifest(directory) if stored is None else stored, self.about())
        old, new = ({**one, "config": ValidationConfig.flat_of(directory, one)} for one in manifests)
        check_same(directory, old, new, ("gateway",), ValidationConfig)

    def _begin(self, job: JobDirectory) -> None:
        """Write the manifest, or see that what is resumed is answered as it was begun."""
        check, flat = partial(self.check_resumed, job.path), partial(ValidationConfig.flat_of, job.path)
        begin_job(job, self.about(), MODELS, self._registry, check, resumed_manifest, flat)

    def _jobs(self, directory: Path) -> list[ValidationJob]:
        """All jobs, in the order of their records."""
        return [
            ValidationJob(user_split, what, directory)
            for user_split in self.user_splits
            for what in (_ANSWERS, _RECOMMENDED, _ACTIVITY)
            if what == _ANSWERS or user_split in self.measured
        ]

    def _play(self, directory: Path) -> dict[str, Any]:
        jobs = self._jobs(directory)
        if not (directory / RESULTS).exists() or (directory / JOBS).exists():
            self._run_jobs(jobs)
            records: dict[str, list[dict[str, Any]]] = {name: [] for name in RECORDS}
            usages = []
            for job in jobs:
                answered, usage = job.read()
                usages.append(usage)
                for name, lines in answered.items():
                    records[name] += lines
            for name, lines in records.items():
                write_lines(directory / f"{name}.jsonl", lines)
            write_file(directory / MANIFEST, {**resumed_manifest(directory), "usage": summed(usages)})
        outcome = compute_results(directory)
        write_file(directory / RESULTS, outcome)
        shutil.rmtree(directory / JOBS, ignore_errors=True)
        return outcome

    def _run_jobs(self, jobs: Sequence[ValidationJob]) -> None:
        everyone, world = [*chain(*self.user_splits.values())], self.world
        baselines = Baselines(world.catalog, self.everybody, everyone, world.domain.scale, self.config.seed)
        for job in jobs:
            if job.complete:
                for _ in range(self._steps(job)):
                    self._on_user()
                continue
            before = dict(world.rater.usage())
            records = self._answered(job, baselines)
            job.write(records, since(before, world.rater.usage()))

    def _answered(self, job: ValidationJob, baselines: Baselines) -> dict[str, list[dict[str, Any]]]:
        """The records of one job."""
        real_users = self.user_splits[job.user_split]
        users = self._users(real_users)
        if job.what == _ACTIVITY:
            return {"activity": self._activity(real_users, users)}
        simulator = UserSimulator(self.world, real_users, users, self.config.seed)
        if job.what == _RECOMMENDED:
            return {"recommended": self._recommended(simulator, baselines)}
        records: dict[str, list[dict[str, Any]]] = {"users": [], "choices": [], "ratings": []}
        for row, real_user in enumerate(real_users):
            records["users"].append(self._user_record(real_user, users[row]))
            records["choices"] += self._choices(simulator, row, baselines)
            self._on_user()
            if job.user_split in self.measured:
                records["ratings"] += self._ratings(simulator, row, baselines)
                self._on_user()
        return records

    def _steps(self, job: ValidationJob) -> int:
        """How often a job calls ``on_user``."""
        each = 2 if job.what == _ANSWERS and job.user_split in self.measured else 1
        return each * len(self.user_splits[job.user_split])

    @property
    def steps(self) -> int:
        """How often :meth:`run` calls ``on_user``."""
        return sum(self._steps(job) for job in self._jobs(Path()))

    def about(self) -> dict[str, Any]:
        """The manifest: what was asked, of whom, by what."""
        world = self.world
        return {
            "format": FORMAT,
            "kind": "validation",
            "title": f"{world.domain.title}: simulated users beside real ones",
            "config": self.config.model_dump(mode="json"),
            "parts": {**world.parts, "user_loader": {"name": "recorded", "source": self.config.ratings}},
            "uses_llm": world.rater.uses_llm,
            "language_model": world.model,
            "answered_by": world.answered_by,
            "scale": str(world.domain.scale),
            "levels": world.domain.scale.levels.tolist(),
            "liked": world.domain.scale.carry(7.0),
            "items": len(world.catalog),
            "data": {"items_sha256": digest(world.catalog.items), "ratings_sha256": _digest(self.everybody)},
            "users": {name: len(real.of_split(self.everybody, name)) for name, _ in real.USER_SPLITS},
            "interest": type(world.rater).interest_batch is not Rater.interest_batch,
            "expectation": type(world.rater).expected_batch is not Rater.expected_batch,
            "versions": versions_of([world.parts]),
            "created": now(),
            "usage": dict(world.rater.usage()),
        }

    def _users(self, real_users: Sequence[real.RealUser]) -> list[User]:
        world = self.world
        return real.personas(real_users, self.everybody, world.catalog, world.domain.scale, world.domain.words)

    def _rated(self, real_user: real.RealUser) -> Ints:
        """Places among the held-out ratings that are asked for."""
        places = np.arange(len(real_user.later))
        if self.config.max_heldout is None or len(places) <= self.config.max_heldout:
            return places
        rng = np.random.default_rng([self.config.seed, *real_user.id.encode()])
        return np.sort(rng.permutation(places)[: self.config.max_heldout])

    def _user_record(self, real_user: real.RealUser, user: User) -> dict[str, Any]:
        metrics = real.trait_metrics_of(real_user, self.world.catalog)
        levels = self.world.domain.scale.levels
        past = [int(np.isclose(real_user.past_values, level).sum()) for level in levels]
        return {
            "user_split": real_user.user_split,
            **user.model_dump(mode="json", include={"id", "liked", "disliked", "activity", "conformity", "diversity"}),
            "past_count": real_user.past_count,
            "heldout": len(real_user.later),
            "trait_metrics": {name: plain(value) for name, value in metrics.items()},
            "past_levels": past,
        }

    def _ratings(self, simulator: UserSimulator, row: int, baselines: Baselines) -> list[dict[str, Any]]:
        real_user = simulator.real_users[row]
        places = self._rated(real_user)
        items, given = real_user.later[places], real_user.later_values[places]
        answers, expected = simulator.rate(row, items, RATE), simulator.expect(row, items)
        expected = answers if expected is None else expected
        columns = {"real": given, "answer": answers, "expected": expected}
        return [
            {**about, **{name: plain(float(values[n])) for name, values in columns.items()}, "baselines": beside}
            for n, (about, beside) in enumerate(self._beside(real_user, items, baselines.ratings))
        ]

    def _beside(
        self, real_user: real.RealUser, items: Ints, predict: Callable[[real.RealUser, Ints], Mapping[str, Any]]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """For each item whom and what a record is about, and what the baselines say."""
        predicted = predict(real_user, items)
        for n, item in enumerate(items.tolist()):
            about = {"user_split": real_user.user_split, "user": real_user.id}
            about["item"] = self.world.catalog.items[item].id
            yield about, {name: plain(float(values[n])) for name, values in predicted.items()}

    def _choices(self, simulator: UserSimulator, row: int, baselines: Baselines) -> list[dict[str, Any]]:
        real_user = simulator.real_users[row]
        config, counts = self.config, self.world.catalog.public_counts
        seen = real.draw_choice_set(real_user, counts, max(config.negatives), config.max_positives, config.seed)
        items = np.concatenate([seen.chosen, seen.random, seen.matched])
        scores = simulator.choose(row, items)
        if scores is None:
            scores = simulator.expect(row, items)
        if scores is None:
            scores = simulator.rate(row, items, CHOOSE)
        sets = [(name, place) for name, of in vars(seen).items() for place in range(len(of))]
        return [
            {**about, "set": name, "place": place, "score": plain(float(score)), "baselines": beside}
            for (about, beside), (name, place), score in zip(
                self._beside(real_user, items, baselines.choices), sets, scores, strict=True
            )
        ]

    def _activity(self, real_users: Sequence[real.RealUser], users: Sequence[User]) -> list[dict[str, Any]]:
        """The same users about the same items, once all elusive and once all enthusiasts."""
        lines: list[dict[str, Any]] = [{"user_split": one.user_split, "user": one.id} for one in real_users]
        for level in (1, 3):
            changed = [user.model_copy(update={"activity": level}) for user in users]
            simulator = UserSimulator(self.world, real_users, changed, self.config.seed)
            for row, real_user in enumerate(real_users):
                answers = simulator.rate(row, real_user.later[: self.config.max_positives], RATE)
                lines[row][f"activity_{level}"] = [plain(value) for value in answers.tolist()]
                if level == 3:
                    self._on_user()
        return lines

    def _recommended(self, simulator: UserSimulator, baselines: Baselines) -> list[dict[str, Any]]:
        """What users answer to the first items that recommenders recommend, one after the other."""
        catalog, seed, real_users = self.world.catalog, self.config.seed, simulator.real_users
        lines: list[dict[str, Any]] = []
        ratings = {name: np.full((len(real_users), LISTED), np.nan) for name in RECOMMENDERS}
        listed = {name: np.zeros((len(real_users), LISTED), dtype=np.intp) for name in RECOMMENDERS}
        for row, real_user in enumerate(real_users):
            rng = np.random.default_rng([seed, 1, *real_user.id.encode()])
            unseen = np.setdiff1d(np.flatnonzero(catalog.has_public_rating), real_user.past)
            predicted = baselines.ratings(real_user, unseen)[FACTORS]
            lists = {
                "random": rng.permutation(unseen)[:LISTED],
                "popular": unseen[np.argsort(-catalog.public_counts[unseen], kind="stable")][:LISTED],
                FACTORS: unseen[np.argsort(-predicted, kind="stable")][:LISTED],
            }
            for name, items in lists.items():
                answers = simulator.rate(row, items, RECOMMENDED)
                ratings[name][row, : len(items)] = answers
                listed[name][row, : len(items)] = items
                ids = [catalog.items[item].id for item in items.tolist()]
                given = [plain(value) for value in answers.tolist()]
                about = {"user_split": real_user.user_split, "user": real_user.id, "recommender": name}
                lines.append({**about, "items": ids, "ratings": given})
            self._on_user()
        lengths = {name: episode_lengths(simulator.world, listed[name], table, seed) for name, table in ratings.items()}
        for n, line in enumerate(lines):
            line["length"] = int(lengths[line["recommender"]][n // len(RECOMMENDERS)])
        return lines


def _digest(real_users: Iterable[real.RealUser]) -> str:
    """SHA-256 of the ratings of real users, in their order."""
    made = hashlib.sha256()
    for one in real_users:
        made.update(f"{len(one.id)} {one.id} {one.past_count} {len(one.items)} ".encode())
        made.update(one.items.astype("<i8").tobytes() + one.values.astype("<f8").tobytes())
    return made.hexdigest()
