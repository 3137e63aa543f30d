"""RatingModel: what users' ratings of items have in common, learned from many users, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emosim_core.model.arrays import Floats, Ints

_ITERATIONS = 30
"""Rounds of expectation maximisation."""

_BEGIN = 0.1
"""Variances that the first round takes for those of weights, items and noise; ratings lie between -1 and 1."""

_LEAST = 1e-6
"""No variance is smaller."""

_MEAN_RIDGE = 1e-3


@dataclass(frozen=True)
class RatingModel:
    """A hierarchical linear model of ratings: ``r_ui = e_i + s (z_i . v_u + noise)``, of N items and U users.

    Among users, ``v_u`` is standard normal, as is the noise; ``z_i`` therefore says how much users differ about an
    item, and how much those of two items differ together.

    Attributes:
        expected: e, what users rate an item on average, shape ``(N,)``.
        loadings: z, shape ``(N, d)``.
        noise: s, standard deviation of one rating around what is expected of this user.
        means: the mean of v_u given the user's ratings, shape ``(U, d)``.
        precisions: the inverse of its covariance, shape ``(U, d, d)``.
    """

    expected: Floats
    loadings: Floats
    noise: float
    means: Floats
    precisions: Floats


def with_intercept(features: NDArray[np.floating]) -> Floats:
    """Features of items with a 1 in front, shape ``(N, 1 + f)``."""
    return np.column_stack([np.ones(len(features)), features]).astype(np.float64)


def fit_rating_model(
    features: NDArray[np.floating], users: Ints, items: Ints, ratings: Floats, num_users: int
) -> RatingModel:
    """Fit the model to n ratings by empirical Bayes.

    With ``x_i`` an intercept and the features of an item, ``r_ui = b_i + x_i . w_u + noise``, ``w_u ~ N(0, S)`` and
    ``b_i ~ N(x_i . m, t^2)``: a linear mixed model (Laird & Ware, 1982, doi 10.2307/2529876). S, m, t and the variance
    of the noise are estimated by expectation maximisation, in which b_i is taken at its mean. S is not diagonal: who
    likes one kind of items tends to like certain others.

    Args:
        features: of items, shape ``(N, f)``.
        users, items: indices, shape ``(n,)``; a pair may occur several times.
        ratings: from -1 to 1, shape ``(n,)``, at least one.
        num_users: U.
    """
    x = with_intercept(features)
    count, width = x.shape
    order = np.argsort(users, kind="stable")
    users, items, ratings = users[order], items[order], ratings[order]
    edges = np.searchsorted(users, np.arange(num_users + 1))
    rows = x[items]
    raters = np.unique(users)
    grams = _grams(rows, edges)
    rated = np.bincount(items, minlength=count)
    covariance: Floats = _BEGIN * np.eye(width)
    noise = item_variance = _BEGIN
    expected: Floats = np.full(count, float(ratings.mean()))
    for _ in range(_ITERATIONS):
        pulls = _by_user(rows * (ratings - expected[items])[:, None], edges)
        spreads = np.linalg.inv(np.linalg.inv(covariance) + grams / noise)
        weights = np.einsum("uij,uj->ui", spreads, pulls / noise)
        weights -= weights[raters].mean(axis=0)  # their mean belongs to m, which would else take many rounds
        own = weights[raters]
        covariance = (own.T @ own + spreads[raters].sum(axis=0)) / len(raters) + _LEAST * np.eye(width)
        left = ratings - (rows * weights[users]).sum(axis=1)
        missed = np.sum((left - expected[items]) ** 2) + np.sum(spreads * grams)
        noise = max(float(missed) / len(ratings), _LEAST)
        sums = np.bincount(items, left, minlength=count)
        trust = rated / (rated * item_variance + noise)
        pull = x.T @ (sums / np.maximum(rated, 1) * trust)
        mean = np.linalg.solve((x * trust[:, None]).T @ x + _MEAN_RIDGE * np.eye(width), pull)
        spread = 1.0 / (1.0 / item_variance + rated / noise)
        own_part = spread * (sums - rated * (x @ mean)) / noise
        item_variance = max(float(np.mean(own_part**2 + spread)), _LEAST)
        expected = (x @ mean + own_part).astype(np.float64)
    scale = float(np.sqrt(noise))
    loadings = x @ np.linalg.cholesky(covariance) / scale
    own_rows = loadings[items]
    precisions: Floats = np.eye(width) + _grams(own_rows, edges)
    pulls = _by_user(own_rows * ((ratings - expected[items]) / scale)[:, None], edges)
    means = np.linalg.solve(precisions, pulls[:, :, None])[:, :, 0]
    return RatingModel(expected, loadings, scale, means.astype(np.float64), precisions)


def _grams(rows: Floats, edges: Ints) -> Floats:
    """Sums of the outer products of the rows of each user, which lie side by side; shape ``(U, d, d)``."""
    grams = np.zeros((len(edges) - 1, rows.shape[1], rows.shape[1]))
    for user in np.flatnonzero(np.diff(edges)).tolist():
        own = rows[edges[user] : edges[user + 1]]
        grams[user] = own.T @ own
    return grams


def _by_user(rows: Floats, edges: Ints) -> Floats:
    """Sums of the rows of each user, which lie side by side; shape ``(U, d)``."""
    total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    return total[edges[1:]] - total[edges[:-1]]
