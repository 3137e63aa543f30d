"""The domain: books, rated 1 to 5."""

from __future__ import annotations

from emosim_books.book import CATEGORIES, Book
from emosim_core.loading import read_domain
from emosim_core.plugins import Domain


def books() -> Domain:
    """The domain of books, as the files in ``data`` describe it."""
    return read_domain("emosim_books", Book, CATEGORIES)
