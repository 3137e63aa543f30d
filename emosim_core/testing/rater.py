"""RaterConformance and PromptStrategyConformance: hold a rater, and a way of prompting one, to their contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from unittest import SkipTest

import numpy as np

from emosim_core.components.base import Rater, RatingRequest, Ratings
from emosim_core.errors import LLMMalformedError, RatingError
from emosim_core.llm.chat import ChatAnswer, ChatRequest
from emosim_core.llm.prompts.prompt_strategy import PromptStrategy
from emosim_core.model import Population, User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.simulation.checks import check_ratings
from emosim_core.simulation.streams import Stage
from emosim_core.testing.batch import BatchConformance
from emosim_core.testing.conformance import ComponentConformance, no_error
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import SmallWorld, draws, small_world

_USERS, _SLATE = 12, 2

_MOST_BY_ACTIVITY = 0.5
"""Points of 10 by which raising everybody's activity may move the mean rating (EmoSim-RL)."""

NO_RATINGS = (
    *("", " ", "Reasoning: 1. The film is long.", "I cannot answer that.", "It is 7 or 8."),
    *("3.25", "-1", "11", "NaN", "null", "{}", "[]"),
)
"""Answers that hold no rating of any usual scale."""


class RaterConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules, num_users = "rater", "rater", _USERS
    interface, prepares = Rater, "rater-prepares"

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> RatingRequest:
        return request(world, who.tolist())

    def ask(self, component: Rater, request: RatingRequest, who: Ints) -> Ratings:
        with no_error("rater-shape", self.subject, {RatingError: "rater-scale"}):  # what the single form found
            answer = component.rate_batch(request, draws(who, Stage.RATE))
            check_ratings(answer, request.items, request.scale, self.subject)
        with no_error("rater-reason", f"reason(0, 0) of {self.subject}"):
            answer.reason(0, 0)
        return answer

    def of_user(self, answer: Ratings, row: int) -> list[Floats]:
        return [answer.values[row]]

    def test_it_answers_levels_of_the_scale_or_fails(self) -> None:
        for world in self.worlds():
            for slate, memories in ((_SLATE, 3), (1, 3), (1, 0)):
                self.ask(self.made(world), request(world, slate=slate, memories=memories), self.everyone)

    def test_every_reason_is_text(self) -> None:
        for world in self.worlds():
            answer = self.ask(self.made(world), request(world), self.everyone)
            for row in range(_USERS):
                for place in range(_SLATE):
                    with no_error("rater-reason", f"reason({row}, {place}) of {self.subject}"):
                        reason = answer.reason(row, place)
                    hold("rater-reason", isinstance(reason, str), f"a {type(reason).__name__}.")

    def test_it_rates_the_same_when_it_was_pickled(self) -> None:
        self._installed()
        for world in self.worlds():
            rater = self.made(world)
            other = self.unpickled(rater)
            one, same = (self.ask(each, request(world), self.everyone).values for each in (rater, other))
            hold("plugin-pickles", np.array_equal(one, same, equal_nan=True), "other ratings after pickling.")

    def test_it_can_be_prepared_for_other_items_and_users(self) -> None:
        if self.domain is not None:
            raise SkipTest("it is bound to one domain")
        before = small_world(items=5)
        rater = self.made(before)
        self.ask(rater, request(before), self.everyone)
        for world in self.worlds():
            with no_error("rater-prepares", f"prepare() of {self.subject}"):
                rater.prepare(world.setting())
            values = self.ask(rater, request(world), self.everyone).values
            fresh = self.ask(self.made(world), request(world), self.everyone).values
            same = np.array_equal(values, fresh, equal_nan=True)
            hold("rater-prepares", same, "ratings that still depend on the items and users before.")

    def test_activity_moves_the_mean_rating_by_at_most_half_a_point(self) -> None:
        for world in self.worlds():
            means = []
            for level in (1, 3):
                users = [with_activity(user, level) for user in world.population.users]
                other = SmallWorld(world.catalog, Population(users), world.scale, world.words)
                values = self.ask(self.made(other), request(other), self.everyone).values
                means.append(float(np.nanmean(values)) if not np.isnan(values).all() else np.nan)
            moved = abs(means[1] - means[0]) * 9.0 / world.scale.span
            hold("rater-activity", not moved > _MOST_BY_ACTIVITY, f"it moved by {moved:.2f} of 10.")


class PromptStrategyConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "prompt_strategy"
    interface = PromptStrategy

    def made(self, world: SmallWorld) -> PromptStrategy:
        """A new prompt strategy, prepared for a world."""
        prompt_strategy: PromptStrategy = self.make()
        with no_error("prompt-strategy-asks", f"prepare() of {self.subject}"):
            domain = self.domain_of(world)
            setting = replace(world.setting(), words=domain.words, domain=domain.name, examples=tuple(domain.examples))
            prompt_strategy.prepare(setting)
        return prompt_strategy

    def test_it_puts_the_same_question_again(self) -> None:
        for world in self.worlds():
            situation = request(world)
            for row in (0, 3):
                first, again = (self._ask(self.made(world), situation, row) for _ in range(2))
                hold("prompt-strategy-asks", first == again, "another request the second time.")

    def test_it_reads_a_rating_and_nothing_else(self) -> None:
        for world in self.worlds():
            prompt_strategy = self.made(world)
            chat = self._ask(prompt_strategy, request(world), 0)
            for label in chat.choices:
                with no_error("prompt-strategy-reads", f"read({label!r}) of {self.subject}"):
                    rating = prompt_strategy.read(ChatAnswer(label)).rating
                hold("prompt-strategy-reads", world.scale.contains(rating), f"{label!r} became {rating}.")
            for text in NO_RATINGS:
                if text in chat.choices:
                    continue
                try:
                    finding = f"{text!r} became {prompt_strategy.read(ChatAnswer(text)).rating}."
                except Exception as error:
                    if isinstance(error, LLMMalformedError) and str(error):
                        continue
                    finding = f"{type(error).__name__} for {text!r}, with the message {str(error)!r}."
                hold("prompt-strategy-strict", False, finding)

    def test_it_says_what_was_wrong_when_it_asks_again(self) -> None:
        for world in self.worlds():
            prompt_strategy = self.made(world)
            chat = self._ask(prompt_strategy, request(world), 0)
            with no_error("prompt-strategy-again", f"ask_again() of {self.subject}"):
                again = prompt_strategy.ask_again(chat, ChatAnswer("no rating"), "it holds no rating, says the test")
            named = isinstance(again, ChatRequest) and "it holds no rating" in again.messages[-1].content
            hold("prompt-strategy-again", named, f"{again!r}.")

    def _ask(self, prompt_strategy: PromptStrategy, situation: RatingRequest, row: int) -> ChatRequest:
        with no_error("prompt-strategy-asks", f"ask() of {self.subject}"):
            request = prompt_strategy.ask(situation, row, 0)
        hold("prompt-strategy-asks", isinstance(request, ChatRequest), f"a {type(request).__name__}.")
        return request


def with_activity(user: User, level: int) -> User:
    """The same user with another activity."""
    return user.model_copy(update={"activity": level})


def request(
    world: SmallWorld, who: Sequence[int] | None = None, slate: int = _SLATE, memories: int = 3
) -> RatingRequest:
    """The request of a rater about ``who`` of :data:`_USERS` users, all if None, who look at a slate of items each.

    A user's part is the same whoever else is there. For each item so many ``memories`` are retrieved.
    """
    rows = np.arange(_USERS) if who is None else np.asarray(who)
    rng = np.random.default_rng(2)
    history = world.histories(_USERS, rows)
    users = rng.integers(0, len(world.population), _USERS)[rows]
    items = rng.integers(0, len(world.catalog), (_USERS, slate))[rows]
    moods = np.stack([rng.uniform(-1, 1, _USERS), rng.uniform(0, 1, _USERS)], axis=1)[rows]
    newest = history.lengths[:, None] - 1 - np.arange(memories)
    positions = np.repeat(np.maximum(newest, -1)[:, None, :], slate, axis=1)
    present = positions >= 0
    past_items, past_ratings = history.at(np.maximum(positions, 0))
    return RatingRequest(
        users=users,
        items=items,
        retrieved=positions,
        retrieved_items=past_items * present,
        retrieved_ratings=np.where(present, past_ratings, np.nan),
        times=history.times_before(items),
        moods=moods,
        history=history,
        **world.items_and_users,
        words=world.words,
    )
