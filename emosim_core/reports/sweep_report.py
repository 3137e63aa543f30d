"""The page of a sweep: what came out of each configuration, over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from emosim_core.evaluation.plan import trainings_of
from emosim_core.reports.chart import Table, with_ends
from emosim_core.reports.compare_trainings import compare_trainings
from emosim_core.reports.report import Report, Section, read_results
from emosim_core.runs.records import MANIFEST, config_of_seeds, read_json
from emosim_core.runs.words import decimal, users_of
from emosim_core.studies.sweep import RESULTS as RESULTS
from emosim_core.terminal import counted
from emosim_core.training.curves import LAST_EVALUATION

_CALLED = {
    "mean_reward": "reward",
    "mean_rating": "rating",
    "share_liked": "liked",
    "episode_length": "steps",
    "length": "steps",
    "failed_ratings": "failed",
    "train": "train users",
    "test": "test users",
}
"""What a metric is called in a table, where that is not its name."""


def report_of_sweep(directory: Path) -> Report:
    """The report of a sweep; errors as of :func:`read_results`."""
    command = "sweep" if config_of_seeds(read_json(directory / MANIFEST)) is None else "train"
    manifest, results = read_results(directory, command, RESULTS)
    count, jobs = len(results["configurations"]), len(results["jobs"])
    what = "runs" if results["command"] == "run" else "trainings"
    headline = f"{jobs:,} {what} of {counted(count, 'configuration')}."
    if results["command"] == "train" and count == 1:
        headline = f"{_of_seeds(directory)}{headline}"
    if search := results.get("search"):
        headline += f" {_best(results, search)}"
    caption = f"Made {manifest.get('created')}. Each job has a directory of its own in jobs/."
    sections = [
        Section("results", "Results", tables=[configurations_table(results)]),
        Section("setup", "Jobs", caption, tables=[jobs_table(results)]),
    ]
    return Report("sweep", directory.name, headline, sections=sections)


def _of_seeds(directory: Path) -> str:
    """What trainings of several seeds get from test users, as a sentence; empty where they were not evaluated."""
    if not all((Path(one) / LAST_EVALUATION).is_file() for one in trainings_of(str(directory))):
        return ""
    comparison = compare_trainings([directory])
    (one,) = comparison.trainings
    write = partial(decimal, decimals=1)
    beside = ", ".join(f"{name} {write(value['estimate'])}" for name, value in one.references.items())
    return (
        f"Reward of the final models from {one.users:,} {users_of(comparison.user_split)}, mean of "
        f"{counted(one.seeds, 'seed')}: {with_ends(one.reward, write)}{f' ({beside})' if beside else ''}, spread "
        f"{decimal(one.deviation, 1)} between seeds. "
    )


def _best(results: Mapping[str, Any], search: Mapping[str, Any]) -> str:
    """What a search came to, as a sentence."""
    called = _CALLED.get(search["metric"], search["metric"])
    if search["best"] is None:
        return f"None has a {called}."
    best = results["configurations"][search["best"]]
    values = ", ".join(f"{name} {_text(value)}" for name, value in best["values"].items())
    which = "Highest" if search["direction"] == "maximize" else "Lowest"
    decimals = _decimals(results["configurations"], search["metric"])
    return f"{which} {called}, {_metric(best['metrics'][search['metric']]['mean'], decimals)}: {values}."


def configurations_table(results: Mapping[str, Any]) -> Table:
    """The metrics of each configuration: the mean over its seeds, and the lowest and the highest."""
    rows = results["configurations"]
    fields = _fields(rows)
    metrics = _metrics(rows)
    several = any(len(row["seeds"]) > 1 for row in rows)
    caption = "In brackets: the lowest and the highest of the seeds." if several else ""
    if "search" in results:
        caption = f"{caption} The best of many is partly luck: measure it again with other seeds.".strip()
    places = {name: _decimals(rows, name) for name in metrics}
    cells = [
        [*_values(row, fields), *(_range(row["metrics"][name], several, places[name]) for name in metrics)]
        for row in rows
    ]
    return Table("Configurations", [*fields, *(_CALLED.get(name, name) for name in metrics)], cells, caption)


def jobs_table(results: Mapping[str, Any]) -> Table:
    """The metrics of each job."""
    rows = results["jobs"]
    fields, metrics = _fields(rows), _metrics(rows)
    places = {name: _decimals(rows, name) for name in metrics}
    cells = [
        [*_values(row, fields), str(row["seed"]), *(_metric(row["metrics"][name], places[name]) for name in metrics)]
        for row in rows
    ]
    return Table("Jobs", [*fields, "seed", *(_CALLED.get(name, name) for name in metrics)], cells)


def _fields(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row["values"]))


def _metrics(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Figures that any row has."""
    return [name for name in rows[0]["metrics"] if any(row["metrics"][name] is not None for row in rows)]


def _values(row: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    return [_text(row["values"].get(name, "")) for name in fields]


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _decimals(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    """Decimals of all values of a metric: two, none where all are whole."""
    metrics = [row["metrics"][name] for row in rows]
    values = [one for metric in metrics for one in (metric.values() if isinstance(metric, Mapping) else (metric,))]
    return 0 if all(value is None or value == int(value) for value in values) else 2


def _range(metric: Mapping[str, float] | None, several: bool, decimals: int) -> str:
    if metric is None:
        return ""
    ends = f" [{_metric(metric['lowest'], decimals)}, {_metric(metric['highest'], decimals)}]" if several else ""
    return f"{_metric(metric['mean'], decimals)}{ends}"


def _metric(value: float | None, decimals: int) -> str:
    return "" if value is None else decimal(value, decimals)
