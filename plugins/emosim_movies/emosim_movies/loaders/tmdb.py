"""Films from TMDB, in the JSON format of the SUBER environment."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from emosim_core import (
    DataError,
    LoadedItems,
    Loader,
    RecordEmbeddings,
    RecordEmbeddingsOptions,
    UniqueIds,
    checked,
    existing_file,
    known_rating,
)
from emosim_movies.movie import Movie

_GENRES = {"music": "musical"}
_NO_LANGUAGE = "xx"
_WHAT = "a JSON object of films by their TMDB id"
_DATE = re.compile(r"(\d{4})-\d\d-\d\d")


class TmdbOptions(RecordEmbeddingsOptions):
    """Options of :class:`Tmdb`."""

    path: Path = Field(
        description="A JSON file: an object that maps each TMDB id to a film with TMDB's field names and perhaps "
        "overview_embedding."
    )


class _Named(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str = Field(min_length=1)


class _Record(BaseModel):
    """What is read of a film; all else in it is left out."""

    model_config = ConfigDict(strict=True)

    id: int | None = None
    title: str = Field(min_length=1)
    overview: str | None = None
    genres: list[_Named] = []
    actors: list[_Named] = []
    director: str | _Named | list[str | _Named] | None = None
    runtime: int | None = Field(default=None, ge=0)
    original_language: str | None = None
    release_date: str | None = None
    vote_average: float | None = Field(default=None, ge=0, le=10, allow_inf_nan=False)
    vote_count: int | None = Field(default=None, ge=0)
    imdb_id: str | None = None
    belongs_to_collection: _Named | None = None
    overview_embedding: list[float] | None = Field(default=None, min_length=1)


class Tmdb(Loader):
    """Films from TMDB, in the JSON format of SUBER (Corecco et al., 2024, arXiv:2406.01631).

    A rating of 0 without votes is unknown; other ratings below 1 become 1. Genre names are in lower
    case, and "Music" is "musical". The identifier of film 862 is ``tmdb-862``.
    """

    def __init__(self, options: TmdbOptions) -> None:
        self.options = options

    def load(self) -> LoadedItems:
        """Read the films. A film without an embedding among others has a row of NaN.

        Raises:
            DataError: the file is missing or malformed; names file, film and field.
        """
        path = self.options.path
        movies: list[Movie] = []
        ids = UniqueIds(path, "id", "film")
        embeddings = RecordEmbeddings(path, "overview_embedding", "films", self.options)
        for key, values in _read_object(path).items():
            if not key.isascii() or not key.isdigit():
                raise DataError(path, f"the key {key!r} is no TMDB id; expected {_WHAT}", row=key)
            if not isinstance(values, dict):
                raise DataError(
                    path, f"expected an object with the film's fields, got {type(values).__name__}", row=key
                )
            record = checked(_Record, values, path, key)
            if record.id is not None and record.id != int(key):
                raise DataError(path, f"the id is {record.id}; the film's key is {key}", row=key, field="id")
            ids.add(int(key), key)
            movies.append(_movie(record, int(key), path))
            embeddings.add(record.overview_embedding, key)
        if not movies:
            raise DataError(path, f"has no films; expected {_WHAT}")
        return LoadedItems(movies, *embeddings.stacked(), str(path))


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds; a key that stands twice is refused, not overwritten."""
    found = existing_file(path, _WHAT)
    try:
        content = json.loads(
            found.read_bytes().decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_refused_constant
        )
    except UnicodeDecodeError as error:
        raise DataError(path, f"is not UTF-8 text ({error.reason}); expected {_WHAT}") from error
    except json.JSONDecodeError as error:
        raise DataError(
            path, f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}; expected {_WHAT}"
        ) from error
    except RecursionError as error:
        raise DataError(path, f"is nested too deeply; expected {_WHAT}") from error
    except _RefusedError as error:
        raise DataError(path, f"{error}; expected {_WHAT}") from error
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror or error}") from error
    if not isinstance(content, dict):
        raise DataError(path, f"holds a {type(content).__name__}; expected {_WHAT}")
    return content


class _RefusedError(Exception):
    """The text is JSON to Python and not to us."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise _RefusedError(f"the key {key!r} stands twice in one object")
        made[key] = value
    return made


def _refused_constant(name: str) -> None:
    raise _RefusedError(f"is not JSON: it holds {name}")


def _movie(record: _Record, number: int, path: Path) -> Movie:
    year = None
    if record.release_date:
        date = _DATE.fullmatch(record.release_date)
        if date is None:
            raise DataError(
                path,
                f"expected a date like 1995-10-30, got {record.release_date!r}",
                row=str(number),
                field="release_date",
            )
        year = int(date[1])
    rating = known_rating(record.vote_average, record.vote_count)
    genres = [genre.name.lower() for genre in record.genres]
    language = record.original_language or None
    directors = record.director if isinstance(record.director, list) else [record.director]
    fields = {
        "id": f"tmdb-{number}",
        "title": record.title,
        "year": year,
        "categories": [_GENRES.get(genre, genre) for genre in genres],
        "description": record.overview or "",
        "director": [d if isinstance(d, str) else d.name for d in directors if d],
        "cast": [actor.name for actor in record.actors],
        "runtime": record.runtime or None,
        "language": None if language == _NO_LANGUAGE else language,
        "collection": record.belongs_to_collection.name if record.belongs_to_collection else None,
        "public_rating": None if rating is None else max(rating, 1.0),
        "public_count": record.vote_count,
        "imdb_id": record.imdb_id or None,
        "tmdb_id": number,
    }
    return checked(Movie, fields, path, str(number), _COLUMNS)


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
