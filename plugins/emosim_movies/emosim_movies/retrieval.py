"""Retrieval by what films have in common: cast, genres, public rating and director."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from emosim_core import NEVER, Catalog, ConfigurationError, History, Retrieval, best_positions
from emosim_movies.movie import Movie

_FULL_TABLE_LIMIT = 4096
"""Up to this many films, all similarities are kept (64 MiB); beyond, made on demand."""

_AT_ONCE = 4_000_000
"""Comparisons of names that are made at once, which bounds memory."""

_DECIMALS = 6
"""Similarities are rounded to this, so that equal ones are equal and the more recent film comes first."""


class SimpleRetrievalOptions(BaseModel):
    """Options of :class:`SimpleRetrieval`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int = Field(3, ge=1, description="How many interactions are retrieved at most.")


class SimpleRetrieval(Retrieval):
    """The past films most like the one at hand, by their data (SUBER, Corecco et al., 2024, arXiv:2406.01631).

    The similarity is the mean of four: Sorensen-Dice of the casts, Sorensen-Dice of the genres (both
    empty 1, one empty 0), ``1 - |difference of public ratings| / 10``, and 1 where a director is
    shared, else 0. An unknown public rating counts as the catalogue's mean.
    """

    def __init__(self, options: SimpleRetrievalOptions | None = None) -> None:
        self.k = (options or SimpleRetrievalOptions()).k

    def retrieve_batch(self, items: NDArray[np.intp], history: History, catalog: Catalog) -> NDArray[np.intp]:
        similarity = movie_similarity(catalog, items, history.items)
        scores = np.where(history.latest[:, None, :], similarity, NEVER)
        return best_positions(np.ascontiguousarray(scores[..., ::-1]), self.k)


def movie_similarity(catalog: Catalog, items: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.floating]:
    """Similarities of films, see :class:`SimpleRetrieval`, rounded to six decimals.

    Args:
        catalog: the films.
        items: indices of films, shape ``(R, S)``.
        others: indices of the films that each row of ``items`` is compared with, shape ``(R, W)``.

    Returns:
        Similarities in [0, 1], shape ``(R, S, W)``.

    Raises:
        ConfigurationError: the catalogue holds something else than films.
    """
    tables = _TABLES.get(catalog)
    if tables is None:
        tables = _TABLES[catalog] = _Tables(catalog)
    return tables.similarity(items, others)


class _Tables:
    """A catalogue's films as arrays."""

    def __init__(self, catalog: Catalog) -> None:
        movies: list[Movie] = []
        for item in catalog.items:
            if not isinstance(item, Movie):
                raise ConfigurationError(f"the retrieval 'simple' of films cannot compare a {type(item).__name__}")
            movies.append(item)
        self._ratings = catalog.public_ratings
        self._genres = catalog.categories.astype(np.float32)
        self._genre_counts = catalog.categories.sum(axis=1)
        self._cast, self._cast_counts = _numbered([movie.cast for movie in movies])
        self._directors, _ = _numbered([movie.director for movie in movies])
        self._full: NDArray[np.float32] | None = None
        if len(movies) <= _FULL_TABLE_LIMIT:
            everyone = np.arange(len(movies))
            shared = self._genres @ self._genres.T
            full = np.empty((len(movies), len(movies)), dtype=np.float32)
            casts = _common(self._cast, len(movies))
            directors = _common(self._directors, len(movies))
            for start in range(0, len(movies), 256):
                block = slice(start, start + 256)
                full[block] = self._mean(
                    everyone[block, None], everyone[None, :], casts[block], shared[block], directors[block] > 0
                )
            self._full = full

    def similarity(self, items: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.floating]:
        left, right = items[:, :, None], others[:, None, :]
        if self._full is not None:
            return self._full.ravel().take(left * len(self._ratings) + right)
        shared = self._genres[items] @ self._genres[others].transpose(0, 2, 1)
        casts = _common_pairs(self._cast, items, others)
        directors = _common_pairs(self._directors, items, others)
        return self._mean(left, right, casts, shared, directors > 0).astype(np.float32)

    def _mean(
        self,
        left: NDArray[np.intp],
        right: NDArray[np.intp],
        cast: NDArray[np.integer],
        genres: NDArray[np.floating],
        director: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """The mean of the four, from how many names and genres the films at ``left`` and ``right`` share."""
        total = _dice(cast, self._cast_counts[left] + self._cast_counts[right])
        total += _dice(genres, self._genre_counts[left] + self._genre_counts[right])
        total += 1.0 - np.abs(self._ratings[left] - self._ratings[right]) / 10.0
        total += director
        mean: NDArray[np.float64] = np.round(total / 4.0, _DECIMALS)
        return mean


_TABLES: weakref.WeakKeyDictionary[Catalog, _Tables] = weakref.WeakKeyDictionary()
"""Tables by catalogue, shared by all environments over it and gone with it."""


def _dice(shared: NDArray[np.number], sizes: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.where(sizes == 0, 1.0, 2.0 * shared / np.maximum(sizes, 1))


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


def _common_pairs(numbers: NDArray[np.int32], items: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.int64]:
    """How many names the films share, shape ``(R, S, W)``."""
    width, longest = others.shape[1], numbers.shape[1]
    shared = np.zeros((*items.shape, width), dtype=np.int64)
    at_once = max(1, _AT_ONCE // max(1, items.shape[1] * width * longest))
    for start in range(0, len(items), at_once):
        block = slice(start, start + at_once)
        past = numbers[others[block]][:, None]
        for place in range(longest):
            name = numbers[items[block], place][:, :, None, None]
            shared[block] += ((past == name) & (name >= 0)).sum(axis=-1)
    return shared
