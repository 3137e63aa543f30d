"""Choices by what items are: how many took them, how new they are, their categories, their texts."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np

from emosim_core.data.interactions import Interactions
from emosim_core.estimators.interface import DECIMALS, ChoiceEstimator, Past
from emosim_core.model import Catalog
from emosim_core.model.arrays import Floats, Ints


class Popularity(ChoiceEstimator):
    """The number of users of the log who took the item."""

    name = "popularity"

    def fit(self, log: Interactions, catalog: Catalog) -> None:
        self._counts = np.bincount(log.items, minlength=log.item_count).astype(np.float64)

    def scores(self, past: Past, items: Ints) -> Floats:
        return self._counts[items]


class Recency(ChoiceEstimator):
    """The year of release; where it is unknown, the one in which the log has the item first.

    An item of which neither is known has the mean of the others.
    """

    name = "recency"

    def fit(self, log: Interactions, catalog: Catalog) -> None:
        years = np.array([np.nan if item.year is None else item.year for item in catalog.items])
        if log.times is not None:
            first = np.full(log.item_count, np.inf)
            np.minimum.at(first, log.items, log.times)
            for item in np.flatnonzero(np.isnan(years) & np.isfinite(first)):
                years[item] = datetime.fromtimestamp(first[item], timezone.utc).year
        known = years[~np.isnan(years)]
        self._years = np.where(np.isnan(years), known.mean() if len(known) else 0.0, years)

    def scores(self, past: Past, items: Ints) -> Floats:
        return self._years[items]


class _Profiles(ChoiceEstimator):
    """Scores by the inner product of an item with the mean of the user's items, each of length 1 (Lops, de Gemmis &
    Semeraro, 2011, doi 10.1007/978-0-387-85820-3_3, section 3.3); all are 0 for a user without a past, and where items
    have no such attributes."""

    _vectors: Floats
    """Of all items, shape ``(N, D)``."""

    def scores(self, past: Past, items: Ints) -> Floats:
        if not len(past.items):
            return np.zeros(len(items))
        return np.round(self._vectors[items] @ self._vectors[past.items].mean(axis=0, dtype=np.float64), DECIMALS)


class CategoriesInCommon(_Profiles):
    """How much of the item's categories is in the user's items: both as vectors over categories, of length 1."""

    name = "categories in common"

    def fit(self, log: Interactions, catalog: Catalog) -> None:
        flags = catalog.categories.astype(np.float64)
        self._vectors = flags / np.maximum(np.linalg.norm(flags, axis=1, keepdims=True), 1.0)


class TextSimilarity(_Profiles):
    """How alike the item's text and those of the user's items are, by the catalog's embeddings."""

    name = "text similarity"

    def fit(self, log: Interactions, catalog: Catalog) -> None:
        self._vectors = catalog.embeddings.astype(np.float64)
