"""Live: how far a job has come, its curves, its newest episodes and what it spends, while it is being written."""

from __future__ import annotations

from collections import deque
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
from emosim_core.kinds import BLOCKS, INTERACTIONS, MANIFEST, RUN, SUMMARY, TRAINING
from emosim_core.llm.prompts.fencing import legible
from emosim_core.reports.chart import Chart, Series, numbers
from emosim_core.reports.directories import JobInfo, resume_command
from emosim_core.reports.make import report_of
from emosim_core.runs import schemas
from emosim_core.runs.reading import lines_of, parse, read_line
from emosim_core.runs.records import open_blocks, read_json, read_summary
from emosim_core.runs.transcript import TRANSCRIPT
from emosim_core.runs.words import END_REASONS, usage_rows
from emosim_core.training.curves import read_progress
from emosim_core.view.context import Context
from emosim_core.view.listing import Listing

_AT_ONCE = 16_000_000
"""Bytes of new lines that are read at a time; the others next time."""

_NEWEST = 12
_POINTS = 40
_CHARTS = 4


class RunTail:
    """Follows interactions.jsonl of a run as it grows.

    Attributes:
        rewards, ratings: total reward and mean rating, None where nothing was rated, of each episode that ended.
        newest: the episodes that ended last, the last one first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin()

    def _begin(self) -> None:
        self._offset = 0
        self._open: dict[int, dict[str, Any]] = {}
        self.steps = 0
        self.rewards: list[float] = []
        self.ratings: list[float | None] = []
        self.newest: deque[dict[str, Any]] = deque(maxlen=_NEWEST)

    def advance(self) -> None:
        """Read what came since the last time; a RunError where a line is damaged."""
        size = self._path.stat().st_size if self._path.exists() else 0
        if size < self._offset:  # it was cut when the run was resumed
            self._begin()
        if size == self._offset:
            return
        until = self._offset + _AT_ONCE
        for _, line in lines_of(self._path, self._offset):
            self._offset += len(line)
            self._take(read_line(f"{self._path}:", line, schemas.STEP))
            if self._offset > until:
                return

    def _take(self, record: dict[str, Any]) -> None:
        one = self._open.setdefault(
            record["episode"], {"name": record["user"], "reward": 0.0, "total": 0.0, "rated": 0, "steps": 0}
        )
        if "user_profile" in record:
            one["name"] = legible(record["user_profile"]["name"])
        one["reward"] += record["reward"]
        one["steps"] += bool(record["recommended"])
        self.steps += bool(record["recommended"])
        for item in record["recommended"]:
            if item["consumed"]:
                one["total"], one["rated"] = one["total"] + item["rating"], one["rated"] + 1
        if record["end_reason"] is None:
            return
        self._open.pop(record["episode"])
        mean = one["total"] / one["rated"] if one["rated"] else None
        self.rewards.append(one["reward"])
        self.ratings.append(mean)
        self.newest.appendleft(
            {
                "number": record["episode"],
                "user": one["name"],
                "steps": one["steps"],
                "reward": round(one["reward"], 4),
                "rating": None if mean is None else round(mean, 2),
                "end": END_REASONS.get(record["end_reason"], record["end_reason"]),
            }
        )


class UsageTail:
    """Follows transcript.jsonl of a run as it grows: how many answers, from where, of how many tokens."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        self._counts = {"answers": 0, "cached": 0, "failed": 0, "prompt": 0, "completion": 0}

    def rows(self) -> list[tuple[str, str]]:
        """What it took so far, each as a name and an amount; empty where no model was called."""
        if not self._path.exists():
            return []
        counts = self._counts
        if self._path.stat().st_size < self._offset:
            self.__init__(self._path)  # type: ignore[misc]
        until = self._offset + _AT_ONCE
        for _, line in lines_of(self._path, self._offset):
            self._offset += len(line)
            one = parse(f"{self._path}:", line)
            if "id" not in one:
                counts["answers"] += one.get("answer") is not None
                counts["failed"] += one.get("answer") is None
                counts["cached"] += bool(one.get("cached"))
                usage = one.get("usage") or {}
                for name in ("prompt", "completion"):
                    value = usage.get(f"{name}_tokens", usage.get(name, 0)) if not one.get("cached") else 0
                    counts[name] += value if isinstance(value, int) else 0
            if self._offset > until:
                break
        return [
            (
                "answers",
                f"{counts['answers']:,}, {counts['cached']:,} of them from the cache; {counts['failed']:,} failed",
            ),
            ("tokens", f"{counts['prompt']:,} in, {counts['completion']:,} out"),
        ]


class Followed:
    """What is known of each job that somebody follows."""

    def __init__(self, listing: Listing, shown: str) -> None:
        self._listing, self._shown = listing, shown
        self._lock = Lock()
        self._tails: dict[Path, RunTail] = {}
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
            "resume": resume_command(info, Path(self._shown) / path),
            "progress": None,
            "charts": [],
            "newest": [],
            "spending": [],
            "trouble": "",
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
        wanted = read_json(info.path / MANIFEST)["config"]["episodes"]
        if info.state != "complete":
            if (info.path / BLOCKS).is_dir() and not (info.path / INTERACTIONS).exists():
                blocks = open_blocks(info.path)
                tallies = [] if blocks is None else list(blocks.tallies())
                ended = sum(count for tally in tallies for _, count in tally["lengths"])
                value["progress"] = {"done": ended, "total": wanted, "unit": "episodes"}
            else:
                tail = self._tails.setdefault(info.path, RunTail(info.path / INTERACTIONS))
                tail.advance()
                value["progress"] = {"done": len(tail.rewards), "total": wanted, "unit": "episodes"}
                value["charts"] = [asdict(chart) for chart in _charts(tail)]
                value["newest"] = list(tail.newest)
        if (info.path / SUMMARY).exists() and (usage := read_summary(info.path)["usage"]):
            value["spending"] = usage_rows(usage)
        elif (info.path / TRANSCRIPT).exists():
            value["spending"] = self._usages.setdefault(info.path, UsageTail(info.path / TRANSCRIPT)).rows()

    def _parts(self, info: JobInfo, value: dict[str, Any]) -> None:
        parts = self._listing.jobs(info.path)
        jobs = read_json(info.path / MANIFEST).get("jobs") if (info.path / MANIFEST).exists() else None
        total = len(jobs) if isinstance(jobs, list) else None
        done = sum(part.state == "complete" for part in parts)
        value["progress"] = {"done": done, "total": total, "unit": "parts"}
        value["parts"] = [[part.path.relative_to(info.path).as_posix(), part.state, part.headline] for part in parts]


def _charts(tail: RunTail) -> list[Chart]:
    """Reward and rating over the episodes, in as many groups as a chart has points."""
    count = len(tail.rewards)
    if count < 2:
        return []
    groups = np.array_split(np.arange(count), min(_POINTS, count))
    x = [int(group[-1]) + 1 for group in groups]
    size = f"Means over {len(groups[0])} episodes each, in the order in which they ended."
    if len(groups[0]) == 1:
        size = "Episode by episode, in the order in which they ended."
    ratings = np.array([np.nan if one is None else one for one in tail.ratings])
    charts = []
    for id_, title, values in (
        ("live-reward", "Reward per episode", np.array(tail.rewards)),
        ("live-rating", "Mean rating", ratings),
    ):
        means = [values[group][~np.isnan(values[group])] for group in groups]
        y = numbers(np.array([one.mean() if len(one) else np.nan for one in means]))
        charts.append(Chart(id_, "lines", title, size, "episodes that ended", title.lower(), [Series(title, y, x)]))
    return charts


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
    followed = Followed(context.listing, context.shown)

    def stream(request: Request) -> Response:
        path = request.query_params.get("path", "")
        place = context.directory(path)
        return context.stream(request, lambda: followed.values(place, path))

    return [Route("/api/live", stream)]
