"""Studies with written users: those who love one category, those who like everything, those who like nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from emosim_core.errors import ConfigurationError
from emosim_core.model import RatingScale, User
from emosim_core.model.arrays import Flags
from emosim_core.model.domain import StudyUsers
from emosim_core.model.frozen import Frozen, option
from emosim_core.studies.study import (
    NEGATIVE,
    POSITIVE,
    Metric,
    RatedTrials,
    Study,
    StudySetting,
    Trial,
    Trials,
    mean_of_both_shares,
)

LOVED, REJECTED, TOP, BOTTOM = 8.0, 5.0, 9.0, 3.0
"""Thresholds of the studies, on 1 to 10 (EmoSim-RL)."""

_Bounds: TypeAlias = tuple[Sequence[User], str, float | None, float | None]
"""Users, side, and the lowest and highest rating that counts as a success."""


class ItemsOptions(Frozen):
    """Options of the studies with written users."""

    items: int = option(20, "Items per user and category; all of them where there are fewer.", ge=1)


class CategoryPreference(Study):
    """Whether users who love one category and reject all else rate so (EmoSim-RL).

    Each written user rates items of the loved category (positive: at least 8 of 10) and as many without it
    (negative: at most 5). The result is the mean of both shares.
    """

    def __init__(self, options: ItemsOptions | None = None) -> None:
        self.options = options or ItemsOptions()

    def trials(self, setting: StudySetting) -> Trials:
        written = _written(setting)
        scale = setting.domain.scale
        users: list[User] = []
        trials = []
        for category, lovers in written.lovers.items():
            inside = _of_category(setting, category)
            sides = ((POSITIVE, inside, scale.carry(LOVED), None), (NEGATIVE, ~inside, None, scale.carry(REJECTED)))
            for user in lovers:
                for side, candidates, least, most in sides:
                    for item in _drawn(setting, candidates, self.options.items):
                        trials.append(Trial(len(users), item, side, category, at_least=least, at_most=most))
                users.append(user)
        return Trials(users, trials)

    def metrics(self, rated: RatedTrials) -> Sequence[Metric]:
        return [*super().metrics(rated), mean_of_both_shares(rated)]


class _OneOpinion(Study):
    """Written users of one opinion rate items of every category of the study."""

    def __init__(self, options: ItemsOptions | None = None) -> None:
        self.options = options or ItemsOptions()

    def trials(self, setting: StudySetting) -> Trials:
        written = _written(setting)
        users, side, least, most = self._bounds(written, setting.domain.scale)
        ids = [item.id for item in setting.catalog.items]
        return Trials(
            users,
            [
                # Another draw of items for each user: a trial is a cluster of its own, unless it comes again.
                Trial(index, item, side, category, f"{user.id} {ids[item]}", at_least=least, at_most=most)
                for index, user in enumerate(users)
                for category, item in self._items(written, setting)
            ],
        )

    def _items(self, written: StudyUsers, setting: StudySetting) -> Iterator[tuple[str, int]]:
        seen: set[int] = set()
        for category in written.lovers:
            candidates = _of_category(setting, category)
            candidates[list(seen)] = False
            for item in _drawn(setting, candidates, self.options.items):
                seen.add(item)
                yield category, item

    def _bounds(self, written: StudyUsers, scale: RatingScale) -> _Bounds:
        """The users, the side, and the bounds of success."""
        raise NotImplementedError


class HighRating(_OneOpinion):
    """Whether users who give everything top marks do so: at least 9 of 10 (EmoSim-RL)."""

    def _bounds(self, written: StudyUsers, scale: RatingScale) -> _Bounds:
        return written.generous, POSITIVE, scale.carry(TOP), None


class LowRating(_OneOpinion):
    """Whether users who dislike everything rate so: at most 3 of 10 (EmoSim-RL)."""

    def _bounds(self, written: StudyUsers, scale: RatingScale) -> _Bounds:
        return written.strict, NEGATIVE, None, scale.carry(BOTTOM)


def _written(setting: StudySetting) -> StudyUsers:
    """The domain's written users. Raises ConfigurationError: it has none."""
    if setting.domain.study_users is None:
        raise ConfigurationError(
            f"the domain {setting.domain.name!r} brings no written users for this study; its plugin gives them as "
            "'study_users' of its Domain"
        )
    return setting.domain.study_users


def _of_category(setting: StudySetting, category: str) -> Flags:
    """Which items are of a category, shape ``(N,)``. Raises ConfigurationError: none is, or all are."""
    names = setting.catalog.category_names
    if category in names:
        inside: Flags = setting.catalog.categories[:, names.index(category)].copy()
        if not inside.all():
            return inside
    words = setting.domain.words
    raise ConfigurationError(
        f"the study needs {words.items} of the category {category!r} and others; these {len(setting.catalog)} "
        f"{words.items} are {'all' if category in names else 'none'} of it"
    )


def _drawn(setting: StudySetting, candidates: Flags, count: int) -> list[int]:
    """Items drawn without replacement from those that are ``candidates``."""
    indices = np.flatnonzero(candidates)
    drawn: list[int] = setting.rng.choice(indices, min(count, len(indices)), replace=False).tolist()
    return drawn
