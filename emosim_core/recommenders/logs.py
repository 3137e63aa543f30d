"""Logs: interactions that were logged before, read for recommenders to learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from emosim_core.data.cells import known_text, number
from emosim_core.data.parquet_rows import parquet_rows
from emosim_core.data.places import existing_file
from emosim_core.data.tables import read_csv
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model import Catalog
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.frozen import Frozen
from emosim_core.model.user import TRAITS
from emosim_core.runs.records import INTERACTIONS, read_records

COLUMNS = ("episode", "step", "user", "item", "rating")
"""The columns that a file of interactions must have."""

INSTALL_DATA = 'pip install "emosim-core[data]"'
INSTALL_TRAIN = 'pip install "emosim-core[train]"'

HOW_TO_MAKE = "emosim run --plugin movies --policy random --user-split train --episodes 1000 --out runs/logs"
"""A command that makes logs, for messages."""

_WHAT = "the directory of a run, or a .parquet or .csv file of interactions"

_NEEDED = "a log has the columns episode, step, user, item (its id in the catalog) and rating (on the catalog's scale)"
"""What is said of a file of ratings that is published in another form."""

_UNKNOWN_TRAIT = 2


ONE_OR_SEVERAL = BeforeValidator(lambda value: ((value,) if value.strip() else ()) if isinstance(value, str) else value)
"""Takes a text as a tuple of one, for an option that is one path or a list."""


class LogOptions(Frozen):
    """Options of everything that learns from logs."""

    logs: Annotated[tuple[str, ...], Field(min_length=1), ONE_OR_SEVERAL] = Field(
        description="Logged interactions to learn from: directories of runs, .parquet or .csv files; one as text, "
        f"several as a list in a TOML file. A run makes them: {HOW_TO_MAKE}"
    )


@dataclass(frozen=True)
class Interactions:
    """Rated interactions, sorted by episode and step. n interactions, V users in the logs, U in the population.

    Attributes:
        users, items: index of the logged user, 0 to V - 1, and of the item in the catalog, shape ``(n,)``.
        ratings: the ratings, on the catalog's scale, shape ``(n,)``.
        episodes: number of the episode, from 0 over all logs, shape ``(n,)``.
        user_ids: id of each logged user; V of them, sorted.
        traits: traits of each logged user, 1 to 3; the middle where the logs do not tell; shape ``(V, 3)``.
        user_numbers: the logged user with the id of each user of the population, -1 for none; shape ``(U,)``.
    """

    users: Ints
    items: Ints
    ratings: Floats
    episodes: Ints
    user_ids: tuple[str, ...]
    traits: NDArray[np.int64]
    user_numbers: Ints

    def __len__(self) -> int:
        return len(self.ratings)

    def pairs(self) -> tuple[Ints, Ints, Floats]:
        """Each pair of user and item once, sorted by user and item: users, items, mean ratings."""
        width = int(self.items.max()) + 1
        keys, inverse = np.unique(self.users * width + self.items, return_inverse=True)
        means = np.bincount(inverse, self.ratings) / np.bincount(inverse)
        return keys // width, keys % width, means


class _Entry(NamedTuple):
    """One rated interaction as it stands in a log; ``row`` is where."""

    episode: int
    step: int
    user: str
    item: str
    rating: float
    row: int


def read_logs(paths: Sequence[str], catalog: Catalog, users: Sequence[str]) -> Interactions:
    """Read logged interactions; only items that were consumed and rated count.

    Args:
        paths: directories of runs, and .parquet or .csv files with the columns ``episode``, ``step``, ``user``,
            ``item`` and ``rating`` (others are ignored; a row without a rating is left out).
        catalog: the items.
        users: ids of the users of the population; may be empty.

    Raises:
        ConfigurationError: nothing in the logs was rated.
        DataError: there is no such file, it is malformed, an item is not in the catalog, or a rating is not of its
            scale.
        MissingDependencyError: a .parquet file, and pyarrow is not installed.
        RunError: a directory holds no run, or a damaged one.
    """
    codes: dict[str, int] = {}
    traits: dict[str, list[int]] = {}
    columns: list[tuple[int, int, int, int, int, float]] = []
    for source, path in enumerate(paths):
        for entry in _entries(Path(path).expanduser(), path, traits):
            item = catalog.index.get(entry.item)
            if item is None:
                hint = "give the logs of a run with the same items (--plugin, --items)"
                problem = f"the catalog has no item {entry.item!r}; {hint}"
                raise DataError(path, problem, row=entry.row, field="item")
            if not catalog.scale.contains(entry.rating):
                problem = f"{entry.rating:g} is no rating of the scale {catalog.scale}; give logs of this domain"
                raise DataError(path, problem, row=entry.row, field="rating")
            user = codes.setdefault(entry.user, len(codes))
            columns.append((source, entry.episode, entry.step, user, item, entry.rating))
    if not columns:
        raise ConfigurationError(
            f"there is no rated interaction in {', '.join(paths)} to learn from. Make logs with: {HOW_TO_MAKE}"
        )
    table = np.array(columns)
    table = table[np.lexsort((table[:, 2], table[:, 1], table[:, 0]))]
    episodes = np.unique(table[:, :2], axis=0, return_inverse=True)[1]
    ids = sorted(codes)
    index = {name: i for i, name in enumerate(ids)}
    place = np.array([index[name] for name in codes], dtype=np.intp)
    return Interactions(
        users=place[table[:, 3].astype(np.intp)],
        items=table[:, 4].astype(np.intp),
        ratings=table[:, 5],
        episodes=episodes.reshape(-1).astype(np.intp),
        user_ids=tuple(ids),
        traits=np.array([traits.get(name, [_UNKNOWN_TRAIT] * len(TRAITS)) for name in ids], dtype=np.int64),
        user_numbers=np.array([index.get(name, -1) for name in users], dtype=np.intp),
    )


def _entries(place: Path, path: str, traits: dict[str, list[int]]) -> Iterator[_Entry]:
    if place.is_dir():
        yield from _of_run(place, traits)
        return
    if not place.exists():
        raise DataError(path, f"no such file or directory; expected {_WHAT}. A run makes one: {HOW_TO_MAKE}")
    if place.name == INTERACTIONS:
        raise DataError(path, "is a file of a run; name the directory that it lies in")
    suffixes = [suffix.lower() for suffix in place.suffixes[-2:]]
    if suffixes[-1:] == [".parquet"]:
        rows: Iterator[tuple[int, dict[str, Any]]] = parquet_rows(
            existing_file(place, _WHAT), path, partial(_columns_of, path=path)
        )
    elif ".csv" in suffixes or ".tsv" in suffixes:
        rows = read_csv(path, "a CSV file of interactions", required=COLUMNS, held=False)
    else:
        raise DataError(path, f"is neither a directory nor a .parquet or .csv file; expected {_WHAT}; {_NEEDED}")
    try:
        with closing(rows):  # type: ignore[type-var]
            for row, values in rows:
                if (entry := _of_row(values, path, row)) is not None:
                    yield entry
    except DataError as error:
        if error.field in COLUMNS and "the column is missing" in str(error):
            raise DataError(path, f"the column is missing; {_NEEDED}", row=error.row, field=error.field) from error
        raise


def _of_run(directory: Path, traits: dict[str, list[int]]) -> Iterator[_Entry]:
    for row, record in enumerate(read_records(directory), start=1):
        if profile := record.get("user_profile"):
            traits[profile["id"]] = [profile.get(trait, _UNKNOWN_TRAIT) for trait in TRAITS]
        for item in record["recommended"]:
            if item["consumed"]:
                who = record["episode"], record["step"], record["user"]
                yield _Entry(*who, item["item"], float(item["rating"]), row)


def _of_row(values: dict[str, Any], path: str, row: int) -> _Entry | None:
    """One row of a file; None without a rating."""
    rating = values["rating"]
    if rating is None or rating != rating or known_text(str(rating)) == "":
        return None
    numbers = {name: number(str(values[name]), path, row, name) for name in ("episode", "step", "rating")}
    for name in ("user", "item"):
        if values[name] in (None, ""):
            raise DataError(path, "is empty", row=row, field=name)
    episode, step = int(numbers["episode"]), int(numbers["step"])
    return _Entry(episode, step, str(values["user"]), str(values["item"]), numbers["rating"], row)


def _columns_of(names: list[str], path: str) -> Sequence[str]:
    """The columns that are read, all of which a Parquet file must have."""
    for name in COLUMNS:
        if name not in names:
            raise DataError(path, f"the column is missing; the file has: {', '.join(names)}", field=name)
    return COLUMNS
