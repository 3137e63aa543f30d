"""Checks: that what a component of a plugin answered is what its interface says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Ratings
from emosim_core.errors import PluginError
from emosim_core.model import History, RatingScale

if TYPE_CHECKING:
    from gymnasium import Space


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


def check_codes(answer: Any, ratings: NDArray[np.float64], label: str) -> None:
    """What an emotion model answered as tags: codes from 0 to 8 of the shape ``(R, S)``.

    Raises:
        PluginError: it is something else.
    """
    _check_array(answer, "iu", ratings.shape, label)
    if ((answer < 0) | (answer > 8)).any():
        raise PluginError(f"{label} tagged a rating with the code {int(answer.max())}; codes are 0 to 8")


def check_moods(answer: Any, moods: NDArray[np.float64], label: str) -> None:
    """What an emotion model answered as moods: valence in [-1, 1] and arousal in [0, 1], shape ``(R, 2)``.

    Raises:
        PluginError: it is something else.
    """
    _check_array(answer, "f", moods.shape, label)
    inside = (answer >= (-1.0, 0.0)) & (answer <= (1.0, 1.0))
    if not inside.all():
        valence, arousal = answer[np.argwhere(~inside)[0, 0]].tolist()
        raise PluginError(
            f"{label} made a mood of valence {valence} and arousal {arousal}; they lie in [-1, 1] and in [0, 1]"
        )


def check_parts(answer: Any, label: str) -> None:
    """What an observation model answered as its space: a mapping of at least one part to a Gymnasium space.

    Raises:
        PluginError: it is something else.
    """
    from gymnasium import Space

    if not isinstance(answer, Mapping) or not answer:
        raise PluginError(f"{label}: space() returned a {type(answer).__name__}; expected a mapping of parts to spaces")
    for part, space in answer.items():
        if not isinstance(space, Space):
            raise PluginError(f"{label}: space() has a {type(space).__name__} for {part!r}; expected a Gymnasium space")


def check_observed(answer: Any, parts: Mapping[str, Space[Any]], rows: int, label: str) -> None:
    """What an observation model answered: for each part an array of the space's dtype and shape ``(R, ...)``.

    Raises:
        PluginError: it is something else.
    """
    for part, space in parts.items():
        if part not in answer:
            raise PluginError(f"{label} leaves out {part!r}, which its space has")
        array, shape = answer[part], (rows, *(space.shape or ()))
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != space.dtype:
            shown = f"{array.dtype} of the shape {array.shape}" if isinstance(array, np.ndarray) else repr(type(array))
            raise PluginError(f"{label} observes {part!r} as {shown}; its space has {space.dtype} of the shape {shape}")


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
