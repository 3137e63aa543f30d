"""Reserve: disk space that is held for the answers of running calls, and released when the disk is full."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import IO

_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class Reserve:
    """Holds ``size`` bytes of disk space in a folder by an unnamed temporary file, which ends with the process."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        self._file: IO[bytes] | None = None
        self._impossible = False

    def hold(self) -> None:
        """Allocate the space, unless it is held already; an OSError where the disk has less."""
        if self._file is not None or self._impossible:
            return
        try:
            file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (it stays open)
            try:
                _allocate(file, self._size)
            except BaseException:
                file.close()
                raise
            self._file = file
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise
            self._impossible = True  # this kind of disk cannot reserve space

    def release(self) -> bool:
        """Release the space; returns whether any was held."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
        return file is not None


def _allocate(file: IO[bytes], size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.write(bytes(size))
        file.flush()
