"""Factorization: recommenders that learn factors of items from logs and place an episode's user among them."""

from __future__ import annotations

from typing import Any

import numpy as np

from emosim_core.components.base import PolicySetting
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.frozen import option
from emosim_core.recommenders.logs import LogOptions
from emosim_core.recommenders.profiles import ProfilePolicy

_BIASES = 0.02
"""Penalty on squared biases, scikit-surprise's default; few epochs are what keeps the bias of a rare item small."""


class FactorOptions(LogOptions):
    """Options of ``matrix_factorization``."""

    factors: int = option(16, "Factors of an item.", ge=1)
    epochs: int = option(20, "Times that stochastic gradient descent goes over the logs.", ge=1)
    learning_rate: float = option(0.005, "Its step size.", gt=0)
    regularization: float = option(0.1, "Its penalty on squared factors.", ge=0)
    trust: float = option(
        1.0, "How much an episode's ratings count against what users are like in general; 1 as the logs say.", gt=0
    )


class ImplicitFactorOptions(FactorOptions):
    """Options of ``svdpp``."""

    epochs: int = option(12, "Times that stochastic gradient descent goes over the logs.", ge=1)


class MatrixFactorization(ProfilePolicy):
    """Recommends the items with the highest predicted ratings by biased matrix factorization.

    A rating is predicted as ``mean + b_i + [b_u, p_u] . [1, q_i]`` (Koren, Bell & Volinsky, 2009,
    doi 10.1109/MC.2009.263); mean, b_i and q_i come from scikit-surprise's ``SVD``. The user's ``w = [b_u, p_u]`` is
    the ridge regression of their profile on the items' ``x_i = [1, q_i]``::

        w = m + (L + sum x x')^-1 sum x (r - mean - b_i - x . m),    L = s^2 S^-1 / trust

    with S the covariance of w over the logged users, s^2 the mean squared residual of the logs, and m = 0. The mean
    of their w is taken into the first terms: who is new is taken for an average user. An item that was never logged
    has b_i = 0 and q_i = 0.
    """

    deterministic = True

    options: FactorOptions

    def algorithm(self) -> Any:
        """What fits the factors, not fitted yet."""
        from surprise import SVD

        return SVD(**self._settings())

    def _settings(self) -> dict[str, Any]:
        options = self.options
        settings = {"n_factors": options.factors, "n_epochs": options.epochs, "lr_all": options.learning_rate}
        return {**settings, "reg_all": options.regularization, "reg_bu": _BIASES, "reg_bi": _BIASES, "random_state": 0}

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        width = self._x.shape[1]
        self._gram = np.zeros((setting.batch_size, width, width))
        self._pull = np.zeros((setting.batch_size, width))

    def fit(self) -> None:
        table, inner = self.trainset()
        self._model = self.algorithm().fit(table)
        self._inner, logged = inner, inner >= 0
        self._base = np.full(len(self.catalog), float(table.global_mean))
        self._base[logged] += self._model.bi[inner[logged]]
        self._x = np.zeros((len(self.catalog), self.options.factors + 1))
        self._x[:, 0] = 1.0
        self._x[logged, 1:] = self._model.qi[inner[logged]]
        users, items, ratings = self.logs.pairs()
        user_vectors = np.column_stack([self._model.bu, self._model.pu])
        usual = user_vectors.mean(axis=0)
        self._base += self._x @ usual
        user_vectors -= usual
        own = ((user_vectors + self.logged_middles())[users] * self._x[items]).sum(axis=1)
        wrong = ratings - self._base[items] - own
        moments = user_vectors.T @ user_vectors / len(user_vectors)
        moments += 1e-6 * max(float(np.trace(moments)) / len(moments), 1e-6) * np.eye(len(moments))
        self._prior = max(float(np.mean(wrong**2)), 1e-6) * np.linalg.inv(moments) / self.options.trust

    def logged_middles(self) -> Floats:
        """The m of each logged user; broadcasts to ``(V, factors + 1)``."""
        return np.zeros((1, self._x.shape[1]))

    def middle(self, rows: Ints) -> Floats:
        """What w is before explicit ratings count, shape ``(R, factors + 1)``."""
        return np.zeros((len(rows), self._x.shape[1]))

    def meet(self, rows: Ints) -> None:
        self._gram[rows], self._pull[rows] = 0.0, 0.0

    def absorb(self, rows: Ints, items: Ints, ratings: Floats) -> None:
        x = self._x[items]
        np.add.at(self._gram, rows, x[:, :, None] * x[:, None, :])
        np.add.at(self._pull, rows, x * (ratings - self._base[items])[:, None])

    def scores(self, rows: Ints) -> Floats:
        middle, gram = self.middle(rows), self._gram[rows]
        pull = self._pull[rows] - np.einsum("rij,rj->ri", gram, middle)
        w = middle + np.linalg.solve(gram + self._prior, pull[:, :, None])[:, :, 0]
        return self._base + w @ self._x.T


class SVDpp(MatrixFactorization):
    """Matrix factorization in which the choice of what was rated counts too.

    As :class:`MatrixFactorization`, with ``p_u + |I|^-1/2 sum y_j`` in place of p_u, over the items I of the profile
    (Koren, 2008, doi 10.1145/1401890.1401944); scikit-surprise's ``SVDpp``. The sum is the m of the regression.
    """

    def algorithm(self) -> Any:
        from surprise import SVDpp as Algorithm

        return Algorithm(**self._settings(), cache_ratings=True)

    def fit(self) -> None:
        super().fit()
        self._y = np.zeros((len(self.catalog), self.options.factors))
        logged = self._inner >= 0
        self._y[logged] = self._model.yj[self._inner[logged]]

    def logged_middles(self) -> Floats:
        users, items, _ = self.logs.pairs()
        sums = np.zeros_like(self._model.pu)
        np.add.at(sums, users, self._model.yj[self._inner[items]])
        sums /= np.sqrt(np.bincount(users))[:, None]
        return np.column_stack([np.zeros(len(sums)), sums])

    def start(self, setting: PolicySetting) -> None:
        super().start(setting)
        self._sums = np.zeros((setting.batch_size, self.options.factors))
        self._counts = np.zeros(setting.batch_size)

    def meet(self, rows: Ints) -> None:
        super().meet(rows)
        self._sums[rows], self._counts[rows] = 0.0, 0.0

    def absorb(self, rows: Ints, items: Ints, ratings: Floats) -> None:
        super().absorb(rows, items, ratings)
        new = ~self.rated[rows, items]
        np.add.at(self._sums, rows[new], self._y[items[new]])
        np.add.at(self._counts, rows[new], 1.0)

    def middle(self, rows: Ints) -> Floats:
        middle = super().middle(rows)
        middle[:, 1:] = self._sums[rows] / np.sqrt(np.maximum(self._counts[rows], 1.0))[:, None]
        return middle
