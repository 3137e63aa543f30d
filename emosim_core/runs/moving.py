"""Moving: the files of a cell for a machine that shares no folder with the command, and its way back."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from emosim_core.data.files import is_partial, partial_path, remove_partial
from emosim_core.errors import RunError
from emosim_core.runs.cells import Cell
from emosim_core.runs.job import FAILED, LOCK, MARKER, WRITER, cannot_write


def moved(cell: Cell, folder: Path) -> Cell:
    """The same cell with another folder: paths in its arguments that lead to its folder lead to this one.

    Args:
        cell: a cell with a folder.
    """
    assert cell.folder is not None
    buffer = io.BytesIO()
    _Leaving(buffer, cell.folder).dump(cell.arguments)
    buffer.seek(0)
    return replace(cell, folder=folder, arguments=_Arriving(buffer, folder).load())


class _Leaving(pickle.Pickler):
    """Pickles paths by where they are in a folder."""

    def __init__(self, file: io.BytesIO, folder: Path) -> None:
        super().__init__(file)
        self._folder = folder

    def persistent_id(self, obj: Any) -> str | None:
        if isinstance(obj, PurePath) and obj.is_relative_to(self._folder):
            return str(obj.relative_to(self._folder))
        return None


class _Arriving(pickle.Unpickler):
    """Reads what was pickled right before, with paths in another folder."""

    def __init__(self, file: io.BytesIO, folder: Path) -> None:
        super().__init__(file)
        self._folder = folder

    def persistent_load(self, pid: Any) -> Path:
        return self._folder / pid


def files_to_send(cell: Cell) -> list[str]:
    """Names in its folder of the files that a cell begins with, such as those of a job that was stopped before."""
    assert cell.folder is not None
    if cell.needs is None:
        return _names(cell.folder)
    return [name for name in cell.needs if (cell.folder / name).is_file()]


def files_to_fetch(cell: Cell) -> list[str]:
    """Names in its folder of the files that a cell has left, now that it is done."""
    assert cell.folder is not None
    return [cell.writes] if cell.writes else _names(cell.folder)


def _names(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    left = (LOCK, MARKER, WRITER, FAILED)
    return sorted(
        path.as_posix() for path in paths if path.name not in left and not any(is_partial(part) for part in path.parts)
    )


def receive(cell: Cell, names: Iterable[str], fetch: Callable[[str, Path], None]) -> None:
    """Put the files that a cell has left elsewhere into its folder, all or none.

    Args:
        names: what :func:`files_to_fetch` was there.
        fetch: writes the file of a name to a path.

    Raises:
        RunError: they are others than those of the cell, or cannot be written.
        EmoSimError: of ``fetch``.
    """
    assert cell.folder is not None
    target = cell.folder / cell.writes
    partial = partial_path(target)
    try:
        remove_partial(partial)
        target.parent.mkdir(parents=True, exist_ok=True)
        for name in names:
            if cell.writes != name if cell.writes else not _is_within(name):
                raise RunError(f"the cell {cell.key!r} has left {name!r}, which is no file of its folder")
            path = partial if cell.writes else partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            fetch(name, path)
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        if not cell.writes:
            remove_partial(target)
        os.replace(partial, target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        remove_partial(partial)


def _is_within(name: str) -> bool:
    path = PurePath(name)
    return not path.is_absolute() and ".." not in path.parts
