"""SimpleRetrieval: its similarity is the mean of what authors, categories and public ratings have in common."""

from __future__ import annotations

import numpy as np
import pytest
from emosim_books.book import Book
from emosim_books.retrieval import SimpleRetrieval
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.plugins import Catalog, RatingScale

SCALE = RatingScale(low=1, high=5)


def dice(left: tuple[str, ...], right: tuple[str, ...]) -> float:
    return 2 * len({*left} & {*right}) / (len(left) + len(right)) if left or right else 1.0


def formula(a: Book, b: Book, mean: float) -> float:
    """The formula, word for word."""
    rating_a = mean if a.public_rating is None else a.public_rating
    rating_b = mean if b.public_rating is None else b.public_rating
    return (dice(a.authors, b.authors) + dice(a.categories, b.categories) + 1 - abs(rating_a - rating_b) / 5) / 3


def some(*names: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), max_size=4, unique=True).map(tuple)


books = st.builds(
    Book,
    id=st.uuids().map(str),
    title=st.just("A"),
    authors=some("Ada", "Bo", "Cy", "Di", "Ed"),
    categories=some("drama", "fiction", "humor"),
    public_rating=st.none() | st.integers(20, 100).map(lambda twentieths: twentieths / 20),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(books, min_size=1, max_size=7, unique_by=lambda book: book.id))
def test_it_equals_the_formula(books: list[Book]) -> None:
    known = [book.public_rating for book in books if book.public_rating is not None]
    mean = sum(known) / len(known) if known else 3.0
    everything = np.arange(len(books))[None, :]
    similar = SimpleRetrieval().similarity(Catalog(books, SCALE), everything, everything)
    expected = np.array([[formula(one, other, mean) for other in books] for one in books])
    np.testing.assert_allclose(similar[0], expected, rtol=0, atol=1e-6)


def test_each_of_the_three_counts_a_third() -> None:
    books = [
        Book(id="a", title="A", authors=("Ada",), categories=("drama",), public_rating=5),
        Book(id="b", title="B", authors=("Ada",), categories=("humor",), public_rating=5),
        Book(id="c", title="C", authors=("Bo",), categories=("drama",), public_rating=5),
        Book(id="d", title="D", authors=("Ada",), categories=("drama",), public_rating=1),
        Book(id="e", title="E", authors=("Ada", "Bo", "Cy"), categories=("drama",), public_rating=5),
    ]
    similar = SimpleRetrieval().similarity(Catalog(books, SCALE), np.array([[0]]), np.arange(5)[None, :])
    assert similar[0, 0].tolist() == pytest.approx([1, 2 / 3, 2 / 3, 2.2 / 3, 2.5 / 3], abs=1e-6)
