"""Films from a CSV file."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from emosim_core import DataError, LoadedItems, Loader, checked, load_array, read_csv
from emosim_movies.movie import Movie

COLUMNS = {
    "id": "id",
    "title": "title",
    "year": "year",
    "categories": "genres",
    "director": "director",
    "cast": "cast",
    "runtime": "runtime",
    "language": "language",
    "collection": "collection",
    "part": "part",
    "public_rating": "public_rating",
    "public_count": "votes",
    "description": "overview",
}
"""Column of each field of :class:`Movie`; only ``id`` and ``title`` must be there."""

_LISTS = frozenset({"genres", "director", "cast"})
_FIELDS = {column: field for field, column in COLUMNS.items()}


class CsvMoviesOptions(BaseModel):
    """Options of :class:`CsvMovies`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(
        description="A CSV file with the columns id, title and any of year, genres, director, cast, runtime, "
        "language, collection, part, public_rating (1 to 10), votes, overview; lists are separated by '|'."
    )
    embeddings: Path | None = Field(
        None, description="A .npy file with one embedding per film, in the order of the rows."
    )
    embedding_name: str = Field("", description="What made the embeddings; the name of their file where empty.")


class CsvMovies(Loader):
    """Films from a CSV file, with embeddings from a ``.npy`` file beside it if there is one."""

    def __init__(self, options: CsvMoviesOptions) -> None:
        self.options = options

    def load(self) -> LoadedItems:
        """Read the films.

        Raises:
            DataError: a file is missing or malformed; names file, row and column.
        """
        movies = read_movies(self.options.path)
        where = self.options.embeddings
        if where is None:
            return LoadedItems(movies, source=str(self.options.path))
        vectors = load_array(where, len(movies))
        return LoadedItems(movies, vectors, self.options.embedding_name or where.stem, str(self.options.path))


def read_movies(path: str | os.PathLike[str]) -> list[Movie]:
    """The films of a CSV file, see :data:`COLUMNS`.

    Raises:
        DataError: the file is missing, has no film or an unknown column, or a value is wrong.
    """
    movies: list[Movie] = []
    rows: dict[str, int] = {}
    for row, values in read_csv(path, "a CSV file of films", required=("id", "title")):
        if not movies:
            _check_columns(path, values)
        fields = {
            _FIELDS[column]: value.split("|") if column in _LISTS else value
            for column, value in values.items()
            if value
        }
        movie = checked(Movie, fields, path, row, COLUMNS)
        first = rows.setdefault(movie.id, row)
        if first != row:
            raise DataError(path, f"the id {movie.id!r} is that of row {first} already", row=row, field="id")
        movies.append(movie)
    if not movies:
        raise DataError(path, "has no films, only a header line")
    return movies


def _check_columns(path: str | os.PathLike[str], values: dict[str, str]) -> None:
    for column in values:
        if column not in _FIELDS:
            near = difflib.get_close_matches(column.lower(), _FIELDS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(path, f"unknown column; {hint}Known: {', '.join(_FIELDS)}", row=1, field=column)
