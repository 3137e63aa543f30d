"""Prompt scales: labels, the map to the domain's scale, and how ratings are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.llm.prompts.scales import PROMPT_SCALES, PromptScale, default_for
from emosim_core.plugins import RatingScale

TEN = RatingScale(low=1, high=10)
FIVE = RatingScale(low=1, high=5)
HALVES = RatingScale(low=0.5, high=5, step=0.5)

scales = st.sampled_from([TEN, FIVE, HALVES, RatingScale(low=-1, high=1), RatingScale(low=0, high=100, step=20)])
prompt_scales = st.sampled_from(list(PROMPT_SCALES.values()))


@pytest.mark.parametrize("name", list(PROMPT_SCALES))
def test_a_name_says_the_first_and_the_last_label(name: str) -> None:
    scale = PROMPT_SCALES[name]
    assert (scale.labels[0], scale.labels[-1]) == tuple(name.split("-"))
    assert scale.in_words is (name == "one-ten")


@pytest.mark.parametrize(
    ("scale", "name"), [(TEN, "0-9"), (HALVES, "0-9"), (FIVE, "1-5"), (RatingScale(low=0, high=1), "1-10")]
)
def test_the_default_has_a_label_for_each_level_where_there_is_one(scale: RatingScale, name: str) -> None:
    assert default_for(scale).name == name


def test_the_usual_pair_is_a_shift_by_one() -> None:
    scale = PROMPT_SCALES["0-9"]
    assert [scale.to_domain(label, TEN) for label in scale.labels] == list(range(1, 11))
    assert [scale.show(rating, TEN) for rating in range(1, 11)] == list(scale.labels)


@given(scale=scales, prompt=prompt_scales)
def test_ends_lie_on_ends_and_better_labels_are_no_worse_levels(scale: RatingScale, prompt: PromptScale) -> None:
    levels = [prompt.to_domain(label, scale) for label in prompt.labels]
    assert (levels[0], levels[-1]) == (scale.low, scale.high)
    assert levels == sorted(levels)
    assert all(scale.contains(level) for level in levels)


@given(scale=scales, prompt=prompt_scales)
def test_where_there_are_as_many_labels_as_levels_a_label_is_a_level(scale: RatingScale, prompt: PromptScale) -> None:
    if len(scale.levels) == len(prompt.labels):
        for label, level in zip(prompt.labels, scale.levels.tolist(), strict=True):
            assert prompt.to_domain(label, scale) == level
            assert prompt.to_label(level, scale) == prompt.show(level, scale) == label


@given(scale=scales, prompt=prompt_scales, share=st.floats(0, 1))
def test_a_rating_is_shown_on_the_prompts_scale_with_one_decimal_at_most(
    scale: RatingScale, prompt: PromptScale, share: float
) -> None:
    shown = prompt.show(scale.low + share * scale.span, scale)
    if shown in prompt.labels:
        return
    value = float(shown)
    assert prompt.numbers.low <= value <= prompt.numbers.high
    assert len(shown.partition(".")[2]) == 1
    assert value == pytest.approx(prompt.low + share * prompt.numbers.span, abs=0.0501)


@pytest.mark.parametrize(
    ("name", "rating", "shown"),
    [
        ("0-9", 6.83, "5.8"),
        ("0-9", 6.97, "6"),
        ("1-10", 6.83, "6.8"),
        ("one-ten", 6.83, "6.8"),
        ("one-ten", 7, "seven"),
    ],
)
def test_public_ratings(name: str, rating: float, shown: str) -> None:
    assert PROMPT_SCALES[name].show(rating, TEN) == shown


def test_an_unknown_label_is_no_rating() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        PROMPT_SCALES["0-9"].to_domain("10", TEN)
