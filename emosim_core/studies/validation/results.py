"""Metrics of a validation, computed from its records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from emosim_core.model.arrays import Flags, Floats
from emosim_core.stats import ratio, rounded
from emosim_core.studies.validation import metrics as metric
from emosim_core.studies.validation.records import RECORDS, read_lines, read_manifest
from emosim_core.studies.validation.users import CALIBRATION, TEST, VALIDATION

Lines = Sequence[Mapping[str, Any]]

SIMULATED = "simulated users"
"""What is measured, beside the baselines."""

TARGETS = (
    ("accuracy, 1:1", "at least", 0.84, ("choices", "1:1", SIMULATED, "accuracy")),
    ("F1, 1:9", "at least", 0.55, ("choices", "1:9", SIMULATED, "f1")),
    ("area under the curve, matched in popularity", "at least", 0.68, ("choices", "matched", SIMULATED, "auc")),
    ("total variation of all ratings", "at most", 0.05, ("distribution", "variants", SIMULATED, "total_variation")),
    ("root mean squared error, stars of 5", "at most", 0.87, ("ratings", SIMULATED, "rmse")),
)
"""What the rule-based rater should reach on users that it was not fitted on, and where that stands in the metrics."""

MOST_BY_ACTIVITY = 0.5
"""Points of 10 by which raising everybody's activity may move the mean rating (EmoSim-RL)."""


def compute_results(directory: Path) -> dict[str, Any]:
    """Everything that the records of a validation come to; a RunError where one is missing or damaged."""
    about = read_manifest(directory)
    records = {name: read_lines(directory, name) for name in RECORDS}
    levels = np.array(about["levels"], dtype=np.float64)
    negatives = [int(ratio) for ratio in about["config"]["negatives"]]
    chosen = _by_user(records["choices"])
    cuts = _thresholds(chosen, negatives)
    user_splits = {}
    for user_split in (VALIDATION, TEST):
        mine = {name: [line for line in lines if line["user_split"] == user_split] for name, lines in records.items()}
        ratings = _by_user(mine["ratings"])
        user_splits[user_split] = {
            "users": len(mine["users"]),
            "heldout_ratings": len(mine["ratings"]),
            "failed_ratings": sum(line["answer"] is None for line in mine["ratings"]),
            "ratings": _errors(ratings, levels),
            "choices": _choices(_by_user(mine["choices"]), negatives, cuts),
            "distribution": _distribution(ratings, mine["users"], levels),
            "between_users": _apart(ratings, levels),
            "activity": _activity(mine["activity"], levels),
            "recommenders": _recommenders(mine["recommended"]),
        }
    return {
        **{name: about[name] for name in ("kind", "title", "scale", "parts", "uses_llm", "interest", "config")},
        "stars": float(levels[-1]) / 5.0,
        "user_splits": user_splits,
        "targets": [one for user_split, metrics in user_splits.items() for one in _targets(user_split, metrics)],
    }


def _by_user(lines: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Lines by group and user, in the order of the file."""
    by_user: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for line in lines:
        by_user.setdefault((line["user_split"], line["user"]), []).append(line)
    return by_user


def _numbers(values: Iterable[Any]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _mean(values: Floats) -> float:
    """The mean of what is no NaN; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _errors(ratings: Mapping[Any, Lines], levels: Floats) -> dict[str, Any]:
    """Root mean squared and mean absolute error of held-out ratings, in stars of 5."""
    star = float(levels[-1]) / 5.0
    first = next(iter(ratings.values()))[0]
    variants = {SIMULATED: "expected", "simulated users, a single answer": "answer"}
    errors = {}
    for name in (*variants, *first["baselines"]):
        sums = []
        for lines in ratings.values():
            real = _numbers(line["real"] for line in lines)
            predicted = _numbers(
                line[variants[name]] if name in variants else line["baselines"][name] for line in lines
            )
            off = (predicted - real)[~np.isnan(predicted)] / star
            sums.append((float((off**2).sum()), float(np.abs(off).sum()), len(off)))
        table = np.array(sums, dtype=np.float64)
        errors[name] = {
            "rmse": metric.estimate(table[:, [0, 2]], metric.root),
            "mae": metric.estimate(table[:, [1, 2]], ratio),
        }
    return errors


def _by_variant(lines: Lines, simulated: str) -> dict[str, Floats]:
    """One user's values of the simulated users, under their key, and of each baseline."""
    values = {SIMULATED: _numbers(line[simulated] for line in lines)}
    return values | {name: _numbers(line["baselines"][name] for line in lines) for name in lines[0]["baselines"]}


def _distribution(ratings: Mapping[Any, Lines], real_users: Lines, levels: Floats) -> dict[str, Any]:
    """Distances of the distributions of ratings from the real one, of all ratings and per user."""
    star, step = float(levels[-1]) / 5.0, float(levels[1] - levels[0])
    counts = []  # how often each user uses each level: really, and by each variant
    for lines in ratings.values():
        given = {"real": _numbers(line["real"] for line in lines), **_by_variant(lines, "answer")}
        counts.append({name: metric.levels_of(values, levels) for name, values in given.items()})
    past = {(line["user_split"], line["id"]): np.array(line["past_levels"], dtype=np.float64) for line in real_users}
    for who, one in zip(ratings, counts, strict=True):
        one["their own earlier ratings"] = past[who]
    earth = metric.wasserstein(step / star)
    distribution: dict[str, Any] = {"variants": {}, "shares": {}}
    for name in counts[0]:
        total = np.sum([one[name] for one in counts], axis=0)
        distribution["shares"][name] = [rounded(share) for share in total / max(total.sum(), 1.0)]
        if name == "real":
            continue
        sums = np.array([np.concatenate([one["real"], one[name]]) for one in counts])
        distribution["variants"][name] = {
            "total_variation": metric.estimate(sums, metric.total_variation, most_distance=1.0),
            "wasserstein": metric.estimate(sums, earth, float(levels[-1] - levels[0]) / star),
            "total_variation_per_user": metric.mean_of(metric.total_variation(sums)),
            "wasserstein_per_user": metric.mean_of(earth(sums)),
        }
    return distribution


def _apart(ratings: Mapping[Any, Lines], levels: Floats) -> dict[str, Any]:
    """How users differ from each other: their means and their spreads, really and simulated, in stars of 5."""
    star = float(levels[-1]) / 5.0
    apart: dict[str, Any] = {}
    tables = {}
    for name, key in (("real", "real"), (SIMULATED, "answer")):
        given = [_numbers(line[key] for line in lines) / star for lines in ratings.values()]
        given = [one[~np.isnan(one)] for one in given]
        means = np.array([one.mean() if len(one) else np.nan for one in given])
        spreads = np.array([one.std() if len(one) > 1 else np.nan for one in given])
        tables[name] = means, spreads
        apart[name] = {
            "mean_of_means": metric.mean_of(means),
            "spread_of_means": rounded(np.nanstd(means)),
            "mean_of_spreads": metric.mean_of(spreads),
            "spread_of_spreads": rounded(np.nanstd(spreads)),
        }
    both = zip(tables["real"], tables[SIMULATED], strict=True)
    for what, (real, simulated) in zip(("means", "spreads"), both, strict=True):
        known = ~(np.isnan(real) | np.isnan(simulated))
        moved = np.abs(np.sort(real[known]) - np.sort(simulated[known]))
        apart[f"wasserstein_of_{what}"] = rounded(moved.mean())
        constant = known.sum() < 3 or min(real[known].std(), simulated[known].std()) < 1e-9
        correlation = np.nan if constant else np.corrcoef(real[known], simulated[known])[0, 1]
        apart[f"correlation_of_{what}"] = rounded(correlation)
    return apart


def _sets(lines: Lines, negatives: Sequence[int]) -> dict[str, Flags]:
    """Which lines of one user each test is about."""
    kinds = np.array([line["set"] for line in lines])
    places = np.array([line["place"] for line in lines])
    chosen = kinds == "chosen"
    number = int(chosen.sum())
    sets = {f"1:{ratio}": chosen | ((kinds == "random") & (places < ratio * number)) for ratio in negatives}
    return {**sets, "matched": chosen | (kinds == "matched")}


def _tests(
    real_users: Mapping[Any, Lines], negatives: Sequence[int]
) -> dict[str, dict[str, list[tuple[Floats, Flags]]]]:
    """For each test and each variant, scores and truth of each user."""
    tests: dict[str, dict[str, list[tuple[Floats, Flags]]]] = {}
    for lines in real_users.values():
        truth = np.array([line["set"] == "chosen" for line in lines])
        sets = _sets(lines, negatives)
        for name, scores in _by_variant(lines, "score").items():
            values = np.nan_to_num(scores, nan=-np.inf)  # a failed answer chooses nothing
            for test, rows in sets.items():
                tests.setdefault(test, {}).setdefault(name, []).append((values[rows], truth[rows]))
    return tests


def _thresholds(real_users: Mapping[Any, Lines], negatives: Sequence[int]) -> dict[str, dict[str, float]]:
    """From which score on an item counts as chosen: where the users who set it say so as often as they chose."""
    tried = {who: lines for who, lines in real_users.items() if who[0] == CALIBRATION}
    return {
        test: {
            name: metric.threshold(np.concatenate([s for s, _ in pairs]), np.concatenate([t for _, t in pairs]))
            for name, pairs in variants.items()
        }
        for test, variants in _tests(tried, negatives).items()
    }


def _choices(
    real_users: Mapping[Any, Lines], negatives: Sequence[int], cuts: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    choices: dict[str, Any] = {}
    for test, variants in _tests(real_users, negatives).items():
        choices[test] = {}
        for name, pairs in variants.items():
            sums = np.array([metric.confusion(scores >= cuts[test][name], truth) for scores, truth in pairs])
            areas = np.array([metric.area(scores, truth) for scores, truth in pairs])
            choices[test][name] = {**metric.agreement(sums), "auc": metric.mean_of(areas)}
        truths = np.concatenate([truth for _, truth in next(iter(variants.values()))])
        choices[test]["always the commoner answer"] = {"accuracy": rounded(max(truths.mean(), 1 - truths.mean()))}
    return choices


def _activity(lines: Lines, levels: Floats) -> dict[str, Any]:
    """By how many points of 10 the mean rating moves when everybody turns from elusive to enthusiast."""
    to_ten = 9.0 / float(levels[-1] - levels[0])
    moved = [_mean(_numbers(line["activity_3"])) - _mean(_numbers(line["activity_1"])) for line in lines]
    shift = metric.mean_of(np.array(moved) * to_ten)
    return {"shift": shift, "holds": abs(shift["estimate"] or 0.0) <= MOST_BY_ACTIVITY}


def _recommenders(lines: Lines) -> dict[str, Any]:
    """Mean rating of what each recommender recommended, how long users stayed, and whether the order is right."""
    names = list(dict.fromkeys(line["recommender"] for line in lines))
    by_name = {name: [line for line in lines if line["recommender"] == name] for name in names}
    means = {name: np.array([_mean(_numbers(line["ratings"])) for line in of]) for name, of in by_name.items()}
    lengths = {name: np.array([float(line["length"]) for line in of]) for name, of in by_name.items()}
    steps = [
        {"better": high, "than": low, "difference": metric.mean_of(means[high] - means[low])}
        for low, high in pairwise(names)
    ]
    return {
        "mean_rating": {name: metric.mean_of(values) for name, values in means.items()},
        "episode_length": {name: metric.mean_of(values) for name, values in lengths.items()},
        "differences": steps,
        "holds": all((one["difference"]["low"] or 0.0) > 0 for one in steps),
    }


def _targets(user_split: str, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The targets with what was reached; those of ratios that were not asked are left out."""
    targets = []
    for name, side, bound, place in TARGETS:
        value: Any = metrics
        for key in place:
            value = value.get(key, {})
        if value.get("estimate") is not None:
            holds = value["estimate"] >= bound if side == "at least" else value["estimate"] <= bound
            targets.append(
                {"user_split": user_split, "target": name, "side": side, "bound": bound, **value, "holds": holds}
            )
    return targets
