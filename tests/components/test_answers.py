"""Answers of single forms: what is no whole number or no number is an error that shows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosim_core.components.answers import number, whole_numbers
from emosim_core.errors import WrongAnswerError


@given(st.lists(st.integers(-(2**40), 2**40)))
def test_whole_numbers_of_any_kind_are_taken_as_they_are(numbers: list[int]) -> None:
    for answer in (numbers, tuple(numbers), np.array(numbers, dtype=np.int64), iter(numbers)):
        assert whole_numbers(answer, "P.recommend", "indices", "policy-shape") == numbers


@pytest.mark.parametrize("answer", [None, 3, "abc", [0.7], [True], np.array([1.0]), ["1"], [None], b"ab"])
def test_what_is_no_sequence_of_whole_numbers_is_shown(answer: Any) -> None:
    with pytest.raises(
        WrongAnswerError, match=r"^P\.recommend answered .* of the type \w+; expected indices$"
    ) as raised:
        whole_numbers(answer, "P.recommend", "indices", "policy-shape")
    assert raised.value.rule == "policy-shape"


@pytest.mark.parametrize("answer", [1, 1.5, np.float32(1.5), np.int64(2), float("nan")])
def test_numbers_of_any_kind_are_floats(answer: Any) -> None:
    found = number(answer, "R.rate", "a rating", "rater-shape")
    assert type(found) is float
    assert found == float(answer) or found != found


@pytest.mark.parametrize("answer", [None, "7", True, [7.0], (7.0, "good", 1), np.array([7.0])])
def test_what_is_no_number_is_shown(answer: Any) -> None:
    with pytest.raises(WrongAnswerError, match=r"^R\.rate answered .* expected a rating$"):
        number(answer, "R.rate", "a rating", "rater-shape")
