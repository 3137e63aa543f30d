"""Choices by what users take together: item co-occurrence, EASE, implicit ALS."""

from __future__ import annotations

from typing import Any

import numpy as np

from emosim_core.data.interactions import Interactions
from emosim_core.estimators.interface import DECIMALS, ChoiceEstimator, Past, item_by_user, missing
from emosim_core.model import Catalog
from emosim_core.model.arrays import Floats, Ints

_BLOCK = 1024
"""Items of which a row over all users is held at once."""


class ItemCooccurrence(ChoiceEstimator):
    """Item-based collaborative filtering (Sarwar, Karypis, Konstan & Riedl, 2001, doi 10.1145/371920.372071).

    The score of an item is the sum of its similarities to the user's items; of two items that ``a`` and ``b`` users
    took, ``c`` of them both, it is ``c / (sqrt(a b) + shrinkage)``, the cosine, shrunk where few took them.

    Args:
        shrinkage: in users.
    """

    name = "item co-occurrence"

    def __init__(self, shrinkage: float = 20.0) -> None:
        self.shrinkage = shrinkage

    def fit(self, log: Interactions, catalog: Catalog) -> None:
        self._taken = item_by_user(log)
        self._counts = np.bincount(log.items, minlength=log.item_count).astype(np.float64)

    def scores(self, past: Past, items: Ints) -> Floats:
        together = (self._taken[items] @ self._taken[past.items].T).toarray()
        together[items[:, None] == past.items[None, :]] = 0.0
        alike = np.sqrt(np.multiply.outer(self._counts[items], self._counts[past.items])) + self.shrinkage
        return np.round((together / alike).sum(axis=1), DECIMALS)


class EASE(ChoiceEstimator):
    """A linear model that predicts each item from all others (Steck, 2019, doi 10.1145/3308558.3313710).

    With X the log as users by items, and ``P = (X'X + regularization I)^-1``, the weight of item i for j is
    ``-P_ij / P_jj``, and 0 for i = j; a score is the sum of the weights of the user's items. Where users are fewer than
    items, P is not made: by the Woodbury identity ``regularization P = I - X' (XX' + regularization I)^-1 X``, whose
    inverse has the size of the users (the dual form; Steck, 2019, section 3.2, gives the primal one). Items that the
    log does not have score 0.

    Args:
        regularization: penalty on squared weights, in users.
    """

    name = "EASE"

    def __init__(self, regularization: float = 200.0) -> None:
        self.regularization = regularization

    def fit(self, log: Interactions, catalog: Catalog) -> None:
        taken = item_by_user(log)
        self._position = np.full(log.item_count, -1, dtype=np.intp)
        logged = np.unique(log.items)
        self._position[logged] = np.arange(len(logged))
        self._taken = taken = taken[logged]
        self._dual = taken.shape[1] < taken.shape[0]
        gram = (taken.T @ taken if self._dual else taken @ taken.T).toarray()
        gram[np.diag_indices_from(gram)] += self.regularization
        self._inverse = np.linalg.inv(gram)
        if not self._dual:
            self._inverse *= self.regularization
            self._own = np.diag(self._inverse).copy()
            return
        self._own = np.ones(len(logged))
        for at in range(0, len(logged), _BLOCK):
            rows = taken[at : at + _BLOCK]
            self._own[at : at + _BLOCK] -= np.asarray(rows.multiply(rows @ self._inverse).sum(axis=1)).ravel()

    def scores(self, past: Past, items: Ints) -> Floats:
        """``regularization P`` of the items by the past, summed over the past, over its diagonal."""
        columns = self._position[past.items]
        columns, rows = columns[columns >= 0], self._position[items]
        known = rows >= 0
        rows = rows[known]
        if self._dual:
            shared = np.asarray(self._taken[columns].sum(axis=0)).ravel()
            summed = np.isin(rows, columns) - self._taken[rows] @ (self._inverse @ shared)
        else:
            summed = self._inverse[np.ix_(rows, columns)].sum(axis=1)
        own = self._own[rows]
        scores = np.zeros(len(items))
        scores[known] = np.round(np.isin(rows, columns) - summed / own, DECIMALS)
        return scores


class ImplicitALS(ChoiceEstimator):
    """Matrix factorization of what was taken (Hu, Koren & Volinsky, 2008, doi 10.1109/ICDM.2008.22), by ``implicit``.

    Alternating least squares over all cells of users by items, those taken being 1 and counted ``alpha`` times, the
    others 0 and counted once. A user is placed among the items by one more such step. Items that the log does not have
    score 0.

    Args:
        factors: of an item.
        regularization: penalty on squared factors.
        alpha: how much a taken item outweighs one that was not.
        iterations: alternations.
        seed: of the factors that it starts from.
    """

    name = "implicit ALS"
    monthly = False

    def __init__(
        self, factors: int = 32, regularization: float = 1.0, alpha: float = 10.0, iterations: int = 15, seed: int = 0
    ) -> None:
        self.settings = {
            "factors": factors,
            "regularization": regularization,
            "alpha": alpha,
            "iterations": iterations,
            "random_state": seed,
        }

    def fit(self, log: Interactions, catalog: Catalog) -> None:
        taken = item_by_user(log).T.tocsr()
        try:
            from implicit.cpu.als import AlternatingLeastSquares
            from scipy import sparse
            from threadpoolctl import threadpool_limits
        except ImportError as error:
            raise missing("implicit ALS", "implicit") from error
        self._row: Any = lambda items: sparse.csr_matrix(
            (np.ones(len(items), dtype=np.float32), items, [0, len(items)]), shape=(1, log.item_count)
        )
        self._logged = np.bincount(log.items, minlength=log.item_count) > 0
        self._model = None
        if not len(log):
            return
        # One thread, also of BLAS: its sums then have one order, and the library has nothing to warn of.
        with threadpool_limits(1, "blas"):
            self._model = AlternatingLeastSquares(**self.settings, num_threads=1)
            self._model.fit(sparse.csr_matrix(taken, dtype=np.float32), show_progress=False)

    def scores(self, past: Past, items: Ints) -> Floats:
        if self._model is None:
            return np.zeros(len(items))
        user = self._model.recalculate_user(0, self._row(np.sort(past.items[self._logged[past.items]])))
        scores: Floats = self._model.item_factors[items].astype(np.float64) @ np.asarray(user, dtype=np.float64).ravel()
        return np.round(scores * self._logged[items], 6)
