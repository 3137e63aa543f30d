"""Book: its fields, its other names for them, and what it refuses."""

from __future__ import annotations

import pytest
from emosim_books.book import CATEGORIES, STUDY_CATEGORIES, Book
from pydantic import ValidationError

from emosim_core.plugins import Item


def test_authors_series_and_creators_are_the_fields_of_an_item() -> None:
    book = Book(
        id="b",
        title="Good Omens",
        categories=("Fantasy", "Humor", "fantasy"),
        description="The world ends on a Saturday.",
        authors=("Terry Pratchett", " Neil Gaiman ", "Terry Pratchett", ""),
        collection="Omens",
    )
    assert isinstance(book, Item)
    assert book.categories == ("fantasy", "humor")
    assert book.authors == book.creators == ("Terry Pratchett", "Neil Gaiman")
    assert book.series == book.collection == "Omens"
    assert "Neil Gaiman" in book.text()
    assert "ends on a Saturday" in book.text()


def test_what_is_unknown_is_none() -> None:
    book = Book(id="b", title="B")
    assert (book.year, book.publisher, book.language, book.isbn, book.series) == (None,) * 5
    assert (book.public_rating, book.public_count) == (None, None)
    assert book.authors == book.categories == ()


@pytest.mark.parametrize(
    ("text", "isbn"),
    [
        ("0-439-02348-3", "0439023483"),
        ("0 439 02348 3", "0439023483"),
        ("043965548x", "043965548X"),
        ("978-0-439-02348-1", "9780439023481"),
        ("0000000000", "0000000000"),
    ],
)
def test_an_isbn_has_10_or_13_digits_without_hyphens(text: str, isbn: str) -> None:
    assert Book(id="b", title="B", isbn=text).isbn == isbn


def test_years_before_our_era_are_negative() -> None:
    assert Book(id="b", title="The Iliad", year=-750).year == -750


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("public_rating", 0.0),
        ("public_rating", 5.1),
        ("public_rating", float("nan")),
        ("public_count", -1),
        ("year", -3001),
        ("year", 2201),
        ("year", "MCM"),
        ("part", 2),
        ("part", 0),
        ("isbn", "439023483"),
        ("isbn", "043902348Y"),
        ("isbn", "978043902348X"),
        ("isbn", 9780439023481),
        ("language", "e"),
        ("publisher", ""),
        ("title", ""),
        ("author", "someone"),
    ],
)
def test_a_wrong_field_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Book(**{"id": "b", "title": "B", field: value})
    assert caught.value.errors()[0]["loc"] == (field,)


def test_a_part_belongs_to_a_series() -> None:
    assert Book(id="b", title="B", collection="Bs", part=2).part == 2


def test_a_book_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Book(id="b", title="B").title = "C"  # type: ignore[misc]


def test_the_categories_are_34_of_which_the_study_has_the_first_8() -> None:
    assert len(CATEGORIES) == len(set(CATEGORIES)) == 34
    assert Book(id="b", title="B", categories=CATEGORIES).categories == CATEGORIES
    assert CATEGORIES[:8] == STUDY_CATEGORIES
    assert STUDY_CATEGORIES[-1] == "drama"
