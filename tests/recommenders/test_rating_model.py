"""RatingModel: what was put into made-up ratings is found again, and nobody is known who rated nothing."""

from __future__ import annotations

import numpy as np
import pytest

from emosim_core.recommenders.rating_model import fit_rating_model, with_intercept

ITEMS, USERS, NOISE = 60, 300, 0.3


def made_up() -> tuple[np.ndarray, ...]:
    """Features, what users rate on average, weights of users, and 40 ratings of all users but the last."""
    generator = np.random.default_rng(3)
    features = generator.normal(size=(ITEMS, 2))
    root = np.array([[0.3, 0.0, 0.0], [0.1, 0.2, 0.0], [0.0, -0.15, 0.1]])
    weights = generator.normal(size=(USERS, 3)) @ root.T
    expected = features @ [0.2, 0.0] + generator.normal(0.0, 0.1, ITEMS) + 0.1
    users = np.repeat(np.arange(USERS - 1), 40)
    items = generator.integers(ITEMS, size=len(users))
    ratings = expected[items] + (with_intercept(features)[items] * weights[users]).sum(axis=1)
    return features, expected, weights, root @ root.T, users, items, ratings + generator.normal(0.0, NOISE, len(users))


def test_what_ratings_were_made_of_is_found_again() -> None:
    features, expected, weights, covariance, users, items, ratings = made_up()
    order = np.random.default_rng(1).permutation(len(users))
    model = fit_rating_model(features, users[order], items[order], ratings[order], USERS)
    x = with_intercept(features)
    assert model.noise == pytest.approx(NOISE, rel=0.03)
    found = model.noise**2 * model.loadings @ model.loadings.T
    assert np.abs(found - x @ covariance @ x.T).max() < 0.12
    assert np.abs(model.expected - expected - x @ weights[:-1].mean(axis=0)).max() < 0.12
    tastes = model.noise * model.means[:-1] @ model.loadings.T
    true = x @ (weights[:-1] - weights[:-1].mean(axis=0)).T
    wrong = np.sqrt(np.mean((tastes - true.T) ** 2))
    claimed = np.einsum("nd,ude,ne->un", model.loadings, np.linalg.inv(model.precisions[:-1]), model.loadings)
    assert wrong == pytest.approx(model.noise * np.sqrt(claimed.mean()), rel=0.1)


def test_who_rated_nothing_is_a_stranger_and_what_nobody_rated_is_as_its_features() -> None:
    features, _, _, _, users, items, ratings = made_up()
    rated = items != 7
    model = fit_rating_model(features, users[rated], items[rated], ratings[rated], USERS)
    assert model.means[-1].tolist() == [0.0] * 3
    assert model.precisions[-1].tolist() == np.eye(3).tolist()
    others = np.delete(np.arange(ITEMS), 7)
    line = np.linalg.lstsq(with_intercept(features)[others], model.expected[others], rcond=None)[0]
    assert model.expected[7] == pytest.approx(with_intercept(features)[7] @ line, abs=0.02)


def test_one_rating_is_enough_to_fit() -> None:
    model = fit_rating_model(np.zeros((3, 2)), np.array([1]), np.array([2]), np.array([0.5]), 2)
    assert np.isfinite(model.expected).all()
    assert np.isfinite(model.precisions).all()
