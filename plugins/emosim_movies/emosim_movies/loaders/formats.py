"""The formats in which films are published, by the item loader that reads them, as ``formats.toml`` describes them."""

from __future__ import annotations

from importlib.resources import files

from emosim_core.loading import Format, read_toml

_FILE = "formats.toml"
_BY_LOADER = read_toml(files(__package__) / _FILE, f"{__package__}/{_FILE}", dict[str, dict[str, Format]])

MOVIELENS = tuple(_BY_LOADER["movielens"].values())
MOVIELENS_CSV, MOVIELENS_DAT, MOVIELENS_100K = MOVIELENS
TMDB = tuple(_BY_LOADER["tmdb"].values())
TMDB_JSON, MOVIES_DATASET, TMDB_5000 = TMDB
LETTERBOXD = tuple(_BY_LOADER["letterboxd"].values())
