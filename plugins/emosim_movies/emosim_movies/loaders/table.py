"""Films from a CSV file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from emosim_core.loading import CsvItems, CsvItemsOptions
from emosim_movies.movie import Movie

COLUMNS = {"categories": "genres", "public_count": "votes", "description": "overview"}
"""Column of each field of :class:`Movie` that a file calls otherwise."""


class CsvMoviesOptions(CsvItemsOptions):
    """Options of :class:`CsvMovies`."""

    path: Path = Field(
        description="A CSV file with the columns id, title and any of year, genres, director, cast, runtime, "
        "language, collection, part, public_rating (1 to 10), votes, overview, imdb_id, tmdb_id; lists are separated "
        "by '|'."
    )


class CsvMovies(CsvItems):
    """Films from a CSV file, with embeddings from a ``.npy`` file beside it if there is one."""

    item_type = Movie
    columns = COLUMNS
    items_word = "films"
