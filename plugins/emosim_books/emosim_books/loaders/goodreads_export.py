"""Books from a reader's own Goodreads library, as Goodreads exports it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing

from emosim_books.book import Book
from emosim_books.loaders.cells import categories_of, goodreads_book, numbered, rating_and_count, sound_isbn
from emosim_core.loading import Release, plain_text, read_csv, whole_number

_WHAT = "a Goodreads library export"
_REQUIRED = ("Book Id", "Title", "Author", "Average Rating")
_COLUMNS = {
    "title": "Title",
    "year": "Original Publication Year",
    "collection": "Title",
    "part": "Title",
    "authors": "Author",
    "publisher": "Publisher",
    "isbn": "ISBN",
    "public_rating": "Average Rating",
}
_FORMULA = re.compile(r'="(.*)"')


def read(release: Release) -> tuple[list[Book], list[str]]:
    """The books, and the announcements.

    The file goodreads_library_export.csv (Goodreads, My Books, Import and export,
    https://www.goodreads.com/review/import) has a row for each book on the reader's shelves: Book Id, Title, Author,
    Author l-f, Additional Authors, ISBN and ISBN13 (written ``="0123456789"``, for spreadsheets), My Rating, Average
    Rating, Publisher, Binding, Number of Pages, Year Published, Original Publication Year, dates, Bookshelves and more.
    The public rating is the average of all of Goodreads, by a number of users that the file does not give; 0 is
    unknown. The reader's own rating, where 0 is none, is not read. Categories are the shelves that speak of one.
    """
    path = str(release.table)
    with closing(read_csv(release.table, _WHAT, _REQUIRED)) as rows:
        return [_book(number, cells, path, row) for row, number, cells in numbered(rows, path, "Book Id")], []


def _book(number: int, cells: Mapping[str, str], path: str, row: int) -> Book:
    authors = [cells["Author"], *cells.get("Additional Authors", "").split(",")]
    year_column = "Original Publication Year" if cells.get("Original Publication Year") else "Year Published"
    year = cells.get(year_column, "")
    shelves = [name.strip() for name in cells.get("Bookshelves", "").split(",")]
    fields = {
        "year": whole_number(year, path, row, year_column) if year else None,
        "categories": categories_of(shelves),
        "authors": [" ".join(name.split()) for name in map(plain_text, authors)],
        "publisher": plain_text(cells.get("Publisher", "")) or None,
        "isbn": sound_isbn(*(_FORMULA.sub(r"\1", cells.get(name, "")) for name in ("ISBN", "ISBN13"))),
        **rating_and_count(cells, path, row, ("Average Rating", "")),
    }
    return goodreads_book(number, plain_text(cells["Title"]), fields, path, row, {**_COLUMNS, "year": year_column})
