"""Reads users from CSV files of three kinds and writes them in the project's own."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from emosim_core.data.cells import known_text, number, whole_number
from emosim_core.data.lists import list_of_names, list_separator
from emosim_core.data.tables import UniqueIds, checked, read_csv, write_csv
from emosim_core.errors import DataError
from emosim_core.model.frozen import Frozen
from emosim_core.model.loader import PopulationSetting, UserLoader
from emosim_core.model.user import TRAITS, User
from emosim_core.population.generated import baseline_moods, stratified_traits

MISSING_TRAITS_SEED = 20240521
"""Seed of the traits and moods of users whose file has none; the same file always gives the same users."""

USER_COLUMNS: tuple[str, ...] = tuple(User.model_fields)
"""The project's own columns, as :func:`write_users_csv` writes them."""


@dataclass(frozen=True)
class _Format:
    """One kind of file: its required columns, and the field of a user that each column holds."""

    name: str
    columns: Mapping[str, str]
    required: tuple[str, ...]


_BASIC = {name: name for name in ("name", "gender", "description", "age", "job", "hobby")}
_OWN = _Format("the project's own", {name: name for name in USER_COLUMNS}, ("name", "description"))
_SUBER_COLUMNS = {**_BASIC, "genres_liked": "liked", "genres_disliked": "disliked"}
_SUBER = _Format("SUBER", _SUBER_COLUMNS, tuple(_SUBER_COLUMNS))
_ESUBER_COLUMNS = {
    **_BASIC,
    "categories_liked": "liked",
    "categories_disliked": "disliked",
    **{f"{trait}_level": trait for trait in TRAITS},
}
_ESUBER = _Format("EmoSim-RL", _ESUBER_COLUMNS, tuple(_ESUBER_COLUMNS))
_COLUMNS = tuple(dict.fromkeys(column for form in (_OWN, _SUBER, _ESUBER) for column in form.columns))
_LISTS = ("liked", "disliked")
_UNUSUAL = re.compile(r"[^\w .'()-]|^-")


def read_users_csv(path: str | os.PathLike[str], aliases: Mapping[str, str] | None = None) -> list[User]:
    """Users from a table with a header line, of one of three kinds, recognized by its columns.

    1. The project's own (:data:`USER_COLUMNS`); ``name`` and ``description`` must be there. What
       :func:`write_users_csv` writes reads back as the same users.
    2. SUBER's: an unnamed column of row numbers (may be absent), ``name``, ``gender``, ``description``, ``age``,
       ``job``, ``hobby``, ``genres_liked``, ``genres_disliked``. No traits.
    3. That of the original EmoSim-RL: the same, but ``categories_liked`` and ``categories_disliked``, and
       ``activity_level``, ``conformity_level`` and ``diversity_level``.

    Lists are written in any form that :func:`emosim_core.data.lists.list_of_names` reads. Descriptions of the last two
    kinds go on from the name ("a retired nurse who ..."); they become whole sentences.

    Without a column of ids, the first user is ``u0001``. Columns of traits or baselines of mood that are absent get
    values with the shares of a generated population (:data:`emosim_core.population.generated.TRAIT_SHARES`), drawn with
    :data:`MISSING_TRAITS_SEED`: the same file brings the same users; adding or removing a row draws them again.

    Args:
        aliases: by name of a category in the file, in lower case, the domain's name of it.

    Returns:
        The users, in the order of the file; at least one.

    Raises:
        DataError: the file cannot be read, has no users, or something in it is wrong; names file, row (the line on
            which the record ends) and field.
    """
    rows = list(read_csv(path, "a CSV file of users", columns=_COLUMNS))
    if not rows:
        raise DataError(path, "has no users; expected a header line and one line per user")
    form = _form_of(path, list(rows[0][1]))
    rng = np.random.default_rng(MISSING_TRAITS_SEED)
    traits, moods = stratified_traits(len(rows), rng).tolist(), baseline_moods(len(rows), rng).tolist()
    missing = (*TRAITS, "baseline_valence", "baseline_arousal")
    by_field = {field: column for column, field in form.columns.items()}
    separators = {
        column: list_separator(cells[column] for _, cells in rows)
        for column in rows[0][1]
        if form.columns[column] in _LISTS
    }
    users: list[User] = []
    ids = UniqueIds(path, "id", "id")
    for i, (row, cells) in enumerate(rows):
        values: dict[str, Any] = {"id": f"u{i + 1:04d}", **dict(zip(missing, traits[i] + moods[i], strict=True))}
        for column, field in form.columns.items():
            if column in cells and field in _LISTS:
                names = list_of_names(cells[column], path, row, column, separators[column])
                lower = [name.strip().lower() for name in names]
                values[field] = tuple((aliases or {}).get(name, name) for name in lower)
            elif column in cells:
                values[field] = _value(field, cells[column], path, row, column)
        if form is not _OWN and values["description"][:1].islower():  # it goes on from the name
            values["description"] = f"{values['name']} is {values['description']}"
        user = checked(User, values, path, row, by_field)
        ids.add(user.id, row)
        users.append(user)
    return users


def write_users_csv(path: str | os.PathLike[str], users: Sequence[User]) -> None:
    """Write users in the project's own columns, whole or not at all; :func:`read_users_csv` reads them back.

    Blanks at the beginning and end of a text are not kept, and its line ends become line feeds. A file that cannot be
    written is a DataError; what was there before stays.
    """
    write_csv(path, USER_COLUMNS, ([_cell(getattr(user, name)) for name in USER_COLUMNS] for user in users))


class CsvUsersOptions(Frozen):
    """Options of users from a CSV file."""

    path: Path = Field(description="The CSV file of users.")


class CsvUsers(UserLoader):
    """Users from a CSV file, see :func:`read_users_csv`; :attr:`Domain.category_aliases` renames their categories."""

    def __init__(self, options: CsvUsersOptions) -> None:
        self.options = options
        self._aliases: Mapping[str, str] = {}

    def prepare(self, setting: PopulationSetting) -> None:
        self._aliases = setting.domain.category_aliases

    def load(self) -> Sequence[User]:
        return read_users_csv(self.options.path, self._aliases)


def _form_of(path: str | os.PathLike[str], header: Sequence[str]) -> _Format:
    """The kind of file that has this header."""
    columns = set(header) - {""}
    theirs = (form for form in (_SUBER, _ESUBER) if columns & (set(form.columns) - set(_OWN.columns)))
    form = next(theirs, _OWN)
    known = f"{form.name} columns are: {', '.join(form.columns)}"
    for name in form.required:
        if name not in columns:
            raise DataError(
                path, f"the column is missing; needed: {', '.join(form.required)}; {known}", row=1, field=name
            )
    for name in header:
        if name and name not in form.columns:
            near = difflib.get_close_matches(name, form.columns, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(path, f"unknown column; {hint}{known[0].upper()}{known[1:]}", row=1, field=name)
    return form


def _value(field: str, text: str, path: str | os.PathLike[str], row: int, column: str) -> Any:
    """The value of one cell, as far as it is not text."""
    if field == "age":
        return whole_number(text, path, row, column, "an age in whole years") if known_text(text) else None
    if field in TRAITS:
        level = whole_number(text, path, row, column, "a level of 1, 2 or 3")
        if level not in (1, 2, 3):
            raise DataError(path, f"expected a level of 1, 2 or 3, got {text!r}", row=row, field=column)
        return level
    if field.startswith("baseline_"):
        return number(text, path, row, column)
    return text


def _cell(value: object) -> object:
    """What is written for a value of a user: bars between names where every reader reads that back, else JSON."""
    if isinstance(value, str):
        # Before Python 3.13 the csv module leaves a bare carriage return unquoted, and cannot read it back.
        return value.replace("\r\n", "\n").replace("\r", "\n")
    if not isinstance(value, tuple):
        return "" if value is None else value
    with suppress(DataError):  # a name that is no name in a list by itself
        if all(list_of_names(one, "", 0, "") == [one.strip()] and not _UNUSUAL.search(one) for one in value):
            return "|".join(value)
    return json.dumps(value, ensure_ascii=False)
