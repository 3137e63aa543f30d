"""Info: what a step was, in names and words."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import ConfigurationError, MissingDependencyError
from emosim_core.simulation.assembly import World
from emosim_core.simulation.engine import Step
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


_COLUMNS, _SIZE, _LINE, _MARGIN, _WIDTH = 76, 16, 22, 12, 720
"""Of an image: characters of a line, size of the letters, height of a line, margin and width in pixels."""

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
    return text if mode == "ansi" else _picture(text, 5 * world.config.slate + 2)


def _in_words(world: World, info: Mapping[str, Any]) -> str:
    scale = world.domain.scale
    clicked = info.get("clicked", [True] * len(info["titles"]))
    looks = [f" ({'looked at it' if examined else 'did not look at it'})" for examined in info.get("examined", clicked)]
    lines = [
        f"{info['user_name']} on {title}: "
        + (f"{'no rating' if rating is None else scale.format(rating)} ({reason})" if click else f"no click{look}")
        for title, rating, reason, click, look in zip(
            info["titles"], info["raw_ratings"], info["reasons"], clicked, looks, strict=True
        )
    ]
    lines += [f"The episode ended: {info['end_reason']}."] if info["end_reason"] else []
    return "\n".join(map(one_line, lines))


def _picture(text: str, lines: int) -> NDArray[np.uint8]:
    """Text in black on white, shape ``(H, W, 3)``; the size depends on ``lines`` alone, as videos need.

    A line that is too long is wrapped; lines beyond ``lines`` are left out, with ``...`` at the end.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise MissingDependencyError("render_mode='rgb_array'", "pillow", "pip install pillow") from error
    wrapped = [row for line in text.splitlines() for row in textwrap.wrap(line, _COLUMNS) or [""]]
    if len(wrapped) > lines:
        wrapped = [*wrapped[: lines - 1], "..."]
    image = Image.new("RGB", (_WIDTH, lines * _LINE + 2 * _MARGIN), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(_SIZE)
    for place, row in enumerate(wrapped):
        draw.text((_MARGIN, _MARGIN + place * _LINE), row, fill="black", font=font)
    return np.asarray(image, dtype=np.uint8).copy()


def user_info(world: World, user_index: int) -> dict[str, Any]:
    """Who a user is, by index in the population."""
    user = world.population.users[user_index]
    return {"user_id": user.id, "user_name": user.name}


def step_info(world: World, step: Step, row: int) -> dict[str, Any]:
    """What one user did, with titles and reasons.

    Returns:
        ``user_id``, ``user_name``; ``items``, ``titles``, ``raw_ratings`` (as the rater gave them, None for
        a failed one and for what was not clicked), ``reasons`` and ``consumed``, one entry per place in the slate; with
        a choice model that comes before rating also ``examined`` and ``clicked``; ``end_reason``, why the episode
        ended, or None.
    """
    catalog = world.catalog
    actions = step.actions[row].tolist()
    raw = step.raw_ratings[row].tolist()
    chosen = {}
    if step.examined is not None and step.clicked is not None:
        chosen = {"examined": step.examined[row].tolist(), "clicked": step.clicked[row].tolist()}
    return {
        **user_info(world, int(step.users[row])),
        "items": [catalog.ids[action] for action in actions],
        "titles": [catalog.titles[action] for action in actions],
        "raw_ratings": [None if value != value else value for value in raw],
        "reasons": Reasons(step, row),
        "consumed": step.consumed[row].tolist(),
        **chosen,
        "end_reason": step.end_reason(row),
    }
