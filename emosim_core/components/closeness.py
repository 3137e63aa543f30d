"""Closeness: how near items are to each other, and how repetition bores; what raters that remember have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emosim_core.model import Catalog
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.packed import values_of

if TYPE_CHECKING:
    from emosim_core.kernels.compiled import Kernels

_PAIRS = 50_000
"""Random pairs of items that are looked at to learn which cosines are high in a catalog."""

BOREDOM_CAP = 63
"""Repetitions from which boredom grows no more."""


class Closeness:
    """How close items of a catalog are, from 0 to 1: 1 within a series, else by their cosine.

    Args:
        weight: what the highest cosine tells beside being of one series, 0 to 1; less where cosines tell less.
    """

    def __init__(self, catalog: Catalog, weight: float = 1.0) -> None:
        self._catalog, self._series = catalog, series_of(catalog)
        self._low, telling = telling_cosines(catalog)
        self._factor = (weight * telling) ** 0.5 / (1.0 - self._low)  # 0 where no cosine counts

    def of(self, left: Ints, right: Ints) -> Floats:
        """How close items are to others, by indices of any shapes that broadcast to that of the answer."""
        same = self._series.take(left) == self._series.take(right)
        if not self._factor:
            return same.astype(np.float64)
        closeness = self._catalog.similarity(left, right) - self._low
        np.maximum(closeness, 0.0, out=closeness)
        closeness *= self._factor
        closeness *= closeness
        return np.maximum(closeness, same, out=closeness)

    def kernel_arrays(self, kernels: Kernels) -> tuple[Any, ...]:
        """The same for kernels: series, from which cosine on items are close, its factor, and the cosines."""
        table, vectors, norms = self._catalog.cosine_arrays
        return self._series, self._low, self._factor, table, vectors, norms, *kernels.near.cosines(vectors)


def boredom_table(points: float) -> Floats:
    """What 0, 1, 2, ... earlier times add: ``points`` off for the first, and for n this times log2(1 + n)."""
    table: Floats = -points * np.log2(1.0 + np.arange(BOREDOM_CAP + 1))
    return table


def series_of(catalog: Catalog) -> Ints:
    """A number for each item that it shares with the other parts of its collection alone; shape ``(N,)``."""
    first: dict[str, int] = {}
    names = values_of(catalog.items, "collection")
    return np.array([i if name is None else first.setdefault(name, i) for i, name in enumerate(names)], dtype=np.intp)


def telling_cosines(catalog: Catalog) -> tuple[float, float]:
    """From which cosine on items are similar, and how much the highest cosine then tells, 0 to 1.

    Embeddings differ in how high the cosine of unrelated items is, so both follow from cosines of
    random pairs: the quantile .9, and how far the quantile .999 stays below 1 compared with the median.
    Where many items have the very same vector, a cosine of 1 tells next to nothing.
    """
    count = len(catalog)
    if catalog.embeddings.shape[1] == 0 or not (catalog.norms.any() or catalog.embeddings.any()) or count < 2:
        return 0.0, 0.0
    if count * (count - 1) // 2 <= _PAIRS:
        left, right = np.triu_indices(count, 1)
    else:
        rng = np.random.default_rng(0)
        left = rng.integers(0, count, _PAIRS)
        right = (left + rng.integers(1, count, _PAIRS)) % count
    cosines = catalog.similarity(left, right).astype(np.float64)
    middle, low, high = (float(q) for q in np.quantile(cosines, [0.5, 0.9, 0.999]))
    if low > 1.0 - 1e-6:
        return 0.0, 0.0
    return low, min(1.0, max(0.0, (1.0 - high) / (1.0 - middle)))
