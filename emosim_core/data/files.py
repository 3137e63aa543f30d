"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it finds the old content or the new, never a part.

    The folder must exist. Two processes may write the same file at once; the last one stands.

    Raises:
        OSError: the file cannot be written; what was there before stays.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("wb", buffering=0) as stream:
            write_all(stream.fileno(), content)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of ``content``; the system may take a part at a time.

    Raises:
        OSError: not all of it can be written.
    """
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
