"""The measures of a prompt bench, from its records alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from emosim_core.hooks.names import spelled
from emosim_core.model.arrays import Floats
from emosim_core.runs.records import FORMAT
from emosim_core.runs.usage import summed
from emosim_core.stats import bootstrap_difference, ratio, rounded
from emosim_core.studies.prompts.questions import BLANK, CHOSEN, OTHER, REVERSED, SWAPPED
from emosim_core.studies.prompts.records import BenchJob, Line, bench_manifest
from emosim_core.studies.validation.metrics import Value, area, estimate, levels_of, mean_of, root, total_variation

MEASURES = {
    "rmse": "root of the mean squared distance of the expected rating from the real one",
    "auc": "how often an item that the user took is expected to be rated above one as popular that they did not take",
    "variation": "total variation distance between the answers and the real ratings of the same items",
    "persons": "standard deviation of the expected rating of one item between persons",
    "items": "standard deviation of the expected rating of one person between items",
    "order": "mean change of the expected rating where the memories are in reverse order",
    "label": "total variation distance between the answers about an item of which nothing is known and the ratings of "
    "training users",
    "copied": "share of the runs of four words of a reason that stand in a worked example",
    "prompt": "tokens of a request",
    "completion": "tokens of an answer",
    "failed": "share of questions without an answer",
}
"""The measures, each over users."""

BASELINE = "item mean + user bias"
"""The simple model beside which strategies stand."""


def compute_results(directory: Path) -> dict[str, Any]:
    """What prompts.json holds: the measures of each strategy with their intervals over users, and differences.

    A RunError where records are missing or damaged.
    """
    manifest = bench_manifest(directory)
    levels, shares = (np.array(manifest[name], dtype=np.float64) for name in ("levels", "shares"))
    names = [spelled(one) for one in manifest["config"]["strategies"]]
    read = {name: BenchJob.of(directory, name).read() for name in names}
    users = sorted({line["user"] for _, lines in read.values() for line in lines})
    strategies = []
    errors: dict[str, Floats] = {}
    for name, (head, lines) in read.items():
        answered = _Answers(lines, users, levels)
        errors[name] = answered.squared_errors()
        calls = head["usage"].get("calls") or 0
        strategies.append(
            {
                "strategy": name,
                "questions": len(lines),
                "seconds_per_call": round(head["seconds"] / calls, 3) if calls else None,
                **answered.measures(shares),
            }
        )
    lines = read[names[0]][1]
    baseline = _sums(lines, users, CHOSEN, lambda line: _squared(line["baseline"], line), 1)
    return {
        "format": FORMAT,
        "title": manifest["title"],
        "language_model": manifest["language_model"],
        "split": manifest["config"]["split"],
        "users": len(users),
        "left_out": len(manifest["data"]["measured"]) - len(users),
        "ratings": sum(line["kind"] == CHOSEN for line in lines),
        "strategies": strategies,
        "baseline": {"name": BASELINE, "rmse": estimate(baseline, root)},
        "differences": [
            {"strategy": name, "less": names[0], **_difference(errors[name], errors[names[0]])} for name in names[1:]
        ],
        "measures": MEASURES,
        "usage": summed([head["usage"] for head, _ in read.values()]),
    }


def _squared(value: float, line: Line) -> list[float]:
    return [(value - line["real"]) ** 2, 1.0]


def _difference(first: Floats, second: Floats) -> dict[str, float | None]:
    """Of the RMSE of the same users; negative where the first is better."""
    low, high = bootstrap_difference(first, second, root, root)
    value = float(root(first.sum(axis=0)) - root(second.sum(axis=0)))
    return {"estimate": rounded(value), "low": rounded(low), "high": rounded(high)}


def _sums(
    lines: Iterable[Line],
    users: Sequence[str],
    kind: str | None,
    added: Callable[[Line], Sequence[float] | None],
    size: int,
) -> Floats:
    """What lines of a kind, or of all, add for each user, ``(users, size + 1)``; those that add None are left out."""
    place = {user: row for row, user in enumerate(users)}
    sums = np.zeros((len(users), size + 1))
    for line in lines:
        if kind in (None, line["kind"]) and (more := added(line)) is not None:
            sums[place[line["user"]]] += more
    return sums


class _Answers:
    """The answers to one strategy.

    Args:
        lines: its records.
        users: everybody who was asked about with any strategy.
        levels: of the scale, worst first.
    """

    def __init__(self, lines: Sequence[Line], users: Sequence[str], levels: Floats) -> None:
        self._lines, self._users, self._levels = lines, users, levels
        self._expected: dict[tuple[str, str, str], float] = {
            (line["kind"], line["user"], line["item"]): float(np.dot(line["distribution"], levels))
            for line in lines
            if line["distribution"] is not None
        }

    def _of(self, line: Line, kind: str | None = None) -> float | None:
        """The expected rating of a line, or of another kind with the same user and item; None without an answer."""
        return self._expected.get((kind or line["kind"], line["user"], line["item"]))

    def squared_errors(self) -> Floats:
        """Squared errors and their number, by user."""

        def added(line: Line) -> Sequence[float] | None:
            value = self._of(line)
            return None if value is None else _squared(value, line)

        return _sums(self._lines, self._users, CHOSEN, added, 1)

    def measures(self, shares: Floats) -> dict[str, Any]:
        """Each measure with its interval over users; ``shares`` are of the ratings of training users."""
        apart = total_variation_from(shares)
        return {
            "rmse": estimate(self.squared_errors(), root),
            "auc": mean_of(self._areas()),
            "variation": estimate(self._counts(), total_variation, 1.0),
            "persons": estimate(self._pairs(SWAPPED, 0.5), root),
            "items": estimate(self._between_items(), root),
            "order": estimate(self._pairs(REVERSED, 1.0, power=1), ratio),
            "label": estimate(self._distributions(BLANK), apart, 1.0),
            "copied": estimate(self._field("copied"), ratio),
            "prompt": estimate(self._field("prompt"), ratio),
            "completion": estimate(self._field("completion"), ratio),
            "failed": estimate(self._failed(), ratio),
        }

    def _areas(self) -> Floats:
        areas = []
        for user in self._users:
            some = [(line["kind"], self._of(line)) for line in self._lines if line["user"] == user]
            some = [one for one in some if one[0] in (CHOSEN, OTHER) and one[1] is not None]
            scores = np.array([score for _, score in some], dtype=np.float64)
            areas.append(area(scores, np.array([kind == CHOSEN for kind, _ in some], dtype=np.bool_)))
        return np.array(areas)

    def _distributions(self, kind: str) -> Floats:
        """Sums of the answers, by user, shape ``(users, L)``."""
        size = len(self._levels)
        return _sums(self._lines, self._users, kind, lambda line: line["distribution"], size - 1)

    def _counts(self) -> Floats:
        """Sums of the answers and of the real ratings of the same items, by user, shape ``(users, 2 L)``."""
        levels = self._levels

        def added(line: Line) -> Sequence[float] | None:
            if line["distribution"] is None:
                return None
            return [*line["distribution"], *levels_of(np.array([line["real"]]), levels).tolist()]

        return _sums(self._lines, self._users, CHOSEN, added, 2 * len(levels) - 1)

    def _pairs(self, kind: str, weight: float, power: int = 2) -> Floats:
        """``weight`` times a power of the distance between two answers about the same item, and their number."""

        def added(line: Line) -> Sequence[float] | None:
            first, second = self._of(line), self._of(line, CHOSEN)
            return None if first is None or second is None else [weight * abs(first - second) ** power, 1.0]

        return _sums(self._lines, self._users, kind, added, 1)

    def _between_items(self) -> Floats:
        """Half the squared distances between the answers of a person about two items, and their number, by user."""
        sums = np.zeros((len(self._users), 2))
        for row, user in enumerate(self._users):
            own = [self._of(line) for line in self._lines if line["user"] == user and line["kind"] in (CHOSEN, OTHER)]
            pairs = list(combinations([one for one in own if one is not None], 2))
            sums[row] = sum((first - second) ** 2 / 2 for first, second in pairs), len(pairs)
        return sums

    def _field(self, name: str) -> Floats:
        """Sums of a field of all lines, and how many have it, by user."""

        def added(line: Line) -> Sequence[float] | None:
            value: float | None = line[name]  # type: ignore[literal-required]
            return None if value is None else (value, 1.0)

        return _sums(self._lines, self._users, None, added, 1)

    def _failed(self) -> Floats:
        return _sums(self._lines, self._users, None, lambda line: (line["distribution"] is None, 1.0), 1)


def total_variation_from(shares: Floats) -> Value:
    """The total variation distance of sums of distributions from fixed shares."""

    def value(sums: Floats) -> Floats:
        repeated = np.broadcast_to(shares, sums.shape)
        return total_variation(np.concatenate([sums, repeated], axis=-1))

    return value
