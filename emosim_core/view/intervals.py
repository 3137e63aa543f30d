"""Intervals: how far the mean reward of each run is known, worked out in the background and remembered."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np

from emosim_core.data.files import write_whole
from emosim_core.errors import EmoSimError
from emosim_core.runs.records import SUMMARY, read_summary
from emosim_core.stats import bootstrap_ratios, divided

_MOST_STEPS = 500_000
"""Steps of a run up to which its interval is worked out without being asked for."""

_SHARE = 1.0
"""Seconds of rest for each second of work, so that pages come first."""


class Intervals:
    """The mean reward per episode of runs with its 95 % interval over users, by the state of their summaries.

    Args:
        path: the file that remembers them.
        stopping: whether to work on.
    """

    def __init__(self, path: Path, stopping: Callable[[], bool]) -> None:
        self._path, self._stopping = path, stopping
        self._lock = Lock()
        self._working = False
        self._known: dict[str, list[Any]] = {}
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            self._known = {str(key): value for key, value in stored.items() if _is_estimate(value)}
        except (OSError, ValueError, AttributeError):
            pass

    def known(self, places: Sequence[Path]) -> dict[Path, list[Any]]:
        """Estimate and ends of the interval of the runs of which they are known; others are worked out meanwhile."""
        keys = {place: _key(place) for place in places}
        with self._lock:
            cached = {place: self._known[key] for place, key in keys.items() if key in self._known}
            missing = [place for place, key in keys.items() if key and key not in self._known]
            if missing and not self._working:
                self._working = True
                Thread(target=self._work, args=(missing,), name="emosim-intervals", daemon=True).start()
        return {place: value for place, value in cached.items() if value[0] is not None}

    def _work(self, places: Sequence[Path]) -> None:
        try:
            for place in places:
                if self._stopping():
                    break
                begun, key = time.monotonic(), _key(place)
                try:
                    value = _estimate(place)
                except EmoSimError:
                    value = [None, None, None]
                with self._lock:
                    self._known[key] = value
                time.sleep(_SHARE * (time.monotonic() - begun))
        finally:
            with self._lock:
                self._working = False
                content = json.dumps(self._known)
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_whole(self._path, content.encode())
            except OSError:
                pass  # it is worked out again next time


def _estimate(place: Path) -> list[Any]:
    if read_summary(place)["steps"] > _MOST_STEPS:
        return [None, None, None]
    from emosim_core.evaluation.columns import read_episodes
    from emosim_core.evaluation.metrics import Episodes, metric_named

    run, metric = read_episodes(place), metric_named("mean_reward")
    if not len(run.ended) or metric.sums is None:
        return [None, None, None]
    over, under = (run.by_user(run.ended.user, values)[0] for values in metric.sums(Episodes(run, run.ended)))
    low, high = (float(end[0]) for end in bootstrap_ratios(over, under))
    mean = float(divided(over.sum(), under.sum()))
    return [mean, low, high] if np.isfinite([mean, low, high]).all() else [None, None, None]


def _is_estimate(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(one is None or (isinstance(one, int | float) and np.isfinite(one)) for one in value)
    )


def _key(place: Path) -> str:
    """Names a run in the state that it has; empty where it has no summary."""
    try:
        status = (place / SUMMARY).stat()
    except OSError:
        return ""
    return f"{place}\n{status.st_mtime_ns}\n{status.st_size}"
