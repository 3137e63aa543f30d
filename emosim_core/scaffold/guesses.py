"""Guesses: what the columns of a table hold, recognized by their names and cells."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from emosim_core.data.cells import is_number, known_text
from emosim_core.data.lists import list_of_names, list_separator
from emosim_core.data.logs import number_in, parsed_time
from emosim_core.errors import DataError
from emosim_core.model import Item

KINDS = ("text", "whole", "number", "boolean", "names")
"""Kinds of the fields that a domain adds to an item."""

NAMES_OF_ITEMS = {
    "id": ("id", "itemid", "key", "code", "sku", "asin", "slug", "appid", "productid", "uid"),
    "title": ("title", "name", "label", "primaryname", "primarytitle", "itemname", "headline"),
    "categories": ("categories", "category", "genres", "genre", "tags", "types", "type", "topics", "subjects", "kind"),
    "description": ("description", "summary", "about", "overview", "abstract", "plot", "synopsis", "text", "blurb"),
    "year": (
        *("year", "yearpublished", "releaseyear", "publicationyear", "originalpublicationyear", "released"),
        *("releasedate", "published", "publicationdate", "pubdate", "dateofrelease", "date"),
    ),
    "creators": (
        *("creators", "creator", "makers", "maker", "authors", "author", "artists", "artist", "developers"),
        *("developer", "designers", "designer", "studio", "studios", "director", "directors", "brand", "publisher"),
    ),
    "collection": ("collection", "series", "franchise", "album"),
    "public_rating": (
        *("publicrating", "averagerating", "avgrating", "meanrating", "ratingaverage", "ratingmean", "rating"),
        *("score", "voteaverage", "stars", "userscore"),
    ),
    "public_count": (
        *("publiccount", "numratings", "ratingscount", "ratingcount", "usersrated", "votecount", "votes", "numvotes"),
        *("reviewcount", "reviews"),
    ),
}
"""By field of an item, what its column is often called, in lower case without separators; the likeliest first."""

NAMES_OF_LOGS = {
    "user": (
        *("user", "userid", "username", "player", "playerid", "customer", "customerid", "reader", "readerid", "member"),
        *("memberid", "visitor", "visitorid", "reviewer", "reviewerid", "account", "accountid", "person", "personid"),
        *("viewer", "viewerid", "listener", "listenerid", "client", "clientid", "uid", "who"),
    ),
    "item": (
        *("item", "itemid", "product", "productid", "movieid", "movie", "filmid", "film", "bookid", "book", "songid"),
        *("song", "trackid", "track", "gameid", "game", "article", "articleid", "asin", "isbn", "sku", "iid", "appid"),
    ),
    "rating": ("rating", "ratings", "score", "stars", "grade", "mark", "vote", "value", "points"),
    "time": ("time", "timestamp", "datetime", "date", "at", "when", "createdat", "ratedat", "ts", "unixtime"),
}
"""The same for a log of ratings."""

_BOOLEANS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"}, {"0", "1"})
_WHOLE = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})(?:\.0+)?")
_YEAR = re.compile(r"(?<!\d)[12]\d{3}(?!\d)")
_LONG = 60
"""Characters that a text has on average which is a description rather than a title."""

_RESERVED = frozenset((*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *dir(Item), *Item.model_fields, "re"))
_DROPPED = re.compile(r"[^a-z0-9]+")


def plain(name: str) -> str:
    """A name of a column as names are compared: lower case, letters and digits alone."""
    return re.sub(r"[\W_]+", "", name).casefold()


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, its cells, empty where nothing is known, and the cells as they are written."""

    name: str
    cells: Sequence[str]
    written: Sequence[str] = ()

    @classmethod
    def of(cls, name: str, cells: Sequence[str]) -> Column:
        """A column of cells as they are written."""
        return cls(name, [known_text(cell) for cell in cells], cells)

    @cached_property
    def filled(self) -> list[str]:
        """The cells that are not empty."""
        return [cell for cell in self.cells if cell]

    @cached_property
    def distinct(self) -> set[str]:
        """The different cells."""
        return set(self.filled)

    @cached_property
    def keys(self) -> set[str]:
        """The different cells as identifiers are compared: by the number in them, where there is one."""
        return {number_in(cell) or cell for cell in self.distinct}

    @property
    def unique(self) -> bool:
        """Whether every row has a cell of its own."""
        return len(self.distinct) == len(self.cells)

    @cached_property
    def separator(self) -> str:
        """What is between names in its cells, as :func:`list_separator` says it."""
        return list_separator(self.filled)

    @cached_property
    def lists(self) -> list[list[str]] | None:
        """The names in each filled cell; None where some cell is no list of names."""
        try:
            return [list_of_names(cell, "", 0, self.name, self.separator) for cell in self.filled]
        except DataError:
            return None

    @cached_property
    def kind(self) -> str:
        """One of :data:`KINDS`, or empty where no cell is filled."""
        if not self.filled:
            return ""
        if len(self.distinct) == 2 and {cell.lower() for cell in self.distinct} in _BOOLEANS:
            return "boolean"
        if all(map(_WHOLE.fullmatch, self.filled)):
            return "whole"
        if all(is_number(cell) and not _leads_with_zero(cell) for cell in self.filled):
            return "number"
        return "names" if self._is_of_names() else "text"

    def _is_of_names(self) -> bool:
        """Whether the cells are lists whose names come again and again."""
        if not self.lists or not (self.separator or all(cell[0] in "[{(" for cell in self.filled)):
            return False
        counts = Counter(name for names in self.lists for name in names)
        several = sum(len(names) > 1 for names in self.lists)
        return bool(several) and 2 * len(counts) <= counts.total() and max(map(len, counts)) <= _LONG

    @property
    def length(self) -> float:
        """Characters of a filled cell on average."""
        return sum(map(len, self.filled)) / max(1, len(self.filled))

    @property
    def has_years(self) -> bool:
        """Whether most filled cells are years or dates."""
        years = sum(year_in(cell) is not None for cell in self.filled)
        return bool(self.filled) and 2 * years > len(self.filled) and self.length <= _LONG / 2

    @property
    def has_times(self) -> bool:
        """Whether all cells are times as a log has them."""
        try:
            units = {parsed_time(cell, "", 0, self.name)[1] for cell in self.filled}
        except DataError:
            return False
        return len(units) == 1

    @property
    def has_ratings(self) -> bool:
        """Whether the cells may be ratings: numbers, and not one for each row."""
        return self.kind in ("whole", "number", "boolean") and 2 * len(self.distinct) <= len(self.filled) + 10

    def example(self) -> str:
        """A few different cells."""
        return " | ".join(one if len(one) <= 20 else f"{one[:17]}..." for one in list(dict.fromkeys(self.filled))[:3])


def _leads_with_zero(cell: str) -> bool:
    return re.match(r"[+-]?0\d", cell) is not None


def year_in(cell: str) -> int | None:
    """The year of a year or a date in any usual form; None where there is none."""
    match = _YEAR.search(cell)
    return int(match[0]) if match else None


def log_roles(columns: Sequence[Column], named: dict[str, str], words: Collection[str], items: Column | None) -> None:
    """Add to ``named`` the columns of a log that are not named there, as far as they can be guessed.

    Args:
        words: what an item is called, such as "joke" and "jokes".
        items: the identifiers of a table of items.
    """
    usual = {**NAMES_OF_LOGS, "item": (*_with_id(words), *NAMES_OF_LOGS["item"])}
    for field in ("user", "item", "rating", "time"):
        rest = [one for one in columns if one.name not in named.values()]
        if field not in named and (match := _by_name(rest, usual[field])):
            named[field] = match.name
    rest = [one for one in columns if one.name not in named.values()]
    if "time" not in named and (times := next((one for one in rest if one.has_times), None)):
        named["time"] = times.name
        rest.remove(times)
    if "item" not in named and items is not None:
        ids = items.keys
        known = next((one for one in rest if 2 * len(one.keys & ids) > len(one.keys)), None)
        if known is not None:
            named["item"] = known.name
            rest.remove(known)
    needed = 2 - ("user" in named) - ("item" in named)
    # The identifiers come first in nearly every log.
    likely = next((one for one in reversed(rest) if one.has_ratings), None)
    if "rating" not in named and len(rest) > needed and likely is not None:
        named["rating"] = likely.name
        rest.remove(likely)
    texts = [one for one in rest if one.kind == "text"]
    likely_ids = texts if len(texts) == needed else rest
    for field in ("user", "item"):
        if field not in named and len(likely_ids) == needed:
            named[field] = likely_ids[field == "item" and needed == 2].name


def item_roles(columns: Sequence[Column], named: dict[str, str], words: Collection[str], log: Collection[str]) -> None:
    """Add to ``named`` the columns of a table of items that are not named there, as far as they can be guessed.

    Args:
        words: what an item is called, such as "game" and "games".
        log: identifiers of items in a log; empty where there is none.
    """
    taken = set(named.values())
    free = [one for one in columns if one.name not in taken and one.filled]
    if "id" not in named:
        unique = [one for one in free if one.unique]
        wanted = {number_in(one) or one for one in log}
        covering = [(len(one.keys & wanted), one) for one in unique]
        best = max(covering, key=lambda pair: pair[0], default=(0, None))
        by_name = _by_name(unique, (*_with_id(words)[1::2], *NAMES_OF_ITEMS["id"]))
        guess = best[1] if 2 * best[0] > len(wanted) > 0 else by_name
        if guess is not None:
            named["id"] = guess.name
    free = [one for one in free if one.name != named.get("id")]
    own = (*words, *(f"{word}{more}" for word in words for more in ("name", "title")))
    usual = {**NAMES_OF_ITEMS, "title": (*NAMES_OF_ITEMS["title"], *map(plain, own))}
    for field, names in usual.items():
        if field == "id" or field in named:
            continue
        for name in names:
            match = _by_name(free, (name,))
            if match is not None and _fits(match, field):
                named[field] = match.name
                free.remove(match)
                break
    texts = [one for one in free if one.kind == "text"]
    if "title" not in named:
        titles = [one for one in texts if one.length <= _LONG and 2 * len(one.distinct) > len(one.cells)]
        if titles:
            named["title"] = titles[0].name
            texts.remove(titles[0])
    if "description" not in named and (long := [one for one in texts if one.length > _LONG and " " in one.filled[0]]):
        named["description"] = max(long, key=lambda one: one.length).name
    lists = [one for one in free if one.kind == "names"]
    if "categories" not in named and lists:
        named["categories"] = min(lists, key=lambda one: len({n for names in one.lists or () for n in names})).name


def _fits(column: Column, field: str) -> bool:
    """Whether the cells of a column can be those of a field."""
    kind = column.kind
    if field == "year":
        return column.has_years
    if field in ("public_rating", "public_count"):
        return kind in (("whole", "number") if field == "public_rating" else ("whole",))
    if field in ("categories", "creators"):
        return kind in ("names", "text") and column.lists is not None
    if field == "title":
        return 2 * len(column.distinct) > len(column.cells)
    return kind in ("text", "names")


def _with_id(words: Collection[str]) -> list[str]:
    """Words, each followed by what the column of its identifier is called."""
    return [name for word in map(plain, words) for name in (word, f"{word}id")]


def _by_name(columns: Sequence[Column], names: Sequence[str]) -> Column | None:
    alike = {plain(one.name): one for one in reversed(columns)}
    return next((alike[name] for name in names if name in alike), None)


def field_name(column: str, taken: Collection[str]) -> str:
    """The name of the field of an item class that holds a column: an identifier that nothing else has."""
    text = unicodedata.normalize("NFKD", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", column))
    name = _DROPPED.sub("_", text.encode("ascii", "ignore").decode().lower()).strip("_")[:40].strip("_")
    if not name or name[0].isdigit() or name.startswith("model_"):
        name = f"field_{name}".strip("_")
    if name in _RESERVED:
        name = f"{name}_"
    number, free = 2, name
    while free in taken:
        free, number = f"{name.rstrip('_')}_{number}", number + 1
    return free
