"""Picture: text as an image, for the render mode ``rgb_array`` of environments whose steps are words."""

from __future__ import annotations

import textwrap

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import MissingDependencyError

_COLUMNS, _SIZE, _LINE, _MARGIN = 76, 16, 22, 12
_WIDTH = 720


def picture(text: str, lines: int) -> NDArray[np.uint8]:
    """Text in black on white, shape ``(H, W, 3)``; the size depends on ``lines`` alone, as videos need.

    Args:
        text: the text; a line that is too long is wrapped.
        lines: lines that fit; further ones are left out, with ``...`` at the end.

    Raises:
        MissingDependencyError: Pillow is not installed.
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
