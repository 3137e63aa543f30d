"""Where books come from: the bundled catalogue, CSV, Amazon and goodbooks-10k."""

from emosim_books.loaders.amazon import Amazon, AmazonOptions
from emosim_books.loaders.goodreads import Goodreads, GoodreadsOptions
from emosim_books.loaders.sample import Sample
from emosim_books.loaders.table import CsvBooks, CsvBooksOptions

__all__ = [
    "Amazon",
    "AmazonOptions",
    "CsvBooks",
    "CsvBooksOptions",
    "Goodreads",
    "GoodreadsOptions",
    "Sample",
]
