"""Real users for a validation: whom to measure, what is remembered and what held out, who they are, and choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import ConfigurationError
from emosim_core.model import Catalog, Item, LoadedRatings, RatingScale, User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.domain import Words

TRAIN, CALIBRATION, VALIDATION, TEST = "train", "calibration", "validation", "test"
"""The groups of users: whose ratings make the public knowledge, who set the thresholds, and two that are measured."""

USER_SPLITS = ((TRAIN, 0.52), (CALIBRATION, 0.60), (VALIDATION, 0.80), (TEST, 1.0))
"""Each group, and up to which place in [0, 1) its users lie."""

LEAST = 10
"""Ratings that a user must have given to be measured: enough to remember some and hold some out."""

_TASTES = 4
"""Categories that a user is said to like or dislike, at most (EmoSim-RL)."""

_CLEAR = 0.25
"""Points of 10 that a category must stand out by, in a user's shrunken mean, to be called liked or disliked."""

_TRAIT_SHARES = {"activity": (0.3, 0.8), "conformity": (0.25, 0.75), "diversity": (0.25, 0.75)}
"""Where the levels of a trait are cut among users (EmoSim-RL)."""


def place(real_user: str) -> float:
    """A number in [0, 1) that belongs to an id for ever, so that a user is in the same group in any excerpt."""
    digest = blake2b(real_user.encode(), digest_size=8, person=b"validation").digest()
    return int.from_bytes(digest, "big") / 2.0**64


def user_split_of(real_user: str) -> str:
    """The group that a user belongs to; it depends on the id alone."""
    where = place(real_user)
    return next(name for name, end in USER_SPLITS if where < end)


@dataclass(frozen=True)
class RealUser:
    """One user's ratings, oldest first.

    Attributes:
        items: indices in the catalog, shape ``(n,)``.
        values: ratings on the domain's scale, shape ``(n,)``.
        past_count: how many of them, from the start, are profile and memory; the others are held out.
    """

    id: str
    user_split: str
    items: Ints
    values: Floats
    past_count: int

    @property
    def past(self) -> Ints:
        """Items that are remembered."""
        return self.items[: self.past_count]

    @property
    def past_values(self) -> Floats:
        """Ratings that are remembered."""
        return self.values[: self.past_count]

    @property
    def memory(self) -> tuple[tuple[int, float], ...]:
        """Both, pair by pair."""
        return tuple(zip(self.past.tolist(), self.past_values.tolist(), strict=True))

    @property
    def later(self) -> Ints:
        """Items that are held out."""
        return self.items[self.past_count :]

    @property
    def later_values(self) -> Floats:
        """Ratings that are held out."""
        return self.values[self.past_count :]


def split_real_users(ratings: LoadedRatings, seed: int) -> list[RealUser]:
    """The users of a data set, each split at one point in time, in the order of their :func:`place`.

    The ``seed`` decides the order of ratings of the same second; half of each user's are remembered. A
    ConfigurationError where a group that is needed has no users, or the log has no ratings or no times.
    """
    if ratings.values is None or ratings.times is None:
        raise ConfigurationError("a validation needs ratings with times")
    names, who = np.unique(np.asarray(ratings.user_ids, dtype=np.str_), return_inverse=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(who)), ratings.times, who))
    bounds = np.searchsorted(who[order], np.arange(len(names) + 1))
    real_users = []
    for number, name in enumerate(names.tolist()):
        rows = order[bounds[number] : bounds[number + 1]]
        # Who rated one item twice meant the last time.
        rows = rows[np.sort(len(rows) - 1 - np.unique(ratings.items[rows][::-1], return_index=True)[1])]
        if len(rows) >= LEAST:
            count = len(rows) // 2
            real_users.append(RealUser(name, user_split_of(name), ratings.items[rows], ratings.values[rows], count))
    real_users.sort(key=lambda real_user: place(real_user.id))
    for user_split, _ in USER_SPLITS:
        if not any(real_user.user_split == user_split for real_user in real_users):
            raise ConfigurationError(
                f"too few users to measure: nobody with at least {LEAST} ratings is in the group {user_split!r}; "
                "give ratings of more users"
            )
    return real_users


def of_split(real_users: Sequence[RealUser], user_split: str, most: int | None = None) -> list[RealUser]:
    """The users of a group, the first ``most`` of them."""
    return [real_user for real_user in real_users if real_user.user_split == user_split][:most]


def public_items(
    items: Sequence[Item], real_users: Sequence[RealUser], user_written_fields: Sequence[str]
) -> list[Item]:
    """The items as the train users make them known: mean and number of their ratings, and nothing of the others.

    ``real_users`` is everybody; the fields that hold what users wrote are emptied.
    """
    known = of_split(real_users, TRAIN)
    rated = np.concatenate([real_user.items for real_user in known])
    counts = np.bincount(rated, minlength=len(items))
    sums = np.bincount(rated, np.concatenate([real_user.values for real_user in known]), len(items))
    empty = {
        name: type(items[0]).model_fields[name].get_default(call_default_factory=True) for name in user_written_fields
    }
    return [
        item.model_copy(update={**empty, "public_count": count, "public_rating": total / count if count else None})
        for item, count, total in zip(items, counts.tolist(), sums.tolist(), strict=True)
    ]


def trait_metrics_of(real_user: RealUser, catalog: Catalog) -> dict[str, float]:
    """What the levels of a user's traits are read off, from what they remember.

    ``activity`` is how much they rated; ``conformity`` their mean distance from the public rating; ``diversity`` the
    entropy of the categories that they chose, in nats.
    """
    known = catalog.has_public_rating[real_user.past]
    apart = np.abs(real_user.past_values - catalog.public_ratings[real_user.past])[known]
    flags = catalog.categories[real_user.past].astype(np.float64)
    shares = (flags / np.maximum(flags.sum(axis=1, keepdims=True), 1.0)).sum(axis=0)
    shares = shares[shares > 0] / max(shares.sum(), 1e-9)
    return {
        "activity": float(real_user.past_count),
        "conformity": float(apart.mean()) if len(apart) else 0.0,
        "diversity": float(-(shares * np.log(shares)).sum()),
    }


def tastes_of(real_user: RealUser, catalog: Catalog, scale: RatingScale) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Up to four liked and four disliked categories, clearest first.

    A category's weight is the mean of how far the user rated its items above their own mean and the public
    rating's, shrunk as by five more items without any difference.
    """
    flags = catalog.categories[real_user.past].astype(np.float64)
    flags /= np.maximum(flags.sum(axis=1, keepdims=True), 1.0)
    apart = real_user.past_values - catalog.public_ratings[real_user.past]
    lean = flags.T @ (apart - apart.mean()) / (flags.sum(axis=0) + 5.0) * 9.0 / scale.span
    order = np.argsort(-lean, kind="stable")
    names = catalog.category_names
    liked = tuple(names[c] for c in order if lean[c] > _CLEAR)[:_TASTES]
    disliked = tuple(names[c] for c in order[::-1] if lean[c] < -_CLEAR)[:_TASTES]
    return liked, disliked


def personas(
    real_users: Sequence[RealUser], everybody: Sequence[RealUser], catalog: Catalog, scale: RatingScale, words: Words
) -> list[User]:
    """Profiles read off what users remember; levels of traits by the quantiles of the train users of ``everybody``."""
    known = [trait_metrics_of(real_user, catalog) for real_user in of_split(everybody, TRAIN)]
    cuts = {
        trait: np.quantile([one[trait] for one in known], shares).tolist() for trait, shares in _TRAIT_SHARES.items()
    }
    users = []
    for real_user in real_users:
        metrics = trait_metrics_of(real_user, catalog)
        levels = {trait: 1 + sum(metrics[trait] > cut for cut in ends) for trait, ends in cuts.items()}
        liked, disliked = tastes_of(real_user, catalog, scale)
        mean = float(real_user.past_values.mean())
        text = f"This {words.user} has rated {real_user.past_count:,} {words.items}, {mean:.1f} on average."
        name = f"{words.user.capitalize()} {real_user.id}"
        users.append(User(id=real_user.id, name=name, description=text, liked=liked, disliked=disliked, **levels))
    return users


@dataclass(frozen=True)
class ChoiceSet:
    """What one user is shown; P is the number of items that they chose.

    Attributes:
        chosen: items that are held out, shape ``(P,)``.
        random: items that they never rated, in the order in which a ratio takes them: with k for each chosen one the
            first k * P count; shape ``(most * P,)``, or fewer where there are no more.
        matched: as many items that they never rated, each as widely rated as one of the chosen; shape ``(P,)``.
    """

    chosen: Ints
    random: Ints
    matched: Ints


def draw_choice_set(
    real_user: RealUser, counts: NDArray[np.int64], most: int, max_positives: int, seed: int
) -> ChoiceSet:
    """Choose what a user is shown; the seed decides, with the user's id.

    ``counts`` is how many users rated each item, ``most`` the largest ratio of unchosen items to chosen ones.
    """
    rng = np.random.default_rng([seed, *real_user.id.encode()])
    chosen = rng.permutation(real_user.later)[:max_positives]
    others = np.setdiff1d(np.arange(len(counts)), real_user.items)
    random = rng.permutation(others)[: most * len(chosen)]
    return ChoiceSet(chosen, random, matched(chosen, others, counts, rng))


def matched(chosen: Ints, others: Ints, counts: NDArray[np.int64], rng: np.random.Generator) -> Ints:
    """For each chosen item one of at least as many ``others`` that is as widely rated, or nearest to it; each once."""
    # A fraction below 1 puts equals in a random order and leaves others in theirs.
    order = counts[others] + rng.random(len(others))
    others, order = others[np.argsort(order)], np.sort(order)
    free = np.ones(len(others), dtype=np.bool_)
    taken = []
    for wanted in (counts[chosen] + rng.random(len(chosen))).tolist():
        right = int(np.searchsorted(order, wanted))
        lower = right - 1
        while lower >= 0 and not free[lower]:
            lower -= 1
        while right < len(order) and not free[right]:
            right += 1
        if lower >= 0 and (right == len(order) or wanted - order[lower] <= order[right] - wanted):
            right = lower
        free[right] = False
        taken.append(int(others[right]))
    return np.array(taken, dtype=np.intp)
