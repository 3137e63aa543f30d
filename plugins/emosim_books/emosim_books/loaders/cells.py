"""What cells of published books hold: titles with a series, tags, languages, ISBNs and public ratings.

``words.toml`` has the words of published data sets in the words of this package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from emosim_books.book import CATEGORIES, Book
from emosim_core.loading import UniqueIds, checked, known_rating, known_text, number, read_toml, whole_number


@dataclass(frozen=True)
class Words:
    """Categories by what a data set calls them, and codes of languages; ``words.toml`` describes each table."""

    goodreads_tags: dict[str, tuple[str, ...]]
    goodreads_genres: dict[str, tuple[str, ...]]
    amazon_departments: dict[str, tuple[str, ...]]
    amazon_kinds: dict[str, tuple[str, ...]]
    language_names: dict[str, str]
    language_codes: dict[str, str]


WORDS = read_toml(files(__package__) / "words.toml", f"{__package__}/words.toml", Words)

MOST_CATEGORIES = 4
TAGS: dict[str, str] = {
    **{name.replace(" ", "-"): name for name in CATEGORIES},
    **{tag: category for category, tags in WORDS.goodreads_tags.items() for tag in tags},
}
"""The category that a tag speaks of. Other tags, such as "to-read" and "non-fiction", speak of none."""

_GOODREADS_COLUMNS = {
    "collection": "title",
    "part": "title",
    "public_rating": "average_rating",
    "public_count": "ratings_count",
}
_SERIES = re.compile(r"(?P<title>.*\S)\s*\((?P<series>[^()#]*[^()#,\s]),?\s*#(?P<part>[^()]*)\)", re.DOTALL)
_PART = re.compile(r"0*([1-9][0-9]{0,3})")
_ISBN = re.compile(r"[0-9]{9}[0-9X]|[0-9]{13}")
_DAMAGED_ISBN = re.compile(r"[0-9]+(?:\.[0-9]+)?E\+[0-9]+", re.IGNORECASE)


def numbered(
    rows: Iterable[tuple[int, dict[str, str]]], path: str, column: str
) -> Iterator[tuple[int, int, dict[str, str]]]:
    """Each row of a table with the number of its book, which no row before has: (line, number, cells)."""
    ids = UniqueIds(path, column, "book")
    for row, cells in rows:
        book = whole_number(cells[column], path, row, column)
        ids.add(book, row)
        yield row, book, cells


def goodreads_book(
    book: int, title: str, fields: Mapping[str, Any], path: str, row: int, columns: Mapping[str, str]
) -> Book:
    """The book of a number and a title with a series in brackets.

    ``columns`` are what the file calls fields, where most tables of Goodreads call them otherwise.
    """
    title, series, part = split_title(title)
    named = {"id": f"goodreads-{book}", "title": title, "collection": series, "part": part}
    return checked(Book, {**named, **fields}, path, row, {**_GOODREADS_COLUMNS, **columns})


def categories_of(tags: Iterable[str]) -> list[str]:
    """The categories that tags or shelves speak of, in their order, at most four."""
    return list(dict.fromkeys(kind for tag in tags if (kind := TAGS.get(tag.lower()))))[:MOST_CATEGORIES]


def split_title(text: str) -> tuple[str, str | None, int | None]:
    """Title, series and position of a Goodreads title.

    "Catching Fire (The Hunger Games, #2)" is ("Catching Fire", "The Hunger Games", 2). A position that is not one
    whole number from 1 is None. What stands in brackets without a number stays in the title.
    """
    text = " ".join(text.split())
    match = _SERIES.fullmatch(text)
    if match is None:
        return text, None, None
    part = _PART.fullmatch(match["part"].partition(";")[0].strip())
    return match["title"], match["series"].strip(), int(part[1]) if part else None


def language(code: str) -> str | None:
    """The code of ISO 639-1: of "eng", "en-US" and "en" it is "en"; None where there is none or it is not known."""
    language = code.lower().partition("-")[0]
    two_letters = len(language) == 2 and language.isascii() and language.isalpha()
    return language if two_letters else WORDS.language_codes.get(language)


def isbn(text: str) -> str | None:
    """The ISBN in a cell. Table programs drop zeros at its beginning, and write 9.78E+12 for what is then lost."""
    if not known_text(text) or _DAMAGED_ISBN.fullmatch(text):
        return None
    return text.removesuffix(".0").zfill(10)


def sound_isbn(*texts: str) -> str | None:
    """The first ISBN among cells that may also hold other things; None where there is none."""
    plain = (text.replace("-", "").replace(" ", "").upper() for text in texts)
    return next((text for text in plain if _ISBN.fullmatch(text)), None)


def rating_and_count(
    cells: Mapping[str, str], path: str, row: int, fields: tuple[str, str]
) -> dict[str, float | int | None]:
    """``public_rating`` and ``public_count`` of a book, from the cells of two columns.

    An absent or empty cell is unknown, as is a rating of 0 by nobody. Their range is for the book to check.
    """
    rating, count = (known_text(cells.get(name, "")) for name in fields)
    users = whole_number(count, path, row, fields[1]) if count else None
    value = number(rating, path, row, fields[0]) if rating else None
    return {"public_rating": known_rating(value, users), "public_count": users}


def goodreads_fields(cells: Mapping[str, str], path: str, row: int) -> dict[str, Any]:
    """Language, ISBN and public rating of a book, whose columns most tables of Goodreads call the same."""
    return {
        "language": language(cells.get("language_code", "")),
        "isbn": isbn(cells.get("isbn", "")) or isbn(cells.get("isbn13", "")),
        **rating_and_count(cells, path, row, ("average_rating", "ratings_count")),
    }
