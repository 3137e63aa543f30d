"""The books that are bundled with the plugin."""

from __future__ import annotations

from emosim_books.book import Book
from emosim_books.loaders.table import COLUMNS
from emosim_core.loading import BundledItems


class Sample(BundledItems):
    """The bundled books with their embeddings; needs no file and no network."""

    plugin = "books"
    item_type = Book
    columns = COLUMNS
    items_word = "books"
