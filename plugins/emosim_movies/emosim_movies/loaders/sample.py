"""The films that are bundled with the plugin."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from emosim_core import (
    DataError,
    EmbeddingOptions,
    LoadedItems,
    Loader,
    build_bundled_embeddings,
    load_bundled_embeddings,
)
from emosim_movies.loaders.table import read_movies
from emosim_movies.movie import Movie

REBUILD = "emosim embed --plugin movies"
"""The command that makes the bundled embeddings anew."""


class Sample(Loader):
    """The bundled films with their embeddings; needs no file and no network."""

    def __init__(self) -> None:
        self._folder = files("emosim_movies") / "data"

    def load(self) -> LoadedItems:
        """Read the films.

        Raises:
            DataError: the bundled files are missing, or the embeddings belong to other texts.
        """
        movies = self.movies()
        vectors, name = load_bundled_embeddings(self._folder / "sample.npz", movies, REBUILD)
        return LoadedItems(movies, vectors, name, "the films bundled with emosim-movies")

    def movies(self) -> list[Movie]:
        """The films without their embeddings.

        Raises:
            DataError: the bundled file is missing or malformed.
        """
        table = self._folder / "sample.csv"
        if not table.is_file():
            raise DataError(
                "emosim_movies/data/sample.csv",
                "the bundled films are missing; install them anew: pip install --force-reinstall emosim-movies",
            )
        with as_file(table) as path:
            return read_movies(path)

    def rebuild_embeddings(self, options: EmbeddingOptions | None = None) -> Path:
        """Make the bundled embeddings anew, after a change of the texts.

        Args:
            options: how to embed; a sentence model by default.

        Returns:
            The file that was written.

        Raises:
            ConfigurationError: the sentence model cannot be loaded.
            MissingDependencyError: sentence-transformers is not installed.
            DataError: the files cannot be read or written.
        """
        movies = self.movies()
        with as_file(self._folder / "sample.csv") as table:
            target = table.with_name("sample.npz")
        build_bundled_embeddings(movies, target, options)
        return target
