"""Helpers for tests of loaders: files to read, real data where it is present, and a check of the errors."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import SkipTest

from emosim_core.errors import DataError

REAL_DATA = "EMOSIM_REAL_DATA"
"""Environment variable that names a folder of real data; tests that need it are skipped where it is not set."""


def real(name: str) -> Path:
    """A file or folder, such as ``"movielens-small"``, in the folder that the variable ``EMOSIM_REAL_DATA`` names.

    Raises:
        SkipTest: there is none; pytest then skips the test.
    """
    base = os.environ.get(REAL_DATA)
    if not base or not (Path(base) / name).exists():
        raise SkipTest(f"{REAL_DATA} names no folder with {name}")
    return Path(base) / name


def fails(
    load: Callable[[], Any],
    *,
    file: str | os.PathLike[str],
    message: str,
    row: int | str | None = None,
    field: str = "",
) -> None:
    """Check that loading raises one :class:`~emosim_core.DataError`, else raise an AssertionError.

    Args:
        file: what the path in the error must contain.
        message: what the message must contain.
        row: the row that it must name; None for none.
        field: the column or key that it must name; empty for none.
    """
    __tracebackhide__ = True
    try:
        load()
    except DataError as error:
        raised = error
    else:
        raise AssertionError(f"no DataError; expected one about {file} that says {message!r}")
    wanted = (row, field or None)
    if str(file) not in raised.path:
        raise AssertionError(f"the error is about {raised.path!r}, not about {file!r}: {raised}") from raised
    if message not in str(raised):
        raise AssertionError(f"the error does not say {message!r}: {raised}") from raised
    if (raised.row, raised.field) != wanted:
        raise AssertionError(f"row and field are {(raised.row, raised.field)}, not {wanted}: {raised}") from raised


def write_folder(folder: Path, files: Mapping[str, str | bytes], *, gzipped: bool = False) -> Path:
    """Write files into a folder, which is made where it is not there; returns the folder.

    Args:
        files: the content of each file by its path inside the folder, such as ``"set/songs.csv"``; text is UTF-8.
        gzipped: compress each file and add ``.gz`` to its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (f"{name}.gz" if gzipped else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if gzipped else data)
    return folder


def write_zip(path: Path, files: Mapping[str, str | bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write ``files``, by their names in it, into a zip file and return that.

    ``how`` is ``zipfile.ZIP_DEFLATED`` or ``zipfile.ZIP_STORED``.
    """
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
