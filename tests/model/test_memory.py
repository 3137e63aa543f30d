"""Memory: appending, growing, clearing, saving and restoring, against a list of what happened."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from emosim_core.model import Emotion, Interaction, Memory, RatingScale

USERS, ITEMS = 3, 5
EMOTION = Emotion(RatingScale(low=1, high=10))


def add(memory: Memory, user: int, item: int, rating: float) -> tuple[int, int]:
    """One interaction; how often the item was consumed, and how long ago."""
    ratings = np.array([rating])
    times, since = memory.append(np.array([user]), np.array([item]), ratings, EMOTION.code(ratings))
    return int(times[0]), int(since[0])


def check(memory: Memory, by_user: list[list[tuple[int, float]]]) -> None:
    """All views of a memory hold what was appended."""
    history = memory.history()
    assert history.lengths.tolist() == [len(one) for one in by_user]
    assert history.width == max(len(one) for one in by_user)
    assert memory.capacity >= history.width
    for user, events in enumerate(by_user):
        expected, seen = [], dict.fromkeys(range(ITEMS), 0)
        for time, (item, rating) in enumerate(events, start=1):
            seen[item] += 1
            valence, arousal = float(EMOTION.valence(rating)), float(EMOTION.arousal(rating))
            expected.append(Interaction(item, rating, time, seen[item], valence, arousal))
        assert history.interactions(user) == expected
        assert history.single(user).interactions(0) == expected
        last = {one.item: one.time - 1 for one in expected}
        assert np.flatnonzero(history.latest[user]).tolist() == sorted(last.values())
        assert memory.history(np.array([user])).times_before(np.arange(ITEMS)[None])[0].tolist() == list(seen.values())
        length = len(events)
        assert history.items[user, :length].tolist() == [item for item, _ in events]
        assert (history.items[user, length:] == 0).all()
        assert not history.latest[user, length:].any()
        code = int(EMOTION.code(events[-1][1])) if events else 4
        assert history.last_codes[user] == code
        if events:
            positions = np.arange(length)[None, None]
            items, ratings = history.single(user).at(positions)
            assert list(zip(items[0, 0].tolist(), ratings[0, 0].tolist(), strict=True)) == events


class Remembering(RuleBasedStateMachine):
    """Any order of appending to some users, clearing, saving and restoring."""

    @initialize(capacity=st.integers(1, 4))
    def begin(self, capacity: int) -> None:
        self.memory = Memory(USERS, ITEMS, capacity)
        self.by_user: list[list[tuple[int, float]]] = [[] for _ in range(USERS)]
        self.saved: list[tuple[dict[str, np.ndarray], list[tuple[int, float]]]] = []

    @rule(
        what=st.dictionaries(
            st.integers(0, USERS - 1), st.tuples(st.integers(0, ITEMS - 1), st.integers(1, 10)), min_size=1
        ),
        repeat=st.integers(1, 6),
    )
    def append(self, what: dict[int, tuple[int, int]], repeat: int) -> None:
        for _ in range(repeat):
            who = np.array(list(what))
            items, ratings = np.array([i for i, _ in what.values()]), np.array([float(r) for _, r in what.values()])
            times, since = self.memory.append(who, items, ratings, EMOTION.code(ratings))
            for place, (user, (item, rating)) in enumerate(what.items()):
                past = [time for time, (other, _) in enumerate(self.by_user[user]) if other == item]
                assert times[place] == len(past) + 1
                assert since[place] == (len(self.by_user[user]) - past[-1] if past else 0)
                self.by_user[user].append((item, float(rating)))

    @rule(users=st.sets(st.integers(0, USERS - 1)))
    def clear(self, users: set[int]) -> None:
        self.memory.clear(np.array(sorted(users), dtype=np.intp))
        for user in users:
            self.by_user[user] = []

    @rule(user=st.integers(0, USERS - 1))
    def save(self, user: int) -> None:
        self.saved.append((self.memory.save(user), list(self.by_user[user])))

    @rule(user=st.integers(0, USERS - 1), which=st.integers(0, 9))
    def restore(self, user: int, which: int) -> None:
        if self.saved:
            saved, events = self.saved[which % len(self.saved)]
            self.memory.restore(user, saved)
            self.by_user[user] = list(events)

    @invariant()
    def holds_what_was_appended(self) -> None:
        check(self.memory, self.by_user)


TestAnyOrderOfRemembering = Remembering.TestCase


def test_a_memory_grows_by_doubling_and_loses_nothing() -> None:
    memory, by_user = Memory(USERS, ITEMS, capacity=2), [[], [], []]
    for number in range(300):
        item, rating = number % ITEMS, float(1 + number % 10)
        add(memory, 1, item, rating)
        by_user[1].append((item, rating))
    check(memory, by_user)
    assert memory.capacity == 512


def test_an_old_memory_fits_into_a_smaller_one() -> None:
    large, small = Memory(1, ITEMS), Memory(USERS, ITEMS, capacity=1)
    events = [(number % ITEMS, float(1 + number % 10)) for number in range(100)]
    for item, rating in events:
        add(large, 0, item, rating)
    small.restore(2, large.save(0))
    check(small, [[], [], events])
    assert add(small, 2, 0, 5.0) == (21, 5)
    check(small, [[], [], [*events, (0, 5.0)]])


def test_what_was_saved_does_not_change_with_the_memory() -> None:
    memory = Memory(1, ITEMS)
    add(memory, 0, 1, 5.0)
    saved = memory.save(0)
    add(memory, 0, 1, 9.0)
    memory.clear()
    memory.restore(0, saved)
    check(memory, [[(1, 5.0)]])


@given(st.lists(st.integers(0, USERS - 1), min_size=1, max_size=3, unique=True))
def test_a_view_of_some_users_is_in_their_order(rows: list[int]) -> None:
    memory = Memory(USERS, ITEMS)
    for user in range(USERS):
        for number in range(user + 1):
            add(memory, user, number, float(1 + user))
    view = memory.history(np.array(rows))
    assert len(view) == len(rows)
    assert view.lengths.tolist() == [user + 1 for user in rows]
    assert view.width == max(rows) + 1
    assert [view.interactions(r) for r in range(len(rows))] == [memory.history().interactions(user) for user in rows]
    assert view.times_before(np.zeros((len(rows), 1), dtype=int)).tolist() == [[1]] * len(rows)
    assert view.single(len(rows) - 1).lengths.tolist() == [rows[-1] + 1]
    items, ratings = view.at(np.zeros((len(rows), 1, 1), dtype=int))
    assert items.ravel().tolist() == [0] * len(rows)
    assert ratings.ravel().tolist() == [1.0 + user for user in rows]


def test_nobody_and_nothing_make_an_empty_view() -> None:
    memory = Memory(USERS, ITEMS)
    assert memory.history().items.shape == (USERS, 0)
    assert memory.history(np.array([], dtype=int)).width == 0
    assert memory.history().last_codes.tolist() == [4] * USERS


@pytest.mark.parametrize("size", [0, 2])
def test_appending_for_nobody_changes_nothing(size: int) -> None:
    memory, nothing = Memory(USERS, ITEMS), np.array([], dtype=np.intp)
    for _ in range(size):
        add(memory, 0, 1, 5.0)
    times, since = memory.append(nothing, nothing, np.array([]), nothing)
    assert times.shape == since.shape == (0,)
    check(memory, [[(1, 5.0)] * size, [], []])
