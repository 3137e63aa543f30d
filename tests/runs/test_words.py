"""Words for what a run holds: counts, costs, users and moods, as they are printed."""

from __future__ import annotations

from typing import Any

import pytest

from emosim_core.model import User
from emosim_core.runs.words import (
    END_REASONS,
    answer_warnings,
    decimal,
    mood_words,
    on_scale,
    signed,
    usage_rows,
    user_lines,
    users_of,
    who_answers,
    with_article,
)


def test_a_sentence_says_who_rates_and_which_users() -> None:
    assert who_answers("rule_based (no language model)") == "Rater: rule_based (no language model)."
    assert (with_article("ablation"), with_article("training")) == ("an ablation", "a training")
    assert (users_of("all"), users_of("test")) == ("users", "test users")


@pytest.mark.parametrize(
    ("value", "decimals", "shown"), [(0.04, 1, "+0.0"), (-0.04, 1, "+0.0"), (-0.06, 1, "-0.1"), (12.345, 2, "+12.35")]
)
def test_a_number_has_a_sign_and_what_is_shown_as_zero_a_plus(value: float, decimals: int, shown: str) -> None:
    assert signed(value, decimals) == shown
    assert decimal(value, decimals, sign=True) == shown


def test_a_number_that_is_not_there_is_none() -> None:
    assert (decimal(None, 2), decimal(-1.239, 2), decimal(3.0, 0)) == ("none", "-1.24", "3")
    assert mood_words(0.0, 0.5).endswith("(valence +0.00, arousal 0.50)")


@pytest.mark.parametrize(
    ("scale", "words"), [("1-10", "of 10"), ("0.5-5", "of 5"), ("-10-10", "on -10 to 10"), ("-10--1", "on -10 to -1")]
)
def test_a_rating_is_of_the_best_one_or_on_a_scale_that_begins_below_zero(scale: str, words: str) -> None:
    assert on_scale(scale) == words


def test_end_reasons_have_room_in_a_line_of_eighty_columns() -> None:
    assert max(map(len, END_REASONS.values())) <= 19


USAGE: dict[str, Any] = {
    "requests": 1200, "calls": 1100, "cached": 80, "shared": 20, "prompt_tokens": 50_000, "cached_tokens": 4_000,
    "completion_tokens": 7_000, "reasoning_tokens": 100, "cost": 0.0123456, "currency": "USD",
}  # fmt: skip


def test_usage_is_three_rows_with_counts_that_are_missing_as_zero() -> None:
    assert usage_rows(USAGE) == [
        ("calls", "1,100 for 1,200 requests (80 cached answers, 20 shared)"),
        ("tokens", "50,000 in (4,000 from the service's cache), 7,000 out (100 of them reasoning)"),
        ("cost", "0.012346 USD"),
    ]
    assert usage_rows({})[0] == ("calls", "0 for 0 requests (0 cached answers, 0 shared)")


@pytest.mark.parametrize(
    ("more", "row", "end"),
    [
        ({"retried": 3}, 0, "shared); 3 of them again, 0 requests without an answer"),
        ({"failed": 2}, 0, "shared); 0 of them again, 2 requests without an answer"),
        ({"unknown_usage": 1}, 1, "reasoning); tokens of 1 answer is unknown"),
        ({"unknown_usage": 2}, 1, "reasoning); tokens of 2 answers are unknown"),
        ({"unknown_usage": 2}, 2, "USD, at most, as tokens are unknown"),
        ({"price_as_of": "2026-01-01"}, 2, "USD, at the prices of 2026-01-01"),
        ({"cost": None}, 2, "not known: no price is known for this model"),
        ({"cost": 0.5, "currency": None}, 2, "0.500000"),
        ({"cost": 0, "currency": None}, 2, "none"),
    ],
)
def test_usage_says_what_is_not_as_usual(more: dict[str, Any], row: int, end: str) -> None:
    assert usage_rows({**USAGE, **more})[row][1].endswith(end)


def test_a_user_is_described_by_what_is_known() -> None:
    user = User(id="u", name="Ann", age=40, job="baker", hobby="chess", liked=("drama",), baseline_valence=0.25)
    lines = user_lines(user)
    assert lines[0] == "Ann (40, baker, hobby: chess)"
    assert lines[1].startswith("Character: ")
    assert "(activity 2)" in lines[1]
    assert lines[2] == "Likes drama; dislikes nothing."
    assert lines[3].startswith("Mood at the start: ")
    assert "valence +0.25" in lines[3]
    described = user_lines(User(id="u", name="Ann", age=40, job="baker", description="Bakes.", disliked=("war",)))
    assert described[0] == "Ann (40, baker)"
    assert described[1] == "Bakes."
    assert described[3] == "Likes nothing in particular; dislikes war."
    assert len(user_lines(User(id="u", name="Ann", age=40, job="baker"))) == 3
    assert user_lines(User(id="u", name="Viewer 37"))[0] == "Viewer 37"


@pytest.mark.parametrize(("unanswered", "words"), [(5, "had no answer"), (0, "answers could not be used")])
def test_a_run_of_failed_ratings_says_whether_there_were_answers(unanswered: int, words: str) -> None:
    summary = {"uses_llm": True, "rating_counts": {"1": 2}, "failed_ratings": 5, "usage": {"failed": unanswered}}
    (warning,) = answer_warnings(summary)
    assert warning.startswith("5 of 7 ratings failed: most ")
    assert words in warning
