"""Checks: that what a component of a plugin answered is what its interface says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Ratings
from emosim_core.errors import PluginError
from emosim_core.model import History, RatingScale


def check_positions(answer: Any, items: NDArray[np.intp], history: History, label: str) -> None:
    """What a retrieval answered: positions of the shape ``(R, S, K)`` within each history, or -1.

    Raises:
        PluginError: it is something else.
    """
    _check_array(answer, "iu", items.shape, label, ndim=3)
    outside = (answer < -1) | (answer >= history.lengths[:, None, None])
    if outside.any():
        row = int(np.argwhere(outside)[0, 0])
        raise PluginError(
            f"{label} answered the position {int(answer[outside][0])} in a history of {int(history.lengths[row])}"
        )


def check_ratings(answer: Any, items: NDArray[np.intp], scale: RatingScale, label: str) -> None:
    """What a rater answered: levels of the scale, or NaN, of the shape ``(R, S)``.

    Raises:
        PluginError: it is something else.
    """
    if not isinstance(answer, Ratings):
        raise PluginError(f"{label} answered a {type(answer).__name__}, not Ratings")
    _check_array(answer.values, "f", items.shape, label)
    strange = np.abs(scale.round(answer.values) - answer.values) > 1e-9
    if strange.any():
        raise PluginError(
            f"{label} rated {float(answer.values[strange][0])!r}, which is no rating of the scale {scale}"
        )


def check_consumed(answer: Any, ratings: NDArray[np.float64], label: str) -> None:
    """What a selector answered: booleans of the shape ``(R, S)``.

    Raises:
        PluginError: it is something else.
    """
    _check_array(answer, "b", ratings.shape, label)


def check_perturbed(answer: Any, ratings: NDArray[np.float64], label: str) -> None:
    """What a perturbator answered: finite numbers of the shape ``(R, S)`` where the rating did not fail.

    Raises:
        PluginError: it is something else.
    """
    _check_array(answer, "fiu", ratings.shape, label)
    if not np.isfinite(answer[~np.isnan(ratings)]).all():
        raise PluginError(f"{label} made a rating that is no finite number")


def check_shaped(answer: Any, consumed: NDArray[np.bool_], end_reasons: int, label: str) -> None:
    """What a reward shaping answered: finite rewards of the shape ``(R, S)``, and codes from 0 to ``end_reasons``.

    Raises:
        PluginError: it is something else.
    """
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise PluginError(f"{label} answered a {type(answer).__name__}, not rewards and codes of endings")
    rewards, ends = answer
    _check_array(rewards, "fiu", consumed.shape, label)
    _check_array(ends, "iu", consumed.shape[:1], label)
    if not np.isfinite(rewards[consumed]).all():
        raise PluginError(f"{label} made a reward that is no finite number")
    if ((ends < 0) | (ends > end_reasons)).any():
        raise PluginError(f"{label} ended an episode with the code {int(ends.max())}; it names {end_reasons} endings")


_KINDS = {"iu": "whole numbers", "f": "floating-point numbers", "b": "booleans", "fiu": "numbers"}


def _check_array(answer: Any, kinds: str, shape: tuple[int, ...], label: str, ndim: int | None = None) -> None:
    """See that an answer is an array of these kinds and this shape; with ``ndim``, of a shape that begins so."""
    if not isinstance(answer, np.ndarray):
        raise PluginError(f"{label} answered a {type(answer).__name__}, not an array")
    if answer.ndim != (ndim or len(shape)) or answer.shape[: len(shape)] != shape or answer.dtype.kind not in kinds:
        wanted = (*shape, "any") if ndim else shape
        raise PluginError(
            f"{label} answered {answer.dtype} of the shape {answer.shape}; expected {_KINDS[kinds]} of the shape "
            f"({', '.join(map(str, wanted))})"
        )
