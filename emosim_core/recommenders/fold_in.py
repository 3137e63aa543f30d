"""Fold-in: what a model that was trained on logged users says of a user whom it meets later, by what it left behind.

V users and M items were trained on; ``profiles`` are R rows of a SciPy CSR matrix of the shape ``(R, M)``, as the
matrix of the training; ``users`` says which of the V each is, -1 for none, shape ``(R,)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from emosim_core.model.arrays import Floats, Ints

_BLOCK = 1024
"""Logged users whose scores are held at once while a model is learned about."""


class FoldIn(Protocol):
    """Scores of all items for users of any profile."""

    def scores(self, profiles: Any, users: Ints) -> Floats:
        """How much each item is recommended, shape ``(R, M)``; NaN where the model has nothing to say."""


@dataclass(frozen=True)
class Linear:
    """Of a model whose scores are the profile times a matrix of items by items: exact for everybody."""

    weights: Any

    def scores(self, profiles: Any, users: Ints) -> Floats:
        made = profiles @ self.weights
        return np.asarray(made if isinstance(made, np.ndarray) else made.toarray(), dtype=np.float64)


class Vectors:
    """Of a model whose scores are inner products of a user's vector and an item's: a ridge regression of the profile.

    With Q the vectors of the profile's items, the user's is::

        w = m + S Q' (s^2 I + Q S Q')^-1 (t - Q m)

    m and S are mean and covariance of the trained users' vectors. t is the score that the model gives a trained user
    for an item that they rated so, the line ``a + c r`` that fits all logged pairs best, and s^2 its mean squared
    error. For a trained user, m is their own vector, and only what they had not rated in the logs counts.

    Args:
        users, items: the vectors, shapes ``(V, D)`` and ``(M, D)``.
        matrix: what was trained on, a CSR matrix of the shape ``(V, M)``.
    """

    def __init__(self, users: Floats, items: Floats, matrix: Any) -> None:
        self._users, self._items, self._matrix = users, items, matrix
        pairs = matrix.tocoo()
        scored = np.einsum("nd,nd->n", users[pairs.row], items[pairs.col])
        line = np.column_stack([np.ones(len(scored)), pairs.data - pairs.data.mean()])
        (middle, slope), *_ = np.linalg.lstsq(line, scored, rcond=None)
        self._line = middle - slope * pairs.data.mean(), slope
        error = max(float(np.mean((scored - line @ [middle, slope]) ** 2)), 1e-9)
        self._mean = users.mean(axis=0)
        above = users - self._mean
        self._spread = items @ (above.T @ above) / (len(users) * error)

    def scores(self, profiles: Any, users: Ints) -> Floats:
        vectors = np.where(users[:, None] < 0, self._mean, self._users[users])
        for row, user in enumerate(users.tolist()):
            part = slice(*profiles.indptr[row : row + 2])
            items, values = profiles.indices[part], profiles.data[part]
            if user >= 0:
                new = ~np.isin(items, self._matrix.indices[slice(*self._matrix.indptr[user : user + 2])])
                items, values = items[new], values[new]
            if len(items):
                q, spread = self._items[items], self._spread[items]
                wrong = self._line[0] + self._line[1] * values - q @ vectors[row]
                vectors[row] += spread.T @ np.linalg.solve(np.eye(len(q)) + spread @ q.T, wrong)
        made: Floats = vectors @ self._items.T
        return made


class Neighbors:
    """Of any other model: the mean of its scores for the trained users who are most like the profile.

    They are weighted by the cosine of both over items, of ratings as far as they are from the item's mean. A trained
    user has the model's own scores, whatever happens in the episode; a profile that is like nobody's has the mean over
    all trained users.

    Args:
        scores: the model's scores for the trained users, shape ``(V, M)``.
        matrix: as of :class:`Vectors`.
        k: how many are asked; ties of the last are asked too.
    """

    def __init__(self, scores: Any, matrix: Any, k: int) -> None:
        self._scores, self._k = scores, min(k, len(scores))
        self._mean = scores.mean(axis=0, dtype=np.float64)
        self._middle = np.zeros(matrix.shape[1])
        if np.ptp(matrix.data):
            self._middle = np.bincount(matrix.indices, matrix.data) / np.bincount(matrix.indices)
        self._above = matrix.copy()
        self._above.data = matrix.data - self._middle[matrix.indices]
        self._lengths = np.sqrt(np.maximum(np.asarray(self._above.power(2).sum(axis=1)).ravel(), 1e-12))

    def scores(self, profiles: Any, users: Ints) -> Floats:
        made = np.where(users[:, None] < 0, self._mean, self._scores[users])
        for row in np.flatnonzero(users < 0).tolist():
            part = slice(*profiles.indptr[row : row + 2])
            items = profiles.indices[part]
            alike = self._above[:, items] @ (profiles.data[part] - self._middle[items])
            near = np.maximum(np.round(alike / self._lengths, 12), 0.0)
            near[near < np.partition(near, -self._k)[-self._k]] = 0.0
            nearby = np.flatnonzero(near)
            if len(nearby):
                made[row] = near[nearby] @ self._scores[nearby] / near[nearby].sum()
        return made
