"""Items from a CSV file: one column per field of a domain's item."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar, get_origin

from pydantic import Field

from emosim_core.data.cells import known_text, plain_text
from emosim_core.data.embeddings import load_vectors
from emosim_core.data.formats import Format
from emosim_core.data.kept_items import kept_items
from emosim_core.data.lists import LIST_FORMS, list_of_names, list_separator
from emosim_core.data.tables import UniqueIds, checked, read_csv
from emosim_core.errors import DataError
from emosim_core.model.domain import Domain
from emosim_core.model.frozen import Frozen, option
from emosim_core.model.item import Item
from emosim_core.model.loader import CatalogSetting, ItemLoader, LoadedItems

AnyItem = TypeVar("AnyItem", bound=Item)


class CsvItemsOptions(Frozen):
    """Options of :class:`CsvItems`."""

    path: Path = Field(
        description="A CSV file with a header line; the columns id and title must be there, lists are written "
        f"{LIST_FORMS}."
    )
    embeddings: Path | None = option(None, "A .npy file with one embedding per item, in the order of the rows.")
    embedding_name: str = option("", "What made the embeddings; the name of their file where empty.")


class DomainItems(ItemLoader):
    """Base of the loaders that read the item of any domain; :attr:`domain` is known once it is prepared."""

    _domain: Domain | None = None

    def prepare(self, setting: CatalogSetting) -> None:
        self._domain = setting.domain

    @property
    def domain(self) -> Domain:
        """The domain in use."""
        if self._domain is None:
            raise RuntimeError("prepare() must be called before load()")
        return self._domain


class CsvItems(DomainItems):
    """Items from a CSV file: one column for each field of the domain's item, named as in :attr:`Domain.columns`.

    Embeddings may come from a ``.npy`` file.
    """

    def __init__(self, options: CsvItemsOptions) -> None:
        self.options = options

    def load(self) -> LoadedItems:
        """Read the items; a DataError names file, row and column of what is missing or malformed."""
        items = kept_items(self.options.path, self.domain, self._read)
        where = self.options.embeddings
        if where is None:
            return LoadedItems(items, source=str(self.options.path))
        vectors, sha256 = load_vectors(where, len(items))
        return LoadedItems(
            items,
            vectors,
            self.options.embedding_name or Path(where.name.removesuffix(".gz")).stem,
            str(self.options.path),
            embeddings_sha256=sha256,
        )

    def _read(self) -> Sequence[Item]:
        domain = self.domain
        return read_items_csv(
            self.options.path, domain.item_type, domain.columns, domain.words.items, domain.left_out_columns
        )


def csv_formats(domain: Domain) -> tuple[Format, ...]:
    """The format that :class:`CsvItems` reads in a domain."""
    columns = _columns(domain.item_type, domain.columns)
    required, known = (columns["id"], columns["title"]), (*columns.values(), *domain.left_out_columns)
    return (Format(f"a CSV file of {domain.words.items}", columns=required, known=known),)


def read_items_csv(
    path: str | os.PathLike[str],
    item_type: type[AnyItem],
    columns: Mapping[str, str] | None = None,
    items_word: str = "items",
    left_out: Collection[str] = (),
) -> list[AnyItem]:
    """The items of a table with a header line. Every field has a column; ``id`` and ``title`` must be there.

    Lists are written in any form that :func:`emosim_core.data.lists.list_of_names` reads.
    An empty cell leaves a field at its default, as does one that says that nothing is known ("nan", "NULL"), but for
    the title, which may be so. Entities of HTML in texts become what they stand for.

    Args:
        columns: by field, the column that holds it, where the two names differ.
        items_word: the domain's word for items, for messages.
        left_out: columns that are not read.

    Returns:
        The items in the order of the file; at least one.

    Raises:
        DataError: the file is missing, has no item or an unknown column, a value is wrong, or an id stands twice;
            names file, row and column.
    """
    named = _columns(item_type, columns or {})
    fields = {column: field for field, column in named.items()}
    lists = {named[field] for field, about in item_type.model_fields.items() if get_origin(about.annotation) is tuple}
    required = (named["id"], named["title"])
    with closing(read_csv(path, f"a CSV file of {items_word}", required, columns=list(fields))) as reader:
        rows = list(reader)
    if not rows:
        raise DataError(path, f"has no {items_word}, only a header line")
    for column in rows[0][1]:
        if column not in fields and column not in left_out:
            near = difflib.get_close_matches(column.lower(), fields, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(path, f"unknown column; {hint}Known: {', '.join(fields)}", row=1, field=column)
    separators = {
        column: list_separator(cells[column] for _, cells in rows) for column in rows[0][1] if column in lists
    }
    items: list[AnyItem] = []
    ids = UniqueIds(path, named["id"], "id")
    exact = {named[field] for field, about in item_type.model_fields.items() if about.is_required()}
    texts = [(column, fields[column], column in exact) for column in rows[0][1] if column in fields.keys() - lists]
    for row, cells in rows:
        values: dict[str, Any] = {
            fields[column]: list_of_names(cells[column], path, row, column, separator)
            for column, separator in separators.items()
            if cells[column]
        }
        for column, field, as_it_is in texts:
            cell = cells[column]
            if cell and (as_it_is or known_text(cell)):
                values[field] = plain_text(cell) if "&" in cell and field != "id" else cell
        item = checked(item_type, values, path, row, named)
        ids.add(item.id, row)
        items.append(item)
    return items


def _columns(item_type: type[Item], columns: Mapping[str, str]) -> dict[str, str]:
    """The column of every field of an item."""
    return {field: columns.get(field, field) for field in item_type.model_fields}
