"""Films of TMDB from the tables of Kaggle: TMDB 5000 and The Movies Dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from emosim_core import DataError
from emosim_core.loading import (
    Release,
    UniqueIds,
    counted_notes,
    known_text,
    list_of_objects,
    number,
    read_csv,
    shortened,
    whole_number,
)

_WHAT = "films of TMDB in CSV"
_WHAT_CREDITS = "credits of TMDB films in CSV"
_REQUIRED = ("id", "title")
_NO_OVERVIEW = ("no overview found.", "no overview", "no movie overview available.")


def records(release: Release, most_cast: int, notes: list[str]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Each film's row, its TMDB id and its fields under the names of TMDB.

    TMDB 5000 (https://www.kaggle.com/datasets/tmdb/tmdb-movie-metadata) has tmdb_5000_movies.csv and, beside it,
    tmdb_5000_credits.csv (movie_id, title, cast, crew); cells hold JSON. The Movies Dataset (Banik, 2017,
    https://www.kaggle.com/datasets/rounakbanik/the-movies-dataset) has movies_metadata.csv and credits.csv (cast, crew,
    id); cells hold Python literals, which are parsed and never run. In three of its rows the overview is broken over
    two lines; they are put together. Some films stand there twice; the first row counts. Directors are those whose job
    in the crew is Director.
    """
    path = str(release.table)
    credits = _credits(release, most_cast)
    if credits is None:
        notes.append(f"there is no file of credits beside {path}: the films have no cast and no directors.")
    halves = _Halves(path)
    ids = UniqueIds(path, "id", "film")
    seen: set[int] = set()
    again = untitled = 0
    with closing(read_csv(release.table, _WHAT, _REQUIRED, fit=halves.fit)) as rows:
        for row, cells in rows:
            halves.check()
            film = whole_number(cells["id"], path, row, "id")
            if film in seen:
                again += 1
                continue
            seen.add(film)
            ids.add(film, row)
            if not cells["title"]:
                untitled += 1
                continue
            cast, directors = (credits or {}).get(film, ([], []))
            yield row, film, {**_fields(cells, path, row), "actors": cast, "director": directors}
    halves.check()
    counts = {
        "put rows together that a line end had broken in two": halves.joined,
        "left out rows about a film that stands there already": again,
        "left out films without a title": untitled,
    }
    notes += counted_notes(path, counts)


class _Halves:
    """Puts rows together that a line end within a field without quotes has broken in two.

    Attributes:
        joined: how many were put together.
    """

    def __init__(self, path: str) -> None:
        self.joined = 0
        self._path, self._row, self._first, self._width = path, 0, [""], 0

    def fit(self, row: int, cells: list[str], width: int) -> list[str] | None:
        """A whole row, where ``cells`` are the second half of one; none, where they may be the first half."""
        first = self._first
        if self._row and len(first) + len(cells) == width + 1:
            self.joined += 1
            self._row = 0
            return [*first[:-1], f"{first[-1]} {cells[0]}".strip(), *cells[1:]]
        self.check()
        if len(cells) > width:
            return None
        self._row, self._first, self._width = row, cells, width
        return []

    def check(self) -> None:
        """Check that no first half lacks its second."""
        if self._row:
            raise DataError(self._path, f"has {len(self._first)} fields; the header has {self._width}", row=self._row)


def _credits(release: Release, most_cast: int) -> dict[int, tuple[list[dict[str, str]], list[dict[str, str]]]] | None:
    """Leading cast and directors by film; None where the data set has no file of them."""
    table = release.beside("tmdb_5000_credits.csv", "credits.csv", "*credits*.csv")
    if table is None:
        return None
    path = str(table)
    users: dict[int, tuple[list[dict[str, str]], list[dict[str, str]]]] = {}
    with closing(read_csv(table, _WHAT_CREDITS, ("cast", "crew"), columns=("id", "movie_id"))) as rows:
        for row, cells in rows:
            field = "movie_id" if "movie_id" in cells else "id"
            if field not in cells:
                raise DataError(path, f"the column is missing; the header has: {', '.join(cells)}", row=1, field="id")
            film = whole_number(cells[field], path, row, field)
            if film in users:
                continue
            cast = list_of_objects(known_text(cells["cast"]), path, row, "cast")
            cast.sort(key=lambda one: order if isinstance(order := one.get("order"), int) else len(cast))
            # Most of a crew directs nothing, and reading it takes time.
            crew = list_of_objects(cells["crew"], path, row, "crew") if "Director" in cells["crew"] else []
            users[film] = (
                [_name(one, path, row, "cast") for one in cast[:most_cast]],
                [_name(one, path, row, "crew") for one in crew if one.get("job") == "Director"],
            )
    return users


def _name(value: Mapping[str, Any], path: str, row: int, field: str) -> dict[str, str]:
    name = value.get("name")
    if not isinstance(name, str) or not name:
        raise DataError(path, f"expected objects with a name, got {shortened(value)}", row=row, field=field)
    return {"name": name}


def _fields(cells: Mapping[str, str], path: str, row: int) -> dict[str, Any]:
    """The columns of one film as TMDB's own values; cells that are empty or say that nothing is known are left out."""
    fields: dict[str, Any] = {"title": cells["title"]}
    cells = {name: known_text(text) for name, text in cells.items()}
    for name in ("overview", "original_language", "release_date", "imdb_id"):
        if cells.get(name):
            fields[name] = cells[name]
    if fields.get("overview", "").lower() in _NO_OVERVIEW:
        del fields["overview"]
    if not fields.get("imdb_id", "tt").startswith("tt"):
        del fields["imdb_id"]
    if cells.get("genres"):
        genres = list_of_objects(cells["genres"], path, row, "genres")
        fields["genres"] = [_name(one, path, row, "genres") for one in genres]
    if cells.get("belongs_to_collection"):
        (collection,) = list_of_objects(f"[{cells['belongs_to_collection']}]", path, row, "belongs_to_collection")
        fields["belongs_to_collection"] = _name(collection, path, row, "belongs_to_collection")
    if cells.get("vote_average"):
        fields["vote_average"] = number(cells["vote_average"], path, row, "vote_average")
    for name in ("runtime", "vote_count"):
        if cells.get(name):
            fields[name] = whole_number(cells[name], path, row, name)
    return fields
