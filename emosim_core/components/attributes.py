"""Retrieval by what items have in common, field by field; the base of each domain's ``simple``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Retrieval, RetrievalRequest
from emosim_core.components.ranking import NEVER, best_positions
from emosim_core.components.retrieval import CountOptions
from emosim_core.errors import ConfigurationError
from emosim_core.model import Catalog, Item
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.packed import of_each_type, values_of

FULL_TABLE_LIMIT = 4096
"""Up to this many items, all similarities are kept (64 MiB); beyond, made on demand."""

AT_ONCE = 4_000_000
"""Comparisons of names that are made at once, which bounds memory."""

_DECIMALS = 6
"""Similarities are rounded to this, so that equal ones are equal and the more recent item comes first."""


class AttributeRetrieval(Retrieval):
    """The past items most like the one at hand, by their data (SUBER, Corecco et al., 2024, arXiv:2406.01631).

    The similarity is a mean with equal weights: the Sorensen-Dice coefficient of each field of :attr:`overlaps` (both
    empty 1, one empty 0), ``1 - |difference of public ratings| / rating_range``, and, for each field of
    :attr:`shared`, 1 where the items have an entry of it in common, else 0. An unknown public rating counts as the
    catalog's mean. A domain subclasses it and sets the attributes; the fields are lists of names of ``item_type``.

    Attributes:
        rating_range: difference of public ratings that counts as nothing in common.
    """

    item_type: ClassVar[type[Item]]
    overlaps: ClassVar[tuple[str, ...]]
    shared: ClassVar[tuple[str, ...]] = ()
    rating_range: ClassVar[float]

    def __init__(self, options: CountOptions | None = None) -> None:
        self.k = (options or CountOptions()).k
        self._catalog: Catalog | None = None

    def retrieve_batch(self, request: RetrievalRequest) -> Ints:
        similarity = self.similarity(request.catalog, request.items, request.history.items)
        scores = np.where(request.history.latest[:, None, :], similarity, NEVER)
        return best_positions(np.ascontiguousarray(scores[..., ::-1]), self.k)

    def similarity(self, catalog: Catalog, items: Ints, others: Ints) -> NDArray[np.floating]:
        """Similarities of items, rounded to six decimals, in [0, 1], shape ``(R, S, W)``.

        Args:
            items: item indices, shape ``(R, S)``.
            others: indices of the items that each row of ``items`` is compared with, shape ``(R, W)``.

        Raises:
            ConfigurationError: the catalog holds items of another type.
        """
        if catalog is not self._catalog:
            self._tables = _Tables(catalog, self)
            self._catalog = catalog
        return self._tables.similarity(items, others)


class _Tables:
    """The fields of a catalog's items as arrays."""

    def __init__(self, catalog: Catalog, retrieval: AttributeRetrieval) -> None:
        strange = next(
            (item for item in of_each_type(catalog.items) if not isinstance(item, retrieval.item_type)), None
        )
        if strange is not None:
            raise ConfigurationError(
                f"{type(retrieval).__name__} compares items of the type {retrieval.item_type.__name__}; "
                f"it cannot compare a {type(strange).__name__}"
            )
        self._ratings, self._range = catalog.public_ratings, retrieval.rating_range
        self._overlaps = [_numbered(values_of(catalog.items, name)) for name in retrieval.overlaps]
        self._shared = [_numbered(values_of(catalog.items, name))[0] for name in retrieval.shared]
        self._full: NDArray[np.float32] | None = None
        count = len(catalog)
        if count <= FULL_TABLE_LIMIT:
            overlaps = [_common(names, count) for names, _ in self._overlaps]
            shared = [_common(names, count) for names in self._shared]
            everyone = np.arange(count)
            full = np.empty((count, count), dtype=np.float32)
            for start in range(0, count, 256):
                block = slice(start, start + 256)
                full[block] = self._mean(
                    everyone[block, None],
                    everyone[None, :],
                    [table[block] for table in overlaps],
                    [table[block] for table in shared],
                )
            self._full = full

    def similarity(self, items: Ints, others: Ints) -> NDArray[np.floating]:
        left, right = items[:, :, None], others[:, None, :]
        if self._full is not None:
            return self._full.ravel().take(left * len(self._ratings) + right)
        overlaps = [_common_pairs(names, items, others) for names, _ in self._overlaps]
        shared = [_common_pairs(names, items, others) for names in self._shared]
        return self._mean(left, right, overlaps, shared).astype(np.float32)

    def _mean(
        self, left: Ints, right: Ints, overlaps: Sequence[NDArray[np.integer]], shared: Sequence[NDArray[np.integer]]
    ) -> Floats:
        """The mean, from how many names of each field the items at ``left`` and ``right`` have in common."""
        total = 1.0 - np.abs(self._ratings[left] - self._ratings[right]) / self._range
        for common, (_, counts) in zip(overlaps, self._overlaps, strict=True):
            sizes = counts[left] + counts[right]
            total += np.where(sizes == 0, 1.0, 2.0 * common / np.maximum(sizes, 1))
        for common in shared:
            total += common > 0
        return np.round(total / (1 + len(overlaps) + len(shared)), _DECIMALS)


def _numbered(rows: Sequence[Sequence[str]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Lists of names as numbers, shape ``(N, longest)``, -1 where a list has ended; and their lengths ``(N,)``."""
    number: dict[str, int] = {}
    distinct = [[number.setdefault(name, len(number)) for name in dict.fromkeys(row)] for row in rows]
    table = np.full((len(rows), max(map(len, distinct), default=0)), -1, dtype=np.int32)
    for i, numbers in enumerate(distinct):
        table[i, : len(numbers)] = numbers
    return table, np.array([len(numbers) for numbers in distinct], dtype=np.int64)


def _common(numbers: NDArray[np.int32], count: int) -> NDArray[np.int16]:
    """How many names each two rows share, shape ``(N, N)``: for each name, one more for each two who have it."""
    shared = np.zeros((count, count), dtype=np.int16)
    row, place = np.nonzero(numbers >= 0)
    names = numbers[row, place]
    order = np.argsort(names, kind="stable")
    row = row[order]
    for who in np.split(row, np.flatnonzero(np.diff(names[order])) + 1):
        shared[np.ix_(who, who)] += 1
    return shared


def _common_pairs(numbers: NDArray[np.int32], items: Ints, others: Ints) -> NDArray[np.int64]:
    """How many names the items share, shape ``(R, S, W)``."""
    width, longest = others.shape[1], numbers.shape[1]
    shared = np.zeros((*items.shape, width), dtype=np.int64)
    at_once = max(1, AT_ONCE // max(1, items.shape[1] * width * longest))
    for start in range(0, len(items), at_once):
        block = slice(start, start + at_once)
        past = numbers[others[block]][:, None]
        for place in range(longest):
            name = numbers[items[block], place][:, :, None, None]
            shared[block] += ((past == name) & (name >= 0)).sum(axis=-1)
    return shared
