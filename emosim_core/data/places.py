"""Where data lies: a file or a member of a zip file, packed by gzip or not, opened as one bounded stream of bytes."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from emosim_core.data.bounds import FREE_BYTES, MAX_BLANK, MAX_DIRECTORY, MAX_DOCUMENT, MAX_RATIO, MAX_RECORD
from emosim_core.errors import DataError

TablePlace = Path | zipfile.Path
"""A table (or folder of tables), in a folder or in a zip file; nothing is extracted."""

READ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError)
"""What reading a member of a damaged, encrypted or truncated zip file raises."""

_CHUNK = 1 << 16
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_FOREIGN = {
    b"BZh": "is packed by bzip2; unpack it first: bunzip2 FILE",
    b"\xfd7zXZ\x00": "is packed by xz; unpack it first: unxz FILE",
    b"\x28\xb5\x2f\xfd": "is packed by Zstandard; unpack it first: unzstd FILE",
    b"7z\xbc\xaf\x27\x1c": "is packed by 7-Zip; unpack it first: 7z x FILE",
    b"Rar!": "is packed by RAR; unpack it first: unrar x FILE",
    b"PAR1": "is a Parquet file; save it as CSV",
    b"SQLite format 3\x00": "is an SQLite database; export the table as CSV",
    b"\xd0\xcf\x11\xe0": "is a workbook of old Excel; save the sheet as CSV (UTF-8)",
    b"\x93NUMPY": "is a NumPy array, no text",
    b"%PDF": "is a PDF document, no table",
    b"\x89PNG": "is a picture, no table",
}
"""What files of other kinds begin with, and what to do."""


def existing_file(path: str | os.PathLike[str], what: str) -> Path:
    """``path`` as a Path.

    Args:
        what: what is expected there, for the message ("a CSV file of users").

    Raises:
        DataError: there is no readable file.
    """
    place = Path(path).expanduser()
    if not place.is_file():
        raise DataError(path, f"{'is a directory' if place.is_dir() else 'no such file'}; expected {what}")
    return place


@contextmanager
def open_table(
    table: str | os.PathLike[str] | zipfile.Path, what: str = "a file", text: bool = True
) -> Iterator[io.BufferedReader]:
    """The content of a file as a stream, to be read from its beginning in the body of the ``with``.

    How it is packed is seen by its first bytes, not by its name: by gzip, or in a zip file of its own, as its only
    member. ``set.zip/in/songs.csv`` is a member of ``set.zip``.

    Args:
        table: a file, or a member of an open zip file.
        what: what is expected there, for messages ("a CSV file of users").
        text: whether files of kinds that are no text are refused by name.

    Raises:
        DataError: there is no such file, it cannot be read, be it only later in the body, it is no text, or it becomes
            absurdly large when it is unpacked.
    """
    with ExitStack() as stack:
        place = (
            table if isinstance(table, zipfile.Path) else _existing_table(Path(table).expanduser(), table, what, stack)
        )
        stream = _opened(place, stack)
        if isinstance(place, Path) and stream.peek(4).startswith(_ZIP):
            place = _only_member(stack.enter_context(opened_zip(place, place, what)), place)
            stream = _opened(place, stack)
        if stream.peek(2).startswith(_GZIP):
            packed = gzip.GzipFile(fileobj=stream)
            stack.callback(packed.close)
            stream = _buffered(packed, str(place), stream.tell, stack)
        start = stream.peek(16) if text else b""
        for magic, advice in _FOREIGN.items():
            if start.startswith(magic):
                raise DataError(str(place), f"{advice}; expected {what}")
        yield stream


def read_lines(stream: io.BufferedReader, path: str | os.PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """The lines of a stream that have content, as (line number, line), none of which is longer than ``MAX_RECORD``."""
    blank, number = 0, 0
    while line := stream.readline(MAX_RECORD + 1):
        number += 1
        if len(line) > MAX_RECORD:
            raise DataError(path, f"a line has more than {MAX_RECORD:,} bytes", row=number)
        if not line.isspace():
            yield number, line
            continue
        blank += 1
        if blank > MAX_BLANK:
            raise DataError(path, f"has more than {MAX_BLANK:,} lines without content", row=number)


def read_document(path: str | os.PathLike[str], what: str) -> str:
    """The text of a small file that is read whole, such as a configuration; line ends are line feeds."""
    with open_table(path, what) as stream:
        content = stream.read(MAX_DOCUMENT + 1)
    if len(content) > MAX_DOCUMENT:
        raise DataError(path, f"has more than {MAX_DOCUMENT:,} bytes; expected {what}")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(path, "is UTF-16 text; save it as UTF-8")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8 text (the byte 0x{content[error.start]:02x}); save it as UTF-8"
        raise DataError(path, message, row=row) from error


@contextmanager
def opened_zip(place: Path, path: str | os.PathLike[str], what: str) -> Iterator[zipfile.ZipFile]:
    """A zip file, its list of members checked before anything is made of it."""
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(place.open("rb"))
            archive = stack.enter_context(zipfile.ZipFile(_Sparing(raw)))
        except _TooLargeError as error:
            raise DataError(path, f"{error}; unpack what is needed; expected {what}") from error
        except (*READ_ERRORS, ValueError) as error:
            raise DataError(path, f"is not a zip file ({error}); expected {what}") from error
        names = archive.namelist()
        # zipfile.Path does not come to an end with such a name before Python 3.12.6 (CVE-2024-8088), and makes all
        # parents of a deep one.
        strange = next((name for name in names if name.startswith("/") or len(name) > 1024), None)
        if strange is not None:
            raise DataError(path, f"has a member {strange[:60]!r}, which is no name of a file; expected {what}")
        name, count = max(Counter(names).items(), key=lambda item: item[1], default=("", 0))
        if count > 1:
            raise DataError(path, f"has {count} members of the name {name!r}; pack it anew; expected {what}")
        yield archive


class _TooLargeError(Exception):
    """The list of members of a zip file is too large."""


class _Sparing:
    """A file that is never read in one piece larger than the list of members of a zip file may be."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def read(self, size: int = -1) -> bytes:
        if size > MAX_DIRECTORY:
            raise _TooLargeError(f"the list of its members takes {size:,} bytes; at most {MAX_DIRECTORY:,} are read")
        return self._raw.read(size)


class _Bounded(io.RawIOBase):
    """A stream whose errors name the file, and that ends in one where far too much comes out of what went in."""

    def __init__(self, source: Any, path: str, packed: Callable[[], int] | None) -> None:
        self._source, self._path, self._packed, self._size = source, path, packed, 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def readinto(self, buffer: Any) -> int:
        try:
            count: int = self._source.readinto(buffer)
        except READ_ERRORS as error:
            raise DataError(self._path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
        self._size += count
        if self._packed and self._size > FREE_BYTES and self._size > MAX_RATIO * self._packed():
            raise DataError(
                self._path,
                f"becomes more than {MAX_RATIO} times as large when it is unpacked, which no data set does; "
                "if it is sound, unpack it first",
            )
        return count


def _buffered(source: Any, path: str, packed: Callable[[], int] | None, stack: ExitStack) -> io.BufferedReader:
    return stack.enter_context(io.BufferedReader(_Bounded(source, path, packed), _CHUNK))


def _opened(place: TablePlace, stack: ExitStack) -> io.BufferedReader:
    try:
        if isinstance(place, Path):
            return _buffered(stack.enter_context(place.open("rb", buffering=0)), str(place), None, stack)
        archive: zipfile.ZipFile = place.root
        about = archive.getinfo(place.at)
        if about.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # The standard library unpacks the others without a bound.
            raise DataError(str(place), f"is packed by method {about.compress_type} of zip; pack it by deflate")
        size = min(about.compress_size, Path(archive.filename or "").stat().st_size if archive.filename else 2**63)
        return _buffered(stack.enter_context(archive.open(about)), str(place), lambda: size, stack)
    except KeyError as error:
        raise DataError(str(place), "no such file in it") from error
    except READ_ERRORS as error:
        raise DataError(str(place), f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _existing_table(existing: Path, path: str | os.PathLike[str], what: str, stack: ExitStack) -> TablePlace:
    """The file at a path, which may go on into a zip file."""
    if not existing.exists():
        for parent in existing.parents:
            if parent.is_file() and zipfile.is_zipfile(parent):
                archive = stack.enter_context(opened_zip(parent, parent, what))
                inside = zipfile.Path(archive, existing.relative_to(parent).as_posix())
                if not inside.is_file():
                    raise DataError(path, f"no such file in {parent}; expected {what}")
                return inside
    return existing_file(path, what)


def _only_member(archive: zipfile.ZipFile, path: str | os.PathLike[str]) -> zipfile.Path:
    # macOS puts more beside the files.
    clutter = re.compile(r"__MACOSX/.*|(.*/)?\.DS_Store|.*/", re.DOTALL)
    names = [name for name in archive.namelist() if not clutter.fullmatch(name)]
    if "[Content_Types].xml" in names:
        raise DataError(path, "is a workbook of Excel; save the sheet as CSV (UTF-8)")
    if len(names) != 1:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        example = f"; name one, such as {path}/{names[0]}" if names else ""
        raise DataError(path, f"is a zip file with {len(names):,} files ({shown}){example}")
    return zipfile.Path(archive, names[0])
