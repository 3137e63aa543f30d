"""Contract: each rule is broken by a small wrong component, and the suite of its kind says so in words."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import gymnasium
import numpy as np
import pytest

from emosim_core.errors import EmoSimError, LLMAuthenticationError, LLMMalformedError, LLMTransientError, PluginError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message, Usage
from emosim_core.llm.prompts.prompt_strategy import PromptStrategy, Reply
from emosim_core.plugins import (
    Cell,
    Choice,
    Emotion,
    EmotionModel,
    Executor,
    Item,
    ItemLoader,
    LoadedItems,
    Metric,
    ObservationModel,
    OnProgress,
    Perturbator,
    Policy,
    RatedTrials,
    Rater,
    Ratings,
    Retrieval,
    RewardShaping,
    Selector,
    Study,
    StudySetting,
    Trial,
    Trials,
    User,
    UserLoader,
    Worlds,
    success_share,
)
from emosim_core.testing import (
    RULES,
    BrokenRuleError,
    ChoiceConformance,
    ComponentConformance,
    DomainConformance,
    EmotionModelConformance,
    ExecutorConformance,
    ItemLoaderConformance,
    LLMBackendConformance,
    ObservationConformance,
    Outcome,
    PerturbatorConformance,
    PolicyConformance,
    PromptStrategyConformance,
    RaterConformance,
    RetrievalConformance,
    RewardShapingConformance,
    SelectorConformance,
    StudyConformance,
    UserLoaderConformance,
    check_plugin,
    load_items,
    run_suite,
)

KEY = "EMOSIM_TEST_KEY"


@dataclass(frozen=True)
class Wrong:
    """A wrong component.

    Attributes:
        rule: the rule that it breaks.
        how: what is wrong, in words.
        suite: the suite of its kind.
        make: makes it.
        also: rules that cannot be kept where this one is broken in this way.
        more: what is set on the suite.
    """

    rule: str
    how: str
    suite: type[ComponentConformance]
    make: Callable[[], Any]
    also: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.rule}: {self.how}"


def a(base: type, **members: Any) -> type:
    """A class with these methods and attributes."""
    return type("Wrong", (base,), members)


HIDDEN = np.random.default_rng()
"""A generator that nothing seeds."""


class CountsCalls:
    """How often an instance was asked before, which it should not know."""

    calls = 0

    def again(self) -> bool:
        self.calls += 1
        return self.calls > 1


# ------------------------------------------------------------------------------------------ retrieval


def newest(items: Any, history: Any) -> Any:
    """The most recent interaction, for every item; a correct strategy."""
    return np.broadcast_to((history.lengths - 1)[:, None, None], (*items.shape, 1)).copy()


def retrieving(answer: Callable[[Any, Any], Any]) -> type:
    return a(Retrieval, retrieve_batch=lambda self, request: answer(request.items, request.history))


def remembering(answer: Callable[[Any], Sequence[int]]) -> type:
    return a(Retrieval, retrieve=lambda self, situation: answer(situation.history))


class OnlyOnce(CountsCalls, Retrieval):
    def retrieve_batch(self, request: Any) -> Any:
        return np.full((*request.items.shape, 1), -1) if self.again() else newest(request.items, request.history)


class AtRandom(Retrieval):
    def retrieve(self, situation: Any) -> Any:
        return [int(HIDDEN.integers(len(situation.history)))] if situation.history else []


class FirstAnswerForAnItem(Retrieval):
    def __init__(self) -> None:
        self.known: dict[int, int] = {}

    def retrieve(self, situation: Any) -> Any:
        newest = len(situation.history) - 1
        return [] if newest < 0 else [min(self.known.setdefault(situation.item, newest), newest)]


class OfTheLongestHistory(Retrieval):
    def retrieve_batch(self, request: Any) -> Any:
        lengths = request.history.lengths
        longest = lengths == lengths.max()
        return np.where(longest[:, None, None], newest(request.items, request.history), -1)


class WritesToHistory(Retrieval):
    def retrieve_batch(self, request: Any) -> Any:
        request.history.ratings[:] = 0
        return newest(request.items, request.history)


class WritesToCatalog(Retrieval):
    def retrieve_batch(self, request: Any) -> Any:
        request.catalog.public_ratings[0] = 0
        return newest(request.items, request.history)


class WritesToItems(Retrieval):
    def retrieve_batch(self, request: Any) -> Any:
        request.items[:] = 0
        return newest(request.items, request.history)


RETRIEVALS = [
    ("retrieval-shape", "neither form", a(Retrieval)),
    ("retrieval-shape", "two axes", retrieving(lambda items, history: np.full(items.shape, -1))),
    ("retrieval-shape", "floats", retrieving(lambda items, history: newest(items, history) * 1.0)),
    ("retrieval-shape", "a list", retrieving(lambda items, history: newest(items, history).tolist())),
    ("retrieval-shape", "an error at an empty history", remembering(lambda history: [max(range(len(history)))])),
    ("retrieval-range", "beyond the newest", retrieving(lambda items, history: newest(items, history) + 1)),
    ("retrieval-range", "beyond the newest, in the single form", remembering(lambda history: [len(history)])),
    ("retrieval-range", "from the end", retrieving(lambda items, history: np.minimum(newest(items, history), -2))),
    ("retrieval-order", "twice", remembering(lambda history: [0, 0] if history else [])),
    ("retrieval-order", "a gap", retrieving(lambda items, history: np.insert(newest(items, history), 0, -1, axis=2))),
    ("retrieval-alone", "others' memories", OfTheLongestHistory),
    ("retrieval-repeats", "a state", OnlyOnce),
    ("retrieval-repeats", "a generator of its own", AtRandom, "retrieval-alone"),
    ("retrieval-alone", "answers kept by item", FirstAnswerForAnItem),
    ("retrieval-reads", "the memories", WritesToHistory),
    ("retrieval-reads", "the catalog", WritesToCatalog),
    ("retrieval-reads", "the items", WritesToItems),
]


# --------------------------------------------------------------------------------------------- raters


def worst(request: Any) -> Any:
    """The lowest rating, for everything; a correct answer."""
    return np.full(request.items.shape, request.scale.low)


def best_if(request: Any, condition: Any) -> Ratings:
    return Ratings(np.where(condition, request.scale.high, worst(request)))


def rating(answer: Callable[[Any], Any], **more: Any) -> type:
    return a(Rater, rate_batch=lambda self, request, draws: answer(request), **more)


class NeedsMemories(Rater):
    def rate_batch(self, request: Any, draws: Any) -> Any:
        return Ratings(worst(request) + 0 * np.nan_to_num(request.retrieved_ratings[:, :, 0]))


class BetterTheNextTime(Rater):
    def prepare(self, setting: Any) -> None:
        self.calls = 0

    def rate_batch(self, request: Any, draws: Any) -> Any:
        self.calls += len(request.users) > 1
        return best_if(request, self.calls > 1)


class OwnGenerator(Rater):
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def rate(self, situation: Any, rng: Any) -> Any:
        return float(self.rng.choice(situation.scale.levels))


class HiddenGenerator(Rater):
    def rate(self, situation: Any, rng: Any) -> Any:
        return float(HIDDEN.choice(situation.scale.levels))


class Writes(Rater):
    """Writes where it is told to."""

    where: Callable[[Any], Any]

    def rate_batch(self, request: Any, draws: Any) -> Any:
        values = worst(request)
        type(self).where(request)[...] = 1
        return Ratings(values)


class WritesWhenItIsPrepared(Rater):
    def prepare(self, setting: Any) -> None:
        setting.population.baselines[:] = 0

    def rate_batch(self, request: Any, draws: Any) -> Any:
        return Ratings(worst(request))


class PreparedOnce(Rater):
    few: bool | None = None

    def prepare(self, setting: Any) -> None:
        self.few = len(setting.catalog) < 10 if self.few is None else self.few

    def rate_batch(self, request: Any, draws: Any) -> Any:
        return best_if(request, self.few)


class KeepsItsFirstTable(Rater):
    few: bool | None = None

    def rate_batch(self, request: Any, draws: Any) -> Any:
        self.few = len(request.catalog) < 10 if self.few is None else self.few
        return best_if(request, self.few)


def of_activity(request: Any) -> Ratings:
    return best_if(request, (request.population.traits[request.users, 0] == 3)[:, None])


RATERS = [
    ("rater-shape", "neither form", a(Rater)),
    ("rater-shape", "one rating per user", rating(lambda request: Ratings(worst(request)[:, 0]))),
    ("rater-shape", "a list", rating(lambda request: Ratings(worst(request).tolist()))),
    ("rater-shape", "whole numbers", rating(lambda request: Ratings(worst(request).astype(int)))),
    ("rater-shape", "no Ratings", rating(worst)),
    ("rater-shape", "an error where nothing is retrieved", NeedsMemories),
    ("rater-shape", "text", a(Rater, rate=lambda self, situation, rng: "good")),
    ("rater-scale", "between two levels", rating(lambda request: Ratings(worst(request) + 0.5))),
    (
        "rater-scale",
        "between, but says it is not",
        rating(lambda request: Ratings(worst(request) + 0.5), on_scale=True),
    ),
    ("rater-scale", "below, in the single form", a(Rater, rate=lambda self, situation, rng: 0.0)),
    ("rater-reason", "none", rating(lambda request: Ratings(worst(request), lambda row, place: None))),
    ("rater-reason", "an error", rating(lambda request: Ratings(worst(request), lambda row, place: {}[row]))),
    ("rater-alone", "knows who else is asked", rating(lambda request: best_if(request, len(request.users) > 1))),
    ("rater-alone", "one generator for all", OwnGenerator, "rater-repeats", "rater-prepares"),
    ("rater-repeats", "a state", BetterTheNextTime),
    ("rater-repeats", "a hidden generator", HiddenGenerator, "rater-alone", "rater-prepares", "rater-activity"),
    ("rater-reads", "the request", a(Writes, where=lambda request: request.times)),
    ("rater-reads", "the moods", a(Writes, where=lambda request: request.moods)),
    ("rater-reads", "the memories", a(Writes, where=lambda request: request.history.ratings)),
    ("rater-reads", "the catalog", a(Writes, where=lambda request: request.catalog.public_ratings)),
    ("rater-reads", "the users", WritesWhenItIsPrepared),
    ("rater-prepares", "once for all", PreparedOnce),
    ("rater-prepares", "a table that is kept", KeepsItsFirstTable),
    ("rater-activity", "activity is enthusiasm", rating(of_activity)),
]


# ------------------------------------------------------------------------- emotions and observations


class Calm(EmotionModel):
    """Tags as by default; moods stay."""

    def tag_batch(self, request: Any) -> Any:
        return Emotion(request.scale).code(request.ratings)

    def feel_batch(self, request: Any, draws: Any) -> Any:
        return request.moods.copy()


class Moody(EmotionModel):
    """Both single forms; the mood is drawn."""

    def tag(self, situation: Any) -> tuple[float, float]:
        return (1, 1) if situation.rating > situation.scale.low else (-1, 0.5)

    def feel(self, situation: Any, rng: Any) -> tuple[float, float]:
        return float(rng.uniform(-1, 1)), float(rng.random())


def tagging(answer: Callable[[Any], Any]) -> type:
    return a(Calm, tag_batch=lambda self, request: answer(request))


def feeling(answer: Callable[[Any], Any]) -> type:
    return a(Calm, feel_batch=lambda self, request, draws: answer(request))


class SadTheNextTime(CountsCalls, Calm):
    def feel_batch(self, request: Any, draws: Any) -> Any:
        return request.moods * (1 - self.again())


EMOTION_MODELS = [
    ("emotion-tags", "neither form", a(EmotionModel)),
    ("emotion-tags", "a tag that is none", a(Moody, tag=lambda self, situation: (0.3, 1)), "emotion-moods"),
    ("emotion-tags", "one per user", tagging(lambda request: np.zeros(len(request.users), dtype=int))),
    ("emotion-tags", "a code too large", tagging(lambda request: np.full(request.ratings.shape, 9))),
    ("emotion-tags", "valence and arousal", tagging(lambda request: np.zeros((*request.ratings.shape, 2)))),
    ("emotion-tags", "cannot be prepared", a(Calm, prepare=lambda self, setting: setting.scale.steps)),
    ("emotion-moods", "does not feel", a(Moody, feel=EmotionModel.feel)),
    ("emotion-moods", "valence alone", feeling(lambda request: request.moods[:, 0])),
    ("emotion-moods", "beyond its range", feeling(lambda request: request.moods + 0.5)),
    ("emotion-moods", "nothing", feeling(lambda request: request.moods * np.nan)),
    ("emotion-alone", "the mean of all", feeling(lambda request: request.moods * 0 + request.moods.mean(axis=0) ** 2)),
    (
        "emotion-alone",
        "tags by company",
        tagging(lambda request: np.full(request.ratings.shape, len(request.users) % 9)),
    ),
    ("emotion-repeats", "a state", SadTheNextTime),
    (
        "emotion-repeats",
        "a hidden generator",
        a(Moody, feel=lambda self, situation, rng: (HIDDEN.random(), HIDDEN.random())),
        "emotion-alone",
    ),
    (
        "emotion-reads",
        "writes to moods",
        feeling(lambda request: np.multiply(request.moods, 0.5, out=request.moods)),
        "emotion-repeats",
    ),
]


class StepsSeen(ObservationModel):
    """The step, and nothing else."""

    def space(self, setting: Any) -> Any:
        return {"step": gymnasium.spaces.Box(0, setting.max_steps, (1,), np.int64)}

    def observe(self, situation: Any) -> Any:
        return {"step": np.array([situation.step])}


def showing(answer: Callable[[Any], Any]) -> type:
    return a(StepsSeen, observe_batch=lambda self, request: answer(request))


class LaterTheNextTime(CountsCalls, StepsSeen):
    def observe_batch(self, request: Any) -> Any:
        return {"step": np.clip(request.steps[:, None] - self.again(), 0, None)}


OBSERVATIONS = [
    ("observation-space", "no space", a(ObservationModel)),
    ("observation-space", "no part", a(StepsSeen, space=lambda self, setting: {})),
    ("observation-space", "out of it", showing(lambda request: {"step": request.steps[:, None] - 100})),
    ("observation-shape", "neither form", a(StepsSeen, observe=ObservationModel.observe)),
    ("observation-shape", "a part is missing", showing(lambda request: {})),
    ("observation-shape", "another dtype", showing(lambda request: {"step": request.steps[:, None] * 1.0})),
    ("observation-shape", "another shape", showing(lambda request: {"step": request.steps})),
    (
        "observation-alone",
        "how many there are",
        showing(lambda request: {"step": 0 * request.steps[:, None] + len(request.steps) % 30}),
    ),
    ("observation-repeats", "a state", LaterTheNextTime, "observation-alone"),
    (
        "observation-reads",
        "writes to steps",
        showing(lambda request: {"step": np.minimum(request.steps, 3, out=request.steps)[:, None]}),
    ),
]


# --------------------------------------------------------------------------- selection, perturbation


def selecting(answer: Callable[[Any], Any], base: type = Selector) -> type:
    return a(base, select_batch=lambda self, request, draws: answer(request.ratings))


def perturbing(answer: Callable[[Any], Any]) -> type:
    return a(Perturbator, perturb_batch=lambda self, request, draws: answer(request.ratings))


class LessTheNextTime(CountsCalls, Selector):
    def select_batch(self, request: Any, draws: Any) -> Any:
        return ~np.isnan(request.ratings) & (not self.again())


class ChoosesAtRandom(Selector):
    def select(self, situation: Any, rng: Any) -> Any:
        return (HIDDEN.random(situation.ratings.shape) < 0.5) & ~np.isnan(situation.ratings)


def without_failed(ratings: Any) -> Any:
    """Which ratings did not fail; writes 0 where they did."""
    known = ~np.isnan(ratings)
    ratings[~known] = 0
    return known


class MoreTheNextTime(CountsCalls, Perturbator):
    def perturb_batch(self, request: Any, draws: Any) -> Any:
        return request.ratings + self.again()


class NoiseOfItsOwn(Perturbator):
    def perturb(self, situation: Any, rng: Any) -> float:
        return situation.rating + float(HIDDEN.normal())


def clicking(answer: Callable[[Any], Any]) -> type:
    return a(Choice, choose_batch=lambda self, request, examining, choosing: answer(request.interest))


def wanted(interest: Any) -> Any:
    return np.ones(interest.shape, dtype=bool), interest > 1


class ClicksTheNextTime(CountsCalls, Choice):
    def choose_batch(self, request: Any, examining: Any, choosing: Any) -> Any:
        examined, clicked = wanted(request.interest)
        return examined, clicked & self.again()


class ClicksAtRandom(Choice):
    def choose(self, situation: Any, rng: Any) -> Any:
        places = len(situation.items)
        return np.ones(places, dtype=bool), HIDDEN.random(places) < 0.5


def forgotten(interest: Any) -> Any:
    """What is wanted; writes 0 where it is not."""
    examined, clicked = wanted(interest)
    interest[~clicked] = 0
    return examined, clicked


CHOICES = [
    ("choice-shape", "neither form", a(Choice)),
    ("choice-shape", "one array", clicking(lambda interest: interest > 1)),
    ("choice-shape", "whole numbers", clicking(lambda interest: (interest > 0, (interest > 1).astype(int)))),
    ("choice-shape", "another shape", clicking(lambda interest: (interest[:, :1] > 0, interest[:, :1] > 1))),
    ("choice-shape", "cannot be prepared", a(Choice, prepare=lambda self, setting: setting.scale.steps)),
    ("choice-examined", "clicks what is not seen", clicking(lambda interest: (interest > 2, interest > 1))),
    (
        "choice-alone",
        "what is wanted most of all",
        clicking(lambda interest: (np.ones(interest.shape, dtype=bool), interest >= interest.max())),
    ),
    ("choice-repeats", "a state", ClicksTheNextTime),
    ("choice-repeats", "a hidden generator", ClicksAtRandom, "choice-alone"),
    ("choice-reads", "writes over interest", clicking(forgotten)),
]

SELECTORS = [
    ("selector-shape", "neither form", a(Selector)),
    ("selector-shape", "an index", selecting(lambda ratings: ratings.argmax(axis=1))),
    ("selector-shape", "whole numbers", selecting(lambda ratings: (ratings > 1).astype(int))),
    ("selector-shape", "a list", selecting(lambda ratings: (ratings > 1).tolist())),
    ("selector-shape", "cannot be prepared", a(Selector, prepare=lambda self, setting: setting.scale.steps)),
    ("selector-failed", "takes everything", selecting(lambda ratings: np.ones(ratings.shape, dtype=bool))),
    ("selector-alone", "the best of all", selecting(lambda ratings: ratings >= np.fmax.reduce(ratings, axis=None))),
    ("selector-repeats", "a state", LessTheNextTime),
    ("selector-repeats", "a hidden generator", ChoosesAtRandom, "selector-alone"),
    ("selector-reads", "writes over failed ratings", selecting(without_failed)),
]

PERTURBATORS = [
    ("perturbator-shape", "neither form", a(Perturbator), "perturbator-finite"),
    ("perturbator-shape", "one per user", perturbing(lambda ratings: ratings[:, 0])),
    ("perturbator-shape", "a list", perturbing(lambda ratings: ratings.tolist())),
    ("perturbator-finite", "endless", perturbing(lambda ratings: ratings + np.inf)),
    (
        "perturbator-finite",
        "an error",
        a(Perturbator, perturb=lambda self, situation, rng: float(int(situation.rating))),
    ),
    ("perturbator-alone", "knows who else is there", perturbing(lambda ratings: ratings + len(ratings))),
    ("perturbator-repeats", "a state", MoreTheNextTime),
    ("perturbator-repeats", "a hidden generator", NoiseOfItsOwn, "perturbator-alone"),
    (
        "perturbator-reads",
        "failed ratings",
        perturbing(lambda ratings: np.where(without_failed(ratings), ratings, 5.0)),
    ),
    (
        "perturbator-reads",
        "all",
        perturbing(lambda ratings: np.add(ratings, 1, out=ratings)),
        "perturbator-alone",
        "perturbator-repeats",
    ),
]


# ------------------------------------------------------------------------------------- reward shaping


def going_on(request: Any) -> Any:
    return np.zeros(len(request.rows), dtype=np.intp)


def shaping(answer: Callable[[Any], Any], **more: Any) -> type:
    return a(RewardShaping, shape_batch=lambda self, request, draws: answer(request), **more)


class Counting(RewardShaping):
    """Correct: only the first ten steps of an episode give anything."""

    end_reasons = ()

    def start(self, setting: Any) -> None:
        self.steps = np.zeros(setting.batch_size, dtype=np.intp)

    def begin(self, request: Any) -> None:
        self.steps[request.rows] = 0

    def shape_batch(self, request: Any, draws: Any) -> Any:
        self.steps[request.rows] += 1
        return np.where(self.steps[request.rows, None] <= 10, request.ratings, 0.0), going_on(request)


class CountsByPlace(Counting):
    def shape_batch(self, request: Any, draws: Any) -> Any:
        count = len(request.rows)
        self.steps[:count] += 1
        return np.where(self.steps[:count, None] <= 10, request.ratings, 0.0), going_on(request)


class BeginsForAll(Counting):
    def begin(self, request: Any) -> None:
        self.steps[:] = 0


class NeverBegins(Counting):
    def begin(self, request: Any) -> None:
        pass

    def shape_batch(self, request: Any, draws: Any) -> Any:
        self.steps[request.rows] += 1
        return np.where(self.steps[request.rows, None] <= 20, request.ratings, 0.0), going_on(request)


class StateInInit(Counting):
    def __init__(self) -> None:
        self.steps = np.zeros(100, dtype=np.intp)

    def start(self, setting: Any) -> None:
        pass


class StateOfTheClass(Counting):
    counts: dict[int, int] = {}  # noqa: RUF012  (that is what is wrong with it)

    def start(self, setting: Any) -> None:
        pass

    def begin(self, request: Any) -> None:
        self.counts.update((row, 0) for row in request.rows.tolist())

    def shape_batch(self, request: Any, draws: Any) -> Any:
        self.counts.update((row, self.counts[row] + 1) for row in request.rows.tolist())
        late = np.array([self.counts[row] > 10 for row in request.rows.tolist()])
        return np.where(late[:, None], 0.0, request.ratings), going_on(request)


def fading(request: Any) -> Any:
    rewards = request.ratings.copy()
    request.ratings[request.times > 1] = 0
    return rewards, going_on(request)


SHAPINGS = [
    ("shaping-shape", "neither form", a(RewardShaping)),
    ("shaping-shape", "one reward per user", shaping(lambda request: (request.ratings[:, 0], going_on(request)))),
    ("shaping-shape", "end codes that are booleans", shaping(lambda request: (request.ratings, going_on(request) > 0))),
    (
        "shaping-shape",
        "an end code per item",
        shaping(lambda request: (request.ratings, (request.times > 9).astype(int))),
    ),
    ("shaping-shape", "lists", shaping(lambda request: (request.ratings.tolist(), going_on(request).tolist()))),
    ("shaping-finite", "nothing", shaping(lambda request: (request.ratings * np.nan, going_on(request)))),
    (
        "shaping-finite",
        "of what was not consumed",
        shaping(lambda request: (request.ratings - request.ratings.mean(axis=1, keepdims=True), going_on(request))),
    ),
    (
        "shaping-end-reasons",
        "a text",
        shaping(lambda request: (request.ratings, going_on(request)), end_reasons="bored"),
    ),
    (
        "shaping-end-reasons",
        "a list",
        shaping(lambda request: (request.ratings, going_on(request)), end_reasons=["bored"]),
    ),
    (
        "shaping-end-reasons",
        "twice",
        shaping(lambda request: (request.ratings, going_on(request)), end_reasons=("a", "a")),
    ),
    ("shaping-end-reasons", "empty", shaping(lambda request: (request.ratings, going_on(request)), end_reasons=("",))),
    (
        "shaping-end-reasons",
        "the core's",
        shaping(lambda request: (request.ratings, going_on(request)), end_reasons=("max_steps",)),
    ),
    ("shaping-end-reasons", "an unknown code", shaping(lambda request: (request.ratings, going_on(request) + 2))),
    (
        "shaping-end-reasons",
        "ends without a reason",
        a(RewardShaping, end_reasons=(), shape=lambda self, *request: (1.0, True)),
    ),
    (
        "shaping-alone",
        "others' ratings",
        shaping(lambda request: (request.ratings * len(request.rows), going_on(request))),
    ),
    ("shaping-alone", "state by place", CountsByPlace),
    ("shaping-alone", "begin() forgets everyone", BeginsForAll),
    ("shaping-begins", "never", NeverBegins),
    ("shaping-begins", "an error", a(Counting, begin=lambda self, rows: rows.index(0))),
    ("shaping-state", "made in __init__", StateInInit),
    ("shaping-state", "of the class", StateOfTheClass),
    ("shaping-state", "an error", a(Counting, start=lambda self, batch_size: batch_size.bit)),
    ("shaping-reads", "the ratings of repeats", shaping(fading)),
]


# --------------------------------------------------------------------------------------------- policies


class InTurn(Policy):
    """Correct: from the first item on, nothing twice."""

    def start(self, setting: Any) -> None:
        super().start(setting)
        self.next = np.zeros(setting.batch_size, dtype=np.intp)

    def begin(self, request: Any, draws: Any) -> None:
        self.next[request.rows] = 0

    def recommend_batch(self, request: Any, draws: Any) -> Any:
        rows = request.rows
        actions = self.next[rows, None] + np.arange(self.slate)
        self.next[rows] += self.slate
        actions[(actions >= len(self.catalog)).any(axis=1)] = -1
        return actions


class NeverEnds(InTurn):
    def recommend_batch(self, request: Any, draws: Any) -> Any:
        rows = request.rows
        self.next[rows] += self.slate
        return self.next[rows, None] - self.slate + np.arange(self.slate)


class EndsInPart(InTurn):
    def recommend_batch(self, request: Any, draws: Any) -> Any:
        actions = NeverEnds.recommend_batch(self, request, draws)  # type: ignore[arg-type]
        return np.where(actions < len(self.catalog), actions, -1)


class ForAllSlots(InTurn):
    def recommend_batch(self, request: Any, draws: Any) -> Any:
        return super().recommend_batch(replace(request, rows=np.arange(self.batch_size)), draws)


class RecommendsAtRandom(Policy):
    def recommend(self, observation: Any, rng: Any) -> Any:
        return HIDDEN.permutation(len(self.catalog))[: self.slate]


class RemembersOtherRuns(InTurn):
    begun: list[int] = []  # noqa: RUF012  (that is what is wrong with it)

    def begin(self, request: Any, draws: Any) -> None:
        self.begun.append(0)
        self.next[request.rows] = len(self.begun)


class WritesToTheSeen(InTurn):
    def recommend_batch(self, request: Any, draws: Any) -> Any:
        request.observations["history_ratings"] -= 1
        return super().recommend_batch(request, draws)


class WritesToOneSeen(Policy):
    def recommend(self, observation: Any, rng: Any) -> Any:
        observation["mood"][:] = 1
        return range(self.slate)


class WritesToWhatCame(InTurn):
    def learn(self, outcome: Any) -> None:
        outcome.ratings -= outcome.ratings.mean()


class SortsTheCatalog(InTurn):
    def start(self, setting: Any) -> None:
        super().start(setting)
        setting.catalog.public_ratings.sort()


class AsksLate(InTurn):
    def start(self, setting: Any) -> None:
        super().start(setting)
        self.history_length = 30

    def recommend_batch(self, request: Any, draws: Any) -> Any:
        return super().recommend_batch(
            replace(request, observations={"": request.observations["history_items"][:, 29]}), draws
        )


def proposing(answer: Callable[[Policy, Any], Any]) -> type:
    return a(Policy, recommend_batch=lambda self, request, draws: answer(self, request.rows))


POLICIES = [
    ("policy-shape", "neither form", a(Policy)),
    ("policy-shape", "one item per user", proposing(lambda self, rows: np.zeros(len(rows), dtype=int))),
    ("policy-shape", "floats", proposing(lambda self, rows: np.zeros((len(rows), self.slate)))),
    ("policy-shape", "all slots", ForAllSlots),
    ("policy-shape", "too few", a(Policy, recommend=lambda self, seen, rng: range(max(self.slate - 1, 2)))),
    ("policy-shape", "asks for a history too late", AsksLate),
    ("policy-shape", "asks for no number", a(InTurn, history_length=None)),
    ("policy-shape", "cannot learn", a(InTurn, learn=lambda self, outcome: outcome.users)),
    ("policy-range", "after the last item", NeverEnds),
    ("policy-range", "a slate in part", EndsInPart),
    ("policy-range", "below -1", proposing(lambda self, rows: np.full((len(rows), self.slate), -2))),
    ("policy-slate", "twice", proposing(lambda self, rows: np.zeros((len(rows), self.slate), dtype=int))),
    ("policy-shape", "one for all places", a(Policy, recommend=lambda self, seen, rng: [3])),
    ("policy-repeats", "a hidden generator", RecommendsAtRandom),
    ("policy-repeats", "a state of the class", RemembersOtherRuns),
    ("policy-reads", "the observations", WritesToTheSeen),
    ("policy-reads", "one user's observation", WritesToOneSeen),
    ("policy-reads", "what came of it", WritesToWhatCame),
    ("policy-reads", "the catalog", SortsTheCatalog),
]


# -------------------------------------------------------------------------------------------- backends


class Echo(LLMBackend):
    """Correct: says what was said."""

    identity = "echo 1"

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        return ChatAnswer(request.messages[-1].content)


class Keyed(Echo):
    """Correct: needs a key, which it looks for when it is asked."""

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        if KEY not in os.environ:
            raise LLMAuthenticationError(f"no key in {KEY}")
        return await super().answer(request)


def answering(answer: Callable[[ChatRequest], Any], base: type = Echo, **more: Any) -> type:
    async def one(self: Any, request: ChatRequest) -> Any:
        return answer(request)

    return a(base, answer=one, **more)


class MadeWithKey(Keyed):
    def __init__(self) -> None:
        os.environ[KEY]


class LooksAround(Echo):
    """Asks whether a server runs on this machine, as soon as it is made."""

    def __init__(self) -> None:
        with socket.socket() as one, suppress(OSError):
            one.connect(("127.0.0.1", 9))


class OtherEachTime(Echo):
    def __init__(self) -> None:
        self.identity = f"echo {id(self)} {HIDDEN.random()}"


class Backwards(Echo):
    def answer_batch(self, requests: Any) -> Any:
        return super().answer_batch(requests)[::-1]


class Drops(Echo):
    def answer_batch(self, requests: Any) -> Any:
        return super().answer_batch(requests[:3])


class StaysClosed(Echo):
    closed = False

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        if self.closed:
            raise LLMTransientError("the client is closed")
        return await super().answer(request)

    async def close(self) -> None:
        self.closed = True


def raises_at_3(request: ChatRequest) -> Any:
    if "3." in request.messages[-1].content:
        raise ValueError("three is too many")
    return ChatAnswer(request.messages[-1].content)


def says_nothing_at_3(request: ChatRequest) -> Any:
    return None if "3." in request.messages[-1].content else ChatAnswer(request.messages[-1].content)


def refuses(request: ChatRequest) -> Any:
    if "hello" in request.messages[-1].content:
        raise LLMTransientError("not now")
    return ChatAnswer(request.messages[-1].content)


def choosing(**shares: float) -> type:
    probabilities = {name.removeprefix("_"): share for name, share in shares.items()}
    return answering(
        lambda request: ChatAnswer(request.messages[-1].content, probabilities=probabilities if request.choices else {})
    )


class KeyInIdentity(Keyed):
    def __init__(self) -> None:
        self.identity = f"echo {os.environ.get(KEY)}"


class KeyInAnAttribute(Keyed):
    def __init__(self) -> None:
        self.key = os.environ.get(KEY)


def without_key(request: ChatRequest) -> ChatAnswer:
    """What a service says to a wrong key, which is no LLMAuthenticationError here."""
    if KEY not in os.environ:
        raise LLMTransientError(f"the service refused the key in {KEY}")
    return ChatAnswer(request.messages[-1].content)


def says_no_place(request: ChatRequest) -> ChatAnswer:
    if KEY not in os.environ:
        raise LLMAuthenticationError("no key")
    return ChatAnswer(request.messages[-1].content)


def tells_the_key(request: ChatRequest) -> ChatAnswer:
    if KEY not in os.environ:
        raise LLMAuthenticationError(f"no key in {KEY}")
    return ChatAnswer(request.messages[-1].content, model=os.environ[KEY])


BACKENDS = [
    ("backend-made", "connects when it is made", LooksAround),
    ("backend-made", "models that are no text", a(Echo, models=lambda self: [1, 2])),
    ("backend-identity", "none", a(LLMBackend, answer=Echo.answer)),
    ("backend-identity", "another each time", OtherEachTime),
    ("backend-answers", "no text", answering(lambda request: ChatAnswer(None))),  # type: ignore[arg-type]
    ("backend-answers", "negative usage", answering(lambda request: ChatAnswer("x", usage=Usage(prompt=-1)))),
    ("backend-answers", "an error", answering(refuses), "backend-again"),
    ("backend-order", "backwards", Backwards),
    ("backend-order", "too few", Drops),
    ("backend-again", "stays closed", StaysClosed),
    ("backend-errors", "another error", answering(raises_at_3)),
    ("backend-errors", "nothing", answering(says_nothing_at_3)),
    ("backend-choices", "of other texts", choosing(_4=1.0)),
    ("backend-choices", "do not sum to 1", choosing(_1=0.5, _2=0.1)),
]

KEYED_BACKENDS = [
    ("backend-made", "needs its key", MadeWithKey, "backend-key", "plugin-makes"),
    ("backend-key", "in the identity", KeyInIdentity),
    ("backend-key", "in an attribute", KeyInAnAttribute),
    ("backend-key", "asked without", Echo),
    ("backend-key", "another error without", answering(without_key)),
    ("backend-key", "does not say where", answering(says_no_place)),
    ("backend-key", "in an answer", answering(tells_the_key)),
]


# ------------------------------------------------------------------------------------------- prompting


class NumberOnly(PromptStrategy):
    """Correct: asks for a level of the scale, and reads a level."""

    def prepare(self, setting: Any) -> None:
        self.scale = setting.scale

    def ask(self, request: Any, row: int, place: int) -> Any:
        title = request.catalog.titles[request.items[row, place]]
        levels = tuple(self.scale.format(level) for level in self.scale.levels)
        return ChatRequest((Message("user", f"How good is {title}?"),), choices=levels)

    def ask_again(self, request: Any, answer: Any, problem: str) -> Any:
        return replace(request, messages=(*request.messages, Message("user", problem)))

    def read(self, answer: Any) -> Any:
        for level in self.scale.levels.tolist():
            if answer.text == self.scale.format(level):
                return Reply(level)
        raise LLMMalformedError(f"{answer.text!r} is no rating")


class AsksSomethingElse(NumberOnly):
    def ask(self, request: Any, row: int, place: int) -> Any:
        return ChatRequest((Message("user", f"How good is it? {HIDDEN.random()}"),))


class ReadsFromZero(NumberOnly):
    def read(self, answer: Any) -> Any:
        return Reply(super().read(answer).rating - 1)


class ReadsTheFirstNumber(NumberOnly):
    def read(self, answer: Any) -> Any:
        numbers = [part for part in re.findall("[0-9]+", answer.text) if self.scale.contains(float(part))]
        return Reply(float(numbers[0])) if numbers else super().read(answer)


class ReadsTheMiddle(NumberOnly):
    def read(self, answer: Any) -> Any:
        with suppress(LLMMalformedError):
            return super().read(answer)
        return Reply(3.0)


PROMPT_STRATEGIES = [
    (
        "prompt-strategy-asks",
        "nothing",
        a(NumberOnly, ask=PromptStrategy.ask),
        "prompt-strategy-reads",
        "prompt-strategy-again",
    ),
    ("prompt-strategy-asks", "text", a(NumberOnly, ask=lambda self, request, row, place: "How good is it?")),
    ("prompt-strategy-asks", "another question each time", AsksSomethingElse),
    ("prompt-strategy-reads", "from 0 on", ReadsFromZero),
    (
        "prompt-strategy-reads",
        "cannot",
        a(NumberOnly, read=lambda self, answer: NumberOnly.read(self, None)),
        "prompt-strategy-strict",
    ),
    ("prompt-strategy-strict", "the first number", ReadsTheFirstNumber),
    ("prompt-strategy-strict", "no answer is middling", ReadsTheMiddle),
    ("prompt-strategy-strict", "another error", a(NumberOnly, read=lambda self, answer: Reply(float(answer.text)))),
    (
        "prompt-strategy-again",
        "the same question",
        a(NumberOnly, ask_again=lambda self, request, *_: request),
    ),
    ("prompt-strategy-again", "cannot", a(NumberOnly, ask_again=PromptStrategy.ask_again)),
]


# --------------------------------------------------------------------------------------------- sources


@lru_cache
def films() -> tuple[Item, ...]:
    return tuple(load_items("movies", "sample").items[:5])


def bringing(items: Callable[[], Any], **more: Any) -> type:
    return a(ItemLoader, load=lambda self: LoadedItems(items(), **{name: make() for name, make in more.items()}))


class OtherOrder(ItemLoader):
    loaded = 0

    def load(self) -> LoadedItems:
        OtherOrder.loaded += 1
        return LoadedItems(films()[:: 1 if OtherOrder.loaded % 2 else -1])


class OtherEmbeddings(ItemLoader):
    def load(self) -> LoadedItems:
        return LoadedItems(films(), HIDDEN.normal(size=(5, 2)))


class EmbeddingsOnce(ItemLoader):
    loaded = 0

    def load(self) -> LoadedItems:
        EmbeddingsOnce.loaded += 1
        return LoadedItems(films(), np.ones((5, 2)) if EmbeddingsOnce.loaded % 2 else None)


ITEMS = [
    ("items-type", "no LoadedItems", a(ItemLoader, load=lambda self: films())),
    ("items-type", "none", bringing(lambda: ())),
    ("items-type", "an id twice", bringing(lambda: films() + films()[:1])),
    ("items-type", "of no domain", bringing(lambda: (Item(id="i", title="t"),))),
    ("items-type", "an iterator", bringing(lambda: iter(films()))),
    ("items-type", "an error", a(ItemLoader, load=lambda self: {}["file"])),
    ("items-ratings", "of 100", bringing(lambda: (films()[0].model_copy(update={"public_rating": 77.0}),))),
    ("items-ratings", "0 for unknown", bringing(lambda: (films()[0].model_copy(update={"public_rating": 0.0}),))),
    ("items-embeddings", "too few", bringing(films, embeddings=lambda: np.ones((4, 2)))),
    ("items-embeddings", "whole numbers", bringing(films, embeddings=lambda: np.ones((5, 2), dtype=int))),
    ("items-embeddings", "infinite", bringing(films, embeddings=lambda: np.full((5, 2), np.inf))),
    ("items-embeddings", "NaN later in a row", bringing(films, embeddings=lambda: np.array([[1, np.nan]] * 5))),
    ("items-again", "another order", OtherOrder),
    ("items-again", "other embeddings", OtherEmbeddings),
    ("items-again", "embeddings only once", EmbeddingsOnce),
]


def users(*names: str) -> list[User]:
    return [User(id=name, name=name) for name in names]


class OneForEachCategory(UserLoader):
    """Correct: a user for each category that there is."""

    def prepare(self, setting: Any) -> None:
        self.names = setting.categories

    def load(self) -> Any:
        return users(*self.names)


class OtherUsers(UserLoader):
    def load(self) -> list[User]:
        return users(f"p{HIDDEN.random()}")


USERS = [
    ("users-type", "nobody", a(UserLoader, load=lambda self: [])),
    ("users-type", "names", a(UserLoader, load=lambda self: ["Ann"])),
    ("users-type", "an id twice", a(UserLoader, load=lambda self: users("a", "a"))),
    ("users-type", "an iterator", a(UserLoader, load=lambda self: iter(users("a")))),
    ("users-type", "an error", a(UserLoader, load=lambda self: {}["file"])),
    ("users-again", "other users", OtherUsers),
]


# -------------------------------------------------------------------------------------------- studies


class Everyone(Study):
    """Every user rates one item, which ought to be liked; a correct study."""

    def trials(self, setting: StudySetting) -> Trials:
        item = int(setting.rng.integers(len(setting.catalog)))
        return Trials(
            [setting.population.users[index] for index in setting.user_indices],
            [
                Trial(row, item, "positive", at_least=setting.domain.scale.high)
                for row in range(len(setting.user_indices))
            ],
        )


def studying(**changes: Any) -> type:
    """The correct study with other first trials."""

    def trials(self: Study, setting: StudySetting) -> Trials:
        right = Everyone().trials(setting)
        return replace(right, trials=[replace(right.trials[0], **changes), *right.trials[1:]])

    return a(Study, trials=trials)


def measuring(metric: Callable[[RatedTrials], Any]) -> type:
    return a(Everyone, metrics=lambda self, rated: metric(rated))


class OtherTrials(Study):
    def trials(self, setting: StudySetting) -> Trials:
        return Trials(setting.population.users[:1], [Trial(0, int(HIDDEN.integers(len(setting.catalog))))] * 3)


class WritesToTheSetting(Everyone):
    def trials(self, setting: StudySetting) -> Trials:
        setting.catalog.public_ratings[0] += 1.0
        return super().trials(setting)


def writing(rated: RatedTrials) -> list[Metric]:
    rated.ratings[0] += 1.0
    return [success_share(rated, "positive")]


def measure_of(rated: RatedTrials, **changes: Any) -> list[Metric]:
    return [replace(success_share(rated, "positive"), **changes)]


STUDIES: list[tuple[Any, ...]] = [
    ("study-trials", "none", a(Study, trials=lambda self, setting: Trials(setting.population.users, []))),
    ("study-trials", "no Trials", a(Study, trials=lambda self, setting: [])),
    ("study-trials", "an error", a(Study, trials=lambda self, setting: {}["trials"])),
    ("study-trials", "somebody else", studying(user=99)),
    ("study-trials", "no such item", studying(item=-1)),
    (
        "study-trials",
        "users twice",
        a(Study, trials=lambda self, setting: Trials(setting.population.users[:1] * 2, [Trial(0, 0, "positive")])),
    ),
    ("study-memory", "no rating of the scale", studying(memory=((0, 2.5),))),
    ("study-memory", "no such item", studying(memory=((4000, 2.0),))),
    ("study-sides", "another word", studying(side="good")),
    ("study-bounds", "off the scale", studying(at_most=11.0)),
    ("study-repeats", "a hidden generator", OtherTrials, "study-metrics"),
    ("study-reads", "writes to the items", WritesToTheSetting, "study-repeats"),
    ("study-reads", "writes to the ratings", measuring(writing)),
    ("study-metrics", "none", measuring(lambda rated: [])),
    ("study-metrics", "a number", measuring(lambda rated: [0.5])),
    ("study-metrics", "an error", measuring(lambda rated: {}["measures"])),
    ("study-metrics", "too few rows", measuring(lambda rated: measure_of(rated, sums=np.ones((1, 2))))),
    ("study-metrics", "a mean rating", measuring(lambda rated: measure_of(rated, value=lambda sums: sums[..., 1]))),
    (
        "study-metrics",
        "one value of all",
        measuring(lambda rated: measure_of(rated, value=lambda sums: np.array(0.5))),
    ),
    (
        "study-failed",
        "counts every trial",
        measuring(lambda rated: measure_of(rated, sums=np.ones((len(rated.ratings), 2)))),
    ),
]


# -------------------------------------------------------------------------------------------- executors


class Here(Executor):
    """Every cell, one after the other; a correct executor."""

    def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Iterator[Cell]:
        for cell in cells:
            cell.run(worlds, on_progress)
            yield cell


class LeavesOut(Here):
    def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Iterator[Cell]:
        yield from super().run(cells[1:], worlds, on_progress)


class Hurries(Here):
    def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Iterator[Cell]:
        for cell in cells:
            yield cell
            cell.run(worlds, on_progress)


class KeepsProgress(Here):
    def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Iterator[Cell]:
        yield from super().run(cells, worlds, lambda count: None)


class Hides(Here):
    def run(self, cells: Sequence[Cell], worlds: Worlds, on_progress: OnProgress) -> Iterator[Cell]:
        with suppress(EmoSimError):
            yield from super().run(cells, worlds, on_progress)


EXECUTORS: list[tuple[Any, ...]] = [
    ("executor-workers", "none", a(Here, workers=0)),
    ("executor-all", "leaves one out", LeavesOut),
    ("executor-all", "before it is done", Hurries),
    ("executor-all", "an error", a(Executor, run=lambda self, *_: iter({}["cells"])), "executor-errors"),
    ("executor-progress", "none", KeepsProgress),
    ("executor-errors", "hides it", Hides),
]


# ---------------------------------------------------------------------------------- what is checked so

WRONG = [
    Wrong(rule, how, suite, make, tuple(also), more)
    for suite, table, more in (
        (RetrievalConformance, RETRIEVALS, {}),
        (RaterConformance, RATERS, {}),
        (ChoiceConformance, CHOICES, {}),
        (SelectorConformance, SELECTORS, {}),
        (PerturbatorConformance, PERTURBATORS, {}),
        (EmotionModelConformance, EMOTION_MODELS, {}),
        (RewardShapingConformance, SHAPINGS, {}),
        (ObservationConformance, OBSERVATIONS, {}),
        (PolicyConformance, POLICIES, {}),
        (LLMBackendConformance, BACKENDS, {}),
        (LLMBackendConformance, KEYED_BACKENDS, {"key_variable": KEY}),
        (PromptStrategyConformance, PROMPT_STRATEGIES, {}),
        (ItemLoaderConformance, ITEMS, {"domain": "movies"}),
        (UserLoaderConformance, USERS, {}),
        (StudyConformance, STUDIES, {}),
        (ExecutorConformance, EXECUTORS, {}),
    )
    for rule, how, make, *also in table  # type: ignore[attr-defined]
]


def broken(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """The rules that are broken, each with a message; anything else that was raised is an error here."""
    messages = {}
    for outcome in outcomes:
        if isinstance(outcome.error, BrokenRuleError):
            messages[outcome.error.rule] = str(outcome.error)
        elif outcome.error is not None:
            raise outcome.error
    return messages


def held_to(rule: str, message: str) -> None:
    """A message says which rule is broken, what it says, where it is written and what was found."""
    start, end = message.split(" Found: ")
    assert start == f"The rule {rule!r} is broken: {RULES[rule].text}"
    detail, page = end.split(" (The rule is written in ")
    assert page == f"docs/hooks/{RULES[rule].page}.md.)"
    assert detail.endswith(".")
    assert len(detail) > 5
    assert "\n" not in message


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_wrong_component_breaks_its_rule_and_no_other(wrong: Wrong) -> None:
    messages = broken(run_suite(wrong.suite, make=wrong.make, **wrong.more))
    assert wrong.rule in messages, messages
    assert set(messages) <= {wrong.rule, *wrong.also}, messages
    for rule, message in messages.items():
        held_to(rule, message)


@pytest.mark.parametrize(
    ("suite", "make", "more"),
    [
        (RetrievalConformance, retrieving(newest), {}),
        (RetrievalConformance, remembering(lambda history: [0] if history else []), {}),
        (RaterConformance, rating(lambda request: Ratings(worst(request))), {}),
        (RaterConformance, rating(lambda request: Ratings(worst(request) * np.nan)), {}),
        (
            RaterConformance,
            a(Rater, rate=lambda self, request, rng: (float(rng.choice(request.scale.levels)), "so")),
            {},
        ),
        (ChoiceConformance, clicking(wanted), {}),
        (SelectorConformance, selecting(lambda ratings: ratings > 3), {}),
        (
            SelectorConformance,
            a(Selector, select=lambda self, situation, rng: rng.random(len(situation.items)) < situation.ratings / 5),
            {},
        ),
        (PerturbatorConformance, perturbing(lambda ratings: ratings), {}),
        (
            PerturbatorConformance,
            a(Perturbator, perturb=lambda self, situation, rng: situation.rating + rng.random()),
            {},
        ),
        (EmotionModelConformance, Calm, {}),
        (EmotionModelConformance, Moody, {}),
        (ObservationConformance, StepsSeen, {}),
        (RewardShapingConformance, Counting, {}),
        (RewardShapingConformance, a(RewardShaping, shape=lambda self, situation, rng: situation.rating), {}),
        (RewardShapingConformance, a(RewardShaping, shape=lambda self, situation, rng: (1.0, situation.times > 2)), {}),
        (PolicyConformance, InTurn, {}),
        (PolicyConformance, a(Policy, recommend=lambda self, seen, rng: rng.permutation(40)[: self.slate]), {}),
        (PolicyConformance, a(Policy, recommend=lambda self, seen, rng: []), {}),
        (PromptStrategyConformance, NumberOnly, {}),
        (LLMBackendConformance, Echo, {}),
        (LLMBackendConformance, Keyed, {"key_variable": KEY}),
        (LLMBackendConformance, choosing(_1=0.25, _3=0.75), {}),
        (
            LLMBackendConformance,
            a(LLMBackend, identity="x", answer_batch=lambda self, request: [ChatAnswer("")] * len(request)),
            {},
        ),
        (ItemLoaderConformance, bringing(films), {"domain": "movies"}),
        (
            ItemLoaderConformance,
            bringing(films, embeddings=lambda: np.array([[1, 2]] * 4 + [[np.nan, np.nan]])),
            {"domain": "movies"},
        ),
        (UserLoaderConformance, a(UserLoader, load=lambda self: users("a", "b")), {}),
        (UserLoaderConformance, OneForEachCategory, {}),
        (UserLoaderConformance, OneForEachCategory, {"domain": "movies"}),
        (StudyConformance, Everyone, {}),
        (StudyConformance, Everyone, {"domain": "books"}),
        (StudyConformance, studying(memory=((0, 1.0), (3, 2.0))), {}),
        (ExecutorConformance, Here, {}),
    ],
    ids=lambda value: value.kind if isinstance(value, type) and issubclass(value, ComponentConformance) else "",
)
def test_a_right_component_of_either_form_breaks_nothing(
    suite: type[ComponentConformance], make: Any, more: dict[str, Any]
) -> None:
    assert broken(run_suite(suite, make=make, **more)) == {}


# -------------------------------------------------------------------------------------------- plugins

PLUGIN = """
import threading
from pydantic import BaseModel, ConfigDict, Field
from emosim_core import DataError
from emosim_core.plugins import Component, ItemLoader, LoadedItems, Retrieval, User, UserLoader, hookimpl
EMOSIM_HOOK_VERSION = 1
{before}

class Options(BaseModel):
    {config}
    path: str = {field}

class Right(Retrieval):
    def __init__(self, options=None):
        pass

    def retrieve(self, situation):
        return [0] if situation.history else []

class Lambda(Right):
    def __init__(self):
        self.first = lambda: 0

class Locked(Right):
    def __init__(self):
        self.lock = threading.Lock()

class Items(ItemLoader):
    def __init__(self, options=None):
        self.path = options.path if options else "x"

    def load(self):
        return LoadedItems([])

class Users(UserLoader):
    def __init__(self, options):
        self.path = options.path

    def load(self):
        {users}

@hookimpl
def emosim_{hook}():
    yield Component({component})
"""

PLAIN = {
    "before": "",
    "config": 'model_config = ConfigDict(extra="forbid")',
    "field": 'Field("x", description="A file.")',
    "users": 'raise DataError(self.path, "no such file")',
    "hook": "retrievals",
    "component": '"odd", "A summary.", "emosim_odd:Right"',
}

SOURCE_OF_USERS = {
    "hook": "user_loaders",
    "component": '"odd", "A summary.", "emosim_odd:Users", options="emosim_odd:Options", value="path"',
    "field": 'Field(description="A file.")',
}
SOURCE_OF_ITEMS = {
    "hook": "item_loaders",
    "component": '"odd", "A.", "emosim_odd:Items", options="emosim_odd:Options", value="path", domain="movies"',
    "field": 'Field(description="A file.")',
}
WITH_OPTIONS = {"component": '"odd", "A summary.", "emosim_odd:Right", options="emosim_odd:Options"'}

PLUGINS: list[tuple[str, str, dict[str, str]]] = [
    ("plugin-loads", "only after something else", {"before": "import sys; sys.modules['emosim_core.testing.check']"}),
    ("plugin-light", "scipy", {"before": "import scipy"}),
    ("plugin-names", "a blank", {"component": '"odd one", "A summary.", "emosim_odd:Right"'}),
    ("plugin-names", "an alias", {"component": PLAIN["component"] + ', aliases=("odd!",)'}),
    ("plugin-names", "no summary", {"component": '"odd", "", "emosim_odd:Right"'}),
    ("plugin-names", "two lines", {"component": '"odd", "Two\\nlines.", "emosim_odd:Right"'}),
    ("plugin-names", "a name with a number", {"component": '"last_3", "A summary.", "emosim_odd:Right"'}),
    ("plugin-options", "takes anything", WITH_OPTIONS | {"config": ""}),
    ("plugin-options", "does not describe", WITH_OPTIONS | {"field": '"x"'}),
    ("plugin-makes", "something else", {"component": '"odd", "A.", "emosim_odd:Options"'}),
    (
        "plugin-makes",
        "cannot",
        {"component": '"odd", "A.", "emosim_odd:Users"', "hook": "item_loaders"},
    ),
    ("plugin-pickles", "a lambda", {"component": PLAIN["component"].replace("Right", "Lambda")}),
    ("plugin-pickles", "a lock", {"component": PLAIN["component"].replace("Right", "Locked")}),
    ("users-missing", "another error", SOURCE_OF_USERS | {"users": "return open(self.path)"}),
    ("users-missing", "does not name it", SOURCE_OF_USERS | {"users": 'raise DataError("a file", "is missing")'}),
    ("users-missing", "nobody", SOURCE_OF_USERS | {"users": "return []"}),
    ("items-missing", "no items", SOURCE_OF_ITEMS),
]

SPOILT = {"plugin-makes": {"retrieval-shape", "items-type"}}
"""What cannot be kept where another rule is broken."""


def installed_and_checked(installed: Any, changes: dict[str, str]) -> dict[str, str]:
    """The rules that an installed plugin breaks, each with a message."""
    installed("odd", PLUGIN.format(**(PLAIN | changes)))
    messages: dict[str, str] = {}
    for report in check_plugin("odd"):
        for outcome in report.outcomes:
            if isinstance(outcome.error, BrokenRuleError):
                messages.setdefault(outcome.error.rule, str(outcome.error))
            elif outcome.error is not None:  # nothing can be asked of what cannot be made
                assert isinstance(outcome.error, PluginError | AttributeError)
    return messages


@pytest.mark.parametrize("changes", [{}, WITH_OPTIONS, SOURCE_OF_USERS], ids=["plain", "options", "people"])
def test_a_right_plugin_breaks_nothing(installed: Any, changes: dict[str, str]) -> None:
    assert installed_and_checked(installed, changes) == {}


@pytest.mark.parametrize(("rule", "how", "changes"), PLUGINS, ids=[f"{rule}: {how}" for rule, how, _ in PLUGINS])
def test_a_wrong_plugin_breaks_its_rule_and_no_other(
    installed: Any, rule: str, how: str, changes: dict[str, str]
) -> None:
    messages = installed_and_checked(installed, changes)
    assert rule in messages
    assert set(messages) <= {rule} | SPOILT.get(rule, set()), messages
    held_to(rule, messages[rule])


# -------------------------------------------------------------------------------------------- domains

DOMAIN = """
import itertools
from dataclasses import replace
from emosim_core.plugins import (
    Component,
    Domain,
    Example,
    ExampleMemory,
    Item,
    ItemLoader,
    LoadedItems,
    RatingScale,
    StudyUsers,
    User,
    UserLoader,
    Words,
    hookimpl,
    register_environment,
)
EMOSIM_HOOK_VERSION = 1
{register}

SCALE = RatingScale(low=1, high=5)
LEVELS = ("little", "some", "much")
WORDS = Words(traits=dict.fromkeys(("activity", "conformity", "diversity"), LEVELS))
RIGHT = Domain(
    name="odd", title="Odd things", scale=SCALE, words=WORDS, item_type=Item, default_items="few", default_users="some"
)
COUNT = itertools.count(6)

def user(key, *liked):
    return User(id=key, name="n", liked=liked)

LOVERS = {{"a": [user("l", "a")]}}

def example(rating, **changes):
    return replace(Example(user("e"), Item(id="e", title="E"), rating, "r"), **changes)

class NotCarried(RatingScale):
    def carry(self, value):
        return value

def domain():
    return replace(RIGHT, {fields})

class Few(ItemLoader):
    def load(self):
        return LoadedItems([Item(id=f"i{{i}}", title="t", categories=("a",), public_rating=3) for i in range(20)])

class Some(UserLoader):
    def load(self):
        return [User(id=f"u{{i}}", name="n", liked=("a",)){user} for i in range(9)]

@hookimpl
def emosim_domains():
    yield Component("odd", "Odd things.", "emosim_odd:domain")

@hookimpl
def emosim_item_loaders():
    yield Component("few", "Twenty.", "emosim_odd:Few", domain="odd")

@hookimpl
def emosim_user_loaders():
    yield Component("some", "Some.", "emosim_odd:Some", domain="odd")
"""

ODD = {"register": 'register_environment("odd")', "fields": "", "user": "", "domains": ("odd",)}

RUNS = {"domain-environment", "domain-repeats"}
"""What is broken too where a domain cannot be run at all."""

DOMAINS: list[tuple[str, str, dict[str, Any], set[str]]] = [
    ("plugin-declares", "not at all", {"domains": ()}, set()),
    ("plugin-declares", "another one", {"domains": ("odder",)}, set()),
    ("domain-name", "another name", {"fields": 'name="odder"'}, {"users-type", *RUNS}),
    ("domain-name", "no title", {"fields": 'title=""'}, set()),
    ("domain-words", "no Words", {"fields": "words={}"}, RUNS),
    ("domain-words", "an empty word", {"fields": 'words=replace(WORDS, creators="")'}, set()),
    ("domain-words", "no traits", {"fields": "words=Words()"}, set()),
    ("domain-words", "two levels", {"fields": 'words=replace(WORDS, traits={"activity": ("a", "b")})'}, set()),
    ("domain-words", "a level twice", {"fields": 'words=replace(WORDS, traits={"activity": ("a", "b", "b")})'}, set()),
    ("domain-scale", "thresholds of 10", {"fields": "scale=NotCarried(low=1, high=5)"}, set()),
    ("domain-real-ratings", "too few", {"fields": 'real_ratings=(0.5, 0.5), real_ratings_source="s"'}, set()),
    ("domain-real-ratings", "counts", {"fields": 'real_ratings=(5, 1, 1, 1, 1), real_ratings_source="s"'}, set()),
    ("domain-real-ratings", "negative", {"fields": 'real_ratings=(-1, 2, 0, 0, 0), real_ratings_source="s"'}, set()),
    ("domain-real-ratings", "no source", {"fields": "real_ratings=(0.2,) * 5"}, set()),
    ("domain-examples", "off the scale", {"fields": "examples=[example(6)]"}, set()),
    ("domain-examples", "between two levels", {"fields": "examples=[example(2.5)]"}, set()),
    ("domain-examples", "no number", {"fields": 'examples=[example("good")]'}, set()),
    (
        "domain-examples",
        "a text left out",
        {"fields": 'examples=[example(5), example(1, reason=" ")]'},
        set(),
    ),
    ("domain-examples", "no Example", {"fields": 'examples=[("p", "i", 5, "r")]'}, set()),
    ("domain-examples", "a text for a user", {"fields": 'examples=[example(5, user="Ann, who bakes.")]'}, set()),
    ("domain-examples", "a text for an item", {"fields": 'examples=[example(5, item="A kite.")]'}, set()),
    (
        "domain-examples",
        "a memory off the scale",
        {"fields": 'examples=[example(5, memories=[ExampleMemory("t", (), 1, 9)])]'},
        set(),
    ),
    ("domain-study-users", "no StudyUsers", {"fields": "study_users={}"}, set()),
    ("domain-study-users", "nobody strict", {"fields": "study_users=StudyUsers(LOVERS, [user('g')], [])"}, set()),
    ("domain-study-users", "a name", {"fields": "study_users=StudyUsers(LOVERS, ['g'], [user('s')])"}, set()),
    (
        "domain-study-users",
        "no love",
        {"fields": "study_users=StudyUsers({'b': LOVERS['a']}, [user('g')], [user('s')])"},
        set(),
    ),
    (
        "domain-study-users",
        "the same user twice",
        {"fields": "study_users=StudyUsers(LOVERS, [user('g')], [user('g')])"},
        set(),
    ),
    ("domain-defaults", "no such items", {"fields": 'default_items="fewer"'}, RUNS),
    ("domain-defaults", "needs an option", {"fields": 'default_users="csv"'}, RUNS),
    ("domain-environment", "moods out of range", {"user": '.model_copy(update={"baseline_valence": 7.0})'}, set()),
    ("domain-registered", "not at all", {"register": ""}, set()),
    ("domain-registered", "another one", {"register": 'register_environment("odder")'}, set()),
    ("domain-repeats", "another scale every time", {"fields": "scale=RatingScale(low=1, high=next(COUNT))"}, set()),
]


def domain_checked(installed: Any, changes: dict[str, Any]) -> dict[str, str]:
    """The rules that an installed domain breaks, each with a message."""
    more = ODD | changes
    domains = more.pop("domains")
    installed("odd", DOMAIN.format(**more), domains=domains)
    return broken(run_suite(DomainConformance, component="odd"))


@pytest.mark.parametrize("fields", ["", "study_users=StudyUsers(LOVERS, [user('g')], [user('s')])"])
def test_a_right_domain_breaks_nothing(installed: Any, fields: str) -> None:
    assert domain_checked(installed, {"fields": fields}) == {}


@pytest.mark.parametrize(
    ("rule", "how", "changes", "also"), DOMAINS, ids=[f"{rule}: {how}" for rule, how, *_ in DOMAINS]
)
def test_a_wrong_domain_breaks_its_rule_and_no_other(
    installed: Any, rule: str, how: str, changes: dict[str, Any], also: set[str]
) -> None:
    messages = domain_checked(installed, changes)
    assert rule in messages, messages
    assert set(messages) <= {rule} | also, messages
    held_to(rule, messages[rule])


# ------------------------------------------------------------------------------------------ the tables


def test_every_rule_is_broken_by_something() -> None:
    shown = {wrong.rule for wrong in WRONG} | {rule for rule, *_ in PLUGINS} | {rule for rule, *_ in DOMAINS}
    assert shown == set(RULES)
