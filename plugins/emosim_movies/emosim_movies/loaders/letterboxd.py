"""Films from a viewer's own Letterboxd export."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from emosim_core import DataError
from emosim_core.loading import checked, open_format, plain_text, read_csv, whole_number
from emosim_core.plugins import Frozen, ItemLoader, LoadedItems, option
from emosim_movies.loaders import formats
from emosim_movies.movie import Movie

_WHAT = "a Letterboxd export: a folder or zip file with watched.csv or ratings.csv, or one of these files"
_REQUIRED = ("Name", "Year", "Letterboxd URI")
_COLUMNS = {"id": "Letterboxd URI", "title": "Name", "year": "Year"}


class LetterboxdOptions(Frozen):
    """Options of :class:`Letterboxd`."""

    path: Path = option(..., f"{_WHAT[0].upper()}{_WHAT[1:]}.")


class Letterboxd(ItemLoader):
    """The films that a viewer has watched or rated (https://letterboxd.com, Settings, Data, Export your data).

    watched.csv has the columns Date, Name, Year and Letterboxd URI; ratings.csv has Rating, too (0.5 to 5), and may
    list films that watched.csv lacks. The viewer's own ratings are no public ratings and are not read: the films have
    title and year alone. The film at https://boxd.it/29qU is ``letterboxd-29qU``.
    """

    def __init__(self, options: LetterboxdOptions) -> None:
        self.options = options

    def load(self) -> LoadedItems:
        movies: dict[str, Movie] = {}
        with open_format(self.options.path, formats.LETTERBOXD, _WHAT) as release:
            tables = [release.table]
            if release.table.name.startswith("watched.") and (rated := release.beside("ratings.csv")) is not None:
                tables.append(rated)
            for table in tables:
                path = str(table)
                with closing(read_csv(table, _WHAT, _REQUIRED)) as rows:
                    for row, cells in rows:
                        place = cells["Letterboxd URI"].rstrip("/").rpartition("/")[2]
                        if not place:
                            raise DataError(path, "is empty", row=row, field="Letterboxd URI")
                        year = cells["Year"]
                        fields = {
                            "id": f"letterboxd-{place}",
                            "title": plain_text(cells["Name"]),
                            "year": whole_number(year, path, row, "Year") if year else None,
                        }
                        movies.setdefault(place, checked(Movie, fields, path, row, _COLUMNS))
        if not movies:
            raise DataError(self.options.path, "has no films")
        return LoadedItems(list(movies.values()), source=f"Letterboxd, {self.options.path}")
