"""Catalog: all items of a domain, once as objects and beside them as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import ConfigurationError
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.model.item import Item
from emosim_core.model.packed import PackedItems, values_of
from emosim_core.model.scale import RatingScale

_WHOLE = 32_000.0
"""What embeddings are multiplied by before they are rounded to whole numbers, whose products add up below 2**31."""

_STEPS = 1e5
"""Cosines are kept to five decimals."""

_BLOCK = 512
"""Items whose whole vectors, or similarities to all others, are computed at once."""

_FULL_MATRIX_LIMIT = 4096
"""Up to this many items, all similarities are kept (64 MiB of int32); beyond, made on demand."""

LARGEST = 1e15
"""What a value of an embedding may be; the length of a vector of larger ones is no float32."""


class Catalog:
    """The items that can be recommended, as objects and as arrays. N items, C categories.

    Args:
        items: the items; their order gives each its index.
        scale: the scale of the public ratings.
        embeddings: one vector per item, shape ``(N, D)``; normalized here, zero vectors stay zero.
        embedding_name: which model or method made the vectors.
        whole: :attr:`whole_vectors` and :attr:`norms` of another catalog with the same embeddings, which are its
            normalized ones then and are not looked at.

    Raises:
        ConfigurationError: no items, an id twice, or embeddings of another length or with a value that is no number.
    """

    def __init__(
        self,
        items: Sequence[Item],
        scale: RatingScale,
        embeddings: NDArray[np.floating] | None = None,
        embedding_name: str = "",
        whole: tuple[NDArray[np.int16], Floats] | None = None,
    ) -> None:
        if not items:
            raise ConfigurationError("a catalog needs at least one item")
        self.items: Sequence[Item] = items if isinstance(items, PackedItems) else tuple(items)
        self.scale = scale
        self.embedding_name = embedding_name
        self.index: dict[str, int] = {id_: i for i, id_ in enumerate(values_of(self.items, "id"))}
        if len(self.index) != len(self.items):
            twice = next(one for one, count in Counter(values_of(self.items, "id")).items() if count > 1)
            raise ConfigurationError(f"the catalog has two items with the id {twice!r}")
        if embeddings is None:
            embeddings = np.zeros((len(self.items), 0), dtype=np.float32)
        if embeddings.shape[:1] != (len(self.items),) or embeddings.ndim != 2:
            raise ConfigurationError(f"embeddings have the shape {embeddings.shape}; expected ({len(self.items)}, D)")
        self.embeddings: NDArray[np.float32] = embeddings
        if whole is not None:
            self.whole_vectors, self.norms = whole
            return
        for problem in ("that is no number", f"beyond {LARGEST:g}"):
            for rows in _blocks(len(self.items)):
                block = embeddings[rows].astype(np.float64)  # half precision knows no such limit
                wrong = np.abs(block) > LARGEST if problem.startswith("beyond") else ~np.isfinite(block)
                if wrong.any():
                    item = self.items[rows.start + int(np.argwhere(wrong)[0, 0])].id
                    raise ConfigurationError(f"the embedding of item {item!r} holds a value {problem}")
        self.embeddings = _normalised(embeddings)

    def __len__(self) -> int:
        return len(self.items)

    def with_public(self, public_counts: NDArray[np.int64], public_ratings: Floats | None) -> Catalog:
        """The same items as other users made them known; what does not depend on those is shared.

        Args:
            public_counts: how many users took each item, shape ``(N,)``.
            public_ratings: how they rated it on average, shape ``(N,)``, NaN where nobody did; None where nobody
                rated anything.
        """
        rated = np.full(len(self), np.nan) if public_ratings is None else public_ratings
        counts, ratings = public_counts.tolist(), [None if value != value else value for value in rated.tolist()]
        other = copy(self)
        other.items = tuple(
            item
            if item.public_count == count and item.public_rating == rating
            else item.model_copy(update={"public_count": count, "public_rating": rating})
            for item, count, rating in zip(self.items, counts, ratings, strict=True)
        )
        for name in ("public_ratings", "has_public_rating", "public_counts"):
            vars(other).pop(name, None)
        return other

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids by index."""
        return tuple(values_of(self.items, "id"))

    @cached_property
    def titles(self) -> tuple[str, ...]:
        """Titles by index."""
        return tuple(values_of(self.items, "title"))

    @cached_property
    def category_names(self) -> tuple[str, ...]:
        """All categories of the catalog, sorted; the columns of :attr:`categories`."""
        table = self.items.name_table("categories") if isinstance(self.items, PackedItems) else None
        if table is not None:
            return tuple(sorted(table.names))
        return tuple(sorted({category for item in self.items for category in item.categories}))

    @cached_property
    def categories(self) -> Flags:
        """Which item is in which category; multi-hot, shape ``(N, C)``."""
        table = self.items.name_table("categories") if isinstance(self.items, PackedItems) else None
        if table is not None:
            return table.flags(self.category_names)
        return multi_hot([item.categories for item in self.items], self.category_names)

    @cached_property
    def public_ratings(self) -> Floats:
        """Public ratings, shape ``(N,)``; an unknown one is the catalog's mean (see :attr:`has_public_rating`)."""
        known = np.array(
            [np.nan if rating is None else rating for rating in values_of(self.items, "public_rating")],
            dtype=np.float64,
        )
        missing = np.isnan(known)
        middle = (self.scale.low + self.scale.high) / 2 if missing.all() else float(known[~missing].mean())
        return np.where(missing, middle, known)

    @cached_property
    def has_public_rating(self) -> Flags:
        """Whether the public rating of an item is known, shape ``(N,)``."""
        return np.array([rating is not None for rating in values_of(self.items, "public_rating")])

    @cached_property
    def public_counts(self) -> NDArray[np.int64]:
        """How many users rated each item, 0 where unknown; shape ``(N,)``."""
        return np.array([count or 0 for count in values_of(self.items, "public_count")], dtype=np.int64)

    @cached_property
    def similarities(self) -> NDArray[np.int32] | None:
        """Cosines of all pairs in steps of 0.00001, shape ``(N, N)``; None for more than 4,096 items."""
        if len(self.items) > _FULL_MATRIX_LIMIT:
            return None
        vectors, count = self.whole_vectors.astype(np.float64), len(self.items)
        table = np.empty((count, count), dtype=np.int32)
        for rows in _blocks(count):
            table[rows] = _steps(vectors[rows] @ vectors.T, np.multiply.outer(self.norms[rows], self.norms))
        return table

    @cached_property
    def whole_vectors(self) -> NDArray[np.int16]:
        """The embeddings times 32,000 as whole numbers, shape ``(N, D)``: sums of products have no order."""
        vectors = np.empty(self.embeddings.shape, dtype=np.int16)
        for rows in _blocks(len(self.items)):
            vectors[rows] = np.rint(self.embeddings[rows] * _WHOLE)
        return vectors

    @cached_property
    def norms(self) -> Floats:
        """Lengths of :attr:`whole_vectors`, shape ``(N,)``; 0 for a zero vector."""
        vectors = self.whole_vectors
        squares = np.empty(len(vectors))
        for rows in _blocks(len(vectors)):
            np.einsum("nd,nd->n", vectors[rows], vectors[rows], dtype=np.float64, out=squares[rows])
        return np.sqrt(squares)

    @cached_property
    def cosine_arrays(self) -> tuple[NDArray[np.int32], NDArray[np.int16], Floats]:
        """What kernels compute cosines from: :attr:`similarities`, :attr:`whole_vectors` and :attr:`norms`.

        Of the first and the last two, those that are not needed are empty.
        """
        if self.similarities is None:
            return np.empty((0, 0), dtype=np.int32), self.whole_vectors, self.norms
        return self.similarities, np.empty((0, 0), dtype=np.int16), np.empty(0)

    def similarity(self, left: Ints, right: Ints) -> Floats:
        """Cosines of the embeddings of item indices, in steps of 0.00001; a zero vector has cosine 0.

        They are made of the embeddings as whole numbers, which moves them by some steps, and makes them the same on
        every machine. The two may have any shapes that broadcast to that of the answer.
        """
        matrix = self.similarities
        if matrix is not None:
            return matrix.ravel().take(left * len(self.items) + right) / _STEPS
        ours, theirs = self.whole_vectors.take(left, axis=0), self.whole_vectors.take(right, axis=0)
        products = np.einsum("...d,...d->...", ours, theirs, dtype=np.int32)
        return _steps(products, self.norms[left] * self.norms[right]) / _STEPS


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, count, _BLOCK))


def _steps(products: Floats, norms: Floats) -> Floats:
    """Cosines in whole steps of 0.00001, from exact products: they are the same on every machine."""
    return np.rint(np.divide(products, norms, out=np.zeros_like(norms), where=norms != 0.0) * _STEPS)


def multi_hot(rows: Sequence[Sequence[str]], names: Sequence[str]) -> Flags:
    """Lists of names as flags, shape ``(len(rows), len(names))``; a name that is none of ``names`` is left out."""
    column = {name: j for j, name in enumerate(names)}
    table = np.zeros((len(rows), len(names)), dtype=np.bool_)
    for i, row in enumerate(rows):
        table[i, [column[name] for name in row if name in column]] = True
    return table


def _normalised(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.empty((len(vectors), 1), dtype=np.float32)
    for rows in _blocks(len(vectors)):
        norms[rows] = np.linalg.norm(vectors[rows], axis=1, keepdims=True)
    if np.all(np.abs(norms - 1.0) < 1e-6):
        return vectors
    return (vectors / np.where(norms == 0, 1.0, norms)).astype(np.float32, copy=False)
