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
    rating_shares,
    signed,
    summary_rows,
    usage_rows,
    user_lines,
    users_of,
    warnings_of_answers,
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


def answered(counts: dict[str, int], failed: int = 0, **usage: float) -> list[str]:
    """The warnings about answers of a language model."""
    return warnings_of_answers(counts, failed, usage)


def test_equal_ratings_are_warned_of_from_twenty_on_of_which_nineteen_are_equal() -> None:
    assert answered({"1": 0, "2": 19}) == []
    assert answered({"1": 2, "2": 18}) == []
    (warning,) = answered({"1": 1, "2": 19})
    assert warning.startswith("19 of 20 ratings are 2: this model hardly tells users and items apart.")
    rules = {"uses_llm": False, "rating_counts": {"1": 0, "2": 20}, "failed_ratings": 0, "usage": None}
    assert answer_warnings(rules) == []
    assert len(answer_warnings({**rules, "uses_llm": True})) == 1


def test_means_of_probabilities_that_hardly_differ_are_warned_of_whatever_was_drawn_by_them() -> None:
    drawn = {"1": 10, "5": 10, "9": 10}

    def means(*values: float) -> list[str]:
        squares = sum(value * value for value in values)
        return answered(drawn, read_probabilities=len(values), expected_sum=sum(values), expected_squares=squares)

    (warning,) = means(*[4.7, 5.3] * 10)
    assert "of 20 ratings differ by only 0.30 points (standard deviation)" in warning
    assert means(*[4.5, 5.5] * 10) == []  # 0.05 of 8 points is 0.4
    assert means(*[4.7, 5.3] * 9) == []
    assert answered(drawn) == []


def test_answers_that_failed_were_cut_or_could_not_be_read_are_counted() -> None:
    assert answered({"1": 5, "2": 5}, failed=10) == []
    (failed,) = answered({"1": 5, "2": 5}, failed=11)
    assert failed.startswith("11 of 21 ratings failed: most answers could not be used.")
    (failed,) = warnings_of_answers({"1": 5, "2": 5}, 12, {"failed": 6})
    assert "most answers could not be used" in failed
    (failed,) = warnings_of_answers({"1": 5, "2": 5}, 12, {"failed": 7})
    assert failed.startswith("12 of 22 ratings failed: most requests had no answer")
    assert answered({"1": 5, "2": 5}, unread_answers=1) == [
        "1 answer could not be read, and the model was called again."
    ]
    assert len(answered({"1": 5, "2": 5}, failed=11, unread_answers=30)) == 1  # said already
    (one,), (two,) = answered({"1": 9}, cut_answers=1), answered({"1": 9}, cut_answers=2)
    assert one.startswith("1 answer was cut off at the limit of tokens")
    assert two.startswith("2 answers were cut off")


def test_a_place_of_a_list_that_is_chosen_too_often_is_named() -> None:
    def choices(*counts: int) -> list[str]:
        return answered({"1": 5}, **{f"chosen_{n}_of_{len(counts)}": count for n, count in enumerate(counts, 1)})

    # An even share of two is a half; with 100 choices, three and a half standard errors are 0.175.
    assert choices(67, 33) == []
    assert choices(33, 67) == []
    (warning,) = choices(32, 68)
    assert warning.startswith("Of 100 choices from lists in random order, 68% are the item at place 2 of 2")
    assert choices(19, 0) == []
    assert len(choices(20, 0)) == 1
    assert choices(500) == []  # a list of one item is no choice
    longest = {"chosen_1_of_3": 30, "chosen_2_of_3": 30, "chosen_3_of_3": 30, "chosen_1_of_2": 50}
    assert answered({"1": 5}, **longest) == []  # the length that was met most decides


SUMMARY: dict[str, Any] = {
    "answered_by": "rule_based (no language model)", "uses_llm": False, "scale": "1-10", "episodes": 40, "users": 1,
    "steps": 1200, "mean_rating": 6.254, "share_liked": 0.4567, "failed_ratings": 0, "usage": None,
    "rating_counts": {"1": 1, "2": 3}, "mean_reward": 12.375, "end_reasons": {"max_steps": 30, "by_plugin": 10},
    "episode_length": {"mean": 30.04, "median": 29.5, "longest": 50},
    "mood_at_end": {"valence": -0.254, "arousal": 0.5},
    "most_liked": [{"title": "A\nfilm", "mean_rating": 9.5, "ratings": 1}], "least_liked": [],
    "steps_per_second": 12_345,
}  # fmt: skip


def test_a_summary_is_rows_of_what_there_is() -> None:
    rows = dict(summary_rows(SUMMARY))
    assert list(rows) == [
        "rater", "episodes", "mean rating", "share liked", "mean reward", "episode length", "end reasons",
        "mood at the end", "most liked", "speed",
    ]  # fmt: skip
    assert rows["rater"] == "rule_based (no language model)"
    assert rows["episodes"] == "40, with 1 different user; 1,200 steps"
    assert rows["mean rating"] == "6.25 of 10"
    assert rows["share liked"] == "45.7%"
    assert rows["mean reward"] == "12.38 per episode"
    assert rows["episode length"] == "30.0 steps on average, median 29.5, longest 50"
    assert rows["end reasons"] == " 75.0%  stayed to the end\n 25.0%  by_plugin"
    assert rows["mood at the end"].startswith("valence -0.25, arousal 0.50: ")
    assert rows["most liked"] == " 9.50  A\\nfilm (1 rating)"
    assert rows["speed"] == "12,345 steps/s, written to disk included"


def test_a_summary_has_rows_for_models_clicks_failures_and_recommenders_where_there_were_such() -> None:
    places = [{"clicked": 1, "recommended": 4}] * 12
    clicks = {"click_rate": 0.25, "with_click": 3, "slates": 4, "places": places}
    more = {
        "uses_llm": True, "usage": USAGE, "failed_ratings": 3, "policy_counts": {"short_lists": 1204, "others": 2},
        "raters": {"llm": {"users": 1500}, "rule_based": {"users": 7}}, "clicks": clicks,
    }  # fmt: skip
    rows = dict(summary_rows({**SUMMARY, **more}))
    assert rows["users of"] == "llm 1,500, rule_based 7"
    assert rows["ratings"] == "1 25%, 2 75%"
    assert rows["clicks"] == "25.0% of recommended items, in 75.0% of slates"
    assert rows["by place"] == ", ".join(["25%"] * 12)
    assert rows["failed ratings"] == "3"
    assert rows["recommender"] == "1,204 short lists, 2 others"
    assert rows["cost"] == "0.012346 USD"
    longer = {**clicks, "places": [*places, {"clicked": 0, "recommended": 4}]}
    assert dict(summary_rows({**SUMMARY, "clicks": longer}))["by place"] == ", ".join(["25%"] * 12) + ", ..."
    assert "clicks" not in dict(summary_rows({**SUMMARY, "clicks": {**clicks, "click_rate": None}}))
    nothing = {**SUMMARY, "episodes": 0, "mean_rating": None, "steps_per_second": None, "most_liked": []}
    assert [name for name, _ in summary_rows(nothing)] == ["rater", "episodes"]


def test_shares_of_levels_are_of_all_ratings_and_none_without_any() -> None:
    assert rating_shares({"1": 1, "2": 3, "3": 0}) == "1 25%, 2 75%, 3 0%"
    assert rating_shares({"1": 0, "2": 0}) == "none"


def test_ratings_that_were_read_by_probabilities_come_first() -> None:
    assert usage_rows({**USAGE, "read_probabilities": 7})[0] == (
        "read", "7 ratings by the probabilities that the model returned",
    )  # fmt: skip
