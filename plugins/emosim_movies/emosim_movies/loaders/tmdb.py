"""Films of TMDB: the JSON format of the SUBER environment, and the tables of Kaggle."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from emosim_core import DataError
from emosim_core.loading import (
    RecordEmbeddings,
    RecordEmbeddingsOptions,
    TablePlace,
    UniqueIds,
    checked,
    is_number,
    known_rating,
    known_text,
    open_format,
    plain_text,
    read_json_entries,
)
from emosim_core.plugins import ItemLoader, LoadedItems
from emosim_movies.loaders import formats, tmdb_tables
from emosim_movies.movie import Movie

_GENRES = {"music": "musical"}
_NO_LANGUAGE = "xx"
_WHAT_ANY = "TMDB 5000 or The Movies Dataset of Kaggle, or a JSON object of films by their TMDB id"
_WHAT = "a JSON object of films by their TMDB id"
_DATE = re.compile(r"(\d{4})(?:-\d\d-\d\d(?:[T ][\d:.]+Z?)?)?")


class TmdbOptions(RecordEmbeddingsOptions):
    """Options of :class:`Tmdb`."""

    path: Path = Field(
        description="The tables of TMDB 5000 or of The Movies Dataset of Kaggle: a folder, a zip file or the table of "
        "films in it; or a JSON file: an object that maps each TMDB id to a film, or a list of films, with TMDB's "
        "field names and perhaps overview_embedding."
    )
    cast: int = Field(default=10, ge=0, description="Number of leading cast members, where tables list the cast.")


def _as_number(value: object) -> object:
    """A number that is written as a text; a text that says that nothing is known is None."""
    if not isinstance(value, str):
        return value
    value = known_text(value.strip())
    return float(value) if is_number(value) else value or None


def _as_whole(value: object) -> object:
    """A whole number, as it is written where a column of pandas has gaps, or as a text."""
    value = _as_number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_list(value: object) -> object:
    """A list without gaps; null is an empty one."""
    return [entry for entry in value if entry not in (None, "")] if isinstance(value, list) else value or []


class _Named(BaseModel):
    """A name, bare or of an object."""

    model_config = ConfigDict(strict=True)

    name: str = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


_Whole = Annotated[int | None, BeforeValidator(_as_whole)]
_Number = Annotated[float | None, BeforeValidator(_as_number)]
_Names = Annotated[list[_Named], BeforeValidator(_as_list)]


class _Record(BaseModel):
    """What is read of a film; all else in it is left out."""

    model_config = ConfigDict(strict=True)

    id: _Whole = None
    title: str = Field(min_length=1)
    overview: str | None = None
    genres: _Names = []
    actors: _Names = []
    # One or several.
    director: Annotated[
        list[_Named],
        BeforeValidator(lambda value: _as_list([value] if value and not isinstance(value, list) else value)),
    ] = []
    runtime: _Whole = Field(default=None, ge=0)
    original_language: str | None = None
    release_date: str | None = None
    vote_average: _Number = Field(default=None, ge=0, le=10, allow_inf_nan=False)
    vote_count: _Whole = Field(default=None, ge=0)
    imdb_id: str | None = None
    belongs_to_collection: _Named | None = None
    overview_embedding: list[float] | None = Field(default=None, min_length=1)


class Tmdb(ItemLoader):
    """Films of TMDB, from any of the data sets in which they are published; the format is recognized by the files.

    The JSON format is that of SUBER (Corecco et al., 2024, arXiv:2406.01631);
    :mod:`~emosim_movies.loaders.tmdb_tables` says what the tables of Kaggle hold. A rating of 0 without votes is
    unknown; other ratings below 1 become 1. Genre names are in lower case, and "Music" is "musical". The identifier of
    film 862 is ``tmdb-862``.
    """

    def __init__(self, options: TmdbOptions) -> None:
        self.options = options

    def load(self) -> LoadedItems:
        """Read the films. A film without an embedding among others has a row of NaN."""
        with open_format(self.options.path, formats.TMDB, _WHAT_ANY) as release:
            if release.format is formats.TMDB_JSON:
                return self._of_json(release.table)
            path = str(release.table)
            notes: list[str] = []
            movies = [
                _movie(checked(_Record, values, path, row), number, path, row)
                for row, number, values in tmdb_tables.records(release, self.options.cast, notes)
            ]
        if not movies:
            raise DataError(path, "has no films, only a header line")
        return LoadedItems(movies, source=f"{release.format.name}, {self.options.path}", notes=notes)

    def _of_json(self, table: TablePlace) -> LoadedItems:
        path = str(table)
        movies: list[Movie] = []
        ids = UniqueIds(path, "id", "film")
        embeddings = RecordEmbeddings(path, "overview_embedding", "films", self.options)
        with closing(read_json_entries(table, _WHAT)) as entries:
            for key, values in entries:
                if isinstance(key, str) and not (key.isascii() and key.isdigit()):
                    raise DataError(path, f"the key {key!r} is no TMDB id; expected {_WHAT}", row=key)
                if not isinstance(values, dict):
                    problem = f"expected an object with the film's fields, got {type(values).__name__}"
                    raise DataError(path, problem, row=key)
                record = checked(_Record, values, path, key)
                number = record.id if isinstance(key, int) else int(key)
                if number is None:
                    raise DataError(path, "the film has no TMDB id", row=key, field="id")
                if record.id not in (None, number):
                    raise DataError(path, f"the id is {record.id}; the film's key is {key}", row=key, field="id")
                ids.add(number, key)
                movies.append(_movie(record, number, path, key))
                embeddings.add(record.overview_embedding, key)
        if not movies:
            raise DataError(path, f"has no films; expected {_WHAT}")
        return LoadedItems(movies, *embeddings.stacked(), path)


def _movie(record: _Record, number: int, path: str, row: str | int) -> Movie:
    date = _DATE.fullmatch(record.release_date or "")
    if date is None and known_text(record.release_date or ""):
        problem = f"expected a date like 1995-10-30, got {record.release_date!r}"
        raise DataError(path, problem, row=row, field="release_date")
    rating = known_rating(record.vote_average, record.vote_count)
    genres = [plain_text(genre.name).lower() for genre in record.genres]
    language = record.original_language or None
    collection = record.belongs_to_collection
    fields = {
        "id": f"tmdb-{number}",
        "title": plain_text(record.title),
        "year": int(date[1]) if date else None,
        "categories": [_GENRES.get(genre, genre) for genre in genres],
        "description": plain_text(record.overview or ""),
        "director": [plain_text(director.name) for director in record.director],
        "cast": [plain_text(actor.name) for actor in record.actors],
        "runtime": record.runtime or None,
        "language": None if language == _NO_LANGUAGE else language,
        "collection": plain_text(collection.name) if collection else None,
        "public_rating": None if rating is None else max(rating, 1.0),
        "public_count": record.vote_count,
        "imdb_id": record.imdb_id or None,
        "tmdb_id": number,
    }
    return checked(Movie, fields, path, row, _COLUMNS)


_COLUMNS = {
    "year": "release_date",
    "categories": "genres",
    "description": "overview",
    "cast": "actors",
    "language": "original_language",
    "collection": "belongs_to_collection",
    "public_rating": "vote_average",
    "public_count": "vote_count",
    "tmdb_id": "id",
}
