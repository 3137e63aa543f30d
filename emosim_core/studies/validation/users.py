"""Real users of a validation: who is measured beside whom, what is remembered, what is held out, who they are."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError, DataError
from emosim_core.estimators import Past
from emosim_core.model.arrays import Flags, Floats, Ints

TRAIN, CALIBRATION, VALIDATION, TEST = "train", "calibration", "validation", "test"
"""The fixed groups of users."""

USER_SPLITS = ((TRAIN, 0.52), (CALIBRATION, 0.60), (VALIDATION, 0.80), (TEST, 1.0))
"""Each fixed group, and up to which place in [0, 1) its users lie."""

LEAST = 10
"""Interactions that a user must have to be measured: enough to remember some and hold some out."""

LEAST_KNOWN = 10
"""Training users of whom something must be known at the moment at which a measured user is split."""


def place(real_user: str) -> float:
    """A number in [0, 1) that belongs to an id for ever, so that a user is in the same group in any excerpt."""
    digest = blake2b(real_user.encode(), digest_size=8, person=b"validation").digest()
    return int.from_bytes(digest, "big") / 2.0**64


def user_split_of(real_user: str) -> str:
    """The fixed group that a user belongs to; it depends on the id alone."""
    where = place(real_user)
    return next(name for name, end in USER_SPLITS if where < end)


def fold_of(real_user: str, folds: int) -> int:
    """The fold that a user belongs to, from 0; it depends on the id alone."""
    return int(place(real_user) * folds)


def months(times: Floats) -> Ints:
    """Calendar months of times in seconds since 1970, counted from January 1970."""
    return times.astype("datetime64[s]").astype("datetime64[M]").astype(np.intp)


@dataclass(frozen=True)
class RealUser:
    """One user's interactions, oldest first; in random order where the log has no times.

    Attributes:
        number: index among the users of the log.
        items: indices in the catalog, shape ``(n,)``.
        values: ratings on the domain's scale, shape ``(n,)``; None in an implicit log.
        months: calendar month of each, counted from January 1970, shape ``(n,)``; None without times.
        past_count: how many of them, from the start, are profile and memory; the others are held out.
    """

    id: str
    number: int
    items: Ints
    values: Floats | None
    months: Ints | None
    past_count: int

    @property
    def past(self) -> Past:
        """What is remembered."""
        values = None if self.values is None else self.values[: self.past_count]
        return Past(self.items[: self.past_count], values)

    @property
    def later(self) -> Ints:
        """Items that are held out."""
        return self.items[self.past_count :]

    @property
    def later_values(self) -> Floats:
        """Ratings that are held out; the log has ratings."""
        assert self.values is not None
        return self.values[self.past_count :]

    @property
    def moment(self) -> int | None:
        """The month of the first held-out interaction: the user is split at its start; None without times."""
        return None if self.months is None else int(self.months[self.past_count])


def real_users_of(log: Interactions) -> list[RealUser]:
    """The users who can be measured, in the order of their :func:`place`, each split at half of their log.

    Raises:
        ConfigurationError: fewer than two users have enough interactions.
    """
    starts = log.starts.tolist()
    month = None if log.times is None else months(log.times)
    real_users = []
    for number, name in enumerate(log.user_ids):
        rows = slice(starts[number], starts[number + 1])
        count = rows.stop - rows.start
        if count >= LEAST:
            values, when = None if log.values is None else log.values[rows], None if month is None else month[rows]
            real_users.append(RealUser(name, number, log.items[rows], values, when, count // 2))
    if len(real_users) < 2:
        raise ConfigurationError(
            f"too few users to measure: {len(real_users)} of the log have at least {LEAST} interactions; "
            "give a log of more users"
        )
    return sorted(real_users, key=lambda real_user: place(real_user.id))


@dataclass(frozen=True)
class Part:
    """Users who are measured by what the same training users make known.

    Attributes:
        training: whether each user of the log is a training user, shape ``(U,)``.
        users: who is measured; none of them is a training user. Those of one month stand together.
    """

    name: str
    training: Flags
    users: tuple[RealUser, ...]


def parts_of(
    log: Interactions,
    real_users: Sequence[RealUser],
    folds: int,
    split: str | None,
    chosen: Path | None,
    most: int | None,
) -> list[Part]:
    """Who is measured beside whom: the users of ``chosen``, or else a fixed group, or else everybody in folds.

    Training users of a fixed group are those of ``train`` and ``calibration``, of the latter those of ``train`` alone.
    ``most`` bounds the number of all. Raises ConfigurationError or DataError: a file of users is wrong, nobody can be
    measured, or nobody is left to learn from.
    """
    names = log.user_ids
    if chosen is not None:
        wanted = read_user_ids(chosen, names)
        measured = [one for one in real_users if one.id in wanted]
        groups = [("test users", np.array([name not in wanted for name in names]), measured[:most])]
    elif split is not None:
        group = np.array([user_split_of(name) for name in names])
        training = (group == TRAIN) | ((group == CALIBRATION) & (split != CALIBRATION))
        measured = [one for one in real_users if user_split_of(one.id) == split]
        groups = [(split, training, measured[:most])]
    else:
        fold = np.array([fold_of(name, folds) for name in names])
        some = real_users[:most] if most is None else _spread(real_users, folds)[:most]
        groups = [
            (f"fold {number + 1}", fold != number, [one for one in some if fold[one.number] == number])
            for number in range(folds)
        ]
    parts = []
    for name, training, some in groups:
        if some and not training.any():
            raise ConfigurationError(f"no user is left to learn from for {name}; give a log of more users")
        parts.append(Part(name, training, tuple(sorted(some, key=lambda one: one.moment or 0))))
    if not any(part.users for part in parts):
        raise ConfigurationError(f"nobody can be measured: no chosen user has at least {LEAST} interactions")
    return [part for part in parts if part.users]


def _spread(real_users: Sequence[RealUser], folds: int) -> list[RealUser]:
    """Users of all folds in turn, so that the first few are of every fold."""
    order: list[list[RealUser]] = [[] for _ in range(folds)]
    for one in real_users:
        order[fold_of(one.id, folds)].append(one)
    ranked = [(rank, number, one) for number, some in enumerate(order) for rank, one in enumerate(some)]
    return [one for _, _, one in sorted(ranked, key=lambda entry: entry[:2])]


def read_user_ids(path: Path, known: Sequence[str]) -> set[str]:
    """Ids of users in a file: one a line, or a CSV table with a column ``user``.

    Raises:
        DataError: the file cannot be read, is empty, or names a user who is not among ``known``; names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, f"cannot read the ids of users: {error}") from error
    head = next(csv.reader(lines[:1]), [])
    if "user" in head:
        column = head.index("user")
        rows = [
            (number, row[column].strip()) for number, row in enumerate(csv.reader(lines[1:]), 2) if len(row) > column
        ]
    else:
        rows = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    rows = [(number, name) for number, name in rows if name]
    everybody = set(known)
    for number, name in rows:
        if name not in everybody:
            raise DataError(path, f"the log has no user {name!r}", row=number)
    if not rows:
        raise DataError(path, "names no user; write one id a line")
    return {name for _, name in rows}


def drawn(rng: np.random.Generator, count: int, most: int | None) -> NDArray[np.intp]:
    """Places of at most ``most`` of ``count``, drawn, in rising order."""
    return np.sort(rng.permutation(count)[:most])
