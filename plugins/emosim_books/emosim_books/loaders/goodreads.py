"""Books of Goodreads, from any of the data sets in which they are published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emosim_books.loaders import formats, goodbooks, goodreads_export, goodreads_kaggle, goodreads_ucsd
from emosim_core import DataError
from emosim_core.loading import open_format
from emosim_core.plugins import Frozen, Item, ItemLoader, LoadedItems, LoadedRatings, option

_WHAT = (
    "goodbooks-10k, Kaggle's goodreads-books, a Goodreads library export, or UCSD's Goodreads data set; a folder, a "
    "zip file or a file of it"
)
_READERS = {
    formats.KAGGLE_GOODREADS: goodreads_kaggle.read,
    formats.GOODBOOKS: goodbooks.read,
    formats.LIBRARY_EXPORT: goodreads_export.read,
}


class GoodreadsOptions(Frozen):
    """Options of :class:`Goodreads`."""

    path: Path = option(..., f"{_WHAT[0].upper()}{_WHAT[1:]}.")
    min_ratings: int = option(0, "Books with fewer ratings, or an unknown number, are left out.", ge=0)


class Goodreads(ItemLoader):
    """Books of Goodreads, from four data sets; the format is recognized by the files.

    :mod:`~emosim_books.loaders.goodbooks`, :mod:`~emosim_books.loaders.goodreads_kaggle`,
    :mod:`~emosim_books.loaders.goodreads_export` and :mod:`~emosim_books.loaders.goodreads_ucsd` say what each holds. A
    rating of 0 without ratings is unknown. The identifier of book 1 is ``goodreads-1``.
    """

    def __init__(self, options: GoodreadsOptions) -> None:
        self.options = options

    def load(self) -> LoadedItems:
        path, least = self.options.path, self.options.min_ratings
        with open_format(path, formats.GOODREADS, _WHAT) as release:
            if release.format is formats.UCSD_GOODREADS:
                books, notes = goodreads_ucsd.read(release, least)
            else:
                books, notes = _READERS[release.format](release)
        books = [book for book in books if (book.public_count or 0) >= least]
        if not books:
            few = f"no book has {least} ratings or more; lower min_ratings" if least else "has no books"
            raise DataError(str(release.table), few)
        return LoadedItems(books, source=f"{release.format.name}, {path}", notes=notes)

    def load_ratings(self, items: Sequence[Item]) -> LoadedRatings:
        """The ratings of each reader in goodbooks-10k, which has no times.

        Raises:
            ConfigurationError: these books come without ratings of single readers.
            DataError: ratings.csv is malformed, or holds none of ``items``.
        """
        with open_format(self.options.path, formats.GOODREADS, _WHAT) as release:
            if release.format is not formats.GOODBOOKS:
                return super().load_ratings(items)
            return goodbooks.load_ratings(release, items)
