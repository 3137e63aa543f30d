"""Retrieval by what films have in common: cast, genres, public rating and director."""

from __future__ import annotations

from emosim_core.plugins import AttributeRetrieval
from emosim_movies.movie import Movie


class SimpleRetrieval(AttributeRetrieval):
    """The past films most like the given one: mean of four (SUBER, Corecco et al., 2024, arXiv:2406.01631)."""

    item_type = Movie
    overlaps = ("cast", "categories")
    shared = ("director",)
    rating_range = 10.0
