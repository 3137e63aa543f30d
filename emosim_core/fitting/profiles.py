"""Profiles of real users: traits, tastes and a sentence, read off what they took and how they rated it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from emosim_core.data.interactions import Interactions
from emosim_core.estimators import Past
from emosim_core.model import Catalog, RatingScale, User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.domain import Words
from emosim_core.model.user import TRAITS

_TASTES = 4
"""Categories that a user is said to like or dislike, at most (EmoSim-RL)."""

_CLEAR = 0.25
"""Points of 10 that a category must stand out by, in a user's shrunken mean, to be called liked or disliked."""

_TRAIT_SHARES = ((0.3, 0.8), (0.25, 0.75), (0.25, 0.75))
"""Where the levels of activity, conformity and diversity are cut among users (EmoSim-RL)."""

METRICS = 4
"""Values of a row before the leanings: activity, conformity, diversity, mean rating."""


class Profiles:
    """What is read off what users took, beside what the users of a log did.

    Args:
        log: interactions of users; the levels of traits are cut among them.
        catalog: items with what those make known of them.
    """

    def __init__(self, log: Interactions, catalog: Catalog, scale: RatingScale, words: Words) -> None:
        self._log, self._catalog, self._scale, self._words = log, catalog, scale, words

    @cached_property
    def cuts(self) -> list[Floats]:
        """Where the levels of each trait are cut."""
        log = self._log
        metrics = self.metrics(log.items, log.values, log.users)
        return [np.quantile(column, shares) for column, shares in zip(metrics.T, _TRAIT_SHARES, strict=True)]

    @cached_property
    def _flags(self) -> Floats:
        flags = self._catalog.categories.astype(np.float64)
        return flags / np.maximum(flags.sum(axis=1, keepdims=True), 1.0)

    def metrics(self, items: Ints, values: Floats | None, users: Ints) -> Floats:
        """What the levels of traits are read off, for each of the users who occur, shape ``(V, 3)``.

        Activity is how many items they took; conformity their mean distance from the public rating, 0 where there are
        no ratings; diversity the entropy of the categories that they chose, in nats.
        """
        catalog, starts = self._catalog, np.unique(users, return_index=True)[1]
        counts = np.diff([*starts, len(users)]).astype(np.float64)
        apart = np.zeros(len(counts))
        if values is not None:
            known = catalog.has_public_rating[items]
            off = np.where(known, np.abs(values - catalog.public_ratings[items]), 0.0)
            apart = np.add.reduceat(off, starts) / np.maximum(np.add.reduceat(known.astype(np.float64), starts), 1.0)
        shares = np.add.reduceat(self._flags[items], starts, axis=0)
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
        entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1)
        return np.column_stack([counts, apart, entropy])

    def leanings(self, past: Past) -> Floats:
        """How far a user rates each category above their own mean and the public rating's, in points of 10, ``(C,)``.

        A mean over the items of the category, shrunk as by five more items without any difference; 0 without ratings.
        """
        flags = self._flags[past.items]
        if past.values is None or not len(past.items):
            return np.zeros(flags.shape[1])
        apart = past.values - self._catalog.public_ratings[past.items]
        lean: Floats = flags.T @ (apart - apart.mean()) / (flags.sum(axis=0) + 5.0) * 9.0 / self._scale.span
        return lean

    def row(self, past: Past) -> Floats:
        """What the profile of a user is made of, shape ``(4 + C,)``: :meth:`metrics`, the mean rating, leanings.

        The mean rating is NaN without ratings.
        """
        metrics = self.metrics(past.items, past.values, np.zeros(len(past.items), dtype=np.intp))[0]
        mean = np.nan if past.values is None else past.values.mean()
        return np.concatenate([metrics, [mean], self.leanings(past)])

    def user(self, name: str, row: Floats) -> User:
        """The profile of a user with this id, from what :meth:`row` says of them.

        Their mean rating is left to their memory, from which prompts tell it.
        """
        return described(name, row, self.cuts, self._catalog.category_names, self._words, self._scale, False)


def described(
    name: str,
    row: Floats,
    cuts: Sequence[Floats],
    categories: Sequence[str],
    words: Words,
    scale: RatingScale,
    tells_mean: bool = True,
) -> User:
    """A profile from numbers.

    Up to four categories are liked and four disliked, the clearest first.

    Args:
        name: the id.
        row: as :meth:`Profiles.row` makes it, of ``categories``.
        cuts: where the levels of each trait are cut.
        scale: that of the mean rating, which is named beside it, as prompts may speak another.
        tells_mean: whether the description tells the mean rating.
    """
    values, lean = row[:METRICS].tolist(), row[METRICS:]
    count, mean = values[0], values[-1]
    levels = {trait: 1 + int((value > cut).sum()) for trait, value, cut in zip(TRAITS, values[:-1], cuts, strict=True)}
    order = np.argsort(-lean, kind="stable").tolist()
    liked = tuple(categories[c] for c in order if lean[c] > _CLEAR)[:_TASTES]
    disliked = tuple(categories[c] for c in order[::-1] if lean[c] < -_CLEAR)[:_TASTES]
    best = scale.format(scale.high)
    verb, average = ("chosen", "") if mean != mean else ("rated", f", {mean:.1f} of {best} on average")
    average = average if tells_mean else ""
    text = f"This {words.user} has {verb} {words.count_items(round(count))}{average}."
    called = f"{words.user.capitalize()} {name}"
    return User(id=name, name=called, description=text, liked=liked, disliked=disliked, **levels)
