"""What a user might have chosen: candidates beside each item that was chosen, drawn at random or matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.studies.validation.users import RealUser

RANDOM, MATCHED, MATCHED_YEAR = "random", "matched in popularity", "matched in popularity and year"
"""The tests of choices."""

WITHIN = 0.1
"""By what share the popularity of candidates may differ that are as good a match as each other."""

WITHIN_YEARS = 3
"""By how many years of release a candidate that is matched in year may differ."""


@dataclass(frozen=True)
class Existing:
    """Which items existed when.

    Attributes:
        first_seen: month in which the first training user of the whole log took each item, a month after all others
            for an item that none took; shape ``(N,)``. Without times 0 for items that some training user took, else 1.
        years: year of release of each item, NaN where unknown, shape ``(N,)``.
    """

    first_seen: Ints
    years: Floats

    def by(self, month: int | None) -> Flags:
        """Which items could be chosen in a month: seen before it began, and released by its year; ``(N,)``.

        Without times, None, which some training user took.
        """
        if month is None:
            return self.first_seen < 1
        return (self.first_seen < month) & ~(self.years > 1970 + month // 12)


@dataclass(frozen=True)
class Test:
    """What a user is shown in one test: P chosen items, and for each K that were not; shapes ``(P,)``, ``(P, K)``."""

    chosen: Ints
    others: Ints


def draw_tests(
    real_user: RealUser, existing: Existing, popularity: NDArray[np.int64], most: int, max_positives: int, seed: int
) -> dict[str, Test]:
    """Draw what a user is shown, by test; the seed decides, with the user's id.

    A chosen item must fulfil what a candidate must, or its absence from the training log would give it away. Within a
    test no candidate is drawn twice; a chosen item for which too few are left is left out of that test.

    Args:
        popularity: how many training users took each item before the user's moment, shape ``(N,)``.
        most: candidates beside each chosen item.
    """
    rng = np.random.default_rng([seed, *real_user.id.encode()])
    months = None if real_user.months is None else real_user.months[real_user.past_count :].tolist()
    chosen: list[tuple[int, Flags]] = []
    for place in rng.permutation(len(real_user.later)).tolist():
        item, existed = int(real_user.later[place]), existing.by(None if months is None else months[place])
        if existed[item] and len(chosen) < max_positives:
            existed[real_user.items] = False
            chosen.append((item, existed))
    tests = {RANDOM: _drawn([(item, np.flatnonzero(possible), None) for item, possible in chosen], most, rng)}
    apart = [(item, possible, np.abs(popularity - popularity[item])) for item, possible in chosen]
    apart = [(item, possible, np.where(far > WITHIN * popularity[item], far, 0)) for item, possible, far in apart]
    tests[MATCHED] = _drawn([(item, np.flatnonzero(possible), far) for item, possible, far in apart], most, rng)
    years = existing.years
    if not np.isnan(years).all():
        close = [
            (item, np.flatnonzero(possible & (np.abs(years - years[item]) <= WITHIN_YEARS)), far)
            for item, possible, far in apart
        ]
        tests[MATCHED_YEAR] = _drawn(close, most, rng)
    return tests


def _drawn(wanted: Sequence[tuple[int, Ints, Ints | None]], most: int, rng: np.random.Generator) -> Test:
    """A test of chosen items, each with its candidates and how far all items are from it, None where it matters not.

    Each chosen item gets the nearest free candidate, in turns, so that the first of each are the best; of candidates
    as near as each other one is drawn. Where they run out, the item with the fewest is left out.
    """
    orders: list[tuple[int, list[int]]] = []
    for item, candidates, far in wanted:
        key = rng.random(len(candidates)) + (0 if far is None else far[candidates])
        enough = most * len(wanted)
        nearest = np.argpartition(key, enough)[:enough] if len(key) > enough else np.arange(len(key))
        orders.append((item, candidates[nearest[np.argsort(key[nearest])]].tolist()))
    while True:
        others = _in_turns([order for _, order in orders], most)
        short = [place for place, mine in enumerate(others) if len(mine) < most]
        if not short:
            break
        orders.pop(min(short, key=lambda place: len(orders[place][1])))
    chosen = np.array([item for item, _ in orders], dtype=np.intp)
    return Test(chosen, np.array(others, dtype=np.intp).reshape(len(orders), most))


def _in_turns(orders: Sequence[Sequence[int]], most: int) -> list[list[int]]:
    """What each takes that takes the first free one of its order in each of ``most`` turns."""
    taken: set[int] = set()
    left = [iter(order) for order in orders]
    others: list[list[int]] = [[] for _ in orders]
    for _ in range(most):
        for order, mine in zip(left, others, strict=True):
            free = next((candidate for candidate in order if candidate not in taken), None)
            if free is not None:
                taken.add(free)
                mine.append(free)
    return others
