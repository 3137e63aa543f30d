"""Label weights: how much oftener real users give each rating than a language model expects it; fitted and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emosim_core.data import json_text
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model import RatingScale
from emosim_core.model.arrays import Floats

_LARGEST = 1 << 20
"""Maximum bytes of a file."""

_PSEUDO_RATINGS = 1.0
"""Ratings that are added to each level, real and expected, so that no weight is 0 or infinite."""


class LabelWeights(BaseModel):
    """The weights of a language model on one scale, as the file holds them.

    Attributes:
        answered_by: the model and the prompt strategy.
        levels: the levels of the scale, worst first.
        weights: the weight of each level.
        ratings: number of real ratings that they were fitted to.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    answered_by: str
    levels: list[float]
    weights: list[float] = Field(min_length=1)
    ratings: int = Field(ge=1)


def fit_label_weights(expected: Floats, given: Floats, levels: Floats, answered_by: str) -> dict[str, Any]:
    """The share of each level in real ratings over its mean probability, with one rating added to each level.

    Args:
        expected: the model's probabilities for the same users and items, shape ``(n, L)``.
        given: the real ratings, shape ``(n,)``.
        levels: the levels of the scale, shape ``(L,)``.
    """
    real = np.bincount(np.abs(levels[None, :] - given[:, None]).argmin(axis=1), minlength=len(levels))
    weights = (real + _PSEUDO_RATINGS) / (expected.sum(axis=0) + _PSEUDO_RATINGS)
    return LabelWeights(
        answered_by=answered_by,
        levels=levels.tolist(),
        weights=np.round(weights, 6).tolist(),
        ratings=len(given),
    ).model_dump()


def read_label_weights(path: Path, scale: RatingScale, answered_by: str) -> dict[float, float]:
    """The weights in a file, by level.

    Raises:
        DataError: the file cannot be read.
        ConfigurationError: the weights are of another model, prompt strategy or scale.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"more than {_LARGEST:,} bytes")
        read = LabelWeights.model_validate(json_text.loads(path.read_text("utf-8")))
        if len(read.weights) != len(read.levels) or min(read.weights) <= 0:
            raise ValueError("each level needs a weight above 0")
    except (OSError, ValueError, ValidationError) as error:
        problem = str(error).partition("\n")[0]
        raise DataError(path, f"cannot be read as label weights of emosim validate: {problem}") from error
    if read.answered_by != answered_by:
        raise ConfigurationError(f"the label weights in {path} are of {read.answered_by!r}, and not of {answered_by!r}")
    if read.levels != scale.levels.tolist():
        raise ConfigurationError(f"the label weights in {path} are of another scale than {scale}")
    return dict(zip(read.levels, read.weights, strict=True))
