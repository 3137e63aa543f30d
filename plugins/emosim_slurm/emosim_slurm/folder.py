"""Folder: the files in which a command and its jobs tell each other what they need, for no other user to read."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from emosim_core import EmoSimError, RunError

PULSE = "pulse"
"""File whose number grows as long as the command goes on."""

_BEAT = 5.0
"""Seconds between two beats of the pulse."""


@contextmanager
def job_folder(parent: Path) -> Iterator[Path]:
    """A new folder that only this user can enter; it has a pulse until the end of the block, and is then removed.

    The logs of the jobs stay where the block ends with an EmoSimError.

    Raises:
        RunError: it cannot be made.
    """
    try:
        path = Path(tempfile.mkdtemp(prefix="emosim-slurm-", dir=parent)).absolute()
        (path / PULSE).write_text("0")
    except OSError as error:
        raise RunError(
            f"no folder for jobs can be made in {parent}: {error.strerror}. Choose one with folder="
        ) from error
    stop = Event()
    heart = Thread(target=_beat, args=(path / PULSE, stop), name="emosim-slurm", daemon=True)
    heart.start()
    kept: tuple[str, ...] = ()
    try:
        yield path
    except EmoSimError:
        kept = (".out", ".err")
        raise
    finally:
        stop.set()
        heart.join()
        with contextlib.suppress(OSError):  # what stays is no obstacle
            for one in list(path.iterdir()):
                if one.suffix not in kept:
                    one.unlink(missing_ok=True)
            path.rmdir()


def _beat(pulse: Path, stop: Event) -> None:
    for number in itertools.count(1):
        if stop.wait(_BEAT):
            return
        with contextlib.suppress(OSError):  # a shared folder may be away for a while
            pulse.write_text(str(number))


def progress_path(folder: Path, number: int) -> Path:
    """Where a job writes its numbers of units of work, a line each."""
    return folder / f"{number}.progress"


class Counts:
    """Reads the units of work that jobs have counted.

    Args:
        folder: the folder of the command.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: dict[int, int] = {}

    def take(self, numbers: Iterable[int]) -> int:
        """Units of work that the cells of these numbers have done since the last call."""
        new = 0
        for number in numbers:
            with contextlib.suppress(FileNotFoundError):
                lines = progress_path(self._folder, number).read_text()
                total = sum(map(int, lines[: lines.rfind("\n") + 1].split()))
                new += total - self._taken.get(number, 0)
                self._taken[number] = total
        return new
