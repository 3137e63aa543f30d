"""Validation: puts the questions of real people to simulated ones, and stores every answer."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from emosim_core.components.base import Rater
from emosim_core.components.rule_based import RECORDED_PEOPLE
from emosim_core.hooks import Registry
from emosim_core.model import User
from emosim_core.runs.job import JobDirectory, cannot_write
from emosim_core.runs.records import FORMAT, plain
from emosim_core.simulation.assembly import World, assemble, load_items, make_catalog
from emosim_core.simulation.config import EnvironmentConfig, read_config
from emosim_core.studies import validation_people as real
from emosim_core.studies.cost import Estimate, estimate
from emosim_core.studies.study import Trial, Trials
from emosim_core.studies.validation_asking import CHOOSE, RATE, RECOMMENDED, Asked, session_lengths
from emosim_core.studies.validation_baselines import FACTORS, Baselines
from emosim_core.studies.validation_choices import Shown, shown
from emosim_core.studies.validation_figures import figures
from emosim_core.studies.validation_records import MANIFEST, RESULTS, write_json, write_lines

Ints = NDArray[np.intp]

RECOMMENDERS = ("random", "popular", FACTORS)
"""Who recommends, worst first as it should be."""

WORDS = "lexical"
"""How items get embeddings where nothing is said."""

_RECORDS = ("people", "ratings", "choices", "activity", "recommended")
"""The files of records."""

_WRITTEN = 40
"""Questions that are written out to learn how long they are."""

LISTED = 20
"""Items that each recommender proposes to each person."""


class ValidationConfig(BaseModel):
    """What is measured, on whom, and who answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: dict[str, Any] = Field(description="Who answers, and how: values of an environment.")
    ratings: str = Field(description="Ratings of real people, such as movielens:PATH.")
    people: int | None = Field(default=None, ge=2, description="Most people of each group; all where not given.")
    negatives: tuple[int, ...] = Field(
        default=(1, 3, 9), min_length=1, description="Items that were not chosen for each that was, rising."
    )
    asked: int = Field(default=20, ge=1, description="Held-out items of a person that choices are asked about, most.")
    held_out: int | None = Field(
        default=None, ge=1, description="Held-out ratings of a person that are asked for, most; all where not given."
    )
    seed: int = Field(default=42, ge=0, le=2**63 - 1, description="Seed of everything random.")


def validation_directory(path: Path, numbered: bool = False) -> JobDirectory:
    """The directory of a validation; one that did not come to its end is begun again."""
    return JobDirectory(path, "validate", numbered=numbered, done=RESULTS)


class Validation:
    """One validation: loads the real people, asks, and writes.

    Args:
        config: what is measured.
        registry: plugins to use.

    Raises:
        ConfigurationError: a value is wrong, the source has no ratings of people, or too few people.
        DataError: a file is missing or malformed.
        MissingDependencyError: a baseline needs a package that is not installed.
    """

    def __init__(self, config: ValidationConfig, registry: Registry) -> None:
        self.config = config
        values = dict(config.environment)
        if values.get("rater") is None and values.get("llm_model") is None:
            values["rater"] = {"name": "rule_based", **RECORDED_PEOPLE.model_dump(exclude_defaults=True)}
        # Words serve for retrieval, and a sentence model would take minutes for thousands of items.
        chosen = values.setdefault("embeddings", WORDS)
        environment: EnvironmentConfig = read_config(EnvironmentConfig, values, "validate")
        domain, loader, loaded = load_items(registry, environment.plugin, config.ratings)
        ratings = loader.load_ratings(loaded.items)
        self.everybody = real.real_people(ratings, config.seed)
        loaded.items = real.public_items(loaded.items, self.everybody, ratings.told_by_people)
        # The domain's own items are put aside as soon as they are loaded.
        self.world: World = assemble(environment.model_copy(update={"embeddings": "auto"}), registry)
        said: list[str] = []
        self.world.catalog = make_catalog(loaded, domain, environment.embeddings, said)
        self.announcements = [*self.world.announcements, *loaded.notes, *(said if chosen != WORDS else ())]
        self.groups = {
            group: real.of_group(self.everybody, group, config.people)
            for group in (real.TRIED, real.MEASURED, real.UNTOUCHED)
        }

    @property
    def measured(self) -> dict[str, list[real.RealPerson]]:
        """The groups that are measured."""
        return {name: self.groups[name] for name in (real.MEASURED, real.UNTOUCHED)}

    @property
    def questions(self) -> int:
        """Answers that a rater is asked for which tells ratings and nothing more, as language models do."""
        config, most = self.config, max(self.config.negatives)
        chosen = sum(min(config.asked, len(p.later)) for people in self.groups.values() for p in people)
        people = [person for group in self.measured.values() for person in group]
        rated = sum(len(self._rated(person)) for person in people)
        again = sum(min(config.asked, len(person.later)) for person in people)
        return rated + chosen * (2 + most) + 2 * again + len(people) * LISTED * len(RECOMMENDERS)

    def estimate(self) -> Estimate | None:
        """What asking the language model will take; None where the rater asks none. Answers kept from before are free.

        One question to each of up to 40 people is written out to learn how long questions are.
        """
        if not self.world.rater.asks_model:
            return None
        people = [person for group in self.measured.values() for person in group][:_WRITTEN]
        trials = [
            Trial(
                row,
                int(person.later[0]),
                memory=tuple(zip(person.past.tolist(), person.past_values.tolist(), strict=True)),
            )
            for row, person in enumerate(people)
        ]
        found = estimate(self.world, Trials(self._users(people), trials))
        if found is None:
            return None
        times = self.questions / len(people)
        return replace(
            found,
            questions=self.questions,
            prompt=round(found.prompt * times),
            completion=round(found.completion * times),
        )

    def play(self, directory: Path | JobDirectory, on_person: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """Ask everything, write the records and what they come to, and return the latter.

        Args:
            directory: where to write; must not exist, be empty, or hold a validation that did not come to its end.
            on_person: called whenever one person has answered one kind of question.

        Raises:
            RunError: it cannot be written there.
            EmoSimError: the rater failed.
        """
        job = directory
        if not isinstance(job, JobDirectory):
            job = validation_directory(job)
        with job:
            job.claim()
            try:
                write_json(job.path / MANIFEST, self.about())
                return self._play(job.path, on_person)
            except BaseException as error:
                if not self.world.rater.asks_model:
                    job.discard(MANIFEST, *(f"{name}.jsonl" for name in _RECORDS))
                if isinstance(error, OSError):
                    raise cannot_write(job.path, error) from error
                raise

    def _play(self, directory: Path, on_person: Callable[[], None]) -> dict[str, Any]:
        everyone = [person for people in self.groups.values() for person in people]
        world = self.world
        baselines = Baselines(world.catalog, self.everybody, everyone, world.domain.scale, self.config.seed)
        records: dict[str, list[dict[str, Any]]] = {name: [] for name in _RECORDS}
        for group, people in self.groups.items():
            users = self._users(people)
            asked = Asked(world, people, users, self.config.seed)
            for row, person in enumerate(people):
                records["people"].append(self._person(group, person, users[row]))
                records["choices"] += self._choices(asked, row, person, baselines)
                on_person()
                if group in self.measured:
                    records["ratings"] += self._ratings(asked, row, person, baselines)
                    on_person()
            if group in self.measured:
                records["recommended"] += self._recommended(asked, group, people, baselines, on_person)
                records["activity"] += self._activity(group, people, users, on_person)
        for name, lines in records.items():
            write_lines(directory, name, lines)
        write_json(directory / MANIFEST, self.about())
        told = figures(directory)
        write_json(directory / RESULTS, told)
        return told

    @property
    def steps(self) -> int:
        """How often :meth:`play` calls ``on_person``."""
        measured = sum(len(people) for people in self.measured.values())
        return sum(len(people) for people in self.groups.values()) + 3 * measured

    def about(self) -> dict[str, Any]:
        """The manifest: what was asked, of whom, by what."""
        world = self.world
        return {
            "format": FORMAT,
            "kind": "validation",
            "title": f"{world.domain.title}: simulated people beside real ones",
            "config": self.config.model_dump(mode="json"),
            "parts": {**world.parts, "users": {"name": "recorded", "source": self.config.ratings}},
            "language_model_asked": world.rater.asks_model,
            "language_model": world.model,
            "scale": str(world.domain.scale),
            "levels": world.domain.scale.levels.tolist(),
            "liked": world.domain.scale.carry(7.0),
            "items": len(world.catalog),
            "people": {group: sum(person.group == group for person in self.everybody) for group, _ in real.GROUPS},
            "interest": type(world.rater).interest_batch is not Rater.interest_batch,
            "expectation": type(world.rater).expected_batch is not Rater.expected_batch,
            "versions": {
                "python": platform.python_version(),
                "numpy": np.__version__,
                "emosim-core": metadata.version("emosim-core"),
            },
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "usage": dict(world.rater.usage()),
        }

    # ------------------------------------------------------------------------------------------- parts

    def _users(self, people: Sequence[real.RealPerson]) -> list[User]:
        world = self.world
        return real.personas(people, self.everybody, world.catalog, world.domain.scale, world.domain.words)

    def _rated(self, person: real.RealPerson) -> Ints:
        """Places among the held-out ratings that are asked for."""
        places = np.arange(len(person.later))
        if self.config.held_out is None or len(places) <= self.config.held_out:
            return places
        rng = np.random.default_rng([self.config.seed, *person.id.encode()])
        return np.sort(rng.permutation(places)[: self.config.held_out])

    def _person(self, group: str, person: real.RealPerson, user: User) -> dict[str, Any]:
        told = real.measures_of(person, self.world.catalog)
        levels = self.world.domain.scale.levels
        past = [int(np.isclose(person.past_values, level).sum()) for level in levels]
        return {
            "group": group,
            **user.model_dump(mode="json", include={"id", "liked", "disliked", "activity", "conformity", "diversity"}),
            "remembered": person.remembered,
            "held_out": len(person.later),
            "read_off": {name: plain(value) for name, value in told.items()},
            "past_levels": past,
        }

    def _ratings(self, asked: Asked, row: int, person: real.RealPerson, baselines: Baselines) -> list[dict[str, Any]]:
        places = self._rated(person)
        items, given = person.later[places], person.later_values[places]
        answers, expected = asked.rate(row, items, RATE), asked.expect(row, items)
        beside = baselines.ratings(person, items)
        ids = self.world.catalog.items
        return [
            {
                "group": person.group,
                "user": person.id,
                "item": ids[item].id,
                "real": plain(float(given[n])),
                "answer": plain(float(answers[n])),
                "expected": plain(float((answers if expected is None else expected)[n])),
                "beside": {name: plain(float(values[n])) for name, values in beside.items()},
            }
            for n, item in enumerate(items.tolist())
        ]

    def _choices(self, asked: Asked, row: int, person: real.RealPerson, baselines: Baselines) -> list[dict[str, Any]]:
        config, catalog = self.config, self.world.catalog
        seen: Shown = shown(person, catalog.public_counts, max(config.negatives), config.asked, config.seed)
        items = np.concatenate([seen.chosen, seen.random, seen.matched])
        scores = asked.choose(row, items)
        if scores is None:
            scores = asked.expect(row, items)
        if scores is None:
            scores = asked.rate(row, items, CHOOSE)
        beside = baselines.choices(person, items)
        sets = ["chosen"] * len(seen.chosen) + ["random"] * len(seen.random) + ["matched"] * len(seen.matched)
        order = [*range(len(seen.chosen)), *range(len(seen.random)), *range(len(seen.matched))]
        return [
            {
                "group": person.group,
                "user": person.id,
                "item": catalog.items[item].id,
                "set": sets[n],
                "place": order[n],
                "score": plain(float(scores[n])),
                "beside": {name: plain(float(values[n])) for name, values in beside.items()},
            }
            for n, item in enumerate(items.tolist())
        ]

    def _activity(
        self, group: str, people: Sequence[real.RealPerson], users: Sequence[User], on_person: Callable[[], None]
    ) -> list[dict[str, Any]]:
        """The same people about the same items, once all elusive and once all enthusiasts."""
        lines: list[dict[str, Any]] = [{"group": group, "user": person.id} for person in people]
        for level in (1, 3):
            changed = [user.model_copy(update={"activity": level}) for user in users]
            asked = Asked(self.world, people, changed, self.config.seed)
            for row, person in enumerate(people):
                answers = asked.rate(row, person.later[: self.config.asked], RATE)
                lines[row][f"activity_{level}"] = [plain(value) for value in answers.tolist()]
                if level == 3:
                    on_person()
        return lines

    def _recommended(
        self,
        asked: Asked,
        group: str,
        people: Sequence[real.RealPerson],
        baselines: Baselines,
        on_person: Callable[[], None],
    ) -> list[dict[str, Any]]:
        """What people answer to the first items that recommenders propose, one after the other."""
        catalog, seed = self.world.catalog, self.config.seed
        lines: list[dict[str, Any]] = []
        ratings = {name: np.full((len(people), LISTED), np.nan) for name in RECOMMENDERS}
        for row, person in enumerate(people):
            rng = np.random.default_rng([seed, 1, *person.id.encode()])
            unseen = np.setdiff1d(np.flatnonzero(catalog.has_public_rating), person.past)
            foretold = baselines.ratings(person, unseen)[FACTORS]
            lists = {
                "random": rng.permutation(unseen)[:LISTED],
                "popular": unseen[np.argsort(-catalog.public_counts[unseen], kind="stable")][:LISTED],
                FACTORS: unseen[np.argsort(-foretold, kind="stable")][:LISTED],
            }
            for name, items in lists.items():
                answers = asked.rate(row, items, RECOMMENDED)
                ratings[name][row, : len(items)] = answers
                lines.append(
                    {
                        "group": group,
                        "user": person.id,
                        "recommender": name,
                        "items": [catalog.items[item].id for item in items.tolist()],
                        "ratings": [plain(value) for value in answers.tolist()],
                    }
                )
            on_person()
        traits = asked.population.traits
        lengths = {name: session_lengths(self.world, table, traits, seed) for name, table in ratings.items()}
        for n, line in enumerate(lines):
            line["length"] = int(lengths[line["recommender"]][n // len(RECOMMENDERS)])
        return lines
