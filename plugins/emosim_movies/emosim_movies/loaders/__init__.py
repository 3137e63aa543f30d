"""Where films come from: the bundled catalogue, CSV, MovieLens, TMDB and Letterboxd."""

from emosim_movies.loaders.letterboxd import Letterboxd, LetterboxdOptions
from emosim_movies.loaders.movielens import MovieLens, MovieLensOptions
from emosim_movies.loaders.sample import Sample
from emosim_movies.loaders.table import CsvMovies, CsvMoviesOptions
from emosim_movies.loaders.tmdb import Tmdb, TmdbOptions

__all__ = [
    "CsvMovies",
    "CsvMoviesOptions",
    "Letterboxd",
    "LetterboxdOptions",
    "MovieLens",
    "MovieLensOptions",
    "Sample",
    "Tmdb",
    "TmdbOptions",
]
