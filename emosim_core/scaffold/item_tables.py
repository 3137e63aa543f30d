"""Item tables: the items of a new domain, read from a table whose columns are guessed, or made of a log's ids."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emosim_core.data.cells import is_number, known_text, number, shortened
from emosim_core.data.lists import list_of_names
from emosim_core.data.logs import cell_text
from emosim_core.data.parquet_rows import parquet_rows
from emosim_core.data.places import existing_file
from emosim_core.data.tables import UniqueIds, read_csv
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model import Item
from emosim_core.scaffold.guesses import KINDS, NAMES_OF_ITEMS, Column, field_name, item_roles, plain, year_in
from emosim_core.scaffold.item_code import NewField

LEAVE = "leave"
"""What a column is that is left out."""

_ROLES = tuple(NAMES_OF_ITEMS)
_PART = re.compile(rf",(?=\s*(?:{'|'.join((*_ROLES, *KINDS, LEAVE))})\s*=)")
_EXAMPLE = "write FIELD=COLUMN, with commas between, such as title=name,categories=genres,text=isbn,leave=notes"
_SAFE_NAME = re.compile(r"[^\W\d_][\w '-]*")
_WHOLE_TEXT = re.compile(r"\d+\.0+")
_BOOLEAN = {"true": "true", "yes": "true", "t": "true", "y": "true", "1": "true", "1.0": "true"}
_BOOLEAN |= {"false": "false", "no": "false", "f": "false", "n": "false", "0": "false", "0.0": "false"}


@dataclass(frozen=True)
class ItemColumns:
    """Which columns of a table of items hold what, where somebody says so.

    Attributes:
        roles: by field of an item, the name of its column; empty where no column holds it.
        kinds: by name of a column, of what kind the field is that it becomes, or ``leave``.
    """

    roles: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> ItemColumns:
        """What ``FIELD=COLUMN,...`` says; FIELD is a field of an item, which may be named once, a kind, or ``leave``.

        A ConfigurationError names the part that cannot be read.
        """
        roles: dict[str, str] = {}
        kinds: dict[str, str] = {}
        for part in filter(None, _PART.split(text)):
            name, equals, column = (piece.strip() for piece in part.partition("="))
            if not equals or name not in (*_ROLES, *KINDS, LEAVE):
                raise ConfigurationError(
                    f"cannot read {part!r}: {_EXAMPLE}. Fields: {', '.join(_ROLES)}; kinds of others: "
                    f"{', '.join(KINDS)}; {LEAVE} leaves a column out"
                )
            if name in roles or column in kinds or (column and column in roles.values()):
                raise ConfigurationError(f"{part!r} says twice what {name if name in roles else column!r} is")
            if not column and (name not in _ROLES or name in ("id", "title")):
                raise ConfigurationError(f"{part!r} names no column: {_EXAMPLE}")
            if name in _ROLES:
                roles[name] = column
            else:
                kinds[column] = name
        return cls(roles, kinds)


@dataclass
class ItemTable:
    """The items of a new domain: what its file of items holds, and where that comes from.

    Attributes:
        ids, titles: of N items.
        columns: by field of an item, what its column is called.
        cells: by field, N cells.
        categories: the categories of each item, in lower case.
        fields: the fields that the domain adds.
        creators: name of the added field with the creators; empty where there is none.
        creators_word: what the table calls them.
        dates: whether the column of the year has dates.
        left_out: columns of the table that become nothing.
        shown: for each column of the table its name, what becomes of it, and a few of its cells.
        notes: what was mended or left out.
    """

    ids: list[str]
    titles: list[str]
    columns: dict[str, str]
    cells: dict[str, list[str]]
    categories: list[list[str]]
    fields: list[NewField] = field(default_factory=list)
    creators: str = ""
    creators_word: str = ""
    dates: bool = False
    left_out: list[str] = field(default_factory=list)
    shown: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, column: str, cells: list[str]) -> None:
        """Add the cells of a field."""
        self.columns[name], self.cells[name] = column, cells

    def make_own(self, name: str, kind: str) -> None:
        """Make a field of every item one that the domain adds, with its column."""
        column, cells = self.columns[name], self.cells.pop(name)
        self.columns[name] = field_name(f"own {name}", self.columns.values())
        own = field_name(column, self.columns)
        numbers = [float(cell) for cell in cells if cell]
        self.fields.append(NewField(own, kind, column, (min(numbers), max(numbers))))
        self.add(own, column, cells)
        self.shown = [
            (one, f"{kind}, the field {own}" if one == column else about, example) for one, about, example in self.shown
        ]


def items_of_ids(ids: Collection[str], word: str) -> ItemTable:
    """Items of which nothing but an identifier is known, in natural order."""
    ordered = sorted(ids, key=lambda one: [(int(part), "") if part.isdigit() else (0, part) for part in _pieces(one)])
    titles = [f"{word[:1].upper()}{word[1:]} {one}" for one in ordered]
    made = ItemTable(ordered, titles, {}, {}, [[] for _ in ordered])
    made.add("id", "id", ordered)
    made.add("title", "title", titles)
    return made


def _pieces(text: str) -> list[str]:
    return [part for part in re.split(r"([0-9]+)", text) if part]


def read_columns(source: str) -> tuple[list[int], list[Column]]:
    """All columns of a table of items, ``csv:FILE`` or ``parquet:FILE``, and the numbers of its rows.

    A DataError where there is no table or no row.
    """
    kind, _, path = source.partition(":")
    rows: list[int] = []
    cells: dict[str, list[str]] = {}
    with closing(_rows(kind, path)) as read:
        for row, values in read:
            rows.append(row)
            for name, value in values.items():
                cells.setdefault(name, []).append(_written(value))
    if not rows:
        raise DataError(path, "has no rows, only a header line")
    return rows, [Column.of(name, column) for name, column in cells.items()]


def _rows(kind: str, path: str) -> Generator[tuple[int, dict[str, Any]], None, None]:
    what = "a table of items"
    if kind == "parquet":
        yield from parquet_rows(existing_file(path, what), path, list)
    else:
        with closing(read_csv(Path(path).expanduser(), what)) as rows:
            yield from rows


def _written(value: Any) -> str:
    """A value of any column as a CSV file has it."""
    if isinstance(value, list | tuple):
        return json.dumps([str(one) for one in value if one is not None], ensure_ascii=False)
    return str(value).strip() if isinstance(value, str) else cell_text(value)


def make_items(
    path: str,
    rows: Sequence[int],
    columns: Sequence[Column],
    chosen: ItemColumns,
    words: Collection[str],
    log: Collection[str],
) -> ItemTable:
    """The items of a table.

    Args:
        path: what messages call the table.
        chosen: what is not to be guessed.
        words: what items are called, such as "game" and "games".
        log: identifiers of items in a log.

    Raises:
        DataError: a column that is named is not there, no column can be the identifier, or a cell is wrong.
    """
    names = [one.name for one in columns]
    for name in (*filter(None, chosen.roles.values()), *chosen.kinds):
        if name not in names:
            raise DataError(path, f"no such column; the table has: {', '.join(names[:50])}", field=name)
    roles = dict(chosen.roles)
    item_roles([one for one in columns if one.name not in chosen.kinds], roles, words, log)
    by_name = {one.name: one for one in columns}
    made = ItemTable([], [], {}, {}, [])
    titles = by_name.get(roles.get("title", ""))
    ids = by_name.get(roles.get("id", ""))
    if ids is None and titles is not None and titles.unique:
        ids = titles
    if ids is None:
        problem = f"no column has an id of its own in every row; the table has: {', '.join(names[:50])}. Name it: "
        raise DataError(path, f"{problem}--item-columns id=NAME")
    _take_ids(made, path, rows, ids)
    _take_titles(made, titles, ids)
    kinds = {"public_rating": "number", "public_count": "whole", "categories": "names"}
    for role in ("year", "collection", "description", "public_rating", "public_count", "categories"):
        column = by_name.get(roles.get(role, ""))
        if column is None:
            continue
        if role == "year":
            made.add(role, column.name, _years(made, column))
        else:
            made.add(role, column.name, _cells(path, rows, column, kinds.get(role, "text")))
        if role == "categories":
            made.categories = [[name.lower() for name in names] for names in _names(path, rows, column)]
    _add_fields(made, path, rows, columns, roles, chosen.kinds)
    _describe(made, columns, roles, chosen.kinds)
    for name in Item.model_fields:
        if name not in made.columns and plain(name) in {plain(one) for one in names}:
            made.columns[name] = field_name(f"own {name}", {*names, *made.columns.values()})
    return made


def _take_ids(made: ItemTable, path: str, rows: Sequence[int], ids: Column) -> None:
    cells = list(ids.cells)
    if all(map(_WHOLE_TEXT.fullmatch, cells)):
        cells = [cell.partition(".")[0] for cell in cells]
    unique = UniqueIds(path, ids.name, "id")
    for row, cell in zip(rows, cells, strict=True):
        if not cell:
            raise DataError(path, "an item without an id; give it one", row=row, field=ids.name)
        unique.add(cell, row)
    made.ids, made.categories = cells, [[] for _ in cells]


def _take_titles(made: ItemTable, titles: Column | None, ids: Column) -> None:
    if titles is None:
        made.titles = list(made.ids)
    else:
        made.titles = [title or one for title, one in zip(titles.written, made.ids, strict=True)]
        if missing := sum(not title for title in titles.written):
            made.notes.append(f"{missing:,} items without a title have their id as title.")
    # One column cannot be two fields of a file.
    both = titles is None or titles is ids
    made.add("id", "id" if both and titles is ids else ids.name, made.ids)
    made.add("title", titles.name if titles is not None else "title", made.titles)


def _years(made: ItemTable, column: Column) -> list[str]:
    made.dates = column.kind != "whole"
    if not made.dates:
        return [str(int(float(cell))) if cell else "" for cell in column.cells]
    years = [year_in(cell) for cell in column.cells]
    if missing := sum(year is None for year, cell in zip(years, column.cells, strict=True) if cell):
        made.notes.append(f"{missing:,} cells of the column {column.name!r} have no year, which is not known then.")
    return ["" if year is None else str(year) for year in years]


def _add_fields(
    made: ItemTable,
    path: str,
    rows: Sequence[int],
    columns: Sequence[Column],
    roles: Mapping[str, str],
    kinds: Mapping[str, str],
) -> None:
    used = {one for role, one in roles.items() if role != "creators"}
    for column in columns:
        kind = kinds.get(column.name) or ("names" if roles.get("creators") == column.name else column.kind)
        if column.name in used or kind in ("", LEAVE):
            continue
        name = field_name(column.name, made.cells)
        cells = _cells(path, rows, column, kind)
        numbers = [float(cell) for cell in cells if cell] if kind in ("whole", "number") else []
        made.fields.append(NewField(name, kind, column.name, (min(numbers), max(numbers)) if numbers else None))
        made.add(name, column.name, cells)
        if roles.get("creators") == column.name:
            made.creators, made.creators_word = name, column.name.lower()


def _cells(path: str, rows: Sequence[int], column: Column, kind: str) -> list[str]:
    """The cells of a column as a file of items has them."""
    if kind == "names":
        return _lists(_names(path, rows, column))
    if kind == "text":
        return list(column.cells)
    return [cell and _cell(path, row, column.name, cell, kind) for row, cell in zip(rows, column.cells, strict=True)]


def _cell(path: str, row: int, column: str, cell: str, kind: str) -> str:
    advice = f"text={column} takes the column as text, {LEAVE}={column} leaves it out"
    if kind == "boolean":
        if cell.lower() not in _BOOLEAN:
            raise DataError(path, f"expected true or false, got {shortened(cell)}; {advice}", row=row, field=column)
        return _BOOLEAN[cell.lower()]
    try:
        value = number(cell, path, row, column)
    except DataError as error:
        raise DataError(path, f"expected a number, got {shortened(cell)}; {advice}", row=row, field=column) from error
    if kind == "number":
        return repr(value)
    if value != int(value):
        raise DataError(path, f"expected a whole number, got {shortened(cell)}; {advice}", row=row, field=column)
    return str(int(cell) if cell.lstrip("+-").isdigit() else int(value))


def _names(path: str, rows: Sequence[int], column: Column) -> list[list[str]]:
    """The names in each cell."""
    read = (
        list_of_names(cell, path, row, column.name, column.separator)
        for row, cell in zip(rows, column.cells, strict=True)
    )
    return [[name.strip() for name in names if known_text(name.strip())] for names in read]


def _lists(names: Sequence[Sequence[str]]) -> list[str]:
    """Lists as cells: between bars where no name may be taken for anything else, else as JSON."""
    if all(_SAFE_NAME.fullmatch(name) and known_text(name) for one in names for name in one):
        return ["|".join(one) for one in names]
    return [json.dumps(list(one), ensure_ascii=False) if one else "" for one in names]


def _describe(made: ItemTable, columns: Sequence[Column], roles: Mapping[str, str], kinds: Mapping[str, str]) -> None:
    fields = {one.column: one for one in made.fields}
    for column in columns:
        mine = [role for role, name in roles.items() if name == column.name]
        if column.name == made.columns["title"] and "id" not in roles:
            mine = ["id", *mine]
        if column.name in fields:
            one = fields[column.name]
            about = f"{one.kind}, the field {one.name}"
            if one.ends:
                about += f", {one.ends[0]:.6g} to {one.ends[1]:.6g}"
            if mine:
                about = f"creators, the field {one.name}"
            elif column.name not in kinds and (hint := _nearly(column)):
                about += f" ({hint})"
        elif mine:
            about = " and ".join(mine)
            if mine[0] == "categories":
                about += f", {len({name for names in made.categories for name in names}):,} different"
            if mine[0] == "year" and made.dates:
                about += " of a date"
        else:
            about = "left out" if column.name in kinds else "left out: no cell is filled"
            made.left_out.append(column.name)
        made.shown.append((column.name, about, column.example()))


def _nearly(column: Column) -> str:
    """What speaks against a column of numbers, where few cells do."""
    others = [cell for cell in column.filled if not is_number(cell)]
    if column.kind != "text" or not 0 < 20 * len(others) <= len(column.filled):
        return ""
    return f"{len(others):,} cells are no numbers, such as {shortened(others[0])}"
