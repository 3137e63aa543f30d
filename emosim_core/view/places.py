"""Places: the directories below the one that is viewed, and no other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from emosim_core.errors import ConfigurationError, RunError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")


class OutsideError(RunError):
    """A path leads out of the directory that is viewed, or is none."""


def inside(root: Path, path: str) -> Path:
    """The directory at a path below ``root``, which is resolved, with ``/`` between its parts; ``""`` is the root.

    Raises:
        OutsideError: it is no directory below the root, a part of it begins with a dot, or it or something that it
            holds is a symbolic link that leads out of the root.
    """
    parts = path.split("/") if path else []
    if any(not part or part.startswith(".") or "\\" in part or "\0" in part for part in parts):
        raise OutsideError(f"{path!r} is no directory below {root}")
    place = root.joinpath(*parts)
    if not _resolved(place, root) or not place.is_dir():
        raise OutsideError(f"there is no directory {path!r} below {root}")
    for link in _links(place):
        if not _resolved(link, root):
            raise OutsideError(f"{link} is a symbolic link out of {root}, so {path!r} is not opened")
    return place


def file_inside(root: Path, path: str) -> Path:
    """The file at a path below ``root``; an OutsideError where it is none, or :func:`inside` refuses its folder."""
    folder, _, name = path.rpartition("/")
    file = inside(root, folder) / name
    if not name or name.startswith(".") or "\\" in name or "\0" in name or file.is_symlink() or not file.is_file():
        raise OutsideError(f"there is no file {path!r} below {root}")
    return file


def new_place(root: Path, name: str) -> Path:
    """Where a new directory of a name is to be, right below the root; a ConfigurationError where the name is none."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "a name has letters, digits, dots, dashes and underscores, and begins with no dot or dash"
        )
    return root / name


def relative(root: Path, place: Path) -> str:
    """The path of a directory below the root, as :func:`inside` takes it."""
    text = place.relative_to(root).as_posix()
    return "" if text == "." else text


def _resolved(place: Path, root: Path) -> bool:
    try:
        return place.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _links(place: Path) -> Iterator[Path]:
    """The symbolic links in a directory and in those right below it."""
    for entry in _entries(place):
        if entry.is_symlink():
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from (Path(one.path) for one in _entries(Path(entry.path)) if one.is_symlink())


def _entries(place: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return list(entries)
    except OSError:
        return []
