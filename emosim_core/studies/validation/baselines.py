"""What simulated users are measured beside: means, matrix factorization, popularity and shared categories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emosim_core.errors import MissingDependencyError
from emosim_core.model import Catalog, RatingScale
from emosim_core.model.arrays import Floats, Ints
from emosim_core.studies.validation.users import TRAIN, RealUser, of_split

USER_MEAN, ITEM_MEAN, BOTH, FACTORS = "user's mean", "item's mean", "item's mean + user's bias", "matrix factorization"
"""The baselines of ratings."""

ITEM_DOUBT, USER_DOUBT = 5.0, 3.0
"""Ratings at the mean of all that an item's mean, and without bias that a user's bias, must outweigh."""

_EPOCHS, _NUMBER = 30, 50
"""Passes over the ratings, and factors, of the matrix factorization."""


class Baselines:
    """Predicts ratings in the plainest ways from what the train users rated and the measured remember.

    ``real_users`` is everybody; public ratings and counts of the catalog are the train users'.
    """

    def __init__(
        self,
        catalog: Catalog,
        real_users: Sequence[RealUser],
        measured: Sequence[RealUser],
        scale: RatingScale,
        seed: int,
    ) -> None:
        known = of_split(real_users, TRAIN)
        self._middle = float(np.concatenate([real_user.values for real_user in known]).mean())
        counts = catalog.public_counts.astype(np.float64)
        means = np.where(catalog.has_public_rating, catalog.public_ratings, self._middle)
        self._item = (counts * means + ITEM_DOUBT * self._middle) / (counts + ITEM_DOUBT)
        flags = catalog.categories.astype(np.float64)
        self._categories = flags / np.maximum(np.linalg.norm(flags, axis=1, keepdims=True), 1.0)
        self._counts = counts
        self._scale = scale
        self._factors = _factors(known, measured, len(catalog), scale, seed)

    def ratings(self, real_user: RealUser, items: Ints) -> dict[str, Floats]:
        """What each baseline says of each item, on the domain's scale."""
        bias = float((real_user.past_values - self._item[real_user.past]).sum()) / (real_user.past_count + USER_DOUBT)
        low, high = self._scale.low, self._scale.high
        predicted = {
            USER_MEAN: np.full(len(items), float(real_user.past_values.mean())),
            ITEM_MEAN: self._item[items],
            BOTH: self._item[items] + bias,
            FACTORS: self._factors[real_user.id][items],
        }
        return {name: np.clip(values, low, high) for name, values in predicted.items()}

    def choices(self, real_user: RealUser, items: Ints) -> dict[str, Floats]:
        """Scores for whether the user chooses each item."""
        own = self._categories[real_user.past].mean(axis=0)
        return {
            "popularity alone": self._counts[items],
            "categories in common": self._categories[items] @ own,
            FACTORS: self._factors[real_user.id][items],
        }


def _factors(
    known: Sequence[RealUser], measured: Sequence[RealUser], items: int, scale: RatingScale, seed: int
) -> dict[str, Floats]:
    """Every rating of the measured by Funk's matrix factorization, learned from all that is known or remembered."""
    try:
        import surprise
    except ImportError as error:
        raise MissingDependencyError(
            "the baseline of matrix factorization", "scikit-surprise", "pip install 'emosim-core[train]'"
        ) from error
    rated = [
        (one.id, *pair, None) for one in known for pair in zip(one.items.tolist(), one.values.tolist(), strict=True)
    ] + [(one.id, *pair, None) for one in measured for pair in one.memory]
    data = surprise.Dataset(surprise.Reader(rating_scale=(scale.low, scale.high)))
    train = data.construct_trainset(rated)
    model = surprise.SVD(n_factors=_NUMBER, n_epochs=_EPOCHS, reg_all=0.05, random_state=seed).fit(train)
    place = np.full(items, -1, dtype=np.intp)
    for inner in train.all_items():
        place[train.to_raw_iid(inner)] = inner
    present = place >= 0
    of_item = np.where(present, model.bi[place], 0.0)
    vectors = np.where(present[:, None], model.qi[place], 0.0)
    factors = {}
    for real_user in measured:
        inner = train.to_inner_uid(real_user.id)
        factors[real_user.id] = train.global_mean + model.bu[inner] + of_item + vectors @ model.pu[inner]
    return factors
