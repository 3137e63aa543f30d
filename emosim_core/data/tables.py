"""Reading and writing CSV with errors that name file, row and field."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, compress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from emosim_core.data.bounds import MAX_BLANK, MAX_COLUMNS, MAX_FIELDS, MAX_RECORD, TEXT_EACH, max_records, raise_hint
from emosim_core.data.cells import shortened
from emosim_core.data.files import write_whole
from emosim_core.data.places import open_table
from emosim_core.errors import DataError

T = TypeVar("T", bound=BaseModel)


def read_csv(
    path: str | os.PathLike[str] | zipfile.Path,
    what: str,
    required: Sequence[str] = (),
    *,
    columns: Sequence[str] = (),
    header: Sequence[str] | None = None,
    delimiter: str | None = None,
    quote: str | None = '"',
    encoding: str | None = None,
    strip: bool = True,
    held: bool = True,
    fit: Callable[[int, list[str], int], list[str] | None] | None = None,
) -> Generator[tuple[int, dict[str, str]], None, None]:
    """The rows of a table, as (line number, values by column).

    Lines end with a line feed, a carriage return or both. Rows without content are left out, as are separators behind
    the last field, and a first column without a name (or "Unnamed: 0"), which holds the numbers of the rows. Columns
    are known by the names of ``required`` and ``columns`` also where the header writes them with other case, blanks,
    hyphens or underscores. Whoever may leave the rows before their end, by an error too, closes them:
    ``contextlib.closing``.

    Args:
        what: what is expected there, for messages ("a CSV file of users").
        required: names of columns that must be there.
        columns: names of columns that may be there, beside those that must.
        header: the names of the columns, for a file without a header line.
        delimiter: what is between fields; where left out, a comma, semicolon, tab or bar, whichever makes most columns
            of the header. It may have several characters where ``quote`` is None.
        quote: the character around fields that hold delimiters; None where there is none.
        encoding: the encoding; where left out, UTF-8, or UTF-16 or UTF-32 with a byte order mark.
        strip: whether blanks around values are taken away.
        held: whether the caller holds all rows in memory, which bounds their number. Rows that are looked at one by one
            may be as many as there are.
        fit: mends a row that has not as many fields as the header, for files that are known to be broken: given line
            number, fields and the number of columns, it returns the mended fields, none where nothing is to be made of
            this row, or None where it cannot be mended.

    Raises:
        DataError: no file that can be read, text that is not of its encoding, no header, a required column is missing,
            a column twice, a row with more or fewer fields than the header, a field under no name, broken quoting, a
            NUL character, or more than the bounds of :mod:`emosim_core.data.bounds` allow; names row and column where
            there is one.
    """
    known = tuple(dict.fromkeys([*required, *columns, *(header or ())]))
    table = _Table(str(path), what, required, known, header, quote, strip, held, fit)
    with open_table(path, what) as raw, text_of(raw, encoding, "surrogateescape") as stream:
        try:
            yield from table.rows(stream, delimiter)
        except UnicodeError as error:
            problem = f"is not {stream.encoding} text ({getattr(error, 'reason', error)}); save it as UTF-8"
            raise DataError(str(path), problem, row=table.line + 1) from error
        except csv.Error as error:
            raise DataError(str(path), f"is not well-formed CSV ({error})", row=table.line) from error


_DELIMITERS = (",", ";", "\t", "|")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNNAMED = re.compile(r"(?:Unnamed: ?\d+(?:_level_\d+)?)?")
_SEPARATORS = re.compile(r"[\s_\-]+")
_SURROGATES = re.compile("[\udc80-\udcff]")


@dataclass
class _Table:
    """Reads one table; the fields are those of :func:`read_csv`."""

    path: str
    what: str
    required: Sequence[str]
    known: Sequence[str]
    header: Sequence[str] | None
    quote: str | None
    strip: bool
    held: bool
    fit: Callable[[int, list[str], int], list[str] | None] | None
    line: int = 0
    _size: int = 0
    _delimiter: str = ","

    def rows(
        self, stream: io.TextIOWrapper, delimiter: str | None
    ) -> Generator[tuple[int, dict[str, str]], None, None]:
        lines = self._lines(stream)
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            raise DataError(self.path, f"the file is empty; expected {self.what} with a header line")
        if delimiter is None and first[:4].lower() == "sep=" and len(first.strip()) == 5:  # written for Excel
            delimiter, first = first.strip()[4], next(lines, "")
        delimiter = delimiter or self._sniffed(first)
        records = self._records(chain((first,), lines), delimiter)
        header = self._header(next(records)) if self.header is None else list(self.header)
        keep = [bool(name) for name in header]
        all_named, names = all(keep), [name for name in header if name]
        width, blank, count, text = len(header), 0, 0, 0
        most = max_records() if self.held else 0
        for cells in records:
            self._size, size = 0, self._size
            if self.strip:
                cells = [cell.strip() for cell in cells]
            if not any(cells):
                blank += 1
                if blank > MAX_BLANK:
                    raise self._wrong(f"has more than {MAX_BLANK:,} lines without content")
                continue
            if len(cells) != width:
                cells = self._fitted(cells, header)
                if not cells:
                    continue
            if not all_named:
                for i, cell in enumerate(cells[1:], start=1):
                    if cell and not keep[i]:
                        raise self._wrong(f"field {i + 1} holds {shortened(cell)}, and the header names no column")
                cells = list(compress(cells, keep))
            count, text = count + 1, text + size
            if most and (count > most or text > most * TEXT_EACH):
                raise self._wrong(
                    f"holds more than {count - 1:,} rows with {text:,} characters, which are too many to hold in "
                    f"memory; {raise_hint()}"
                )
            yield self.line, dict(zip(names, cells, strict=True))

    def _lines(self, stream: io.TextIOWrapper) -> Generator[str, None, None]:
        """The lines of a table, each looked at before more of it is made."""
        for line in iter(partial(stream.readline, MAX_RECORD + 1), ""):
            self.line += 1
            self._size += len(line)
            if self._size > MAX_RECORD:
                raise self._wrong(
                    f"a row has more than {MAX_RECORD:,} characters; is a quote open, or are there no line ends?"
                )
            if len(line) > MAX_FIELDS and line.count(self._delimiter) > MAX_FIELDS:
                raise self._wrong(f"a row has more than {MAX_FIELDS:,} fields")
            if "\0" in line:
                raise self._wrong(f"holds a NUL character, so it is no text; save {self.what} as UTF-8")
            if not line.isascii() and (wrong := _SURROGATES.search(line)):
                raise self._wrong(f"is not UTF-8 text (the byte 0x{ord(wrong[0]) - 0xDC00:02x}); save it as UTF-8")
            yield line

    def _wrong(self, message: str, field: str | None = None) -> DataError:
        return DataError(self.path, message, row=self.line, field=field)

    def _records(self, lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
        self._delimiter = delimiter
        if len(delimiter) > 1:
            return (line.rstrip("\r\n").split(delimiter) for line in lines)
        csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD))
        return csv.reader(
            lines,
            strict=True,
            delimiter=delimiter,
            quotechar=self.quote,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
        )

    def _sniffed(self, first: str) -> str:
        """The delimiter that makes the most known columns of a header, then the most columns; else the comma."""

        def score(delimiter: str) -> tuple[int, int]:
            cells = next(csv.reader([first], delimiter=delimiter), [])
            if self.header is not None:
                return 0, len(cells)
            return len(set(self._names(cells)) & set(self.known)), len(cells)

        return max(_DELIMITERS, key=score)

    def _names(self, cells: Sequence[str]) -> list[str]:
        """The names of a header, known ones as the caller writes them."""
        names = [cell.strip().strip("\"'").strip() for cell in cells]
        alike = {_alike(name): name for name in self.known}
        known = [name if name in self.known else alike.get(_alike(name), name) for name in names]
        return [name if instead in names else instead for name, instead in zip(names, known, strict=True)]

    def _header(self, cells: Sequence[str]) -> list[str]:
        if len(cells) > MAX_COLUMNS:
            raise self._wrong(f"has {len(cells):,} columns; at most {MAX_COLUMNS:,} are read")
        names = ["" if _UNNAMED.fullmatch(name) else name for name in self._names(cells)]
        for name in self.required:
            if name not in names:
                needed, present = ", ".join(self.required), ", ".join(names[:50])
                raise self._wrong(f"the column is missing; needed: {needed}; the header has: {present}", name)
        for name, count in Counter(names).items():
            if name and count > 1:
                raise self._wrong("the header names this column twice", name)
        self._size = 0
        return names

    def _fitted(self, cells: list[str], header: Sequence[str]) -> list[str]:
        """The cells of a row, without separators behind the last, as many as the header has; none to leave it out."""
        width = len(header)
        if len(cells) > width and not any(cells[width:]):
            return cells[:width]
        if len(cells) < width and not any(header[len(cells) :]):
            return [*cells, *[""] * (width - len(cells))]
        mended = self.fit(self.line, cells, width) if self.fit else None
        if mended is None:
            raise self._wrong(f"has {len(cells):,} fields; the header has {width:,}")
        return mended


@contextmanager
def text_of(raw: io.BufferedReader, encoding: str | None = None, errors: str = "strict") -> Iterator[io.TextIOWrapper]:
    """Text of a stream, which is closed, in an encoding, or in that which its first bytes tell: UTF-8 or one of a mark.

    ``errors`` is what is done about bytes that are no UTF-8, as for :func:`open`.
    """
    chosen = encoding or next((name for bom, name in _BOMS if raw.peek(4).startswith(bom)), "utf-8")
    utf8 = codecs.lookup(chosen).name in ("utf-8", "utf-8-sig")
    with io.TextIOWrapper(
        raw, encoding="utf-8-sig" if utf8 else chosen, errors=errors if utf8 else "strict", newline=""
    ) as stream:
        yield stream


def _alike(name: str) -> str:
    """What a column's name is compared by."""
    return _SEPARATORS.sub("", name).casefold()


def checked(
    model: type[T],
    values: Mapping[str, Any],
    path: str | os.PathLike[str],
    row: int | str | None,
    columns: Mapping[str, str] | None = None,
) -> T:
    """An instance of a pydantic model made of one record of a file.

    Args:
        columns: what the file calls a field, where that differs.

    Raises:
        DataError: a value is missing or wrong; names the first wrong field.
    """
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else None
        name = ".".join([(columns or {}).get(field, field), *map(str, first["loc"][1:])]) if field else None
        got = "" if first["type"] == "missing" else f" (got {shortened(first.get('input'))})"
        raise DataError(path, f"{first['msg']}{got}", row=row, field=name) from error


class UniqueIds:
    """Refuses an identifier that stands in a file twice, and more records than may be held in memory.

    Args:
        field: what the file calls the identifier; an attribute too.
        item_word: what it identifies, for messages ("film").
    """

    def __init__(self, path: str | os.PathLike[str], field: str, item_word: str) -> None:
        self.field = field
        self._path, self._item_word = path, item_word
        self._rows: dict[Hashable, int | str] = {}
        self._most = max_records()

    def add(self, value: Hashable, row: int | str) -> None:
        """Take the identifier of the next record; a DataError where an earlier one has it names both."""
        first = self._rows.setdefault(value, row)
        problem = ""
        if len(self._rows) > self._most:
            problem = f"has more than {self._most:,} records; {raise_hint()}"
        elif first != row:
            problem = f"the {self._item_word} {value!r} stands in row {first} already"
        if problem:
            raise DataError(self._path, problem, row=row, field=self.field)


def write_csv(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file whole or not at all; a DataError where it cannot be written."""
    target = Path(path).expanduser()
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, text.getvalue().encode())
    except (OSError, UnicodeError) as error:
        raise DataError(path, f"cannot be written: {getattr(error, 'strerror', None) or error}") from error
