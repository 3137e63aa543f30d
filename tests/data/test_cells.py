"""Cells of tables: how numbers and lists may be written, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emosim_core.data.cells import (
    known_rating,
    list_of_names,
    list_of_numbers,
    number,
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


def test_digits_alone() -> None:
    assert whole_number("0114709", *WHERE, digits_only=True) == 114709
    for text in ("-1", "+1", "1.0", ""):
        refused(
            lambda text=text: whole_number(text, *WHERE, digits_only=True), f"expected a whole number, got {text!r}"
        )


def test_numbers_are_finite() -> None:
    assert number("4.25", *WHERE) == 4.25
    for text in ("good", "nan", "inf", "1e999", ""):
        refused(lambda text=text: number(text, *WHERE), f"expected a number, got {text!r}")


@pytest.mark.parametrize(
    ("rating", "count", "known"),
    [(0.0, 0, None), (0.0, None, None), (0.0, 3, 0.0), (0.5, 0, 0.5), (None, 3, None), (4.0, None, 4.0)],
)
def test_a_rating_of_0_by_nobody_is_unknown(rating: float | None, count: int | None, known: float | None) -> None:
    assert known_rating(rating, count) == known


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("[]", []),
        ("['a', \"it's\"]", ["a", "it's"]),
        ('["a", "b, c"]', ["a", "b, c"]),
        ("('a',)", ["a"]),
        (r"['a\d']", [r"a\d"]),
    ],
)
def test_names_in_a_literal(text: str, names: list[str]) -> None:
    assert list_of_names(text, *WHERE, "['a']") == names
    assert list_of_names(text, *WHERE, "['a']", bars=True) == names


def test_names_between_bars_only_where_they_may_be() -> None:
    assert list_of_names("drama|crime", *WHERE, "a|b", bars=True) == ["drama", "crime"]
    assert list_of_names("drama", *WHERE, "a|b", bars=True) == ["drama"]
    for text in ("drama|crime", "drama"):
        refused(lambda text=text: list_of_names(text, *WHERE, "['a']"), f"expected a list such as ['a'], got {text!r}")
    for text in ("drama, crime", "drama;crime", "7", "nan"):
        refused(
            lambda text=text: list_of_names(text, *WHERE, "a|b", bars=True),
            f"expected a list such as a|b, got {text!r}",
        )


@pytest.mark.parametrize("text", ["['a'", "'a'", "[1]", "['a', 1]", "{'a': 'b'}", "[__import__('os').getcwd()]"])
@pytest.mark.parametrize("bars", [False, True])
def test_what_is_no_list_of_names(text: str, bars: bool) -> None:
    refused(lambda: list_of_names(text, *WHERE, "['a']", bars), f"expected a list such as ['a'], got {shortened(text)}")


def test_numbers_in_a_list() -> None:
    assert list_of_numbers("[0.5, -1, 2e-1]", *WHERE) == [0.5, -1, 0.2]
    assert list_of_numbers("(1, 2)", *WHERE) == [1, 2]
    assert list_of_numbers("", *WHERE) == []
    for text in ("0.5 0.5", "['x']", "[true]", "[[1]]", "7"):
        refused(lambda text=text: list_of_numbers(text, *WHERE), f"expected a list of numbers, got {text!r}")


def test_long_values_are_shortened() -> None:
    assert shortened("a" * 58) == repr("a" * 58)
    assert shortened("a" * 59) == "'" + "a" * 56 + "..."
    assert shortened(["a"]) == "['a']"
