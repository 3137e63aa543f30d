"""SimpleRetrieval: equal to the formula on any histories, small catalogue or large."""

from __future__ import annotations

import numpy as np
import pytest
from emosim_books.book import Book
from emosim_books.retrieval import SimpleRetrieval
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core import Catalog, ConfigurationError, CountOptions, Item, Memory, RatingScale
from emosim_core.components import attributes

SCALE = RatingScale(low=1, high=5)
NAMES = ("Ada", "Bo", "Cy", "Di", "Ed")


def dice(left: tuple[str, ...], right: tuple[str, ...]) -> float:
    if not left and not right:
        return 1.0
    return 2 * len(set(left) & set(right)) / (len(set(left)) + len(set(right)))


def reference_similarity(a: Book, b: Book, mean: float) -> float:
    """The formula, word for word."""
    rating_a = mean if a.public_rating is None else a.public_rating
    rating_b = mean if b.public_rating is None else b.public_rating
    return (dice(a.authors, b.authors) + dice(a.categories, b.categories) + 1 - abs(rating_a - rating_b) / 5) / 3


def reference(books: list[Book], item: int, history: list[int], k: int, mean: float) -> list[int]:
    """The positions of the k most similar, from the last interaction with each item."""
    last = {past: position for position, past in enumerate(history)}
    ranked = sorted(
        last.values(),
        key=lambda p: (-round(reference_similarity(books[item], books[history[p]], mean), 6), -p),
    )
    return (ranked + [-1] * k)[:k]


def mean_rating(books: list[Book]) -> float:
    known = [book.public_rating for book in books if book.public_rating is not None]
    return sum(known) / len(known) if known else 3.0


def remember(histories: list[list[int]], count: int) -> Memory:
    memory = Memory(len(histories), count, capacity=2)
    for row, history in enumerate(histories):
        for item in history:
            memory.append(np.array([row]), np.array([item]), np.array([4.0]), np.array([4]))
    return memory


names = st.lists(st.sampled_from(NAMES), max_size=4, unique=True).map(tuple)
book_fields = st.fixed_dictionaries(
    {
        "authors": names,
        "categories": st.lists(st.sampled_from(["drama", "fiction", "humor"]), max_size=3, unique=True).map(tuple),
        "public_rating": st.none() | st.integers(20, 100).map(lambda twentieths: twentieths / 20),
    }
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Book], list[list[int]], list[list[int]], int]:
    fields = draw(st.lists(book_fields, min_size=1, max_size=7))
    books = [Book(id=str(i), title=f"Book {i}", **f) for i, f in enumerate(fields)]
    some = st.integers(0, len(books) - 1)
    histories = draw(st.lists(st.lists(some, max_size=9), min_size=1, max_size=3))
    slate = draw(st.integers(1, 3))
    items = [draw(st.lists(some, min_size=slate, max_size=slate)) for _ in histories]
    return books, histories, items, draw(st.integers(1, 5))


@pytest.mark.parametrize("limit", [4096, 0], ids=["one table", "on demand"])
def test_it_equals_the_formula(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "FULL_TABLE_LIMIT", limit)
    monkeypatch.setattr(attributes, "AT_ONCE", 40)

    @settings(max_examples=80, deadline=None)
    @given(worlds())
    def check(world: tuple[list[Book], list[list[int]], list[list[int]], int]) -> None:
        books, histories, items, k = world
        catalog = Catalog(books, SCALE)
        memory = remember(histories, len(books))
        answer = SimpleRetrieval(CountOptions(k=k)).retrieve_batch(np.array(items), memory.history(), catalog)
        mean = mean_rating(books)
        expected = [
            [reference(books, item, history, k, mean) for item in slate]
            for slate, history in zip(items, histories, strict=True)
        ]
        assert answer.tolist() == expected

    check()


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


def test_an_empty_history_gives_nothing() -> None:
    catalog = Catalog([Book(id="a", title="A")], SCALE)
    answer = SimpleRetrieval().retrieve_batch(np.zeros((2, 3), dtype=np.intp), Memory(2, 1).history(), catalog)
    assert answer.shape == (2, 3, 3)
    assert (answer == -1).all()


def test_other_items_are_refused() -> None:
    catalog = Catalog([Item(id="a", title="A")], SCALE)
    here = np.zeros((1, 1), dtype=np.intp)
    with pytest.raises(ConfigurationError, match="cannot compare a Item"):
        SimpleRetrieval().similarity(catalog, here, here)
