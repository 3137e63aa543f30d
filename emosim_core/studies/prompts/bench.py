"""PromptBench: puts the same questions about real users to a language model with each prompt strategy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict

from emosim_core.errors import ConfigurationError
from emosim_core.estimators.ratings import ItemMeanAndUserBias
from emosim_core.fitting.profiles import Profiles
from emosim_core.hooks import Registry
from emosim_core.hooks.names import spelled
from emosim_core.llm.prompts.prompt_strategy import PromptStrategy
from emosim_core.llm.rater import ModelRater
from emosim_core.model.frozen import option
from emosim_core.runs.cells import OnProgress, Worlds
from emosim_core.runs.job import write_file
from emosim_core.runs.manifest import digest, now, versions_of
from emosim_core.runs.records import FORMAT
from emosim_core.runs.usage import since
from emosim_core.simulation.config import ComponentChoice, EnvironmentConfig, read_config
from emosim_core.simulation.logs import LogConfig
from emosim_core.studies.cost import Estimate, estimate
from emosim_core.studies.jobs import ResumableStudy, StudyConfig
from emosim_core.studies.prompts.questions import BLANK, answers, drawn, per_user, questions, with_blank
from emosim_core.studies.prompts.records import RESULTS, BenchJob, bench_manifest
from emosim_core.studies.prompts.results import compute_results
from emosim_core.studies.study import Trial, Trials
from emosim_core.studies.validation import users as real
from emosim_core.studies.validation.knowledge import Knowledge, Known, RealLog
from emosim_core.studies.validation.simulator import UserSimulator

ALL = "all"
"""In the place of strategies: all that there are."""

_WORDS = "lexical"
"""How items get embeddings by default: a sentence model would take minutes for thousands of items."""

_PACE = 20
"""Answers after which the time that is left is estimated."""


class PromptBenchConfig(LogConfig, StudyConfig):
    """Prompt bench configuration: a log of real users, who is asked about what, and the environment."""

    model_config = ConfigDict(title="Prompt bench")

    strategies: list[ComponentChoice] = option(..., "Prompt strategies.", min_length=1, option=False)
    split: Literal["calibration", "validation", "test"] = option(
        "calibration",
        "Fixed group of users about whom questions are asked: calibration, who are training users elsewhere, to choose "
        "a strategy; validation or test to report on it.",
    )
    max_users: int = option(16, "Maximum users.", ge=2, unit="users")
    max_heldout: int = option(
        4, "Maximum held-out items per user; each makes up to four questions.", ge=1, unit="items"
    )
    max_questions: int | None = option(
        None, "Maximum questions in all; lowers max_heldout.", ge=1, unset="no limit", unit="questions"
    )


@dataclass(frozen=True)
class Strategy:
    """A prompt strategy of the bench: its name with options, and the rater that uses it."""

    name: str
    rater: ModelRater


class PromptBench(ResumableStudy):
    """One bench: loads the real users and the strategies, asks, and writes.

    Args:
        on_pace: gets the seconds that are left, guessed from the first :data:`_PACE` answers, once.

    Raises:
        ConfigurationError: no language model is named, a value is wrong, or nobody can be asked about.
    """

    command, options = "prompt-bench", PromptBenchConfig
    manifest_of = staticmethod(bench_manifest)

    def __init__(
        self, config: PromptBenchConfig, registry: Registry, on_pace: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self._registry, self._on_pace = registry, on_pace
        values = dict(config.environment)
        chosen = values.setdefault("embeddings", _WORDS)
        values["on_failed_rating"] = "skip"  # a failed rating is counted; it ends nothing
        environment: EnvironmentConfig = read_config(EnvironmentConfig, values, "prompt-bench")
        self._worlds = Worlds(registry)
        self.world = self._worlds.of(environment.model_copy(update={"embeddings": "auto"}).model_dump(mode="json"))
        if not isinstance(self.world.rater, ModelRater):
            raise ConfigurationError("a prompt bench needs a language model: give --llm-model")
        self.log = RealLog(registry, environment.plugin, config.source, environment.embeddings, config.seed)
        if self.log.interactions.values is None:
            raise ConfigurationError("the log has no ratings, and prompts are for ratings")
        everybody = real.real_users_of(self.log.interactions)
        (self.part,) = real.parts_of(
            self.log.interactions, everybody, config.folds, config.split, None, config.max_users
        )
        self.config = self._within(config)
        self.strategies = self._strategies(self.config.strategies)
        notes = self.log.embedding_notes if chosen != _WORDS else ()
        self.announcements = [*self.world.announcements, *self.log.notes, *notes]

    def _strategies(self, chosen: Sequence[ComponentChoice]) -> list[Strategy]:
        domain, rater = self.world.domain.name, self.world.rater
        assert isinstance(rater, ModelRater)
        made = []
        for one in chosen:
            resolved = self._registry.resolve("prompt_strategy", one, domain)
            strategy: PromptStrategy = resolved.build(PromptStrategy)
            made.append(Strategy(spelled(one), rater.with_strategy(strategy, resolved.label)))
        return made

    def _within(self, config: PromptBenchConfig) -> PromptBenchConfig:
        """The configuration with all strategies by name, and as few items per user as a number of questions allows."""
        if config.strategies == [ALL]:
            known = [one.name for one, _ in self._registry.components("prompt_strategy", self.world.domain.name)]
            config = config.model_copy(update={"strategies": known})
        most = config.max_questions
        for each in range(config.max_heldout, 0, -1):
            fewer = config.model_copy(update={"max_heldout": each})
            if most is None or self.questions(fewer) <= most:
                return fewer
        raise ConfigurationError(
            f"max_questions={most:,} is too few: one held-out item for each of {len(self.part.users):,} users takes "
            f"{self.questions(fewer):,} questions with {len(config.strategies)} strategies. Lower --max-users, or name "
            "fewer strategies with --llm-rater."
        )

    def questions(self, config: PromptBenchConfig | None = None) -> int:
        """Most questions that are asked."""
        config = config or self.config
        each = (per_user(min(config.max_heldout, len(one.later))) for one in self.part.users)
        return sum(each) * len(config.strategies)

    def estimate(self) -> Estimate:
        """Estimated calls, tokens and cost, of one request by each strategy to the first user; cached ones are free."""
        one = self.part.users[0]
        known = Known(self.log.before(self.part.training, one.moment), self.log.catalog)
        profiles = Profiles(known.log, known.catalog, self.log.domain.scale, self.log.domain.words)
        users = [profiles.user(one.id, profiles.row(one.past))]
        memory = UserSimulator(replace(self.world, catalog=known.catalog), [one], users, self.config.seed).memories[0]
        total: Estimate | None = None
        for strategy in self.strategies:
            world = replace(self.world, catalog=known.catalog, rater=strategy.rater)
            some = estimate(world, Trials(users, [Trial(0, int(one.later[0]), memory=memory)]))
            assert some is not None
            if total is not None:
                some = replace(some, prompt=some.prompt + total.prompt, completion=some.completion + total.completion)
            total = some
        assert total is not None
        each = self.questions() / len(self.strategies)
        prompt, completion = round(total.prompt * each), round(total.completion * each)
        return replace(total, requests=self.questions(), prompt=prompt, completion=completion)

    def about(self) -> dict[str, Any]:
        """The manifest: what is asked, about whom, of which model."""
        world, log = self.world, self.log.interactions
        parts = {
            **world.parts,
            "user_loader": {"name": "recorded", "source": self.config.ratings},
        }
        return {
            "format": FORMAT,
            "kind": "prompts",
            "title": f"{world.domain.title}: prompt strategies beside real users",
            "config": self.config.model_dump(mode="json"),
            "parts": parts,
            "uses_llm": True,
            "language_model": world.model,
            "levels": world.domain.scale.levels.tolist(),
            "shares": self._shares,
            "data": {
                "items_sha256": digest(self.log.catalog.items),
                "log_sha256": self.log.digest(),
                "users": len(log.user_ids),
                "interactions": len(log),
                "items": len(self.log.catalog),
                "measured": [one.id for one in self.part.users],
            },
            "versions": versions_of([world.parts]),
            "created": now(),
        }

    @cached_property
    def _shares(self) -> list[float]:
        """How often the training users give each level, worst first."""
        log = self.log.interactions
        assert log.values is not None
        levels, values = self.world.domain.scale.levels, log.values[self.part.training[log.users]]
        counts = np.bincount(np.abs(levels - values[:, None]).argmin(axis=1), minlength=len(levels))
        shares: list[float] = np.round(counts / counts.sum(), 6).tolist()
        return shares

    def _make(self, directory: Path, on_progress: OnProgress, executor: str | Mapping[str, Any]) -> dict[str, Any]:
        """Ask with every strategy, and compute the results."""
        jobs = [BenchJob.of(directory, strategy.name) for strategy in self.strategies]
        began, done, announced = time.perf_counter(), 0, False
        remaining = self.questions() // len(jobs) * sum(not one.complete for one in jobs)
        for one, strategy in zip(jobs, self.strategies, strict=True):
            if one.complete:
                continue
            lines = []
            before, started = dict(strategy.rater.usage()), time.perf_counter()
            for some in self._answered(strategy):
                lines += some
                on_progress(len(some))
                done += len(some)
                if done >= _PACE and not announced:
                    announced = True
                    self._on_pace((time.perf_counter() - began) * (remaining - done) / done)
            usage = since(before, strategy.rater.usage())
            one.write(lines, usage, time.perf_counter() - started)
        outcome = compute_results(directory)
        write_file(directory / RESULTS, outcome)
        return outcome

    def _answered(self, strategy: Strategy) -> Iterator[list[dict[str, Any]]]:
        """The records of each user with one strategy."""
        config, log, part = self.config, self.log, self.part
        existing, knowledge = log.existing(part.training), Knowledge(log, part, config.seed)
        domain = replace(self.world.domain, real_ratings=tuple(self._shares))
        blank = self._blank
        for month, group in groupby(part.users, key=lambda one: one.moment):
            known = knowledge.known(month)
            if not known.enough:
                continue
            catalog = known.catalog if blank is None else with_blank(known.catalog, blank)
            world = replace(self.world, catalog=catalog, domain=domain, rater=strategy.rater)
            profiles = Profiles(known.log, known.catalog, domain.scale, domain.words)
            baseline = ItemMeanAndUserBias()
            baseline.fit(known.log, known.catalog, domain.scale)
            for one in group:
                pair = [one, self._after(one)]
                users = [profiles.user(who.id, profiles.row(who.past)) for who in pair]
                simulator = UserSimulator(world, pair, users, config.seed)
                chosen, others = drawn(one, existing, known.catalog.public_counts, config.max_heldout, config.seed)
                if not len(chosen):
                    continue
                given = dict(zip(one.later.tolist(), one.later_values.tolist(), strict=True))
                lines = []
                for question in questions(chosen, others, 1, blank):
                    for line in answers(simulator, question):
                        item = catalog.index[line["item"]]
                        more = {}
                        if item in given and line["kind"] != BLANK:
                            predicted = baseline.predict(one.past, np.array([item]))[0]
                            more = {"real": given[item], "baseline": round(float(predicted), 6)}
                        lines.append({"user": one.id, **line, **more})
                yield lines

    def _after(self, one: real.RealUser) -> real.RealUser:
        """Another user of the bench: the next one, in a circle."""
        users = self.part.users
        return users[(users.index(one) + 1) % len(users)]

    @cached_property
    def _blank(self) -> int | None:
        """An item that no user of the bench took, in whose place one stands of which nothing is known."""
        taken = np.zeros(len(self.log.catalog), dtype=np.bool_)
        for one in self.part.users:
            taken[one.items] = True
        free = np.flatnonzero(~taken)
        return int(free[-1]) if len(free) else None
