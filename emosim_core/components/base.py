"""What a strategy must answer: the interfaces of raters, retrieval, selection, rewards and policies.

Each interface has a form for one user and a form for a batch. Write either: the batch form loops
over the single form where a component does not bring its own. R is the number of users in a batch,
S the size of the slate, K the number of interactions retrieved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isnan
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.answers import number, whole_numbers, wrong
from emosim_core.data.interactions import Interactions
from emosim_core.errors import WrongAnswerError
from emosim_core.hooks.faults import named
from emosim_core.model import Catalog, History, Interaction, Item, Population, RatingScale, User
from emosim_core.model.domain import Example, Words


class Draws(Protocol):
    """Random draws of one stage, one independent stream per user of the batch.

    A user's draws depend on the seed, the episode and the stage alone, whoever else is in the batch.
    """

    def uniform(self, count: int) -> NDArray[np.float64]:
        """``count`` uniform draws in [0, 1) for each user, shape ``(R, count)``."""
        ...

    def normal(self, count: int) -> NDArray[np.float64]:
        """``count`` standard normal draws for each user, shape ``(R, count)``."""
        ...

    def generator(self, row: int) -> np.random.Generator:
        """The generator of one user, row 0 to R - 1, for draws of any other kind."""
        ...


class RowDraws(Draws, Protocol):
    """The draws that the engine hands over: those of some of the users can be taken alone."""

    def of_rows(self, rows: NDArray[np.intp]) -> Draws:
        """The draws of some rows, rising, shape ``(r,)``; the others draw nothing."""
        ...


@dataclass(frozen=True, kw_only=True)
class WorldSetting:
    """The world that a component answers in; it is handed over once, before the first step.

    Attributes:
        slate: S, items in one recommendation.
        real_ratings: how often real users of the domain use each level of its scale, worst first, sums to 1; empty
            where the domain does not say.
        examples: the domain's worked examples for prompts.
        on_failed_rating: what a failed rating does: ``"raise"`` ends the run, ``"skip"`` leaves the item out.
        spent: cost of the model calls that the command has made in worlds before this one. It counts towards a limit
            on the cost of the command.
        ask_service: sends JSON values to the :meth:`~Rater.service` of the same rater in the process of the command,
            and returns its answer; None in that process, and where no service is offered.
        learns: whether the rater is handed a log to learn from (:meth:`~Rater.learn`) before it rates.
    """

    catalog: Catalog
    population: Population
    scale: RatingScale
    words: Words = field(default_factory=Words)
    slate: int = 1
    real_ratings: Sequence[float] = ()
    domain: str = ""
    examples: Sequence[Example] = ()
    on_failed_rating: Literal["raise", "skip"] = "raise"
    spent: float = 0.0
    ask_service: Callable[[Iterable[Any]], Any] | None = None
    learns: bool = False


@dataclass(frozen=True, kw_only=True)
class ShapingSetting(WorldSetting):
    """The world that a reward shaping answers in, and the number of slots, whose episodes go on side by side."""

    batch_size: int = 1


@dataclass(frozen=True, kw_only=True)
class PolicySetting:
    """What a policy is handed once, before the first episode. It says nothing of what users like.

    ``slate`` is the number of items to recommend in one step; ``users`` are ids, by the number that observations give.
    """

    catalog: Catalog
    slate: int = 1
    batch_size: int = 1
    users: Sequence[str] = ()
    history_length: int = 0


@dataclass(frozen=True, kw_only=True)
class BeginRequest:
    """Episodes that begin in the slots ``rows``, shape ``(R,)``; what was kept of the last ones there is over."""

    rows: NDArray[np.intp]


@dataclass(slots=True, kw_only=True)
class UsersRequest:
    """What a request says of R users; ``users`` are indices in ``population``, shape ``(R,)``."""

    users: NDArray[np.intp]
    catalog: Catalog
    population: Population


@dataclass(slots=True, kw_only=True)
class ItemsRequest(UsersRequest):
    """What a request says of R users and S items each.

    Attributes:
        items: index of each item in ``catalog``, shape ``(R, S)``.
        moods: valence and arousal, shape ``(R, 2)``.
    """

    items: NDArray[np.intp]
    moods: NDArray[np.float64]


@dataclass(slots=True, kw_only=True)
class RatedRequest(ItemsRequest):
    """What a request says of R users and their ratings of S items each, shape ``(R, S)``; NaN where there is none."""

    ratings: NDArray[np.float64]
    scale: RatingScale


@dataclass(frozen=True, kw_only=True)
class UserSituation:
    """What a component in its single form is handed of one user: a valence of -1 to 1 and an arousal of 0 to 1."""

    user: User
    valence: float
    arousal: float


@dataclass(frozen=True, kw_only=True)
class ItemSituation(UserSituation):
    """What a component in its single form is handed of one user and one item."""

    item: Item
    scale: RatingScale


def user_of(request: Any, row: int) -> dict[str, Any]:
    """What a situation says of the user of a row of a request."""
    valence, arousal = request.moods[row].tolist()
    return {"user": request.population.users[int(request.users[row])], "valence": valence, "arousal": arousal}


def item_of(request: Any, row: int, item: int) -> dict[str, Any]:
    """What a situation says of the user of a row of a request in front of an item."""
    return {**user_of(request, row), "item": request.catalog.items[item], "scale": request.scale}


@dataclass(slots=True, kw_only=True)
class RetrievalRequest(ItemsRequest):
    """What a retrieval is handed: R users who look at S items each, and their histories."""

    history: History


@dataclass(frozen=True, kw_only=True)
class RetrievalSituation(UserSituation):
    """What a retrieval in its single form is handed: one user who looks at one item, by its index in ``catalog``.

    ``history`` holds the user's interactions, oldest first; several may be with one item.
    """

    item: int
    history: Sequence[Interaction]
    catalog: Catalog


class Retrieval:
    """Chooses the past interactions that matter for an item. It draws no random numbers."""

    def retrieve(self, situation: RetrievalSituation) -> Sequence[int]:
        """For one user and item: positions in ``situation.history`` (0 is the oldest), best first."""
        raise NotImplementedError(f"{type(self).__name__} implements neither retrieve nor retrieve_batch")

    def retrieve_batch(self, request: RetrievalRequest) -> NDArray[np.intp]:
        """For a batch: positions in each history, shape ``(R, S, K)``, best first, -1 where there is none."""
        answers: dict[tuple[int, int], Sequence[int]] = {}
        who, expected = f"{type(self).__name__}.retrieve", "whole numbers, positions in the history"
        for row, slate in enumerate(request.items.tolist()):
            past, about = request.history.interactions(row), user_of(request, row)
            for place, item in enumerate(slate):
                situation = RetrievalSituation(**about, item=item, history=past, catalog=request.catalog)
                positions = whole_numbers(self.retrieve(situation), who, expected, "retrieval-shape")
                if outside := [p for p in positions if not 0 <= p < len(past)]:
                    what = f"{who} answered the position {outside[0]} in a history of {len(past)}"
                    raise WrongAnswerError(what, "retrieval-range")
                answers[row, place] = positions
        width = max(map(len, answers.values()), default=0)
        padded = np.full((*request.items.shape, width), -1, dtype=np.intp)
        for (row, place), answer in answers.items():
            padded[row, place, : len(answer)] = answer
        return padded


@dataclass(slots=True, kw_only=True)
class RatingRequest(RetrievalRequest):
    """What a rater is handed: R users who look at S items each.

    Attributes:
        retrieved: positions in ``history`` that matter for each item, shape ``(R, S, K)``, -1 for none.
        retrieved_items: the items there, shape ``(R, S, K)``; 0 where there is none.
        retrieved_ratings: the ratings there, shape ``(R, S, K)``; NaN where there is none.
        times: how often each user consumed each item before, shape ``(R, S)``.
    """

    retrieved: NDArray[np.intp]
    retrieved_items: NDArray[np.intp]
    retrieved_ratings: NDArray[np.float64]
    times: NDArray[np.intp]
    scale: RatingScale
    words: Words


@dataclass(slots=True)
class Ratings:
    """Answers of a rater. Reasons and probabilities are made when they are read, or when this is pickled or copied.

    Attributes:
        values: ratings, shape ``(R, S)``; NaN is a failed rating.
        reason: the reason of one answer by row and place in the slate, made when it is asked for.
        probabilities: by row and place in the slate, how probable the rater found the answers that it chose from,
            as it writes them; empty where it does not say.
        terms: numbers that a run stores in place of the reasons of the core's own rater, by name, each of a shape that
            broadcasts to ``(R, S)``; empty where they do not make the reasons, or nobody words these.
    """

    values: NDArray[np.float64]
    reason: Callable[[int, int], str] = lambda row, place: ""
    probabilities: Callable[[int, int], Mapping[str, float]] = lambda row, place: {}
    terms: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        places = list(np.ndindex(self.values.shape))
        with named("a reason of the rater"):
            reasons = {place: self.reason(*place) for place in places}
            probabilities = {place: dict(self.probabilities(*place)) for place in places}
        return type(self), (self.values, partial(_entry, reasons), partial(_entry, probabilities), dict(self.terms))


def _entry(table: Mapping[tuple[int, int], Any], row: int, place: int) -> Any:
    return table[row, place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request of a rater or a choice model to a language model and its answer, for the transcript of a run.

    Attributes:
        row: row in the batch of the user whose rating was requested.
        place: place in the slate of the item; 0 where it is about the whole slate.
        messages: role and text of each message.
        options: what else the request says, as JSON values, such as ``max_tokens``.
        answer: the answer as it came; None where the request failed.
        error: why there is no answer, or why it could not be parsed; empty otherwise.
        reasoning: what the model wrote before the answer.
        about: what was requested.
        model: the model as the service names it.
        finished: False if the answer was cut off.
        usage: numbers of tokens by name; None for a number that is not known.
        cached: whether no call was made for it: the answer was cached, or is that of an equal request of the batch.
    """

    row: int
    place: int
    messages: Sequence[tuple[str, str]]
    options: Mapping[str, Any] = field(default_factory=dict)
    answer: str | None = None
    error: str = ""
    reasoning: str = ""
    about: Literal["rating", "choice"] = "rating"
    model: str = ""
    finished: bool = True
    usage: Mapping[str, int | None] = field(default_factory=dict)
    cached: bool = False


@dataclass(frozen=True, kw_only=True)
class Situation(ItemSituation):
    """What a rater in its single form is handed: one user in front of one item.

    ``retrieved`` are the interactions that matter, best first; ``times_consumed`` does not count this time.
    """

    retrieved: Sequence[tuple[Item, Interaction]]
    times_consumed: int


class RaterService:
    """What raters in all processes of a command share, such as a budget; it works in the process of the command.

    Attributes:
        key: raters whose services have the same key share the first of them.
    """

    key: str

    def answer(self, messages: Iterator[Any]) -> Any:
        """The answer, a JSON value, to the JSON values that a rater sends; called by several threads at once."""
        raise NotImplementedError

    def charge(self, spent: Callable[[], float]) -> None:
        """Told once, before the first message, what returns the cost of the command's other model calls so far."""

    def cost(self) -> float:
        """Cost of the model calls so far."""
        return 0.0

    def close(self) -> None:
        """Called at the end, and once more; an :meth:`answer` that is under way returns soon."""


class Rater:
    """Rates items in the place of users.

    A run prints and records who answers: ``uses_llm``, ``language_model`` and ``answered_by``.

    Attributes:
        language_model: the identity of the language model, with all that may change its answers; empty where none is
            called, or where it is not known.
        answered_by: who answers, in words, such as ``"m (language model; prompt strategy s)"``; empty for the name of
            the component.
        batch_size: number of episodes that a run simulates as one batch, where ``num_envs`` does not say.
        deferred: whether answers come hours after they are asked for, so that no episode can be simulated with them.
        interest_is_log_odds: whether differences of :meth:`interest_batch` are log odds of a choice between two items.
        data_sha256: a digest of the files that its answers come from; a run records it, and is resumed with the same
            files alone. Empty where there are none.
    """

    uses_llm: bool = False
    deferred: bool = False
    interest_is_log_odds: bool = False
    language_model: str = ""
    answered_by: str = ""
    batch_size: int = 16
    data_sha256: str = ""

    def learn(self, log: Interactions, catalog: Catalog, scale: RatingScale, more: bool = False) -> None:
        """Learn from what real users did, and forget what was learned before; optional.

        ``emosim validate`` alone calls it, for each part and month, with what the training users did before that month:
        what a rater learns here is not of the users whom it then answers for.

        Args:
            log: by user and time; items are indices in ``catalog``, ratings on ``scale``.
            catalog: the items, with what these users made known of them.
            more: whether this is the log of the last call and some months of the same year more, so that what takes
                long to learn may be kept.
        """

    def prepare(self, setting: WorldSetting) -> None:
        """Called once before the first rating, and again for other items or users; a place for tables."""

    def announcements(self) -> Sequence[str]:
        """Notes for the user of this rater, printed and recorded once for each world, such as a fallback in use."""
        return ()

    def close(self) -> None:
        """Called at the end of a run; closes connections and files. A rater may be called again afterwards."""

    def usage(self) -> Mapping[str, Any]:
        """Number and cost of the model calls so far, for the summary of a run; empty where none are made.

        ``cost`` counts towards the limit of the command, see ``WorldSetting.spent``.
        """
        return {}

    def service(self) -> RaterService | None:
        """What answers ``WorldSetting.ask_service`` of raters like this one in other processes; None by default.

        The rater that is asked for it is not prepared.
        """
        return None

    def exchanges(self) -> Sequence[Exchange]:
        """Requests and answers of the last batch, also of one that raised an error; none by default.

        A run writes them to its transcript. They hold no secret.
        """
        return ()

    def rate(self, situation: Situation, rng: np.random.Generator) -> float | tuple[float, str]:
        """For one user and item: the rating on ``situation.scale``, or the rating and a reason."""
        raise NotImplementedError(f"{type(self).__name__} implements neither rate nor rate_batch")

    def rate_batch(self, request: RatingRequest, draws: Draws) -> Ratings:
        """For a batch: all ratings; a RatingError where a user could not be asked."""
        values = np.empty(request.items.shape)
        reasons: dict[tuple[int, int], str] = {}
        who, expected = f"{type(self).__name__}.rate", "a rating, or a pair of a rating and a reason"
        for row, slate in enumerate(request.items.tolist()):
            past = request.history.interactions(row)
            for place, item in enumerate(slate):
                positions = [p for p in request.retrieved[row, place].tolist() if p >= 0]
                situation = Situation(
                    **item_of(request, row, item),
                    retrieved=[(request.catalog.items[past[p].item], past[p]) for p in positions],
                    times_consumed=int(request.times[row, place]),
                )
                answer = self.rate(situation, draws.generator(row))
                value, reason = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, "")
                if not isinstance(reason, str):
                    raise wrong(who, answer, expected, "rater-shape")
                value = number(value, who, expected, "rater-shape")
                if not (isnan(value) or request.scale.contains(value)):
                    what = f"{who} rated {value!r}, which is no rating of the scale {request.scale}"
                    raise WrongAnswerError(what, "rater-scale")
                values[row, place], reasons[row, place] = value, reason
        return Ratings(values, lambda row, place: reasons[row, place])

    def expected_batch(self, request: RatingRequest) -> NDArray[np.float64]:
        """What each user rates each item on average, on the domain's scale, shape ``(R, S)``; optional.

        Of a rater that does not know it, ``emosim validate`` measures the ratings it gives, and choice models take the
        expectation of ``rule_based``.
        """
        raise NotImplementedError(f"{type(self).__name__} does not tell users' expected ratings")

    def distribution_batch(self, request: RatingRequest) -> NDArray[np.float64]:
        """How likely each user gives each item each level of the scale, shape ``(R, S, L)``, sums 1; optional.

        NaN where a user could not be asked.
        """
        raise NotImplementedError(f"{type(self).__name__} does not tell how likely each rating is")

    def interest_batch(self, request: RatingRequest) -> NDArray[np.float64]:
        """How likely each user is to choose each item, scores of any size, shape ``(R, S)``; optional.

        ``emosim validate`` and the choice models ask. Of a rater that does not know it, they take what users rate on
        average.
        """
        raise NotImplementedError(f"{type(self).__name__} does not tell what users would choose")

    def tells_interest(self) -> bool:
        """Whether it knows what users would choose, or their expected ratings, without asking a language model."""
        own = (getattr(type(self), name) is not getattr(Rater, name) for name in ("interest_batch", "expected_batch"))
        return not self.uses_llm and any(own)

    def interest_teller(self) -> Rater | None:
        """What tells it of all users without asking a language model: itself where it can; None for nobody."""
        return self if self.tells_interest() else None

    def answering(self, users: NDArray[np.intp], population: Population) -> NDArray[np.str_] | None:
        """The name of the rater that answers for each user, shape ``(R,)``, of one that is made of several; else None.

        ``users`` are indices in ``population``, shape ``(R,)``.
        """
        return None

    def interest_terms(self, request: RatingRequest) -> Mapping[str, NDArray[np.float64]]:
        """What each kind of knowledge adds to :meth:`interest_batch`, shape ``(R, S)`` each; none by default.

        ``emosim validate`` measures what each alone tells of choices, and what is lost without it. Where kinds do not
        add up, these are the scores by each alone, and :meth:`interest_without` has those by all others.
        """
        return {}

    def interest_without(self, request: RatingRequest) -> Mapping[str, NDArray[np.float64]]:
        """:meth:`interest_batch` without each kind of knowledge of :meth:`interest_terms`, where they do not add up.

        By name, shape ``(R, S)`` each. None by default: then each is what is left when its term is taken away.
        """
        return {}


@dataclass(slots=True, kw_only=True)
class SelectionRequest(RatedRequest):
    """What a selector is handed: R users in front of a slate of S rated items each.

    ``times`` says how often each user consumed each item before, shape ``(R, S)``.
    """

    times: NDArray[np.intp]
    history: History


@dataclass(frozen=True, kw_only=True)
class SelectionSituation(UserSituation):
    """What a selector in its single form is handed: one user in front of a slate of S rated items.

    ``ratings`` and ``times_consumed``, how often the user consumed each before, have the shape ``(S,)``; NaN where a
    rating failed.
    """

    items: Sequence[Item]
    ratings: NDArray[np.float64]
    times_consumed: NDArray[np.intp]
    scale: RatingScale


class Selector:
    """Decides which items of a slate are consumed."""

    def prepare(self, setting: WorldSetting) -> None:
        """Called once before the first choice; a place to carry thresholds to the scale."""

    def select(self, situation: SelectionSituation, rng: np.random.Generator) -> NDArray[np.bool_]:
        """For one user: which of the S items is consumed, shape ``(S,)``."""
        raise NotImplementedError(f"{type(self).__name__} implements neither select nor select_batch")

    def select_batch(self, request: SelectionRequest, draws: Draws) -> NDArray[np.bool_]:
        """For a batch: which items are consumed, shape ``(R, S)``. A NaN rating is never consumed."""
        chosen = []
        for row, slate in enumerate(request.items.tolist()):
            situation = SelectionSituation(
                **user_of(request, row),
                items=[request.catalog.items[item] for item in slate],
                ratings=request.ratings[row],
                times_consumed=request.times[row],
                scale=request.scale,
            )
            answer = np.asarray(self.select(situation, draws.generator(row)))
            if answer.dtype.kind != "b" or answer.shape != request.ratings.shape[1:]:
                expected = f"{request.ratings.shape[1]} booleans"
                raise wrong(f"{type(self).__name__}.select", answer, expected, "selector-shape")
            chosen.append(answer)
        return np.array(chosen)


@dataclass(slots=True, kw_only=True)
class PerturbationRequest(RatedRequest):
    """What a perturbator is handed: R users' ratings of S items each, and which are consumed, shape ``(R, S)``."""

    consumed: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class PerturbationSituation(ItemSituation):
    """What a perturbator in its single form is handed: one user's rating of one item; NaN where the rater failed."""

    rating: float
    consumed: bool


class Perturbator:
    """Blurs the ratings of consumed items."""

    def perturb(self, situation: PerturbationSituation, rng: np.random.Generator) -> float:
        """For one item: the perturbed rating. The engine rounds it to the scale and clips it.

        It is called for every item of the slate, NaN where the rating failed; what is not consumed is ignored.
        """
        raise NotImplementedError(f"{type(self).__name__} implements neither perturb nor perturb_batch")

    def perturb_batch(self, request: PerturbationRequest, draws: Draws) -> NDArray[np.float64]:
        """For a batch: perturbed ratings, shape ``(R, S)``. What is not consumed is ignored."""

        def perturbed(row: int, place: int) -> float:
            situation = PerturbationSituation(
                **item_of(request, row, int(request.items[row, place])),
                rating=float(request.ratings[row, place]),
                consumed=bool(request.consumed[row, place]),
            )
            answer = self.perturb(situation, draws.generator(row))
            return number(answer, f"{type(self).__name__}.perturb", "a rating", "perturbator-shape")

        rows, slate = request.ratings.shape
        return np.array([[perturbed(row, place) for place in range(slate)] for row in range(rows)])


@dataclass(slots=True, kw_only=True)
class ShapingRequest(UsersRequest):
    """What a reward shaping is handed: what R users consumed in this step.

    Attributes:
        rows: slot of each user in the engine's batch, shape ``(R,)``: where a component that was
            given a batch size by :meth:`RewardShaping.start` keeps its own state.
        items: index of each item in ``catalog``, shape ``(R, S)``.
        consumed: which items of the slate were consumed, shape ``(R, S)``.
        ratings: perturbed ratings, shape ``(R, S)``; meaningless where not consumed.
        times: how often the item has been consumed including now, shape ``(R, S)``.
        since: interactions since the item was last consumed, shape ``(R, S)``; 0 for a first time.
        steps: number of the step in its episode, from 1, shape ``(R,)``.
        traits: activity, conformity, diversity, 1 to 3, shape ``(R, 3)``.
    """

    rows: NDArray[np.intp]
    items: NDArray[np.intp]
    consumed: NDArray[np.bool_]
    ratings: NDArray[np.float64]
    times: NDArray[np.intp]
    since: NDArray[np.intp]
    steps: NDArray[np.intp]
    traits: NDArray[np.int64]
    scale: RatingScale


@dataclass(frozen=True, kw_only=True)
class ShapingSituation:
    """What a reward shaping in its single form is handed: one item that one user consumed.

    Attributes:
        times: how often the user has consumed it, this time included.
        since: interactions since the last time; 0 for a first time.
        step: number of the step in its episode, from 1.
    """

    user: User
    item: Item
    rating: float
    times: int
    since: int
    step: int
    scale: RatingScale


class RewardShaping:
    """Turns ratings into rewards and may end an episode; code c ends it for ``end_reasons[c - 1]``."""

    end_reasons: tuple[str, ...] = ("shaped",)

    def start(self, setting: ShapingSetting) -> None:
        """Called once, with the number of slots; a place for state arrays."""

    def begin(self, request: BeginRequest) -> None:
        """An episode begins in each of the slots ``request.rows``."""

    def shape(self, situation: ShapingSituation, rng: np.random.Generator) -> float | tuple[float, bool]:
        """For one consumed item: its reward, or its reward and whether the episode ends."""
        raise NotImplementedError(f"{type(self).__name__} implements neither shape nor shape_batch")

    def shape_batch(self, request: ShapingRequest, draws: Draws) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """For a batch: shaped ratings, shape ``(R, S)``, and codes of why each episode ends, shape ``(R,)``; 0 goes on.

        The engine sums the shaped ratings of what was consumed and ignores the rest.
        """
        who, expected = f"{type(self).__name__}.shape", "a reward, or a pair of a reward and whether the episode ends"
        rewards = np.zeros(request.ratings.shape)
        ends = np.zeros(len(rewards), dtype=np.intp)
        for row, place in zip(*np.nonzero(request.consumed), strict=True):
            situation = ShapingSituation(
                user=request.population.users[int(request.users[row])],
                item=request.catalog.items[int(request.items[row, place])],
                rating=float(request.ratings[row, place]),
                times=int(request.times[row, place]),
                since=int(request.since[row, place]),
                step=int(request.steps[row]),
                scale=request.scale,
            )
            answer = self.shape(situation, draws.generator(int(row)))
            reward, ended = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, False)
            rewards[row, place] = number(reward, who, expected, "shaping-shape")
            if not isinstance(ended, int | np.integer | np.bool_):
                raise wrong(who, answer, expected, "shaping-shape")
            ends[row] = ends[row] or int(ended)
        return rewards, ends


Observations = dict[str, NDArray]
"""Observations of R users by name, each array with R as its first axis."""


@dataclass(slots=True, kw_only=True)
class RecommendationRequest:
    """What a policy is handed in each step: R episodes that go on; ``rows`` are their slots, shape ``(R,)``."""

    rows: NDArray[np.intp]
    observations: Observations


@dataclass(slots=True, kw_only=True)
class RecommendationOutcome:
    """What came of the last recommendations, for R episodes that took a step.

    ``rows``, ``rewards`` and ``ended`` have the shape ``(R,)``, ``actions``, ``ratings`` and ``clicked`` the shape
    ``(R, S)``; NaN is a rating of what was not consumed. Where the whole slate is rated first, what was consumed counts
    as clicked.
    """

    rows: NDArray[np.intp]
    actions: NDArray[np.intp]
    ratings: NDArray[np.float64]
    rewards: NDArray[np.float64]
    ended: NDArray[np.bool_]
    clicked: NDArray[np.bool_] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.clicked is None:
            self.clicked = ~np.isnan(self.ratings)


class Policy:
    """A recommender: sees observations and recommends items. It never sees what a user likes.

    Attributes:
        history_length: recent interactions that it needs to see, known before :meth:`start`; observations show at
            least as many, and as many as the configuration says.
        observes: the parts of an observation that it cannot do without, known before :meth:`start`.
        learns_across_episodes: whether what it recommends in an episode may depend on earlier ones; a run with such a
            policy is one block of records, is simulated from its start when it is resumed, and is not cut into cells.
            A class that defines :meth:`learn` has True, unless it says False itself.
        deterministic: whether what it knows decides what it recommends, without a draw; then every propensity is 1.
    """

    history_length: int = 0
    observes: tuple[str, ...] = ()
    learns_across_episodes: bool = False
    deterministic: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        nearest = next(one for one in cls.__mro__ if "learn" in vars(one) or "learns_across_episodes" in vars(one))
        if "learns_across_episodes" not in vars(nearest):
            cls.learns_across_episodes = True

    def start(self, setting: PolicySetting) -> None:
        """Called once before the first episode; keeps ``catalog``, ``slate``, ``batch_size`` and ``users``."""
        self.catalog, self.slate, self.batch_size = setting.catalog, setting.slate, setting.batch_size
        self.users = setting.users

    def begin(self, request: BeginRequest, draws: Draws) -> None:
        """An episode begins in each of the slots ``request.rows``; row r of ``draws`` is slot ``request.rows[r]``."""

    def recommend(self, observation: Observations, rng: np.random.Generator) -> Sequence[int]:
        """For one user: S item indices. An empty answer has nothing left to recommend."""
        raise NotImplementedError(f"{type(self).__name__} implements neither recommend nor recommend_batch")

    def recommend_batch(self, request: RecommendationRequest, draws: Draws) -> NDArray[np.intp]:
        """For a batch: item indices, shape ``(R, S)``; -1 where there is nothing left to recommend."""
        who = f"{type(self).__name__}.recommend"
        actions = np.full((len(request.rows), self.slate), -1, dtype=np.intp)
        for r in range(len(actions)):
            seen = {key: value[r] for key, value in request.observations.items()}
            answer = whole_numbers(self.recommend(seen, draws.generator(r)), who, "indices of items", "policy-shape")
            if len(answer) not in (0, self.slate):
                what = f"{who} recommended {len(answer)} items for a slate of {self.slate}"
                raise WrongAnswerError(what, "policy-shape")
            if len(answer):
                actions[r] = answer
        return actions

    def propensities(self) -> NDArray[np.float64] | None:
        """How probable the last recommendations were: that each item stands in its place, shape ``(R, S)``.

        Given what was recommended in the episode before and learned so far; NaN where it is not known, None where none
        is. A run records them where its configuration says so.
        """
        return None

    def learn(self, outcome: RecommendationOutcome) -> None:
        """What came of the last recommendations; nothing by default. See ``learns_across_episodes``."""

    def counts(self) -> Mapping[str, int]:
        """What it has counted since it was made, by name, such as items that it had to leave out; nothing by default.

        A run's summary says them as ``policy_counts``: what was counted in each block of its episodes, added up. Where
        an episode counts the same wherever it is simulated, so does the run.
        """
        return {}
