"""Logs of real users in tables of any names: who took which item, how it was rated and when."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from emosim_core.data.cells import known_text, number, shortened
from emosim_core.data.parquet_rows import parquet_rows
from emosim_core.data.places import existing_file, open_table
from emosim_core.data.tables import read_csv
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model import Item, LoadedRatings, RatingScale
from emosim_core.terminal import counted

FORMATS = ("csv", "parquet")
"""Kinds of tables: ``csv:FILE`` and ``parquet:FILE`` are logs."""

_USUAL = {
    "user": ("user", "userid", "reader", "readerid", "customerid", "reviewerid", "uid"),
    "item": ("item", "itemid", "movieid", "filmid", "bookid", "productid", "iid"),
    "rating": ("rating", "score", "stars"),
    "time": ("time", "timestamp", "datetime", "date"),
}
"""What columns are usually called, in lower case without separators."""

_SEPARATORS = re.compile(r"[\s_\-]+")
_SCALE = re.compile(r"(-?\d+(?:\.\d+)?)(?:-|\.\.)(-?\d+(?:\.\d+)?)")
_NUMBERED = re.compile(r"(?:[A-Za-z]+[-_:])?0*(\d{1,18})(?:\.0+)?")
_TIME = "a time in seconds or milliseconds since 1970, or such as 2024-05-31T18:30:00"


@dataclass(frozen=True)
class LogColumns:
    """Which columns of a log hold what.

    Attributes:
        named: by ``user``, ``item``, ``rating`` or ``time``, the name of its column, or empty where it is left out.
        scale: the worst and the best rating in the file; None where it has the domain's scale.
        words: by ``user`` or ``item``, what the domain calls one: a column of this name is taken where none has a usual
            name.
    """

    named: Mapping[str, str]
    scale: tuple[float, float] | None = None
    words: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> LogColumns:
        """What ``user=NAME,item=NAME,rating=NAME,time=NAME,scale=LOW-HIGH`` says, each of which may be left out.

        A ConfigurationError names the part that cannot be read.
        """
        example = "columns are named as in user=uid,item=movie,rating=stars,time=at,scale=1-5"
        named: dict[str, str] = {}
        for part in filter(None, text.split(",")):
            field, equals, name = (piece.strip() for piece in part.partition("="))
            if not equals or field not in (*_USUAL, "scale") or field in named:
                raise ConfigurationError(f"cannot read {part!r}: {example}; rating= leaves the rating out")
            named[field] = name
        if any(named.get(field) == "" for field in ("user", "item", "scale")):
            raise ConfigurationError(f"a log needs a user and an item: {example}")
        scale = named.pop("scale", None)
        if scale is None:
            return cls(named)
        match = _SCALE.fullmatch(scale)
        low, high = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
        if low >= high:
            raise ConfigurationError(f"cannot read scale={scale}: write the worst and the best rating, as in scale=1-5")
        return cls(named, (low, high))

    def matched(self, names: Sequence[str], path: str) -> dict[str, str]:
        """The column of each field that the file has; a DataError where one is missing that is needed or named."""
        alike = {_SEPARATORS.sub("", name).casefold(): name for name in reversed(names)}
        matched = {}
        for what, usual in _USUAL.items():
            name = self.named.get(what)
            called = (*usual, _SEPARATORS.sub("", self.words.get(what, "")).casefold())
            column = next((alike[one] for one in called if one in alike), "") if name is None else name
            if (name and name not in names) or (not column and what in ("user", "item")):
                problem = f"no column holds the {what}; the file has: {', '.join(names[:50])}. Name it: "
                raise DataError(path, f"{problem}--columns {what}=NAME", field=name)
            if column:
                matched[what] = column
        return matched


def read_log(
    source: str, items: Sequence[Item], scale: RatingScale, columns: LogColumns | None = None
) -> LoadedRatings:
    """The log in a table; of several ratings of one item by one user the last counts.

    Rows of items that are not among ``items`` are left out and counted in ``notes``. An item is known by its id, or by
    the number in it where only one item has that number: 862, 862.0 and ml-862 are one.

    Args:
        source: ``csv:FILE``, or ``parquet:FILE``.
        scale: the scale that the ratings are put on.
        columns: what the columns are called; where it does not say, their usual names are looked for. Numbers from 1
            stand for the columns of a file without a header line.

    Raises:
        ConfigurationError: the columns cannot be read.
        DataError: a file, row or field is wrong, or most ratings are of unknown items; says what to write.
        MissingDependencyError: a Parquet file, and pyarrow is not installed.
    """
    kind, _, path = source.partition(":")
    columns = columns or LogColumns({})
    place_of = item_lookup(items)
    users: list[str] = []
    places, values, times = array("q"), array("d"), array("d")
    unknown: Counter[str] = Counter()
    first_unknown: tuple[int, str] | None = None
    matched: dict[str, str] = {}
    unit = ""
    with closing(log_rows(kind, path, columns)) as rows:
        for row, cells in rows:
            matched = matched or columns.matched(list(cells), path)
            user, item = (cell_text(cells[matched[field]]) for field in ("user", "item"))
            for field, text in (("user", user), ("item", item)):
                if not text:
                    raise DataError(path, "is empty", row=row, field=matched[field])
            rating = _rating(cells, matched, columns, scale, path, row) if "rating" in matched else 0.0
            time = 0.0
            if "time" in matched:
                time, of_row = parsed_time(cell_text(cells[matched["time"]]), path, row, matched["time"])
                unit = unit or of_row
                if of_row != unit:
                    problem = f"is in {of_row} where earlier rows are in {unit}; write all in one of these"
                    raise DataError(path, problem, row=row, field=matched["time"])
            place = place_of(item)
            if place < 0:
                unknown[item] += 1
                first_unknown = first_unknown or (row, item)
                continue
            users.append(user)
            places.append(place)
            values.append(rating)
            times.append(time)
    read = len(users) + unknown.total()
    if not read:
        raise DataError(path, "has no rows")
    if first_unknown and len(users) <= unknown.total():
        row, item = first_unknown
        problem = f"no item has the id {shortened(item)}, and {unknown.total():,} of {read:,} rows are of unknown items"
        raise DataError(path, f"{problem}; name the source of the items: --items", row=row, field=matched["item"])
    log = LoadedRatings(
        users,
        np.array(places, dtype=np.intp),
        np.array(values) if "rating" in matched else None,
        np.array(times) if "time" in matched else None,
    )
    _check_varied(log, path, matched)
    notes = []
    if unknown:
        notes.append(f"{path}: left out {unknown.total():,} of {read:,} rows, of {len(unknown):,} unknown items.")
    return _last_only(replace(log, notes=notes), path)


def _check_varied(log: LoadedRatings, path: str, matched: Mapping[str, str]) -> None:
    if len(set(log.user_ids)) < 2:
        raise DataError(path, f"holds one user ({log.user_ids[0]!r}); give a log of several", field=matched["user"])
    if log.values is not None and np.ptp(log.values) == 0:
        problem = "all ratings are the same, so they say only what was taken; leave them out: --columns rating="
        raise DataError(path, problem, field=matched["rating"])


def _last_only(log: LoadedRatings, path: str) -> LoadedRatings:
    """The last of the ratings of one item by one user: by time, then by row."""
    order = np.arange(len(log.items)) if log.times is None else np.argsort(log.times, kind="stable")
    last = {(log.user_ids[row], int(log.items[row])): int(row) for row in order}
    if len(last) == len(order):
        return log
    keep = np.array(sorted(last.values()))
    values, times = (None if one is None else one[keep] for one in (log.values, log.times))
    again = counted(len(order) - len(keep), "rating")
    note = f"{path}: {again} of an item by a user who rates it again; the last counts."
    users = [log.user_ids[row] for row in keep.tolist()]
    return LoadedRatings(users, log.items[keep], values, times, log.user_written_fields, [*log.notes, note])


def log_rows(
    kind: str, path: str, columns: LogColumns, every: bool = False
) -> Generator[tuple[int, dict[str, Any]], None, None]:
    """The rows of a log as (row, values by column); of a Parquet file the columns that are needed, or ``every`` one."""
    if kind == "parquet":
        place = existing_file(Path(path).expanduser(), "a Parquet file of ratings")

        def chosen(names: list[str]) -> list[str]:
            if every:
                return names
            return list(dict.fromkeys(columns.matched(names, path).values()))

        yield from parquet_rows(place, path, chosen)
        return
    how: dict[str, Any] = {}
    names = [name for name in columns.named.values() if name]
    if names and all(name.isascii() and name.isdigit() for name in names):
        with open_table(Path(path).expanduser(), "a table of ratings") as stream:
            line = stream.readline(1 << 16).decode("utf-8", "replace")
        delimiter = next((one for one in ("::", "\t", ";", "|", ",") if one in line), ",")
        header = [str(1 + place) for place in range(line.count(delimiter) + 1)]
        how = {"header": header, "delimiter": delimiter, "quote": None if delimiter in ("::", "\t") else '"'}
    with closing(read_csv(Path(path).expanduser(), "a CSV file of ratings", columns=names, held=False, **how)) as rows:
        yield from rows


def cell_text(value: Any) -> str:
    """A value of any column as text; empty where nothing is known."""
    return "" if value is None or value != value else known_text(str(value).strip())


def _rating(
    cells: Mapping[str, Any], matched: Mapping[str, str], columns: LogColumns, scale: RatingScale, path: str, row: int
) -> float:
    field = matched["rating"]
    low, high = columns.scale or (scale.low, scale.high)
    value = number(cell_text(cells[field]), path, row, field)
    if not low <= value <= high:
        better = "correct it" if columns.scale else "name the scale of the file, as in --columns scale=0-100"
        raise DataError(path, f"{value:g} is no rating of {low:g} to {high:g}; {better}", row=row, field=field)
    return scale.low + (value - low) * scale.span / (high - low)


def parsed_time(text: str, path: str, row: int, field: str) -> tuple[float, str]:
    """Seconds since 1970, and in what the time is written."""
    try:
        value = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
        except ValueError:
            raise DataError(path, f"expected {_TIME}, got {shortened(text)}", row=row, field=field) from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp(), "dates"
    if 1e8 <= value < 1e11:
        return value, "seconds"
    if 1e11 <= value < 1e14:
        return value / 1000, "milliseconds"
    problem = f"expected {_TIME}, got {shortened(text)}; --columns time= leaves times out"
    raise DataError(path, problem, row=row, field=field)


def number_in(text: str) -> str:
    """The number in an identifier; empty where it is more than a word and a number."""
    match = _NUMBERED.fullmatch(text)
    return match[1] if match else ""


def item_lookup(items: Sequence[Item]) -> Callable[[str], int]:
    """What finds an item by its id, or by the number in it where no other item has that number; -1 where none is it."""
    counts = Counter(number_in(item.id) for item in items)
    numbers = {text: place for place, item in enumerate(items) if counts[text := number_in(item.id)] == 1 and text}
    index = {item.id: place for place, item in enumerate(items)}

    def place_of(text: str) -> int:
        place = index.get(text)
        return numbers.get(number_in(text), -1) if place is None else place

    return place_of


def joined(log: LoadedRatings, own: Sequence[Item], items: Sequence[Item], source: str) -> LoadedRatings:
    """A log of the items ``own``, of those of ``items`` that are the same; a DataError where most are not."""
    place_of = item_lookup(items)
    places = np.array([place_of(one.id) for one in own], dtype=np.intp)[log.items]
    known = np.flatnonzero(places >= 0)
    if 2 * len(known) <= len(places):
        problem = f"{len(places) - len(known):,} of {len(places):,} ratings are of unknown items"
        raise DataError(source, f"{problem}; name the source of the items: --items")
    values, times = (None if one is None else one[known] for one in (log.values, log.times))
    notes = list(log.notes)
    if len(known) < len(places):
        notes.append(f"{source}: left out {len(places) - len(known):,} of {len(places):,} ratings, of unknown items.")
    users = [log.user_ids[row] for row in known.tolist()]
    return LoadedRatings(users, places[known], values, times, log.user_written_fields, notes)
