"""The built-in studies: with written users, with series of items, and of the distribution of ratings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np

from emosim_core.errors import ConfigurationError
from emosim_core.model import RatingScale, User
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.model.domain import StudyUsers
from emosim_core.model.frozen import Frozen, option
from emosim_core.stats import divided
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
"""Thresholds of the studies with written users, on 1 to 10 (EmoSim-RL)."""

LIKED, DISLIKED = 7.0, 5.0
"""Thresholds for the last part of a series, on 1 to 10 (EmoSim-RL)."""

_Bounds: TypeAlias = tuple[Sequence[User], str, float | None, float | None]
"""Users, side, and the lowest and highest rating that counts as a success."""


class ItemsOptions(Frozen):
    """Options of the studies with written users."""

    items: int = option(20, "Items per user and category; all of them where there are fewer.", ge=1)


class PreferenceOptions(ItemsOptions):
    """Options of ``category_preference``."""

    opinions: Literal["all", "few"] = option(
        "all",
        "What the users have an opinion of: they reject all other categories, as in EmoSim-RL, or state that they "
        "dislike at most four, as generated users do.",
    )


_FEW = 4
"""Categories that generated users state a dislike of, at most."""


class CategoryPreference(Study):
    """Whether users who love one category and reject all else rate so (EmoSim-RL).

    Each written user rates items of the loved category (positive: at least 8 of 10) and as many without it
    (negative: at most 5). The result is the mean of both shares. The written users are of extreme taste; with the
    option ``opinions=few`` they state no more than generated users do.
    """

    def __init__(self, options: PreferenceOptions | None = None) -> None:
        self.options = options or PreferenceOptions()

    def trials(self, setting: StudySetting) -> Trials:
        written = _written(setting)
        scale = setting.domain.scale
        users: list[User] = []
        trials = []
        for category, lovers in written.lovers.items():
            inside = _of_category(setting, category)
            sides = ((POSITIVE, inside, scale.carry(LOVED), None), (NEGATIVE, ~inside, None, scale.carry(REJECTED)))
            for lover in lovers:
                few = self.options.opinions == "few"
                user = lover.model_copy(update={"disliked": lover.disliked[:_FEW]}) if few else lover
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
        return Trials(
            users,
            [
                Trial(index, item, side, category, user.id, at_least=least, at_most=most)
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


class CollectionsOptions(Frozen):
    """Options of ``collections``."""

    users: int = option(100, "Users per series; everyone where there are fewer.", ge=1)


class Collections(Study):
    """Users who gave the earlier parts of a series top marks, or the lowest, rate its last part (EmoSim-RL).

    The earlier parts stand in memory among as many random other items at their public rating, in random order; on
    both sides the same users remember the same others in the same order. Right is at least 7 of 10 after top marks
    (positive) and at most 5 after the lowest (negative).
    """

    def __init__(self, options: CollectionsOptions | None = None) -> None:
        self.options = options or CollectionsOptions()

    def trials(self, setting: StudySetting) -> Trials:
        scale, rng, catalog = setting.domain.scale, setting.rng, setting.catalog
        public = scale.round(catalog.scale.convert(catalog.public_ratings, scale)).tolist()
        users = [setting.population.users[index] for index in setting.user_indices.tolist()]
        trials = []
        for name, earlier, last, others in _series(setting):
            for user in rng.choice(len(users), min(self.options.users, len(users)), replace=False).tolist():
                beside = rng.choice(others, min(len(earlier), len(others)), replace=False).tolist()
                order = rng.permutation(len(earlier) + len(beside)).tolist()
                for side, mark, least, most in (
                    (POSITIVE, scale.high, scale.carry(LIKED), None),
                    (NEGATIVE, scale.low, None, scale.carry(DISLIKED)),
                ):
                    known = [(part, mark) for part in earlier] + [(item, public[item]) for item in beside]
                    memory = tuple(known[place] for place in order)
                    trials.append(Trial(user, last, side, name, users[user].id, least, most, memory))
        return Trials(users, trials)


def _series(setting: StudySetting) -> Iterator[tuple[str, list[int], int, Ints]]:
    """Each series of at least two parts: its name, the earlier parts in their order, the last one, all other items."""
    by_series: dict[str, list[tuple[int, int]]] = {}
    for index, item in enumerate(setting.catalog.items):
        if item.collection is not None and item.part is not None:
            by_series.setdefault(item.collection, []).append((item.part, index))
    named = np.array([item.collection or "" for item in setting.catalog.items])
    whole = {name: sorted(parts) for name, parts in sorted(by_series.items()) if len({part for part, _ in parts}) > 1}
    if not whole:
        words = setting.domain.words
        raise ConfigurationError(
            f"the study needs series of {words.items}; none of these {len(setting.catalog)} {words.items} has "
            "another with the same 'collection' and another 'part'"
        )
    for name, parts in whole.items():
        yield name, [index for _, index in parts[:-1]], parts[-1][1], np.flatnonzero(named != name)


class SamplingOptions(Frozen):
    """Options of ``sampling``."""

    pairs: int = option(2000, "Random pairs of a user and an item; all pairs where there are fewer.", ge=1)


class Sampling(Study):
    """Total variation distance between the ratings of random pairs and the ratings of real users (EmoSim-RL).

    Nobody remembers anything. 0 is the same distribution, 1 has nothing in common.
    """

    def __init__(self, options: SamplingOptions | None = None) -> None:
        self.options = options or SamplingOptions()

    def trials(self, setting: StudySetting) -> Trials:
        domain = setting.domain
        if not len(domain.real_ratings):
            raise ConfigurationError(
                f"the domain {domain.name!r} does not say how real users' ratings are distributed; its plugin gives "
                "that as 'real_ratings' of its Domain"
            )
        items = len(setting.catalog)
        every = len(setting.user_indices) * items
        drawn = setting.rng.choice(every, min(self.options.pairs, every), replace=False)
        return Trials(
            [setting.population.users[index] for index in setting.user_indices.tolist()],
            [Trial(pair // items, pair % items) for pair in drawn.tolist()],
            {"real_ratings": list(domain.real_ratings), "source": domain.real_ratings_source},
        )

    def metrics(self, rated: RatedTrials) -> Sequence[Metric]:
        levels, wanted = rated.scale.levels, np.array(rated.facts["real_ratings"])
        nearest = np.abs(np.where(rated.answered, rated.ratings, np.inf)[:, None] - levels).argmin(axis=1)
        sums = np.zeros((len(nearest), len(levels)))
        sums[np.flatnonzero(rated.answered), nearest[rated.answered]] = 1.0

        def value(sums: Floats) -> Floats:
            shares = divided(sums, sums.sum(axis=-1, keepdims=True))
            distance: Floats = np.abs(shares - wanted).sum(axis=-1) / 2
            return distance

        everything = np.ones(len(nearest), dtype=np.bool_)
        return [Metric("total variation distance", "", everything, sums, value, better="lower", inflated=True)]
