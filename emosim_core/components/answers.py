"""Answers: what a component in its single form answered, looked at before it becomes part of an array."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from operator import index
from reprlib import repr as shortened
from typing import Any

from emosim_core.errors import WrongAnswerError


def wrong(who: str, answer: object, expected: str, rule: str) -> WrongAnswerError:
    """The error that says what was answered, of which type, and what was expected."""
    return WrongAnswerError(
        f"{who} answered {shortened(answer)} of the type {type(answer).__name__}; expected {expected}", rule
    )


def number(answer: Any, who: str, expected: str, rule: str) -> float:
    """A number as a float; NaN is one, and booleans are none.

    Args:
        who: what answered, such as ``"Oldest.rate"``.
        expected: what it should answer, in words.
        rule: the rule of the contract that another answer breaks.

    Raises:
        WrongAnswerError: it is no number.
    """
    if isinstance(answer, Real) and not isinstance(answer, bool):
        return float(answer)
    raise wrong(who, answer, expected, rule)


def whole_numbers(answer: Any, who: str, expected: str, rule: str) -> list[int]:
    """Whole numbers in order; arguments and errors as of :func:`number`. Fractions and booleans are none."""
    if isinstance(answer, Iterable) and not isinstance(answer, str | bytes):
        numbers = list(answer)
        if not any(isinstance(one, bool) for one in numbers):
            try:
                return [index(one) for one in numbers]
            except TypeError:
                pass
    raise wrong(who, answer, expected, rule)
