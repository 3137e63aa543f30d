"""Reading and writing CSV with errors that name file, row and field."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Generator, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ValidationError

from emosim_core.data.cells import shortened
from emosim_core.data.files import write_whole
from emosim_core.errors import DataError

T = TypeVar("T", bound=BaseModel)


def existing_file(path: str | os.PathLike[str], what: str) -> Path:
    """``path`` as a Path.

    Args:
        path: where the file should be.
        what: what is expected there, for the message ("a CSV file of people").

    Raises:
        DataError: there is no readable file.
    """
    found = Path(path).expanduser()
    if found.is_dir():
        raise DataError(path, f"is a directory; expected {what}")
    if not found.is_file():
        raise DataError(path, f"no such file; expected {what}")
    return found


def read_csv(
    path: str | os.PathLike[str], what: str, required: Sequence[str] = ()
) -> Generator[tuple[int, dict[str, str]], None, None]:
    """The rows of a CSV file with a header line, as (line number, values by column); values are stripped.

    Whoever may leave the rows before their end, by an error too, closes them: ``contextlib.closing``.

    Args:
        path: the file; UTF-8, with or without a byte order mark.
        what: what is expected there, for messages ("a CSV file of people").
        required: columns that must be there.

    Raises:
        DataError: no file that can be read, not UTF-8, no header, a required column is missing, a column twice, a row
            with more or fewer fields than the header, or broken quoting.
    """
    found = existing_file(path, what)
    try:
        with found.open("rb") as raw:
            yield from read_rows(raw, path, what, required)
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror or error}") from error


def read_rows(
    raw: IO[bytes], path: str | os.PathLike[str], what: str, required: Sequence[str] = (), strip: bool = True
) -> Generator[tuple[int, dict[str, str]], None, None]:
    """The rows of a stream of CSV, as :func:`read_csv` gives those of a file.

    Args:
        raw: the stream.
        path: what it is, for messages.
        what: what is expected there, for messages.
        required: columns that must be there.
        strip: whether blanks around names and values are taken away.

    Raises:
        DataError: as for :func:`read_csv`, but for the file itself.
        OSError: the stream cannot be read.
    """

    def cells(row: list[str]) -> list[str]:
        return [cell.strip() for cell in row] if strip else row

    with io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            header = cells(next(reader, []))
            if not header:
                raise DataError(path, f"the file is empty; expected {what} with a header line")
            for name in required:
                if name not in header:
                    raise DataError(
                        path, f"the column is missing; the header has: {', '.join(header)}", row=1, field=name
                    )
            for name in header:
                if header.count(name) > 1:
                    raise DataError(path, "the header names this column twice", row=1, field=name)
            for values in reader:
                if not values:
                    continue
                if len(values) != len(header):
                    raise DataError(
                        path, f"has {len(values)} fields; the header has {len(header)}", row=reader.line_num
                    )
                yield reader.line_num, dict(zip(header, cells(values), strict=True))
        except UnicodeDecodeError as error:
            raise DataError(path, f"is not UTF-8 text ({error.reason}); save it as UTF-8") from error
        except csv.Error as error:
            raise DataError(path, f"is not well-formed CSV ({error})", row=reader.line_num) from error


def checked(
    model: type[T],
    values: Mapping[str, Any],
    path: str | os.PathLike[str],
    row: int | str | None,
    columns: Mapping[str, str] | None = None,
) -> T:
    """An instance of a pydantic model made of one record of a file.

    Args:
        model: the model.
        values: field values.
        path: the file, for the message.
        row: the record, for the message.
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
    """Refuses an identifier that stands in a file twice.

    Attributes:
        field: what the file calls the identifier.

    Args:
        path: the file.
        field: what the file calls the identifier.
        item_word: what it identifies, for messages ("film").
    """

    def __init__(self, path: str | os.PathLike[str], field: str, item_word: str) -> None:
        self.field = field
        self._path, self._item_word = path, item_word
        self._rows: dict[Hashable, int | str] = {}

    def add(self, value: Hashable, row: int | str) -> None:
        """Take the identifier of the next record.

        Args:
            value: the identifier.
            row: the record.

        Raises:
            DataError: an earlier record has it; names both.
        """
        first = self._rows.setdefault(value, row)
        if first != row:
            raise DataError(
                self._path, f"the {self._item_word} {value!r} stands in row {first} already", row=row, field=self.field
            )


def write_csv(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file whole or not at all.

    Raises:
        DataError: the file cannot be written; what was there before stays.
    """
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
