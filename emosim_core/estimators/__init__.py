"""Models learned from logs, each in its plainest form: what users choose, and how they rate it.

They know a user only by a :class:`Past`, so a user of the log and one who is not in it are the same to them.
"""

from __future__ import annotations

from emosim_core.estimators.attributes import CategoriesInCommon, Popularity, Recency, TextSimilarity
from emosim_core.estimators.coconsumption import EASE, ImplicitALS, ItemCooccurrence
from emosim_core.estimators.interface import ChoiceEstimator, Past, RatingEstimator
from emosim_core.estimators.matrix_factorization import MatrixFactorization
from emosim_core.estimators.ratings import ItemKNN, ItemMean, ItemMeanAndUserBias, UserMean


def choice_estimators(seed: int) -> list[ChoiceEstimator]:
    """All estimators of choices, not fitted, plainest first; ``seed`` decides what implicit ALS starts from."""
    return [
        Popularity(),
        Recency(),
        CategoriesInCommon(),
        TextSimilarity(),
        ItemCooccurrence(),
        EASE(),
        ImplicitALS(seed=seed),
    ]


def rating_estimators(seed: int) -> list[RatingEstimator]:
    """All estimators of ratings, not fitted, plainest first; ``seed`` decides what the factors start from."""
    return [UserMean(), ItemMean(), ItemMeanAndUserBias(), MatrixFactorization(seed=seed), ItemKNN()]


__all__ = [
    "EASE",
    "CategoriesInCommon",
    "ChoiceEstimator",
    "ImplicitALS",
    "ItemCooccurrence",
    "ItemKNN",
    "ItemMean",
    "ItemMeanAndUserBias",
    "MatrixFactorization",
    "Past",
    "Popularity",
    "RatingEstimator",
    "Recency",
    "TextSimilarity",
    "UserMean",
    "choice_estimators",
    "rating_estimators",
]
