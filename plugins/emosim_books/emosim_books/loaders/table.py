"""Books from a CSV file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from emosim_books.book import Book
from emosim_core.loading import CsvItems, CsvItemsOptions

COLUMNS = {"collection": "series", "public_count": "ratings"}
"""Column of each field of :class:`Book` that a file calls otherwise."""


class CsvBooksOptions(CsvItemsOptions):
    """Options of :class:`CsvBooks`."""

    path: Path = Field(
        description="A CSV file with the columns id, title and any of year, categories, authors, publisher, language, "
        "series, part, public_rating (1 to 5), ratings, description, isbn; lists are separated by '|'."
    )


class CsvBooks(CsvItems):
    """Books from a CSV file, with embeddings from a ``.npy`` file beside it if there is one."""

    item_type = Book
    columns = COLUMNS
    items_word = "books"
