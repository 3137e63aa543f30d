"""The questions of an audit about one real user: as they are, and with one thing changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import numpy as np

from emosim_core.components.base import Rater, RatingRequest
from emosim_core.components.choice import ChoiceRequest
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.prompts.choice_prompt import ChoicePrompt, ModelChoiceOptions
from emosim_core.llm.rater import ModelRater
from emosim_core.model import Memory, Population, User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.user import TRAITS
from emosim_core.simulation.assembly import World
from emosim_core.simulation.streams import Stage, Streams
from emosim_core.studies import model_bias
from emosim_core.studies.trials import memory_of
from emosim_core.studies.validation.validation import Check

BASE, AGAIN, OTHER, HIDDEN = "as it is", "asked again", "another person", "title hidden"
REVERSED, FACTS, REWORDED = "memories reversed", "facts reversed", "reworded"
BAD, GOOD = "bad mood", "good mood"
WORST, BEST = "example rated worst", "example rated best"
"""What is changed of a question."""

MEMORIZATION, ORDER, PARAPHRASE, ACTIVITY = "memorization", "order", "paraphrase", "activity"
MOOD, OTHER_TRAITS, SWAP, EXAMPLE, REPETITION = "mood", "traits", "person", "example", "repetition"

CHECKS: tuple[str, ...] = get_args(Check)
"""Groups of checks that can be chosen; what follows from the unchanged questions alone is always in the result."""

MOOD_VALENCE = 0.6
"""Valence of a good mood, and of a bad one with the sign changed."""

LEVELS = (1, 3)
"""Levels of a trait that are compared."""

SLATE = 4
"""Items of a slate, each of which stands once at each place."""


def level_of(trait: str, level: int) -> str:
    """The variant in which a trait has a level."""
    return f"{trait} {level}"


_BY_RATER = {
    SWAP: (OTHER,),
    MOOD: (BAD, GOOD),
    ACTIVITY: tuple(level_of("activity", level) for level in LEVELS),
    OTHER_TRAITS: tuple(level_of(trait, level) for trait in TRAITS if trait != "activity" for level in LEVELS),
    ORDER: (REVERSED,),
}
"""Variants that any rater can be asked."""

_BY_MODEL = {
    MEMORIZATION: (HIDDEN,),
    ORDER: (FACTS,),
    PARAPHRASE: (REWORDED,),
    EXAMPLE: (WORST, BEST),
    REPETITION: (AGAIN,),
}
"""Variants of a prompt."""


def variants(checks: Collection[str], of_model: bool) -> list[str]:
    """The variants that checks need, the unchanged questions first."""
    chosen = [BASE]
    for check in CHECKS:
        if check in checks:
            chosen += [*_BY_RATER.get(check, ()), *(_BY_MODEL.get(check, ()) if of_model else ())]
    return chosen


class _Variants(Population):
    """Variants of one user, who share an id, and others."""

    def __init__(self, users: Sequence[User]) -> None:
        self.users, self.index = tuple(users), {user.id: place for place, user in enumerate(users)}


@dataclass(frozen=True)
class Subject:
    """One real user of an audit, and another who stands in for them.

    Attributes:
        user, memory: the profile, and items and ratings, oldest first.
        other, other_memory: the same of another real user.
        items: indices of held-out items, shape ``(S,)``.
        example: index of an item that the other user rated, which is none of ``items``.
        slate: indices of held-out items for a slate; shorter than two for none.
        number: of the user's random draws.
    """

    user: User
    memory: tuple[tuple[int, float], ...]
    other: User
    other_memory: tuple[tuple[int, float], ...]
    items: Ints
    example: int | None
    slate: tuple[int, ...]
    number: int


@dataclass(frozen=True)
class _Row:
    variant: str
    user: int
    memory: tuple[tuple[int, float], ...]
    mood: tuple[float, float]


class Battery:
    """Asks a rater all variants of the questions about one user.

    Attributes:
        rows: the variants, the unchanged questions first.
        unchanged: by variant, the places of items where it changes nothing; they have no answers.

    Args:
        world: the domain, the items as they are known, and the rater.
    """

    unchanged: dict[str, list[int]]

    def __init__(self, world: World, subject: Subject, checks: Collection[str], seed: int) -> None:
        self.subject, self._seed = subject, seed
        levels = [(trait, level) for trait in TRAITS for level in LEVELS]
        users = [subject.user, subject.other]
        users += [subject.user.model_copy(update={trait: level}) for trait, level in levels]
        self._world = world = replace(world, population=_Variants(users))
        with world.blaming("rater"):
            world.rater.prepare(world.setting())
        self._model = world.rater if isinstance(world.rater, ModelRater) else None
        valence, arousal = subject.user.baseline_valence, subject.user.baseline_arousal
        who = {level_of(trait, level): 2 + place for place, (trait, level) in enumerate(levels)}
        moods = {BAD: (-MOOD_VALENCE, arousal), GOOD: (MOOD_VALENCE, arousal)}
        self.rows = [
            _Row(name, 1, subject.other_memory, (subject.other.baseline_valence, subject.other.baseline_arousal))
            if name == OTHER
            else _Row(name, who.get(name, 0), subject.memory, moods.get(name, (valence, arousal)))
            for name in variants(checks, self._model is not None)
        ]
        self.unchanged = {}

    def _request(self, rows: Sequence[_Row], items: Ints | None = None) -> tuple[RatingRequest, Memory]:
        subject, world = self.subject, self._world
        items = subject.items if items is None else items
        who = np.array([row.user for row in rows], dtype=np.intp)
        memory = memory_of(world, who, [row.memory for row in rows])
        moods = np.array([row.mood for row in rows], dtype=np.float64)
        with world.blaming("retrieval"):
            request = world.rating_request(who, np.tile(items, (len(rows), 1)), moods, memory.history())
        for place, row in enumerate(rows):
            if row.variant == REVERSED:
                self.unchanged[REVERSED] = _reverse(request, place)
        return request, memory

    def ratings(self, rows: Sequence[_Row]) -> Floats:
        """What the rater expects, else how it rates, shape ``(rows, S)``; NaN where it failed or nothing is changed."""
        request, _ = self._request(rows)
        rater: Rater = self._world.rater
        with self._world.blaming("rater"):
            if self._model is not None:
                rater = copy(self._model)
                rater.prompt_strategy = self._changed(self._model, rows)
            answers = self._answers(rater, request)
        for place, row in enumerate(rows):
            answers[place, self.unchanged.get(row.variant, [])] = np.nan
        return answers

    def _answers(self, rater: Rater, request: RatingRequest) -> Floats:
        try:
            return np.array(rater.expected_batch(request))
        except NotImplementedError:
            count = len(request.users)
            streams, places = Streams(count), np.arange(count)
            streams.begin(places, [self._seed] * count, [self.subject.number] * count)
            return np.array(replace(self._world, rater=rater).rate(request, streams.of(Stage.RATE, places)).values)

    def _changed(self, rater: ModelRater, rows: Sequence[_Row]) -> model_bias.ChangedStrategy:
        """The prompt strategy with what is changed in each row; where nothing is, that is noted."""
        strategy, subject = rater.prompt_strategy, self.subject
        changes: dict[tuple[int, int], model_bias.Change] = {}
        by_name = {
            AGAIN: model_bias.another_sample,
            FACTS: model_bias.facts_reversed,
            REWORDED: model_bias.reworded,
            **self._examples(rater, rows),
        }
        plain, _ = self._request([self.rows[0]])
        catalog, item = self._world.catalog, self._world.domain.words.item
        for row, one in enumerate(rows):
            for place, about in enumerate(subject.items.tolist()):
                change = by_name.get(one.variant)
                if one.variant == HIDDEN:
                    change = partial(model_bias.title_hidden, title=catalog.items[about].title, item=item)
                if change is None:
                    if one.variant in (WORST, BEST):
                        self.unchanged.setdefault(one.variant, []).append(place)
                    continue
                changes[row, place] = change
                if change(strategy.ask(plain, 0, place)) is None:
                    self.unchanged.setdefault(one.variant, []).append(place)
        return model_bias.ChangedStrategy(strategy, changes)

    def _examples(self, rater: ModelRater, rows: Sequence[_Row]) -> dict[str, model_bias.Change]:
        """How a worked example of the other user is put before a question; none without one."""
        if self.subject.example is None or not {WORST, BEST} & {row.variant for row in rows}:
            return {}
        subject = self.subject
        other = _Row(OTHER, 1, subject.other_memory, (subject.other.baseline_valence, subject.other.baseline_arousal))
        request, _ = self._request([other], np.array([subject.example]))
        question = rater.prompt_strategy.ask(request, 0, 0).messages[-1].content
        put: Callable[..., ChatRequest | None] = model_bias.with_example
        return {name: partial(put, question=question, best=name == BEST) for name in (WORST, BEST)}

    @property
    def slate_questions(self) -> int:
        """How many questions :meth:`slates` asks."""
        return len(self.subject.slate) if self._model is not None and len(self.subject.slate) > 1 else 0

    def slates(self) -> dict[str, Any] | None:
        """What the model chooses of a slate that is listed in several orders; None where it is not asked.

        Returns:
            ``orders``: by question, the items as they are listed; ``shares``: for each, how probable the model finds it
            that it takes none, and each item as listed; None where its answer could not be read.
        """
        rater, slate = self._model, self.subject.slate
        if rater is None or not self.slate_questions:
            return None
        prompt = ChoicePrompt(self._world.setting(), ModelChoiceOptions())
        request, memory = self._request([self.rows[0]], np.array(slate))
        size, names = len(slate), prompt.labels(len(slate))
        choice = ChoiceRequest(
            catalog=self._world.catalog,
            population=self._world.population,
            users=request.users,
            items=request.items,
            moods=request.moods,
            interest=np.zeros((1, size)),
            spread=np.ones(1),
            times=request.times,
            history=memory.history(),
        )
        orders = model_bias.rotations(range(size))
        places = [(place, 0) for place in range(size)]

        def first(place: tuple[int, int]) -> ChatRequest:
            return prompt.ask(choice, 0, np.array(orders[place[0]]))

        def read(answer: ChatAnswer) -> int:
            return prompt.read(answer, names)

        def again(request: ChatRequest, answer: ChatAnswer, problem: str) -> ChatRequest:
            return prompt.ask_again(request, answer, problem, names)

        answered, _ = rater.until_read(rater.new_recorder(), places, [slate[0]] * size, first, read, again)
        shares: list[list[float] | None] = []
        for place in places:
            if place not in answered:
                shares.append(None)
                continue
            answer, number = answered[place]
            known = [answer.probabilities.get(name, 0.0) for name in names]
            chosen = known if sum(known) > 0 else [float(name == str(number)) for name in names]
            shares.append([round(one / sum(chosen), 6) for one in chosen])
        ids = self._world.catalog.ids
        return {"orders": [[ids[slate[one]] for one in order] for order in orders], "shares": shares}


def _reverse(request: RatingRequest, row: int) -> list[int]:
    """Reverse the order of a row's retrieved memories; the places where there are fewer than two."""
    few = []
    for name in ("retrieved", "retrieved_items", "retrieved_ratings"):
        setattr(request, name, getattr(request, name).copy())
    for place in range(request.items.shape[1]):
        count = int((request.retrieved[row, place] >= 0).sum())
        if count < 2:
            few.append(place)
        for column in (request.retrieved, request.retrieved_items, request.retrieved_ratings):
            column[row, place, :count] = column[row, place, :count][::-1].copy()
    return few
