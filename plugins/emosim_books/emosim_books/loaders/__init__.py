"""Loaders of books from Amazon and Goodreads."""

from emosim_books.loaders.amazon import Amazon, AmazonOptions
from emosim_books.loaders.goodreads import Goodreads, GoodreadsOptions

__all__ = ["Amazon", "AmazonOptions", "Goodreads", "GoodreadsOptions"]
