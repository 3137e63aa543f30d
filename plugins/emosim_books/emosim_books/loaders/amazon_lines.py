"""Books from the Amazon Reviews data sets in JSON lines."""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from emosim_books.book import Book
from emosim_books.loaders.cells import WORDS, sound_isbn
from emosim_books.loaders.formats import AMAZON_2023
from emosim_core import ConfigurationError, DataError
from emosim_core.loading import (
    Release,
    TablePlace,
    UniqueIds,
    checked,
    counted_notes,
    known_rating,
    read_json_lines,
    shortened,
    web_text,
)
from emosim_core.plugins import Item, LoadedRatings

_WHAT = "metadata of Amazon's books, one JSON object per line"
_WHAT_REVIEWS = "reviews of Amazon's books, one JSON object per line"
_LOWEST, _HIGHEST = 1.0, 5.0
_COLUMNS = {"year": "details", "authors": "author", "public_rating": "average_rating", "public_count": "rating_number"}
_WRITER = re.compile(r"\s*([^()]+?)\s*\(([^()]*)\)\s*,?")
_PUBLISHED = re.compile(r"(?P<name>[^;(]*?)\s*(?:;[^(]*)?(?:\((?P<date>[^()]*)\))?\s*")
_YEAR = re.compile(r".*\b((?:1[4-9]|20)[0-9]{2})")


class _Record(BaseModel):
    """The fields of a book that are read; all others are ignored."""

    parent_asin: str | None = None
    asin: str | None = None
    title: str | None = None
    author: dict[str, Any] | str | None = None
    brand: str | None = None
    store: str | None = None
    average_rating: float | None = Field(default=None, allow_inf_nan=False)
    rating_number: int | None = Field(default=None, ge=0)
    description: list[str | None] | str | None = None
    categories: list[Any] | None = None
    category: list[str] | None = None
    details: dict[str, Any] | str | None = None
    subtitle: str | None = None


def read(release: Release, min_ratings: int, prior_count: float) -> tuple[list[Book], list[str]]:
    """The books with at least as many ratings, and the announcements.

    Of Amazon Reviews 2023 (Hou et al., 2024, arXiv:2403.03952, https://amazon-reviews-2023.github.io): meta_Books.jsonl
    with title, subtitle, author, store, average_rating, rating_number, description, categories, details and
    parent_asin, and beside it Books.jsonl with reviews (rating, parent_asin, user_id, timestamp in milliseconds). Of
    Amazon Reviews 2018 (Ni et al., 2019, doi:10.18653/v1/D19-1018): meta_Books.json.gz with asin, title, brand,
    category and description, and Books.json.gz with reviews (overall, asin, reviewerID, unixReviewTime). That of 2014
    (He and McAuley, 2016, doi:10.1145/2872427.2883037) writes metadata as Python literals, which are read and never
    run.

    Public rating and count are those of the metadata. A book without them has those of the reviews, where the file of
    reviews is there: with n ratings that sum to s, a mean m of all these ratings and a prior count p, its rating is
    ``(s + p * m) / (n + p)``. Descriptions become plain text. The identifier of the book B00X is ``amazon-B00X``.
    """
    path = str(release.table)
    new = release.format is AMAZON_2023
    reviews = _reviews(release)
    public = _public_ratings(reviews, new, prior_count) if reviews is not None else {}
    ids = UniqueIds(path, "parent_asin" if new else "asin", "book")
    seen: set[str] = set()
    books: list[Book] = []
    untitled = again = 0
    with closing(read_json_lines(release.table, _WHAT, held=not min_ratings, literals=not new)) as lines:
        for row, values in lines:
            record = checked(_Record, values, path, row)
            asin = ((record.parent_asin if new else record.asin) or "").strip()
            if not asin:
                raise DataError(path, "the identifier is missing", row=row, field=ids.field)
            rating, count = known_rating(record.average_rating, record.rating_number), record.rating_number
            if rating is None:
                rating, count = public.get(asin, (None, count))
            if (count or 0) < min_ratings:
                continue
            title = web_text(record.title or "")
            if not title or "getTime" in title:
                untitled += 1
                continue
            if asin in seen:
                again += 1
                continue
            seen.add(asin)
            ids.add(asin, row)
            books.append(_book(asin, title, record, rating, count, path, row))
    counts = {
        "left out books without a title that can be read": untitled,
        "left out rows about a book that stands there already": again,
    }
    if not books and (untitled or min_ratings):
        raise DataError(path, f"no book with a title has {min_ratings} ratings or more; lower min_ratings")
    return books, counted_notes(path, counts)


def _reviews(release: Release) -> TablePlace | None:
    """The file of reviews beside a file of metadata; None where there is none."""
    name = release.table.name.removesuffix(".gz").removeprefix("meta_")
    stem, _, suffix = name.rpartition(".")
    names = (name, f"{stem}_5.{suffix}", f"reviews_{name}", f"reviews_{stem}_5.{suffix}")
    return release.beside(*names) if release.table.name.startswith("meta_") else None


def _rated(table: TablePlace, new: bool) -> Generator[tuple[int, str, str, float, float], None, None]:
    """Each review's row, reader, book, stars and time in seconds."""
    of_user, of_item, of_stars, of_time = (
        ("user_id", "parent_asin", "rating", "timestamp")
        if new
        else ("reviewerID", "asin", "overall", "unixReviewTime")
    )
    with closing(read_json_lines(table, _WHAT_REVIEWS, held=False, literals=not new)) as lines:
        for row, values in lines:
            stars: Any = values.get(of_stars)
            time: Any = values.get(of_time)
            for name in (of_user, of_item):
                if not isinstance(values.get(name), str) or not values[name]:
                    problem = f"expected a text, got {shortened(values.get(name))}"
                    raise DataError(str(table), problem, row=row, field=name)
            if type(stars) not in (int, float) or not _LOWEST <= stars <= _HIGHEST:
                problem = f"expected a rating of {_LOWEST:g} to {_HIGHEST:g}, got {shortened(stars)}"
                raise DataError(str(table), problem, row=row, field=of_stars)
            if type(time) not in (int, float):
                raise DataError(str(table), f"expected a number, got {shortened(time)}", row=row, field=of_time)
            yield row, values[of_user], values[of_item], float(stars), time / 1000 if new else float(time)


def _public_ratings(table: TablePlace, new: bool, prior_count: float) -> dict[str, tuple[float, int]]:
    """Public rating on 1 to 5 and number of reviews, by book."""
    sums: defaultdict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    with closing(_rated(table, new)) as reviews:
        for _, _, asin, stars, _ in reviews:
            sums[asin] += stars
            counts[asin] += 1
    mean = sum(sums.values()) / max(counts.total(), 1)
    damped = {asin: (sums[asin] + prior_count * mean) / (count + prior_count) for asin, count in counts.items()}
    return {asin: (min(max(round(damped[asin], 6), _LOWEST), _HIGHEST), count) for asin, count in counts.items()}


def load_ratings(release: Release, items: Sequence[Item]) -> LoadedRatings:
    """The reviews of each user: book, stars and time. Reviews of books that are not among ``items`` are left out."""
    table = _reviews(release)
    if table is None:
        raise ConfigurationError(
            f"no file of reviews lies beside {release.table}; get it from where the metadata came from"
        )
    index = {item.id.removeprefix("amazon-"): place for place, item in enumerate(items)}
    users: list[str] = []
    places, values, times = array("q"), array("d"), array("d")
    with closing(_rated(table, release.format is AMAZON_2023)) as reviews:
        for _, user, asin, stars, time in reviews:
            if asin in index:
                users.append(user)
                places.append(index[asin])
                values.append(stars)
                times.append(time)
    if not users:
        raise DataError(str(table), "nobody reviewed any of the books")
    return LoadedRatings(users, np.array(places, dtype=np.intp), np.array(values), np.array(times))


# ----------------------------------------------------------------------------------- what is read of a book


def _book(asin: str, title: str, record: _Record, rating: float | None, count: int | None, path: str, row: int) -> Book:
    details = _object(record.details)
    published = _PUBLISHED.fullmatch(str(details.get("Publisher") or ""))
    date = (published["date"] if published else None) or details.get("Publication date") or record.subtitle or ""
    year = _YEAR.match(str(date))
    description = record.description if isinstance(record.description, list) else [record.description]
    language = str(details.get("Language") or "").partition(",")[0].strip().lower()
    fields: dict[str, Any] = {
        "id": f"amazon-{asin}",
        "title": title,
        "year": int(year[1]) if year else None,
        "categories": _categories(record, path, row),
        "description": web_text(" ".join(part for part in description if part)),
        "authors": _authors(record),
        "publisher": (published["name"] if published else "") or None,
        "language": WORDS.language_names.get(language),
        "isbn": sound_isbn(str(details.get("ISBN 10")), str(details.get("ISBN 13")), asin),
        "public_rating": rating,
        "public_count": count,
    }
    return checked(Book, fields, path, row, _COLUMNS)


def _object(value: dict[str, Any] | str | None) -> dict[str, Any]:
    """An object, which some copies of the data set hold as a text of JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _authors(record: _Record) -> list[str]:
    """The author; else those whom the store names as authors ("Ada Berg (Author), Jon Ek (Illustrator)"); else none."""
    author = record.author
    if isinstance(author, str) and not author.lstrip().startswith("{"):
        return [web_text(author)]
    name = _object(author).get("name")
    if isinstance(name, str) and name.strip():
        return [web_text(name)]
    writers = [match[1] for match in _WRITER.finditer(record.store or "") if "Author" in match[2]]
    if writers:
        return [web_text(writer) for writer in writers]
    brand = web_text(record.brand or "").removeprefix("Visit Amazon's ").removesuffix(" Page")
    return [brand] if brand else []


def _categories(record: _Record, path: str, row: int) -> list[str]:
    """Departments, the widest first. In the metadata of 2014 they are lists in a list."""
    named = record.categories or record.category or []
    names = [name for entry in named for name in (entry if isinstance(entry, list) else [entry])]
    if not all(isinstance(name, str) for name in names):
        raise DataError(path, f"expected a list of names, got {shortened(named)}", row=row, field="categories")
    kinds = [web_text(name).lower() for name in names]
    return [kind for name in kinds for kind in WORDS.amazon_departments.get(name, (name,))]
