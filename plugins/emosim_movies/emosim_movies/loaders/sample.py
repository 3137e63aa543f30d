"""The films that are bundled with the plugin."""

from __future__ import annotations

from emosim_core.loading import BundledItems
from emosim_movies.loaders.table import COLUMNS
from emosim_movies.movie import Movie


class Sample(BundledItems):
    """The bundled films with their embeddings; needs no file and no network."""

    plugin = "movies"
    item_type = Movie
    columns = COLUMNS
    items_word = "films"
