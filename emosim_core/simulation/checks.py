"""Checks: that what a component of a plugin answered is what its interface says.

Each takes an answer, what it was asked for and a label, the component in words for messages; a run and the suites of
:mod:`emosim_core.testing` call them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from emosim_core.components.base import Ratings
from emosim_core.errors import WrongAnswerError
from emosim_core.model import History, RatingScale
from emosim_core.model.arrays import Flags, Floats, Ints

if TYPE_CHECKING:
    from gymnasium import Space


RESERVED_END_REASONS = frozenset({"abandoned", "interrupted", "max_steps", "out_of_items"})
"""The engine's own reasons why an episode ends."""


def check_positions(answer: Any, items: Ints, history: History, label: str) -> None:
    """A retrieval answers positions of the shape ``(R, S, K)`` within each history, or -1."""
    _check_array("retrieval-shape", answer, "iu", items.shape, label, ndim=3)
    outside = (answer < -1) | (answer >= history.lengths[:, None, None])
    if outside.any():
        length = int(history.lengths[np.argwhere(outside)[0, 0]])
        position = int(answer[outside][0])
        raise WrongAnswerError(f"{label} answered the position {position} in a history of {length}", "retrieval-range")


def check_ratings(answer: Any, items: Ints, scale: RatingScale, label: str) -> None:
    """A rater answers levels of the scale, or NaN, of the shape ``(R, S)``."""
    if not isinstance(answer, Ratings):
        raise WrongAnswerError(f"{label} answered a {type(answer).__name__}, not Ratings", "rater-shape")
    _check_array("rater-shape", answer.values, "f", items.shape, label)
    strange = np.abs(scale.round(answer.values) - answer.values) > 1e-9
    if strange.any():
        rating = float(answer.values[strange][0])
        raise WrongAnswerError(f"{label} rated {rating!r}, which is no rating of the scale {scale}", "rater-scale")


def check_consumed(answer: Any, ratings: Floats, label: str) -> None:
    """A selector answers booleans of the shape ``(R, S)``."""
    _check_array("selector-shape", answer, "b", ratings.shape, label)


def check_perturbed(answer: Any, ratings: Floats, label: str) -> None:
    """A perturbator answers finite numbers of the shape ``(R, S)`` where the rating did not fail."""
    _check_array("perturbator-shape", answer, "fiu", ratings.shape, label)
    if not np.isfinite(answer[~np.isnan(ratings)]).all():
        raise WrongAnswerError(f"{label} made a rating that is no finite number", "perturbator-finite")


def check_choices(answer: Any, items: Ints, label: str) -> None:
    """A choice model answers booleans of the shape ``(R, S)``, examined and clicked, and clicks examined places."""
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise WrongAnswerError(
            f"{label} answered a {type(answer).__name__}; expected a pair of what is examined and what is clicked",
            "choice-shape",
        )
    for flags in answer:
        _check_array("choice-shape", flags, "b", items.shape, label)
    if (answer[1] & ~answer[0]).any():
        raise WrongAnswerError(f"{label} clicked a place that was not examined", "choice-examined")


def check_codes(answer: Any, ratings: Floats, label: str) -> None:
    """An emotion model tags with codes from 0 to 8 of the shape ``(R, S)``."""
    _check_array("emotion-tags", answer, "iu", ratings.shape, label)
    strange = (answer < 0) | (answer > 8)
    if strange.any():
        code = int(answer[strange][0])
        raise WrongAnswerError(f"{label} tagged a rating with the code {code}; codes are 0 to 8", "emotion-tags")


def check_moods(answer: Any, moods: Floats, label: str) -> None:
    """An emotion model moves moods to a valence in [-1, 1] and an arousal in [0, 1], shape ``(R, 2)``."""
    _check_array("emotion-moods", answer, "f", moods.shape, label)
    inside = (answer >= (-1.0, 0.0)) & (answer <= (1.0, 1.0))
    if not inside.all():
        mood = "valence {} and arousal {}".format(*answer[np.argwhere(~inside)[0, 0]].tolist())
        raise WrongAnswerError(f"{label} made a mood of {mood}; they lie in [-1, 1] and in [0, 1]", "emotion-moods")


def check_parts(answer: Any, label: str) -> None:
    """The space of an observation model is a mapping of at least one part to a Gymnasium space."""
    from gymnasium import Space

    rule, start = "observation-space", f"{label}: space()"
    if not isinstance(answer, Mapping) or not answer:
        raise WrongAnswerError(
            f"{start} returned a {type(answer).__name__}; expected a mapping of parts to spaces", rule
        )
    for part, space in answer.items():
        if not isinstance(space, Space):
            what = f"a {type(space).__name__} for {part!r}"
            raise WrongAnswerError(f"{start} has {what}; expected a Gymnasium space", rule)


def check_observed(answer: Any, parts: Mapping[str, Space[Any]], rows: int, label: str) -> None:
    """An observation model answers for each part an array of the space's dtype and shape ``(R, ...)``."""
    rule = "observation-shape"
    if not isinstance(answer, Mapping):
        raise WrongAnswerError(f"{label} answered a {type(answer).__name__}, not a mapping of parts to arrays", rule)
    for part, space in parts.items():
        if part not in answer:
            raise WrongAnswerError(f"{label} leaves out {part!r}, which its space has", rule)
        array, shape = answer[part], (rows, *(space.shape or ()))
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != space.dtype:
            is_array = isinstance(array, np.ndarray)
            shown = f"{array.dtype} of the shape {array.shape}" if is_array else f"a {type(array).__name__}"
            wanted = f"{space.dtype} of the shape {shape}"
            raise WrongAnswerError(f"{label} observes {part!r} as {shown}; its space has {wanted}", rule)


def check_end_reasons(end_reasons: Any, label: str) -> None:
    """A reward shaping names its end reasons in a tuple of distinct texts, none of them one of the engine's."""
    texts = isinstance(end_reasons, tuple) and all(isinstance(one, str) and one for one in end_reasons)
    if not texts or len(set(end_reasons)) < len(end_reasons) or RESERVED_END_REASONS & set(end_reasons):
        raise WrongAnswerError(
            f"{label} has end_reasons = {end_reasons!r}; expected a tuple of distinct texts, none of them "
            f"{', '.join(sorted(RESERVED_END_REASONS))}",
            "shaping-end-reasons",
        )


def check_shaped(answer: Any, consumed: Flags, end_reasons: int, label: str) -> None:
    """A reward shaping answers finite rewards of the shape ``(R, S)``, and codes from 0 to ``end_reasons``."""
    rule = "shaping-shape"
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise WrongAnswerError(
            f"{label} answered a {type(answer).__name__}, not rewards and codes of end reasons", rule
        )
    rewards, ends = answer
    _check_array(rule, rewards, "fiu", consumed.shape, label)
    _check_array(rule, ends, "iu", consumed.shape[:1], label)
    if not np.isfinite(rewards[consumed]).all():
        raise WrongAnswerError(f"{label} made a reward that is no finite number", "shaping-finite")
    strange = (ends < 0) | (ends > end_reasons)
    if strange.any():
        code = f"the code {int(ends[strange][0])}; it names {end_reasons} end reasons"
        raise WrongAnswerError(f"{label} ended an episode with {code}", "shaping-end-reasons")


_KINDS = {"iu": "whole numbers", "f": "floating-point numbers", "b": "booleans", "fiu": "numbers"}


def _check_array(
    rule: str, answer: Any, kinds: str, shape: tuple[int, ...], label: str, ndim: int | None = None
) -> None:
    """See that an answer is an array of these kinds and this shape; with ``ndim``, of a shape that begins so."""
    if not isinstance(answer, np.ndarray):
        raise WrongAnswerError(f"{label} answered a {type(answer).__name__}, not an array", rule)
    if answer.ndim != (ndim or len(shape)) or answer.shape[: len(shape)] != shape or answer.dtype.kind not in kinds:
        wanted = ", ".join(map(str, (*shape, "any") if ndim else shape))
        raise WrongAnswerError(
            f"{label} answered {answer.dtype} of the shape {answer.shape}; expected {_KINDS[kinds]} of the shape "
            f"({wanted})",
            rule,
        )
