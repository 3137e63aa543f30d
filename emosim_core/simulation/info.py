"""Info: what a step was, in names and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import ConfigurationError
from emosim_core.simulation.assembly import World
from emosim_core.simulation.engine import Step
from emosim_core.simulation.picture import picture
from emosim_core.terminal import one_line


class Reasons(Sequence[str]):
    """The reasons of one user's answers, worded when they are read: most steps are never read.

    Pickled, they become a list of texts, which needs neither the step nor its rater; a copy is the object itself.
    """

    __slots__ = ("_row", "_step")

    def __init__(self, step: Step, row: int) -> None:
        self._step, self._row = step, row

    def __len__(self) -> int:
        return self._step.actions.shape[1]

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return self._step.reason(self._row, place % len(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(list(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)

    def __copy__(self, memo: Mapping[int, Any] | None = None) -> Reasons:
        return self

    __deepcopy__ = __copy__


RENDER_MODES = ("ansi", "rgb_array")
"""How an environment can be rendered: in words, or as an image of these words."""


def checked_render_mode(mode: str | None) -> str | None:
    """A render mode that environments have; a ConfigurationError for any other."""
    if mode is not None and mode not in RENDER_MODES:
        raise ConfigurationError(f"render_mode is {', '.join(map(repr, RENDER_MODES))} or None, not {mode!r}")
    return mode


def rendered(world: World, info: Mapping[str, Any] | None, mode: str) -> str | NDArray[np.uint8]:
    """A step, as :func:`step_info` says it, in words, or as an image of shape ``(H, W, 3)``.

    Raises:
        MissingDependencyError: an image needs Pillow, which is not installed.
    """
    text = "No step was taken yet." if info is None else _in_words(world, info)
    return text if mode == "ansi" else picture(text, 5 * world.config.slate + 2)


def _in_words(world: World, info: Mapping[str, Any]) -> str:
    scale = world.domain.scale
    lines = [
        f"{info['user_name']} on {title}: {'no rating' if rating is None else scale.format(rating)} ({reason})"
        for title, rating, reason in zip(info["titles"], info["raw_ratings"], info["reasons"], strict=True)
    ]
    lines += [f"The episode ended: {info['end_reason']}."] if info["end_reason"] else []
    return "\n".join(map(one_line, lines))


def user_info(world: World, user_index: int) -> dict[str, Any]:
    """Who a user is, by index in the population."""
    user = world.population.users[user_index]
    return {"user_id": user.id, "user_name": user.name}


def step_info(world: World, step: Step, row: int) -> dict[str, Any]:
    """What one user did, with titles and reasons.

    Returns:
        ``user_id``, ``user_name``; ``items``, ``titles``, ``raw_ratings`` (as the rater gave them, None for
        a failed one), ``reasons`` and ``consumed``, one entry per place in the slate; ``end_reason``, why the
        episode ended, or None.
    """
    catalog = world.catalog
    actions = step.actions[row].tolist()
    raw = step.raw_ratings[row].tolist()
    return {
        **user_info(world, int(step.users[row])),
        "items": [catalog.items[action].id for action in actions],
        "titles": [catalog.titles[action] for action in actions],
        "raw_ratings": [None if value != value else value for value in raw],
        "reasons": Reasons(step, row),
        "consumed": step.consumed[row].tolist(),
        "end_reason": step.end_reason(row),
    }
