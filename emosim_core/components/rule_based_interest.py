"""Whether a user would choose an item at all: what they remember choosing, against what everybody chooses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from emosim_core.components.rule_based_constants import FITTED as fitted
from emosim_core.components.rule_based_learning import YEARS, weighted_standard, years
from emosim_core.model import Catalog, History
from emosim_core.model.arrays import Floats, Ints

_POPULARITY_STEPS = 24
"""Steps of popularity, from the least to the most widely rated item."""

_USUAL_LENGTH = 50.0
"""Remembered items of a user who is neither eager nor reluctant."""

RECENT = 20
"""Interactions that a user remembers best: what they choose now."""

_AT_ONCE = 4_000_000
"""Numbers that are made at once."""

TERMS = (
    *("exposure", "saturation", "category", "year", "popularity"),
    *("recent_category", "recent_year", "newer", "eagerness"),
)
"""What a score is the weighted sum of."""

GROUPS = {
    "popularity": ("exposure", "saturation", "popularity"),
    "year": ("year", "recent_year", "newer"),
    "categories": ("category", "recent_category"),
}
"""Terms by what they know. Eagerness, the same for all items, tells none from another."""


class Interest:
    """A score of how likely a user is to choose an item, higher for likelier; only differences mean something.

    ====================  =========================================================================================
    term                  value
    ====================  =========================================================================================
    exposure              log(1 + n), n how many users rated the item: what everybody chooses
    saturation            -z squared, z the same, standardised over what everybody chooses
    category              lift of the item's categories, their mean
    year                  lift of its year
    popularity            lift of how widely it is rated
    recent_category       as category, among the last 20 items that the user remembers
    recent_year           as year, among the same
    newer                 -1 for an item that is newer than anything the user remembers
    eagerness             log((m + 1) / 50), m how many items the user remembers
    ====================  =========================================================================================

    A lift is the logarithm of how much more often something occurs among what the user remembers than among what
    everybody chooses, so that the score is that of a naive Bayes model with fitted weights. Shares of a memory are
    mixed with those of everybody, as if so many more items had been chosen as everybody chooses; a category that
    the user says they like or dislike counts more or less there. Weights are ``INTEREST`` of the constants, fitted
    to who rated what in MovieLens.
    """

    def __init__(self, catalog: Catalog) -> None:
        counts = catalog.public_counts.astype(np.float64)
        chosen = counts / counts.sum() if counts.any() else np.full(len(counts), 1.0 / len(counts))
        logs = np.log1p(counts)
        flags = catalog.categories.astype(np.float64)
        self._year, self._dated = years(catalog)
        popularity = weighted_standard(logs, chosen)
        steps = np.linspace(popularity.min(), popularity.max() + 1e-9, _POPULARITY_STEPS)
        tables = {
            "category": flags / np.maximum(flags.sum(axis=1, keepdims=True), 1.0),
            "year": _smoothed(self._year, np.arange(YEARS[0], YEARS[1] + 1.0), fitted.INTEREST_YEARS)
            * self._dated[:, None],
            "popularity": _smoothed(popularity, steps, fitted.INTEREST_POPULARITY),
        }
        self._table = np.column_stack(list(tables.values()))
        self._usual = (self._table * chosen[:, None]).sum(axis=0)  # the digits of a product depend on threads
        width = [table.shape[1] for table in tables.values()]
        self._bounds = np.cumsum([0, *width])
        self._doubt = np.repeat([fitted.INTEREST_DOUBT[name] for name in tables], width)
        # A share that nobody has is not infinitely surprising.
        self._floor = np.repeat([fitted.INTEREST_FLOOR / max(1, one) for one in width], width)
        self._of_item = np.column_stack([logs, -(popularity**2)])
        self._weights = np.array([fitted.INTEREST[name] for name in TERMS])

    def scores(self, items: Ints, history: History, tastes: Floats) -> Floats:
        """The scores of R users for S items each, shape ``(R, S)``.

        Args:
            items: indices, shape ``(R, S)``.
            tastes: 1 for a category that a user says they like, -1 for one that they say they dislike, else 0;
                shape ``(R, C)``.
        """
        # A running sum adds from the first term on, as a loop does.
        return (self.terms(items, history, tastes) * self._weights).cumsum(axis=-1)[..., -1]

    def added(self, items: Ints, history: History, tastes: Floats) -> dict[str, Floats]:
        """What the terms of each of :data:`GROUPS` add to the scores, shape ``(R, S)`` each; arguments as there."""
        weighted = self.terms(items, history, tastes) * self._weights
        return {
            name: weighted[..., [TERMS.index(term) for term in terms]].sum(axis=-1) for name, terms in GROUPS.items()
        }

    def terms(self, items: Ints, history: History, tastes: Floats) -> Floats:
        """The unweighted terms of R users for S items each, shape ``(R, S, 9)``; arguments as of :meth:`scores`."""
        past = history.items if history.width else np.zeros((len(history), 0), dtype=np.intp)
        kernels, lengths = history.memory.kernels, history.lengths
        if kernels is not None:
            had, lately, newest = kernels.interest_past(
                past, lengths, RECENT, self._table, self._bounds[2], self._year, self._dated
            )
            lifts, recent = self._lifts(had, lengths, tastes), self._lifts(lately, np.minimum(lengths, RECENT), tastes)
            eager = np.log((lengths + 1.0) / _USUAL_LENGTH)
            return kernels.interest_terms(
                np.ascontiguousarray(items), self._table, self._of_item, lifts, recent, self._bounds, self._year,
                self._dated, newest, eager,
            )  # fmt: skip
        at_once = max(1, _AT_ONCE // ((items.shape[1] + past.shape[1] + 1) * self._table.shape[1]))
        parts = [np.zeros((0, items.shape[1], len(TERMS)))]
        for first in range(0, len(items), at_once):
            rows = slice(first, first + at_once)
            parts.append(self._some_terms(items[rows], past[rows], lengths[rows], tastes[rows]))
        return np.concatenate(parts)

    def _some_terms(self, items: Ints, past: Ints, lengths: Ints, tastes: Floats) -> Floats:
        """The terms of some users; of the items ``past`` that each remembers, shape ``(R, M)``, ``lengths`` count."""
        places = np.arange(past.shape[1])
        remembered = places < lengths[:, None]
        recent = remembered & (places >= lengths[:, None] - RECENT)
        had, lately = ((self._table[past] * counted[:, :, None]).sum(axis=1) for counted in (remembered, recent))
        terms = np.zeros((*items.shape, len(TERMS)))
        terms[..., :2] = self._of_item[items]
        terms[..., 2:5] = self._shares(items, self._lifts(had, lengths, tastes))
        terms[..., 5:7] = self._shares(items, self._lifts(lately, np.minimum(lengths, RECENT), tastes))[..., :2]
        newest = np.where(remembered & self._dated[past], self._year[past], -np.inf).max(axis=1, initial=-np.inf)
        newer = (self._year[items] > newest[:, None]) & self._dated[items] & np.isfinite(newest)[:, None]
        terms[..., 7] = -1.0 * newer
        terms[..., 8] = np.log((lengths + 1.0) / _USUAL_LENGTH)[:, None]
        return terms

    def _lifts(self, had: Floats, lengths: Ints, tastes: Floats) -> Floats:
        """Lift of each property, from the sums of those of what users chose and how much that is, shape ``(R, W)``."""
        usual = np.tile(self._usual, (len(had), 1))
        usual[:, : self._bounds[1]] *= np.exp(fitted.INTEREST_DECLARED * tastes)
        own = (had + self._doubt * usual) / (lengths[:, None] + self._doubt)
        return np.log((own + self._floor) / (self._usual + self._floor))

    def _shares(self, items: Ints, lifts: Floats) -> Floats:
        """Lifts of category, year and popularity of items, shape ``(R, S, 3)``."""
        shares = np.zeros((*items.shape, 3))
        for group, (low, high) in enumerate(pairwise(self._bounds.tolist())):
            if high > low:
                each = self._table[items, low:high] * lifts[:, None, low:high]
                shares[..., group] = each.cumsum(axis=-1)[..., -1]
        return shares


def _smoothed(values: Floats, steps: Floats, width: float) -> Floats:
    """Each value spread over steps by a normal curve; rows sum to 1, shape ``(N, steps)``."""
    spread = np.exp(-(((values[:, None] - steps) / width) ** 2) / 2)
    total = spread.sum(axis=1, keepdims=True)
    return np.divide(spread, total, out=np.zeros_like(spread), where=total > 0)
