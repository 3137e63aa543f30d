"""ChartFigure: a figure of matplotlib that a notebook shows, and that is saved in the style of all drawings."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from matplotlib.figure import Figure


class ChartFigure(Figure):
    """One or more charts of a report as a figure; titles of items are written as they are, never read as formulas.

    Args:
        style: what the figure has to be drawn in.
        kwargs: those of :class:`matplotlib.figure.Figure`.
    """

    def __init__(self, style: Callable[[], AbstractContextManager[None]], **kwargs: Any) -> None:
        self._style = style
        super().__init__(**kwargs)

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """Save the figure, as :meth:`matplotlib.figure.Figure.savefig` does; an SVG is the same each time."""
        with self._style():
            super().savefig(fname, **kwargs)

    def _repr_svg_(self) -> str:
        """The figure in a notebook."""
        content = io.BytesIO()
        self.savefig(content, format="svg", metadata={"Date": None})
        return content.getvalue().decode("utf-8")
