"""Suites of components that answer a batch of users, each user for themself, and the base of these suites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import SkipTest

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import (
    Observations,
    PerturbationRequest,
    Perturbator,
    Retrieval,
    RetrievalRequest,
    SelectionRequest,
    Selector,
)
from emosim_core.components.choice import Choice, ChoiceRequest
from emosim_core.components.emotion_models import EmotionModel, EmotionSetting, MoodRequest, TagRequest
from emosim_core.components.observations import ObservationModel, ObservationRequest, ObservationSetting
from emosim_core.errors import PluginError
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.simulation import checks
from emosim_core.simulation.streams import Stage
from emosim_core.testing.conformance import ComponentConformance, no_error, untouched
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import (
    SmallWorld,
    arrays_of,
    choice_request,
    draws,
    perturbation_request,
    retrieval_request,
    selection_request,
)

if TYPE_CHECKING:
    from gymnasium import Space

_SLATE, _SLATES = 3, (1, 3)
_MAX_STEPS, _HISTORY = 30, 10
"""Steps of an episode that is observed, and recent interactions in an observation."""

_TagsAndMoods = tuple[TagRequest, MoodRequest]

_Prepared = tuple[ObservationModel, Mapping[str, "Space[Any]"]]
"""An observation model and its spaces."""


class BatchConformance(ComponentConformance):
    """Base of the suites of components that answer a batch of users, each user for themself.

    Attributes:
        rules: how the names of the rules of the kind begin.
        prepares: the rule that an error of its ``prepare()`` breaks; empty where it has none.
        num_users: number of users in a batch.
    """

    rules: ClassVar[str]
    prepares: ClassVar[str] = ""
    num_users: ClassVar[int] = 12

    @property
    def everyone(self) -> Ints:
        """All users of a batch."""
        return np.arange(self.num_users)

    def made(self, world: SmallWorld) -> Any:
        """A new component, prepared for a world."""
        made = self.make()
        if self.prepares:
            with no_error(self.prepares, f"prepare() of {self.subject}"):
                made.prepare(self.setting(world))
        return made

    def setting(self, world: SmallWorld) -> Any:
        """What the component is prepared with."""
        return world.setting()

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> Any:
        """What the component is handed of the users ``who``: the same of a user, whoever else is there.

        ``failed`` is the share of failed ratings, where ratings are handed over.
        """
        raise NotImplementedError

    def ask(self, component: Any, request: Any, who: Ints) -> Any:
        """What the component answers, checked as in a run; a BrokenRuleError where its interface says otherwise."""
        raise NotImplementedError

    def of_user(self, answer: Any, row: int) -> list[NDArray[Any]]:
        """What an answer says of one user."""
        return [answer[row]]

    def arrays(self, request: Any) -> dict[str, NDArray[Any]]:
        """The arrays of a request by name; the component must not write to them."""
        return arrays_of(request)

    def test_a_user_gets_the_same_alone_as_among_others(self) -> None:
        for world in self.worlds():
            together = self.ask(self.made(world), self.request(world, self.everyone), self.everyone)
            for user in range(0, self.num_users, 3):
                who = np.array([user])
                alone = self.of_user(self.ask(self.made(world), self.request(world, who), who), 0)
                detail = f"user {user} gets {_shown(alone)} alone, {_shown(self.of_user(together, user))} with others."
                hold(f"{self.rules}-alone", _same(alone, self.of_user(together, user)), detail)

    def test_it_repeats_itself(self) -> None:
        for world in self.worlds():
            one, request, some = self.made(world), self.request(world, self.everyone), self.everyone[::3]
            first = self.ask(one, request, self.everyone)
            self.ask(one, self.request(world, some), some)
            for component in (one, self.made(world)):
                again = self.ask(component, request, self.everyone)
                same = all(_same(self.of_user(first, row), self.of_user(again, row)) for row in self.everyone.tolist())
                hold(f"{self.rules}-repeats", same, "another answer the second time.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            request = self.request(world, self.everyone, failed=0.1)
            with untouched(f"{self.rules}-reads", self.arrays(request) | world.arrays()):
                self.ask(self.made(world), request, self.everyone)


class RetrievalConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules = "retrieval", "retrieval"
    interface = Retrieval

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> RetrievalRequest:
        items = np.random.default_rng(1).integers(0, len(world.catalog), (self.num_users, _SLATE))[who]
        history = world.histories(self.num_users, who)
        return retrieval_request(items, history, world.catalog, world.population, who)

    def ask(self, component: Retrieval, request: RetrievalRequest, who: Ints) -> Ints:
        with no_error("retrieval-shape", self.subject, {PluginError: "retrieval-range"}):  # what the single form found
            answer = component.retrieve_batch(request)
            checks.check_positions(answer, request.items, request.history, self.subject)
        return answer

    def of_user(self, answer: Ints, row: int) -> list[Ints]:
        return [places[places >= 0] for places in answer[row]]

    def test_it_answers_positions_within_each_history(self) -> None:
        for world in self.worlds():
            answer = self.ask(self.make(), self.request(world, self.everyone), self.everyone)
            for places in (places for slate in answer.tolist() for places in slate):
                taken = [place for place in places if place >= 0]
                hold("retrieval-order", len(set(taken)) == len(taken), f"the positions {places}.")
                hold("retrieval-order", places[: len(taken)] == taken, f"the positions {places}.")

    def test_a_history_without_interactions_gives_nothing(self) -> None:
        for world in self.worlds():
            history = world.memories(4, longest=0).history()
            request = retrieval_request(np.zeros((4, _SLATE), dtype=np.intp), history, world.catalog, world.population)
            self.ask(self.make(), request, np.arange(4))


class ChoiceConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules, num_users = "choice", "choice", 40
    interface, prepares = Choice, "choice-shape"

    def made(self, world: SmallWorld) -> Any:
        made = super().made(world)
        if made.rates_first:
            raise SkipTest("not called here: the whole slate is rated first, and a selector chooses")
        if made.asks_llm:
            raise SkipTest("not called here: it asks the language model that rates")
        return made

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> ChoiceRequest:
        interest = np.random.default_rng(1).normal(1.0, 2.0, (self.num_users, _SLATE))
        return choice_request(interest[who], world, who)

    def ask(self, component: Choice, request: ChoiceRequest, who: Ints) -> tuple[Flags, Flags]:
        with no_error("choice-shape", self.subject):
            answer = component.choose_batch(request, draws(who, Stage.EXAMINE), draws(who, Stage.CHOOSE))
            checks.check_choices(answer, request.items, self.subject)
        return answer

    def of_user(self, answer: tuple[Flags, Flags], row: int) -> list[Flags]:
        return [flags[row] for flags in answer]

    def test_it_answers_for_slates_of_any_size(self) -> None:
        for world in self.worlds():
            for slate in _SLATES:
                interest = np.random.default_rng(2).normal(1.0, 2.0, (self.num_users, slate))
                self.ask(self.made(world), choice_request(interest, world), self.everyone)


class SelectorConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules, num_users = "selector", "selector", 40
    interface, prepares = Selector, "selector-shape"

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> SelectionRequest:
        return selection_request(world.ratings(self.num_users, 3, failed=failed)[who], world, who)

    def ask(self, component: Selector, request: SelectionRequest, who: Ints) -> Flags:
        with no_error("selector-shape", self.subject):
            answer = component.select_batch(request, draws(who, Stage.SELECT))
            checks.check_consumed(answer, request.ratings, self.subject)
        return answer

    def test_it_answers_booleans_and_never_a_failed_rating(self) -> None:
        for world in self.worlds():
            for slate in _SLATES:
                ratings = world.ratings(self.num_users, slate, failed=0.3)
                consumed = self.ask(self.made(world), selection_request(ratings, world), self.everyone)
                hold("selector-failed", not (consumed & np.isnan(ratings)).any(), "a failed rating was consumed.")


class PerturbatorConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules, num_users = "perturbator", "perturbator", 40
    interface = Perturbator

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> PerturbationRequest:
        return perturbation_request(world.ratings(self.num_users, 3, failed=failed)[who], world, who)

    def ask(self, component: Perturbator, request: PerturbationRequest, who: Ints) -> Floats:
        raw = request.ratings.copy()
        with no_error("perturbator-finite" if np.isnan(raw).any() else "perturbator-shape", self.subject):
            answer = component.perturb_batch(request, draws(who, Stage.PERTURB))
            checks.check_perturbed(answer, raw, self.subject)
        return answer

    def test_it_answers_finite_numbers_and_takes_failed_ratings(self) -> None:
        for world in self.worlds():
            for slate in _SLATES:
                ratings = world.ratings(self.num_users, slate, failed=0.2)
                self.ask(self.make(), perturbation_request(ratings, world), self.everyone)


class EmotionModelConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules, num_users = "emotion_model", "emotion", 40
    interface, prepares = EmotionModel, "emotion-tags"

    def setting(self, world: SmallWorld) -> EmotionSetting:
        return EmotionSetting(**vars(world.setting()))

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> _TagsAndMoods:
        """Three ratings of each user to tag, and the mood of each to move after one consumed item."""
        one = self._tags(world, who, 1)
        moods = MoodRequest(
            users=one.users,
            items=one.items[:, 0],
            ratings=one.ratings[:, 0],
            codes=self._tag(self.made(world), one)[:, 0],
            moods=one.moods,
            baselines=world.population.baselines[one.users],
            **world.items_and_users,
        )
        return self._tags(world, who, 3, failed), moods

    def arrays(self, request: _TagsAndMoods) -> dict[str, NDArray[Any]]:
        tags, moods = (arrays_of(one) for one in request)
        return {**tags, **{f"{name} to move moods": array for name, array in moods.items()}}

    def ask(self, component: EmotionModel, request: _TagsAndMoods, who: Ints) -> tuple[Ints, Floats]:
        tags, moods = request
        return self._tag(component, tags), self._feel(component, moods, who)

    def of_user(self, answer: tuple[Ints, Floats], row: int) -> list[NDArray[Any]]:
        return [part[row] for part in answer]

    def test_it_tags_ratings_and_takes_what_was_not_consumed(self) -> None:
        for world in self.worlds():
            for slate in _SLATES:
                self._tag(self.made(world), self._tags(world, self.everyone, slate, failed=0.3))

    def test_moods_stay_in_their_range(self) -> None:
        for world in self.worlds():
            model, (_, request) = self.made(world), self.request(world, self.everyone)
            for _ in range(20):
                request.moods = self._feel(model, request, self.everyone)

    def _tags(self, world: SmallWorld, who: Ints, slate: int, failed: float = 0.0) -> TagRequest:
        rng = np.random.default_rng(1)
        moods = rng.uniform((-1.0, 0.0), (1.0, 1.0), (self.num_users, 2))  # away from rest
        ratings = world.ratings(self.num_users, slate, failed=failed)
        return TagRequest(
            users=who % len(world.population),
            items=np.tile(np.arange(slate) % len(world.catalog), (len(who), 1)),
            ratings=ratings[who],
            moods=moods[who],
            **world.items_and_users,
        )

    def _tag(self, model: EmotionModel, request: TagRequest) -> Ints:
        with no_error("emotion-tags", self.subject):
            answer = model.tag_batch(request)
            checks.check_codes(answer, request.ratings, self.subject)
        return answer

    def _feel(self, model: EmotionModel, request: MoodRequest, who: Ints) -> Floats:
        with no_error("emotion-moods", self.subject):
            answer = model.feel_batch(request, draws(who, Stage.FEEL))
            checks.check_moods(answer, request.moods, self.subject)
        return answer


class ObservationConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules, num_users = "observation", "observation", 40
    interface = ObservationModel

    def made(self, world: SmallWorld, length: int = _HISTORY) -> _Prepared:
        """A new observation model and its spaces in a world."""
        model: ObservationModel = self.make()
        setting = ObservationSetting(
            **vars(world.setting()), max_steps=_MAX_STEPS, history_length=length, chooses_first=True
        )
        with no_error("observation-space", f"space() of {self.subject}"):
            parts = model.space(setting)
            checks.check_parts(parts, self.subject)
        return model, parts

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0, length: int = _HISTORY) -> ObservationRequest:
        """Users in episodes of different lengths, who are shown the last ``length`` slates."""
        rng, count = np.random.default_rng(2), self.num_users
        steps, moods = rng.integers(0, _MAX_STEPS + 1, count), rng.uniform((-1.0, 0.0), (1.0, 1.0), (count, 2))
        shown = rng.integers(-1, len(world.catalog), (count, length * world.setting().slate))
        return ObservationRequest(
            users=who % len(world.population),
            steps=steps[who],
            moods=moods[who],
            history=world.histories(count, who),
            shown=shown[who],
            clicked=((shown % 2) > 0).astype(np.int8)[who],
            parts=tuple(self.made(world)[1]),
            **world.items_and_users,
        )

    def ask(self, component: _Prepared, request: ObservationRequest, who: Ints) -> Observations:
        model, parts = component
        with no_error("observation-shape", self.subject):
            seen = model.observe_batch(request)
            checks.check_observed(seen, parts, len(request.users), self.subject)
        return {part: seen[part] for part in parts}

    def of_user(self, answer: Observations, row: int) -> list[NDArray[Any]]:
        return [array[row] for array in answer.values()]

    def test_what_is_observed_lies_in_its_space(self) -> None:
        for world in self.worlds():
            for length in (1, _HISTORY):
                model, parts = self.made(world, length)
                seen = self.ask((model, parts), self.request(world, self.everyone, length=length), self.everyone)
                for part, space in parts.items():
                    for row, value in enumerate(seen[part]):
                        hold("observation-space", space.contains(value), f"{part!r} of user {row} is {value!r}.")


def _same(one: list[NDArray[Any]], other: list[NDArray[Any]]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs)


def _shown(arrays: list[NDArray[Any]]) -> str:
    return ", ".join(str(array.tolist()) for array in arrays)
