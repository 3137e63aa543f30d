"""A domain from tables: looks at a table of items and a log of ratings, says what it takes them for, and writes it."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from emosim_core.data.cells import number
from emosim_core.data.logs import LogColumns, cell_text, item_lookup, log_rows, read_log
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.model import Item, LoadedRatings, RatingScale, Words
from emosim_core.scaffold.guesses import Column, item_roles, log_roles
from emosim_core.scaffold.item_code import item_code
from emosim_core.scaffold.item_tables import ItemColumns, ItemTable, items_of_ids, make_items, read_columns
from emosim_core.scaffold.people import NoUsersError, can_fit, fit_users
from emosim_core.scaffold.scales import find_scale, shares
from emosim_core.scaffold.words import filled_words, guessed_words
from emosim_core.scaffold.write import WORD, check_name, class_name, write_files
from emosim_core.terminal import counted

_LOOKED_AT = 20_000
"""Rows of a log that its columns are guessed by."""

_PEOPLE = """`--users fitted:DIR` simulates the users of the log, who are in `${package}/data/people`; it needs
`pip install "emosim-core[fit]"`:

```
emosim run --plugin ${name} --users fitted:${package}/data/people
```

`users.csv` there has the ids of the users of the log. To learn them anew, remove that folder and write
`emosim fit --plugin ${name} --ratings sample --out ${package}/data/people`."""
_NO_PEOPLE = """`--users fitted:DIR` simulates the users of the log, once they are learned from it (it needs
`pip install "emosim-core[fit]"`):

```
emosim fit --plugin ${name} --ratings sample --out people
emosim run --plugin ${name} --users fitted:people
```"""
"""What the README says of users who are learned from the log."""

_PRIOR = 5
"""How many ratings of the mean of all are added to those of an item, for its public rating."""

_LIKED = 7.0
"""Rating of 10 from which on a user liked an item."""

_SHARE = 0.2
"""Share of a user's liked items that are of a category which the user likes."""

_MOST_CATEGORIES = 60
"""Categories that get a profile of their own, those of the most items."""

_FAR = 1.5
"""How far a rating is from all others, in their range, that is taken for a sign that there is none."""


class UnclearColumnError(DataError):
    """No column of a log can be guessed for a field.

    Attributes:
        needed: ``user`` or ``item``.
        names: the columns of the table.
    """

    def __init__(self, path: str, needed: str, names: Sequence[str]) -> None:
        self.needed, self.names = needed, names
        problem = f"no column is recognized as the {needed}; the file has: {', '.join(names[:50])}. Name it: "
        super().__init__(path, f"{problem}--columns {needed}=NAME")


@dataclass
class DomainPlan:
    """What a domain made of tables will be, before anything is written.

    Attributes:
        name: of the domain.
        words: what its items are called, and what is done with them.
        scale: on which they are rated.
        scale_note: how that came about.
        items: the items.
        log: the log of their users; None without one.
        real_ratings: share of each level of the scale in the log; empty where it has no ratings.
        shown: for each column of the log its name, what becomes of it, and a few of its cells.
        sources: the sources of the items and of the log, as they are read elsewhere, such as ``csv:games.csv``; empty
            where there is none.
        log_columns: by field of the log, its column; empty where it is left out.
        link: whether the log stays where it is.
        notes: what was left out, and what to look at.
    """

    name: str
    words: Words
    scale: RatingScale
    scale_note: str
    items: ItemTable
    log: LoadedRatings | None
    real_ratings: list[float]
    shown: list[tuple[str, str, str]]
    sources: tuple[str, str]
    log_columns: dict[str, str]
    link: bool
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = []
        for source, shown in zip(self.sources, (self.items.shown, self.shown), strict=True):
            lines += [f"{source}:", *(f"  {name}: {about} ({cells})" for name, about, cells in shown)] if source else []
        return "\n".join([*lines, *self.facts()])

    def facts(self) -> list[str]:
        """What the domain will be, in a few lines."""
        words, scale = self.words, self.scale
        levels = f"{scale.low:g} to {scale.high:g} in steps of {scale.step:g}, {len(scale.levels)} levels"
        lines = [f"Scale: {levels} ({self.scale_note})."]
        lines.append(
            f"Words: one {words.item}, several {words.items}; to {words.consume}, {words.consumed}, "
            f"{words.consumption}; who does it is a {words.user}."
        )
        if self.log is None:
            lines.append(f"{counted(len(self.items.ids), words.item, words.items)}, and no log of users.")
        else:
            unused = len(self.items.ids) - len(np.unique(self.log.items))
            what = "choice" if self.log.values is None else "rating"
            lines.append(
                f"{counted(len(self.items.ids), words.item, words.items)}, {unused:,} of them in no row of the log; "
                f"{counted(len(self.log.items), what)} by {counted(len(set(self.log.user_ids)), 'user')}."
            )
        return [*lines, *(f"Note: {note}" for note in self.notes)]

    def write(self, target: str | Path | None = None, fit: bool | None = None) -> Path:
        """Write the plugin to a folder that is not there yet, ``emosim-NAME`` by default; returns the folder.

        Args:
            fit: whether users are learned from the log too, as ``emosim fit`` does, in a process of its own that uses
                the new plugin. None for where that can be done; where it cannot, :attr:`notes` say why.

        Raises:
            ConfigurationError: the folder exists, a word cannot be used, or users cannot be learned.
            DataError: it cannot be written; nothing is left behind.
        """
        folder = Path(f"emosim-{self.name}") if target is None else Path(target)
        if fit and self.log is None:
            raise ConfigurationError("there is no log to learn users from: name the ratings")
        if fit is not None or self.log is None:
            return self._write(folder, bool(fit))
        if can_fit():
            try:
                return self._write(folder, True)
            except NoUsersError as error:
                self.notes.append(f"{error}; so the plugin comes without them.")
        else:
            self.notes.append('Users are not learned from the log: that needs pip install "emosim-core[fit]".')
        return self._write(folder, False)

    def _write(self, folder: Path, fit: bool) -> Path:
        item, words, scale = self.items, self.words, self.scale
        more = {
            "scale": f"{{ low = {scale.low!r}, high = {scale.high!r}, step = {scale.step!r} }}",
            "rated": f"{scale.low:g} to {scale.high:g}",
            "scale_name": str(scale),
            "real_ratings": self._left_out() + self._real_ratings(),
            "columns": self._columns(),
            "creators": self._creators_word(),
            "categories": _profiles(item, self.log, scale, words),
            "about": f"{len(item.ids)} {words.items} of a table" + ("" if self.log is None else ", and a log of users"),
            "counts": self._counts(),
            "columns_table": self._columns_table(),
            "log_place": "where `data/ratings.toml` says" if self.link else "in `data/ratings.csv`",
            "log_columns": self._log_columns(),
            "people": _PEOPLE if fit else _NO_PEOPLE,
        }
        class_ = f"{class_name(self.name)}Item"
        code = item_code(class_, words.item, item.fields, scale, item.creators, item.dates)
        texts = {"__package__/item.py": code}
        header = [item.columns[name] for name in item.cells]
        tables: dict[str, Iterable[Sequence[str]]] = {
            "__package__/data/sample.csv": [header, *zip(*item.cells.values(), strict=True)]
        }
        templates = ["domain", "domain_table"]
        if self.log is not None:
            templates.append("domain_log")
            if self.link:
                texts["__package__/data/ratings.toml"] = self._link()
            else:
                tables["__package__/data/ratings.csv"] = _log_rows(self.log, item.ids)
        if fit:
            templates.append("domain_people")
            return write_files(
                templates, self.name, folder, words, more, texts, tables, lambda made: fit_users(made, self.name)
            )
        return write_files(templates, self.name, folder, words, more, texts, tables)

    def _real_ratings(self) -> str:
        """How the ratings of the log are distributed, as ``domain.toml`` has it."""
        if self.log is None or not self.real_ratings:
            return ""
        source = f"the log: {len(self.log.items):,} ratings by {len(set(self.log.user_ids)):,} users"
        lines = ["# Shares of the levels of the scale in the log, the worst rating first."]
        lines += ["real_ratings = [", *(f"  {share:.6f}," for share in self.real_ratings), "]"]
        return "\n".join([*lines, f"real_ratings_source = {toml_text(source)}", ""])

    def _left_out(self) -> str:
        """The columns of the table that are not read, as ``domain.toml`` has them."""
        columns = self.items.left_out
        return f"left_out_columns = [{', '.join(map(toml_text, columns))}]\n" if columns else ""

    def _columns(self) -> str:
        """The columns that are not called as their fields are, as ``domain.toml`` has them."""
        renamed = {name: column for name, column in self.items.columns.items() if name != column}
        if not renamed:
            return ""
        lines = ["", "# By field, the column of a CSV file that holds it.", "[columns]"]
        return "\n".join([*lines, *(f"{name} = {toml_text(column)}" for name, column in renamed.items()), ""])

    def _columns_table(self) -> str:
        """What became of the columns, as a table of the README."""
        rows = [(*one[:2], "items") for one in self.items.shown] + [(*one[:2], "log") for one in self.shown]
        lines = [f"| {where} | {_in_markdown(name)} | {_in_markdown(about)} |" for name, about, where in rows]
        return "\n".join(["| table | column | what it is |", "|---|---|---|", *lines])

    def _log_columns(self) -> str:
        """The option that names the columns of another log of the same form; empty where none can be written."""
        named = ",".join(f"{name}={column}" for name, column in self.log_columns.items())
        if any("," in column for column in self.log_columns.values()) or not named.isprintable():
            return ""
        return f" --columns {shlex.quote(named)}"

    def _creators_word(self) -> str:
        word = self.items.creators_word
        return (word if word.endswith("s") else f"{word}s") if WORD.fullmatch(word) and len(word) < 30 else "makers"

    def _counts(self) -> str:
        count = counted(len(self.items.ids), self.words.item, self.words.items)
        if self.log is None:
            return count
        return f"{count}, and a log of {len(self.log.items):,} rows by {len(set(self.log.user_ids)):,} users"

    def _link(self) -> str:
        lines = ["# Where the log of users lies, and what its columns are called; an empty name leaves one out."]
        lines += [f"source = {toml_text(_absolute(self.sources[1]))}", "", "[columns]"]
        return "\n".join([*lines, *(f"{name} = {toml_text(column)}" for name, column in self.log_columns.items()), ""])


def plan_domain(
    name: str,
    items: str | Path | None = None,
    ratings: str | Path | None = None,
    *,
    columns: str = "",
    item_columns: str = "",
    words: Mapping[str, str] | None = None,
    step: float | str | None = None,
    link_ratings: bool = False,
) -> DomainPlan:
    """Look at tables and say what a domain of them will be; :meth:`DomainPlan.write` writes it.

    Args:
        name: of the domain, such as "games".
        items: a table with a row for each item: a CSV file, a Parquet file, or such as ``csv:FILE``. Without it, items
            are the identifiers in ``ratings``.
        ratings: a log with a row for each rating of a user, or for each item that a user took. Without it, the scale is
            1 to 5 or what ``columns`` says.
        columns: columns of the log that are not to be guessed, such as ``user=uid,item=gid,rating=stars,scale=1-10``;
            the scale is that of the domain.
        item_columns: the same for the table of items, such as ``title=name,categories=genres,text=isbn,leave=notes``.
        words: by field of :class:`~emosim_core.plugins.Words`, words that are not to be guessed.
        step: what is between two levels of the scale; found from the ratings where it is not given.
        link_ratings: whether the log stays where it is instead of being copied into the plugin.

    Raises:
        ConfigurationError: the name or an option cannot be used, or there is neither table.
        DataError: a file, row or column is wrong; says what to write.
        MissingDependencyError: a Parquet file, and pyarrow is not installed.
    """
    check_name(name)
    if items is None and ratings is None:
        raise ConfigurationError("name a table of items, a log of ratings, or both")
    if ratings is None and link_ratings:
        raise ConfigurationError("there are no ratings to leave where they are")
    step = _step(step)
    chosen, chosen_items = LogColumns.of(columns), ItemColumns.of(item_columns)
    if ratings is None and chosen.named:
        raise ConfigurationError("columns of a log are named, and no log is: give the ratings too")
    sources = _source(items), _source(ratings)
    guess = guessed_words(name)
    rows, table = read_columns(sources[0]) if items is not None else ([], [])
    named, shown, seen = dict(chosen.named), [], None
    if ratings is not None:
        sample = _sample(sources[1], chosen)
        ids: dict[str, str] = dict(chosen_items.roles)
        own = [guess["item"], guess["items"], name]
        item_roles(table, ids, own, ())
        log_roles(sample, named, own, next((one for one in table if one.name == ids.get("id")), None))
        _check_guessed(sources[1], sample, named)
        guess = guessed_words(name, named["item"])
        seen = _scan(sources[1], named)
    given = filled_words(words or {}, guess)
    notes: list[str] = []
    if seen is not None and len(seen.values) == 1:
        (only,) = seen.values
        notes.append(f"Every rating is {only:g}, so the log says what was taken, and not how it was rated.")
        named["rating"] = ""
        seen.values.clear()
    if seen is not None:
        shown = _shown(sample, named)
    if items is None:
        made = items_of_ids(seen.items if seen else (), given.item)
    else:
        path = sources[0].partition(":")[2]
        made = make_items(path, rows, table, chosen_items, (given.item, given.items, name), seen.items if seen else ())
    scale, scale_note = _scale(seen, chosen.scale, step, made, sources[1])
    log = None
    if seen is not None:
        _check_known(seen, made, sources, named["item"])
        bare = [Item(id=one, title=title) for one, title in zip(made.ids, made.titles, strict=True)]
        log = read_log(sources[1], bare, scale, LogColumns(named))
        notes += log.notes
    _fill_public(made, log, scale)
    real = [] if log is None or log.values is None else shares(Counter(log.values.tolist()), scale)
    named = {one: named.get(one, "") for one in ("user", "item", "rating", "time")} if named else {}
    return DomainPlan(
        name, given, scale, scale_note, made, log, real, shown, sources, named, link_ratings, [*made.notes, *notes]
    )


def _step(step: float | str | None) -> float | None:
    try:
        value = None if step is None else float(step)
    except ValueError:
        value = 0.0
    if value is not None and not 0 < value < math.inf:
        raise ConfigurationError(f"the step of a scale is a number above 0, not {step!r}")
    return value


def _source(place: str | Path | None) -> str:
    """A table as ``csv:FILE`` or ``parquet:FILE``; empty where there is none."""
    if place is None:
        return ""
    text = str(place)
    if text.startswith(("csv:", "parquet:")):
        return text
    return f"{'parquet' if text.lower().endswith(('.parquet', '.pq')) else 'csv'}:{text}"


def _absolute(source: str) -> str:
    kind, _, path = source.partition(":")
    return f"{kind}:{Path(path).expanduser().absolute()}"


def _sample(source: str, chosen: LogColumns) -> list[Column]:
    """The columns of a log, as its first rows show them."""
    kind, _, path = source.partition(":")
    cells: dict[str, list[str]] = {}
    with closing(log_rows(kind, path, chosen, every=True)) as rows:
        for _, values in islice(rows, _LOOKED_AT):
            for name, value in values.items():
                cells.setdefault(name, []).append(cell_text(value))
    if not cells:
        raise DataError(path, "has no rows")
    return [Column.of(name, column) for name, column in cells.items()]


def _check_guessed(source: str, sample: Sequence[Column], named: Mapping[str, str]) -> None:
    path, names = source.partition(":")[2], [one.name for one in sample]
    for name in filter(None, named.values()):
        if name not in names:
            raise DataError(path, f"no such column; the file has: {', '.join(names[:50])}", field=name)
        if list(named.values()).count(name) > 1:
            raise DataError(path, "this column is named for two fields", field=name)
    for needed in ("user", "item"):
        if needed not in named:
            raise UnclearColumnError(path, needed, names)


@dataclass
class _Seen:
    """What a log holds: its items and its ratings, with how many rows are of each."""

    items: Counter[str]
    values: Counter[float]


def _scan(source: str, named: Mapping[str, str]) -> _Seen:
    """Look at all rows of a log, whose identifiers and ratings must be there."""
    kind, _, path = source.partition(":")
    items: Counter[str] = Counter()
    values: Counter[float] = Counter()
    first: dict[float, int] = {}
    rating = named.get("rating", "")
    with closing(log_rows(kind, path, LogColumns(named))) as rows:
        for row, cells in rows:
            item = cell_text(cells[named["item"]])
            if not item:
                raise DataError(path, "is empty", row=row, field=named["item"])
            items[item] += 1
            if rating:
                text = cell_text(cells[rating])
                if not text:
                    advice = "leave the row out, or all ratings: --columns rating="
                    raise DataError(path, f"is empty; {advice}", row=row, field=rating)
                value = number(text, path, row, rating)
                values[value] += 1
                first.setdefault(value, row)
    return _Seen(items, values)


def _check_far(values: Counter[float], path: str, rating: str) -> None:
    """Refuse a rating that is so far from all others that it may say that there is none, such as 99."""
    ordered = sorted(values)
    if len(ordered) < 5:
        return
    for far, (low, high) in ((ordered[-1], (ordered[0], ordered[-2])), (ordered[0], (ordered[1], ordered[-1]))):
        if max(low - far, far - high) > _FAR * (high - low):
            raise DataError(
                path,
                f"{far:g}, in {values[far]:,} rows, is far from all other ratings, {low:g} to {high:g}; leave these "
                "rows out if it says that there is none, else name the scale: "
                f"--columns scale={ordered[0]:g}..{ordered[-1]:g}",
                field=rating,
            )


def _shown(sample: Sequence[Column], named: Mapping[str, str]) -> list[tuple[str, str, str]]:
    fields = {column: name for name, column in named.items() if column}
    return [(one.name, fields.get(one.name, "left out"), one.example()) for one in sample]


def _scale(
    seen: _Seen | None, ends: tuple[float, float] | None, step: float | None, items: ItemTable, source: str
) -> tuple[RatingScale, str]:
    if seen is not None and seen.values:
        if ends is None:
            _check_far(seen.values, source.partition(":")[2], "rating")
        return find_scale(seen.values, ends, step)
    if ends is not None:
        return find_scale(dict.fromkeys(ends, 1), ends, step or 1.0)
    public = [float(cell) for cell in items.cells.get("public_rating", ()) if cell]
    high = next((end for end in (5.0, 10.0, 100.0) if not public or max(public) <= end), 5.0)
    low = 0.0 if public and min(public) < 1 else 1.0
    if high == 100:
        low = 0.0
    about = "as public ratings suggest" if public else "no ratings say otherwise"
    step = step or (5.0 if high == 100 else 1.0)
    return find_scale({low: 1, high: 1}, (low, high), step)[0], f"{about}; --columns scale=LOW-HIGH sets another"


def _check_known(seen: _Seen, made: ItemTable, sources: tuple[str, str], column: str) -> None:
    place_of = item_lookup([Item(id=one, title=one) for one in made.ids])
    unknown = [one for one in seen.items if place_of(one) < 0]
    lost, total = sum(seen.items[one] for one in unknown), seen.items.total()
    if 2 * lost >= total:
        path = sources[0].partition(":")[2]
        raise DataError(
            path,
            f"has no item {unknown[0]!r}, and {lost:,} of {total:,} rows of the log are of unknown items; name the "
            "columns of the identifiers: --item-columns id=NAME, --columns item=NAME "
            f"(now {made.columns['id']!r} and {column!r})",
        )


def _fill_public(made: ItemTable, log: LoadedRatings | None, scale: RatingScale) -> None:
    """Take public ratings from the log where the table has none; one off the scale is a field like others."""
    outside = [
        cell for cell in made.cells.get("public_rating", ()) if cell and not scale.low <= float(cell) <= scale.high
    ]
    if outside:
        made.make_own("public_rating", "number")
        made.notes.append(f"Ratings such as {outside[0]} are off the scale {scale}, so they are a field of their own.")
    if log is None:
        return
    counts = np.bincount(log.items, minlength=len(made.ids))
    if log.values is not None and "public_rating" not in made.cells:
        mean = log.values.mean()
        sums = np.bincount(log.items, log.values, len(made.ids)) + _PRIOR * mean
        means = np.round(sums / (counts + _PRIOR), 6).clip(scale.low, scale.high).tolist()
        column = made.columns.get("public_rating", "public_rating")
        made.add("public_rating", column, [repr(one) if n else "" for one, n in zip(means, counts, strict=True)])
        made.notes.append(f"Public ratings are means of the log, with {_PRIOR} ratings of {mean:.4g} added to each.")
    if "public_count" not in made.cells:
        column = made.columns.get("public_count", "public_count")
        made.add("public_count", column, [str(one) for one in counts.tolist()])


def _log_rows(log: LoadedRatings, ids: Sequence[str]) -> list[list[str]]:
    columns: list[list[str]] = [list(log.user_ids), [ids[item] for item in log.items.tolist()]]
    names = ["user", "item"]
    for name, values in (("rating", log.values), ("time", log.times)):
        if values is not None:
            names.append(name)
            columns.append([str(int(one)) if one == int(one) else repr(one) for one in values.tolist()])
    return [names, *map(list, zip(*columns, strict=True))]


def _profiles(made: ItemTable, log: LoadedRatings | None, scale: RatingScale, words: Words) -> str:
    """The categories as ``users.toml`` has them, each with the share of users who like it in the log."""
    counts = Counter(name for names in made.categories for name in set(names))
    if not counts:
        return "# The items have no categories.\n[categories]\n"
    lines = ["# Popularity is the share of users who like a category; nobody knows it here."]
    if log is not None:
        lines = ["# Popularity is the share of users of the log of whose liked items a fifth are of the category."]
        liked = np.ones(len(log.items), dtype=bool) if log.values is None else log.values >= scale.carry(_LIKED)
        users = np.unique(log.user_ids, return_inverse=True)[1][liked]
        liked_items, totals = log.items[liked], np.bincount(users)
    for name, _ in counts.most_common(_MOST_CATEGORIES):
        text = re.sub(r"[\[\]{}|]", "", name).strip()
        if not text:
            continue
        popularity = 0.5
        if log is not None:
            of_it = np.array([name in names for names in made.categories])
            mine = np.bincount(users, of_it[liked_items], len(totals))
            popularity = round(min(max(float((mine[totals > 0] >= _SHARE * totals[totals > 0]).mean()), 0.05), 0.95), 3)
        plural = f"{text} {words.items}" if WORD.fullmatch(text) else f"{words.items} filed under {text}"
        if text.endswith(words.items):
            plural = text
        lines += [f"[categories.{toml_text(name)}]", f"popularity = {popularity}", f"plural = {toml_text(plural)}", ""]
    return "\n".join(lines)


def _in_markdown(text: str) -> str:
    """A text of a table as one cell of a table of Markdown."""
    return "".join(one if one.isprintable() and one not in "|`<>[]\\*&" else "?" for one in text[:60])


def toml_text(text: str) -> str:
    """A text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
