"""Books from goodbooks-10k, the most rated books of Goodreads."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from emosim_books.book import CATEGORIES, Book
from emosim_books.loaders.cells import rating_and_count
from emosim_core import (
    DataError,
    LoadedItems,
    Loader,
    TablePlace,
    UniqueIds,
    checked,
    known_text,
    open_release,
    plain_text,
    read_table,
    split_names,
    table_in,
    whole_number,
)

_IDS = ("book_id", "goodreads_book_id", "best_book_id", "work_id", "id")
"""Columns of identifiers; the first that a file has gives the books theirs."""

_REQUIRED = ("title", "authors", "average_rating", "ratings_count")
_OPTIONAL = ("original_publication_year", "language_code", "isbn", "isbn13")
_COLUMNS = {
    "year": "original_publication_year",
    "collection": "title",
    "part": "title",
    "public_rating": "average_rating",
    "public_count": "ratings_count",
}
_MOST_CATEGORIES = 4
_TAGS: dict[str, str] = {
    **{name.replace(" ", "-"): name for name in CATEGORIES},
    "general-fiction": "fiction",
    "literary-fiction": "fiction",
    "contemporary-fiction": "fiction",
    "literature": "fiction",
    "novels": "fiction",
    "biographies": "biography",
    "autobiography": "biography",
    "biography-memoir": "biography",
    "memoirs": "memoir",
    "finance": "economics",
    "fitness": "health",
    "nutrition": "health",
    "medicine": "health",
    "computer-science": "computers",
    "programming": "computers",
    "humour": "humor",
    "comedy": "humor",
    "funny": "humor",
    "plays": "drama",
    "theatre": "drama",
    "theater": "drama",
    "high-fantasy": "fantasy",
    "epic-fantasy": "fantasy",
    "urban-fantasy": "fantasy",
    "sci-fi": "science fiction",
    "scifi": "science fiction",
    "sf": "science fiction",
    "mysteries": "mystery",
    "crime": "mystery",
    "detective": "mystery",
    "thrillers": "thriller",
    "suspense": "thriller",
    "contemporary-romance": "romance",
    "paranormal-romance": "romance",
    "historical": "historical fiction",
    "children-s": "children",
    "childrens": "children",
    "children-s-books": "children",
    "childrens-books": "children",
    "kids": "children",
    "picture-books": "children",
    "middle-grade": "children",
    "ya": "young adult",
    "young-adult-fiction": "young adult",
    "teen": "young adult",
    "classic": "classics",
    "classic-literature": "classics",
    "popular-science": "science",
    "physics": "science",
    "biology": "science",
    "selfhelp": "self-help",
    "personal-development": "self-help",
    "political": "politics",
    "political-science": "politics",
    "religious": "religion",
    "spirituality": "religion",
    "christian": "religion",
    "theology": "religion",
    "travel-writing": "travel",
    "animals": "nature",
    "poems": "poetry",
    "sport": "sports",
    "cookbooks": "cooking",
    "cookbook": "cooking",
    "essay": "essays",
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
_DAMAGED_ISBN = re.compile(r"[0-9]+(?:\.[0-9]+)?E\+[0-9]+", re.IGNORECASE)
_WHAT = "a goodbooks-10k folder or zip file with books.csv, or that file"


class GoodreadsOptions(BaseModel):
    """Options of :class:`Goodreads`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(
        description="goodbooks-10k: a folder or zip file with books.csv, and book_tags.csv and tags.csv where there "
        "are any; or a folder that holds such a folder; or books.csv itself."
    )


class Goodreads(Loader):
    """Books from goodbooks-10k (Zajac, 2017, https://github.com/zygmuntz/goodbooks-10k).

    "Catching Fire (The Hunger Games, #2)" is part 2 of the series "The Hunger Games". Of "(Discworld, #8; City
    Watch, #1)" the first series counts. A number that is not whole or spans several ("#0.5", "#1-3") gives a
    series and no part. A book's categories are the up to four of its most frequent tags that speak of one. A rating of
    0 without ratings is unknown. The identifier of book 1 is ``goodreads-1``; the number is that of book_id.
    """

    def __init__(self, options: GoodreadsOptions) -> None:
        self.options = options

    def load(self) -> LoadedItems:
        """Read the books.

        Raises:
            DataError: a file is missing or malformed; names file, row (the line on which it ends) and column.
        """
        books: list[Book] = []
        with open_release(self.options.path, "books.csv", _WHAT, alone=True) as (folder, table):
            path = str(table)
            categories = _categories(folder)
            ids: UniqueIds | None = None
            with closing(_rows(table, _REQUIRED)) as rows:
                for row, cells in rows:
                    ids = ids or UniqueIds(path, _id_column(cells, path), "book")
                    number = whole_number(cells[ids.field], path, row, ids.field)
                    ids.add(number, row)
                    books.append(_book(number, cells, categories, path, row))
        if not books:
            raise DataError(path, "has no books, only a header line")
        return LoadedItems(books, source=f"goodbooks-10k, {self.options.path}")


# -------------------------------------------------------------------------------------- what is read


def _rows(
    table: TablePlace, required: Sequence[str], held: bool = True
) -> Generator[tuple[int, dict[str, str]], None, None]:
    return read_table(table, "a CSV file of goodbooks-10k", required, columns=(*_IDS, *_OPTIONAL), held=held)


def _id_column(cells: Mapping[str, str], path: str) -> str:
    for name in _IDS:
        if name in cells:
            return name
    raise DataError(path, f"the column is missing; the header has: {', '.join(cells)}", row=1, field=_IDS[0])


def _categories(folder: TablePlace) -> dict[int, list[str]]:
    """Up to four categories by Goodreads' number of a book, the most frequent first, then by name."""
    listed, known = table_in(folder, "book_tags.csv"), table_in(folder, "tags.csv")
    if not listed.is_file():
        return {}
    if not known.is_file():
        raise DataError(str(known), "no such file; it names the tags of book_tags.csv")
    with closing(_rows(known, ("tag_id", "tag_name"))) as rows:
        category_of = {
            whole_number(cells["tag_id"], str(known), row, "tag_id"): _TAGS.get(cells["tag_name"].lower())
            for row, cells in rows
        }
    counts: dict[int, dict[str, int]] = {}
    columns = ("goodreads_book_id", "tag_id", "count")
    with closing(_rows(listed, columns, held=False)) as rows:
        for row, cells in rows:
            book, tag, count = (whole_number(cells[name], str(listed), row, name) for name in columns)
            category = category_of.get(tag)
            if category and count > 0:
                of_book = counts.setdefault(book, {})
                of_book[category] = max(of_book.get(category, 0), count)
    return {
        book: sorted(of_book, key=lambda name: (-of_book[name], name))[:_MOST_CATEGORIES]
        for book, of_book in counts.items()
    }


def _book(number: int, cells: Mapping[str, str], categories: Mapping[int, Sequence[str]], path: str, row: int) -> Book:
    title, series, part = split_title(plain_text(cells["title"]))
    year = known_text(cells.get("original_publication_year", ""))
    # Tags go by Goodreads' own number; where a file has only one kind of number, by that.
    tagged = cells.get("goodreads_book_id")
    tagged_as = number if tagged is None else whole_number(tagged, path, row, "goodreads_book_id")
    fields = {
        "id": f"goodreads-{number}",
        "title": title,
        "year": whole_number(year, path, row, "original_publication_year") if year else None,
        "categories": categories.get(tagged_as, ()),
        "authors": split_names(" ".join(plain_text(known_text(cells["authors"])).split())),
        "language": _language(cells.get("language_code", "")),
        "isbn": _isbn(cells.get("isbn", "")) or _isbn(cells.get("isbn13", "")),
        "collection": series,
        "part": part,
        **rating_and_count(
            cells["average_rating"], cells["ratings_count"], path, row, ("average_rating", "ratings_count")
        ),
    }
    return checked(Book, fields, path, row, _COLUMNS)


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


def _language(code: str) -> str | None:
    """The code of ISO 639-1: of "eng", "en-US" and "en" it is "en"; None where there is none or it is not known."""
    language = code.lower().partition("-")[0]
    two_letters = len(language) == 2 and language.isascii() and language.isalpha()
    return language if two_letters else _LANGUAGES.get(language)


def _isbn(text: str) -> str | None:
    """The ISBN in a cell. Table programs drop zeros at its beginning, and write 9.78E+12 for what is then lost."""
    if not known_text(text) or _DAMAGED_ISBN.fullmatch(text):
        return None
    return text.removesuffix(".0").zfill(10)
