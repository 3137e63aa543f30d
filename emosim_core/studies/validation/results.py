"""Metrics of a validation, computed from its records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emosim_core.model.arrays import Flags, Floats
from emosim_core.runs.reading import read_lines as read_file
from emosim_core.stats import percentiles, ratio, resampled, rounded
from emosim_core.studies.validation import metrics as metric
from emosim_core.studies.validation.candidates import MATCHED, MATCHED_YEAR, RANDOM
from emosim_core.studies.validation.records import read_lines, read_manifest
from emosim_core.studies.validation.users import place

Lines = Sequence[Mapping[str, Any]]

SIMULATED, SINGLE = "simulated users", "simulated users, a single answer"
"""What is measured, beside the baselines."""

TESTS = (RANDOM, MATCHED, MATCHED_YEAR)
"""The tests of choices, easiest first."""

_GROUPS = 5
"""Groups of users; the threshold of each is set by the others."""


def compute_results(directory: Path) -> dict[str, Any]:
    """Everything that the records of a validation come to; a RunError where one is missing or damaged."""
    about = read_manifest(directory)
    records = {name: read_lines(directory, name) for name in ("users", "ratings")}
    negatives = [int(number) for number in about["config"]["negatives"]]
    levels = np.array(about["levels"], dtype=np.float64)
    users = [one for one in records["users"] if one["left_out"] is None]
    results: dict[str, Any] = {
        **{name: about[name] for name in ("kind", "protocol", "title", "scale", "parts", "uses_llm", "interest")},
        **{name: about[name] for name in ("config", "data")},
        "users": len(users),
        "left_out": len(records["users"]) - len(users),
    }
    if scored := _scored(directory, max(negatives), min(negatives)):
        results |= _choices(scored, negatives)
    if records["ratings"]:
        ratings = {line["user"]: line for line in records["ratings"]}
        results["heldout_ratings"] = sum(len(line["items"]) for line in records["ratings"])
        results["failed_ratings"] = sum(line["answer"].count(None) for line in records["ratings"])
        results |= _errors(ratings)
        results["distribution"] = _distribution(ratings, users, levels)
        given = np.concatenate([_numbers(line["answer"]) for line in records["ratings"]])
        counts = metric.levels_of(given, levels).astype(int).tolist()
        results["rating_counts"] = {f"{level:g}": count for level, count in zip(levels, counts, strict=True)}
        results["expected"] = _sums_of_means(records["ratings"])
        results["between_users"] = _apart(ratings)
    results["sentence"] = _sentence(results)
    return results


def _sums_of_means(ratings: Lines) -> dict[str, float]:
    """Of ratings whose probabilities a model tells: how many, and sums of their means and of the squares of these."""
    means = [_numbers(line["expected"]) for line in ratings if line.get("distribution")]
    known = np.concatenate([one[~np.isnan(one)] for one in means]) if means else np.zeros(0)
    sums = {"expected_sum": rounded(known.sum()) or 0.0, "expected_squares": rounded((known**2).sum()) or 0.0}
    return {"read_probabilities": len(known), **sums}


def _numbers(values: Iterable[Any]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


class _Sums:
    """What each user adds to many metrics, drawn again once for all, so that differences are of the same users."""

    def __init__(self) -> None:
        self._tables: dict[Any, tuple[Floats, metric.Value]] = {}
        self._values: dict[Any, tuple[float, Floats]] = {}

    def add(self, key: Any, table: Floats, value: metric.Value) -> None:
        """A metric: ``value`` of the sums over users of ``table``, shape ``(users, d)``."""
        self._tables[key] = table, value

    def draw(self) -> None:
        """Compute all metrics, and 2,000 times over users drawn with replacement."""
        widths = np.cumsum([table.shape[1] for table, _ in self._tables.values()])[:-1]
        together = np.concatenate([table for table, _ in self._tables.values()], axis=1)
        sums, draws = (np.split(one, widths, axis=-1) for one in (together.sum(axis=0), resampled(together)))
        for key, whole, some in zip(self._tables, sums, draws, strict=True):
            value = self._tables[key][1]
            self._values[key] = float(value(whole)), value(some)

    def estimate(self, key: Any) -> dict[str, float | None]:
        """A metric and its interval."""
        return _with_interval(*self._values[key])

    def difference(self, key: Any, other: Any) -> dict[str, float | None]:
        """A metric less another, and the interval of that."""
        (first, draws), (second, others) = self._values[key], self._values[other]
        return _with_interval(first - second, draws - others)


def _with_interval(value: float, draws: Floats) -> dict[str, float | None]:
    low, high = percentiles(draws)
    return {"estimate": rounded(value), "low": rounded(float(low)), "high": rounded(float(high))}


def _errors(ratings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Root mean squared and mean absolute error of held-out ratings, in points of the domain's scale."""
    sums, lines = _Sums(), [*ratings.values()]
    baselines = list(lines[0]["baselines"])
    variants = [SIMULATED, SINGLE, *baselines]
    for name in variants:
        key = {SIMULATED: "expected", SINGLE: "answer"}.get(name)
        rows = []
        for line in lines:
            off = _numbers(line[key] if key else line["baselines"][name]) - _numbers(line["real"])
            off = off[~np.isnan(off)]
            rows.append((float((off**2).sum()), float(np.abs(off).sum()), len(off)))
        table = np.array(rows, dtype=np.float64)
        sums.add(("rmse", name), table[:, [0, 2]], metric.root)
        sums.add(("mae", name), table[:, [1, 2]], ratio)
    sums.draw()
    return {
        "ratings": {name: {one: sums.estimate((one, name)) for one in ("rmse", "mae")} for name in variants},
        "rating_differences": {
            name: {one: sums.difference((one, SIMULATED), (one, name)) for one in ("rmse", "mae")} for name in baselines
        },
    }


def _by_variant(line: Mapping[str, Any], simulated: str) -> dict[str, Floats]:
    """One user's values of the simulated users, under their key, and of each baseline."""
    baselines = {name: _numbers(values) for name, values in line["baselines"].items()}
    return {SIMULATED: _numbers(line[simulated]), **baselines}


def _distribution(ratings: Mapping[str, Mapping[str, Any]], users: Lines, levels: Floats) -> dict[str, Any]:
    """Distances of the distributions of ratings from the real one, of all ratings and per user."""
    counts = []  # how often each user uses each level: really, and by each variant
    for line in ratings.values():
        given = {"real": _numbers(line["real"]), **_by_variant(line, "answer")}
        counts.append({name: metric.levels_of(values, levels) for name, values in given.items()})
    past = {line["id"]: np.array(line["past_levels"], dtype=np.float64) for line in users}
    for who, one in zip(ratings, counts, strict=True):
        one["their own earlier ratings"] = past[who]
    earth = metric.wasserstein(float(levels[1] - levels[0]))
    distribution: dict[str, Any] = {"variants": {}, "shares": {}}
    for name in counts[0]:
        total = np.sum([one[name] for one in counts], axis=0)
        distribution["shares"][name] = [rounded(share) for share in total / max(total.sum(), 1.0)]
        if name == "real":
            continue
        sums = np.array([np.concatenate([one["real"], one[name]]) for one in counts])
        distribution["variants"][name] = {
            "total_variation": metric.estimate(sums, metric.total_variation, most_distance=1.0),
            "wasserstein": metric.estimate(sums, earth, float(levels[-1] - levels[0])),
            "total_variation_per_user": metric.mean_of(metric.total_variation(sums)),
            "wasserstein_per_user": metric.mean_of(earth(sums)),
        }
    return distribution


def _apart(ratings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How users differ from each other: their means and their spreads, really and simulated, in points."""
    apart: dict[str, Any] = {}
    tables = {}
    for name, key in (("real", "real"), (SIMULATED, "answer")):
        given = [_numbers(line[key]) for line in ratings.values()]
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


class _Scored:
    """One user's scores in one test, by variant: P chosen items in the first column, K others beside each.

    Those by one term alone, and without it, are of the ``fewest`` others alone.
    """

    def __init__(self, line: Mapping[str, Any], others: int, fewest: int) -> None:
        def table(values: Iterable[Any], others: int = others) -> Floats:
            # A failed answer chooses nothing.
            return np.nan_to_num(_numbers(values), nan=-np.inf).reshape(-1, 1 + others)

        self.variants = {SIMULATED: table(line["score"])}
        self.variants |= {name: table(values) for name, values in line["baselines"].items()}
        self.terms = {name: table(values, fewest) for name, values in line["terms"].items()}
        self.without = {name: table(values, fewest) for name, values in line["without"].items()}


def _scored(directory: Path, others: int, fewest: int) -> dict[str, dict[str, _Scored]]:
    """The scores of each test, by user; as arrays, because they are many."""
    tests: dict[str, dict[str, _Scored]] = {}
    for _, line in read_file(directory / "choices.jsonl"):
        tests.setdefault(line["test"], {})[line["user"]] = _Scored(line, others, fewest)
    return tests


def _choices(tests: Mapping[str, Mapping[str, _Scored]], negatives: Sequence[int]) -> dict[str, Any]:
    """How well what was chosen is distinguished from what was not, each test and ratio, beside the baselines."""
    names = sorted({name for scored in tests.values() for name in scored}, key=place)
    group = {name: rank % min(_GROUPS, len(names)) for rank, name in enumerate(names)}
    sums, numbers = _Sums(), {}
    for test in TESTS:
        scored = tests.get(test)
        if not scored:
            continue
        first = next(iter(scored.values()))
        numbers[test] = list(first.variants), list(first.terms), len(scored)
        for name in first.variants:
            tables = {who: one.variants[name] for who, one in scored.items()}
            for number in negatives:
                few = {who: table[:, : 1 + number] for who, table in tables.items()}
                sums.add((test, number, name, "auc"), _areas(names, few), ratio)
                counts = _confusions(names, few, group)
                for value in metric.AGREEMENT:
                    sums.add((test, number, name, value.__name__), counts, value)
        for name in first.terms:
            for key in ("alone", "without"):
                tables = {who: (one.terms if key == "alone" else one.without)[name] for who, one in scored.items()}
                sums.add((test, key, name), _areas(names, tables), ratio)
    choices: dict[str, Any] = {}
    differences: dict[str, Any] = {}
    ablation: dict[str, Any] = {}
    sums.draw()
    measures = [*(one.__name__ for one in metric.AGREEMENT), "auc"]
    for test, (variants, terms, users) in numbers.items():
        choices[test] = {"users": users, "ratios": {}}
        for number in negatives:
            ratios = choices[test]["ratios"]
            ratios[f"1:{number}"] = {
                name: {one: sums.estimate((test, number, name, one)) for one in measures} for name in variants
            }
            commoner = {"accuracy": {"estimate": rounded(number / (1 + number)), "low": None, "high": None}}
            ratios[f"1:{number}"]["always the commoner answer"] = commoner
        differences[test] = {
            name: sums.difference((test, negatives[0], SIMULATED, "auc"), (test, negatives[0], name, "auc"))
            for name in variants[1:]
        }
        ablation[test] = {
            name: {
                "alone": sums.estimate((test, "alone", name)),
                "lost_without": sums.difference((test, negatives[0], SIMULATED, "auc"), (test, "without", name)),
            }
            for name in terms
        }
    return {"choices": choices, "choice_differences": differences, "terms": ablation}


def _truth(table: Floats) -> Flags:
    """Which of the scores are of chosen items."""
    truth = np.zeros(table.shape, dtype=np.bool_)
    truth[:, 0] = True
    return truth


def _areas(names: Sequence[str], tables: Mapping[str, Floats]) -> Floats:
    """Each user's area under the curve and how many values that is, 1 or 0; shape ``(users, 2)``."""
    rows = [
        (metric.area(tables[name].ravel(), _truth(tables[name]).ravel()), 1.0) if name in tables else (0.0, 0.0)
        for name in names
    ]
    return np.array(rows)


def _confusions(names: Sequence[str], tables: Mapping[str, Floats], group: Mapping[str, int]) -> Floats:
    """Each user's true positives, false positives, false negatives, true negatives, shape ``(users, 4)``.

    An item counts as chosen from that score on which calls as many items of the users of other groups chosen as were:
    no answer of a user sets their own threshold.
    """
    cuts = {}
    for number in set(group.values()):
        others = [table for name, table in tables.items() if group[name] != number]
        if others:
            together = np.concatenate(others)
            cuts[number] = metric.threshold(together.ravel(), _truth(together).ravel())
    rows = np.zeros((len(names), 4))
    for row, name in enumerate(names):
        if name in tables and group[name] in cuts:
            table = tables[name]
            rows[row] = metric.confusion(table >= cuts[group[name]], _truth(table))
    return rows


def _sentence(results: Mapping[str, Any]) -> str:
    """Who is ahead of whom, by how much, on how many users, on which data."""
    sentences = []
    if tests := results.get("choices"):
        test = next(name for name in reversed(TESTS) if name in tests)
        first = next(iter(tests[test]["ratios"].values()))
        areas, apart = {name: one.get("auc", {}) for name, one in first.items()}, results["choice_differences"][test]
        best = max(apart, key=lambda name: areas[name]["estimate"] or 0.0)
        mine, theirs = (_short(areas[name]["estimate"]) for name in (SIMULATED, best))
        how = _compared(apart[best], more_is_better=True)
        sentences.append(
            f"At predicting what {tests[test]['users']:,} users chose from candidates {_among(test)}, simulated users "
            f"{how} {best}, the best baseline (AUC {mine} and {theirs}; difference {_ends(apart[best])})"
        )
    if errors := results.get("ratings"):
        apart = results["rating_differences"]
        best = min(apart, key=lambda name: errors[name]["rmse"]["estimate"] or np.inf)
        mine, theirs = (_short(errors[name]["rmse"]["estimate"]) for name in (SIMULATED, best))
        how = _compared(apart[best]["rmse"], more_is_better=False)
        sentences.append(
            f"at predicting {results['heldout_ratings']:,} ratings by {results['users']:,} users, simulated users "
            f"{how} {best}, the best baseline (RMSE {mine} and {theirs} points on the scale {results['scale']}; "
            f"difference {_ends(apart[best]['rmse'])})"
        )
    if not sentences:
        return f"Nobody could be measured on {results['config']['ratings']}."
    text = "; ".join(sentences)
    return f"{text[0].upper()}{text[1:]}; on {results['config']['ratings']}."


def _among(test: str) -> str:
    return "drawn at random" if test == RANDOM else test


def _compared(difference: Mapping[str, Any], more_is_better: bool) -> str:
    low, high = difference["low"], difference["high"]
    if low is None or low <= 0 <= high:
        return "cannot be distinguished from"
    return "are ahead of" if (low > 0) == more_is_better else "are behind"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _ends(one: Mapping[str, Any]) -> str:
    return f"{one['estimate']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]" if one["low"] is not None else "-"
