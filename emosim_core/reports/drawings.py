"""Drawings: charts as files for papers, drawn with matplotlib."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emosim_core.data.files import write_whole
from emosim_core.errors import MissingDependencyError, RunError
from emosim_core.reports.chart import BANDS, Chart, Number, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from emosim_core.reports.figure import ChartFigure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The palette of Okabe and Ito, which users with any colour vision can tell apart; without its yellow, which is faint
on white."""

_DASHES = ("-", "--", ":", "-.")
_HATCHES = ("", "///", "...")
"""Of bars, where the colours begin again."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DOTS_PER_INCH = 200
_LONGEST_NAME = 44
_INCHES_PER_LETTER = 0.075
_COLUMNS = 3
"""Most charts beside each other in a file."""

_MOST_AT_ENDS = 8
"""Lines whose names stand at their ends; more names would not fit beside the chart, so a legend has them."""

_STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.parse_math": False,  # titles of films may hold what matplotlib would read as a formula
    "svg.hashsalt": "emosim",  # ids of an SVG must not differ between two runs
    "svg.fonttype": "none",
}


def need_matplotlib(what: str, extra: str = "report") -> None:
    """See that matplotlib, which ``what`` needs and an extra brings, is installed; else a MissingDependencyError."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependencyError(what, "matplotlib", f'pip install "emosim-core[{extra}]"') from error


def draw_charts(charts: Sequence[Chart], directory: Path) -> list[Path]:
    """Write each chart as PNG and SVG, named by its id; arguments and errors as of :func:`draw_files`."""
    return draw_files({chart.id: [chart] for chart in charts}, directory)


def draw_files(charts: Mapping[str, Sequence[Chart]], directory: Path) -> list[Path]:
    """Write the charts of each file, which share the axes that are the same, as PNG and SVG; returns the files.

    A MissingDependencyError without matplotlib, a RunError where a file cannot be written.
    """
    need_matplotlib("drawing charts")
    written = []
    for name, panels in charts.items():
        with _drawn(panels) as figure:
            for kind in ("png", "svg"):
                path = directory / f"{name}.{kind}"
                try:
                    directory.mkdir(parents=True, exist_ok=True)
                    write_whole(path, _saved(figure, kind))
                except OSError as error:
                    raise RunError(f"{path} cannot be written: {error.strerror}") from error
                written.append(path)
    return written


def svg(chart: Chart) -> bytes:
    """One chart as an SVG file, for pages where no script draws it: on paper, or without JavaScript."""
    need_matplotlib("drawing charts")
    with _drawn([chart]) as figure:
        return _saved(figure, "svg")


def figure_of(chart: Chart) -> ChartFigure:
    """One chart as a figure, for notebooks and papers; a MissingDependencyError without matplotlib."""
    need_matplotlib("drawing charts")
    with _drawn([chart]) as figure:
        return figure


@contextmanager
def _drawn(charts: Sequence[Chart]) -> Iterator[ChartFigure]:
    """The figure of some charts, in the style in which it has to be saved too."""
    with _style():
        yield _figure(charts)


@contextmanager
def _style() -> Iterator[None]:
    """The style of all drawings."""
    from matplotlib import rc_context

    with rc_context(_STYLE), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; the chart is right all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _saved(figure: Figure, kind: str) -> bytes:
    """A figure as the bytes of a file, the same ones each time."""
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=_DOTS_PER_INCH, metadata={"Date": None} if kind == "svg" else None)
    return content.getvalue()


def _figure(charts: Sequence[Chart]) -> ChartFigure:
    from emosim_core.reports.figure import ChartFigure

    columns = min(_COLUMNS, len(charts))
    rows = -(-len(charts) // columns)
    widths, heights = zip(*(_size(chart) for chart in charts), strict=True)
    figure = ChartFigure(_style, figsize=(max(widths) * columns, max(heights) * rows), layout="constrained")
    shared: dict[str, Any] = {f"share{axis}": len({getattr(one, axis) for one in charts}) == 1 for axis in ("x", "y")}
    panels = figure.subplots(rows, columns, squeeze=False, **shared).ravel()
    for axes in panels[len(charts) :]:
        axes.set_visible(False)
    for place, (axes, chart) in enumerate(zip(panels, charts, strict=False)):
        _DRAW[chart.kind](axes, chart)
        if len(charts) > 1:
            axes.set_title(_name(chart.title), loc="left")
        if shared["sharey"] and place % columns:
            axes.set_ylabel("")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if len(labels) > 1 and not _named_at_ends(charts[0]):
        most = int(figure.get_figwidth() / (0.7 + _INCHES_PER_LETTER * max(map(len, labels))))
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), max(1, most)))
    return figure


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
    if all(end is None for end in series.low):
        return None
    y, low, high = _floats(series.y), _floats(series.low), _floats(series.high)
    return np.nan_to_num(np.maximum([y - low, high - y], 0.0))


def _name(text: str) -> str:
    """A text as a label: not too long, and with a space before an underscore, without which matplotlib hides it."""
    short = text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
    return f" {short}" if short.startswith("_") else short


def _label(axes: Axes, chart: Chart, values: str) -> None:
    """Name the axes; the one of the values, ``"x"`` or ``"y"``, follows the form and the range of the chart."""
    axes.set_xlabel(chart.x)
    axes.set_ylabel("" if chart.kind == "rows" else chart.y)
    axes.grid(axis="x" if values == "x" else "y")
    if chart.form == "share":
        from matplotlib.ticker import PercentFormatter

        getattr(axes, f"{values}axis").set_major_formatter(PercentFormatter(1.0, decimals=None))
    if chart.y_range:
        axes.set(**{f"{values}lim": chart.y_range})


def _bars(axes: Axes, chart: Chart) -> None:
    lying = chart.kind == "rows"
    draw: Callable[..., Any] = axes.barh if lying else axes.bar
    width = 0.8 / max(1, len(chart.series))
    for k, series in enumerate(chart.series):
        places = np.arange(len(series.y)) + (k - (len(chart.series) - 1) / 2) * width
        errors = {"xerr" if lying else "yerr": _errors(series)}
        colour, hatch = _COLOURS[k % len(_COLOURS)], _HATCHES[k // len(_COLOURS) % len(_HATCHES)]
        look = {"color": colour, "hatch": hatch, "capsize": 1.5}
        draw(places, _floats(series.y), width, label=_name(series.name), **look, **errors)
    every = 1 if lying else max(1, -(-len(chart.names) // 12))
    (axes.set_yticks if lying else axes.set_xticks)(
        list(range(0, len(chart.names), every)), list(map(_name, chart.names[::every]))
    )
    if lying:
        axes.set_ylim(len(chart.names) - 0.5, -0.5)
    _label(axes, chart, "x" if lying else "y")


def _lines(axes: Axes, chart: Chart) -> None:
    banded = sum(bool(series.low) for series in chart.series) <= BANDS
    for k, series in enumerate(chart.series):
        x, y = _floats(series.x), _floats(series.y)
        colour = _COLOURS[k % len(_COLOURS)]
        if series.low and banded:
            axes.fill_between(x, _floats(series.low), _floats(series.high), color=colour, alpha=0.2, lw=0)
        look: dict[str, Any] = {"color": colour, "ls": _DASHES[k % len(_DASHES)], "marker": _MARKERS[k % len(_MARKERS)]}
        axes.plot(x, y, label=_name(series.name), ms=4, markevery=max(1, len(x) // 8), **look)
    _label(axes, chart, "y")
    if _named_at_ends(chart):
        _name_at_ends(axes)


def _named_at_ends(chart: Chart) -> bool:
    return chart.kind == "lines" and len(chart.series) <= _MOST_AT_ENDS


def _name_at_ends(axes: Axes) -> None:
    """Write the names of several lines at their ends, moved apart where they would overlap."""
    values = {line: np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.lines}
    lasts = {line: some[~np.isnan(some)][-1:] for line, some in values.items()}
    ends = sorted(((float(last[0]), line) for line, last in lasts.items() if len(last)), key=lambda end: end[0])
    if len(ends) < 2:
        return
    low, high = axes.get_ylim()
    gap = 0.06 * (high - low)
    places = [ends[0][0]]
    for end, _ in ends[1:]:
        places.append(max(end, places[-1] + gap))
    above = max(0.0, places[-1] - high)
    for place, (_, line) in zip(places, ends, strict=True):
        at: Any = ("axes fraction", "data")
        axes.annotate(str(line.get_label()), (1.02, place - above), xycoords=at, color=line.get_color(), va="center")


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
        colour = _COLOURS[k % len(_COLOURS)]
        axes.plot(x, y, color=colour, label=_name(series.name), marker=".", ms=3)
        axes.plot(x[:1], y[:1], color=colour, marker="o", mfc="white", ms=7)
    axes.set(xlim=(-1, 1), ylim=(0, 1), xlabel=chart.x, ylabel=chart.y)


_DRAW: dict[str, Callable[[Axes, Chart], None]] = {
    "bars": _bars,
    "rows": _bars,
    "lines": _lines,
    "heat": _heat,
    "plane": _plane,
}
