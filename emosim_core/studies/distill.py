"""Distillation: users are fitted to the answers of a rater, such as a language model, and answer without it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from emosim_core.data.files import scratch
from emosim_core.data.interactions import Interactions
from emosim_core.data.json_text import line
from emosim_core.errors import ConfigurationError, RunError
from emosim_core.estimators import Past
from emosim_core.estimators.interface import RatingEstimator
from emosim_core.estimators.ratings import ItemMean, ItemMeanAndUserBias
from emosim_core.fitting.directory import CARD, write_fitted
from emosim_core.fitting.people import fit_users
from emosim_core.fitting.ratings import RatingModel
from emosim_core.hooks import Registry
from emosim_core.model import LoadedRatings, Memory, User
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.model.frozen import option
from emosim_core.runs import reading
from emosim_core.runs.cells import OnProgress
from emosim_core.runs.job import now, write_file
from emosim_core.runs.manifest import data_of, versions_of
from emosim_core.runs.records import FORMAT, MANIFEST
from emosim_core.runs.schemas import Usage
from emosim_core.runs.usage import since, summed
from emosim_core.simulation.assembly import World, assemble
from emosim_core.simulation.config import EnvironmentConfig, read_config
from emosim_core.stats import bootstrap, bootstrap_difference, rounded
from emosim_core.studies.cost import Estimate, estimate
from emosim_core.studies.fit import card_of
from emosim_core.studies.jobs import JOBS, JobRecords, ResumableStudy, StudyConfig
from emosim_core.studies.study import Trial, Trials
from emosim_core.studies.trials import AT_ONCE, run_trials

KIND = "distillation"
"""What the manifest says that the directory holds."""

ANSWERS = "answers.jsonl"
"""File of the answers: user, item and rating, or null where none was given."""

FITTED, CONSTANT = "fitted", "constant"


class DistillConfig(StudyConfig):
    """Distillation: how many answers are asked for, and how the users are fitted to them."""

    model_config = ConfigDict(title="Distill")

    max_questions: int = option(2000, "Maximum ratings asked of the rater.", ge=20, unit="ratings")
    per_user: int = option(20, "Ratings asked of each user; fewer users with more each.", ge=5, unit="ratings")
    per_item: int = option(
        5, "Ratings asked about each item on average; the fewer, the more items are asked about.", ge=1, unit="ratings"
    )
    heldout_fraction: float = option(
        0.2, "Fraction of each user's answers that the fit is measured on.", gt=0, lt=1, unit="fraction"
    )
    seed: int = option(42, "Seed of all random numbers.", ge=0, le=2**63 - 1)


class _Head(TypedDict):
    format: int
    usage: Usage


class _Answer(TypedDict):
    user: str
    item: str
    rating: float | None


class _Manifest(TypedDict):
    config: dict[str, Any]
    parts: dict[str, Any]
    data: dict[str, Any]
    kind: str


_HEAD, _LINE, _MANIFEST = TypeAdapter(_Head), TypeAdapter(_Answer), TypeAdapter(_Manifest)


class _Block(JobRecords):
    """Some of the answers."""

    head = _HEAD
    line = _LINE


def _manifest(directory: Path) -> dict[str, Any]:
    manifest = reading.read_object(directory / MANIFEST, newest=FORMAT)
    if manifest.get("kind") != KIND:
        raise RunError(f"{directory} holds no distillation")
    reading.check(str(directory / MANIFEST), manifest, _MANIFEST)
    return manifest


class Distillation(ResumableStudy):
    """One distillation: draws what is asked, asks, fits, measures and writes.

    Which users are asked about which items is drawn under the seed; items that many users know are asked about more
    often. The answers are split: the fit that is measured learns from some of each user's and predicts the others.
    The users that are written are fitted to all.

    Raises:
        EmoSimError: an option is wrong, or what it names cannot be used.
    """

    command, options = "distill", DistillConfig
    manifest_of = staticmethod(_manifest)

    def __init__(self, config: DistillConfig, registry: Registry) -> None:
        self.config, self._registry = config, registry
        # A failed answer is one answer fewer.
        values = {**config.environment, "on_failed_rating": "skip"}
        self.world: World = assemble(read_config(EnvironmentConfig, values, "distill"), registry)

    @cached_property
    def trials(self) -> Trials:
        """What is asked of whom: for each user some items, nothing in their memories.

        Raises:
            ConfigurationError: there are too few users, items or questions.
        """
        config, world = self.config, self.world
        rng = np.random.default_rng(config.seed)
        available = world.user_indices
        count = min(len(available), config.max_questions // config.per_user)
        each = min(config.per_user, len(world.catalog))
        if count < 2:
            raise ConfigurationError(
                f"{config.max_questions:,} questions with {config.per_user:,} for each of {len(available):,} users ask "
                "fewer than two users; raise --max-questions or lower --per-user"
            )
        users = np.sort(rng.choice(available, count, replace=False))
        wanted = int(np.clip(count * each // config.per_item, each, len(world.catalog)))
        weights = np.sqrt(1.0 + world.catalog.public_counts)
        items = rng.choice(len(weights), wanted, replace=False, p=weights / weights.sum())
        drawn = [Trial(row, int(item)) for row in range(count) for item in rng.choice(items, each, replace=False)]
        return Trials([world.population.users[user] for user in users.tolist()], drawn)

    def estimate(self) -> Estimate | None:
        """What calling a language model will take; None where none is called."""
        return estimate(self.world, self.trials) if self.world.rater.uses_llm else None

    def about(self) -> dict[str, Any]:
        """The manifest: what is asked, of whom, by what."""
        world = self.world
        return {
            "format": FORMAT,
            "kind": KIND,
            "created": now(),
            "config": self.config.model_dump(mode="json"),
            "parts": world.parts,
            "uses_llm": world.rater.uses_llm,
            "language_model": world.model or None,
            "answered_by": world.answered_by,
            "questions": len(self.trials.trials),
            "data": data_of(world),
            "versions": versions_of([world.parts]),
            "announcements": list(world.announcements),
        }

    def _has_done(self, directory: Path) -> bool:
        return self._block(directory, 0).complete

    def _make(self, directory: Path, on_progress: OnProgress, executor: str | Mapping[str, Any]) -> dict[str, Any]:
        """Ask what was not asked yet, fit, and write the users; the result is what their card says."""
        if (directory / CARD).exists():
            return card_of(directory)
        return self._write(directory, self._ask(directory, on_progress))

    # ---------------------------------------------------------------------------------------------- asking

    @staticmethod
    def _block(directory: Path, number: int) -> _Block:
        return _Block(f"block-{number:06}", directory)

    def _ask(self, directory: Path, on_ratings: OnProgress) -> dict[str, Any]:
        """Get the answers that are not there, block by block, and write all to one file; returns the usage."""
        trials, rater = self.trials, self.world.rater
        blocks = -(-len(trials.trials) // AT_ONCE)
        done = next((n for n in range(blocks) if not self._block(directory, n).complete), blocks)
        on_ratings(min(done * AT_ONCE, len(trials.trials)))
        records = run_trials(self.world, trials, self.config.seed, on_ratings, first=done * AT_ONCE)
        for number in range(done, blocks):
            before = dict(rater.usage())
            answers = [{name: one[name] for name in ("user", "item", "rating")} for one in islice(records, AT_ONCE)]
            self._block(directory, number).write_lines({"usage": since(before, rater.usage())}, answers)
        heads: list[Mapping[str, Any]] = []
        given: list[Mapping[str, Any]] = []
        for number in range(blocks):
            first, some = self._block(directory, number).read_lines()
            heads.append(first["usage"])
            given += some
        write_file(directory / ANSWERS, b"".join(map(line, given)))
        return summed(heads)

    def _answered(self, directory: Path) -> tuple[Interactions, Flags]:
        """The answers as a log, and which of them are held out.

        Raises:
            ConfigurationError: there are too few of them.
        """
        catalog, answers = self.world.catalog, []
        for number, one in reading.read_lines(directory / ANSWERS):
            reading.check(f"{directory / ANSWERS}, line {number}:", one, _LINE)
            answers.append(one)
        given = [one for one in answers if one["rating"] is not None]
        counts = dict(zip(*np.unique([one["user"] for one in given], return_counts=True), strict=True))
        given = [one for one in given if counts[one["user"]] >= _LEAST]
        if len({one["user"] for one in given}) < 2:
            raise ConfigurationError(
                f"of {len(answers):,} ratings {len(answers) - len(given):,} failed or are of users with fewer than "
                f"{_LEAST}: there is nothing to fit users to. Try another --llm-rater or model"
            )
        log = Interactions.of(
            LoadedRatings(
                user_ids=[one["user"] for one in given],
                items=np.array([catalog.index[one["item"]] for one in given], dtype=np.intp),
                values=np.array([one["rating"] for one in given], dtype=np.float64),
                times=None,
            ),
            len(catalog),
            self.config.seed,
        )
        heldout = np.zeros(len(log), dtype=np.bool_)
        for start, end in zip(log.starts[:-1].tolist(), log.starts[1:].tolist(), strict=True):
            most = end - start - 2  # the order of the answers of a user is drawn
            heldout[end - int(np.clip(round((end - start) * self.config.heldout_fraction), 1, most)) : end] = True
        return log, heldout

    # ---------------------------------------------------------------------------------------------- fitting

    def _write(self, directory: Path, usage: Mapping[str, Any]) -> dict[str, Any]:
        """Fit, measure, and write the users; the card comes last."""
        world, config = self.world, self.config
        log, heldout = self._answered(directory)
        measured = agreement(world, log, heldout, config.seed)
        fitted = fit_users(log, world.catalog, world.domain, config.seed, taken=liked(log))
        users: dict[str, User] = {user.id: user for user in self.trials.users}
        fitted = replace(fitted, users=[users[name] for name in log.user_ids])
        failed = len(self.trials.trials) - len(log)
        about = {
            "created": now(),
            "anonymous": False,
            "seed": config.seed,
            "fit": config.flat(),
            "log": {
                "source": f"answers of {world.answered_by}",
                "items_source": config.environment.get("items"),
                "users": len(log.user_ids),
                "interactions": len(log),
                "items_taken": len(np.unique(log.items)),
                "explicit": True,
                "times": False,
                "notes": [],
            },
            "can": _CAN,
            "cannot": _CANNOT,
            "versions": versions_of([world.parts], ("scipy", "safetensors")),
            "validation": None,
            "distillation": {
                "answered_by": world.answered_by,
                "language_model": world.model or None,
                "questions": len(self.trials.trials),
                "left_out": failed,
                "usage": dict(usage),
                **measured,
            },
        }
        with scratch(directory / "users") as folder:
            write_fitted(folder, fitted, about)
            for path in sorted(folder.iterdir(), key=lambda one: one.name == CARD):
                os.replace(path, directory / path.name)
        shutil.rmtree(directory / JOBS, ignore_errors=True)
        return card_of(directory)


_LEAST = 4
"""Answers of a user that take part."""

_CAN = (
    "rate as the rater did whose answers they are fitted to, as far as the held-out answers say, without calling it",
    "take part in 'emosim run', 'train' and 'evaluate', with any recommender and rater",
    "be drawn anew in any number: fitted:DIR,count=N",
)
_CANNOT = (
    "be closer to real users than that rater: measure it with emosim validate",
    "follow its moods and memories: it was asked of users at rest who remember nothing, and what moves ratings in an "
    "episode is that of the rater fitted",
    "choose as it would: what they choose is learned from the items that they rate above their own mean",
    "give its reasons",
)


def liked(log: Interactions) -> Interactions:
    """What of a log users rated above their own mean, or as high where they rate all alike: what they would take."""
    assert log.values is not None
    counts = np.bincount(log.users, minlength=len(log.user_ids))
    means = np.bincount(log.users, log.values, len(log.user_ids)) / np.maximum(counts, 1)
    flat = np.abs(log.values - means[log.users]) < 1e-9
    return log.only((log.values > means[log.users]) | flat)


def agreement(world: World, log: Interactions, heldout: Flags, seed: int) -> dict[str, Any]:
    """How well users who are fitted to some answers predict the others, beside simple models of the same answers.

    Args:
        heldout: which of the answers are foretold, shape as ``log.items``.

    Returns:
        ``heldout`` and ``users``, counts; ``models``, for the fit (``fitted``), a ``constant`` and means: ``rmse``,
        ``mae`` and ``correlation`` (Pearson), each with its 95 % interval over users; and ``differences`` of the RMSE
        of the fit from each other model, with the interval over the same users.
    """
    assert log.values is not None
    training, users, items = log.only(~heldout), log.users[heldout], log.items[heldout]
    given = log.values[heldout]
    scale = world.domain.scale
    foretold: dict[str, Floats] = {FITTED: _fitted(world, training, users, items, seed)}
    assert training.values is not None
    foretold[CONSTANT] = np.full(len(given), training.values.mean())
    estimators: Sequence[RatingEstimator] = (ItemMean(), ItemMeanAndUserBias())
    starts, values = training.starts, training.values
    for one in estimators:
        one.fit(training, world.catalog, scale)
        foretold[one.name] = np.concatenate(
            [
                one.predict(Past(training.items[starts[user] : starts[user + 1]],
                                 values[starts[user] : starts[user + 1]]), items[users == user])
                for user in np.unique(users).tolist()
            ]
        )  # fmt: skip
    sums = {name: _sums(users, given, one) for name, one in foretold.items()}
    models = {
        name: {
            measure: _interval(float(value(one.sum(axis=0))), *bootstrap(one, value))
            for measure, value in _MEASURES.items()
        }
        for name, one in sums.items()
    }
    rmse = _MEASURES["rmse"]
    differences = {
        name: _interval(
            float(rmse(sums[FITTED].sum(axis=0)) - rmse(one.sum(axis=0))),
            *bootstrap_difference(sums[FITTED], one, rmse, rmse),
        )
        for name, one in sums.items()
        if name != FITTED
    }
    return {
        "heldout": len(given),
        "users": len(np.unique(users)),
        "scale": str(scale),
        "answers": {"mean": rounded(float(log.values.mean())), "deviation": rounded(float(log.values.std()))},
        "models": models,
        "differences": differences,
    }


def _fitted(world: World, training: Interactions, users: Ints, items: Ints, seed: int) -> Floats:
    model = RatingModel.fit(training, world.catalog, world.domain.scale, seed, chosen=False)
    states = model.states(training)[users]
    nothing = Memory(len(users), len(world.catalog), capacity=1).history()
    return model.expected(items[:, None], states, nothing)[:, 0]


def _sums(users: Ints, given: Floats, foretold: Floats) -> Floats:
    """What each user adds to the measures, shape ``(users, 8)``."""
    off = given - foretold
    columns = (np.ones(len(off)), off**2, np.abs(off), given, foretold, given**2, foretold**2, given * foretold)
    _, place = np.unique(users, return_inverse=True)
    return np.stack([np.bincount(place, column) for column in columns], axis=1)


def _correlation(sums: Floats) -> Floats:
    n, _, _, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spreads = n * xx - x**2, n * yy - y**2
    varies = (spreads[0] > 1e-9 * n * xx) & (spreads[1] > 1e-9 * n * yy)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = (n * xy - x * y) / np.sqrt(spreads[0] * spreads[1])
    return np.where(varies, correlation, np.nan)


_MEASURES: dict[str, Callable[[Floats], Floats]] = {
    "rmse": lambda sums: np.sqrt(sums[..., 1] / sums[..., 0]),
    "mae": lambda sums: sums[..., 2] / sums[..., 0],
    "correlation": _correlation,
}


def _interval(estimate: float, low: float, high: float) -> dict[str, float | None]:
    return {"estimate": rounded(estimate), "low": rounded(low), "high": rounded(high)}
