"""Fits and compares what the rule-based rater learns of recorded users, on users whom no validation measures.

    python scripts/fit_recorded.py PATH              fits the weights of choosing, prints the errors of rating
    python scripts/fit_recorded.py PATH --compare    also prints how the errors change with each constant

PATH is a folder with MovieLens' movies.csv and ratings.csv. The users that `emosim validate` measures are left out.
The others are dealt into four parts; each user is predicted from what users of the other three had done before the
month in which the user is split, as `emosim validate` does. Needs pandas and scikit-learn. docs/rule-based-rater.md
says what every figure means.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core import EnvironmentConfig
from emosim_core.components.rule_based import RECORDED_USERS, RuleBased
from emosim_core.components.rule_based_constants import FITTED as fitted
from emosim_core.components.rule_based_interest import TERMS, Interest
from emosim_core.hooks import Registry
from emosim_core.model import Catalog, History, Memory
from emosim_core.model.emotion import NEUTRAL
from emosim_core.plugins import Domain, User, World, assemble
from emosim_core.studies.validation.candidates import MATCHED, MATCHED_YEAR, RANDOM, Existing, draw_tests
from emosim_core.studies.validation.knowledge import Knowledge, Known, RealLog
from emosim_core.studies.validation.metrics import area, levels_of, threshold, total_variation
from emosim_core.studies.validation.simulator import UserSimulator
from emosim_core.studies.validation.users import CALIBRATION, TRAIN, Part, RealUser, real_users_of, user_split_of

PARTS = 4
"""Parts that users are dealt into."""

OFFERED = {RANDOM: 3, MATCHED: 1, MATCHED_YEAR: 1}
"""Films beside each chosen one, by how they are drawn."""

OTHERS = {
    "LATELY_HALF_LIFE": (15.0, 60.0), "LATELY_DOUBT": (10.0, 60.0), "LEVEL_HALF_LIFE": (30.0, 300.0),
    "LEVEL_DOUBT": (10.0, 40.0), "PUBLIC_DOUBT": (3.0, 8.0),
}  # fmt: skip
"""Other values that are compared with those in use."""


@dataclass(frozen=True)
class Month:
    """Users of a part who are split in the same month, and what all other users make known before it."""

    part: int
    known: Known
    existing: Existing
    real_users: list[RealUser]


def parts(path: Path) -> tuple[Domain, list[Month]]:
    """The users who are not measured, in four parts, month by month."""
    log = RealLog(Registry(), "movies", f"movielens:{path}", "lexical", seed=42)
    names = log.interactions.user_ids
    ours = np.array([user_split_of(name) in (TRAIN, CALIBRATION) for name in names])
    dealt = np.random.default_rng(5).integers(0, PARTS, len(names))
    all_months = []
    for number in range(PARTS):
        mine = ours & (dealt == number)
        users = [one for one in real_users_of(log.interactions) if mine[one.number]]
        part = Part(str(number), ours & ~mine, tuple(sorted(users, key=lambda one: one.moment or 0)))
        knowledge, existing = Knowledge(log, part, seed=42), log.existing(part.training)
        for month, some in groupby(part.users, key=lambda one: one.moment):
            known = knowledge.known(month)
            if known.enough:
                all_months.append(Month(number, known, existing, list(some)))
    print(f"{sum(len(one.real_users) for one in all_months)} users in {PARTS} parts, {len(log.catalog)} films")
    return log.domain, all_months


@dataclass(frozen=True)
class Choice:
    """What one user is shown: the terms of each film's score, which are chosen, which are random, and the part."""

    terms: NDArray[np.float64]
    chosen: NDArray[np.bool_]
    random: NDArray[np.bool_]
    part: int


def choices(all_months: list[Month], positives: int = 20, most: int = 3) -> list[Choice]:
    """Chosen films of everybody among random ones, among those as popular, and among those as popular and as old."""
    rows = []
    for month in all_months:
        catalog = month.known.catalog
        model, nothing = Interest(catalog), np.zeros((1, len(catalog.category_names)))
        for real_user in month.real_users:
            tests = draw_tests(real_user, month.existing, catalog.public_counts, most, positives, seed=1)
            others = [tests[name].others[:, :count].ravel() for name, count in OFFERED.items()]
            items = np.concatenate([tests[RANDOM].chosen, *others])
            kind = np.repeat([0, 1, 2, 2], [len(tests[RANDOM].chosen), *map(len, others)])
            if len(others[0]) and len(others[1]):
                terms = model.terms(items[None], _remembered(real_user, catalog), nothing)[0]
                rows.append(Choice(terms, kind == 0, kind == 1, month.part))
    return rows


def _remembered(real_user: RealUser, catalog: Catalog) -> History:
    """The past of a user as a history."""
    memory = Memory(1, len(catalog), max(1, len(real_user.past.items)))
    for item in real_user.past.items:
        memory.append(np.array([0]), np.array([item]), np.zeros(1), np.array([NEUTRAL]))
    return memory.history()


def weights(rows: list[Choice]) -> NDArray[np.float64]:
    """Logistic regression of what was chosen, the chosen counted with the random and with the matched films."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    table = np.concatenate([row.terms for row in rows] + [row.terms[row.chosen] for row in rows])
    chosen = np.concatenate([row.chosen for row in rows] + [row.chosen[row.chosen] for row in rows])
    size = table.std(axis=0)
    size[size == 0] = 1.0
    fitting = LogisticRegression(C=10, max_iter=1000).fit(table / size, chosen)
    coefficients: NDArray[np.float64] = fitting.coef_[0] / size
    return coefficients


def held_out_choices(rows: list[Choice]) -> str:
    """How well each part's choices are predicted by weights and a threshold of the other parts."""
    right: list[float] = []
    areas: list[tuple[float, float]] = []
    for part in range(PARTS):
        others, mine = ([row for row in rows if (row.part == part) == side] for side in (False, True))
        fit = weights(others)
        cut = threshold(*(np.concatenate(both) for both in zip(*(one_to_one(row, fit) for row in others), strict=True)))
        for row in mine:
            scores, chosen = one_to_one(row, fit)
            right.extend(((scores >= cut) == chosen).tolist())
            everything = row.terms @ fit
            matched = ~row.random
            areas.append((area(scores, chosen), area(everything[matched], row.chosen[matched])))
    random, matched_area = np.mean(areas, axis=0).tolist()
    return f"1:1 accuracy {np.mean(right):.4f}, area {random:.4f}; matched in popularity, area {matched_area:.4f}"


def one_to_one(row: Choice, fit: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of the chosen and as many random films, and which are chosen."""
    count = int(row.chosen.sum())
    some = np.concatenate([np.flatnonzero(row.chosen), np.flatnonzero(row.random)[:count]])
    return row.terms[some] @ fit, row.chosen[some]


def plain_errors(all_months: list[Month], at_random: bool) -> float:
    """Root mean squared error, in stars, of a film's mean with a user's bias, split by time or at random."""
    rng, off = np.random.default_rng(0), []
    for month in all_months:
        catalog = month.known.catalog
        counts = catalog.public_counts
        middle = float(np.average(catalog.public_ratings, weights=counts))
        mean = (counts * catalog.public_ratings + 5 * middle) / (counts + 5)
        for real_user in month.real_users:
            order = rng.permutation(len(real_user.items)) if at_random else np.arange(len(real_user.items))
            assert real_user.values is not None
            apart = (real_user.values - mean[real_user.items])[order]
            past, later = apart[: real_user.past_count], apart[real_user.past_count :]
            off.append(later - past.sum() / (len(past) + 3))
    return float(np.sqrt((np.concatenate(off) ** 2).mean())) / 2


def errors(domain: Domain, world: World, all_months: list[Month]) -> str:
    """How well later ratings are predicted: root mean squared error, and the distribution of single answers."""
    squares, count = 0.0, 0
    sums: list[list[NDArray[np.float64]]] = [[] for _ in range(PARTS)]
    for month in all_months:
        world = replace(world, catalog=month.known.catalog, rater=RuleBased(RECORDED_USERS))
        users = [User(id=real_user.id, name=real_user.id) for real_user in month.real_users]
        simulator = UserSimulator(world, month.real_users, users, seed=42)
        for row, real_user in enumerate(month.real_users):
            expected = simulator.expect(row, real_user.later)
            assert expected is not None
            squares += float(((expected - real_user.later_values) ** 2).sum())
            count += len(expected)
            both = (real_user.later_values, simulator.rate(row, real_user.later))
            sums[month.part].append(np.concatenate([levels_of(one, domain.scale.levels) for one in both]))
    apart = [float(total_variation(np.sum(of, axis=0))) for of in sums]
    stars = float(np.sqrt(squares / count)) / 2
    return f"RMSE {stars:.4f} stars, total variation {np.mean(apart):.4f} on average of the parts"


@contextmanager
def changed(name: str, value: Any) -> Iterator[None]:
    """The constants with another value."""
    before = getattr(fitted, name)
    setattr(fitted, name, value)
    try:
        yield
    finally:
        setattr(fitted, name, before)


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="folder with movies.csv and ratings.csv of MovieLens")
    parser.add_argument("--compare", action="store_true", help="compare other constants")
    arguments = parser.parse_args()
    domain, all_months = parts(arguments.path)
    rows = choices(all_months)
    print("INTEREST", {name: round(float(one), 2) for name, one in zip(TERMS, weights(rows), strict=True)})
    print("choices of each part, by the others:", held_out_choices(rows))
    for name, at_random in (("by time", False), ("at random", True)):
        print(f"film's mean + user's bias, split {name}: RMSE {plain_errors(all_months, at_random):.4f} stars")
    world = assemble(EnvironmentConfig(plugin="movies", items_retrieval="none"))
    print("in use:", errors(domain, world, all_months))
    if not arguments.compare:
        return
    for name, values in OTHERS.items():
        for value in values:
            with changed(name, value):
                print(f"{name} {value:g}:", errors(domain, world, all_months))
    for part, size in fitted.LEARNT.items():
        for factor in (0.7, 1.4):
            with changed("LEARNT", {**fitted.LEARNT, part: size * factor}):
                print(f"{part} {size * factor:.2f}:", errors(domain, world, all_months))


if __name__ == "__main__":
    main()
