"""The believability test: makes pairs of real and simulated histories, and has a language model judge them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field

from emosim_core.components.base import Rater
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.hooks import Registry
from emosim_core.llm.options import GatewayOptions
from emosim_core.llm.rater import ModelRater
from emosim_core.model.frozen import option
from emosim_core.runs.cells import OnProgress
from emosim_core.runs.job import JobDirectory, write_file
from emosim_core.runs.manifest import now, versions_of
from emosim_core.runs.records import FORMAT, MANIFEST
from emosim_core.runs.typed import continue_with
from emosim_core.runs.usage import summed
from emosim_core.simulation.logs import LogConfig
from emosim_core.studies.believability.judges import ModelJudge, Verdict
from emosim_core.studies.believability.pairs import (
    FIRST,
    PAIRS,
    Pair,
    PairItem,
    chosen_parts,
    items_of,
    make_pairs,
    read_pairs,
    write_pairs,
)
from emosim_core.studies.believability.results import (
    KIND,
    RESULTS,
    VERDICTS,
    read_manifest,
    read_verdicts,
    verdict_lines,
    write_results,
)
from emosim_core.studies.cost import Estimate, by_model, request_tokens
from emosim_core.studies.jobs import ResumableStudy, StudyConfig
from emosim_core.studies.validation.validation import RATINGS, Validation, ValidationConfig

_AT_ONCE = 32
"""Pairs that are judged before their verdicts are written, at least."""

_TOKENS_OF_AN_ANSWER = 4


class BelievabilityConfig(LogConfig, StudyConfig):
    """Believability test: a log of real users, what a judge sees of each, and who judges."""

    model_config = ConfigDict(title="Believability")

    max_users: int = option(100, "Maximum users; each is one pair.", ge=2, unit="users")
    history: int = option(10, "Ratings of each history that a judge compares.", ge=1, le=100, unit="ratings")
    earlier: int = option(
        10, "Real ratings from before them that a judge sees, the same beside both.", ge=0, le=100, unit="ratings"
    )
    judge_model: str | dict[str, Any] | None = option(
        None,
        "Language model that judges, such as deepseek-v4-flash, openai:MODEL, http://HOST:PORT/v1#MODEL or local:PATH.",
        component="llm_backend",
        unset="none; people judge in emosim view",
    )
    max_questions: int | None = option(
        None,
        "Maximum questions to language models in all, raters' and judge's; lowers max_users.",
        ge=1,
        unset="no limit",
        unit="questions",
    )
    judging: GatewayOptions = Field(
        default_factory=GatewayOptions,
        description="How language models are called; changes no answer.",
        json_schema_extra={"recorded": False, "section": "Language model"},
    )


class Believability(ResumableStudy):
    """One believability test: loads the log, simulates held-out ratings, and has them judged.

    Users, what is known of them and what is held out are those of a validation with the same seed and folds; see
    :class:`~emosim_core.studies.validation.validation.Validation`.

    Raises:
        ConfigurationError: a value is wrong, the log has no ratings, or too few users with enough of them.
        DataError: a file is missing or malformed.
    """

    command, options = "judge", BelievabilityConfig
    may_differ = ("gateway", "judging")
    manifest_of = staticmethod(read_manifest)

    def __init__(self, config: BelievabilityConfig, registry: Registry) -> None:
        self.config, self._registry = config, registry
        environment = dict(config.environment)
        if environment.get("llm_model") is not None and "gateway" not in environment:
            environment["gateway"] = config.judging.model_dump(mode="json")
        self.source = Validation(
            ValidationConfig(
                **{name: getattr(config, name) for name in LogConfig.model_fields},
                environment=environment,
                only=(RATINGS,),
                max_heldout=config.history,
            ),
            registry,
        )
        self.world = self.source.world
        self.judge = None if config.judge_model is None else self._model_judge(config.judge_model)
        most = self._within(config.max_questions)
        self.parts, self.short = chosen_parts(self.source.data.parts, config.history, most)
        if self.users < 2:
            raise ConfigurationError(
                f"{self.users} of {len(self.source.measured):,} users have {config.history} ratings to hold out; give "
                "a log of more users, or a smaller --history"
            )

    def _model_judge(self, model: str | dict[str, Any]) -> ModelJudge:
        gateway = self.config.judging.model_dump(mode="json")
        choice = {"name": "llm", "model": model, "gateway": gateway}
        rater = self._registry.resolve("rater", choice, self.world.domain.name).build(Rater)
        assert isinstance(rater, ModelRater)
        judge = ModelJudge(rater, self.world.domain.words, self.world.domain.scale)
        judge.gateway.charge(lambda: float(self.world.rater.usage().get("cost") or 0.0))
        return judge

    @property
    def _questions_each(self) -> int:
        """Questions to language models about one pair."""
        return (self.judge is not None) + self.config.history * self.world.rater.uses_llm

    def _within(self, most: int | None) -> int:
        """Users of a test that asks at most so many questions."""
        each = self._questions_each
        if most is None or not each:
            return self.config.max_users
        if most < 2 * each:
            raise ConfigurationError(
                f"max_questions={most:,} is too few: two pairs take {2 * each:,}; allow more, or lower --history"
            )
        return min(self.config.max_users, most // each)

    @property
    def users(self) -> int:
        """Users of the test, and so most pairs."""
        return sum(len(part.users) for part in self.parts)

    @property
    def announcements(self) -> list[str]:
        """What whoever runs this must know before."""
        judge = [] if self.judge is None else self.judge.rater.announcements()
        return [*self.source.announcements, *judge]

    def estimate(self) -> list[Estimate]:
        """Estimated calls, tokens and cost of each language model, at most. Cached answers are free."""
        estimates = []
        if (rating := self.source.estimate()) is not None:
            times = self.users * self.config.history / rating.requests
            prompt, completion = round(rating.prompt * times), round(rating.completion * times)
            requests = self.users * self.config.history
            estimates.append(replace(rating, requests=requests, prompt=prompt, completion=completion))
        if self.judge is not None:
            backend, options = self.judge.gateway.backend, self.judge.gateway.options
            prompt = request_tokens(self.judge.prompt.ask(self._typical())) * self.users
            completion = _TOKENS_OF_AN_ANSWER * self.users
            own = backend.batched and not backend.deferred
            estimates.append(
                Estimate(backend.identity, self.users, prompt, completion, backend.price(), options.replay, own)
            )
        return by_model(estimates)

    def _typical(self) -> Pair:
        """A pair whose question is about as long as the others'."""
        catalog, rng = self.source.data.log.catalog, np.random.default_rng(self.config.seed)

        def some(count: int) -> list[PairItem]:
            return items_of(catalog, rng.integers(len(catalog), size=count).tolist())

        history, earlier = self.config.history, self.config.earlier
        highest = float(self.world.domain.scale.high)
        return Pair(
            pair=0,
            user="",
            moment=None,
            earlier=some(earlier),
            earlier_ratings=[highest] * earlier,
            items=some(history),
            real=[highest] * history,
            simulated=[highest] * history,
            mean=[None] * history,
            real_side=FIRST,
        )

    def _has_done(self, directory: Path) -> bool:
        return (directory / PAIRS).exists()

    def _make(self, directory: Path, on_progress: OnProgress, executor: str | Mapping[str, Any]) -> dict[str, Any]:
        """Make the pairs and have them judged; both are progress."""
        try:
            self._judge(directory, self._pairs(directory, on_progress), on_progress)
        finally:  # what was spent is counted whatever became of it
            self._write_usage(directory)
        return write_results(directory)

    def _write_usage(self, directory: Path) -> None:
        """Add what this process spent to what was spent before."""
        stored = read_manifest(directory)
        judging = {} if self.judge is None else self.judge.rater.usage()
        usages = [one for one in (stored.get("usage"), self.world.rater.usage(), judging) if one]
        write_file(directory / MANIFEST, {**stored, "usage": summed(usages)})

    @property
    def steps(self) -> int:
        """Pairs that are made, and those that are judged."""
        return self.users * (1 + (self.judge is not None))

    def _pairs(self, directory: Path, on_pair: OnProgress) -> list[Pair]:
        if (directory / PAIRS).exists():
            on_pair(self.users)
            return read_pairs(directory)
        config = self.config
        pairs, left_out = make_pairs(
            *(self.world, self.source.data.log, self.parts, config.history, config.earlier, config.seed),
            lambda: on_pair(1),
        )
        if not pairs:
            raise RunError(
                f"no pair can be made of {self.users:,} users: before {left_out['too_early']:,} too few others are "
                f"known, and of {left_out['failed']:,} a rating failed"
            )
        left_out = {"short": self.short, **left_out}
        write_file(directory / MANIFEST, {**read_manifest(directory), "left_out": left_out})
        write_pairs(directory, pairs)
        return pairs

    def _judge(self, directory: Path, pairs: Sequence[Pair], on_pair: OnProgress) -> None:
        if self.judge is None:
            return
        verdicts = read_verdicts(directory)
        judged = {one["pair"] for one in verdicts if one["judge"] == self.judge.name}
        on_pair(len(judged))
        remaining = [pair for pair in pairs if pair["pair"] not in judged]
        size = max(_AT_ONCE, self.config.judging.concurrency)
        for start in range(0, len(remaining), size):
            some = remaining[start : start + size]
            verdicts += self.judge.judge(some)
            write_file(directory / VERDICTS, verdict_lines(verdicts))
            on_pair(len(some))

    def about(self) -> dict[str, Any]:
        """The manifest: whose ratings were simulated by what, and who judges."""
        world, data = self.world, self.source.data.about()
        return {
            "format": FORMAT,
            "kind": KIND,
            "protocol": 1,
            "title": f"{world.domain.title}: can simulated users be distinguished from real ones?",
            "config": self.config.model_dump(mode="json"),
            "parts": {**world.parts, "user_loader": {"name": "recorded", "source": self.config.ratings}},
            "uses_llm": world.rater.uses_llm or self.judge is not None,
            "language_model": world.model,
            "answered_by": world.answered_by,
            "judge": None if self.judge is None else self.judge.name,
            "scale": str(world.domain.scale),
            "words": {"item": world.domain.words.item, "items": world.domain.words.items},
            "data": {**data, "measured": {part.name: len(part.users) for part in self.parts}},
            "left_out": {},
            "versions": versions_of([world.parts]),
            "created": now(),
        }

    def close(self) -> None:
        """Let go of what the rater and the judge hold on to, such as connections."""
        super().close()
        if self.judge is not None:
            self.judge.rater.close()


def add_verdict(directory: Path, verdict: Verdict) -> dict[str, Any]:
    """Write down what somebody said of a pair, and return the results with it; the same judge may think again.

    Raises:
        RunError: there is no such test or pair, it is not complete, or another process writes there.
    """
    pairs = read_pairs(directory)
    if not 0 <= verdict["pair"] < len(pairs):
        raise RunError(f"{directory} has no pair {verdict['pair']}; it has {len(pairs):,}, from 0")
    if not (directory / RESULTS).exists():
        raise RunError(f"the test in {directory} is not complete. {continue_with('judge', directory)}")
    with JobDirectory(directory, "judge", resume=True, part=True) as job:
        job.claim()
        this = verdict["judge"], verdict["pair"]
        before = [one for one in read_verdicts(directory) if (one["judge"], one["pair"]) != this]
        write_file(directory / VERDICTS, verdict_lines([*before, verdict]))
        return write_results(directory)
