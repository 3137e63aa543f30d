"""PackedItems: many items as columns of arrays, of which objects are made when they are looked at."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from emosim_core.model.arrays import Flags
from emosim_core.model.item import Item

LARGE = 10_000
"""From so many items on, what can be made again is kept on disk and mapped into memory."""

_BLOCK = 4096
"""Items that are made at once where all are looked at."""

_FIELDS = "fields_set"
_MAX_FIELDS = 63


class _Unpackable(Exception):
    """A column holds values of other types than numbers, texts and names."""


class _Column(ABC):
    """Values of one field; ``known`` says which are not None."""

    def __init__(self, known: Flags | None) -> None:
        self.known = known

    def part(self, start: int, stop: int) -> list[Any]:
        """The values of consecutive items."""
        values = self._part(start, stop)
        if self.known is None:
            return values
        return [value if known else None for value, known in zip(values, self.known[start:stop].tolist(), strict=True)]

    def arrays(self) -> dict[str, NDArray]:
        """The arrays that it consists of, by name."""
        arrays = self._arrays()
        return arrays if self.known is None else {**arrays, "known": self.known}

    @abstractmethod
    def _part(self, start: int, stop: int) -> list[Any]: ...

    @abstractmethod
    def _arrays(self) -> dict[str, NDArray]: ...


class _Numbers(_Column):
    """Whole numbers, numbers or truth values; those that are not known are 0."""

    def __init__(self, values: NDArray, known: Flags | None) -> None:
        super().__init__(known)
        self._values = values

    def _part(self, start: int, stop: int) -> list[Any]:
        return self._values[start:stop].tolist()

    def _arrays(self) -> dict[str, NDArray]:
        return {"values": self._values}


class _Texts(_Column):
    """Texts in UTF-8, one after the other; ``ends`` has N + 1 places between them."""

    def __init__(self, text: NDArray[np.uint8], ends: NDArray[np.int64], known: Flags | None) -> None:
        super().__init__(known)
        self._text, self._ends = text, ends

    @classmethod
    def of(cls, values: Iterable[str], known: Flags | None) -> _Texts:
        encoded = [value.encode("utf-8", "surrogatepass") for value in values]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), ends, known)

    def _part(self, start: int, stop: int) -> list[Any]:
        ends = self._ends[start : stop + 1]
        text, first = self._text[ends[0] : ends[-1]].tobytes(), int(ends[0])
        return [text[a:b].decode("utf-8", "surrogatepass") for a, b in pairwise((ends - first).tolist())]

    def _arrays(self) -> dict[str, NDArray]:
        return {"text": self._text, "ends": self._ends}


class _NameLists(_Column):
    """Tuples of names, as numbers of a table of all different names."""

    def __init__(
        self, codes: NDArray[np.int32], ends: NDArray[np.int64], names: _Texts, count: int, known: Flags | None
    ) -> None:
        super().__init__(known)
        self._codes, self._ends, self._table = codes, ends, names
        self.names: list[str] = names.part(0, count)

    @classmethod
    def of(cls, values: Sequence[tuple[str, ...]], known: Flags | None) -> _NameLists:
        numbers: dict[str, int] = {}
        codes = [numbers.setdefault(name, len(numbers)) for value in values for name in value]
        if not all(type(name) is str for name in numbers):
            raise _Unpackable
        ends = np.cumsum([0, *map(len, values)], dtype=np.int64)
        return cls(np.array(codes, dtype=np.int32), ends, _Texts.of(numbers, None), len(numbers), known)

    def _part(self, start: int, stop: int) -> list[Any]:
        ends = self._ends[start : stop + 1]
        first = int(ends[0])
        names = list(map(self.names.__getitem__, self._codes[first : ends[-1]].tolist()))
        return [tuple(names[a:b]) for a, b in pairwise((ends - first).tolist())]

    def _arrays(self) -> dict[str, NDArray]:
        table = self._table.arrays()
        return {"codes": self._codes, "ends": self._ends, "names": table["text"], "name_ends": table["ends"]}

    def flags(self, names: Sequence[str]) -> Flags:
        """Which item has which of ``names``, shape ``(N, len(names))``."""
        column = {name: j for j, name in enumerate(names)}
        place = np.array([column.get(name, -1) for name in self.names] or [-1])[self._codes]
        rows = np.repeat(np.arange(len(self._ends) - 1), np.diff(self._ends))
        flags = np.zeros((len(self._ends) - 1, len(names)), dtype=np.bool_)
        flags[rows[place >= 0], place[place >= 0]] = True
        return flags


_NUMBERS = {int: np.int64, float: np.float64, bool: np.bool_}


def _column_of(values: Sequence[Any]) -> _Column:
    types = {type(value) for value in values}
    known = None
    if type(None) in types:
        types.discard(type(None))
        known = np.array([value is not None for value in values])
    only = types.pop() if types else str
    if types:
        raise _Unpackable
    if only in _NUMBERS:
        return _Numbers(np.array([only(0) if value is None else value for value in values], _NUMBERS[only]), known)
    if only is str:
        return _Texts.of(("" if value is None else value for value in values), known)
    if only is tuple:
        return _NameLists.of([() if value is None else value for value in values], known)
    raise _Unpackable


def _column_from(arrays: Mapping[str, NDArray]) -> _Column:
    known = arrays.get("known")
    if "values" in arrays:
        return _Numbers(arrays["values"], known)
    if "text" in arrays:
        return _Texts(arrays["text"], arrays["ends"], known)
    names = _Texts(arrays["names"], arrays["name_ends"], None)
    return _NameLists(arrays["codes"], arrays["ends"], names, len(arrays["name_ends"]) - 1, known)


class PackedItems(Sequence[Item]):
    """Items of one type as columns of arrays, which may be mapped from a file. N items.

    An object is made whenever an item is looked at, equal to the one that was packed. What needs one field of all
    items takes :func:`values_of`.

    Args:
        item_type: the type of all items.
        arrays: what :meth:`arrays` gave.
        sha256: what :func:`sha256_of` gave for the items.
    """

    def __init__(self, item_type: type[Item], arrays: Mapping[str, NDArray], sha256: str) -> None:
        self.item_type, self.sha256 = item_type, sha256
        self._given = arrays[_FIELDS]
        self._columns: dict[str, _Column] = {}
        self._names = tuple(item_type.model_fields)
        for name in self._names:
            start = f"{name}."
            mine = {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}
            self._columns[name] = _column_from(mine)

    @classmethod
    def of(cls, items: Sequence[Item]) -> PackedItems | None:
        """Pack items; None where they cannot be: of several types, or with other values than numbers, texts and names.

        ``items`` are at least one.
        """
        kind = type(items[0])
        names = tuple(kind.model_fields)
        if len(names) > _MAX_FIELDS or any(type(item) is not kind for item in items):
            return None
        bit = {name: 1 << place for place, name in enumerate(names)}
        given = np.array([sum(map(bit.__getitem__, item.model_fields_set)) for item in items], dtype=np.int64)
        arrays: dict[str, NDArray] = {_FIELDS: given}
        try:
            for name in names:
                column = _column_of([getattr(item, name) for item in items])
                arrays |= {f"{name}.{part}": array for part, array in column.arrays().items()}
            packed = cls(kind, arrays, "")
        except (_Unpackable, OverflowError):
            return None
        if any(item != other for item, other in zip(items, packed, strict=True)):
            return None  # they hold more than their fields
        packed.sha256 = sha256_of(items)
        return packed if sha256_of(packed) == packed.sha256 else None

    def arrays(self) -> dict[str, NDArray]:
        """All arrays by name, such as ``title.text``."""
        columns = {
            f"{name}.{part}": array for name, one in self._columns.items() for part, array in one.arrays().items()
        }
        return {_FIELDS: self._given, **columns}

    def __len__(self) -> int:
        return len(self._given)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = int(index) + len(self) if index < 0 else int(index)
        if not 0 <= place < len(self):
            raise IndexError(f"no item {index} of {len(self):,}")
        return next(self._made(place, place + 1))

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, len(self), _BLOCK):
            yield from self._made(start, min(start + _BLOCK, len(self)))

    def _made(self, start: int, stop: int) -> Iterator[Item]:
        rows = zip(*(self._columns[name].part(start, stop) for name in self._names), strict=True)
        for given, row in zip(self._given[start:stop].tolist(), rows, strict=True):
            fields = {name for place, name in enumerate(self._names) if given >> place & 1}
            yield self.item_type.model_construct(fields, **dict(zip(self._names, row, strict=True)))

    def values(self, name: str) -> list[Any]:
        """The values of one field or property of all items."""
        if name in self._columns:
            return self._columns[name].part(0, len(self))
        return [getattr(item, name) for item in self]

    def name_table(self, name: str) -> _NameLists | None:
        """The column of a field of names; None where it is none or an item has None."""
        column = self._columns.get(name)
        return column if isinstance(column, _NameLists) and column.known is None else None


def values_of(items: Sequence[Item], name: str) -> list[Any]:
    """The values of a field or property of all items, such as ``title``."""
    return items.values(name) if isinstance(items, PackedItems) else [getattr(item, name) for item in items]


def of_each_type(items: Sequence[Item]) -> Sequence[Item]:
    """Items among which every type of item is; of packed ones, which have one type, the first."""
    return items[:1] if isinstance(items, PackedItems) else items


def sha256_of(objects: Iterable[BaseModel]) -> str:
    """SHA-256 of items or users in their order, with all their fields."""
    made = hashlib.sha256()
    for one in objects:
        made.update(one.model_dump_json().encode())
    return made.hexdigest()
