"""Loaders of films from MovieLens, TMDB and Letterboxd."""

from emosim_movies.loaders.letterboxd import Letterboxd, LetterboxdOptions
from emosim_movies.loaders.movielens import MovieLens, MovieLensOptions
from emosim_movies.loaders.tmdb import Tmdb, TmdbOptions

__all__ = ["Letterboxd", "LetterboxdOptions", "MovieLens", "MovieLensOptions", "Tmdb", "TmdbOptions"]
