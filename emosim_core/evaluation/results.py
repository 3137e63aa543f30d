"""Metrics of an evaluation: made from the records of its runs, and written beside them."""

from __future__ import annotations

import csv
import io
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from emosim_core.errors import RunError
from emosim_core.evaluation.columns import read_run
from emosim_core.evaluation.metrics import METRICS, ItemTable, Sample, evaluation_sample, whole_episodes
from emosim_core.model import RatingScale
from emosim_core.runs.job import write_file
from emosim_core.runs.plain import child
from emosim_core.runs.reading import check, check_format
from emosim_core.runs.records import FORMAT, SUMMARY, read_json, read_summary, run_manifest
from emosim_core.runs.schemas import Choice, Count, Environment, Name, Number, Written
from emosim_core.runs.typed import continue_with
from emosim_core.runs.usage import summed

RESULTS = "evaluation.json"
TABLE = "evaluation.csv"
ITEMS = "items.csv"
RUNS = "runs"
LOGS = "logs"
CHARTS = "charts"


class _Recommender(Written):
    """A recommender that is compared; ``folder`` lies in the evaluation."""

    name: Name
    policy: Choice
    model: str | None
    folder: Annotated[str, Field(pattern=r"^[^/\\.\x00][^/\\\x00]*$")]


class _Config(Environment):
    """What is used of the configuration of an evaluation."""

    resamples: Count
    seed: int
    user_splits: list[Literal["all", "train", "test"]]


class _Plan(Written):
    """What evaluation.json holds before anything is measured."""

    format: Count
    complete: bool
    domain: str
    title: str
    config: _Config
    scale: dict[str, Number]
    liked_from: Number
    notes: list[str]
    recommenders: Annotated[list[_Recommender], Field(min_length=1)]


_PLAN = TypeAdapter(_Plan)


def stored_evaluation(out: Path) -> dict[str, Any]:
    """What evaluation.json holds. Raises RunError: it is missing, or does not say what is evaluated."""
    if not (out / RESULTS).is_file():
        raise RunError(f"{out} is no evaluation: it has no {RESULTS}")
    stored = read_json(out / RESULTS)
    if not isinstance(stored.get("config"), dict) or not isinstance(stored.get("recommenders"), list):
        raise RunError(f"{out / RESULTS} is damaged: it does not say what is evaluated")
    check_format(out / RESULTS, stored, FORMAT)
    check(out / RESULTS, stored, _PLAN)
    return stored


def is_complete(directory: Path) -> bool:
    """Whether a run is complete."""
    return (directory / SUMMARY).is_file() and bool(read_summary(directory)["complete"])


def compute_results(out: Path, resamples: int | None = None) -> dict[str, Any]:
    """Make all metrics of an evaluation from its records, write them, and return what evaluation.json holds.

    There are as many ``resamples`` of the users as before if not given. A RunError where a file is missing or damaged,
    a run is not complete, or two recommenders met different users.
    """
    plan = stored_evaluation(out)
    config = plan["config"]
    resamples = config["resamples"] if resamples is None else resamples
    items = _read_items(out / ITEMS, RatingScale(**plan["scale"]), plan["liked_from"])
    manifests: list[dict[str, Any]] = []
    summaries: list[dict[str, Any]] = []
    user_splits: dict[str, Any] = {}
    for number, user_split in enumerate(config["user_splits"]):
        met = child(out / RUNS, user_split)
        directories = {one["name"]: child(met, one["folder"]) for one in plan["recommenders"]}
        for directory in directories.values():
            if not is_complete(directory):
                raise RunError(f"{directory} is not complete. {continue_with('evaluate', out)}")
            manifests.append(run_manifest(directory))
            summaries.append(read_summary(directory))
        counts = {name: read_summary(one).get("policy_counts", {}) for name, one in directories.items()}
        episodes = {name: whole_episodes(read_run(directory), items) for name, directory in directories.items()}
        met_users = next(iter(episodes.values())).users
        for name, one in episodes.items():
            if one.users != met_users:
                raise RunError(f"{directories[name]}: the users are others than in {next(iter(directories.values()))}")
        users = sorted(set(met_users))
        reasons = sorted({reason for one in episodes.values() for reason in one.chosen.end_counts()})
        longest = max(int(one.chosen.steps.max()) for one in episodes.values())
        samples = {
            name: evaluation_sample(one, users, reasons, longest, resamples, (config["seed"], number))
            for name, one in episodes.items()
        }
        user_splits[user_split] = {
            "users": len(users),
            "episodes": len(met_users),
            "recommenders": {
                name: {
                    **_sorted_out(samples[name], reasons, longest),
                    "users": len(users),
                    "steps": len(episodes[name].run.step),
                    "policy_counts": counts[name],
                    "run": str(directories[name].relative_to(out)),
                }
                for name in episodes
            },
            "differences": _differences(samples, plan["recommenders"], reasons, longest),
        }
    results = {
        **plan,
        "complete": True,
        "config": {**config, "resamples": resamples},
        "rater": summaries[0]["rater"],
        "uses_llm": manifests[0]["uses_llm"],
        "language_model": manifests[0]["language_model"],
        "answered_by": manifests[0]["answered_by"],
        "usage": summed([one["usage"] for one in summaries if one.get("usage")]) or None,
        "versions": {name: version for manifest in manifests for name, version in sorted(manifest["versions"].items())},
        "measured_with": {
            "emosim-core": metadata.version("emosim-core"),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "user_splits": user_splits,
    }
    write_file(out / TABLE, _table(results))
    write_file(out / RESULTS, results)
    return results


def _read_items(path: Path, scale: RatingScale, liked_from: float) -> ItemTable:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        counts = np.array([int(row["public_count"]) for row in rows])
        categories = [tuple(filter(None, row["categories"].split("|"))) for row in rows]
        return ItemTable([row["item"] for row in rows], counts, categories, scale, liked_from)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _sorted_out(measured: Sample, reasons: list[str], longest: int) -> dict[str, Any]:
    estimates = measured.estimates()
    steps = range(1, longest + 1)
    return {
        "metrics": {metric.name: estimates[metric.name] for metric in METRICS},
        "end_reasons": {reason: estimates[f"end_reason:{reason}"] for reason in reasons},
        "curves": {name: [estimates[f"{name}:{step}"] for step in steps] for name in ("survival", "reward")},
    }


def _differences(
    samples: Mapping[str, Sample], recommenders: list[dict[str, Any]], reasons: list[str], longest: int
) -> dict[str, Any]:
    """What each recommender is above the best that was not trained, and above the first, by the same resamples."""

    def reward(name: str) -> float:
        return float(samples[name].exact[samples[name].names.index("mean_reward")])

    names = [one["name"] for one in recommenders]
    baselines = [one["name"] for one in recommenders if one["model"] is None]
    references = {"first": names[0]}
    if baselines:
        references = {"best_baseline": max(baselines, key=reward), **references}
    differences: dict[str, Any] = {}
    for kind, reference in references.items():
        above = {name: _sorted_out(samples[name] - samples[reference], reasons, longest) for name in names}
        differences[kind] = {
            "reference": reference,
            "recommenders": {
                name: {"metrics": one["metrics"], "end_reasons": one["end_reasons"]}
                for name, one in above.items()
                if name != reference
            },
        }
    return differences


def _table(results: Mapping[str, Any]) -> bytes:
    rows: list[Sequence[Any]] = [("user_split", "recommender", "metric", "estimate", "low", "high")]
    for user_split, measured in results["user_splits"].items():
        for name, one in measured["recommenders"].items():
            reasons = {f"end_reason:{reason}": value for reason, value in one["end_reasons"].items()}
            for metric, value in {**one["metrics"], **reasons}.items():
                rows.append([user_split, name, metric, value["estimate"], value["low"], value["high"]])
    return csv_bytes(rows)


def csv_bytes(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as a CSV file holds them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")
