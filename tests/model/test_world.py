"""Scales, emotions, moods, memories and catalogs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emosim_core.errors import ConfigurationError
from emosim_core.model import (
    Catalog,
    Emotion,
    EmotionThresholds,
    Item,
    Memory,
    MoodOptions,
    Population,
    RatingScale,
    User,
)
from emosim_core.model import catalog as catalog_module

TEN, FIVE, DIGIT = RatingScale(low=1, high=10), RatingScale(low=1, high=5), RatingScale(low=0, high=9)


def test_tags_on_one_to_ten_are_those_of_the_definition() -> None:
    emotion, ratings = Emotion(TEN), np.arange(1, 11)
    assert emotion.valence(ratings).tolist() == [-1, -1, -1, -1, 0, 0, 1, 1, 1, 1]
    assert emotion.arousal(ratings).tolist() == [0, 0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 1]


def test_tags_on_one_to_five_are_carried_by_relative_position() -> None:
    emotion = Emotion(FIVE)
    assert emotion.valence([1, 2, 3, 4, 5]).tolist() == [-1, -1, 0, 1, 1]
    assert emotion.arousal([1, 2, 3, 4, 5]).tolist() == [0, 0.5, 0.5, 0.5, 1]


@given(
    st.tuples(st.floats(1, 9), st.floats(1, 9)).filter(lambda pair: pair[0] < pair[1]),
    st.tuples(st.floats(1, 9), st.floats(1, 9)).filter(lambda pair: pair[0] < pair[1]),
    st.lists(st.floats(1, 10), min_size=1),
)
def test_tags_follow_any_thresholds(
    valence: tuple[float, float], arousal: tuple[float, float], ratings: list[float]
) -> None:
    thresholds = EmotionThresholds(negative=valence[0], positive=valence[1], low=arousal[0], high=arousal[1])
    emotion = Emotion(TEN, thresholds)
    negative, positive, low, high = (TEN.carry(v) for v in (*valence, *arousal))
    assert emotion.valence(ratings).tolist() == [(r >= positive) - (r <= negative) for r in ratings]
    assert emotion.arousal(ratings).tolist() == [0.5 + 0.5 * ((r >= high) - (r <= low)) for r in ratings]


@given(st.lists(st.integers(1, 10), max_size=40), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_mood_stays_in_its_range(ratings: list[int], valence: float, arousal: float, gain: float) -> None:
    emotion = Emotion(TEN, mood=MoodOptions(valence_gain=gain, arousal_gain=gain))
    mood = baseline = np.array([[valence, arousal]])
    for rating in ratings:
        mood = emotion.feel(mood, baseline, emotion.code([rating]))
        assert -1 - 1e-12 <= mood[0, 0] <= 1 + 1e-12
        assert -1e-12 <= mood[0, 1] <= 1 + 1e-12


def test_half_of_a_mood_fades_in_its_half_life() -> None:
    emotion = Emotion(TEN, mood=MoodOptions(half_life=4, valence_gain=0, arousal_gain=0))
    baseline, mood = np.array([[0.2, 0.4]]), np.array([[1.0, 0.8]])
    for _ in range(4):
        mood = emotion.feel(mood, baseline, np.array([4]))
    assert mood == pytest.approx(np.array([[0.6, 0.6]]))


def test_scales_round_floor_convert_and_check() -> None:
    assert TEN.round([0.2, 5.5, 5.49, 99]).tolist() == [1, 6, 5, 10]
    assert TEN.floor([0.2, 5.99, 6.0]).tolist() == [1, 5, 6]
    assert DIGIT.convert(DIGIT.levels, TEN).tolist() == TEN.levels.tolist()
    assert TEN.convert(TEN.levels, DIGIT).tolist() == DIGIT.levels.tolist()
    assert FIVE.carry(7) == pytest.approx(1 + 4 * 6 / 9)
    assert [TEN.contains(value) for value in (0, 1, 8.5, 10)] == [False, True, False, True]
    for wrong in ({"low": 5, "high": 1}, {"low": 1, "high": 5, "step": 3}):
        with pytest.raises(ValidationError):
            RatingScale(**wrong)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(1, 10)), max_size=80))
def test_a_memory_equals_a_list_of_what_happened(events: list[tuple[int, int, int]]) -> None:
    memory, emotion = Memory(3, 5, capacity=1), Emotion(TEN)
    by_user: list[list[tuple[int, int]]] = [[], [], []]
    for user, item, rating in events:
        ratings = np.array([float(rating)])
        times, since = memory.append(np.array([user]), np.array([item]), ratings, emotion.code(ratings))
        past = [index for index, (other, _) in enumerate(by_user[user]) if other == item]
        assert times.tolist() == [len(past) + 1]
        assert since.tolist() == [len(by_user[user]) - past[-1] if past else 0]
        by_user[user].append((item, rating))
    history = memory.history()
    for user, expected in enumerate(by_user):
        assert [(one.item, int(one.rating)) for one in history.interactions(user)] == expected
        last = {item: index for index, (item, _) in enumerate(expected)}
        assert np.flatnonzero(history.latest[user]).tolist() == sorted(last.values())
        counts = [sum(item == other for other, _ in expected) for item in range(5)]
        assert memory.history(np.array([user])).times_before(np.arange(5)[None])[0].tolist() == counts
    saved = memory.save(1)
    other = Memory(3, 5, capacity=1)
    other.restore(1, saved)
    assert other.history().interactions(1) == history.interactions(1)
    memory.clear(np.array([1]))
    assert memory.history().interactions(1) == []
    assert memory.history(np.array([1])).times_before(np.arange(5)[None]).sum() == 0


def test_a_catalog_refuses_what_makes_no_sense_and_fills_what_is_unknown() -> None:
    items = [Item(id="a", title="A", categories=(" Drama", "drama"), public_rating=8), Item(id="b", title="B")]
    world = Catalog(items, TEN, np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert world.category_names == ("drama",)
    assert world.public_ratings.tolist() == [8, 8]
    assert world.has_public_rating.tolist() == [True, False]
    assert world.similarity(np.array([0, 0]), np.array([0, 1])).tolist() == pytest.approx([1, 0])
    for wrong in ([], [items[0], items[0]]):
        with pytest.raises(ConfigurationError):
            Catalog(wrong, TEN)
    with pytest.raises(ConfigurationError, match="embeddings"):
        Catalog(items, TEN, np.zeros((3, 2)))
    with pytest.raises(ConfigurationError):
        Population([])
    with pytest.raises(ValidationError):
        User(id="u", name="U", activity=4)
    with pytest.raises(ValidationError):
        Item(id="a", title="A", genre="x")


def test_a_large_catalog_makes_the_same_similarities_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    items = [Item(id=str(i), title=str(i)) for i in range(20)]
    left, right = np.arange(20)[:, None], np.arange(20)[None]
    from_matrix = Catalog(items, TEN, vectors).similarity(left, right)
    monkeypatch.setattr(catalog_module, "_FULL_MATRIX_LIMIT", 5)
    large = Catalog(items, TEN, vectors)
    assert large.similarities is None
    assert large.similarity(left, right) == pytest.approx(from_matrix, abs=1.1e-5)
