"""Live: how far a job has come, its curves, its newest episodes and what it spends, while it is being written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emosim_core.errors import EmoSimError
from emosim_core.kinds import INTERACTIONS, MANIFEST, RUN, SUMMARY, TRAINING
from emosim_core.llm.backend import LLMBackend, Price
from emosim_core.model.arrays import Floats, Ints
from emosim_core.reports.chart import Chart, Series, numbers
from emosim_core.reports.directories import JobInfo, resume_command
from emosim_core.reports.make import report_of
from emosim_core.runs.records import read_json, read_summary
from emosim_core.runs.transcript import TRANSCRIPT
from emosim_core.runs.trust import CommandHint, confirmed
from emosim_core.runs.words import summary_rows, usage_rows
from emosim_core.simulation.config import RunConfig
from emosim_core.training.curves import read_progress
from emosim_core.view.context import Context
from emosim_core.view.listing import pages_of
from emosim_core.view.tails import BlockTail, LinesTail, Point, Tail, UsageTail, spending

_POINTS = 40
_CHARTS = 4

LATER = (
    "Parquet files are written in blocks of many episodes: their stories can be read from the first one on, which may "
    "be at the end of the run."
)
NEVER = "This run keeps no records, so there are no stories to read."


class Followed:
    """What is known of each job that somebody follows."""

    def __init__(self, context: Context) -> None:
        self._context, self._listing = context, context.listing
        self._lock = Lock()
        self._tails: dict[Path, Tail] = {}
        self._usages: dict[Path, UsageTail] = {}

    def values(self, place: Path, path: str) -> dict[str, Any] | None:
        """What a page shows of a job that may be running; None where the directory is no job any more."""
        info = self._listing.job(place)
        if info is None:
            return None
        value: dict[str, Any] = {
            "state": info.state,
            "headline": info.headline,
            "stopped": info.stopped,
            "resume": resume_command(info, Path(self._context.shown) / path),
            "progress": None,
            "charts": [],
            "newest": [],
            "spending": [],
            "later": "",
            "trouble": "",
            "pages": pages_of(info),
        }
        with self._lock:
            try:
                if info.kind == RUN:
                    self._run(info, value)
                elif info.kind == TRAINING:
                    _training(info, value)
                elif info.state != "complete":
                    self._parts(info, value)
            except EmoSimError as error:
                value["trouble"] = str(error)
        return value

    def _run(self, info: JobInfo, value: dict[str, Any]) -> None:
        config = read_json(info.path / MANIFEST)["config"]
        if info.state != "complete":
            records = str(config.get("records") or "jsonl").partition(":")[0]
            tail = self._tails.setdefault(
                info.path, LinesTail(info.path / INTERACTIONS) if records == "jsonl" else BlockTail(info.path)
            )
            tail.advance()
            value["charts"] = [asdict(chart) for chart in _charts(tail.points)]
            value["newest"] = list(tail.newest)
            done = max(info.done, tail.done)
            value["progress"] = {"done": done, "total": config["episodes"], "unit": "episodes"}
            if info.state == "running" and records != "jsonl" and not value["pages"]["episodes"]:
                value["later"] = NEVER if records == "none" else LATER
        summary = read_summary(info.path) if (info.path / SUMMARY).exists() else None
        if summary is not None and info.state == "complete":
            value["summary"] = summary_rows(summary)
        if summary is not None and summary["usage"]:
            value["spending"] = usage_rows(summary["usage"])
        else:
            value["spending"] = self._spending([info.path])

    def _spending(self, places: Sequence[Path]) -> list[tuple[str, str]]:
        """What language models took for some runs so far, as far as their transcripts tell."""
        tails = []
        for place in places:
            if (place / TRANSCRIPT).exists():
                if place not in self._usages:
                    self._usages[place] = UsageTail(place / TRANSCRIPT, _price(self._context, place))
                tails.append(self._usages[place])
                tails[-1].advance()
        return spending(tails)

    def _parts(self, info: JobInfo, value: dict[str, Any]) -> None:
        parts = self._listing.jobs(info.path)
        jobs = read_json(info.path / MANIFEST).get("jobs") if (info.path / MANIFEST).exists() else None
        total = len(jobs) if isinstance(jobs, list) else None
        done = sum(part.state == "complete" for part in parts)
        value["progress"] = {"done": done, "total": total, "unit": "parts"}
        value["spending"] = self._spending([part.path for part in parts if part.kind == RUN])
        value["parts"] = [[part.path.relative_to(info.path).as_posix(), part.state, part.headline] for part in parts]


def _price(context: Context, place: Path) -> Price | None:
    """The price of the model of a run; None where it is not known, or its user did not make the run here."""
    config = read_json(place / MANIFEST)["config"]
    rater = config.get("rater")
    if not isinstance(rater, dict) or rater.get("name") != "llm":
        return None
    again = CommandHint("", options={})
    try:
        confirmed(place, config, {}, config, (RunConfig,), context.registry, again)
        chosen = context.registry.resolve("llm_backend", rater["model"], config["plugin"])
        return chosen.build(LLMBackend).price()
    except (EmoSimError, LookupError):
        return None


def _charts(points: Sequence[Point]) -> list[Chart]:
    """Reward and rating over the episodes, in as many groups as a chart has points."""
    if len(points) < 2:
        return []
    counts = np.array([count for count, _, _ in points])
    groups = np.array_split(np.arange(len(points)), min(_POINTS, len(points)))
    x = [int(counts[: group[-1] + 1].sum()) for group in groups]
    size = "Each point is the mean of the episodes that ended since the one before."
    if x == list(range(1, len(x) + 1)):
        size = "Episode by episode, in the order in which they ended."
    ratings = np.array([np.nan if rating is None else rating for _, _, rating in points])
    charts = []
    for id_, title, values in (
        ("live-reward", "Reward per episode", np.array([reward for _, reward, _ in points])),
        ("live-rating", "Mean rating", ratings),
    ):
        means = [_mean(values[group], counts[group]) for group in groups]
        y = numbers(np.array(means))
        charts.append(Chart(id_, "lines", title, size, "episodes that ended", title.lower(), [Series(title, y, x)]))
    return charts


def _mean(values: Floats, counts: Ints) -> float:
    """The mean of what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    return float(np.average(values[known], weights=counts[known])) if known.any() else float("nan")


def _training(info: JobInfo, value: dict[str, Any]) -> None:
    if info.state == "complete":
        return
    lines = read_progress(info.path)
    config = read_json(info.path / MANIFEST)["config"] if (info.path / MANIFEST).exists() else {}
    done = lines[-1]["timesteps"] if lines else 0
    total = config.get("timesteps")
    value["progress"] = {"done": done, "total": total if isinstance(total, int) else None, "unit": "steps"}
    if len(lines) > 1:
        value["charts"] = [asdict(chart) for chart in report_of(info.path).charts[:_CHARTS]]


def routes(context: Context) -> Sequence[BaseRoute]:
    """The stream of a job."""
    followed = Followed(context)

    def stream(request: Request) -> Response:
        path = request.query_params.get("path", "")
        place = context.directory(path)
        return context.stream(request, lambda: followed.values(place, path))

    return [Route("/api/live", stream)]
