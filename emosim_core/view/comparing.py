"""Comparing: two to ten directories beside each other: differences with intervals, curves, configurations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from emosim_core.errors import ConfigurationError, EmoSimError
from emosim_core.evaluation.columns import read_episodes
from emosim_core.evaluation.plan import trainings_of
from emosim_core.kinds import EVALUATION, RUN, TRAINING
from emosim_core.reports.chart import Chart, Series, numbers
from emosim_core.reports.compare import Comparison, Metric, compare, is_share
from emosim_core.reports.compare_trainings import Trained, TrainingComparison, compare_trainings, report_of_comparison
from emosim_core.runs.words import decimal, signed, users_of
from emosim_core.view.context import Context
from emosim_core.view.listing import signature
from emosim_core.view.places import relative

FEWEST, MOST = 2, 10
"""How many directories are compared."""

_POINTS = 30


def routes(context: Context) -> Sequence[BaseRoute]:
    """The page of a comparison, and what it shows."""

    def chosen(request: Request) -> list[Path]:
        paths = request.query_params.getlist("d")
        if len(set(paths)) != len(paths) or not FEWEST <= len(paths) <= MOST:
            raise ConfigurationError(f"choose {FEWEST} to {MOST} different directories in the list, got {len(paths)}")
        return [context.directory(path) for path in paths]

    def show(request: Request) -> Response:
        paths = request.query_params.getlist("d")
        return context.page(
            request, "compare.html.j2", charts=True, title="Compare", scripts=("compare.js",), data={"paths": paths}
        )

    @lru_cache(maxsize=32)
    def compared(places: tuple[Path, ...], _: Any) -> dict[str, Any]:
        return _compared(context, places)

    def answer(request: Request) -> Response:
        places = tuple(chosen(request))
        return JSONResponse(compared(places, tuple(map(signature, places))))

    return [Route("/compare", show), Route("/api/compare", answer)]


def _compared(context: Context, places: Sequence[Path]) -> dict[str, Any]:
    kinds = [_kind(context, place) for place in places]

    def name(directory: str) -> str:
        return relative(context.root, Path(directory)) or context.root.name

    if set(kinds) == {TRAINING}:
        return _of_trainings(compare_trainings(places), name)
    if set(kinds) <= {RUN, EVALUATION}:
        return _of_runs(compare(places), name)
    if TRAINING in kinds and set(kinds) <= {RUN, EVALUATION, TRAINING}:
        raise ConfigurationError(
            "trainings are compared with trainings, and runs with runs: they measure other things. To see a trained "
            "recommender beside others, use: emosim evaluate"
        )
    raise ConfigurationError(
        f"runs, evaluations and trainings can be compared; chosen were: {', '.join(sorted(set(kinds)))}"
    )


def _kind(context: Context, place: Path) -> str:
    info = context.listing.job(place)
    kind = info.kind if info is not None else ""
    inside = [] if kind in (RUN, EVALUATION, TRAINING) else [Path(one) for one in trainings_of(str(place))]
    within = context.listing.job(inside[0]) if inside and inside != [place] else None
    return TRAINING if within is not None and within.kind == TRAINING else kind or "nothing"


def _of_runs(comparison: Comparison, name: Callable[[str], str]) -> dict[str, Any]:
    first = comparison.runs[0]
    rows = []
    for label in first.metrics:
        cells = [_metric(run.metrics[label], is_share(label)) for run in comparison.runs if label in run.metrics]
        rows.append({"name": label, "cells": cells})
    charts = []
    try:
        series = [_over_episodes(Path(run.directory), name(run.directory)) for run in comparison.runs]
        caption = "Mean reward over groups of episodes, in the order of their numbers: a policy that learns rises."
        charts.append(
            Chart("reward", "lines", "Reward over the episodes", caption, "episode", "reward per episode", series)
        )
    except EmoSimError:
        pass  # the table says what there is
    return {
        "domain": comparison.domain,
        "columns": [
            {"name": name(run.directory), "about": f"{run.episodes:,} episodes, {run.users:,} users"}
            for run in comparison.runs
        ],
        "rows": rows,
        "charts": [asdict(chart) for chart in charts],
        "differs": _differs([run.differs_in for run in comparison.runs]),
        "notes": [_short(note, comparison.runs, name) for note in comparison.notes],
        "same": "Their configurations, components, data and versions are the same.",
        "method": (
            f"95 % bootstrap intervals over users, {comparison.resamples:,} resamples. Differences are to the first; "
            "one whose interval leaves out 0 is marked."
        ),
    }


def _of_trainings(comparison: TrainingComparison, name: Callable[[str], str]) -> dict[str, Any]:
    cells = []
    for one in comparison.trainings:
        cell = _estimate(one.reward, False)
        if one.difference is not None:
            cell["difference"] = _estimate(one.difference, True)
            cell["shown"] = _leaves_out_zero(one.difference)
        cells.append(cell)
    split = users_of(comparison.user_split)
    return {
        "domain": comparison.domain,
        "columns": [{"name": name(one.directory), "about": _about(one)} for one in comparison.trainings],
        "rows": [{"name": f"reward per episode, {split}", "cells": cells}],
        "charts": [asdict(_named(chart, comparison, name)) for chart in report_of_comparison(comparison).charts],
        "differs": _differs([one.differs_in for one in comparison.trainings]),
        "notes": [_short(note, comparison.trainings, name) for note in comparison.notes],
        "same": "But for their seeds, their configurations, components, data and versions are the same.",
        "method": (
            f"The last evaluation of each; 95 % bootstrap intervals over users, {comparison.resamples:,} resamples. "
            "Differences are to the first; one whose interval leaves out 0 is marked."
        ),
    }


def _about(one: Trained) -> str:
    seeds = f", {one.seeds} seeds" if one.seeds > 1 else ""
    return f"{one.timesteps:,} steps{seeds}; {one.users:,} users"


def _named(chart: Chart, comparison: TrainingComparison, name: Callable[[str], str]) -> Chart:
    """A chart whose lines are named as the columns are."""
    names = {one.directory: name(one.directory) for one in comparison.trainings}
    series = [Series(**{**vars(one), "name": names.get(one.name, one.name)}) for one in chart.series]
    return Chart(**{**vars(chart), "series": series})


def _short(note: str, ones: Sequence[Any], name: Callable[[str], str]) -> str:
    for one in sorted(ones, key=lambda one: -len(one.directory)):
        note = note.replace(one.directory, name(one.directory))
    return note


def _metric(metric: Metric, share: bool) -> dict[str, Any]:
    cell = _estimate({"estimate": metric.mean, "low": metric.low, "high": metric.high}, False, share)
    if metric.difference is not None:
        difference = {"estimate": metric.difference, "low": metric.difference_low, "high": metric.difference_high}
        cell["difference"] = _estimate(difference, True, share)
        cell["shown"] = _leaves_out_zero(difference)
    return cell


def _leaves_out_zero(estimate: Any) -> bool:
    low, high = estimate["low"], estimate["high"]
    return low is not None and high is not None and (low > 0 or high < 0)


def _estimate(estimate: Any, sign: bool, share: bool = False) -> dict[str, Any]:
    """An estimate as it is shown, and its interval where it has one."""

    def written(value: float | None) -> str:
        if not share or value is None:
            return decimal(value, 2, sign)
        return f"{signed(100 * value, 1)} pp" if sign else f"{100 * value:.1f}%"

    low, high = estimate["low"], estimate["high"]
    ends = "" if low is None or high is None else f"{written(low)} to {written(high)}"
    return {"value": written(estimate["estimate"]), "interval": ends}


def _differs(differences: Sequence[Any]) -> list[dict[str, Any]]:
    """Option by option, what each has: what the first has stands where another does not differ."""
    options = dict.fromkeys(option for one in differences for option in one)
    rows = []
    for option in options:
        first = next(one[option][0] for one in differences if option in one)
        rows.append({"name": option, "cells": [one[option][1] if option in one else first for one in differences]})
    return rows


def _over_episodes(place: Path, name: str) -> Series:
    ended = read_episodes(place).ended
    order = np.argsort(ended.number)
    groups = [group for group in np.array_split(order, min(_POINTS, len(order))) if len(group)]
    return Series(
        name,
        numbers([ended.reward[group].mean() for group in groups]),
        [int(ended.number[group[-1]]) + 1 for group in groups],
    )
