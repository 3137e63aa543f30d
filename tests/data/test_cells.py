"""Cells of tables: how numbers and texts may be written, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emosim_core.data.cells import (
    counted_notes,
    known_rating,
    known_text,
    number,
    plain_text,
    shortened,
    whole_number,
)
from emosim_core.errors import DataError

WHERE = ("a.csv", 3, "cell")


def refused(read: Callable[[], Any], says: str) -> None:
    with pytest.raises(DataError) as caught:
        read()
    assert str(caught.value) == f"a.csv, row 3, field 'cell': {says}"


@pytest.mark.parametrize(("text", "value"), [("7", 7), ("-750", -750), ("+3", 3), ("2008.0", 2008), ("2008.", 2008)])
def test_whole_numbers(text: str, value: int) -> None:
    assert whole_number(text, *WHERE) == value


@pytest.mark.parametrize("text", ["", "7.5", "seven", "1e3", "1_000", "nan", "inf", "\u0663", "9" * 19, " 7"])
def test_what_is_no_whole_number(text: str) -> None:
    refused(lambda: whole_number(text, *WHERE), f"expected a whole number, got {text!r}")
    refused(lambda: whole_number(text, *WHERE, "an age"), f"expected an age, got {text!r}")


def test_numbers_are_finite() -> None:
    assert number("4.25", *WHERE) == 4.25
    for text in ("good", "nan", "inf", "1e999", ""):
        refused(lambda text=text: number(text, *WHERE), f"expected a number, got {text!r}")
    refused(lambda: number("-3,50", *WHERE), "expected a number, got '-3,50'; write a decimal point: -3.50")
    refused(lambda: number("1,000.5", *WHERE), "expected a number, got '1,000.5'")


@pytest.mark.parametrize(
    ("rating", "count", "known"),
    [(0.0, 0, None), (0.0, None, None), (0.0, 3, 0.0), (0.5, 0, 0.5), (None, 3, None), (4.0, None, 4.0)],
)
def test_a_rating_of_0_by_nobody_is_unknown(rating: float | None, count: int | None, known: float | None) -> None:
    assert known_rating(rating, count) == known


@pytest.mark.parametrize("text", ["nan", "NaN", "None", "null", "NULL", "N/A", "NA", "<NA>", "\\N"])
def test_texts_that_say_that_nothing_is_known(text: str) -> None:
    assert known_text(text) == ""
    assert known_text(f"{text}.") == f"{text}."


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("R&amp;D", "R&D"),
        ("R&amp;amp;D", "R&D"),
        ("Children&#39;s &quot;Own&quot; &#x41;", 'Children\'s "Own" A'),
        ("Am&eacute;lie", "Am\u00e9lie"),
        ("AT&T; Sex&notes &copy 1999 &nosuchname; & ;", "AT&T; Sex&notes &copy 1999 &nosuchname; & ;"),
        ("&amp", "&amp"),
    ],
)
def test_entities_of_html_become_what_they_stand_for(text: str, plain: str) -> None:
    assert plain_text(text) == plain


def test_long_values_are_shortened() -> None:
    assert shortened("a" * 58) == repr("a" * 58)
    assert shortened("a" * 59) == "'" + "a" * 56 + "..."
    assert shortened(["a"]) == "['a']"
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert shortened(nested) == "a deeply nested list"


def test_notes_say_what_was_done_how_often_and_nothing_of_what_was_not() -> None:
    counts = {"left out books without a title": 1200, "put rows together": 0}
    assert counted_notes("books.csv", counts) == ["books.csv: left out books without a title: 1,200."]
