"""Emotion: the tags of a rating, and the mood that they push."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emosim_core.model import Emotion, EmotionThresholds, MoodOptions, RatingScale
from emosim_core.model.emotion import CODE_AROUSAL, CODE_VALENCE, describe_mood

TEN, FIVE, DIGIT = RatingScale(low=1, high=10), RatingScale(low=1, high=5), RatingScale(low=0, high=9)

TABLE = {
    1: (-1, 0),
    2: (-1, 0),
    3: (-1, 0),
    4: (-1, 0.5),
    5: (0, 0.5),
    6: (0, 0.5),
    7: (1, 0.5),
    8: (1, 1),
    9: (1, 1),
    10: (1, 1),
}
"""Valence and arousal of each rating from 1 to 10, as the specification has them."""


@pytest.mark.parametrize(("rating", "tags"), TABLE.items())
def test_each_rating_from_one_to_ten_has_its_tags(rating: int, tags: tuple[float, float]) -> None:
    emotion = Emotion(TEN)
    assert (float(emotion.valence(rating)), float(emotion.arousal(rating))) == tags
    digit = Emotion(DIGIT)  # the same relative positions
    assert (float(digit.valence(rating - 1)), float(digit.arousal(rating - 1))) == tags


@pytest.mark.parametrize(("rating", "tags"), {1: (-1, 0), 2: (-1, 0.5), 3: (0, 0.5), 4: (1, 0.5), 5: (1, 1)}.items())
def test_on_one_to_five_a_five_is_positive_and_high_and_a_four_is_positive(
    rating: int, tags: tuple[float, float]
) -> None:
    emotion = Emotion(FIVE)
    assert (float(emotion.valence(rating)), float(emotion.arousal(rating))) == tags


def test_thresholds_belong_to_the_tag() -> None:
    emotion = Emotion(TEN)
    assert emotion.valence([6.999, 7, 4, 4.001]).tolist() == [0, 1, -1, 0]
    assert emotion.arousal([7.999, 8, 3, 3.001]).tolist() == [0.5, 1, 0, 0.5]


APART = st.tuples(st.floats(1, 10), st.floats(1, 10)).filter(lambda pair: pair[1] - pair[0] > 1e-6)
"""Two thresholds that are still two on a smaller scale."""


@given(st.sampled_from([TEN, FIVE, DIGIT, RatingScale(low=0.5, high=5, step=0.5)]), APART, APART)
def test_codes_hold_both_tags_under_any_thresholds(
    scale: RatingScale, valence: tuple[float, float], arousal: tuple[float, float]
) -> None:
    thresholds = EmotionThresholds(negative=valence[0], positive=valence[1], low=arousal[0], high=arousal[1])
    codes = Emotion(scale, thresholds).code(scale.levels)
    negative, positive, low, high = (scale.carry(value) for value in (*valence, *arousal))
    for rating, code in zip(scale.levels.tolist(), codes.tolist(), strict=True):
        assert CODE_VALENCE[code] == (1 if rating >= positive else -1 if rating <= negative else 0)
        assert CODE_AROUSAL[code] == (1 if rating >= high else 0 if rating <= low else 0.5)


def test_shapes_are_kept() -> None:
    ratings = np.array([[1.0, 5.0, 9.0]])
    emotion = Emotion(TEN)
    assert emotion.code(ratings).shape == emotion.valence(ratings).shape == emotion.arousal(ratings).shape == (1, 3)
    assert emotion.code(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("wrong", [{"positive": 4}, {"low": 8}, {"negative": 7}, {"positive": 11}, {"happy": 7}])
def test_thresholds_that_cross_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EmotionThresholds(**wrong)


# -------------------------------------------------------------------------------------------- moods


MOODS = st.tuples(st.floats(-1, 1), st.floats(0, 1))


@given(
    st.lists(st.integers(0, 8), max_size=60),
    MOODS,
    MOODS,
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0.01, 1e6),
)
def test_a_mood_never_leaves_its_range(
    codes: list[int],
    start: tuple[float, float],
    base: tuple[float, float],
    valence_gain: float,
    arousal_gain: float,
    half_life: float,
) -> None:
    options = MoodOptions(half_life=half_life, valence_gain=valence_gain, arousal_gain=arousal_gain)
    emotion, mood = Emotion(TEN, mood=options), np.array([start])
    for code in codes:
        mood = emotion.feel(mood, np.array([base]), np.array([code]))
        observed = mood.astype(np.float32)  # as the observation holds it
        assert -1 <= observed[0, 0] <= 1
        assert 0 <= observed[0, 1] <= 1


@given(MOODS, MOODS, st.integers(1, 10), st.floats(0, 1), st.floats(0.1, 50))
def test_a_mood_decays_to_its_baseline_and_is_then_pulled_to_the_tags(
    start: tuple[float, float], base: tuple[float, float], rating: int, gain: float, half_life: float
) -> None:
    emotion = Emotion(TEN, mood=MoodOptions(half_life=half_life, valence_gain=gain, arousal_gain=gain / 2))
    after = emotion.feel(np.array([start]), np.array([base]), emotion.code([rating]))[0]
    for axis, pull in ((0, gain), (1, gain / 2)):
        rested = base[axis] + (start[axis] - base[axis]) * 0.5 ** (1 / half_life)
        assert after[axis] == pytest.approx(rested + pull * (TABLE[rating][axis] - rested), abs=1e-12)


@pytest.mark.parametrize("half_life", [1, 5, 20])
def test_half_of_a_mood_is_gone_after_its_half_life(half_life: int) -> None:
    emotion = Emotion(TEN, mood=MoodOptions(half_life=half_life, valence_gain=0, arousal_gain=0))
    mood, base = np.array([[-0.8, 1.0], [0.9, 0.1]]), np.array([[0.2, 0.4], [0.1, 0.5]])
    for _ in range(half_life):
        mood = emotion.feel(mood, base, np.array([4, 0]))
    assert mood == pytest.approx((np.array([[-0.8, 1.0], [0.9, 0.1]]) + base) / 2)


def test_good_ratings_lift_a_mood_and_bad_ones_lower_it() -> None:
    emotion, base = Emotion(TEN), np.array([[0.0, 0.5]])
    good = bad = base
    for _ in range(10):
        good, bad = (emotion.feel(mood, base, emotion.code([rating])) for mood, rating in ((good, 10), (bad, 1)))
    assert good[0, 0] > 0.5
    assert good[0, 1] > 0.7
    assert bad == pytest.approx([-good[0, 0], 1 - good[0, 1]] * np.ones((1, 2)))


def test_feeling_does_not_change_what_it_was_given() -> None:
    emotion, mood, base = Emotion(TEN), np.array([[0.5, 0.5]]), np.array([[0.1, 0.4]])
    emotion.feel(mood, base, np.array([8]))
    assert mood.tolist() == [[0.5, 0.5]]
    assert base.tolist() == [[0.1, 0.4]]


@pytest.mark.parametrize("wrong", [{"half_life": 0}, {"valence_gain": 1.1}, {"arousal_gain": -0.1}, {"speed": 1}])
def test_a_mood_that_could_leave_its_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MoodOptions(**wrong)


def test_each_mood_has_a_word() -> None:
    words = {describe_mood(valence, arousal) for valence in (-0.8, 0, 0.8) for arousal in (0.1, 0.5, 0.9)}
    assert words == {
        "annoyed", "bored", "let down", "alert", "calm", "even-tempered", "delighted", "content", "pleased",
    }  # fmt: skip
