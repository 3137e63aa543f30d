"""PromptScale: the scale that a prompt speaks, whatever the scale of the domain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from emosim_core.model import RatingScale

PromptScaleName = Literal["0-9", "1-10", "one-ten", "1-5"]

_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class PromptScale:
    """A scale of whole ratings as a prompt writes them.

    It is laid on the domain's scale end on end: the worst label is the domain's worst rating, the best its best.

    Attributes:
        name: ``"0-9"``, ``"1-10"``, ``"one-ten"`` or ``"1-5"``.
        low: number of the worst label.
        labels: the ratings as they are written, worst first.
    """

    name: PromptScaleName
    low: int
    labels: tuple[str, ...]

    @property
    def numbers(self) -> RatingScale:
        """The labels' numbers as a scale."""
        return RatingScale(low=self.low, high=self.low + len(self.labels) - 1, step=1)

    @property
    def in_words(self) -> bool:
        """Whether labels are words rather than digits."""
        return not self.labels[0].isdigit()

    def to_domain(self, label: str, scale: RatingScale) -> float:
        """The level of the domain's scale that a label stands for: end on end, then the nearest level.

        Raises:
            ValueError: no such label.
        """
        number = self.low + self.labels.index(label)
        return float(scale.round(self.numbers.convert(number, scale)))

    def to_label(self, rating: float, scale: RatingScale) -> str:
        """The label nearest to a rating of the domain's scale."""
        number = float(self.numbers.round(scale.convert(rating, self.numbers)))
        return self.labels[round(number) - self.low]

    def show(self, rating: float, scale: RatingScale) -> str:
        """A rating of the domain's scale, also one between its levels, as the prompt writes it.

        One decimal at most; halves go up. A whole rating is a label, so a word on ``one-ten``.
        """
        tenths = math.floor(float(scale.convert(rating, self.numbers)) * 10 + 0.5 + 1e-9)
        whole, rest = divmod(tenths, 10)
        place = whole - self.low
        if not rest and 0 <= place < len(self.labels):
            return self.labels[place]
        return f"{tenths / 10:g}"

    def listed(self, quoted: bool = False) -> str:
        """``one of 0, 1, ... or 9``; words in quotes where an answer is JSON."""
        labels = [f'"{label}"' if quoted and self.in_words else label for label in self.labels]
        return f"one of {', '.join(labels[:-1])} or {labels[-1]}"

    def __str__(self) -> str:
        return f"{self.labels[0]} to {self.labels[-1]}"


def _in_digits(name: PromptScaleName, low: int, high: int) -> PromptScale:
    return PromptScale(name, low, tuple(str(number) for number in range(low, high + 1)))


PROMPT_SCALES: dict[PromptScaleName, PromptScale] = {
    "0-9": _in_digits("0-9", 0, 9),
    "1-10": _in_digits("1-10", 1, 10),
    "one-ten": PromptScale("one-ten", 1, _WORDS),
    "1-5": _in_digits("1-5", 1, 5),
}
"""All scales that a prompt may speak."""


def default_for(scale: RatingScale) -> PromptScale:
    """The prompt scale for a domain: level for level where one has as many levels (ten: one digit, one token)."""
    return PROMPT_SCALES[{10: "0-9", 5: "1-5"}.get(len(scale.levels), "1-10")]  # type: ignore[index]
