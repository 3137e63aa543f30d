"""Rating scales: the levels a domain rates on, and how values move between scales."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, model_validator

from emosim_core.model.arrays import Floats


class RatingScale(BaseModel):
    """An evenly spaced rating scale, such as 1 to 10 in steps of 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float = Field(default=1.0, description="The worst rating.")
    high: float = Field(default=10.0, description="The best rating.")
    step: float = Field(default=1.0, gt=0, description="Distance between two neighbouring ratings.")

    @model_validator(mode="after")
    def _whole_number_of_steps(self) -> RatingScale:
        if self.high <= self.low:
            raise ValueError(f"high ({self.high}) must be above low ({self.low})")
        steps = (self.high - self.low) / self.step
        if abs(steps - round(steps)) > 1e-9:
            raise ValueError(f"{self.low} to {self.high} is no whole number of steps of {self.step}")
        return self

    @cached_property
    def levels(self) -> Floats:
        """All ratings of the scale, worst first; shape ``(number of levels,)``."""
        count = round((self.high - self.low) / self.step) + 1
        return self.low + self.step * np.arange(count, dtype=np.float64)

    @property
    def span(self) -> float:
        """``high - low``."""
        return self.high - self.low

    def round(self, values: ArrayLike) -> Floats:
        """The nearest ratings of the scale (halves go up), clipped to it; NaN stays NaN."""
        return self._snap(np.floor((np.asarray(values, dtype=np.float64) - self.low) / self.step + 0.5))

    def floor(self, values: ArrayLike) -> Floats:
        """The ratings at or below, clipped to the scale; NaN stays NaN."""
        steps = (np.asarray(values, dtype=np.float64) - self.low) / self.step
        return self._snap(np.floor(steps + 1e-9))

    def _snap(self, steps: Floats) -> Floats:
        return np.minimum(np.maximum(self.low + self.step * steps, self.low), self.high)

    def contains(self, value: float) -> bool:
        """Whether ``value`` is one of the levels."""
        if not self.low <= value <= self.high:
            return False
        nearest = self.low + self.step * math.floor((value - self.low) / self.step + 0.5)  # round(), of one number
        return bool(abs(min(max(nearest, self.low), self.high) - value) < 1e-9)

    def carry(self, value: float) -> float:
        """A threshold that is defined on 1 to 10, at the same relative position of this scale.

        The result need not be a level: 7 of 1-10 is 3.67 of 1-5.
        """
        return self.low + (value - 1.0) / 9.0 * self.span

    def convert(self, values: ArrayLike, to: RatingScale) -> Floats:
        """Map ratings affinely to another scale, end on end; whole numbers come out exact, as from 0-9 to 1-10."""
        above = np.asarray(values, dtype=np.float64) - self.low
        return to.low + above * to.span / self.span

    def format(self, value: float) -> str:
        """A rating as a user writes it: ``7`` rather than ``7.0``."""
        return f"{value:g}"

    def __eq__(self, other: object) -> bool:
        # pydantic's own comparison takes in what is cached, and arrays have no single truth value
        if not isinstance(other, RatingScale):
            return NotImplemented
        return (self.low, self.high, self.step) == (other.low, other.high, other.step)

    def __hash__(self) -> int:
        return hash((self.low, self.high, self.step))

    def __str__(self) -> str:
        return f"{self.low:g}-{self.high:g}"
