"""What cells of the data sets of Goodreads hold: titles with a series, shelves, languages and ISBNs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from emosim_books.book import CATEGORIES, Book
from emosim_core.loading import UniqueIds, checked, known_text, whole_number

MOST_CATEGORIES = 4
_ALIKE = {
    "fiction": "general-fiction literary-fiction contemporary-fiction literature novels",
    "biography": "biographies autobiography biography-memoir",
    "memoir": "memoirs",
    "economics": "finance",
    "health": "fitness nutrition medicine",
    "computers": "computer-science programming",
    "humor": "humour comedy funny",
    "drama": "plays theatre theater",
    "fantasy": "high-fantasy epic-fantasy urban-fantasy",
    "science fiction": "sci-fi scifi sf",
    "mystery": "mysteries crime detective",
    "thriller": "thrillers suspense",
    "romance": "contemporary-romance paranormal-romance",
    "historical fiction": "historical",
    "children": "children-s childrens children-s-books childrens-books kids picture-books middle-grade",
    "young adult": "ya young-adult-fiction teen",
    "classics": "classic classic-literature",
    "science": "popular-science physics biology",
    "self-help": "selfhelp personal-development",
    "politics": "political political-science",
    "religion": "religious spirituality christian theology",
    "travel": "travel-writing",
    "nature": "animals",
    "poetry": "poems",
    "sports": "sport",
    "cooking": "cookbooks cookbook",
    "essays": "essay",
}
"""Other tags than its name that speak of a category."""

TAGS: dict[str, str] = {
    **{name.replace(" ", "-"): name for name in CATEGORIES},
    **{tag: category for category, tags in _ALIKE.items() for tag in tags.split()},
}
"""The category that a tag speaks of. Other tags, such as "to-read" and "non-fiction", speak of none."""

_LANGUAGES: dict[str, str] = {
    "ara": "ar", "ben": "bn", "bul": "bg", "cat": "ca", "ces": "cs", "chi": "zh", "cze": "cs", "dan": "da", "deu": "de",
    "dut": "nl", "ell": "el", "eng": "en", "est": "et", "fas": "fa", "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de",
    "gre": "el", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu", "ind": "id", "isl": "is", "ita": "it", "jpn": "ja",
    "kor": "ko", "lat": "la", "lav": "lv", "lit": "lt", "may": "ms", "msa": "ms", "nld": "nl", "nor": "no", "per": "fa",
    "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro", "rus": "ru", "slk": "sk", "slo": "sk", "slv": "sl", "spa": "es",
    "srp": "sr", "swe": "sv", "tam": "ta", "tha": "th", "tur": "tr", "ukr": "uk", "urd": "ur", "vie": "vi", "zho": "zh",
}  # fmt: skip
"""Of some codes of ISO 639-2, that of ISO 639-1."""

_SERIES = re.compile(r"(?P<title>.*\S)\s*\((?P<series>[^()#]*[^()#,\s]),?\s*#(?P<part>[^()]*)\)", re.DOTALL)
_PART = re.compile(r"0*([1-9][0-9]{0,3})")
_ISBN = re.compile(r"[0-9]{9}[0-9X]|[0-9]{13}")
_DAMAGED_ISBN = re.compile(r"[0-9]+(?:\.[0-9]+)?E\+[0-9]+", re.IGNORECASE)


def numbered(
    rows: Iterable[tuple[int, dict[str, str]]], path: str, column: str
) -> Iterator[tuple[int, int, dict[str, str]]]:
    """Each row of a table with the number of its book: (line, number, cells).

    Raises:
        DataError: a cell of ``column`` is no number, or one that a row before has.
    """
    ids = UniqueIds(path, column, "book")
    for row, cells in rows:
        number = whole_number(cells[column], path, row, column)
        ids.add(number, row)
        yield row, number, cells


def goodreads_book(
    number: int, title: str, fields: Mapping[str, Any], path: str, row: int, columns: Mapping[str, str]
) -> Book:
    """The book of a number and a title with a series in brackets; ``columns`` are what the file calls fields."""
    title, series, part = split_title(title)
    named = {"id": f"goodreads-{number}", "title": title, "collection": series, "part": part}
    return checked(Book, {**named, **fields}, path, row, columns)


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
    return language if two_letters else _LANGUAGES.get(language)


def isbn(text: str) -> str | None:
    """The ISBN in a cell. Table programs drop zeros at its beginning, and write 9.78E+12 for what is then lost."""
    if not known_text(text) or _DAMAGED_ISBN.fullmatch(text):
        return None
    return text.removesuffix(".0").zfill(10)


def sound_isbn(*texts: str) -> str | None:
    """The first ISBN among cells that may also hold other things; None where there is none."""
    plain = (text.replace("-", "").replace(" ", "").upper() for text in texts)
    return next((text for text in plain if _ISBN.fullmatch(text)), None)
