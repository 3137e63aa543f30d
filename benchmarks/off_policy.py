"""How far off-policy estimators are off, by amount of data and exploration, where the true value is known.

Users with 100 items answer on 1 to 10 by a made-up model: quality of the item, taste in three dimensions, noise. A log
is made by ``popular`` or ``best_guess`` with some exploration; two recommenders, the best rated items of the log and
the other end of that order, are measured on it, and their true value is the mean of the complete answers::

    python benchmarks/off_policy.py
"""

from __future__ import annotations

import argparse
from typing import cast

import numpy as np

from emosim_core.evaluation.off_policy import ESTIMATORS, LoggedEvents, sums_by_user
from emosim_core.model.arrays import Floats
from emosim_core.stats import ratio
from emosim_core.studies.trust.exposure import Policy, expose
from emosim_core.studies.trust.lineup import picked

ITEMS, LENGTH, SLATE = 100, 10, 5


def answers(users: int, rng: np.random.Generator) -> Floats:
    """Complete answers, 1 to 10; the items are the same for every draw."""
    of_items = np.random.default_rng(0)
    quality, taste = of_items.normal(6, 1, ITEMS), of_items.normal(0, 0.6, (3, ITEMS))
    values = quality + rng.normal(size=(users, 3)) @ taste + 1.5 * rng.normal(size=(users, ITEMS))
    return np.asarray(np.clip(np.round(values), 1, 10), dtype=np.float64)


def errors(users: int, policy: Policy, epsilon: float, rng: np.random.Generator) -> dict[str, list[float]]:
    """How far each estimator is off on one log, in points, for both recommenders."""
    truth = answers(users, rng)
    made = expose(truth, np.full(users, LENGTH), policy, epsilon, 7.0, rng)
    late = np.arange(len(made.users)) % LENGTH == LENGTH - 1
    sums, counts = (np.bincount(made.items[~late], weight, ITEMS) for weight in (made.values[~late], None))
    means = (sums + 10 * made.values.mean()) / (counts + 10)
    order = np.argsort(-means, kind="stable")
    free = np.ones((users, ITEMS), dtype=np.bool_)
    free[made.users[~late], made.items[~late]] = False
    shown, here = made.items[late], np.arange(users)
    found: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    for ranked in (order, order[::-1]):
        picks = picked(np.tile(ranked, (users, 1)), free, SLATE)
        shares = picks / picks.sum(axis=1, keepdims=True)
        events = LoggedEvents(
            users=here,
            shares=shares[here, shown],
            propensities=made.propensities[late],
            rewards=(made.values[late] - 1) / 9,
            predicted=(means[shown] - 1) / 9,
            direct=shares @ (means - 1) / 9,
        )
        value = float((shares * truth).sum(axis=1).mean())
        for name, table in sums_by_user(events, users).items():
            estimate = float(ratio(table.sum(axis=0)))
            found[name].append(1 + 9 * estimate - value)  # NaN of SNIPS where nothing matched
    return found


def main() -> None:
    """Print a table: the root of the mean squared error, and how often there was no estimate."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=50, help="logs of each kind")
    draws = parser.parse_args().draws
    print("Root mean squared error in points of 1 to 10; in brackets the mean error.")
    print(f"{'log by':12} {'explores':>8} {'answers':>8}  " + "  ".join(f"{name:>15}" for name in ESTIMATORS))
    for policy in ("popular", "best_guess"):
        for epsilon in (0.05, 0.2, 1.0):
            for users in (100, 400, 1600):
                rng = np.random.default_rng([users, round(100 * epsilon)])
                some = [errors(users, cast(Policy, policy), epsilon, rng) for _ in range(draws)]
                cells = []
                for name in ESTIMATORS:
                    off = np.concatenate([one[name] for one in some])
                    off = off[~np.isnan(off)]
                    cells.append(f"{np.sqrt(np.mean(off**2)):6.2f} [{off.mean():+6.2f}]")
                print(f"{policy:12} {epsilon:8.0%} {users:8,}  " + "  ".join(f"{cell:>15}" for cell in cells))


if __name__ == "__main__":
    main()
