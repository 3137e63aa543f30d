"""RaterConformance: holds a rater to its contract."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import SkipTest

import numpy as np

from emosim_core.components.base import Rater, RatingRequest, Ratings
from emosim_core.errors import RatingError
from emosim_core.model import Population, User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.simulation.checks import check_ratings
from emosim_core.simulation.streams import Stage
from emosim_core.testing.batch import BatchConformance
from emosim_core.testing.conformance import no_error
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import SmallWorld, draws, small_world

_USERS, _SLATE = 12, 2

_MOST_BY_ACTIVITY = 0.5
"""Points of 10 by which raising everybody's activity may move the mean rating (EmoSim-RL)."""


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


def with_activity(user: User, level: int) -> User:
    """The same user with another activity."""
    return user.model_copy(update={"activity": level})


def request(
    world: SmallWorld, who: Sequence[int] | None = None, slate: int = _SLATE, memories: int = 3
) -> RatingRequest:
    """What a rater is told of ``who`` of :data:`_USERS` users, all if None, who look at a slate of items each.

    A user is told the same whoever else is there. For each item so many ``memories`` are retrieved.
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
