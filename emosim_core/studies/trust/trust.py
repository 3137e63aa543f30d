"""Trust: draws logs from known answers, has everybody judge the recommenders that learned from them, and counts."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, field_validator

from emosim_core.data import json_text
from emosim_core.data.files import scratch
from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError
from emosim_core.fitting.directory import CARD, read_card, write_card
from emosim_core.fitting.profiles import Profiles
from emosim_core.hooks import Registry
from emosim_core.hooks.fields import split_components
from emosim_core.kinds import KINDS, TRUST
from emosim_core.model.frozen import option
from emosim_core.runs.cells import Cell, OnProgress, Worlds, check_data, executor_of
from emosim_core.runs.job import write_file
from emosim_core.runs.manifest import digest, now, versions_of
from emosim_core.runs.reading import read_object
from emosim_core.runs.records import FORMAT, MANIFEST
from emosim_core.simulation.config import EnvironmentConfig, read_config
from emosim_core.simulation.logs import LogSource, is_table_log, load_log
from emosim_core.studies.cost import Estimate, estimate
from emosim_core.studies.jobs import ResumableStudy, StudyConfig
from emosim_core.studies.study import Trial, Trials
from emosim_core.studies.trust.exposure import Policy
from emosim_core.studies.trust.figures import LogVerdicts, compute_figures
from emosim_core.studies.trust.lineup import DEFAULT, lineup_of
from emosim_core.studies.trust.truth import (
    Drawn,
    Truth,
    complete_users,
    draw,
    made_up,
    most_rated,
    shown_at_random,
)
from emosim_core.studies.trust.verdicts import SIMULATED, verdicts_on
from emosim_core.studies.validation.knowledge import RealLog

FITTED = "fitted"
"""The rater that is measured unless another is named."""

RESULTS = KINDS[TRUST].results
"""The results of a directory."""

LOGS = "logs"
"""Folder of a directory with the verdicts on each log."""

COMPLETE, FACTORS = "complete", "factors"
"""Where the truth is from, beside a second file."""

_MOST_MADE_UP = 300
"""Items of a made-up truth, unless it is said otherwise."""

_WRITTEN = 40
"""Requests that are written out to learn how long they are."""


class TrustConfig(LogSource, StudyConfig):
    """Whose answers are the truth, what logs are made of them, and which recommenders are compared."""

    model_config = ConfigDict(title="Trust")

    ratings: str = option(..., "Log of real users: FILE.csv, csv:FILE, parquet:FILE or movielens:PATH.")
    truth: str = option(
        COMPLETE,
        "Truth: complete, the users of the log who rated everything; factors, a model of the log; or csv:FILE, ratings "
        "of the log's users of items that were shown at random.",
    )
    recommenders: tuple[str, ...] = option(
        (),
        "Recommenders, with commas between, such as random,popular,shuffled+item_knn.",
        unset="17, from good to crippled",
    )
    logging: Policy = option("popular", "Policy that makes the logs.")
    epsilon: float = option(0.1, "Probability of a random item in the logs.", ge=0, le=1)
    num_logs: int = option(20, "Logs that are drawn, each with other users held out.", ge=1, le=10_000, unit="logs")
    length: int = option(20, "Answers of a user in a log on average.", ge=2, unit="answers")
    history: int = option(10, "Known answers of a held-out user.", ge=1, unit="answers")
    slate: int = option(5, "Items that a recommender picks for a user.", ge=1, unit="items")
    complete_share: float = option(
        1.0, "Share of all items from which on a user rated everything.", gt=0, le=1, unit="share", rare=True
    )
    max_items: int | None = option(
        None, "Most rated items that are kept.", ge=10, unit="items", unset="all; 300 for --truth factors"
    )
    max_users: int | None = option(
        None, "Users whose answers are the truth, at most.", ge=40, unset="all", unit="users"
    )
    seed: int = option(42, "Seed of all random numbers.", ge=0, le=2**63 - 1)

    @field_validator("ratings", "truth")
    @classmethod
    def _tables(cls, value: str) -> str:
        ending = Path(value).name.removesuffix(".gz").rpartition(".")[2].lower()
        kind = {"csv": "csv", "tsv": "csv", "parquet": "parquet"}.get(ending)
        return f"{kind}:{value}" if kind and ":" not in value else value

    @field_validator("recommenders", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return tuple(split_components(value)) if isinstance(value, str) else value


@dataclass(frozen=True)
class _Task:
    """The arguments of a cell: one log, with the digests of what it must be about."""

    config: TrustConfig
    environment: Mapping[str, Any]
    number: int
    directory: Path
    data: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The file of its verdicts."""
        return self.directory / LOGS / f"{self.number:04d}.npz"


class _Data:
    """What all logs share: the items and what is known of the answers to them."""

    def __init__(self, config: TrustConfig, environment: Mapping[str, Any], registry: Registry) -> None:
        plugin, embeddings = str(environment["plugin"]), str(environment["embeddings"])
        real = RealLog(registry, plugin, config.source, embeddings, config.seed)
        self.notes, self.domain = real.notes, real.domain
        log, self.catalog = real.interactions, real.catalog
        most = config.max_items or (_MOST_MADE_UP if config.truth == FACTORS else None)
        if most is not None and most < len(self.catalog):
            log, self.catalog = most_rated(log, self.catalog, most)
        truth = self._truth(config, log, registry, plugin, real)
        if config.max_users is not None:
            truth = _fewer(truth, config.max_users, config.seed)
        self.truth = truth

    def _truth(self, config: TrustConfig, log: Interactions, registry: Registry, plugin: str, real: RealLog) -> Truth:
        if config.truth == COMPLETE:
            return complete_users(log, config.complete_share)
        if config.truth == FACTORS:
            return made_up(log, self.domain.scale, config.seed)
        if not is_table_log(config.truth):
            raise ConfigurationError(
                f"the truth {config.truth!r} is none of {COMPLETE}, {FACTORS}, csv:FILE and parquet:FILE"
            )
        _, _, ratings = load_log(
            registry, plugin, config.truth, config.items or _items_of(config.ratings), config.columns
        )
        self.notes += ratings.notes
        other = Interactions.of(ratings, len(real.catalog), config.seed)
        place = np.array([self.catalog.index.get(one, -1) for one in real.catalog.ids], dtype=np.intp)
        other = other.only(place[other.items] >= 0)
        return shown_at_random(log, replace(other, items=place[other.items], item_count=len(self.catalog)))

    def about(self) -> dict[str, Any]:
        """Digests of all that decides verdicts."""
        return {
            "items_sha256": digest(self.catalog.items),
            "items": len(self.catalog),
            "users": int((~np.isnan(self.truth.answers)).any(axis=1).sum()),
            "truth": self.truth.about,
            "answers": int((~np.isnan(self.truth.answers)).sum()),
            "answers_sum": round(float(np.nansum(self.truth.answers)), 6),
        }

    def drawn(self, config: TrustConfig, number: int) -> Drawn:
        """The log of a number, from 0."""
        return draw(
            *(self.truth, self.domain.scale, config.logging, config.epsilon, config.length, config.history),
            (config.seed, number),
        )


class Trust(ResumableStudy):
    """One study: reads the answers, draws logs, and counts.

    Raises:
        EmoSimError: a value is wrong, or too little is known for a truth.
    """

    command, options = "trust", TrustConfig
    alone = ""

    @classmethod
    def manifest_of(cls, directory: Path) -> dict[str, Any]:
        return read_object(directory / MANIFEST)

    def __init__(self, config: TrustConfig, registry: Registry) -> None:
        self.config, self._registry = config, registry
        values = dict(config.environment)
        if values.get("rater") is None and values.get("llm_model") is None:
            values["rater"] = FITTED
        values.setdefault("embeddings", "lexical")
        environment: EnvironmentConfig = read_config(EnvironmentConfig, values, "trust")
        self._environment = environment.model_dump(mode="json")
        self._worlds = Worlds(registry)
        self.world = self._worlds.of(self._environment, learns=True)
        self._worlds.serves = self.world.rater.uses_llm
        self.entries = lineup_of(config.recommenders or DEFAULT, self.world.domain.name, registry)
        self.data = self._worlds.cached(_key(config), lambda: _Data(config, self._environment, registry))
        if len(self.data.catalog) < 2 * config.slate:
            raise ConfigurationError(
                f"a slate of {config.slate} needs {2 * config.slate} items or more, and there are "
                f"{len(self.data.catalog)}; give a smaller --slate"
            )

    @property
    def announcements(self) -> list[str]:
        """What whoever runs this must know before."""
        return [*self.world.announcements, *self.data.notes]

    def estimate(self) -> Estimate | None:
        """Estimated calls, tokens and cost of the language model, at most; None where the rater calls none."""
        if not self.world.rater.uses_llm:
            return None
        drawn = self.data.drawn(self.config, 0)
        log, scale = drawn.log, self.data.domain.scale
        profiles = Profiles(log, self.data.catalog, scale, self.data.domain.words)
        some = drawn.histories[:_WRITTEN]
        users = [profiles.user(f"held out {row}", profiles.row(past)) for row, past in enumerate(some)]
        trials = []
        for row, past in enumerate(some):
            assert past.values is not None
            memory = tuple(zip(past.items.tolist(), past.values.tolist(), strict=True))
            trials.append(Trial(row, int(drawn.candidates[row].argmax()), memory=memory))
        estimated = estimate(replace(self.world, catalog=self.data.catalog), Trials(users, trials))
        if estimated is None:
            return None
        each = np.minimum(drawn.candidates.sum(axis=1), self.config.slate * len(self.entries)).sum()
        requests = int(each) * self.config.num_logs
        times = requests / len(some)
        prompt, completion = round(estimated.prompt * times), round(estimated.completion * times)
        return replace(estimated, requests=requests, prompt=prompt, completion=completion)

    def about(self) -> dict[str, Any]:
        """The manifest: what was asked, of whom, by what."""
        world = self.world
        return {
            "format": FORMAT,
            "kind": "trust",
            "title": f"{world.domain.title}: verdicts of simulated users beside the truth",
            "config": self.config.model_dump(mode="json"),
            "parts": {**world.parts, "user_loader": {"name": "recorded", "source": self.config.ratings}},
            "uses_llm": world.rater.uses_llm,
            "language_model": world.model,
            "answered_by": world.answered_by,
            "scale": str(world.domain.scale),
            "data": self.data.about(),
            "versions": versions_of([world.parts]),
            "created": now(),
        }

    def _has_done(self, directory: Path) -> bool:
        return any((directory / LOGS).glob("*.npz"))

    def _make(self, directory: Path, on_progress: OnProgress, executor: str | Mapping[str, Any]) -> dict[str, Any]:
        """Judge on every log, and count."""
        data = self.data.about()
        tasks = [
            _Task(self.config, self._environment, number, directory, data) for number in range(self.config.num_logs)
        ]
        where = executor_of(executor, self._registry)
        left = [task for task in tasks if not task.path.is_file()]
        on_progress(len(tasks) - len(left))
        if left:
            cells = [
                Cell(f"log {task.number + 1}", judge_log, task, directory, (), f"{LOGS}/{task.path.name}")
                for task in left
            ]
            with closing(where.run(cells, self._worlds, on_progress)) as done:
                for _ in done:
                    pass
        outcome = results_of(directory, self.about(), [read_verdicts(task.path) for task in tasks], self.entry_names)
        write_file(directory / RESULTS, outcome)
        return outcome

    @property
    def entry_names(self) -> list[str]:
        """The recommenders as they are written."""
        return [one.name for one in self.entries]


def judge_log(task: _Task, worlds: Worlds, on_log: OnProgress) -> None:
    """Draw one log, have everybody judge the recommenders, and write the verdicts, whole or not at all."""
    config = task.config
    world = worlds.of(task.environment, learns=True)
    data: _Data = worlds.cached(_key(config), lambda: _Data(config, task.environment, worlds.registry))
    check_data(data.about(), task.data)
    drawn = data.drawn(config, task.number)
    entries = lineup_of(config.recommenders or DEFAULT, data.domain.name, worlds.registry)
    task.path.parent.mkdir(parents=True, exist_ok=True)
    with scratch(task.path.with_suffix("")) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        verdicts = verdicts_on(
            *(drawn, entries, data.catalog, world, worlds.registry, config.slate, config.seed + task.number, folder)
        )
    arrays: dict[str, Any] = {f"sums/{name}": table for name, table in verdicts.sums.items()}
    arrays |= {"learners": drawn.learners, "held_out": drawn.held_out, "failed": np.array(verdicts.failed)}
    arrays["logged"] = verdicts.logged
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    write_file(task.path, stream.getvalue())
    on_log(1)


def read_verdicts(path: Path) -> tuple[LogVerdicts, float]:
    """The verdicts on one log, and the share of the simulated answers that failed."""
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        sums = {name.removeprefix("sums/"): arrays[name] for name in arrays.files if name.startswith("sums/")}
        one = LogVerdicts(sums, arrays["learners"], arrays["held_out"], arrays["logged"])
        return one, float(arrays["failed"])


def results_of(
    directory: Path, about: Mapping[str, Any], read: list[tuple[LogVerdicts, float]], names: list[str]
) -> dict[str, Any]:
    """What trust.json holds."""
    logs = [one for one, _ in read]
    most = 1 + max(int(users.max()) for one in logs for users in (one.learners, one.held_out))
    return {
        "format": FORMAT,
        **{name: about[name] for name in ("kind", "title", "config", "answered_by", "scale", "data")},
        "rater": about["parts"]["rater"]["name"],
        "domain": about["parts"]["domain"]["name"],
        "logs": len(logs),
        "held_out": round(float(np.mean([len(one.held_out) for one in logs])), 1),
        "failed": round(float(np.mean([failed for _, failed in read])), 6),
        **compute_figures(logs, names, most),
    }


def check_fitted(fitted: Path, domain: str, rater: str) -> None:
    """See that a study of a domain and a rater says something of fitted users.

    Raises:
        DataError: it is no directory of fitted users of this domain, or it is damaged.
        ConfigurationError: somebody else answers in the study.
    """
    read_card(fitted, domain)
    if rater != FITTED:
        raise ConfigurationError(
            f"{fitted} holds users who answer by the rater {FITTED!r}, and here {rater!r} is measured"
        )


def write_on_card(fitted: Path, results: Mapping[str, Any]) -> None:
    """Write on the card of fitted users how often verdicts of users like them are right; as :func:`check_fitted`."""
    check_fitted(fitted, results["domain"], results["rater"])
    mine = results["methods"][SIMULATED]
    about = {
        "measured": now(),
        "truth": results["data"]["truth"],
        "logs": results["logs"],
        "right": mine["right"],
        "held": mine["held"],
        "calibration": results["calibration"],
    }
    write_card(fitted, {**json_text.loads((fitted / CARD).read_bytes()), "trust": about})


def _key(config: TrustConfig) -> str:
    return f"trust {config.model_dump_json()}"


def _items_of(ratings: str) -> str | None:
    """The item source of a log that is one itself."""
    return None if is_table_log(ratings) else ratings


def _fewer(truth: Truth, most: int, seed: int) -> Truth:
    """A truth with the answers of at most so many users, drawn by chance."""
    about = f"{truth.about}, {most:,} of them drawn"
    known = np.flatnonzero((~np.isnan(truth.answers)).any(axis=1))
    chosen = np.random.default_rng([seed, 2]).permutation(known)[:most]
    answers = np.full_like(truth.answers, np.nan)
    answers[chosen] = truth.answers[chosen]
    return replace(truth, about=about, answers=answers) if len(known) > most else truth
