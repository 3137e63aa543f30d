"""Books and ratings from goodbooks-10k, the most rated books of Goodreads."""

from __future__ import annotations

from array import array
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from itertools import chain

import numpy as np

from emosim_books.book import Book
from emosim_books.loaders.cells import MOST_CATEGORIES, TAGS, goodreads_book, goodreads_fields, numbered
from emosim_core import ConfigurationError, DataError
from emosim_core.loading import (
    Release,
    TablePlace,
    known_text,
    plain_text,
    read_csv,
    shortened,
    split_names,
    whole_number,
)
from emosim_core.plugins import Item, LoadedRatings

_IDS = ("book_id", "goodreads_book_id", "best_book_id", "work_id", "id")
"""Columns of identifiers; the first that a file has gives the books theirs."""

_OPTIONAL = ("original_publication_year", "language_code", "isbn", "isbn13")
_REQUIRED = ("title", "authors", "average_rating", "ratings_count")


def read(release: Release) -> tuple[list[Book], list[str]]:
    """The books, and the announcements.

    The data set (Zajac, 2017, https://github.com/zygmuntz/goodbooks-10k) has books.csv, and book_tags.csv and tags.csv
    beside it. "Catching Fire (The Hunger Games, #2)" is part 2 of the series "The Hunger Games". Of "(Discworld, #8;
    City Watch, #1)" the first series counts. A number that is not whole or spans several ("#0.5", "#1-3") gives a
    series and no part. A book's categories are the up to four of its most frequent tags that speak of one.
    """
    path = str(release.table)
    categories = _categories(release)
    with closing(_rows(release.table, _REQUIRED)) as rows:
        if (first := next(rows, None)) is None:
            return [], []
        column = next((name for name in _IDS if name in first[1]), None)
        if column is None:
            header = ", ".join(first[1])
            raise DataError(path, f"the column is missing; the header has: {header}", row=1, field=_IDS[0])
        books = numbered(chain([first], rows), path, column)
        return [_book(number, cells, categories, path, row) for row, number, cells in books], []


def load_ratings(release: Release, items: Sequence[Item]) -> LoadedRatings:
    """The ratings of each reader, 1 to 5, without times. Ratings of books that are not among ``items`` are left out."""
    table = release.beside("ratings.csv")
    if table is None:
        raise ConfigurationError(f"no ratings.csv lies beside {release.table}; get it from where books.csv came from")
    path, places = str(table), _places(release, items)
    users: list[str] = []
    books, values = array("q"), array("d")
    with closing(_rows(table, ("user_id", "book_id", "rating"), held=False)) as rows:
        for row, cells in rows:
            if cells["rating"] not in ("1", "2", "3", "4", "5"):
                problem = f"expected a rating of 1 to 5, got {shortened(cells['rating'])}"
                raise DataError(path, problem, row=row, field="rating")
            if not cells["user_id"]:
                raise DataError(path, "is empty", row=row, field="user_id")
            place = places.get(whole_number(cells["book_id"], path, row, "book_id"))
            if place is not None:
                users.append(cells["user_id"])
                books.append(place)
                values.append(float(cells["rating"]))
    if not users:
        raise DataError(path, "nobody rated any of the books")
    return LoadedRatings(users, np.array(books, dtype=np.intp), np.array(values), times=None)


def _places(release: Release, items: Sequence[Item]) -> dict[int, int]:
    """Places of books among ``items``, by the number that ratings.csv calls them by.

    That is book_id of books.csv; where the ``book_id`` there is Goodreads' own, as in Kaggle's copy, it is ``id``.
    """
    place_of = {int(item.id.removeprefix("goodreads-")): place for place, item in enumerate(items)}
    path = str(release.table)
    with closing(_rows(release.table, _REQUIRED)) as rows:
        first = next(rows, (0, {}))[1]
        if not {"id", "book_id"} <= first.keys() or "goodreads_book_id" in first:
            return place_of
        numbers = (
            [whole_number(cells[name], path, row, name) for name in ("id", "book_id")]
            for row, cells in chain([(2, first)], rows)
        )
        return {short: place_of[long] for short, long in numbers if long in place_of}


def _rows(
    table: TablePlace, required: Sequence[str], held: bool = True
) -> Generator[tuple[int, dict[str, str]], None, None]:
    return read_csv(table, "a CSV file of goodbooks-10k", required, columns=(*_IDS, *_OPTIONAL), held=held)


def _categories(release: Release) -> dict[int, list[str]]:
    """Up to four categories by Goodreads' number of a book, the most frequent first, then by name."""
    listed, known = release.beside("book_tags.csv"), release.beside("tags.csv")
    if listed is None:
        return {}
    if known is None:
        raise DataError(str(release.folder / "tags.csv"), "no such file; it names the tags of book_tags.csv")
    with closing(_rows(known, ("tag_id", "tag_name"))) as rows:
        category_of = {
            whole_number(cells["tag_id"], str(known), row, "tag_id"): TAGS.get(cells["tag_name"].lower())
            for row, cells in rows
        }
    counts: dict[int, dict[str, int]] = {}
    columns = ("goodreads_book_id", "tag_id", "count")
    with closing(_rows(listed, columns, held=False)) as rows:
        for row, cells in rows:
            book, tag, count = (whole_number(cells[name], str(listed), row, name) for name in columns)
            category = category_of.get(tag)
            if category and count > 0:
                of_book = counts.setdefault(book, {})
                of_book[category] = max(of_book.get(category, 0), count)
    return {
        book: sorted(of_book, key=lambda name: (-of_book[name], name))[:MOST_CATEGORIES]
        for book, of_book in counts.items()
    }


def _book(number: int, cells: Mapping[str, str], categories: Mapping[int, Sequence[str]], path: str, row: int) -> Book:
    year = known_text(cells.get("original_publication_year", ""))
    # Tags go by Goodreads' own number; where a file has only one kind of number, by that.
    tagged = cells.get("goodreads_book_id")
    tagged_as = number if tagged is None else whole_number(tagged, path, row, "goodreads_book_id")
    fields = {
        "year": whole_number(year, path, row, "original_publication_year") if year else None,
        "categories": categories.get(tagged_as, ()),
        "authors": split_names(" ".join(plain_text(known_text(cells["authors"])).split())),
        **goodreads_fields(cells, path, row),
    }
    return goodreads_book(number, plain_text(cells["title"]), fields, path, row, {"year": "original_publication_year"})
