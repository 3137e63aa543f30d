"""Writing a file whole or not at all, clearing away what dead processes left, and reading none that is not a file."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from emosim_core.errors import RunError

_CLOCK = 2.0
"""Seconds by which the times of processes and of files may be apart."""

_PARTIAL = re.compile(r"\..+\.partial-(\d+)", re.DOTALL)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it finds the old content or the new, never a part.

    The folder must exist. Two processes may write the same file at once; the last one stands. The content is on the
    disk before it takes the name, so this holds for a loss of power too.

    Raises:
        OSError: the file cannot be written; what was there before stays.
    """
    partial = partial_path(path)
    try:
        partial.unlink(missing_ok=True)  # what somebody left there may be a link to elsewhere
        with partial.open("xb", buffering=0) as stream:
            write_all(stream.fileno(), content)
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of ``content``, of which the system may take a part at a time; an OSError where that fails."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def plain_file(path: Path) -> Path:
    """The path of a file that is one: neither a link to elsewhere nor a pipe or a device, which may never end."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "it is a symbolic link, which is not followed", str(path))
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device", str(path))
    return path


def partial_path(path: Path) -> Path:
    """Where this process writes what will be called ``path`` when it is whole: a hidden name beside it."""
    return path.with_name(f".{path.name}.partial-{os.getpid()}")


def is_partial(name: str) -> bool:
    """Whether a file of this name is one that :func:`partial_path` names."""
    return _PARTIAL.fullmatch(name) is not None


def remove_partial(path: Path) -> None:
    """Remove what was written to a partial path, a file or a folder, if it is still there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def remove_partials(folder: Path, name: str | None = None) -> None:
    """Remove the partial files and folders of processes that have died.

    Args:
        name: the name that they were to get; None for any, in this folder and in all within it.
    """
    partials = folder.rglob(".*.partial-*") if name is None else folder.glob(f".{glob.escape(name)}.partial-*")
    for path in list(partials):
        match = _PARTIAL.fullmatch(path.name)
        # Ours are gone before this is called: a number comes again, in a container at once.
        if match and (int(match[1]) == os.getpid() or not _may_write(int(match[1]), path)):
            remove_partial(path)


def _may_write(process: int, path: Path) -> bool:
    """Whether a process of this number runs, and not since later than a file that one of this number wrote last."""
    try:
        written = path.stat(follow_symlinks=False).st_mtime
    except OSError:  # it has got its name, or is gone
        return True
    return runs(process) and _began(process) <= written + _CLOCK


def _began(process: int) -> float:
    """When a process started, in seconds since 1970; 0 on systems other than Linux, and where it cannot be read."""
    try:
        about = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
        return float(boot[1]) + int(about[19]) / os.sysconf("SC_CLK_TCK") if boot else 0.0
    except (OSError, ValueError, IndexError):
        return 0.0


def runs(process: int) -> bool:
    """Whether a process of this number runs on this machine; what cannot be known is taken to run.

    One that has ended and whose status nobody has asked for does not run.
    """
    try:
        if os.name != "nt":  # where signal 0 is no mere question
            os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    try:
        status = Path(f"/proc/{process}/status").read_text(errors="replace")
    except OSError:
        return True
    state, leader = (re.search(rf"^{name}:\t(\S+)", status, re.MULTILINE) for name in ("State", "Tgid"))
    return not (state and state[1] in "ZX") and not (leader and leader[1] != str(process))


@contextlib.contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A path to write a file to; it replaces ``out`` on success, and nothing is left of it on a RunError."""
    with scratch(out) as partial:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        try:
            os.link(partial, out)  # unlike a rename, this replaces nothing that another process has written meanwhile
        except FileExistsError as error:
            raise RunError(f"{out} exists already: another process wrote it meanwhile; choose another place") from error
        except OSError:  # a file system without links
            os.rename(partial, out)


@contextlib.contextmanager
def scratch(out: Path) -> Iterator[Path]:
    """A path beside ``out``, gone in the end unless it was moved; a RunError where something cannot be written."""
    final = Path(os.path.abspath(out))
    partial = partial_path(final)
    remove_partials(final.parent, final.name)
    try:
        yield partial
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        remove_partial(partial)
