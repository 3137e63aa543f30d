"""Books from the data set goodreads-books of Kaggle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing

from emosim_books.book import Book
from emosim_books.loaders.cells import goodreads_book, goodreads_fields, numbered
from emosim_core import DataError
from emosim_core.loading import Release, counted_notes, known_text, plain_text, read_csv, shortened

_WHAT = "books.csv of Kaggle's goodreads-books"
_REQUIRED = ("bookID", "title", "authors", "average_rating", "ratings_count")
_TITLE, _AUTHORS, _RATING, _ISBN = 1, 2, 3, 4
_DATE = re.compile(r"[0-9]{1,2}/[0-9]{1,2}/([0-9]{4})")


def read(release: Release) -> tuple[list[Book], list[str]]:
    """The books, and the announcements.

    The data set (Soumik, 2019, https://www.kaggle.com/datasets/jealousleopard/goodreadsbooks) has
    the columns bookID, title, authors, average_rating, isbn, isbn13, language_code, num_pages, ratings_count,
    text_reviews_count, publication_date (month/day/year of the edition) and publisher; authors have slashes between
    them. In its titles commas became blanks, in four of its rows those of the authors stayed, without quotes: fields
    that are too many belong to the authors.
    """
    path = str(release.table)
    books: list[Book] = []
    joined = 0

    def fit(row: int, cells: list[str], width: int) -> list[str] | None:
        nonlocal joined
        extra = len(cells) - width
        if extra <= 0 or list(map(_is_rating, cells[_RATING : _RATING + extra + 1])) != [False] * extra + [True]:
            return None
        joined += 1
        return [*cells[:_AUTHORS], ", ".join(cells[_AUTHORS : _RATING + extra]), *cells[_RATING + extra :]]

    with closing(read_csv(release.table, _WHAT, _REQUIRED, fit=fit)) as rows:
        for row, number, cells in numbered(rows, path, "bookID"):
            if not books and ("# num_pages" in cells or "# ratings_count" in cells):
                raise DataError(
                    path,
                    "is the first version of the data set, with hyphens between authors, which cannot be distinguished "
                    "from hyphens in their names; get the present version",
                )
            books.append(_book(number, cells, path, row))
    counts = {"rows in which commas without quotes were read as part of the authors": joined}
    return books, counted_notes(path, counts)


def _is_rating(text: str) -> bool:
    return re.fullmatch(r"\s*[0-5](?:\.[0-9]+)?\s*", text) is not None


def _book(number: int, cells: Mapping[str, str], path: str, row: int) -> Book:
    published = known_text(cells.get("publication_date", ""))
    date = _DATE.fullmatch(published)
    if published and date is None:
        problem = f"expected a date like 9/16/2006, got {shortened(published)}"
        raise DataError(path, problem, row=row, field="publication_date")
    fields = {
        "year": int(date[1]) if date else None,
        "authors": [" ".join(name.split()) for name in plain_text(cells["authors"]).split("/")],
        "publisher": plain_text(known_text(cells.get("publisher", ""))) or None,
        **goodreads_fields(cells, path, row),
    }
    return goodreads_book(number, plain_text(cells["title"]), fields, path, row, {"year": "publication_date"})
