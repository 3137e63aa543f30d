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
from pydantic import AfterValidator, Field, TypeAdapter
from typing_extensions import NotRequired

from emosim_core.errors import RunError
from emosim_core.evaluation.columns import RunColumns, read_run
from emosim_core.evaluation.experiment import Experiment, arm_samples, spread
from emosim_core.evaluation.metrics import METRICS, ItemTable, Sample, evaluation_sample, whole_episodes
from emosim_core.evaluation.plan import DECIDABLE, oracle_of, read_guard
from emosim_core.kinds import EVALUATION, KINDS
from emosim_core.model import RatingScale
from emosim_core.runs.job import write_file
from emosim_core.runs.plain import child
from emosim_core.runs.reading import check, check_format
from emosim_core.runs.records import FORMAT, SUMMARY, read_json, read_summary, run_manifest
from emosim_core.runs.schemas import Choice, Count, Environment, Name, Number, Written
from emosim_core.runs.typed import continue_with
from emosim_core.runs.usage import summed

RESULTS = KINDS[EVALUATION].results
TABLE = "evaluation.csv"
ITEMS = "items.csv"
RUNS = "runs"
LOGS = "logs"
CHARTS = "charts"


def _guard(text: str) -> str:
    read_guard(text)
    return text


class _Recommender(Written):
    """A recommender that is compared; ``folder`` lies in the evaluation."""

    name: Name
    policy: Choice
    model: str | None
    folder: Annotated[str, Field(pattern=r"^[^/\\.\x00][^/\\\x00]*$")]
    arm: NotRequired[Name]
    added: NotRequired[bool]


class _Config(Environment):
    """What is used of the configuration of an evaluation."""

    resamples: Count
    seed: int
    user_splits: list[Literal["all", "train", "test"]]
    control: NotRequired[Name | None]
    metric: NotRequired[Literal[tuple(DECIDABLE)]]  # type: ignore[valid-type]
    effect: NotRequired[Number | None]
    guards: NotRequired[list[Annotated[str, AfterValidator(_guard)]]]


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
    trust: NotRequired[dict[str, Any] | None]
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


def runs_of(directory: Path) -> list[Path]:
    """The runs of an evaluation's recommenders with the last of its user splits, those of the control first.

    A directory that is no evaluation stands for itself. A RunError where the evaluation is damaged.
    """
    if not (directory / RESULTS).is_file():
        return [directory]
    plan = stored_evaluation(directory)
    met = child(directory / RUNS, plan["config"]["user_splits"][-1])
    control = plan["config"].get("control")
    recommenders = sorted(plan["recommenders"], key=lambda one: one.get("arm", one["name"]) != control)
    return [child(met, one["folder"]) for one in recommenders]


def is_complete(directory: Path) -> bool:
    """Whether a run is complete."""
    return (directory / SUMMARY).is_file() and bool(read_summary(directory)["complete"])


def compute_results(
    out: Path, resamples: int | None = None, columns: Mapping[Path, RunColumns] | None = None
) -> dict[str, Any]:
    """Make all metrics of an evaluation from its records, write them, and return what evaluation.json holds.

    There are as many ``resamples`` of the users as before if not given; ``columns`` are runs that were read already, by
    their directories. A RunError where a file is missing or damaged, a run is not complete, or two recommenders met
    different users.
    """
    columns = columns or {}
    plan = stored_evaluation(out)
    config = plan["config"]
    resamples = config["resamples"] if resamples is None else resamples
    items = _read_items(out / ITEMS, RatingScale(**plan["scale"]), plan["liked_from"])
    manifests: list[dict[str, Any]] = []
    summaries: list[dict[str, Any]] = []
    user_splits: dict[str, Any] = {}
    arms: dict[str, list[str]] = {}
    for one in plan["recommenders"]:
        arms.setdefault(one.get("arm", one["name"]), []).append(one["name"])
    oracle, added = oracle_of(plan["recommenders"]), [one["name"] for one in plan["recommenders"] if one.get("added")]
    experiment = Experiment.of(config, {arm: members for arm, members in arms.items() if arm not in added})
    if experiment is not None and experiment.control not in arms:
        raise RunError(f"{out / RESULTS} is damaged: the control {experiment.control!r} is no arm")
    models = {one.get("arm", one["name"]): one["model"] for one in plan["recommenders"]}
    measured: dict[str, dict[str, Sample]] = {}
    for number, user_split in enumerate(config["user_splits"]):
        met = child(out / RUNS, user_split)
        directories = {one["name"]: child(met, one["folder"]) for one in plan["recommenders"]}
        for directory in directories.values():
            if not is_complete(directory):
                raise RunError(f"{directory} is not complete. {continue_with('evaluate', out)}")
            manifests.append(run_manifest(directory))
            summaries.append(read_summary(directory))
        counts = {name: read_summary(one).get("policy_counts", {}) for name, one in directories.items()}
        episodes = {
            name: whole_episodes(columns.get(directory) or read_run(directory), items)
            for name, directory in directories.items()
        }
        met_users = next(iter(episodes.values())).users
        for name, one in episodes.items():
            if one.users != met_users:
                raise RunError(f"{directories[name]}: the users are others than in {next(iter(directories.values()))}")
        users = sorted(set(met_users))
        reasons = sorted({reason for one in episodes.values() for reason in one.chosen.end_counts()})
        longest = max(int(one.chosen.steps.max()) for one in episodes.values())
        seed = (config["seed"], number)
        samples = measured[user_split] = {
            name: evaluation_sample(one, users, reasons, longest, resamples, seed) for name, one in episodes.items()
        }
        of_arms = arm_samples(arms, samples, seed)
        result: dict[str, Any] = {}
        for arm, members in arms.items():
            runs = {
                name: {
                    "steps": len(episodes[name].run.step),
                    "policy_counts": counts[name],
                    "run": str(directories[name].relative_to(out)),
                }
                for name in members
            }
            result[arm] = {**_sorted_out(of_arms[arm], reasons, longest), "users": len(users)}
            if len(members) == 1:
                result[arm] |= runs[members[0]]
            else:
                own = [samples[name] for name in members]
                result[arm]["spread"] = {metric.name: spread(own, metric.name) for metric in METRICS}
                result[arm]["trainings"] = {
                    name: {"metrics": _sorted_out(samples[name], reasons, longest)["metrics"], **run}
                    for name, run in runs.items()
                }
        references = _references(of_arms, models, oracle) if experiment is None else {"control": experiment.control}
        compared = of_arms if experiment is None else {arm: of_arms[arm] for arm in experiment.arms}
        user_splits[user_split] = {
            "users": len(users),
            "episodes": len(met_users),
            "recommenders": result,
            "differences": _differences(compared, references, reasons, longest),
        }
        if oracle is not None:
            user_splits[user_split]["regret"] = _regret(of_arms, oracle)
        if experiment is not None:
            user_splits[user_split]["experiment"] = experiment.measure(episodes, samples, users, resamples, seed)
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
    if experiment is not None:
        results["experiment"] = experiment.described()
        if {"test", "train"} <= measured.keys():
            seed = (config["seed"], len(measured))
            results["experiment"]["test_above_train"] = experiment.test_above_train(
                measured["test"], measured["train"], seed
            )
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


def _regret(samples: Mapping[str, Sample], oracle: str) -> dict[str, Any]:
    """What the oracle has above each recommender, by the same resamples, of each metric that has a better direction."""
    names = tuple(DECIDABLE)
    best = samples[oracle].only(names)
    apart = {name: (best - one.only(names)).estimates() for name, one in samples.items() if name != oracle}
    return {"oracle": oracle, "recommenders": {name: {"metrics": one} for name, one in apart.items()}}


def _references(samples: Mapping[str, Sample], models: Mapping[str, str | None], oracle: str | None) -> dict[str, str]:
    """What differences are to, where there is no control: the best that was neither trained nor told, and the first."""

    def reward(name: str) -> float:
        return float(samples[name].only(("mean_reward",)).exact[0])

    baselines = [name for name, model in models.items() if model is None and name != oracle]
    best = {"best_baseline": max(baselines, key=reward)} if baselines else {}
    return {**best, "first": next(iter(samples))}


def _differences(
    samples: Mapping[str, Sample], references: Mapping[str, str], reasons: list[str], longest: int
) -> dict[str, Any]:
    """What each recommender is above each reference, by the same resamples."""
    differences: dict[str, Any] = {}
    for kind, reference in references.items():
        above = {
            name: _sorted_out(one - samples[reference], reasons, longest)
            for name, one in samples.items()
            if name != reference
        }
        differences[kind] = {
            "reference": reference,
            "recommenders": {
                name: {"metrics": one["metrics"], "end_reasons": one["end_reasons"]} for name, one in above.items()
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
        for name, one in measured.get("regret", {}).get("recommenders", {}).items():
            for metric, value in one["metrics"].items():
                rows.append([user_split, name, f"regret:{metric}", value["estimate"], value["low"], value["high"]])
    return csv_bytes(rows)


def csv_bytes(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as a CSV file holds them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")
