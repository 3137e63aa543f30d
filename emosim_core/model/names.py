"""Names: tuples of them as fields of models, stripped, without empty ones and repeats; and how they are worded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import AfterValidator


def _without_repeats(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in value if name.strip()))


Names = Annotated[tuple[str, ...], AfterValidator(_without_repeats)]
"""Names as they are written, such as those of users."""

LowerCaseNames = Annotated[
    tuple[str, ...], AfterValidator(lambda names: _without_repeats(name.lower() for name in names))
]
"""Names in lower case, such as those of categories."""


def listed(names: Sequence[str]) -> str:
    """``""``, ``"a"``, ``"a and b"``, ``"a, b and c"``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def ordinal(number: int) -> str:
    """``"first"``, ``"second"``, ..., ``"tenth"``, ``"11th"``."""
    words = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
    if number <= len(words):
        return words[number - 1]
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
