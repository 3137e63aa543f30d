"""Chart: what a plot shows, said once; the page, the table beside it and the file for a paper are drawn from it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emosim_core.terminal import one_line

Number = float | int | None

Kind = Literal["bars", "rows", "lines", "heat", "plane"]
"""``bars``: upright bars by category; ``rows``: lying bars by category, for long names; ``lines``: over numbers;
``heat``: colours by column and row; ``plane``: colours by valence and arousal, with paths over them."""

Form = Literal["number", "share"]
"""How values are written; shares are written in per cent."""

BANDS = 3
"""Lines that have bands of intervals; bands of more would cover each other. ``charts.js`` has the same number."""


@dataclass(frozen=True)
class Series:
    """One sequence of values, named as the legend has it.

    Attributes:
        y: the values, None where there is none. Of a path in a plane, arousal.
        x: where they stand, for ``lines`` and paths (then valence).
        low: lower ends of their 95 % intervals; ``high`` are the upper ones.
        counts: of how many each is.
    """

    name: str
    y: Sequence[Number]
    x: Sequence[Number] = ()
    low: Sequence[Number] = ()
    high: Sequence[Number] = ()
    counts: Sequence[int] = ()

    def __post_init__(self) -> None:
        _clean(self, "name")


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        id: unique in a report, lower case with dashes; the name of its file.
        title: what it shows, in a few words.
        caption: what a reader sees in it, in a sentence or two; the text alternative.
        x: what the horizontal axis is; ``y`` is the vertical one.
        names: the categories of ``bars`` and ``rows``, or the columns of ``heat``; ``rows`` are its rows.
        cells: values by row and column, of ``heat`` and ``plane``; ``cells_are`` what the colours mean.
        y_range: ends of the axis of the values, where it must not follow them.
        edges: of a plane, the edges of its cells, first valence, then arousal.

    Raises:
        ValueError: the id is none, a number is not finite, or there are not as many of one thing as of another.
    """

    id: str
    kind: Kind
    title: str
    caption: str
    x: str
    y: str
    series: Sequence[Series] = ()
    names: Sequence[str] = ()
    rows: Sequence[str] = ()
    cells: Sequence[Sequence[Number]] = ()
    cells_are: str = ""
    form: Form = "number"
    y_range: tuple[float, float] | None = None
    edges: tuple[Sequence[float], Sequence[float]] | None = None

    def __post_init__(self) -> None:
        _clean(self, "title", "caption", "x", "y", "names", "rows", "cells_are")
        if identifier(self.id) != self.id:
            raise ValueError(f"the id {self.id!r} of a chart must be lower-case letters and digits with dashes")
        for series in self.series:
            count = len(series.y)
            sizes = {name: len(getattr(series, name)) for name in ("x", "low", "high", "counts")}
            wrong = [name for name, size in sizes.items() if size not in (0, count)]
            if self.kind in ("bars", "rows"):
                wrong += ["names"] * (len(self.names) != count)
            elif not series.x:
                wrong.append("x")
            if wrong:
                raise ValueError(
                    f"chart {self.id!r}: {series.name!r} has {count} values, which {wrong[0]} does not fit"
                )
            _see_finite(self.id, series.x, series.y, series.low, series.high)
        if self.kind == "heat" and [len(row) for row in self.cells] != [len(self.names)] * len(self.rows):
            raise ValueError(f"chart {self.id!r}: the cells are not {len(self.rows)} rows of {len(self.names)}")
        if self.kind == "plane":
            across, up = self.edges or ((), ())
            if [len(row) + 1 for row in self.cells] != [len(across)] * max(0, len(up) - 1):
                raise ValueError(f"chart {self.id!r}: the cells do not fit the edges")
        _see_finite(self.id, *self.cells)


@dataclass(frozen=True)
class Table:
    """One table: cells as text, of which the first of a row is its heading; the caption is a sentence or two."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


def _clean(owner: Chart | Series, *fields: str) -> None:
    """Clean the texts of a chart, for whoever draws it."""
    for field in fields:
        value = getattr(owner, field)
        if isinstance(value, str):
            object.__setattr__(owner, field, one_line(value))
        elif value:
            object.__setattr__(owner, field, [one_line(one) for one in value])


def _see_finite(chart: str, *values: Sequence[Number]) -> None:
    if any(value is not None and not math.isfinite(value) for some in values for value in some):
        raise ValueError(f"chart {chart!r}: a value is not finite; where there is none, it is None")


def numbers(values: NDArray[Any] | Iterable[float], digits: int = 4) -> list[Number]:
    """Values for a chart: rounded, and None for what is no number."""
    return [round(float(value), digits) if np.isfinite(value) else None for value in values]


def with_intervals(
    name: str, estimates: Sequence[Mapping[str, Any]], x: Sequence[Number] = (), counts: Sequence[int] = ()
) -> Series:
    """A series of estimates with their intervals, which ``low`` and ``high`` are; other arguments as of a series."""
    low, high = ([one.get(end) for one in estimates] for end in ("low", "high"))
    return Series(name, [one["estimate"] for one in estimates], x, low, high, counts)


def estimates_as_rows(
    id: str, title: str, caption: str, x: str, y: str, estimates: Mapping[str, Mapping[str, Any]]
) -> Chart:
    """A chart of one estimate by name, each a lying bar with its interval; other arguments as of a chart."""
    return Chart(id, "rows", title, caption, x, y, [with_intervals(x, list(estimates.values()))], names=list(estimates))


def with_ends(estimate: Mapping[str, Any], written: Callable[[float], str]) -> str:
    """An estimate with the ends of its interval: ``0.5 [0.4, 0.6]``; ``-`` where there is none."""
    value, low, high = (estimate[key] for key in ("estimate", "low", "high"))
    if value is None:
        return "-"
    return written(value) if low is None or high is None else f"{written(value)} [{written(low)}, {written(high)}]"


def identifier(*names: str) -> str:
    """An id made of names: lower case, with dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(names).lower()).strip("-") or "figure"
