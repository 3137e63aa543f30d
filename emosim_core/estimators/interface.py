"""What an estimator is: it is fitted to a log, and then asked about users by what is known of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError, MissingDependencyError
from emosim_core.model import Catalog, RatingScale
from emosim_core.model.arrays import Floats, Ints

DECIMALS = 9
"""Digits that answers are rounded to, so that the order in which a library adds up changes nothing."""


@dataclass(frozen=True)
class Past:
    """What is known of a user: m items, oldest first, none of them twice.

    Attributes:
        items: indices of the items, shape ``(m,)``; m may be 0.
        values: how they rated them, on the domain's scale, shape ``(m,)``; None where only that is known that they
            took them.
    """

    items: Ints
    values: Floats | None


class Estimator(ABC):
    """What estimators of choices and of ratings share.

    Attributes:
        name: what tables call it.
        monthly: whether fitting is cheap enough to do it again for each month of a log; else once a year.
    """

    name: ClassVar[str]
    monthly: ClassVar[bool] = True


class ChoiceEstimator(Estimator):
    """Says which items a user is likely to choose."""

    @abstractmethod
    def fit(self, log: Interactions, catalog: Catalog) -> None:
        """Learn from all of ``log`` and nothing else of what users did; what was learned before is forgotten.

        Raises:
            MissingDependencyError: a library of the extra ``validate`` is not installed.
        """

    @abstractmethod
    def scores(self, past: Past, items: Ints) -> Floats:
        """How likely a user chooses each of ``items``, higher is likelier; both of shape ``(n,)``.

        Scores of one call compare with each other only.
        """


class RatingEstimator(Estimator):
    """Says how a user rates items."""

    @abstractmethod
    def fit(self, log: Interactions, catalog: Catalog, scale: RatingScale) -> None:
        """Learn from all of ``log`` and nothing else of what users did; what was learned before is forgotten.

        Raises:
            ConfigurationError: the log has no ratings.
            MissingDependencyError: a library of the extra ``validate`` is not installed.
        """

    @abstractmethod
    def predict(self, past: Past, items: Ints) -> Floats:
        """Ratings of ``items``, shape ``(n,)``, on the scale and clipped to it; need not be levels of it.

        Raises:
            ConfigurationError: the past has no ratings.
        """


def rated(values: Floats | None) -> Floats:
    """The ratings of a log or a past; a ConfigurationError where there are none."""
    if values is None:
        raise ConfigurationError("an estimator of ratings needs ratings, and this log says only what users took")
    return values


def item_by_user(log: Interactions, values: Floats | None = None) -> Any:
    """A log as a SciPy CSR array of the shape ``(N, U)``, with 1 or ``values`` where a user took an item.

    A user without interactions has no column.
    """
    try:
        from scipy import sparse
    except ImportError as error:
        raise missing("learning from what users have in common", "scipy") from error
    present, users = np.unique(log.users, return_inverse=True)
    entries = np.ones(len(log)) if values is None else values
    return sparse.csr_array((entries, (log.items, users)), shape=(log.item_count, len(present)))


def missing(needed_for: str, package: str) -> MissingDependencyError:
    """The error that a library of the extra ``validate`` is not installed."""
    return MissingDependencyError(needed_for, package, 'pip install "emosim-core[validate]"')
