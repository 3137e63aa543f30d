"""Published data sets: a folder or zip file with tables in it, and the rows of these tables."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from emosim_core.data.tables import read_rows
from emosim_core.errors import DataError

TablePlace = Path | zipfile.Path
"""A table (or folder of tables), in a folder or in a zip file; nothing is extracted."""

_READ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError)
"""What reading a member of a damaged, encrypted or truncated zip file raises."""


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
    found = path.expanduser()
    if found.is_dir():
        folder = _only_folder(found, path, name, what, older)
        yield folder, folder / name
    elif not found.is_file():
        raise DataError(path, f"no such file or folder; expected {what}")
    elif alone and found.suffix.lower() != ".zip" and not zipfile.is_zipfile(found):
        yield found.parent, found
    else:
        with _opened_zip(found, path, what) as archive:
            inside = _only_folder(zipfile.Path(archive), path, name, what, older)
            yield inside, inside / name


@contextmanager
def open_table(table: TablePlace) -> Iterator[IO[bytes]]:
    """A table as a stream, to be read from its beginning in the body of the ``with``.

    Raises:
        DataError: it cannot be read, be it only later in the body.
    """
    try:
        with table.open("rb") as stream:
            yield stream
    except _READ_ERRORS as error:
        raise DataError(str(table), f"cannot be read: {error}") from error


def read_table(
    table: TablePlace, what: str, required: Sequence[str] = (), strip: bool = True
) -> Generator[tuple[int, dict[str, str]], None, None]:
    """The rows of a table, as (line number, values by column).

    Whoever may leave the rows before their end, by an error too, closes them: ``contextlib.closing``.

    Args:
        table: where it is.
        what: what is expected there, for messages ("a CSV file of MovieLens").
        required: columns that must be there.
        strip: whether blanks around names and values are taken away.

    Raises:
        DataError: it cannot be read, or is malformed in a way that :func:`read_rows` refuses.
    """
    with open_table(table) as stream:
        yield from read_rows(stream, str(table), what, required, strip)


def _opened_zip(found: Path, path: Path, what: str) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(found)
    except (*_READ_ERRORS, ValueError) as error:
        raise DataError(path, f"is not a zip file ({error}); expected {what}") from error
    # zipfile.Path does not come to an end with such a name before Python 3.12.6 (CVE-2024-8088).
    strange = next((name for name in archive.namelist() if name.startswith("//")), None)
    if strange is not None:
        archive.close()
        raise DataError(path, f"has a member {strange!r}, which is no name of a file; expected {what}")
    return archive


def _only_folder(place: TablePlace, path: Path, name: str, what: str, older: Sequence[str]) -> TablePlace:
    try:
        if (place / name).is_file():
            return place
        inner: list[TablePlace] = sorted(place.iterdir(), key=str)
        folders = [folder for folder in inner if (folder / name).is_file()]
        outdated = [old for old in older if any((folder / old).is_file() for folder in (place, *inner))]
    except OSError as error:
        raise DataError(path, f"cannot be read: {error}") from error
    if len(folders) > 1:
        raise DataError(path, f"holds several data sets ({', '.join(map(str, folders))}); name the folder of one")
    if not folders:
        hint = f"; {outdated[0]} is of an older release in another format" if outdated else ""
        raise DataError(path, f"holds no {name}{hint}; expected {what}")
    return folders[0]
