"""How the files of each MovieLens release are written: films, ratings, tags and links, by row or in large pieces."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

import numpy as np

from emosim_core import DataError
from emosim_core.loading import (
    Format,
    Release,
    TablePlace,
    UniqueIds,
    known_text,
    open_table,
    plain_text,
    read_csv,
    whole_number,
)
from emosim_movies.loaders.formats import MOVIELENS_100K, MOVIELENS_CSV, MOVIELENS_DAT

LOWEST, HIGHEST = 0.5, 5.0
"""The fewest and the most stars of a rating, in any release."""

_ROWS_AT_ONCE = 1_000_000
_LONGEST_LINE = 1 << 16
_BETWEEN = "behind "
_TYPES = {"userId": "int64", "movieId": "int64", "rating": "float64", "timestamp": "int64"}
_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The genres of MovieLens 100K in the order of their columns, as its README and u.genre give them."""

_ITEM_100K = ("movieId", "title", "release date", "video release date", "IMDb URL", *_GENRES_100K)
_MADE_FOR = re.compile(r"\s*\((?:V|TV)\)\s*")
"""What follows the year of a film that was made for video or television."""


@dataclass(frozen=True)
class _Shape:
    """What the files of a release are called and how they are written; a delimiter that is no comma means no header."""

    ratings: str
    tags: str = ""
    links: str = ""
    delimiter: str = ","


_SHAPES: dict[Format, _Shape] = {
    MOVIELENS_CSV: _Shape("ratings.csv", "tags.csv", "links.csv"),
    MOVIELENS_DAT: _Shape("ratings.dat", "tags.dat", delimiter="::"),
    MOVIELENS_100K: _Shape("u.data", delimiter="\t"),
}


@dataclass(frozen=True)
class Film:
    """One film as a release lists it.

    Attributes:
        title: its title, mostly with the year behind it.
        genres: its genres, as MovieLens calls them.
        released: the year of release, where the data set gives it beside the title.
    """

    row: int
    number: int
    title: str
    genres: tuple[str, ...]
    released: int | None = None


class MovieLensFiles:
    """The files of one release.

    MovieLens in CSV has headers and is UTF-8; MovieLens 1M (movies.dat, ratings.dat, users.dat) and 10M (with tags.dat)
    have "::" between fields; MovieLens 100K has u.item with bars and one column of 0 or 1 for each of 19 genres, and
    u.data with tabs (Harper and Konstan, 2015, doi:10.1145/2827872, and the README of each release at
    https://files.grouplens.org/datasets/movielens/). Titles are UTF-8, or ISO 8859-1 in MovieLens 100K and 1M.
    """

    def __init__(self, release: Release, what: str) -> None:
        self.table = release.table
        self._shape, self._release, self._what = _SHAPES[release.format], release, what

    def films(self) -> list[Film]:
        """The films, in the order of the table."""
        films: list[Film] = []
        ids = UniqueIds(str(self.table), "movieId", "movie")
        old = self._release.format is MOVIELENS_100K
        with closing(self._film_rows()) as rows:
            for row, values in rows:
                number = self.number(values, "movieId", self.table, row)
                ids.add(number, row)
                title = plain_text(values["title"])
                if old:
                    genres = tuple(name for name in _GENRES_100K[1:] if values[name].strip() == "1")
                    year = values["release date"].rpartition("-")[2]
                    released = int(year) if year.isascii() and year.isdigit() else None
                    films.append(Film(row, number, _MADE_FOR.sub("", title), genres, released))
                else:
                    genres = tuple(genre.strip() for genre in known_text(values["genres"]).split("|"))
                    films.append(Film(row, number, title, genres))
        if not films:
            raise DataError(str(self.table), "has no films, only a header line")
        return films

    def links(self) -> dict[int, tuple[str | None, int | None]]:
        """IMDb and TMDB identifiers by movie; none where the release has no table of them."""
        linked: dict[int, tuple[str | None, int | None]] = {}
        table = self._release.beside(self._shape.links) if self._shape.links else None
        if table is None:
            return linked
        with closing(self._rows(table, ("movieId", "imdbId", "tmdbId"))) as rows:
            for row, values in rows:
                values["imdbId"] = values["imdbId"].removeprefix("tt")
                linked[self.number(values, "movieId", table, row)] = (
                    f"tt{self.number(values, 'imdbId', table, row):07d}" if known_text(values["imdbId"]) else None,
                    self.number(values, "tmdbId", table, row) if known_text(values["tmdbId"]) else None,
                )
        return linked

    def ratings(self, columns: Sequence[str]) -> Generator[dict[str, np.ndarray], None, None]:
        """These columns of the ratings, as arrays of at most a million rows; ids and times are whole numbers.

        pandas reads the table as it is published. From the first row that it cannot parse, rows are read one by one.
        """
        table = self._release.beside(self._shape.ratings)
        if table is None:
            raise DataError(str(self._release.folder / self._shape.ratings), f"no such file; expected {self._what}")
        done = 0
        for piece in self._fast_pieces(table, columns):
            done += len(piece[columns[0]])
            yield piece
        with closing(self._rows(table, columns if self._headed else list(_TYPES), held=False)) as rows:
            rest = islice(rows, done, None)
            while some := list(islice(rest, _ROWS_AT_ONCE)):
                yield {
                    name: np.array([self._number_of(values, name, table, row) for row, values in some], _TYPES[name])
                    for name in columns
                }

    def tags(self) -> Generator[tuple[int, str], None, None]:
        """The number of a movie and a tag that it was given, each time; none where the release has no tags."""
        table = self._release.beside(self._shape.tags) if self._shape.tags else None
        if table is None:
            return
        columns = ("movieId", "tag") if self._headed else ("userId", "movieId", "tag", "timestamp")
        with closing(self._rows(table, columns, held=False)) as rows:
            for row, values in rows:
                yield self.number(values, "movieId", table, row), values["tag"]

    @property
    def _headed(self) -> bool:
        """Whether the tables have a header."""
        return self._shape.delimiter == ","

    @staticmethod
    def number(values: Mapping[str, str], field: str, table: TablePlace, row: int) -> int:
        """An identifier; pandas writes it as 862.0 where a column has gaps."""
        number = whole_number(values[field].strip(), str(table), row, field)
        if number < 0:
            raise DataError(str(table), f"expected a whole number from 0, got {number}", row=row, field=field)
        return number

    def _film_rows(self) -> Generator[tuple[int, dict[str, str]], None, None]:
        if self._release.format is not MOVIELENS_100K:
            return self._rows(self.table, ("movieId", "title", "genres"))
        how: dict[str, Any] = {"header": _ITEM_100K, "delimiter": "|", "quote": None, "strip": False}
        return read_csv(self.table, self._what, encoding=_encoding(self.table), **how)

    def _rows(
        self, table: TablePlace, columns: Sequence[str], held: bool = True
    ) -> Generator[tuple[int, dict[str, str]], None, None]:
        if self._headed:
            return read_csv(table, "a CSV file of MovieLens", columns, strip=False, held=held)
        return read_csv(
            table,
            f"fields of MovieLens with {self._shape.delimiter!r} between them",
            header=columns,
            delimiter=self._shape.delimiter,
            quote=None,
            encoding=_encoding(table),
            strip=False,
            held=held,
            fit=_joined_text,
        )

    def _fast_pieces(self, table: TablePlace, columns: Sequence[str]) -> Generator[dict[str, np.ndarray], None, None]:
        """Pieces of a table without quotes, up to the first that cannot be read or has a rating out of range."""
        import pandas as pd

        # A first row that is longer than the header or the names would be fitted to them.
        with closing(self._rows(table, columns if self._headed else list(_TYPES), held=False)) as rows:
            next(rows, None)
        with open_table(table) as stream:
            start = stream.peek()
            line = start.removeprefix(codecs.BOM_UTF8).partition(b"\n")[0].decode("utf-8", "replace")
            if b'"' in start or (self._headed and not set(columns) <= set(line.strip().split(","))):
                return
            try:
                # All columns are parsed, since pandas checks the number of fields of a row only then: a rating
                # written as 4,5 must not become a 4.
                with pd.read_csv(
                    io.BufferedReader(_ShortLines(stream)),
                    dtype={name: _TYPES[name] for name in (columns if self._headed else _TYPES)},
                    chunksize=_ROWS_AT_ONCE,
                    low_memory=False,
                    encoding="utf-8-sig",
                    quoting=csv.QUOTE_NONE,
                    **self._without_header(),
                ) as pieces:
                    for piece in pieces:
                        between = [name for name in piece.columns if str(name).startswith(_BETWEEN)]
                        if piece[between].notna().any(axis=None) or not piece["rating"].between(LOWEST, HIGHEST).all():
                            return
                        yield {name: piece[name].to_numpy() for name in columns}
            except (ValueError, OverflowError):
                return

    def _without_header(self) -> dict[str, Any]:
        """How pandas reads a table without a header."""
        if self._headed:
            return {}
        if self._shape.delimiter == "\t":
            return {"names": list(_TYPES), "sep": "\t", "header": None}
        # Two colons are one with an empty column on each side, which the fast parser of pandas can read.
        names = [name for column in _TYPES for name in (column, _BETWEEN + column)][:-1]
        return {"names": names, "sep": ":", "header": None}

    def _number_of(self, values: Mapping[str, str], field: str, table: TablePlace, row: int) -> float:
        if field != "rating":
            return self.number(values, field, table, row)
        text = values[field]
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not LOWEST <= value <= HIGHEST:
            problem = f"expected a rating of {LOWEST:g} to {HIGHEST:g}, got {text!r}"
            raise DataError(str(table), problem, row=row, field=field)
        return value


def _joined_text(row: int, cells: list[str], width: int) -> list[str] | None:
    """A row whose text holds the delimiter: a title is the second of three fields, a tag the third of four."""
    extra, first = len(cells) - width, width - 2
    if extra < 0:
        return None
    return [*cells[:first], "::".join(cells[first : first + extra + 1]), *cells[first + extra + 1 :]]


def _encoding(table: TablePlace) -> str:
    """UTF-8, or ISO 8859-1 where the table is no UTF-8, as in the oldest releases."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_table(table) as stream:
        while piece := stream.read(1 << 16):
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                return "latin-1"
    return "utf-8"


class _ShortLines(io.RawIOBase):
    """A stream that fails at a line without an end, which pandas would load whole."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._stream.readinto(buffer)  # type: ignore[attr-defined]
        if count >= _LONGEST_LINE and b"\n" not in bytes(buffer[:count]):
            raise ValueError("a line is too long")
        return count
