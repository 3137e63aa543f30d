"""Ratings in descriptions of people: they move to the scale of the prompt, and nothing else does."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.llm.prompts.persona_ratings import move_ratings
from emosim_core.llm.prompts.scales import PROMPT_SCALES
from emosim_core.plugins import RatingScale

TEN = RatingScale(low=1, high=10)
FIVE = RatingScale(low=1, high=5)
DIGITS, WORDS = PROMPT_SCALES["0-9"], PROMPT_SCALES["one-ten"]


@pytest.mark.parametrize(
    ("text", "digits", "words"),
    [
        ("She gives 8 to 10 to westerns.", "She gives 7 to 9 to westerns.", "She gives eight to ten to westerns."),
        ("gives films she loves 8-10", "gives films she loves 7-9", "gives films she loves eight-ten"),
        ("He rates horror 3/10.", "He rates horror 2/9.", "He rates horror three out of ten."),
        ("It is a 9 out of 10.", "It is an 8 out of 9.", "It is a nine out of ten."),
        ("gives all of them an 8", "gives all of them a 7", "gives all of them an eight"),
        ("ratings between 1 and 3", "ratings between 0 and 2", "ratings between one and three"),
        ("a rating of 7, no more", "a rating of 6, no more", "a rating of seven, no more"),
        ("Ratings of one or two.", "Ratings of 0 or 1.", "Ratings of one or two."),
        ("Her ratings are 9 or 10.", "Her ratings are 8 or 9.", "Her ratings are nine or ten."),
        (
            "gives comedies 9 and everything else 1 to 3",
            "gives comedies 8 and everything else 0 to 2",
            "gives comedies nine and everything else one to three",
        ),
        ("never rates more than 4", "never rates more than 3", "never rates more than four"),
        ("gives 7.5 on average: rates 7.5", "gives 6.5 on average: rates 6.5", "gives 7.5 on average: rates 7.5"),
    ],
)
def test_ratings_move(text: str, digits: str, words: str) -> None:
    assert move_ratings(text, TEN, DIGITS) == digits
    assert move_ratings(text, TEN, WORDS) == words


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("At 8, she gives 8 to 10 to films.", "At 8, she gives 7 to 9 to films."),
        ("She is 9 and gives films a 9, and turned 9 in May.", "She is 9 and gives films an 8, and turned 9 in May."),
        ("He gives films of 1999 a 10.", "He gives films of 1999 a 9."),
        ("rates westerns 9 and has 2 children", "rates westerns 9 and has 2 children".replace("9", "8")),
        ("He has 3 dogs. He gives films 4.", "He has 3 dogs. He gives films 3."),
        ("since grade 5 he gives films 5", "since grade 5 he gives films 4"),
    ],
)
def test_other_numbers_of_the_same_sentence_stay(text: str, moved: str) -> None:
    assert move_ratings(text, TEN, DIGITS) == moved


@pytest.mark.parametrize(
    "text",
    [
        "She is 9 years old and watches 2 films a day.",
        "gives lessons 3 to 4 times a week",
        "gives 2 concerts a year",
        "He gives everything top marks.",
        "has given 8 years to the club",
        "In 9 out of 10 cases she is right.",
        "born on 3/10/1990",
        "loves the 80s and 90s, rates the 1930s highest",
        'His favourite is "12 Angry Men", and she gives "Seven Samurai" her best.',
        "gives this one to a friend",
        "rates 250 films a year",
        "lives in the room 5/10",
        "3:10 to Yuma and Apollo 13",
    ],
)
def test_numbers_that_are_no_ratings_stay(text: str) -> None:
    assert move_ratings(text, TEN, DIGITS) == text


def test_a_scale_that_is_said_is_believed() -> None:
    assert move_ratings("loves it: 9/10", FIVE, PROMPT_SCALES["1-5"]) == "loves it: 4.6/5"
    assert move_ratings("4 out of 5 from him", FIVE, DIGITS) == "6.8 out of 9 from him"


@pytest.mark.parametrize("text", ["gives 8 to 10 to westerns, 3/10 to the rest", "an 8 out of 10"])
def test_on_the_scale_of_the_domain_nothing_moves(text: str) -> None:
    assert move_ratings(text, TEN, PROMPT_SCALES["1-10"]) == text


numbers = st.integers(0, 2100).map(str)
plain_words = st.sampled_from(
    [
        *("she", "he", "is", "a", "the", "of", "in", "at", "and", "or", "to", "years", "films", "old", "born", "Mia's"),
        *("9th", "80s", "watched", "one", "two", "ten;", "for,", "3.", "7)", "(8"),
    ]
)


@given(st.lists(st.one_of(numbers, plain_words), max_size=30).map(" ".join))
def test_a_text_without_words_for_ratings_is_unchanged(text: str) -> None:
    if "of 5" in text or "of 10" in text or "of ten" in text:
        return
    assert move_ratings(text, TEN, DIGITS) == text


@given(st.text())
def test_any_text_without_numbers_is_unchanged(text: str) -> None:
    text = "".join(character for character in text if not character.isdigit()).replace("e", "a")
    assert move_ratings(text, TEN, DIGITS) == text


@pytest.mark.parametrize("file", ["movies_600.csv", "books_600.csv"])
def test_real_descriptions_tell_no_ratings_and_stay(file: str) -> None:
    folder = os.environ.get("EMOSIM_REAL_DATA")
    if folder is None:
        pytest.skip("EMOSIM_REAL_DATA is not set")
    with (Path(folder) / "personas" / file).open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            assert move_ratings(row["description"], TEN, DIGITS) == row["description"]
