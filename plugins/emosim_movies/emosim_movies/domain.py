"""The domain: films, rated 1 to 10."""

from __future__ import annotations

from emosim_core.loading import read_domain
from emosim_core.plugins import Domain
from emosim_movies.movie import GENRES, Movie


def movies() -> Domain:
    """The domain of films, as the files in ``data`` describe it."""
    return read_domain("emosim_movies", Movie, GENRES)
