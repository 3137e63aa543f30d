"""Films from a MovieLens data set."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from emosim_core import (
    DataError,
    Item,
    LoadedItems,
    LoadedRatings,
    Loader,
    TablePlace,
    UniqueIds,
    checked,
    known_text,
    open_release,
    open_table,
    plain_text,
    read_table,
    table_in,
    whole_number,
)
from emosim_movies.movie import Movie

_GENRES: dict[str, str | None] = {
    "Children": "family",
    "Children's": "family",
    "Sci-Fi": "science fiction",
    "Film-Noir": "film noir",
    "(no genres listed)": None,
    "IMAX": None,
}
_YEAR = re.compile(r"(?P<title>.*?)\s*\((?P<year>\d{4})(?:\s*[-\u2013]\s*(?:\d{4})?)?\)", re.DOTALL)
_ARTICLES = "The A An Le La Les L' Un Une El Los Las Una Il Lo I Gli Der Die Das Ein Eine De Det Den En Et O Os As"
_INVERTED = re.compile(rf"(?P<name>[^()]*\S), (?P<article>{_ARTICLES.replace(' ', '|')})(?=\s*(?:[()]|$))")
_LOWEST, _HIGHEST = 0.5, 5.0
_TYPES = {"userId": "int64", "movieId": "int64", "rating": "float64", "timestamp": "int64"}
_ROWS_AT_ONCE = 1_000_000
_LONGEST_LINE = 1 << 16
_WHAT = "a MovieLens folder or zip file with movies.csv and ratings.csv"
_OLDER = ("movies.dat", "ratings.dat", "u.item", "u.data")
"""Files of the releases that are not in CSV."""


class MovieLensOptions(BaseModel):
    """Options of :class:`MovieLens`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(
        description="A MovieLens folder or zip file: movies.csv and ratings.csv, and links.csv and tags.csv where "
        "there are any; or a folder that holds such a folder."
    )
    min_ratings: int = Field(default=0, ge=0, description="Films with fewer ratings are left out.")
    prior_count: float = Field(
        default=5.0,
        ge=0,
        description="How many ratings at the mean of all ratings each film's public rating is damped by.",
    )
    tags: int = Field(default=5, ge=0, description="How many of a film's most frequent tags become its description.")


class MovieLens(Loader):
    """Films from any MovieLens release in CSV (Harper and Konstan, 2015, doi:10.1145/2827872).

    Stars are doubled, so that half stars are the levels of 1 to 10. With n ratings that sum to s, a
    mean m of all ratings and a prior count p, a film's public rating is ``2 * (s + p * m) / (n + p)``.
    A film without ratings has none. Ratings and tags of films that movies.csv does not list are left
    out. "Postman, The (1994)" is the film "The Postman" of 1994. The identifier of movie 1 is ``ml-1``.
    """

    def __init__(self, options: MovieLensOptions) -> None:
        self.options = options

    def load(self) -> LoadedItems:
        """Read the films. Ratings are read in pieces and only summed, so that tens of millions fit in memory.

        Raises:
            DataError: a file is missing or malformed; names file, row and column.
        """
        options = self.options
        with open_release(options.path, "movies.csv", _WHAT, _OLDER) as (folder, table):
            ratings = table_in(folder, "ratings.csv")
            if not ratings.is_file():
                raise DataError(str(ratings), f"no such file; expected {_WHAT}")
            listed = _listed(table)
            links = _links(table_in(folder, "links.csv"))
            public = _public_ratings(ratings, options.prior_count)
            tags = _frequent_tags(table_in(folder, "tags.csv"), options.tags)
            movies = [
                _movie(table, row, values, links, public, tags)
                for row, values in listed
                if public.get(int(values["movieId"]), (None, 0))[1] >= options.min_ratings
            ]
        if not movies:
            raise DataError(options.path, f"no film has {options.min_ratings} ratings or more; lower min_ratings")
        return LoadedItems(movies, source=f"MovieLens, {options.path}")

    def load_ratings(self, items: Sequence[Item]) -> LoadedRatings:
        """Who gave which film how many stars, doubled, and when; a film's tags were written by the same people.

        Raises:
            DataError: a file is missing or malformed, or nobody rated any of ``items``.
        """
        index = {int(item.id.removeprefix("ml-")): place for place, item in enumerate(items)}
        known = np.fromiter(index, dtype="int64")
        columns: dict[str, list[np.ndarray]] = {name: [] for name in _TYPES}
        with open_release(self.options.path, "movies.csv", _WHAT, _OLDER) as (folder, _):
            table = table_in(folder, "ratings.csv")
            if not table.is_file():
                raise DataError(str(table), f"no such file; expected {_WHAT}")
            with closing(_pieces(table, list(_TYPES))) as pieces:
                for piece in pieces:
                    listed = np.isin(piece["movieId"], known)
                    for name, parts in columns.items():
                        parts.append(piece[name][listed])
        people, films, stars, times = (np.concatenate(parts) if parts else np.zeros(0) for parts in columns.values())
        if not len(people):
            raise DataError(str(table), "nobody rated any of the films")
        return LoadedRatings(
            people=[str(person) for person in people.tolist()],
            items=np.array([index[int(film)] for film in films.tolist()], dtype=np.intp),
            values=2.0 * stars,
            times=times.astype(np.float64),
            told_by_people=("description",),
        )


# --------------------------------------------------------------------------------------- its files


def _rows(
    table: TablePlace, required: Sequence[str], held: bool = True
) -> Generator[tuple[int, dict[str, str]], None, None]:
    return read_table(table, "a CSV file of MovieLens", required, strip=False, held=held)


def _pieces(table: TablePlace, columns: Sequence[str]) -> Generator[dict[str, np.ndarray], None, None]:
    """Columns of a table of ratings, as arrays of a million rows at most; people's numbers and times are whole.

    pandas reads the table as it is published. From the first row on that it stumbles over, which may be written in
    another way, the rows are read one by one.
    """
    done = 0
    for piece in _fast_pieces(table, columns):
        done += len(piece[columns[0]])
        yield piece
    with closing(_rows(table, columns, held=False)) as rows:
        rest = islice(rows, done, None)
        while some := list(islice(rest, _ROWS_AT_ONCE)):
            yield {
                name: np.array([_number_of(values, name, table, row) for row, values in some], dtype=_TYPES[name])
                for name in columns
            }


def _fast_pieces(table: TablePlace, columns: Sequence[str]) -> Generator[dict[str, np.ndarray], None, None]:
    """Pieces of a table without quotes, up to the first that cannot be read or has a rating out of range."""
    import pandas as pd

    with open_table(table) as stream:
        start = stream.peek()
        header = start.removeprefix(codecs.BOM_UTF8).partition(b"\n")[0].decode("utf-8", "replace").strip().split(",")
        if b'"' in start or not set(columns) <= set(header):
            return
        try:
            # All columns are parsed, since pandas checks the number of fields of a row only then: a rating
            # written as 4,5 must not become a 4.
            with pd.read_csv(
                io.BufferedReader(_ShortLines(stream)),
                dtype={name: _TYPES[name] for name in columns},
                chunksize=_ROWS_AT_ONCE,
                low_memory=False,
                encoding="utf-8-sig",
                quoting=csv.QUOTE_NONE,
            ) as pieces:
                for piece in pieces:
                    if not piece["rating"].between(_LOWEST, _HIGHEST).all():
                        return
                    yield {name: piece[name].to_numpy() for name in columns}
        except (ValueError, OverflowError):
            return


class _ShortLines(io.RawIOBase):
    """A stream that ends in an error where a line does not; pandas would hold all of it."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(buffer)
        if count >= _LONGEST_LINE and b"\n" not in bytes(buffer[:count]):
            raise ValueError("a line is too long")
        return count


def _number_of(values: Mapping[str, str], field: str, table: TablePlace, row: int) -> float:
    if field == "rating":
        return _stars(values[field], str(table), row)
    return _id(values, field, table, row)


def _id(values: Mapping[str, str], field: str, table: TablePlace, row: int) -> int:
    """An identifier; pandas writes it as 862.0 where a column has gaps."""
    number = whole_number(values[field].strip(), str(table), row, field)
    if number < 0:
        raise DataError(str(table), f"expected a whole number from 0, got {number}", row=row, field=field)
    return number


def _stars(text: str, path: str, row: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not _LOWEST <= value <= _HIGHEST:
        raise DataError(
            path, f"expected a rating of {_LOWEST:g} to {_HIGHEST:g}, got {text!r}", row=row, field="rating"
        )
    return value


# -------------------------------------------------------------------------------------- what is read


def _listed(table: TablePlace) -> list[tuple[int, dict[str, str]]]:
    """The rows of movies.csv, as (line number, values by column)."""
    listed = []
    ids = UniqueIds(str(table), "movieId", "movie")
    with closing(_rows(table, ("movieId", "title", "genres"))) as rows:
        for row, values in rows:
            values["movieId"] = str(_id(values, "movieId", table, row))
            ids.add(int(values["movieId"]), row)
            listed.append((row, values))
    if not listed:
        raise DataError(str(table), "has no films, only a header line")
    return listed


def _links(table: TablePlace) -> dict[int, tuple[str | None, int | None]]:
    """IMDb and TMDB identifiers by movie."""
    found: dict[int, tuple[str | None, int | None]] = {}
    if not table.is_file():
        return found
    with closing(_rows(table, ("movieId", "imdbId", "tmdbId"))) as rows:
        for row, values in rows:
            values["imdbId"] = values["imdbId"].removeprefix("tt")
            found[_id(values, "movieId", table, row)] = (
                f"tt{_id(values, 'imdbId', table, row):07d}" if known_text(values["imdbId"]) else None,
                _id(values, "tmdbId", table, row) if known_text(values["tmdbId"]) else None,
            )
    return found


def _public_ratings(table: TablePlace, prior_count: float) -> dict[int, tuple[float, int]]:
    """Public rating on 1 to 10 and number of ratings, by movie."""
    import pandas as pd

    sums = []
    with closing(_pieces(table, ("movieId", "rating"))) as pieces:
        for piece in pieces:
            sums.append(pd.DataFrame(piece).groupby("movieId")["rating"].agg(["sum", "count"]))
    together = pd.concat(sums).groupby(level=0).sum() if sums else pd.DataFrame({"sum": [], "count": []})
    total = together["count"].sum()
    if not total:
        return {}
    mean = together["sum"].sum() / total
    damped = 2.0 * (together["sum"] + prior_count * mean) / (together["count"] + prior_count)
    # A mean of 5.0 may come out of the division a hair above it.
    levels = damped.round(6).clip(1.0, 10.0)
    counts = together["count"].astype("int64")
    return dict(zip(together.index.tolist(), zip(levels.tolist(), counts.tolist(), strict=True), strict=True))


def _frequent_tags(table: TablePlace, count: int) -> dict[int, list[str]]:
    """The most frequent tags of each movie, in lower case; among equals in alphabetical order."""
    if not count or not table.is_file():
        return {}
    totals: Counter[tuple[int, str]] = Counter()
    with closing(_rows(table, ("movieId", "tag"), held=False)) as rows:
        for row, values in rows:
            tag = plain_text(values["tag"]).strip().lower()
            if tag:
                totals[_id(values, "movieId", table, row), tag] += 1
    best: dict[int, list[str]] = {}
    for _, number, tag in sorted((-times, number, tag) for (number, tag), times in totals.items()):
        chosen = best.setdefault(number, [])
        if len(chosen) < count:
            chosen.append(tag)
    return best


def _movie(
    table: TablePlace,
    row: int,
    values: Mapping[str, str],
    links: Mapping[int, tuple[str | None, int | None]],
    public: Mapping[int, tuple[float, int]],
    tags: Mapping[int, Sequence[str]],
) -> Movie:
    number = int(values["movieId"])
    title, year = split_title(plain_text(values["title"]))
    named = (genre.strip() for genre in known_text(values["genres"]).split("|"))
    genres = [_GENRES.get(genre, genre.lower()) for genre in named]
    rating, count = public.get(number, (None, 0))
    imdb, tmdb = links.get(number, (None, None))
    fields = {
        "id": f"ml-{number}",
        "title": title,
        "year": year,
        "categories": [genre for genre in genres if genre],
        "description": f"Tagged: {', '.join(tags[number])}." if number in tags else "",
        "public_rating": rating,
        "public_count": count,
        "imdb_id": imdb,
        "tmdb_id": tmdb,
    }
    return checked(Movie, fields, str(table), row, {"categories": "genres", "year": "title"})


def split_title(text: str) -> tuple[str, int | None]:
    """Title and year of a MovieLens title.

    Articles that were moved to the end go back to the front, also in a title in brackets:
    "Postman, The (Postino, Il) (1994)" is ("The Postman (Il Postino)", 1994). Of a span of years the
    first counts. A title may have no year.
    """
    text = " ".join(text.split())
    match = _YEAR.fullmatch(text)
    title, year = (match["title"], int(match["year"])) if match and match["title"] else (text, None)
    return _INVERTED.sub(_with_article, title), year


def _with_article(match: re.Match[str]) -> str:
    name, article = match["name"], match["article"]
    space = len(name) - len(name.lstrip())
    joined = article + ("" if article.endswith("'") else " ") + name.lstrip()
    return name[:space] + joined
