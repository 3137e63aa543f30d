"""Published data sets: a folder or zip file with tables in it, and the rows of these tables."""

from __future__ import annotations

import zipfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emosim_core.data.places import TablePlace, opened_zip
from emosim_core.data.tables import read_csv
from emosim_core.errors import DataError


@contextmanager
def open_release(
    path: Path, name: str, what: str, older: Sequence[str] = (), alone: bool = False
) -> Iterator[tuple[TablePlace, TablePlace]]:
    """Find the table that a data set is known by, and the folder that others may be in.

    It is looked for at the top of a folder or zip file, then in the folders there, of which one only may have it.

    Args:
        path: a folder, a zip file or, with ``alone``, the table itself, whatever it is called.
        name: what the table is called.
        what: what is expected at ``path``, for messages.
        older: files of releases in another format, for the message where there is no such table.
        alone: whether ``path`` may be the table itself.

    Yields:
        The folder and the table in it.

    Raises:
        DataError: there is nothing at ``path``, no such table, or more than one.
    """
    place = path.expanduser()
    if place.is_dir():
        folder = _only_folder(place, path, name, what, older)
        yield folder, table_in(folder, name)
    elif not place.is_file():
        raise DataError(path, f"no such file or folder; expected {what}")
    elif alone and place.suffix.lower() != ".zip" and not zipfile.is_zipfile(place):
        yield place.parent, place
    else:
        with opened_zip(place, path, what) as archive:
            inside = _only_folder(zipfile.Path(archive), path, name, what, older)
            yield inside, table_in(inside, name)


def table_in(folder: TablePlace, name: str) -> TablePlace:
    """A table in a folder; where only ``NAME.gz`` is there, that."""
    table, packed = folder / name, folder / f"{name}.gz"
    return packed if packed.is_file() and not table.is_file() else table


def read_table(
    table: TablePlace, what: str, required: Sequence[str] = (), strip: bool = True, **form: Any
) -> Generator[tuple[int, dict[str, str]], None, None]:
    """The rows of a table of a data set, see :func:`emosim_core.data.tables.read_csv`."""
    return read_csv(table, what, required, strip=strip, **form)


def _only_folder(place: TablePlace, path: Path, name: str, what: str, older: Sequence[str]) -> TablePlace:
    try:
        if table_in(place, name).is_file():
            return place
        inner: list[TablePlace] = sorted(place.iterdir(), key=str)
        folders = [folder for folder in inner if table_in(folder, name).is_file()]
        outdated = [old for old in older if any((folder / old).is_file() for folder in (place, *inner))]
    except OSError as error:
        raise DataError(path, f"cannot be read: {error}") from error
    if len(folders) > 1:
        raise DataError(path, f"holds several data sets ({', '.join(map(str, folders))}); name the folder of one")
    if not folders:
        hint = f"; {outdated[0]} is of an older release in another format" if outdated else ""
        raise DataError(path, f"holds no {name}{hint}; expected {what}")
    return folders[0]
