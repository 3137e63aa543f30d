"""Plots of an evaluation, as PNG and SVG."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emosim_core.data.files import write_whole
from emosim_core.errors import RunError
from emosim_core.evaluation.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The palette of Okabe and Ito, which users with any colour vision can tell apart; without its yellow, which is faint
on white."""

_DASHES = ("-", "--", ":", "-.")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_INCHES_PER_LETTER = 0.075
_MANY = 6
"""Lines beyond which their bands are drawn faintly."""

_STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "text.parse_math": False,
    "svg.hashsalt": "emosim",
    "svg.fonttype": "none",
}

_LISTS = ("map_at_10", "mrr_at_10", "ndcg_at_10", "personalization", "coverage", "novelty")


def draw(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw the plots of an evaluation.

    Args:
        results: what evaluation.json holds.
        folder: where they are written, each as PNG and SVG.

    Returns:
        The files: ``reward``, ``survival``, ``reward_by_step``, ``lists`` and ``end_reasons``.

    Raises:
        RunError: a file cannot be written.
    """
    from matplotlib import rc_context

    drawn: tuple[tuple[str, Callable[[Mapping[str, Any]], Figure]], ...] = (
        ("reward", _reward),
        ("survival", _survival),
        ("reward_by_step", _reward_by_step),
        ("lists", _lists),
        ("end_reasons", _end_reasons),
    )
    written = []
    with rc_context(_STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes, and the figure is right all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        for name, make in drawn:
            figure = make(results)
            for kind, more in (("png", {"dpi": 160}), ("svg", {"metadata": {"Date": None}})):
                content = io.BytesIO()
                figure.savefig(content, format=kind, **more)
                path = folder / f"{name}.{kind}"
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                    write_whole(path, content.getvalue())
                except OSError as error:
                    raise RunError(f"{path} cannot be written: {error.strerror}") from error
                written.append(path)
    return written


def _panels(results: Mapping[str, Any], height: float, named: bool) -> tuple[Figure, list[tuple[str, Axes]]]:
    """A figure with a panel for each group of users side by side, which share their axes.

    ``named`` leaves room for the names of the recommenders to the left.
    """
    from matplotlib.figure import Figure

    user_splits = list(results["user_splits"])
    room = _INCHES_PER_LETTER * max(len(_label(name)) for name in _names(results)) if named else 0.6
    figure = Figure(figsize=(room + max(5.4, 3.6 * len(user_splits)), height), layout="constrained")
    axes = figure.subplots(1, len(user_splits), sharex=True, sharey=True, squeeze=False)[0]
    for user_split, panel in zip(user_splits, axes, strict=True):
        measured = results["user_splits"][user_split]
        panel.set_title(
            f"{_split_name(user_split)}\n{measured['users']} users, {measured['episodes']} episodes each", loc="left"
        )
    return figure, list(zip(user_splits, axes, strict=True))


def _split_name(user_split: str) -> str:
    return {"train": "Train users", "test": "Test users", "all": "All users"}.get(user_split, user_split)


def _names(results: Mapping[str, Any]) -> list[str]:
    return [one["name"] for one in results["recommenders"]]


def _label(name: str) -> str:
    """A name as a label; matplotlib hides labels that begin with an underscore."""
    short = name if len(name) <= 32 else f"{name[:14]}…{name[-17:]}"
    return f" {short}" if short.startswith("_") else short


def _legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], title: str | None = None) -> None:
    """A legend below, with as many columns as the figure is wide enough for."""
    column = 0.7 + _INCHES_PER_LETTER * max(map(len, labels))
    columns = min(len(labels), max(1, int(figure.get_figwidth() / column)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, title=title)


def _best_first(results: Mapping[str, Any]) -> list[str]:
    """Recommenders by mean reward in the last group of users."""
    measured = list(results["user_splits"].values())[-1]["recommenders"]
    return sorted(_names(results), key=lambda name: -(measured[name]["metrics"]["mean_reward"]["estimate"] or 0.0))


def _line(results: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Colour and dashes of a recommender, the same in every plot."""
    place = _names(results).index(name)
    return {"color": _COLOURS[place % len(_COLOURS)], "linestyle": _DASHES[place % len(_DASHES)]}


def _dots(panel: Axes, estimates: Sequence[Mapping[str, float | None]], offset: float, **how: Any) -> None:
    """A dot for each estimate, from the top, with its interval."""
    for row, one in enumerate(estimates):
        if one["estimate"] is None:
            continue
        if one["low"] is not None and one["high"] is not None:
            panel.plot([one["low"], one["high"]], [row + offset] * 2, color=how["color"], linewidth=1.6)
        panel.plot([one["estimate"]], [row + offset], linestyle="none", markersize=5, **how)


def _rows(panel: Axes, names: Sequence[str]) -> None:
    panel.set_yticks(range(len(names)), [_label(name) for name in names])
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.grid(axis="y", visible=False)


def _reward(results: Mapping[str, Any]) -> Figure:
    names = _best_first(results)
    figure, panels = _panels(results, 1.7 + 0.32 * len(names), named=True)
    for user_split, panel in panels:
        measured = results["user_splits"][user_split]["recommenders"]
        _dots(panel, [measured[n]["metrics"]["mean_reward"] for n in names], 0.0, color=_COLOURS[0], marker="o")
        _rows(panel, names)
    figure.supxlabel("mean reward of an episode, with its 95 % interval over users", fontsize="medium")
    return figure


def _curves(results: Mapping[str, Any], curve: str, least: float) -> tuple[Figure, list[tuple[str, Axes]]]:
    """A line with its interval for each recommender, as far as a share ``least`` of the episodes is still there."""
    figure, panels = _panels(results, 3.8 + 0.12 * len(_names(results)), named=False)
    lines: dict[str, Any] = {}
    alpha = 0.12 if len(_names(results)) <= _MANY else 0.05
    for user_split, panel in panels:
        for name in _names(results):
            curves = results["user_splits"][user_split]["recommenders"][name]["curves"]
            estimates = np.array([one["estimate"] for one in curves["survival"]], dtype=np.float64)
            steps = np.flatnonzero(estimates >= least)
            middle, low, high = (
                np.array([curves[curve][step][key] for step in steps], dtype=np.float64)
                for key in ("estimate", "low", "high")
            )
            style = _line(results, name)
            (lines[name],) = panel.plot(steps + 1, middle, linewidth=1.6, **style)
            panel.fill_between(steps + 1, low, high, color=style["color"], alpha=alpha, linewidth=0)
        panel.set_xlabel("step")
    _legend(figure, list(lines.values()), [_label(name) for name in lines])
    return figure, panels


def _survival(results: Mapping[str, Any]) -> Figure:
    figure, panels = _curves(results, "survival", 0.0)
    for _, panel in panels:
        panel.set_ylim(0, 1.02)
        panel.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    panels[0][1].set_ylabel("episodes still going on")
    return figure


def _reward_by_step(results: Mapping[str, Any]) -> Figure:
    figure, panels = _curves(results, "reward", 0.1)
    panels[0][1].set_ylabel("mean reward of the step, of those still there\n(while 10 % of the episodes are)")
    return figure


def _lists(results: Mapping[str, Any]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    names, user_splits = _best_first(results), list(results["user_splits"])
    titles = {metric.name: metric for metric in METRICS}
    room = _INCHES_PER_LETTER * max(len(_label(name)) for name in names)
    figure = Figure(figsize=(room + 8.4, 2.2 + 0.64 * len(names)), layout="constrained")
    axes = figure.subplots(2, 3, sharey=True)
    for name, panel in zip(_LISTS, axes.flat, strict=True):
        for place, user_split in enumerate(user_splits):
            measured = results["user_splits"][user_split]["recommenders"]
            offset = 0.24 * (place - (len(user_splits) - 1) / 2)
            how = {"color": _COLOURS[place], "marker": _MARKERS[place]}
            _dots(panel, [measured[one]["metrics"][name] for one in names], offset, **how)
        _rows(panel, names)
        panel.xaxis.set_major_locator(MaxNLocator(nbins=4))
        if name != "novelty":
            panel.set_xlim(right=min(panel.get_xlim()[1], 1.02))
        panel.set_title(titles[name].title + (" (bits)" if name == "novelty" else ""), loc="left")
        if titles[name].share:
            panel.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    keys = [Line2D([], [], color=_COLOURS[i], marker=_MARKERS[i], linewidth=1.6) for i in range(len(user_splits))]
    _legend(figure, keys, [_split_name(user_split) for user_split in user_splits])
    return figure


def _end_reasons(results: Mapping[str, Any]) -> Figure:
    from matplotlib.patches import Patch

    names = _best_first(results)
    reasons = sorted(
        {reason for one in results["user_splits"].values() for reason in one["recommenders"][names[0]]["end_reasons"]}
    )
    figure, panels = _panels(results, 2.1 + 0.34 * len(names), named=True)
    hatches = ("", "///", "...", "xxx", "\\\\\\", "+++", "ooo")
    looks: list[dict[str, Any]] = [
        {"facecolor": _COLOURS[i % 7], "hatch": hatches[i % 7], "edgecolor": "white"} for i in range(len(reasons))
    ]
    for user_split, panel in panels:
        offset = np.zeros(len(names))
        for reason, look in zip(reasons, looks, strict=True):
            ordered = [
                results["user_splits"][user_split]["recommenders"][name]["end_reasons"].get(reason) for name in names
            ]
            shares = np.array([0.0 if one is None else one["estimate"] for one in ordered], dtype=np.float64)
            panel.barh(range(len(names)), shares, left=offset, height=0.68, linewidth=0.4, **look)
            offset += shares
        _rows(panel, names)
        panel.set_xlim(0, 1)
        panel.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    patches = [Patch(linewidth=0.4, **look) for look in looks]
    _legend(figure, patches, [reason.replace("_", " ") for reason in reasons], "why episodes ended")
    return figure
