"""Books of Amazon: the CSV format of the SUBER environment, and the Amazon Reviews data sets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from emosim_books.book import Book
from emosim_books.loaders import amazon_lines, formats
from emosim_books.loaders.cells import WORDS, rating_and_count
from emosim_core import DataError
from emosim_core.loading import (
    RecordEmbeddings,
    RecordEmbeddingsOptions,
    Release,
    UniqueIds,
    checked,
    known_text,
    list_of_names,
    list_of_numbers,
    list_separator,
    open_format,
    plain_text,
    read_csv,
    shortened,
    whole_number,
)
from emosim_core.plugins import Item, ItemLoader, LoadedItems, LoadedRatings, option

_COLUMNS = {
    "year": "published_year",
    "public_rating": "vote_average",
    "public_count": "count",
}
_REQUIRED = (
    "title", "description", "authors", "publisher", "published_year", "categories", "book_id", "count", "vote_average",
)  # fmt: skip
_LISTS = ("categories", "authors")
_EMBEDDING = "description_embedding"
_WHAT = "a CSV file of Amazon books"
_WHAT_ANY = (
    "a CSV file of Amazon books as published with SUBER, or meta_Books.jsonl or meta_Books.json of Amazon Reviews"
)
_YEAR = re.compile(r"(-?[0-9]{1,4})(?:\.0+|-[0-9]{2}(?:-[0-9]{2})?)?")


class AmazonOptions(RecordEmbeddingsOptions):
    """Options of :class:`Amazon`."""

    path: Path = option(
        ...,
        "Amazon Reviews of 2023, 2018 or 2014: meta_Books.jsonl or meta_Books.json, or a folder or zip file with it "
        "and perhaps the reviews; or a CSV file with the columns title, description, authors, publisher, "
        "published_year, categories, book_id, count, vote_average (1 to 5) and perhaps description_embedding, whose "
        "lists are JSON or Python literals, or have bars, semicolons or commas between their names.",
    )
    min_ratings: int = option(0, "Books with fewer ratings, or an unknown number, are left out.", ge=0)
    prior_count: float = option(
        5.0,
        "How many ratings at the mean of all reviews the public rating of a book is damped by, where it is computed "
        "from the reviews.",
        ge=0,
    )


class Amazon(ItemLoader):
    """Books of Amazon, from any of the data sets in which they are published; the format is recognized by the files.

    The CSV format is that of SUBER (Corecco et al., 2024, arXiv:2406.01631): lists may be written in any usual form and
    are never run. Category names are in lower case; "autobiography" is "biography", "fitness" is "health", "juvenile
    fiction" is "children", "young adult fiction" is "young adult", and "business & economics" is both. A rating of 0
    without votes is unknown. Other columns are left out. The identifier of book 7 is ``amazon-7``.
    :mod:`~emosim_books.loaders.amazon_lines` says what the Amazon Reviews data sets hold.
    """

    def __init__(self, options: AmazonOptions) -> None:
        self.options = options

    def load(self) -> LoadedItems:
        """Read the books. A book without an embedding among others has a row of NaN."""
        options = self.options
        with open_format(options.path, formats.AMAZON, _WHAT_ANY) as release:
            if release.format is formats.AMAZON_CSV:
                return self._of_csv(release)
            books, notes = amazon_lines.read(release, options.min_ratings, options.prior_count)
        if not books:
            raise DataError(options.path, "has no books")
        return LoadedItems(books, source=f"{release.format.name}, {options.path}", notes=notes)

    def load_ratings(self, items: Sequence[Item]) -> LoadedRatings:
        """The reviews of each user: book, stars and time.

        Raises:
            ConfigurationError: these books come without reviews.
            DataError: the file of reviews is malformed, or holds none of ``items``.
        """
        with open_format(self.options.path, formats.AMAZON, _WHAT_ANY) as release:
            if release.format is formats.AMAZON_CSV:
                return super().load_ratings(items)
            return amazon_lines.load_ratings(release, items)

    def _of_csv(self, release: Release) -> LoadedItems:
        path, least = str(release.table), self.options.min_ratings
        ids = UniqueIds(path, "book_id", "book")
        embeddings = RecordEmbeddings(path, _EMBEDDING, "books", self.options)
        rows: list[tuple[int, dict[str, str]]] = []
        with closing(read_csv(release.table, _WHAT, _REQUIRED, columns=(_EMBEDDING,))) as reader:
            for row, cells in reader:
                embedding = known_text(cells.pop(_EMBEDDING, ""))
                count = known_text(cells["count"])
                if least and (whole_number(count, path, row, "count") if count else 0) < least:
                    continue
                known = bool(embedding) and embeddings.wanted
                embeddings.add(list_of_numbers(embedding, path, row, _EMBEDDING) if known else None, row)
                rows.append((row, cells))
        separators = {column: list_separator(cells[column] for _, cells in rows) for column in _LISTS}
        books: list[Book] = []
        for row, cells in rows:
            number = whole_number(cells["book_id"], path, row, "book_id")
            ids.add(number, row)
            books.append(_book(number, cells, separators, path, row))
        if not books:
            few = f"no book has {least} ratings or more; lower min_ratings" if least else "has no books"
            raise DataError(path, few)
        return LoadedItems(books, *embeddings.stacked(), path)


def _book(number: int, cells: Mapping[str, str], separators: Mapping[str, str], path: str, row: int) -> Book:
    categories, authors = (
        [" ".join(name.split()) for name in list_of_names(cells[column], path, row, column, separators[column])]
        for column in _LISTS
    )
    kinds = [name.lower() for name in categories]
    fields = {
        "id": f"amazon-{number}",
        "title": plain_text(cells["title"]),
        "year": _year(cells["published_year"], path, row),
        "categories": [name for kind in kinds for name in WORDS.amazon_kinds.get(kind, (kind,))],
        "description": plain_text(known_text(cells["description"])),
        "authors": authors,
        "publisher": plain_text(known_text(cells["publisher"])) or None,
        **rating_and_count(cells, path, row, ("vote_average", "count")),
    }
    return checked(Book, fields, path, row, _COLUMNS)


def _year(text: str, path: str, row: int) -> int | None:
    match = _YEAR.fullmatch(text)
    if match is None and known_text(text):
        problem = f"expected a year or a date like 2004-05-12, got {shortened(text)}"
        raise DataError(path, problem, row=row, field="published_year")
    return int(match[1]) if match else None
