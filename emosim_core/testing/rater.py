"""RaterConformance: holds a rater to its contract."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import SkipTest

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Rater, RatingRequest, Ratings
from emosim_core.errors import RatingError
from emosim_core.model import Population, User
from emosim_core.simulation.streams import Stage
from emosim_core.testing.conformance import ComponentConformance, no_error, untouched
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import SmallWorld, columns, draws, small_world

_USERS, _SLATE = 12, 2

_MOST_BY_ACTIVITY = 0.5
"""Points of 10 by which raising everybody's activity may move the mean rating (EmoSim-RL)."""


class RaterConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "rater"

    def interface(self) -> type:
        return Rater

    def made(self, world: SmallWorld) -> Rater:
        """A new rater, prepared for a world."""
        rater: Rater = self.make()
        with no_error("rater-prepares", f"prepare() of {self.subject}"):
            rater.prepare(world.setting())
        return rater

    def test_it_answers_levels_of_the_scale_or_fails(self) -> None:
        for world in self.worlds():
            for slate, memories in ((_SLATE, 3), (1, 3), (1, 0)):
                situation = request(world, slate=slate, memories=memories)
                values = self._rate(self.made(world), situation, np.arange(_USERS)).values
                wrong = [v for v in values[~np.isnan(values)].tolist() if not world.scale.contains(v)]
                hold("rater-scale", not wrong, f"{wrong[:1]} on the scale {world.scale}.")

    def test_every_reason_is_text(self) -> None:
        for world in self.worlds():
            answer = self._rate(self.made(world), request(world), np.arange(_USERS))
            for row in range(_USERS):
                for place in range(_SLATE):
                    with no_error("rater-reason", f"reason({row}, {place}) of {self.subject}"):
                        reason = answer.reason(row, place)
                    hold("rater-reason", isinstance(reason, str), f"a {type(reason).__name__}.")

    def test_a_user_rates_the_same_alone_as_among_others(self) -> None:
        for world in self.worlds():
            together = self._rate(self.made(world), request(world), np.arange(_USERS)).values
            rater = self.made(world)
            for user in range(0, _USERS, 5):
                alone = self._rate(rater, request(world, [user]), np.array([user])).values
                same = np.array_equal(alone[0], together[user], equal_nan=True)
                hold("rater-alone", same, f"user {user} rated {alone[0]} alone, {together[user]} with others.")

    def test_it_repeats_itself(self) -> None:
        for world in self.worlds():
            rater, everyone = self.made(world), np.arange(_USERS)
            first, again = (self._rate(rater, request(world), everyone).values for _ in range(2))
            anew = self._rate(self.made(world), request(world), everyone).values
            for other in (again, anew):
                hold("rater-repeats", np.array_equal(first, other, equal_nan=True), "other ratings the second time.")

    def test_it_rates_the_same_when_it_was_pickled(self) -> None:
        self._installed()
        for world in self.worlds():
            rater, everyone = self.made(world), np.arange(_USERS)
            other = self.unpickled(rater)
            one, same = (self._rate(each, request(world), everyone).values for each in (rater, other))
            hold("plugin-pickles", np.array_equal(one, same, equal_nan=True), "other ratings after pickling.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            situation = request(world)
            names = ("users", "items", "retrieved", "retrieved_items", "retrieved_ratings", "times", "moods")
            given = {f"the array {name}": getattr(situation, name) for name in names}
            with untouched("rater-reads", given | columns(situation.history) | world.arrays()):
                rater = self.made(world)
                answer = self._rate(rater, situation, np.arange(_USERS))
                with no_error("rater-reason", f"reason(0, 0) of {self.subject}"):
                    answer.reason(0, 0)

    def test_it_can_be_prepared_for_other_items_and_users(self) -> None:
        if self.domain is not None:
            raise SkipTest("it is bound to one domain")
        before = small_world(items=5)
        rater = self.made(before)
        self._rate(rater, request(before), np.arange(_USERS))
        for world in self.worlds():
            with no_error("rater-prepares", f"prepare() of {self.subject}"):
                rater.prepare(world.setting())
            values = self._rate(rater, request(world), np.arange(_USERS)).values
            fresh = self._rate(self.made(world), request(world), np.arange(_USERS)).values
            same = np.array_equal(values, fresh, equal_nan=True)
            hold("rater-prepares", same, "ratings that still depend on the items and users before.")

    def test_activity_moves_the_mean_rating_by_at_most_half_a_point(self) -> None:
        for world in self.worlds():
            means = []
            for level in (1, 3):
                users = [with_activity(user, level) for user in world.population.users]
                other = SmallWorld(world.catalog, Population(users), world.scale, world.words)
                values = self._rate(self.made(other), request(other), np.arange(_USERS)).values
                means.append(float(np.nanmean(values)) if not np.isnan(values).all() else np.nan)
            moved = abs(means[1] - means[0]) * 9.0 / world.scale.span
            hold("rater-activity", not moved > _MOST_BY_ACTIVITY, f"it moved by {moved:.2f} of 10.")

    def _rate(self, rater: Rater, situation: RatingRequest, users: NDArray[np.intp]) -> Ratings:
        with no_error("rater-shape", self.subject, {RatingError: "rater-scale"}):  # what the single form found
            answer = rater.rate_batch(situation, draws(users, Stage.RATE))
        hold("rater-shape", isinstance(answer, Ratings), f"a {type(answer).__name__}.")
        values = answer.values
        shaped = isinstance(values, np.ndarray) and values.shape == situation.items.shape and values.dtype.kind == "f"
        detail = f"{values.dtype} of the shape {values.shape}" if isinstance(values, np.ndarray) else f"{type(values)}"
        hold("rater-shape", shaped, f"{detail} for items of the shape {situation.items.shape}.")
        return answer


def with_activity(user: User, level: int) -> User:
    """The same user with another activity."""
    return user.model_copy(update={"activity": level})


def request(
    world: SmallWorld, who: Sequence[int] | None = None, slate: int = _SLATE, memories: int = 3
) -> RatingRequest:
    """What a rater is told of some of :data:`_USERS` users; a user is told the same whoever else is there.

    Args:
        world: the items and users.
        who: which of the users, all of them if None.
        slate: how many items each looks at.
        memories: how many interactions are retrieved for each item.
    """
    rows = np.arange(_USERS) if who is None else np.asarray(who)
    rng = np.random.default_rng(2)
    memory = world.remembered(_USERS)
    users = rng.integers(0, len(world.population), _USERS)[rows]
    items = rng.integers(0, len(world.catalog), (_USERS, slate))[rows]
    moods = np.stack([rng.uniform(-1, 1, _USERS), rng.uniform(0, 1, _USERS)], axis=1)[rows]
    history = memory.history() if who is None else memory.history(rows)
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
        catalog=world.catalog,
        population=world.population,
        scale=world.scale,
        words=world.words,
    )
