"""Writing a file whole or not at all, and reading none that is not a file."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it finds the old content or the new, never a part.

    The folder must exist. Two processes may write the same file at once; the last one stands.

    Raises:
        OSError: the file cannot be written; what was there before stays.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.unlink(missing_ok=True)  # what somebody left there may be a link to elsewhere
        with partial.open("xb", buffering=0) as stream:
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


def plain_file(path: Path) -> Path:
    """The path of a file that is one: neither a link to elsewhere nor a pipe or a device, which may never end.

    Raises:
        OSError: it is none, or cannot be looked at.
    """
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "it is a symbolic link, which is not followed", str(path))
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device", str(path))
    return path
