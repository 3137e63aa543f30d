"""Published formats: which one a path holds, told by the names of its files and by how they begin."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from emosim_core.data.places import TablePlace, open_table, opened_zip
from emosim_core.errors import DataError

_BEGINNING = 65536
"""Bytes of a file that are looked at."""

_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Format:
    """A format in which data sets are published, and how it is distinguished from others.

    Attributes:
        name: what it is called, for messages ("MovieLens 100K").
        files: patterns of the name of its main file, without ``.gz``, the most usual first.
        columns: columns that the header of its main file has.
        known: all columns that the header may have; empty for any.
        begins: regular expression that matches where the main file begins.
        beside: patterns of the names of its other files, which stand for the main file beside them.
    """

    name: str
    files: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    begins: str = ""
    beside: tuple[str, ...] = ()

    def fits(self, beginning: str) -> bool:
        """Whether the main file may begin with this text."""
        if self.begins and re.match(self.begins, beginning) is None:
            return False
        if not self.columns:
            return True
        line = beginning.partition("\n")[0].rstrip("\r")
        for delimiter in _DELIMITERS:
            with suppress(csv.Error):
                header = {name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])}
                if header.issuperset(self.columns):
                    return not self.known or header.issubset(self.known)
        return False


@dataclass(frozen=True)
class Release:
    """A data set of a known format.

    Attributes:
        folder: where its files are.
        table: its main file.
    """

    format: Format
    folder: TablePlace
    table: TablePlace

    def beside(self, *patterns: str) -> TablePlace | None:
        """The file of the folder that the first of these patterns names, ``.gz`` or not; None where there is none.

        A DataError where several files have such a name.
        """
        return _only_match(_files(self.folder), patterns)


@contextmanager
def open_format(path: Path, formats: Sequence[Format], what: str) -> Iterator[Release]:
    """Find the data set that a path holds.

    It is looked for at the top of a folder or zip file, then in the folders there, of which one only may have it. The
    path may also be one of its files, the main one under any name. Where no file begins as its format does, the name
    of a file decides, and reading it tells what is wrong.

    Args:
        path: a folder, a zip file or a file.
        formats: formats that are looked for, in this order.
        what: what is expected at ``path``, for messages.

    Raises:
        DataError: there is nothing at ``path``, nothing of these formats, or more than one data set.
    """
    with _opened(path, what) as place:
        release = _release(place, path, formats, strictly=True) or _release(place, path, formats, strictly=False)
        if release is None and place.is_file():
            release = Release(formats[0], _folder(place), place)
        if release is None:
            raise DataError(path, f"holds no such data set; expected {what}")
        yield release


def recognized(path: Path, formats: Sequence[Format]) -> Format | None:
    """The format of the data set that a path holds; None where it is none of these, or cannot be read."""
    with suppress(DataError), _opened(path, "a data set") as place:
        if release := _release(place, path, formats, strictly=True):
            return release.format
    return None


@contextmanager
def _opened(path: Path, what: str) -> Iterator[TablePlace]:
    """A folder, the inside of a zip file, or a file."""
    place = path.expanduser()
    if place.is_file() and zipfile.is_zipfile(place):
        with opened_zip(place, path, what) as archive:
            yield zipfile.Path(archive)
    elif place.exists():
        yield place
    else:
        raise DataError(path, f"no such file or folder; expected {what}")


def _release(place: TablePlace, path: Path, formats: Sequence[Format], strictly: bool) -> Release | None:
    if place.is_file():
        return _of_file(place, formats, strictly)
    try:
        if top := _of_folder(place, formats, strictly):
            return top
        inner: list[TablePlace] = sorted((one for one in place.iterdir() if one.is_dir()), key=str)
    except OSError as error:
        raise DataError(path, f"cannot be read: {error}") from error
    releases = [release for folder in inner if (release := _of_folder(folder, formats, strictly)) is not None]
    if len(releases) > 1:
        folders = ", ".join(str(release.folder) for release in releases)
        raise DataError(path, f"holds several data sets ({folders}); name the folder of one")
    return releases[0] if releases else None


def _of_file(place: TablePlace, formats: Sequence[Format], strictly: bool) -> Release | None:
    beginning = _beginning(place) if strictly else ""
    for form in formats:
        if (strictly and form.fits(beginning)) or (not strictly and _named(place, form.files)):
            return Release(form, _folder(place), place)
    for form in formats:
        if _named(place, form.beside):
            main = _only_match(_files(_folder(place)), form.files)
            if main is not None and (not strictly or form.fits(_beginning(main))):
                return Release(form, _folder(place), main)
    return None


def _of_folder(folder: TablePlace, formats: Sequence[Format], strictly: bool) -> Release | None:
    files = _files(folder)
    for form in formats:
        fitting = [one for one in files if _named(one, form.files) and (not strictly or form.fits(_beginning(one)))]
        if main := _only_match(fitting, form.files):
            return Release(form, folder, main)
    return None


def _folder(place: TablePlace) -> TablePlace:
    return place.parent if isinstance(place, Path) else zipfile.Path(place.root, "".join(place.at.rpartition("/")[:2]))


def _files(folder: TablePlace) -> list[TablePlace]:
    files: list[TablePlace] = [one for one in folder.iterdir() if one.is_file() and not one.name.startswith(".")]
    return sorted(files, key=str)


def _only_match(files: Sequence[TablePlace], patterns: Sequence[str]) -> TablePlace | None:
    for pattern in patterns:
        # Of a file and its compressed copy the file counts, which comes first.
        matches = {_plain_name(one): one for one in reversed(files) if fnmatchcase(_plain_name(one), pattern)}
        if len(matches) > 1:
            folder = next(iter(matches.values())).parent
            raise DataError(str(folder), f"holds several files {pattern} ({', '.join(sorted(matches))}); name one")
        if matches:
            return next(iter(matches.values()))
    return None


def _named(place: TablePlace, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(_plain_name(place), pattern) for pattern in patterns)


def _plain_name(place: TablePlace) -> str:
    return place.name.removesuffix(".gz")


def _beginning(table: TablePlace) -> str:
    """How a table begins, as text of which only ASCII is to be trusted."""
    with open_table(table) as stream:
        return stream.read(_BEGINNING).removeprefix(b"\xef\xbb\xbf").decode("latin-1")
