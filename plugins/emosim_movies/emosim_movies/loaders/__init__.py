"""Where films come from: the bundled catalogue, CSV, MovieLens and TMDB."""

from emosim_movies.loaders.movielens import MovieLens, MovieLensOptions
from emosim_movies.loaders.sample import Sample
from emosim_movies.loaders.table import CsvMovies, CsvMoviesOptions
from emosim_movies.loaders.tmdb import Tmdb, TmdbOptions

__all__ = [
    "CsvMovies",
    "CsvMoviesOptions",
    "MovieLens",
    "MovieLensOptions",
    "Sample",
    "Tmdb",
    "TmdbOptions",
]
