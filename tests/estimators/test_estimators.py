"""Models learned from logs."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError, MissingDependencyError
from emosim_core.estimators import (
    EASE,
    CategoriesInCommon,
    ImplicitALS,
    ItemCooccurrence,
    ItemKNN,
    ItemMean,
    ItemMeanAndUserBias,
    MatrixFactorization,
    Past,
    Popularity,
    Recency,
    TextSimilarity,
    UserMean,
    choice_estimators,
    rating_estimators,
)
from emosim_core.model import Catalog, Item, RatingScale

SCALE = RatingScale(low=1, high=5, step=1)
NOBODY = Past(np.array([], dtype=np.intp), np.array([]))


def catalog(items: int = 30) -> Catalog:
    rng = np.random.default_rng(3)
    made = [
        Item(id=str(i), title=f"T{i}", categories=("a", "b", "c")[i % 3 :], year=None if i % 7 == 0 else 1990 + i)
        for i in range(items)
    ]
    return Catalog(made, SCALE, rng.normal(size=(items, 8)))


def made_up(users: int = 20, items: int = 30, each: int = 8, seed: int = 0) -> Interactions:
    """Users of two kinds, who take items of their half more often and rate them higher; the last item is nobody's."""
    rng = np.random.default_rng(seed)
    taken, values = [], []
    for user in range(users):
        own = (np.arange(items - 1) < items // 2) == (user % 2)
        chosen = rng.choice(items - 1, each, replace=False, p=np.where(own, 4.0, 1.0) / np.where(own, 4.0, 1.0).sum())
        taken.append(chosen)
        values.append(np.clip(np.round(2.0 + 2.0 * own[chosen] + rng.normal(size=each)), 1, 5))
    count = users * each
    return Interactions(
        tuple(f"{user:03d}" for user in range(users)),
        np.repeat(np.arange(users), each),
        np.concatenate(taken).astype(np.intp),
        np.concatenate(values),
        np.arange(count) * 1e6 + 8e8,
        items,
    )


def past_of(log: Interactions, user: int) -> Past:
    rows = log.users == user
    assert log.values is not None
    return Past(log.items[rows], log.values[rows])


def indices(*items: int) -> np.ndarray:
    return np.array(items, dtype=np.intp)


def tiny() -> Interactions:
    """Users 0 and 1 took items 0 and 1, user 1 also item 2; nobody took item 3."""
    return Interactions(
        ("p", "q"),
        indices(0, 0, 1, 1, 1),
        indices(0, 1, 0, 1, 2),
        np.array([4.0, 2.0, 5.0, 3.0, 1.0]),
        np.array([0.0, 1e9, 2e9, 3e9, 1.5e9]),
        4,
    )


def test_popularity_counts_users() -> None:
    estimator = Popularity()
    estimator.fit(tiny(), catalog(4))
    assert estimator.scores(NOBODY, indices(3, 2, 1)).tolist() == [0.0, 1.0, 2.0]


def test_recency_is_the_year_of_release_else_the_first_in_the_log_else_the_mean() -> None:
    estimator = Recency()
    items = [Item(id=str(i), title="T", year=year) for i, year in enumerate([1980, None, 1999, None])]
    estimator.fit(tiny(), Catalog(items, SCALE))
    assert estimator.scores(NOBODY, indices(0, 1, 2)).tolist() == [1980.0, 2001.0, 1999.0]
    assert estimator.scores(NOBODY, indices(3))[0] == pytest.approx((1980 + 2001 + 1999) / 3)
    estimator.fit(replace(tiny(), times=None), Catalog(items, SCALE))
    assert estimator.scores(NOBODY, indices(1))[0] == pytest.approx((1980 + 1999) / 2)


def test_categories_in_common_and_texts_are_mean_cosines() -> None:
    items = [Item(id=str(i), title="T", categories=names) for i, names in enumerate([("a",), ("a", "b"), ("b",), ()])]
    shown = Catalog(items, SCALE, np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
    past = Past(indices(0, 1), None)
    half = 1 / np.sqrt(2)
    by_categories, by_text = CategoriesInCommon(), TextSimilarity()
    for estimator in (by_categories, by_text):
        estimator.fit(tiny(), shown)
    assert by_categories.scores(past, indices(0, 2, 3)) == pytest.approx([(1 + half) / 2, half / 2, 0.0])
    assert by_text.scores(past, indices(0, 1, 2, 3)).tolist() == [0.5, 0.5, 0.5, 0.0]


def test_cooccurrence_is_the_shrunk_cosine_summed_over_the_past() -> None:
    estimator = ItemCooccurrence(shrinkage=1.0)
    estimator.fit(tiny(), catalog(4))
    scores = estimator.scores(Past(indices(0, 1), None), indices(0, 2, 3))
    assert scores == pytest.approx([2 / 3, 2 / (np.sqrt(2) + 1), 0.0])


@pytest.mark.parametrize(("users", "items"), [(20, 30), (60, 12)])
def test_ease_is_the_primal_formula_whether_users_or_items_are_fewer(users: int, items: int) -> None:
    log = made_up(users, items, each=6)
    x = np.zeros((users, items))
    x[log.users, log.items] = 1.0
    precision = np.linalg.inv(x.T @ x + 7.0 * np.eye(items))
    weights = -precision / np.diag(precision)
    np.fill_diagonal(weights, 0.0)
    estimator = EASE(regularization=7.0)
    estimator.fit(log, catalog(items))
    all_items = np.arange(items)
    for user in range(users):
        assert estimator.scores(past_of(log, user), all_items) == pytest.approx((x @ weights)[user], abs=1e-8)
    new = Past(indices(3, 0, items - 1), None)
    assert estimator.scores(new, all_items) == pytest.approx(weights[new.items].sum(axis=0), abs=1e-8)


def test_als_places_a_user_where_its_library_does() -> None:
    from scipy import sparse
    from threadpoolctl import threadpool_limits

    log = made_up()
    estimator = ImplicitALS(factors=4, seed=5)
    estimator.fit(log, catalog())
    rows = sparse.csr_matrix((np.ones(len(log), dtype=np.float32), (log.users, log.items)), shape=(20, 30))
    with threadpool_limits(1, "blas"):
        ids, scores = estimator._model.recommend(
            np.arange(20), rows, N=29, recalculate_user=True, filter_already_liked_items=False, filter_items=[29]
        )
    for user in range(20):
        assert estimator.scores(past_of(log, user), ids[user]) == pytest.approx(scores[user], abs=1e-5)


def test_means_and_biases_are_shrunk_to_the_mean_of_the_log() -> None:
    log, shown = tiny(), catalog(4)
    assert log.values is not None
    middle = log.values.mean()
    past = Past(indices(0), np.array([5.0]))
    by_user, by_item, both = UserMean(), ItemMean(doubt=2.0), ItemMeanAndUserBias(doubt=2.0, user_doubt=1.0)
    for estimator in (by_user, by_item, both):
        estimator.fit(log, shown, SCALE)
    means = np.array([(9 + 2 * middle) / 4, (5 + 2 * middle) / 4, (1 + 2 * middle) / 3, middle])
    assert by_user.predict(past, indices(1, 2)).tolist() == [5.0, 5.0]
    assert by_user.predict(NOBODY, indices(1)) == pytest.approx(middle)
    assert by_item.predict(past, indices(0, 1, 2, 3)) == pytest.approx(means)
    assert both.predict(past, indices(1, 3)) == pytest.approx(means[[1, 3]] + (5 - means[0]) / 2)


def test_item_knn_adds_what_the_nearest_items_are_above_their_baselines() -> None:
    log = made_up()
    assert log.values is not None
    estimator = ItemKNN(k=1, shrinkage=2.0, damping=0.5)
    estimator.fit(log, catalog(), SCALE)
    base = ItemMeanAndUserBias()
    base.fit(log, catalog(), SCALE)
    # Distances from the baselines as a table, and correlations over the users who rated both, the long way.
    table = np.full((20, 30), np.nan)
    for user in range(20):
        past = past_of(log, user)
        assert past.values is not None
        bias = (past.values - base._means[past.items]).sum() / (len(past.items) + 3.0)
        table[user, past.items] = past.values - base._means[past.items] - bias
    mine = past_of(log, 4)
    for item in range(30):
        alike = np.zeros(len(mine.items))
        for place, other in enumerate(mine.items):
            both = ~np.isnan(table[:, item]) & ~np.isnan(table[:, other])
            a, b = table[both, item], table[both, other]
            if other != item and both.any():
                alike[place] = (a @ b) / np.sqrt((a @ a) * (b @ b)) * both.sum() / (both.sum() + 2.0)
        alike = np.maximum(np.round(alike, 9), 0.0)
        alike[alike < alike.max()] = 0.0  # k = 1; those as near as the nearest stay
        expected = base._means[item] + base._bias(mine) + alike @ table[4, mine.items] / (alike.sum() + 0.5)
        assert estimator.predict(mine, indices(item))[0] == pytest.approx(np.clip(expected, 1, 5), abs=1e-6)


def test_matrix_factorization_places_a_user_by_ridge_regression() -> None:
    log = made_up(users=60)
    estimator = MatrixFactorization(factors=4, epochs=80)
    estimator.fit(log, catalog(), SCALE)
    new = Past(indices(0, 1, 2, 3, 20, 21, 22, 23), np.array([5.0, 5, 4, 5, 1, 2, 1, 1]))
    predicted = estimator.predict(new, np.arange(30))
    assert predicted[:15].mean() > predicted[15:].mean() + 0.2
    # The user's bias and factors, read off the predictions, solve the normal equations of the regression.
    user = np.linalg.lstsq(estimator._x, predicted - estimator._base)[0]
    x = estimator._x[new.items]
    assert new.values is not None
    pull = x.T @ (new.values - estimator._base[new.items] - x @ user)
    assert estimator._prior @ user == pytest.approx(pull, abs=1e-4)


def test_the_lists_have_fresh_estimators_with_names_of_their_own() -> None:
    names = [one.name for one in (*choice_estimators(0), *rating_estimators(0))]
    assert len(set(names)) == len(names) == 12
    assert [one.name for one in (*choice_estimators(0), *rating_estimators(0)) if not one.monthly] == [
        "implicit ALS",
        "matrix factorization",
    ]


@pytest.mark.parametrize("number", range(7))
def test_choices_depend_on_the_log_alone_and_not_on_its_order(number: int) -> None:
    log, shown = made_up(), catalog()
    order = np.random.default_rng(1).permutation(len(log))
    assert log.times is not None
    assert log.values is not None
    mixed = Interactions(
        log.user_ids, log.users[order], log.items[order], log.values[order], log.times[order], log.item_count
    )
    refitted, fresh = choice_estimators(0)[number], choice_estimators(0)[number]
    refitted.fit(made_up(seed=9), shown)
    refitted.fit(mixed, shown)
    fresh.fit(log, shown)
    past = past_of(log, 2)
    every = fresh.scores(past, np.arange(30))
    assert every.shape == (30,)
    assert refitted.scores(past, np.arange(30)).tolist() == every.tolist()
    assert fresh.scores(past, indices(4, 17)).tolist() == every[[4, 17]].tolist()
    assert fresh.scores(Past(past.items[::-1], None), np.arange(30)) == pytest.approx(every, abs=1e-6)
    assert np.isfinite(fresh.scores(NOBODY, np.arange(30))).all()
    fresh.fit(log.only(np.zeros(len(log), dtype=np.bool_)), shown)
    assert np.isfinite(fresh.scores(past, np.arange(30))).all()


@pytest.mark.parametrize("number", range(5))
def test_ratings_depend_on_the_log_alone_and_not_on_its_order(number: int) -> None:
    log, shown = made_up(), catalog()
    order = np.random.default_rng(1).permutation(len(log))
    assert log.values is not None
    mixed = Interactions(log.user_ids, log.users[order], log.items[order], log.values[order], None, log.item_count)
    refitted, fresh = rating_estimators(0)[number], rating_estimators(0)[number]
    refitted.fit(made_up(seed=9), shown, SCALE)
    refitted.fit(mixed, shown, SCALE)
    fresh.fit(log, shown, SCALE)
    past = past_of(log, 2)
    every = fresh.predict(past, np.arange(30))
    assert refitted.predict(past, np.arange(30)) == pytest.approx(every, abs=1e-8)
    assert fresh.predict(past, indices(4, 17)).tolist() == every[[4, 17]].tolist()
    for who in (past, NOBODY):
        assert np.all((fresh.predict(who, np.arange(30)) >= 1.0) & (fresh.predict(who, np.arange(30)) <= 5.0))
    empty = log.only(np.zeros(len(log), dtype=np.bool_))
    fresh.fit(empty, shown, SCALE)
    assert np.isfinite(fresh.predict(past, np.arange(30))).all()
    with pytest.raises(ConfigurationError, match="what users took"):
        fresh.fit(replace(log, values=None), shown, SCALE)


@pytest.mark.parametrize(
    ("package", "module", "number"), [("scipy", "scipy", 4), ("scipy", "scipy", 5), ("implicit", "implicit.cpu.als", 6)]
)
def test_a_missing_library_is_named_with_the_extra(
    package: str, module: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"{package}.*emosim-core\[validate\]"):
        choice_estimators(0)[number].fit(made_up(), catalog())


def test_a_missing_library_of_matrix_factorization_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "surprise", None)
    with pytest.raises(MissingDependencyError, match=r"scikit-surprise.*emosim-core\[validate\]"):
        MatrixFactorization().fit(made_up(), catalog(), SCALE)
