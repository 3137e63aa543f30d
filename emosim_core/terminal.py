"""Terminal: the one place where text meets standard output and standard error."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

_HIDDEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters that show nothing, that break lines or that turn text around: Unicode's Default_Ignorable_Code_Point but
variation selectors and joiners, line separators and the marks of annotations."""

_SCRIPTS = "\u0600-\u1fff\u2190-\ud7ff\ue000-\U0010ffff"
"""Scripts and symbols in which a joiner (U+200C, U+200D) between two characters changes how they look."""

_UNSAFE = re.compile(
    f"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff{_HIDDEN}]"
    f"|(?<![{_SCRIPTS}])[\u200c\u200d]|[\u200c\u200d](?![{_SCRIPTS}])"
)

_READER_LEFT = {errno.EPIPE, errno.ESHUTDOWN, errno.ECONNRESET, errno.EIO}
"""Errors of a stream that nobody reads any more: a closed pipe, a terminal that has gone."""

_NARROWEST = 20
"""Columns below which no table can be laid out."""


def clean(text: str) -> str:
    r"""Text as it may be shown: control characters and characters that hide or reorder text as escapes.

    The escapes are those of Python, such as ``\x1b``, ``\u202e`` or ``\U000e0041``. Line breaks (``\n``) stay.
    """
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: object) -> str:
    r"""A value as it may be shown within one line: as :func:`clean`, and line breaks as ``\n``."""
    return clean(str(text)).replace("\n", "\\n")


def note(text: str) -> None:
    """Say on standard error what is to be known of work that takes a while."""
    sys.stderr.write(f"Note: {one_line(text)}\n")


def counted(count: int, what: str, several: str | None = None) -> str:
    """A count with what is counted, in the plural where it is not one: ``several``, or ``what`` with an s."""
    return f"{count:,} {what if count == 1 else several or f'{what}s'}"


_COMMAND = re.compile(r": (?=emosim [a-z]\S*( \S.*)?$)")
"""What stands before a command at the end of a line."""

_WORD = re.compile(r"[^ ]+")

_COLUMN = re.compile(r" *[^ ]+(?: [^ ]+)*  +(?=[^ ])")
"""What stands before the second column of a row."""


class Piece(NamedTuple):
    """A part of a line that gets a line of its own on the screen: what is put before it, and where it lies."""

    indent: str
    start: int
    end: int


def pieces(line: str, width: int, measure: Callable[[str], int] = len) -> list[Piece]:
    """The pieces of one line on a screen of some columns, broken between words only; all but the first are indented.

    What goes on in the second column of a row stays there. A command of ``emosim`` at the end is copied from the
    screen: where the line is too long, it is a piece by itself, without breaks. ``measure`` says how many columns a
    text takes.
    """
    if measure(line) <= width:
        return [Piece("", 0, len(line))]
    match = _COMMAND.search(line)
    before = len(line) if match is None else match.end()
    first = len(line) - len(line.lstrip(" "))
    more = command = " " * (first + 2)
    if (gap := _COLUMN.match(line)) is not None and measure(line[: gap.end()]) <= width // 2:
        more = " " * measure(line[: gap.end()])
    made: list[Piece] = []
    indent, start, end = "", 0, first
    for word in _WORD.finditer(line, first, before):
        if end > start + first and measure(indent + line[start : word.end()]) > width:
            made.append(Piece(indent, start, end))
            indent, start, first = more, word.start(), 0
        end = word.end()
    made.append(Piece(indent, start, end))
    return [*made, Piece(command, before, len(line))] if before < len(line) else made


def fitted(text: str, width: int) -> str:
    """Text whose lines are broken as :func:`pieces` says."""
    return "\n".join(
        piece.indent + line[piece.start : piece.end] for line in text.split("\n") for piece in pieces(line, width)
    )


def clean_json(text: str) -> str:
    r"""JSON text with the same characters as JSON escapes, such as ``\u001b``; it stands for the same value."""

    def escaped(match: re.Match[str]) -> str:
        encoded = match[0].encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{encoded[place : place + 2].hex()}" for place in range(0, len(encoded), 2))

    return _UNSAFE.sub(escaped, text)


class Stream(io.TextIOBase):
    """Standard output or standard error: cleans what is written, and never raises where it cannot be written.

    What the encoding of the stream lacks is written as an escape. When the stream fails, the rest goes to the null
    device, so that a command goes on to its end.

    Attributes:
        error: why the stream failed; None while it works, and where its reader has left.
        styled: the same stream for text with our own styling, which is written as it is.
    """

    def __init__(self, target: IO[str]) -> None:
        self._target = target
        self._failed = False
        self.error: OSError | ValueError | None = None
        self.styled = Styled(self)

    def write(self, text: str, /) -> int:
        if text[:1] == "\r" and "\n" not in text:  # a progress bar of a library, which is for terminals alone
            if self.isatty():
                self.send(f"\r{clean(text[1:])}")
        else:
            self.send(clean(text))
        return len(text)

    def send(self, text: str) -> None:
        """Write text that is clean already."""
        try:
            try:
                self._target.write(text)
            except UnicodeEncodeError:
                encoding = self.encoding or "ascii"
                self._target.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError) as error:
            self._fail(error)

    def send_data(self, text: str) -> None:
        """Write data as UTF-8 and as it is; for a file or a pipe, not for a terminal."""
        try:
            self._target.flush()
            self._target.buffer.write(text.encode("utf-8", "backslashreplace"))  # type: ignore[attr-defined]
            self._target.buffer.flush()  # type: ignore[attr-defined]
        except (OSError, ValueError) as error:
            self._fail(error)

    def flush(self) -> None:
        try:
            self._target.flush()
        except (OSError, ValueError) as error:
            self._fail(error)

    def _fail(self, error: OSError | ValueError) -> None:
        if self._failed:
            return
        self._failed = True
        if getattr(error, "errno", None) not in _READER_LEFT:
            self.error = error
        with contextlib.suppress(OSError, ValueError):
            number, null = self._target.fileno(), os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, number)
            os.close(null)
            self._target.flush()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return str(getattr(self._target, "encoding", None) or "utf-8")

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return getattr(self._target, "errors", None)

    def fileno(self) -> int:
        return self._target.fileno()

    def isatty(self) -> bool:
        try:
            return self._target.isatty()
        except ValueError:
            return False

    def writable(self) -> bool:
        return True


class Styled(io.TextIOBase):
    """A :class:`Stream` for text that is clean but for our own styling; all else is that of the stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.flush, self.fileno, self.isatty = stream.flush, stream.fileno, stream.isatty  # type: ignore[method-assign]

    def write(self, text: str, /) -> int:
        self._stream.send(text)
        return len(text)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def writable(self) -> bool:
        return True


class Streams(NamedTuple):
    """What stands in the place of standard output and standard error."""

    out: Stream
    err: Stream


@contextlib.contextmanager
def standard_streams() -> Iterator[Streams]:
    """Puts a :class:`Stream` in the place of standard output and of standard error, and flushes them in the end.

    A standard stream that was closed before the process began becomes the null device.
    """
    for number in range(3):  # no file that is opened later gets the number of a standard stream
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    # A COLUMNS that is no number of columns is left out, and one in which no table can be laid out is widened.
    columns = os.environ.pop("COLUMNS", "")[:6]
    if columns.isascii() and columns.isdigit() and int(columns):
        os.environ["COLUMNS"] = str(max(_NARROWEST, int(columns)))
    before = sys.stdin, sys.stdout, sys.stderr
    streams = Streams(*(Stream(one or open(os.devnull, "w", encoding="utf-8")) for one in before[1:]))  # noqa: SIM115
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115  (for the rest of the process)
    sys.stdout, sys.stderr = streams
    try:
        yield streams
    finally:
        for stream in streams:
            stream.flush()
        sys.stdin, sys.stdout, sys.stderr = before
