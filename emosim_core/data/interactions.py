"""A log of real users as arrays: who took which item, when, and how they rated it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emosim_core.model import LoadedRatings
from emosim_core.model.arrays import Flags, Floats, Ints


@dataclass(frozen=True)
class Interactions:
    """R interactions of U users with N items, by user and, within a user, oldest first.

    Attributes:
        user_ids: ids of the users, sorted, U of them.
        users: index of each interaction's user, ascending, shape ``(R,)``.
        items: index of each interaction's item, shape ``(R,)``; nobody has an item twice.
        values: ratings, shape ``(R,)``; None in a log that says only that an item was taken.
        times: seconds since 1970, shape ``(R,)``; None in a log without times, where the order within a user is drawn.
        item_count: N.
    """

    user_ids: tuple[str, ...]
    users: Ints
    items: Ints
    values: Floats | None
    times: Floats | None
    item_count: int

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of(cls, ratings: LoadedRatings, item_count: int, seed: int) -> Interactions:
        """The interactions of ratings that were loaded.

        Of several ratings of one item by one user the last counts. The ``seed`` decides the order of those of the
        same second, and of all where there are no times.
        """
        names, users = np.unique(np.asarray(ratings.user_ids, dtype=np.str_), return_inverse=True)
        drawn = np.random.default_rng(seed).random(len(users))
        keys = (drawn, users) if ratings.times is None else (drawn, ratings.times, users)
        order = np.lexsort(keys)
        pairs = users[order].astype(np.int64) * item_count + ratings.items[order]
        last = len(pairs) - 1 - np.unique(pairs[::-1], return_index=True)[1]
        order = order[np.sort(last)]
        return cls(
            tuple(names.tolist()),
            users[order].astype(np.intp),
            ratings.items[order],
            None if ratings.values is None else ratings.values[order],
            None if ratings.times is None else ratings.times[order],
            item_count,
        )

    @property
    def starts(self) -> Ints:
        """Where each user's interactions begin, and the last one's end, shape ``(U + 1,)``."""
        return np.searchsorted(self.users, np.arange(len(self.user_ids) + 1))

    def only(self, rows: Flags) -> Interactions:
        """Some of the interactions, of the same users and items; ``rows`` has the shape ``(R,)``."""
        values, times = (None if one is None else one[rows] for one in (self.values, self.times))
        return Interactions(self.user_ids, self.users[rows], self.items[rows], values, times, self.item_count)
