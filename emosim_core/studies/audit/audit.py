"""Audit: asks a rater about real users with one thing changed at a time, and stores every answer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from emosim_core.errors import ConfigurationError
from emosim_core.fitting.profiles import Profiles
from emosim_core.hooks import Registry
from emosim_core.llm.rater import ModelRater
from emosim_core.model.arrays import Ints
from emosim_core.runs.cells import OnProgress
from emosim_core.runs.job import write_file
from emosim_core.runs.records import MANIFEST
from emosim_core.runs.usage import since, summed
from emosim_core.studies.audit import battery as variant
from emosim_core.studies.audit import recall
from emosim_core.studies.audit.people import people_of
from emosim_core.studies.audit.records import ANSWERS, RESULTS, TITLES, AuditJob
from emosim_core.studies.audit.verdicts import sentence_of, students_t, verdicts_of
from emosim_core.studies.cost import Estimate
from emosim_core.studies.jobs import JOBS, ResumableStudy
from emosim_core.studies.validation import users as real
from emosim_core.studies.validation.knowledge import Knowledge
from emosim_core.studies.validation.records import read_lines, resumed_manifest, write_lines
from emosim_core.studies.validation.simulator import UserSimulator
from emosim_core.studies.validation.validation import Validation, ValidationConfig

MAX_USERS = 20
"""Users of an audit where the configuration does not say how many."""

ITEMS = 4
"""Held-out items per user that are asked for, where the configuration does not say how many."""

TITLES_PER_ITEM = 5
"""Number of items whose year and title are requested, for each held-out item of a user."""

FIRST = 20
"""Answers from which follows how long the others will take."""

_DIGITS = 4


@dataclass(frozen=True)
class Measured:
    """What the first answers took.

    Attributes:
        answers: how many there were; ``calls`` of them were calls of the model.
        seconds: how long they took, of which ``start`` the first ones, which may load a model.
        remaining: answers that are still to come, at most.
        seconds_each, tokens_each, cost_each: of one call after the first ones; None where it is not known.
    """

    answers: int
    calls: int
    seconds: float
    start: float
    remaining: int
    seconds_each: float | None
    tokens_each: float | None
    cost_each: float | None
    currency: str | None

    @property
    def sentence(self) -> str:
        """What the others will take at most, at the same speed."""
        if self.seconds_each is None:
            return f"The first {self.answers:,} answers were cached; {self.remaining:,} more at most."
        text = f"The first {self.answers:,} answers took {self.seconds:,.0f} seconds"
        if self.start > 2 * self.seconds_each:
            text += f", {self.start:,.0f} of them until the first was there"
        text += f": {self.seconds_each:.3g} seconds and {self.tokens_each:,.0f} tokens a call. "
        text += f"At most {self.remaining:,} more: about {duration(self.remaining * self.seconds_each)}"
        if self.cost_each is None:
            return f"{text}; cost not known."
        return f"{text}, {self.remaining * self.cost_each:.4f} {self.currency or ''}".rstrip() + "."


def duration(seconds: float) -> str:
    """A number of seconds in words."""
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


class _Meter:
    """Measures the first answers, in two parts: few, which may load a model, and the others."""

    def __init__(self, usage: Callable[[], Mapping[str, Any]], total: int, on_measured: Callable[[Measured], None]):
        self._usage, self._total, self._on_measured = usage, total, on_measured
        self._answers, self._begun, self._first = 0, time.perf_counter(), 0.0
        self._counts: list[Mapping[str, Any]] = [dict(usage())]
        self._done = total <= FIRST

    def size(self, items: int) -> int | None:
        """How many rows of so many items to ask at once; None for all."""
        if self._done:
            return None
        return 1 if not self._answers else -(-(FIRST - self._answers) // items)

    def add(self, answers: int) -> None:
        """Count answers; after the first ones, tell what they took."""
        if self._done:
            return
        self._answers += answers
        self._counts.append(dict(self._usage()))
        if len(self._counts) == 2:
            self._first = time.perf_counter() - self._begun
        if self._answers < FIRST or len(self._counts) < 3:
            return
        self._done = True
        seconds = time.perf_counter() - self._begun
        later = since(self._counts[1], self._counts[-1])
        whole = since(self._counts[0], self._counts[-1])
        calls = int(later.get("calls") or 0)
        tokens = (later.get("prompt_tokens") or 0) + (later.get("completion_tokens") or 0)
        cost = later.get("cost")
        self._on_measured(
            Measured(
                *(self._answers, int(whole.get("calls") or 0), seconds, self._first, self._total - self._answers),
                seconds_each=(seconds - self._first) / calls if calls else None,
                tokens_each=tokens / calls if calls else None,
                cost_each=cost / calls if calls and isinstance(cost, int | float) else None,
                currency=later.get("currency"),
            )
        )


class Audit(ResumableStudy):
    """One audit; errors as of :class:`Validation`, whose users it asks about, and one where the log has no ratings.

    Args:
        on_measured: gets what the first answers of a language model took.
    """

    command, options = "validate", ValidationConfig
    manifest_of = staticmethod(resumed_manifest)
    alone = "an audit asks in this process: leave out --executor"

    def __init__(
        self,
        config: ValidationConfig,
        registry: Registry,
        on_measured: Callable[[Measured], None] = lambda measured: None,
    ) -> None:
        most = MAX_USERS if config.max_users is None else config.max_users
        self.config, self._registry, self._on_measured = config, registry, on_measured
        base = config.model_copy(update={"max_questions": None, "max_users": most, "only": ("ratings",)})
        self._base = Validation(base, registry)
        self.world, self.data = self._base.world, self._base.data
        self.announcements, self.measured = self._base.announcements, self._base.measured
        students_t(1)  # a missing library is an error before the first question
        if self.data.log.interactions.values is None:
            raise ConfigurationError("the log has no ratings, which an audit needs")
        if len(self.measured) < 2:
            raise ConfigurationError("an audit asks about two users at least: one stands in for the other")
        self._model = self.world.rater if isinstance(self.world.rater, ModelRater) else None
        self._items, self._titles = self._within(config.max_questions)

    # ------------------------------------------------------------------------------------------ how much is asked

    def _within(self, most: int | None) -> tuple[int, int]:
        """Held-out items per user, and items of which years and titles are asked, as many as a number allows."""
        largest = self.config.max_heldout or ITEMS
        for items in range(largest, 0, -1):
            titles = TITLES_PER_ITEM * items if self._model and variant.MEMORIZATION in self.config.checks else 0
            if most is None or self._count(items, titles) <= most:
                return items, titles
        raise ConfigurationError(
            f"max_questions={most:,} is too few: an audit of {len(self.measured):,} users with one item each takes "
            f"{self._count(1, titles):,} answers. Lower --max-users, or check less with --checks."
        )

    def _count(self, items: int, titles: int) -> int:
        """Answers that are asked for, at most."""
        variants, total = len(variant.variants(self.config.checks, self._model is not None)), 2 * titles
        for one in self.measured:
            total += variants * min(items, len(one.later))
            if self._model is not None:
                slate = min(variant.SLATE, len(one.later))
                total += slate * (variant.ORDER in self.config.checks and slate > 1)
                total += 2 * (variant.MEMORIZATION in self.config.checks)
        return total

    @property
    def questions(self) -> int:
        """Answers that are asked for, at most; equal requests are asked once."""
        return self._count(self._items, self._titles)

    def estimate(self) -> Estimate | None:
        """Estimated calls, tokens and cost, as of :meth:`Validation.estimate`."""
        estimated = self._base.estimate()
        if estimated is None:
            return None
        times = self.questions / max(estimated.requests, 1)
        tokens = {name: round(getattr(estimated, name) * times) for name in ("prompt", "completion")}
        return replace(estimated, requests=self.questions, **tokens)

    # ------------------------------------------------------------------------------------------ running

    def _has_done(self, directory: Path) -> bool:
        return any((directory / JOBS).glob("*.jsonl"))

    def _make(self, directory: Path, on_progress: OnProgress, executor: str | Mapping[str, Any]) -> dict[str, Any]:
        """Ask about every user, and compute the results."""
        if not (directory / RESULTS).exists() or (directory / JOBS).exists():
            self._ask(directory, on_progress)
            self._collect(directory)
        outcome = compute_results(directory)
        write_file(directory / RESULTS, outcome)
        shutil.rmtree(directory / JOBS, ignore_errors=True)
        return outcome

    def about(self) -> dict[str, Any]:
        """The manifest: what was asked, of whom, by what, and what real people do."""
        about = self._base.about()
        log, domain = self.data.log, self.world.domain
        return {
            **about,
            "kind": "audit",
            "title": f"{domain.title}: audit of a rater",
            "config": self.config.model_dump(mode="json"),
            "planned": {"items": self._items, "titles": self._titles, "questions": self.questions},
            "of_model": self._model is not None,
            "people": people_of(domain, log.catalog, log.interactions, self.config.seed),
        }

    def _ask(self, directory: Path, on_user: OnProgress) -> None:
        measured = self._on_measured if self.world.rater.uses_llm else lambda first: None
        meter = _Meter(self.world.rater.usage, self.questions, measured)
        number = 0
        for part in self.data.parts:
            knowledge = Knowledge(self.data.log, part, self.config.seed)
            for month, group in groupby(part.users, key=lambda one: one.moment):
                for one in group:
                    job = AuditJob(f"user-{number}", directory)
                    number += 1
                    if not job.complete:
                        before = dict(self.world.rater.usage())
                        record = {"part": part.name, **self._user(one, month, knowledge, meter)}
                        job.write([record], since(before, self.world.rater.usage()))
                    on_user(1)
        job = AuditJob(TITLES, directory)
        if not job.complete:
            before = dict(self.world.rater.usage())
            job.write(self._by_heart(), since(before, self.world.rater.usage()))

    def _by_heart(self) -> list[dict[str, Any]]:
        """What the model knows of items, asked without a user."""
        if self._model is None or not self._titles:
            return []
        log = self.data.log
        catalog = log.catalog.with_public(np.bincount(log.interactions.items, minlength=len(log.catalog)), None)
        questions = recall.item_questions(self.world.domain, catalog, self._titles, self.config.seed)
        return recall.ask_items(self._model, questions)

    def _user(self, one: real.RealUser, month: int | None, knowledge: Knowledge, meter: _Meter) -> dict[str, Any]:
        """The record of one user."""
        known, when = knowledge.known(month), None if month is None else str(np.datetime64(month, "M"))
        if not known.enough:
            return {"user": one.id, "moment": when, "left_out_why": "too few training users before the moment"}
        with self.world.blaming("rater"):
            knowledge.learn(month, self.world.rater)
        world = replace(self.world, catalog=known.catalog)
        other = self._other(one)
        profiles = Profiles(known.log, known.catalog, world.domain.scale, world.domain.words)
        users = [profiles.user(who.id, profiles.row(who.past)) for who in (one, other)]
        memories = UserSimulator(world, (one, other), users, self.config.seed).memories
        rng = np.random.default_rng([self.config.seed, 2, *one.id.encode()])
        places = real.drawn(rng, len(one.later), self._items)
        items = one.later[places]
        slate: list[int] = one.later[rng.permutation(len(one.later))[: variant.SLATE]].tolist()
        shown = {*items.tolist(), *slate}
        theirs = tuple(entry for entry in memories[1] if entry[0] not in shown)
        example = theirs[-1][0] if theirs else None
        about = variant.Subject(
            *(users[0], memories[0], users[1], tuple(entry for entry in theirs if entry[0] != example)),
            *(items, example, tuple(slate), one.number),
        )
        battery = variant.Battery(world, about, self.config.checks, self.config.seed)
        answers, left_out = self._answers(battery, len(items), meter)
        values = one.past.values
        public = np.where(known.catalog.has_public_rating[items], known.catalog.public_ratings[items], np.nan)
        record: dict[str, Any] = {
            "user": one.id,
            "moment": when,
            "left_out_why": None,
            "other": other.id,
            "items": [known.catalog.items[item].id for item in items.tolist()],
            "real": _written(one.later_values[places]),
            "past_mean": None if values is None else round(float(values.mean()), _DIGITS),
            "public": _written(public),
            "answers": answers,
            "left_out": left_out,
        }
        if self._model is not None:
            record["slate"] = battery.slates() if variant.ORDER in self.config.checks else None
            if variant.MEMORIZATION in self.config.checks:
                record["known"] = self._known(one, other, items[:1])
        return record

    def _answers(
        self, battery: variant.Battery, items: int, meter: _Meter
    ) -> tuple[dict[str, list[float | None]], dict[str, list[int]]]:
        """The answers by variant, and the places of those that were not changed."""
        answers: dict[str, list[float | None]] = {}
        for rows in _parts(battery.rows, lambda: meter.size(items)):
            values = battery.ratings(rows)
            answers |= {row.variant: _written(given) for row, given in zip(rows, values, strict=True)}
            meter.add(values.size)
        return answers, battery.unchanged

    def _other(self, one: real.RealUser) -> real.RealUser:
        """Another measured user: the next one."""
        names = [who.id for who in self.measured]
        return self.measured[(names.index(one.id) + 1) % len(names)]

    def _known(self, one: real.RealUser, other: real.RealUser, items: Ints) -> dict[str, Any]:
        """What the model says of a rating by the number of its user, and by another number."""
        assert self._model is not None
        domain, catalog = self.world.domain, self.data.log.catalog
        source = Path(self.config.ratings.partition(":")[2] or self.config.ratings).name
        requests = [
            recall.rating_request(domain, source, who.id, catalog.items[item].title)
            for who in (one, other)
            for item in items.tolist()
        ]
        ratings = [recall.read_rating(domain, answer) for answer in recall.ask(self._model, requests)]
        later = dict(zip(one.later.tolist(), one.later_values.tolist(), strict=True))
        return {
            "items": [catalog.items[item].id for item in items.tolist()],
            "real": [later[item] for item in items.tolist()],
            "own": ratings[: len(items)],
            "other": ratings[len(items) :],
        }

    def _collect(self, directory: Path) -> None:
        """Write the records of all jobs as files of their own."""
        jobs = [AuditJob(f"user-{number}", directory) for number in range(len(self.measured))]
        read = [job.read() for job in (*jobs, AuditJob(TITLES, directory))]
        write_lines(directory / f"{ANSWERS}.jsonl", [line for lines, _ in read[:-1] for line in lines])
        write_lines(directory / f"{TITLES}.jsonl", read[-1][0])
        usage = summed([usage for _, usage in read])
        write_file(directory / MANIFEST, {**resumed_manifest(directory), "usage": usage})


def _parts(rows: Sequence[Any], size: Callable[[], int | None]) -> Iterator[Sequence[Any]]:
    """Rows in parts, of a size that is asked for before each; None for all that remain."""
    start = 0
    while start < len(rows):
        most = size()
        yield rows[start:] if most is None else rows[start : start + most]
        start = len(rows) if most is None else start + most


def _written(values: Any) -> list[float | None]:
    """Numbers as records hold them; None for NaN."""
    return [None if value != value else round(value, _DIGITS) for value in np.asarray(values).tolist()]


def compute_results(directory: Path) -> dict[str, Any]:
    """Everything that the records of an audit come to; a RunError where one is missing or damaged."""
    about = resumed_manifest(directory)
    records = read_lines(directory, ANSWERS)
    users = [one for one in records if one["left_out_why"] is None]
    lines = verdicts_of(users, read_lines(directory, TITLES), about)
    levels = [f"{level:g}" for level in about["levels"]]
    given = [value for one in users for value in one["answers"][variant.BASE] if value is not None]
    nearest = np.array(about["levels"])
    counts = [int(np.abs(nearest - value).argmin()) for value in given]
    return {
        **{name: about[name] for name in ("kind", "title", "scale", "parts", "uses_llm", "answered_by")},
        **{name: about[name] for name in ("config", "data", "planned")},
        "users": len(users),
        "left_out": len(records) - len(users),
        "rating_counts": {level: counts.count(place) for place, level in enumerate(levels)},
        "verdicts": lines,
        "sentence": sentence_of(lines, about["answered_by"], len(users)),
    }
