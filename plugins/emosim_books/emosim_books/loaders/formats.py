"""The formats in which books are published, by the item loader that reads them, as ``formats.toml`` describes them."""

from __future__ import annotations

from importlib.resources import files

from emosim_core.loading import Format, read_toml

_FILE = "formats.toml"
_BY_LOADER = read_toml(files(__package__) / _FILE, f"{__package__}/{_FILE}", dict[str, dict[str, Format]])

GOODREADS = tuple(_BY_LOADER["goodreads"].values())
KAGGLE_GOODREADS, GOODBOOKS, LIBRARY_EXPORT, UCSD_GOODREADS = GOODREADS
AMAZON = tuple(_BY_LOADER["amazon"].values())
AMAZON_CSV, AMAZON_2023, AMAZON_2018 = AMAZON
