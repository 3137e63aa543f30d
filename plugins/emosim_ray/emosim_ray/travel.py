"""Travel: cells that are done in a folder of their node, and their way there and back through a storage."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import socket
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from emosim_core import EmoSimError
from emosim_core.plugins import Cell, files_to_fetch, files_to_send, moved, receive
from emosim_ray.storage import Digests, Storage

_PREFIX = "emosim-ray-"


@dataclass(frozen=True)
class Trip:
    """The way of a cell, for its node.

    Attributes:
        url: of the storage.
        place: of the files of the cell's folder in the storage.
        files: those that the cell begins with.
    """

    url: str
    place: str
    files: Digests


@dataclass(frozen=True)
class Left:
    """What a cell has left in the storage."""

    place: str
    files: Digests


class Sender:
    """The side of the command: sends what cells need, and fetches what they leave.

    Args:
        url: of the storage.
        cells: the cells of the command that travel. What a lost command has left of them in the storage is removed.

    Raises:
        EmoSimError: as of :class:`Storage`, or it does not answer.
    """

    def __init__(self, url: str, cells: Sequence[Cell]) -> None:
        self._storage = Storage(url)
        self._sent: dict[tuple[str, tuple[str, ...] | None], Digests] = {}
        self._places = {_place(cell) for cell in cells}
        for place in self._places:
            self._storage.remove(place)

    def send(self, cell: Cell) -> Trip:
        """Store what a cell begins with."""
        place = _place(cell)
        key = (place, cell.needs)
        if key not in self._sent:
            assert cell.folder is not None
            self._sent[key] = self._storage.put(cell.folder, files_to_send(cell), f"{place}/in")
        return Trip(self._storage.url, place, self._sent[key])

    def fetch(self, cell: Cell, left: Left) -> None:
        """Put the files of a cell that is done into its folder here, all or none, and out of the storage."""
        receive(cell, left.files, lambda name, path: self._storage.get(left.place, name, left.files[name], path))
        self._storage.remove(left.place)

    def clear(self) -> None:
        """Remove all that is still in the storage; a warning where that fails, as nothing needs it to be gone."""
        for place in self._places:
            try:
                self._storage.remove(place)
            except EmoSimError as error:
                warnings.warn(f"{error}; it holds files of this command still, in {place}", stacklevel=2)


def _place(cell: Cell) -> str:
    """The place of a cell's folder in the storage: the same for a command that goes on, and another for others."""
    assert cell.folder is not None
    return f"emosim-{hashlib.sha256(f'{socket.gethostname()}:{cell.folder.absolute()}'.encode()).hexdigest()[:32]}"


# ------------------------------------------------------------------------------------------------------- on a node

_here: dict[tuple[object, ...], Path] = {}
"""The folder of this worker for the last cell and others with the same files to begin with."""


def do_away(cell: Cell, trip: Trip, attempt: Callable[[Cell], str]) -> tuple[str, Left | None]:
    """Do a cell in a folder of this node; what went wrong, and what it has left in the storage."""
    try:
        storage = Storage(trip.url)
        folder = _folder(cell, trip, storage)
        if problem := attempt(moved(cell, folder)):
            return problem, None
        names = files_to_fetch(moved(cell, folder))
        place = f"{trip.place}/out-{uuid4().hex}"  # one that was taken for lost may still write its own
        left = Left(place, storage.put(folder, names, place))
        for name in names if cell.writes else ():
            (folder / name).unlink()
        return "", left
    except OSError as error:
        return f"{socket.gethostname()} cannot keep the files of the cell {cell.key!r}: {error}", None
    except EmoSimError as error:
        return f"on {socket.gethostname()}, {error}", None


def _folder(cell: Cell, trip: Trip, storage: Storage) -> Path:
    """A folder with what a cell begins with; cells that write a file each share it."""
    key = (trip.url, trip.place, *sorted(trip.files.items()))
    if key not in _here or not cell.writes:
        _forget()
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        _here[key] = folder
        for name, digest in trip.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            storage.get(f"{trip.place}/in", name, digest, folder / name)
    (_here[key] / cell.writes).parent.mkdir(parents=True, exist_ok=True)
    return _here[key]


def _forget() -> None:
    """Remove the folder of this worker, and those of workers of this machine that are gone."""
    for folder in _here.values():
        shutil.rmtree(folder, ignore_errors=True)
    _here.clear()
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        process = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdigit() and not _runs(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


atexit.register(_forget)
