"""The bundled books: enough of each kind, whole series, embeddings that belong to them."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from emosim_books.book import CATEGORIES, STUDY_CATEGORIES, Book

from emosim_core.plugins import Catalog, RatingScale
from emosim_core.testing import load_items


@pytest.fixture(scope="module")
def books() -> list[Book]:
    return [book for book in load_items("books", "sample").items if isinstance(book, Book)]


def test_books_are_many_distinct_and_sorted(books: list[Book]) -> None:
    ids = [book.id for book in books]
    assert len(books) >= 240
    assert ids == sorted(set(ids))
    assert len({(book.title.casefold(), book.authors) for book in books}) == len(books)


def test_all_categories_are_there_and_no_others(books: list[Book]) -> None:
    counts = Counter(category for book in books for category in book.categories)
    assert set(counts) == set(CATEGORIES)
    assert all(counts[category] >= 20 for category in STUDY_CATEGORIES), counts


def test_series_run_from_part_one_without_a_gap(books: list[Book]) -> None:
    series = defaultdict(list)
    for book in books:
        if book.series:
            series[book.series].append(book.part or 0)
    assert len(series) >= 10
    for name, parts in series.items():
        assert sorted(parts) == list(range(1, len(parts) + 1)), name
        assert len(parts) >= 3, name


def test_every_book_is_complete(books: list[Book]) -> None:
    for book in books:
        assert book.categories, book.id
        assert book.authors, book.id
        assert -3000 < (book.year or 0) < 2030, book.id
        assert len(book.language or "") == 2, book.id
        assert book.public_rating, book.id
        assert book.public_count, book.id
        assert len(book.description.split()) >= 12, book.id
    for known in ("year", "publisher"):
        assert sum(getattr(book, known) is not None for book in books) >= 0.8 * len(books), known


def test_the_embeddings_belong_to_the_books_and_mean_something() -> None:
    loaded = load_items("books", "sample")
    assert loaded.source == "the books bundled with emosim-books"
    assert loaded.embedding_name == "sentence-transformers/all-MiniLM-L6-v2"
    catalog = Catalog(loaded.items, RatingScale(low=1, high=5), loaded.embeddings, loaded.embedding_name)
    assert catalog.embeddings.shape == (len(loaded.items), 384)
    series = np.array([item.collection or item.id for item in loaded.items])
    cosines = catalog.embeddings @ catalog.embeddings.T
    same = series[:, None] == series[None, :]
    np.fill_diagonal(same, False)
    assert cosines[same].mean() > np.median(cosines) + 0.2
