"""Engine: one step of many simulated users at once. It owns order, state and randomness; components own the rules."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import (
    BeginRequest,
    Draws,
    ItemsRequest,
    Observations,
    RatingRequest,
    Ratings,
    SelectionRequest,
    ShapingRequest,
    ShapingSetting,
)
from emosim_core.components.choice import ChoiceRequest
from emosim_core.components.emotion_models import MoodRequest, ValenceArousal
from emosim_core.components.observations import ObservationRequest, ObservationSetting
from emosim_core.components.shaping import ChurnSatisfaction
from emosim_core.errors import ConfigurationError, PluginError, RatingError
from emosim_core.hooks.faults import pass_on
from emosim_core.kernels import load_kernels
from emosim_core.model import History, Memory
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.model.emotion import NEUTRAL
from emosim_core.model.memory import ALL_ROWS, Rows
from emosim_core.simulation.assembly import World
from emosim_core.simulation.checks import (
    check_choices,
    check_consumed,
    check_end_reasons,
    check_moods,
    check_observed,
    check_parts,
    check_shaped,
)
from emosim_core.simulation.interest import InterestScale
from emosim_core.simulation.streams import PairDraws, SlotDraws, Stage, Streams

INTERRUPTED, MAX_STEPS = 1, 2

_BUILT_IN_END_REASONS = ("", "interrupted", "max_steps")

OUT_OF_ITEMS = "out_of_items"
"""Why an episode ends when there is nothing left to recommend."""

ABANDONED = "abandoned"
"""Why an episode ends when nothing was clicked in several slates in a row."""

_PATIENCE = np.array([1.0, 0.5, 1.0, 2.0])
"""Factors on patience by activity, 1 to 3."""


@dataclass(slots=True)
class Step:
    """What happened to R users in one step. S is the size of the slate, K the number of memories.

    Attributes:
        rows: slot of each user, shape ``(R,)``.
        users: index of each user in the population, shape ``(R,)``.
        rewards: shape ``(R,)``.
        terminated: the user left, or was interrupted, shape ``(R,)``.
        truncated: the episode was cut off at ``max_steps``, shape ``(R,)``.
        end_codes: code of why the episode ended, an index into ``end_reasons``, 0 where it goes on, shape ``(R,)``.
        end_reasons: why an episode can end, by code.
        moods: valence and arousal after the step, shape ``(R, 2)``.
        actions: the items recommended, shape ``(R, S)``.
        raw_ratings: the rater's ratings, NaN where none was given, shape ``(R, S)``.
        ratings: ratings after perturbation, NaN where not consumed, shape ``(R, S)``.
        consumed: which items were consumed, shape ``(R, S)``.
        examined, clicked: which places the users looked at, and what they clicked there, shape ``(R, S)``; None where
            the whole slate is rated first.
        codes: tags of the ratings, ``3 * (valence + 1) + 2 * arousal``; meaningless where not consumed, shape
            ``(R, S)``.
        times: how often each item has been consumed, this time included, 0 where not consumed, shape ``(R, S)``.
        retrieved_items: items that were retrieved for each recommended one, shape ``(R, S, K)``.
        retrieved_ratings: how they had been rated, NaN where nothing was retrieved, shape ``(R, S, K)``.
        answers: what the rater answered, for reasons; None where everyone was interrupted.
        answered: row in ``answers`` of each user, -1 for who was interrupted, shape ``(R,)``.
    """

    rows: Ints
    users: Ints
    rewards: Floats
    terminated: Flags
    truncated: Flags
    end_codes: Ints
    end_reasons: tuple[str, ...]
    moods: Floats
    actions: Ints
    raw_ratings: Floats
    ratings: Floats
    consumed: Flags
    codes: Ints
    times: Ints
    retrieved_items: Ints
    retrieved_ratings: Floats
    answers: Ratings | None
    answered: Ints
    examined: Flags | None = None
    clicked: Flags | None = None

    @property
    def failed(self) -> int:
        """How many ratings failed. Who was interrupted was not asked, nor anybody of what they did not click."""
        requested = (self.answered >= 0)[:, None] if self.clicked is None else self.clicked
        return int(np.count_nonzero(np.isnan(self.raw_ratings) & requested))

    def end_reason(self, row: int) -> str | None:
        """Why the episode of row ``row`` ended; None where it goes on."""
        return self.end_reasons[self.end_codes[row]] or None

    def reason(self, row: int, place: int = 0) -> str:
        """Why the user of row ``row`` rated the item at ``place`` as they did; empty without a reason."""
        answered = int(self.answered[row])
        if self.answers is None or answered < 0:
            return ""
        try:
            reason = self.answers.reason(answered, place)
        except Exception as error:
            pass_on("a reason of the rater", error)
        if not isinstance(reason, str):
            raise PluginError(f"a reason of the rater is a {type(reason).__name__}, not text")
        return reason

    def probabilities(self, row: int, place: int = 0) -> Mapping[str, float]:
        """How probable the rater found its answers; empty where it does not say."""
        answered = int(self.answered[row])
        return {} if self.answers is None or answered < 0 else self.answers.probabilities(answered, place)


_BY_ROW = (
    *("rewards", "terminated", "truncated", "end_codes", "moods", "raw_ratings", "ratings", "consumed"),
    *("codes", "times", "retrieved_items", "retrieved_ratings", "answered"),
)
"""What a step says of each user beyond who they are and what was recommended."""


@dataclass(slots=True)
class _Given:
    """What R users answered to a slate; fields as of :class:`Step`."""

    raw: Floats
    consumed: Flags
    retrieved_items: Ints
    retrieved_ratings: Floats
    answers: Ratings | None
    examined: Flags | None = None
    clicked: Flags | None = None


def _spread(answers: Ratings, clicked: Flags) -> Ratings:
    """Answers about what was clicked, one after another, by row and place of the slate; ``clicked`` is ``(R, S)``."""
    number = np.full(clicked.shape, -1)
    number[clicked] = np.arange(len(answers.values))

    def reason(row: int, place: int) -> str:
        return answers.reason(int(number[row, place]), 0) if number[row, place] >= 0 else ""

    def probabilities(row: int, place: int) -> Mapping[str, float]:
        return answers.probabilities(int(number[row, place]), 0) if number[row, place] >= 0 else {}

    def wide(values: NDArray[Any]) -> Floats:
        spread = np.full(clicked.shape, np.nan)
        spread[clicked] = np.broadcast_to(values, answers.values.shape)[:, 0]
        return spread

    terms = {name: wide(values) for name, values in answers.terms.items()}
    return Ratings(wide(answers.values), reason, probabilities, terms)


class Engine:
    """B simulated users who answer together.

    Args:
        batch_size: B, the number of slots.
        shared_memory: with ``keep_memory``, whether all slots remember the same users (a run) or
            each slot is a world of its own (vector environments).
        history_length: recent interactions that observations show at least; the configuration may say more.

    Attributes:
        rated_rows: slots of the users of the rater's last batch, those of the last step; empty if it had none.
        choosing_rows: slots of the users of the choice model's last batch, as ``rated_rows``.
        rated_places: place in the slate of each of them where a user was asked of what they clicked alone, else None.
    """

    def __init__(self, world: World, batch_size: int = 1, shared_memory: bool = False, history_length: int = 0) -> None:
        if world.rater.deferred:
            raise ConfigurationError(
                f"the answers of {world.model or world.answered_by} come hours after they are asked for, and an "
                "episode would wait for them at each step. Leave batch=true out, or ask what is independent of each "
                "other: emosim distill, whose users then simulate any number of episodes, validate or ablate. --replay "
                "simulates with cached answers"
            )
        self.world = world
        self.batch_size = batch_size
        self.kernels = load_kernels()
        self._streams = Streams(batch_size, self.kernels)
        self.all_rows = self._streams.all_rows
        self.users = np.zeros(batch_size, dtype=np.intp)
        self.steps = np.zeros(batch_size, dtype=np.intp)
        self.moods = np.zeros((batch_size, 2))
        self.memory = Memory(batch_size, len(world.catalog), kernels=self.kernels)
        # Its state is per slot: engines that share a world keep their own.
        self.shaping = copy.copy(world.reward_shaping)
        if isinstance(self.shaping, ChurnSatisfaction):
            self.shaping.kernels = self.kernels
        check_end_reasons(self.shaping.end_reasons, world.label("reward_shaping"))
        self.interest = None if world.choice.rates_first else InterestScale(world)
        own = () if self.interest is None else (ABANDONED,)
        self.end_reasons: tuple[str, ...] = (*_BUILT_IN_END_REASONS, *self.shaping.end_reasons, *own, OUT_OF_ITEMS)
        self._without = np.zeros(batch_size, dtype=np.intp)  # slates in a row without a click
        self.slate = world.config.slate
        self._all_draws = {stage: self._streams.of(stage, self.all_rows) for stage in Stage}
        self._baselines = np.zeros((batch_size, 2))
        self._traits = np.full((batch_size, 3), 2, dtype=np.int64)
        self._shared_memory = shared_memory
        self._saved: dict[tuple[int, int], dict[str, NDArray]] = {}
        self._playing = np.zeros(batch_size, dtype=np.bool_)
        with world.blaming("reward_shaping"):
            self.shaping.start(ShapingSetting(**vars(world.setting()), batch_size=batch_size))
        config = world.config
        self.history_length = max(history_length, config.history_length)
        shown = 0 if self.interest is None else self.history_length * self.slate
        self._shown = np.full((batch_size, shown), -1, dtype=np.int64)
        self._clicked = np.zeros((batch_size, shown), dtype=np.int8)
        with world.blaming("observation"):
            self.observation_parts = world.observation.space(
                ObservationSetting(
                    **vars(world.setting()),
                    max_steps=config.max_steps,
                    history_length=self.history_length,
                    observe_consumed=config.observe_consumed,
                    chooses_first=self.interest is not None,
                    consumed_length=(
                        len(world.catalog)
                        if config.keep_memory
                        else min(len(world.catalog), config.max_steps * config.slate)
                    ),
                )
            )
            check_parts(self.observation_parts, world.label("observation"))
        self._current_part = "retrieval"
        self.rated_rows = self.all_rows[:0]
        self.rated_places: Ints | None = None
        self.choosing_rows = self.all_rows[:0]

    def user_of(self, seed: int, episode: int) -> int:
        """The user that episode ``episode`` under ``seed`` is about, as ``user_order`` says."""
        users = self.world.user_indices
        if self.world.config.user_order == "sequential":
            return int(users[episode % len(users)])
        return int(users[self._streams.once(seed, episode, Stage.USER).integers(len(users))])

    def begin(self, rows: Ints, seeds: Sequence[int], episodes: Sequence[int], users: Sequence[int]) -> None:
        """Episodes begin in the slots ``rows``; what was going on there is over.

        Args:
            rows: slots, shape ``(R,)``.
            episodes: number of each episode under its seed; with the seed it determines all its draws.
            users: index of each user in the population.
        """
        self.end(rows)
        self.users[rows] = users
        self.steps[rows] = 0
        self._baselines[rows] = self.world.population.baselines[self.users[rows]]
        self._traits[rows] = self.world.population.traits[self.users[rows]]
        self.moods[rows] = self._baselines[rows]
        self.memory.clear(rows)
        self._without[rows] = 0
        self._shown[rows], self._clicked[rows] = -1, 0
        self._streams.begin(rows, list(seeds), list(episodes))
        with self.world.blaming("reward_shaping"):
            self.shaping.begin(BeginRequest(rows=rows))
        if self.world.config.keep_memory:
            self._playing[rows] = True
            for row in rows.tolist():
                if (saved := self._saved.get(self._home(row))) is not None:
                    self.memory.restore(row, saved)

    def _home(self, row: int) -> tuple[int, int]:
        return (0 if self._shared_memory else row, int(self.users[row]))

    def end(self, rows: Ints) -> None:
        """Episodes are over in the slots ``rows``: with ``keep_memory``, what was remembered is put away."""
        if self.world.config.keep_memory:
            for row in rows[self._playing[rows]].tolist():
                self._saved[self._home(row)] = self.memory.save(row)
            self._playing[rows] = False

    def policy_draws(self, rows: Ints) -> SlotDraws:
        """Draws for a policy that acts in the slots ``rows``."""
        return self._draws(Stage.POLICY, rows)

    def _draws(self, stage: Stage, who: Ints) -> SlotDraws:
        return self._all_draws[stage] if who is self.all_rows else self._streams.of(stage, who)

    def step(self, actions: Any, rows: Ints | None = None) -> Step:
        """Recommend items to users and see what they do.

        Args:
            actions: item indices, shape ``(R, S)`` or any other of that size.
            rows: slots of the R users; None for all.

        Raises:
            ConfigurationError: an action is no item index.
            RatingError: the rater failed and ``on_failed_rating`` is ``"raise"``.
        """
        who = self.all_rows if rows is None else rows
        self.rated_rows, self.rated_places = self.all_rows[:0], None
        self.choosing_rows = self.all_rows[:0]
        actions = item_indices(actions, len(who), self.slate)
        count = self.memory.item_count
        if self.kernels is not None:
            outside = self.kernels.outside(actions, count)
        else:  # as unsigned, a negative number is a large one; count_nonzero takes a third of the time of any
            outside = np.count_nonzero(actions.view(np.uintp) >= count) > 0
        if outside:
            raise ConfigurationError(f"an action must lie in 0 to {count - 1}, got {actions.tolist()}")
        chance = self.world.config.p_interrupt
        if chance:
            interrupted = self._draws(Stage.LEAVE, who).uniform(1)[:, 0] < chance
            if np.count_nonzero(interrupted):
                return self._partly_interrupted(who, actions, interrupted)
        return self._answer(who, ALL_ROWS if rows is None else rows, actions)

    def _answer(self, who: Ints, rows: Rows, actions: Ints) -> Step:
        """A step of users who are not interrupted. What a component raises is worded as its plugin's fault."""
        try:
            return self._simulate(who, rows, actions)
        except Exception as error:
            pass_on(self.world.label(self._current_part), error)

    def _simulate(self, who: Ints, rows: Rows, actions: Ints) -> Step:
        world = self.world
        history = self.memory.history(rows)
        everyone = rows is ALL_ROWS
        moods = self.moods.copy() if everyone else self.moods[rows]
        users = self.users.copy() if everyone else self.users[rows]
        if self.interest is None:
            about, given = self._rate_first(who, rows, users, actions, moods, history)
        else:
            about, given = self._choose_first(self.interest, who, rows, users, actions, moods, history)
        raw, consumed = given.raw, given.consumed
        self._current_part = "perturbator"
        ratings = world.perturb(about, raw, consumed, self._draws(Stage.PERTURB, who))
        promised = self._promised(users, actions, moods, history)
        consumed_ratings, codes, times, since = self._remember(who, rows, actions, ratings, consumed)
        self._feel_surprise(rows, consumed_ratings, promised)
        steps = self.steps[rows]
        self._current_part = "reward_shaping"
        answer = self.shaping.shape_batch(
            ShapingRequest(
                rows=who,
                users=users,
                items=actions,
                consumed=consumed,
                ratings=ratings,
                times=times,
                since=since,
                steps=steps,
                traits=self._traits[rows],
                **world.items_and_users,
            ),
            self._draws(Stage.SHAPE, who),
        )
        if "reward_shaping" in world.doubted:
            check_shaped(answer, consumed, len(self.shaping.end_reasons), world.label("reward_shaping"))
            rewarded, ended = answer
            answer = np.ascontiguousarray(rewarded, dtype=np.float64), np.ascontiguousarray(ended, dtype=np.intp)
        shaped, ends = answer
        if given.clicked is not None and world.choice.patience:
            ends = np.where((ends == 0) & self._gives_up(rows, given.clicked), self._code_of(ABANDONED), ends)
        if world.config.observe_consumed and history.width + self.slate >= len(world.catalog):
            nothing_left = (self.memory.history(rows).distinct() == len(world.catalog)) & (ends == 0)
            ends = np.where(nothing_left, self._code_of(OUT_OF_ITEMS), ends)
        rewards, terminated, truncated, end_codes = self._conclude(shaped, consumed, ends, steps)
        return Step(
            rows=who,
            users=users,
            rewards=rewards,
            terminated=terminated,
            truncated=truncated,
            end_codes=end_codes,
            end_reasons=self.end_reasons,
            moods=self.moods.copy() if everyone else self.moods[rows],
            actions=actions,
            raw_ratings=raw,
            ratings=consumed_ratings,
            consumed=consumed,
            codes=codes,
            times=times,
            retrieved_items=given.retrieved_items,
            retrieved_ratings=given.retrieved_ratings,
            answers=given.answers,
            answered=self.all_rows[: len(who)],
            examined=given.examined,
            clicked=given.clicked,
        )

    def _rate_first(
        self, who: Ints, rows: Rows, users: Ints, actions: Ints, moods: Floats, history: History
    ) -> tuple[ItemsRequest, _Given]:
        """Users rate the whole slate, and the selector chooses by the ratings."""
        world = self.world
        self._current_part = "retrieval"
        request = world.rating_request(users, actions, moods, history)
        answers = self._rated(request, who, self._draws(Stage.RATE, who))
        raw = answers.values
        self._took_a_step(rows)
        self._current_part = "selector"
        consumed = world.selector.select_batch(
            SelectionRequest(
                users=users,
                items=actions,
                ratings=raw,
                times=request.times,
                moods=moods,
                history=history,
                **world.items_and_users,
            ),
            self._draws(Stage.SELECT, who),
        )
        if "selector" in world.doubted:
            check_consumed(consumed, raw, world.label("selector"))
            consumed = np.ascontiguousarray(consumed)
        failed = np.isnan(raw)
        if np.count_nonzero(failed):
            consumed = consumed & ~failed
        return request, _Given(raw, consumed, request.retrieved_items, request.retrieved_ratings, answers)

    def _choose_first(
        self,
        interest: InterestScale,
        who: Ints,
        rows: Rows,
        users: Ints,
        actions: Ints,
        moods: Floats,
        history: History,
    ) -> tuple[ItemsRequest, _Given]:
        """Users click by interest, and rate what they clicked alone."""
        world = self.world
        self._current_part = "rater"
        request = self._in_front_of(interest, users, actions, moods, history)
        self._current_part = "choice"
        self.choosing_rows = who
        chosen = world.choice.choose_batch(request, self._draws(Stage.EXAMINE, who), self._draws(Stage.CHOOSE, who))
        if "choice" in world.doubted:
            check_choices(chosen, actions, world.label("choice"))
        examined, clicked = chosen
        raw = np.full(actions.shape, np.nan)
        row, place = clicked.nonzero()
        answers, memories = None, (*actions.shape, 0)
        retrieved, rated = np.zeros(memories, dtype=np.intp), np.zeros(memories)
        if len(row):
            self._current_part = "retrieval"
            slots = who[row]
            requested = world.rating_request(
                users[row], actions[clicked][:, None], moods[row], self.memory.history(slots)
            )
            self.rated_places = place
            answered = self._rated(requested, slots, PairDraws(self._streams, Stage.RATE, slots))
            raw[clicked] = answered.values[:, 0]
            memories = (*actions.shape, requested.retrieved_items.shape[2])
            retrieved, rated = np.zeros(memories, dtype=np.intp), np.full(memories, np.nan)
            retrieved[clicked], rated[clicked] = requested.retrieved_items[:, 0], requested.retrieved_ratings[:, 0]
            answers = _spread(answered, clicked)
        self._took_a_step(rows)
        self._show(who, actions, clicked)
        return request, _Given(raw, clicked & ~np.isnan(raw), retrieved, rated, answers, examined, clicked)

    def _in_front_of(
        self, interest: InterestScale, users: Ints, items: Ints, moods: Floats, history: History
    ) -> ChoiceRequest:
        """What a choice model is handed of users in front of items."""
        if self.world.choice.asks_llm:
            wanted, spread = np.zeros(items.shape), np.ones(len(users))
        else:
            wanted, spread = interest.of(users, items, moods, history)
        return ChoiceRequest(
            users=users,
            items=items,
            moods=moods,
            interest=wanted,
            spread=spread,
            times=history.times_before(items),
            history=history,
            catalog=self.world.catalog,
            population=self.world.population,
        )

    def attraction(self, rows: Ints, items: Ints) -> Floats:
        """How probable a click of the users in the slots ``rows`` on items is that they examine, shape ``(R, C)``.

        1 each where the whole slate is rated first. ``items`` are indices, shape ``(R, C)``.
        """
        if self.interest is None:
            return np.ones(items.shape)
        with self.world.blaming("choice"):
            about = (self.users[rows], items, self.moods[rows], self.memory.history(rows))
            return self.world.choice.attraction(self._in_front_of(self.interest, *about))

    def _rated(self, request: RatingRequest, slots: Ints, draws: Draws) -> Ratings:
        """What the rater answers; a RatingError where it failed and failed ratings raise."""
        world = self.world
        self._current_part = "rater"
        self.rated_rows = slots
        answers = world.rate(request, draws)
        if world.config.on_failed_rating == "raise":
            failed = np.isnan(answers.values)
            if np.count_nonzero(failed):
                row, place = (int(index) for index in np.argwhere(failed)[0])
                raise RatingError(
                    f"no rating by {world.population.users[request.users[row]].name!r} of "
                    f"{world.catalog.titles[request.items[row, place]]!r}: "
                    f"{answers.reason(row, place) or 'the rater failed'}"
                )
        return answers

    def _took_a_step(self, rows: Rows) -> None:
        """Called after the rating: a step that fails is none."""
        if rows is ALL_ROWS:
            self.steps += 1
        else:
            self.steps[rows] += 1

    def _show(self, who: Ints, actions: Ints, clicked: Flags) -> None:
        """Put a slate before those that were shown earlier."""
        for recorded, new in ((self._shown, actions), (self._clicked, clicked)):
            recorded[who] = np.concatenate([new, recorded[who]], axis=1)[:, : recorded.shape[1]]

    def _gives_up(self, rows: Rows, clicked: Flags) -> Flags:
        """Who has met as many slates in a row without a click as they are patient, shape ``(R,)``."""
        without = (self._without[rows] + 1) * ~clicked.any(axis=1)
        self._without[rows] = without
        return without >= np.ceil(self.world.choice.patience * _PATIENCE[self._traits[rows][:, 0]])

    def _code_of(self, end_reason: str) -> int:
        """The code of an end reason of the engine beside those of the reward shaping."""
        return self.end_reasons.index(end_reason) - MAX_STEPS

    def _conclude(self, shaped: Floats, consumed: Flags, ends: Ints, steps: Ints) -> tuple[Floats, Flags, Flags, Ints]:
        """Rewards, who left, who was cut off, and the codes of why, each of shape ``(R,)``."""
        max_steps = self.world.config.max_steps
        if self.kernels is not None:
            return self.kernels.conclude(shaped, consumed, ends, steps, max_steps, MAX_STEPS)
        # A running sum adds from the first place on, as a loop does.
        rewards = np.where(consumed, shaped, 0.0).cumsum(axis=1)[:, -1]
        terminated, late = ends > 0, steps >= max_steps
        truncated = late > terminated  # and not gone already
        return rewards, terminated, truncated, ends + MAX_STEPS * (terminated | late)

    def replay(
        self, who: Ints, actions: Ints, ratings: Floats, consumed: Flags, clicked: Flags | None = None
    ) -> Floats:
        """Live a recorded step again: what was consumed is remembered and moves the mood; the rater is not called.

        Args:
            who: slots of the R users.
            actions: item indices, shape ``(R, S)``.
            ratings: ratings after perturbation, NaN where not consumed, shape ``(R, S)``.
            consumed: shape ``(R, S)``.
            clicked: shape ``(R, S)``; None where the whole slate is rated first.

        Returns:
            The moods after it, shape ``(R, 2)``.
        """
        promised = self._promised(self.users[who], actions, self.moods[who], self.memory.history(who))
        recorded, *_ = self._remember(who, who, actions, ratings, consumed)
        self._feel_surprise(who, recorded, promised)
        if clicked is not None:
            self._show(who, actions, clicked)
        self.steps[who] += 1
        return self.moods[who]

    def _remember(
        self, who: Ints, rows: Rows, actions: Ints, ratings: Floats, consumed: Flags
    ) -> tuple[Floats, Ints, Ints, Ints]:
        """Tag what was consumed, append it to the memories, and move the moods.

        Returns:
            The ratings of what was consumed, NaN for the rest, their tags, how often each item has been consumed, and
            how many interactions ago before, each of shape ``(R, S)``.
        """
        self._current_part = "emotion_model"
        model, memory = self.world.emotion_model, self.memory
        if self.kernels is not None and type(model) is ValenceArousal:
            memory.make_room(self.slate)
            return self.kernels.remember(
                who, actions, ratings, consumed, *model.constants, self.moods, self._baselines, memory.items,
                memory.ratings, memory.codes, memory.times, memory.latest, memory.last_codes, memory.lengths,
            )  # fmt: skip
        everything = np.count_nonzero(consumed) == consumed.size
        recorded = ratings if everything else np.where(consumed, ratings, np.nan)
        codes = self.world.tag(self.users[rows].copy(), actions, recorded, self.moods[rows].copy())
        if self.slate == 1 and everything:
            times, since = memory.append(rows, actions[:, 0], recorded[:, 0], codes[:, 0])
            self._feel(who, rows, actions[:, 0], recorded[:, 0], codes[:, 0])
            return recorded, codes, times[:, None], since[:, None]
        all_times = np.zeros(actions.shape, dtype=np.intp)
        all_since = np.zeros(actions.shape, dtype=np.intp)
        order = consumed.cumsum(axis=1)
        for number in range(1, int(order[:, -1].max(initial=0)) + 1):
            chosen = (consumed & (order == number)).nonzero()  # what each user consumed as the first, the second, ...
            slots = who[chosen[0]]
            all_times[chosen], all_since[chosen] = memory.append(
                slots, actions[chosen], recorded[chosen], codes[chosen]
            )
            self._feel(slots, slots, actions[chosen], recorded[chosen], codes[chosen])
        return recorded, codes, all_times, all_since

    def _promised(self, users: Ints, actions: Ints, moods: Floats, history: History) -> Floats | None:
        """The ratings that users were promised by their interest, shape ``(R, S)``; None where moods ignore them."""
        if self.interest is None or not self.world.config.mood.surprise:
            return None
        self._current_part = "rater"
        interest, _ = self.interest.of(users, actions, moods, history)
        return self.interest.promised(users, actions, moods, history, interest)

    def _feel_surprise(self, rows: Rows, ratings: Floats, promised: Floats | None) -> None:
        """Move the moods by how far ratings are from what was promised; NaN is none. All have the shape ``(R, S)``."""
        if promised is None:
            return
        surprise = np.where(np.isnan(ratings), 0.0, ratings - promised).cumsum(axis=1)[:, -1]
        shift = self.world.config.mood.surprise / self.world.domain.scale.span * surprise
        self.moods[rows, 0] = np.clip(self.moods[rows, 0] + shift, -1.0, 1.0)

    def _feel(self, who: Ints, rows: Rows, items: Ints, ratings: Floats, codes: Ints) -> None:
        """Move the moods of the slots ``who`` after one consumed item each."""
        world, moods = self.world, self.moods[rows].copy()
        after = world.emotion_model.feel_batch(
            MoodRequest(
                users=self.users[rows].copy(),
                items=items,
                ratings=ratings,
                codes=codes,
                moods=moods,
                baselines=self._baselines[rows],
                **world.items_and_users,
            ),
            self._draws(Stage.FEEL, who),
        )
        if "emotion_model" in world.doubted:
            check_moods(after, moods, world.label("emotion_model"))
        self.moods[rows] = after

    def _partly_interrupted(self, who: Ints, actions: Ints, interrupted: Flags) -> Step:
        """A step in which some users are called away before they rate anything."""
        stay = np.flatnonzero(~interrupted)
        step = self._answer(who[stay], who[stay], actions[stay]) if len(stay) else None
        self.steps[who[interrupted]] += 1
        count, memories = len(who), 0 if step is None else step.retrieved_items.shape[2]
        slate = (count, self.slate)
        whole = Step(
            rows=who,
            users=self.users[who],
            rewards=np.zeros(count),
            terminated=np.ones(count, dtype=np.bool_),
            truncated=np.zeros(count, dtype=np.bool_),
            end_codes=np.full(count, INTERRUPTED),
            end_reasons=self.end_reasons,
            moods=self.moods[who],
            actions=actions,
            raw_ratings=np.full(slate, np.nan),
            ratings=np.full(slate, np.nan),
            consumed=np.zeros(slate, dtype=np.bool_),
            codes=np.full(slate, NEUTRAL),
            times=np.zeros(slate, dtype=np.intp),
            retrieved_items=np.zeros((*slate, memories), dtype=np.intp),
            retrieved_ratings=np.full((*slate, memories), np.nan),
            answers=None if step is None else step.answers,
            answered=np.full(count, -1),
        )
        by_row: tuple[str, ...] = _BY_ROW
        if self.interest is not None:
            whole.examined, whole.clicked = np.zeros(slate, dtype=np.bool_), np.zeros(slate, dtype=np.bool_)
            self._show(who[interrupted], actions[interrupted], whole.clicked[interrupted])
            by_row = (*by_row, "examined", "clicked")
        if step is not None:
            for name in by_row:
                getattr(whole, name)[stay] = getattr(step, name)
        return whole

    def observe(self, rows: Ints | None = None, keys: Collection[str] | None = None) -> Observations:
        """What a recommender sees of R users, as the world's observation model shows them, in new arrays.

        Args:
            rows: slots; None for all.
            keys: the parts that are wanted; None for all.
        """
        wanted = self.observation_parts.keys() if keys is None else keys
        world = self.world
        users, steps, moods = self.users, self.steps, self.moods
        request = ObservationRequest(
            users=users.copy() if rows is None else users[rows],
            steps=steps.copy() if rows is None else steps[rows],
            moods=moods.copy() if rows is None else moods[rows],
            history=self.memory.history(ALL_ROWS if rows is None else rows),
            shown=self._shown.copy() if rows is None else self._shown[rows],
            clicked=self._clicked.copy() if rows is None else self._clicked[rows],
            parts=wanted,
            **world.items_and_users,
        )
        if "observation" not in world.doubted:
            seen = world.observation.observe_batch(request)
        else:
            with world.blaming("observation"):
                seen = world.observation.observe_batch(request)
            parts = {part: self.observation_parts[part] for part in wanted}
            check_observed(seen, parts, len(request.users), world.label("observation"))
        return seen if len(seen) == len(wanted) else {part: seen[part] for part in wanted}


def item_indices(actions: Any, users: int, slate: int) -> Ints:
    """Actions as item indices, shape ``(users, slate)``; a ConfigurationError where they are none, or not as many."""
    try:
        given = np.asarray(actions)
        if given.dtype.kind not in "iu":
            raise ValueError
    except ValueError as error:
        raise ConfigurationError(f"an action must be an item index, got {actions!r}") from error
    if given.size != users * slate:
        raise ConfigurationError(f"expected {users * slate} item indices, got {given.size}: {actions!r}")
    return np.ascontiguousarray(given, dtype=np.intp).reshape(users, slate)
