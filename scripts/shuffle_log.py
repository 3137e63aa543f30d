"""Shuffles users' histories in a log: ``python scripts/shuffle_log.py LOG.csv SHUFFLED.csv``.

Each row keeps its item, rating and time, and gets a user of another row. So each item is taken as often and at the same
times, each user takes as many items, and nothing that one user takes says anything of what else this user takes.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

_ROUNDS = 1000
"""Rounds of swaps in which all repeats must be gone."""


def shuffled(users: np.ndarray, items: np.ndarray, seed: int) -> np.ndarray:
    """Users in another order, so that none takes an item twice; ``users`` and ``items`` are whole numbers from 0.

    Raises:
        ValueError: there is no such order, or none that swaps find.
    """
    rng = np.random.default_rng(seed)
    users, width = rng.permutation(users), int(items.max()) + 1
    for _ in range(_ROUNDS):
        pairs = users * width + items
        _, first = np.unique(pairs, return_index=True)
        again = np.setdiff1d(np.arange(len(pairs)), first)
        if not len(again):
            return users
        for row, other in zip(again.tolist(), rng.integers(0, len(users), len(again)).tolist(), strict=True):
            users[[row, other]] = users[[other, row]]
    raise ValueError("too dense a log: some user always takes an item twice")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="a CSV file with a header")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--user", default="userId", help="column of the users")
    parser.add_argument("--item", default="movieId", help="column of the items")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with given.log.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    place = head.index(given.user)
    names, users = np.unique([row[place] for row in rows], return_inverse=True)
    items = np.unique([row[head.index(given.item)] for row in rows], return_inverse=True)[1]
    for row, user in zip(rows, shuffled(users, items, given.seed).tolist(), strict=True):
        row[place] = str(names[user])
    with given.out.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


if __name__ == "__main__":
    main()
