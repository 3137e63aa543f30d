"""Retrieval by what books have in common: authors, categories and public rating."""

from __future__ import annotations

from emosim_books.book import Book
from emosim_core.plugins import AttributeRetrieval


class SimpleRetrieval(AttributeRetrieval):
    """The past books most like the given one: mean of three (SUBER, Corecco et al., 2024, arXiv:2406.01631)."""

    item_type = Book
    overlaps = ("authors", "categories")
    rating_range = 5.0
