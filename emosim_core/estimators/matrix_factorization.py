"""Ratings by biased matrix factorization, with any user placed among the items by ridge regression."""

from __future__ import annotations

import numpy as np

from emosim_core.data.interactions import Interactions
from emosim_core.estimators.interface import DECIMALS, Past, RatingEstimator, missing, rated
from emosim_core.model import Catalog, RatingScale
from emosim_core.model.arrays import Floats, Ints


class MatrixFactorization(RatingEstimator):
    """Biased matrix factorization by scikit-surprise's ``SVD`` (Koren, Bell & Volinsky, 2009, doi 10.1109/MC.2009.263).

    A rating is ``mean + b_i + w . [1, q_i]``. Mean, b_i and q_i are those that stochastic gradient descent learned; w,
    the user's bias and factors, is the ridge regression of the past on them, ``m + (L + sum x x')^-1 sum x r`` with
    ``x = [1, q_i]`` and r what m leaves of the rating. ``L = s^2 S^-1``: S is the covariance of w over the users of the
    log and m their mean, s^2 the mean squared residual. An item that the log does not have has b_i = 0 and q_i = 0.
    """

    name = "matrix factorization"
    monthly = False

    def __init__(self, factors: int = 16, epochs: int = 20, regularization: float = 0.1, seed: int = 0) -> None:
        self.factors = factors
        self.settings = {"n_factors": factors, "n_epochs": epochs, "reg_all": regularization, "random_state": seed}

    def fit(self, log: Interactions, catalog: Catalog, scale: RatingScale) -> None:
        try:
            from surprise import SVD, Dataset, Reader
        except ImportError as error:
            raise missing("matrix factorization", "scikit-surprise") from error
        values = rated(log.values)
        self._scale = scale
        self._base = np.full(log.item_count, (scale.low + scale.high) / 2)
        self._x = np.zeros((log.item_count, self.factors + 1))
        self._x[:, 0] = 1.0
        self._prior: Floats = np.eye(self.factors + 1)
        if not len(log):
            return
        # By item and user: the order in which the descent meets them is then none of the log's.
        order = np.lexsort((log.users, log.items))
        rows = zip(*(column[order].tolist() for column in (log.users, log.items, values)), strict=True)
        made = Dataset(Reader(rating_scale=(scale.low, scale.high)))
        table = made.construct_trainset([(user, item, value, None) for user, item, value in rows])
        model = SVD(**self.settings, reg_bu=0.02, reg_bi=0.02).fit(table)
        logged = np.array([table.to_raw_iid(number) for number in range(table.n_items)])
        users = np.array([table.to_raw_uid(number) for number in range(table.n_users)])
        self._base[:] = table.global_mean
        self._base[logged] += model.bi
        self._x[logged, 1:] = model.qi
        known = np.column_stack([model.bu, model.pu])
        usual = known.mean(axis=0)
        self._base += self._x @ usual
        vectors = np.zeros((len(log.user_ids), self.factors + 1))
        vectors[users] = known - usual
        residual = values - self._base[log.items] - (vectors[log.users] * self._x[log.items]).sum(axis=1)
        spread = vectors.T @ vectors / len(known)
        spread += 1e-6 * max(float(np.trace(spread)), 1e-6) * np.eye(len(spread))
        self._prior = np.asarray(np.linalg.inv(spread) * max(float(np.mean(residual**2)), 1e-6), dtype=np.float64)

    def predict(self, past: Past, items: Ints) -> Floats:
        x = self._x[past.items]
        user = np.linalg.solve(self._prior + x.T @ x, x.T @ (rated(past.values) - self._base[past.items]))
        predicted = np.round(self._base[items] + self._x[items] @ user, DECIMALS)
        return np.clip(predicted, self._scale.low, self._scale.high)
