"""Books from UCSD's Goodreads data set in JSON lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from emosim_books.book import Book
from emosim_books.loaders.cells import WORDS, categories_of, goodreads_book, language, rating_and_count, sound_isbn
from emosim_core import DataError
from emosim_core.loading import (
    Release,
    TablePlace,
    UniqueIds,
    checked,
    counted_notes,
    read_json_lines,
    web_text,
    whole_number,
)

_WHAT = "books of UCSD's Goodreads data set, one JSON object per line"
_AUTHORS, _GENRES = "goodreads_book_authors.json", "goodreads_book_genres_initial.json"
_COLUMNS = {"year": "publication_year", "language": "language_code"}
_OLDEST, _NEWEST = -3000, 2200


class _Shelf(TypedDict):
    name: str
    count: str | int


class _Author(TypedDict):
    author_id: str | int


class _Record(BaseModel):
    """What is read of a book; all else in it is left out. The data set writes numbers as text, unknown ones as ''."""

    model_config = ConfigDict(strict=True)

    book_id: str | int
    title: str | None
    average_rating: str | float | None = None
    ratings_count: str | int | None = None
    authors: list[_Author] = Field(default_factory=list)
    popular_shelves: list[_Shelf] = Field(default_factory=list)
    description: str | None = None
    publisher: str | None = None
    publication_year: str | int | None = None
    language_code: str | None = None
    isbn: str | None = None
    isbn13: str | None = None


def read(release: Release, min_ratings: int) -> tuple[list[Book], list[str]]:
    """The books with at least as many ratings, and the announcements.

    The data set (Wan and McAuley, 2018, doi:10.1145/3240323.3240369; Wan et al., 2019;
    https://mengtingwan.github.io/data/goodreads) has one JSON object per line: in goodreads_books.json.gz, or in one of
    its parts by genre (goodreads_books_poetry.json.gz), the books; in goodreads_book_authors.json.gz the names of the
    authors; in goodreads_book_genres_initial.json.gz ten genres. Categories are the most used shelves that speak of
    one, else the most counted genres. Public rating and count are those of the books; interactions are not read.
    Descriptions become plain text. A year that no book can have is unknown.
    """
    path = str(release.table)
    ids = UniqueIds(path, "book_id", "book")
    records: list[tuple[int, int, _Record]] = []
    untitled = undated = 0
    with closing(read_json_lines(release.table, _WHAT, held=not min_ratings)) as lines:
        for row, values in lines:
            record = checked(_Record, values, path, row)
            count = _text(record.ratings_count)
            if min_ratings and (not count or whole_number(count, path, row, "ratings_count") < min_ratings):
                continue
            if not (record.title or "").strip():
                untitled += 1
                continue
            number = whole_number(_text(record.book_id), path, row, "book_id")
            ids.add(number, row)
            records.append((row, number, record))
    names = _author_names(
        release, {_text(author["author_id"]) for _, _, record in records for author in record.authors}
    )
    genres = _genres(release, {number for _, number, _ in records})
    books = []
    for row, number, record in records:
        book, dated = _book(row, number, record, names, genres, path)
        undated += not dated
        books.append(book)
    counts = {
        "left out books without a title": untitled,
        "took years of publication that no book can have as unknown": undated,
    }
    notes = counted_notes(path, counts)
    if names is None:
        notes.append(f"{_AUTHORS}.gz is not beside {path}: the books have no authors.")
    return books, notes


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _author_names(release: Release, wanted: set[str]) -> dict[str, str] | None:
    """The name by id of those who are wanted; None where the data set has no file of names."""
    table = release.beside(_AUTHORS)
    if table is None:
        return None
    names: dict[str, str] = {}
    with closing(read_json_lines(table, f"{_AUTHORS} of UCSD's Goodreads data set", held=False)) as lines:
        for row, values in lines:
            number, name = values.get("author_id"), values.get("name")
            if not isinstance(number, (str, int)) or not isinstance(name, str):
                raise DataError(str(table), "expected an author's author_id and name", row=row, field="name")
            if str(number) in wanted:
                names[str(number)] = " ".join(name.split())
    return names


def _genres(release: Release, wanted: set[int]) -> dict[int, list[str]]:
    """Categories by book, of the genre that most readers gave it first."""
    table: TablePlace | None = release.beside(_GENRES)
    kinds: dict[int, list[str]] = {}
    if table is None:
        return kinds
    with closing(read_json_lines(table, f"{_GENRES} of UCSD's Goodreads data set", held=False)) as lines:
        for row, values in lines:
            number = whole_number(_text(values.get("book_id")), str(table), row, "book_id")
            counts = values.get("genres")
            if not isinstance(counts, dict) or not all(isinstance(count, int) for count in counts.values()):
                raise DataError(str(table), "expected an object of genres and counts", row=row, field="genres")
            if number in wanted:
                ranked = sorted(counts, key=lambda name: (-counts[name], name))
                kinds[number] = [kind for name in ranked for kind in WORDS.goodreads_genres.get(name, (name,))]
    return kinds


def _book(
    row: int,
    number: int,
    record: _Record,
    names: Mapping[str, str] | None,
    genres: Mapping[int, Sequence[str]],
    path: str,
) -> tuple[Book, bool]:
    """The book, and whether its year, where there is one, can be that of a book."""
    text = _text(record.publication_year)
    year = whole_number(text, path, row, "publication_year") if text else None
    dated = year is None or _OLDEST <= year <= _NEWEST
    shelves = sorted(record.popular_shelves, key=lambda shelf: -whole_number(_text(shelf["count"]), path, row, "count"))
    authors = [(names or {}).get(_text(author["author_id"]), "") for author in record.authors]
    public = {name: _text(getattr(record, name)) for name in ("average_rating", "ratings_count")}
    fields: dict[str, Any] = {
        "year": year if dated else None,
        "categories": categories_of([shelf["name"] for shelf in shelves]) or genres.get(number, ()),
        "description": web_text(record.description or ""),
        "authors": authors,
        "publisher": _text(record.publisher) or None,
        "language": language(_text(record.language_code)),
        "isbn": sound_isbn(_text(record.isbn), _text(record.isbn13)),
        **rating_and_count(public, path, row, ("average_rating", "ratings_count")),
    }
    return goodreads_book(number, web_text(record.title or ""), fields, path, row, _COLUMNS), dated
