"""Drawings: the charts of a report as files for papers, drawn with matplotlib."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emosim_core.data.files import write_whole
from emosim_core.errors import MissingDependencyError, RunError
from emosim_core.reports.chart import BANDS, Chart, Number, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = ("png", "svg")

_COLOURS = ("#1f5fa8", "#c2570c", "#2e7d5b", "#7b4bab")
_DOTS_PER_INCH = 200
_LONGEST_NAME = 44


def draw_charts(charts: Sequence[Chart], directory: Path) -> list[Path]:
    """Write each chart as PNG and SVG, named by its id.

    Args:
        charts: what to draw.
        directory: where to; made if need be.

    Returns:
        The files.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        RunError: a file cannot be written.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure as Sheet
    except ModuleNotFoundError as error:
        raise MissingDependencyError("drawing charts", "matplotlib", 'pip install "emosim-core[report]"') from error
    written = []
    # Titles of films may hold what matplotlib would read as a formula; ids of an SVG must not differ between two runs.
    settings: dict[Any, Any] = {
        "text.parse_math": False,
        "svg.hashsalt": "emosim",
        "svg.fonttype": "none",
        "font.size": 9,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; the chart is right all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        for chart in charts:
            sheet = Sheet(figsize=_size(chart), layout="constrained")
            axes = sheet.add_subplot()
            _DRAW[chart.kind](axes, chart)
            for format_ in FORMATS:
                content = io.BytesIO()
                metadata = {"Date": None} if format_ == "svg" else None
                sheet.savefig(content, format=format_, dpi=_DOTS_PER_INCH, metadata=metadata)
                path = directory / f"{chart.id}.{format_}"
                try:
                    directory.mkdir(parents=True, exist_ok=True)
                    write_whole(path, content.getvalue())
                except OSError as error:
                    raise RunError(f"{path} cannot be written: {error.strerror}") from error
                written.append(path)
    return written


def _size(chart: Chart) -> tuple[float, float]:
    """Width and height in inches."""
    if chart.kind == "rows":
        return 5.5, 1.2 + 0.22 * len(chart.names) * max(1, len(chart.series) * 0.7)
    if chart.kind == "heat":
        return 2.5 + 0.26 * len(chart.names), 2.2 + 0.2 * len(chart.rows)
    return 5.5, 3.4


def _floats(values: Sequence[Number]) -> Any:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _errors(series: Series) -> Any:
    if not series.low:
        return None
    y, low, high = _floats(series.y), _floats(series.low), _floats(series.high)
    return np.nan_to_num(np.maximum([y - low, high - y], 0.0))


def _name(text: str) -> str:
    """A text as a label: not too long, and with a space before an underscore, without which matplotlib hides it."""
    short = text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
    return f" {short}" if short.startswith("_") else short


def _shares(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, decimals=None))


def _label(axes: Axes, chart: Chart) -> None:
    axes.set_xlabel(chart.x)
    axes.set_ylabel(chart.y)
    axes.spines[["top", "right"]].set_visible(False)
    if len(chart.series) > 1:
        axes.legend(frameon=False)


def _bars(axes: Axes, chart: Chart) -> None:
    width = 0.8 / max(1, len(chart.series))
    for k, series in enumerate(chart.series):
        x = np.arange(len(series.y)) + (k - (len(chart.series) - 1) / 2) * width
        axes.bar(
            x,
            _floats(series.y),
            width,
            yerr=_errors(series),
            label=_name(series.name),
            color=_COLOURS[k % 4],
            capsize=1.5,
        )
    every = -(-len(chart.names) // 12)
    ticks = range(0, len(chart.names), max(1, every))
    axes.set_xticks(list(ticks), [_name(chart.names[tick]) for tick in ticks])
    if chart.form == "share":
        _shares(axes.yaxis)
    if chart.y_range:
        axes.set_ylim(*chart.y_range)
    _label(axes, chart)


def _rows(axes: Axes, chart: Chart) -> None:
    width = 0.8 / max(1, len(chart.series))
    for k, series in enumerate(chart.series):
        y = np.arange(len(series.y)) + (k - (len(chart.series) - 1) / 2) * width
        axes.barh(
            y,
            _floats(series.y),
            width,
            xerr=_errors(series),
            label=_name(series.name),
            color=_COLOURS[k % 4],
            capsize=1.5,
        )
    axes.set_yticks(range(len(chart.names)), [_name(name) for name in chart.names])
    axes.invert_yaxis()
    if chart.form == "share":
        _shares(axes.xaxis)
    if chart.y_range:
        axes.set_xlim(*chart.y_range)
    _label(axes, chart)
    axes.set_ylabel("")


def _lines(axes: Axes, chart: Chart) -> None:
    styles = ("-", "--", ":", "-.")
    for k, series in enumerate(chart.series):
        x, y = _floats(series.x), _floats(series.y)
        if series.low and len(chart.series) <= BANDS:
            axes.fill_between(x, _floats(series.low), _floats(series.high), color=_COLOURS[k % 4], alpha=0.2, lw=0)
        marker = "o" if len(x) == 1 else ""
        axes.plot(x, y, label=_name(series.name), color=_COLOURS[k % 4], ls=styles[(k + k // 4) % 4], marker=marker)
    if chart.form == "share":
        _shares(axes.yaxis)
    if chart.y_range:
        axes.set_ylim(*chart.y_range)
    _label(axes, chart)


def _heat(axes: Axes, chart: Chart) -> None:
    low, high = chart.y_range or (None, None)
    cells = np.array([_floats(row) for row in chart.cells])
    image = axes.imshow(cells, aspect="auto", cmap="cividis", vmin=low, vmax=high, interpolation="none")
    names = [_name(name) for name in chart.names]
    axes.set_xticks(range(len(names)), names, rotation=55, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(chart.rows)), [_name(name) for name in chart.rows])
    assert axes.figure is not None
    axes.figure.colorbar(image, ax=axes, label=chart.cells_are)


def _plane(axes: Axes, chart: Chart) -> None:
    if chart.edges is not None:
        cells = np.array([_floats(row) for row in chart.cells])
        mesh = axes.pcolormesh(*chart.edges, cells, cmap="Purples", vmin=0.0, alpha=0.7)
        assert axes.figure is not None
        axes.figure.colorbar(mesh, ax=axes, label=chart.cells_are)
    for k, series in enumerate(chart.series):
        x, y = _floats(series.x), _floats(series.y)
        axes.plot(x, y, color=_COLOURS[k % 4], label=_name(series.name), marker=".", ms=3)
        axes.plot(x[:1], y[:1], color=_COLOURS[k % 4], marker="o", mfc="white", ms=7)
    axes.set_xlim(-1, 1)
    axes.set_ylim(0, 1)
    _label(axes, chart)


_DRAW: dict[str, Callable[[Axes, Chart], None]] = {
    "bars": _bars,
    "rows": _rows,
    "lines": _lines,
    "heat": _heat,
    "plane": _plane,
}
