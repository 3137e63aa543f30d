"""Recommenders that learn from logs: what they find in logs of a known make, formulas, and how they are called."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged_users import begun, by_parity, observed, played
from logged_users import logs as logs
from logged_users import world as world

from emosim_core.components.base import (
    BeginRequest,
    Policy,
    RecommendationOutcome,
    RecommendationRequest,
)
from emosim_core.errors import MissingDependencyError
from emosim_core.recommenders.bandits import LinUCB, LinUCBOptions, Thompson, ThompsonOptions
from emosim_core.recommenders.matrix_factorization import (
    FactorOptions,
    ImplicitFactorOptions,
    MatrixFactorization,
    SVDpp,
)
from emosim_core.recommenders.neighbors import ItemKNN, ItemKNNOptions, UserKNN, UserKNNOptions
from emosim_core.simulation.streams import Stage, Streams
from emosim_core.testing.worlds import SmallWorld

LEARNED: dict[str, Callable[[str], Policy]] = {
    "item_knn": lambda logs: ItemKNN(ItemKNNOptions(logs=logs)),  # type: ignore[arg-type]
    "user_knn": lambda logs: UserKNN(UserKNNOptions(logs=logs)),  # type: ignore[arg-type]
    "matrix_factorization": lambda logs: MatrixFactorization(FactorOptions(logs=logs, epochs=80)),  # type: ignore[arg-type]
    "svdpp": lambda logs: SVDpp(ImplicitFactorOptions(logs=logs, epochs=80)),  # type: ignore[arg-type]
}
BANDITS: dict[str, Callable[[str], Policy]] = {
    "linucb": lambda logs: LinUCB(LinUCBOptions(logs=logs)),  # type: ignore[arg-type]
    "thompson": lambda logs: Thompson(ThompsonOptions(logs=logs)),  # type: ignore[arg-type]
}
ALL = {**LEARNED, **BANDITS}


@pytest.mark.parametrize("name", LEARNED)
def test_without_scikit_surprise_it_says_what_to_install(
    world: SmallWorld, logs: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    policy = LEARNED[name](logs)
    for package in ("scipy", "surprise"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"scikit-surprise(.|\n)*emosim-core\[train\]"):
        begun(policy, world, 1)


@pytest.mark.parametrize("name", LEARNED)
def test_after_a_few_ratings_the_items_are_recommended_that_users_of_that_taste_like(
    name: str, world: SmallWorld, logs: str
) -> None:
    recommended = played(LEARNED[name](logs), world, by_parity, [0, 1], 14)
    liked = recommended[:, 4:, 0] % 2 == np.array([[0], [1]])
    assert liked.mean() > 0.95


@pytest.mark.parametrize("name", LEARNED)
def test_of_a_user_who_was_logged_the_taste_is_known_from_the_first_step(
    name: str, world: SmallWorld, logs: str
) -> None:
    for user in (0, 1):
        policy = LEARNED[name](logs)
        streams = begun(policy, world, 1, slate=10, users=("p0", "p1"))
        first = policy.recommend_batch(
            RecommendationRequest(rows=np.array([0]), observations=observed(1, user)),
            streams.of(Stage.POLICY, np.array([0])),
        )
        assert (first % 2 == user).mean() >= 0.9


@pytest.mark.parametrize("name", LEARNED)
def test_what_an_observation_shows_counts_as_what_was_learned(name: str, world: SmallWorld, logs: str) -> None:
    taught, shown = LEARNED[name](logs), LEARNED[name](logs)
    row = np.array([0])
    scores = []
    for policy in (taught, shown):
        streams = begun(policy, world, 1)
        seen = observed(1)
        if policy is shown:
            seen["history_items"][0, :2], seen["history_ratings"][0, :2], seen["history_mask"][0, :2] = (
                [4, 7],
                [9, 2],
                1,
            )
        policy.recommend_batch(RecommendationRequest(rows=row, observations=seen), streams.of(Stage.POLICY, row))
        if policy is taught:
            policy.learn(
                RecommendationOutcome(
                    rows=row,
                    actions=np.array([[4]]),
                    ratings=np.array([[9.0]]),
                    rewards=np.zeros(1),
                    ended=np.zeros(1, dtype=bool),
                )
            )
            policy.learn(
                RecommendationOutcome(
                    rows=row,
                    actions=np.array([[7]]),
                    ratings=np.array([[2.0]]),
                    rewards=np.zeros(1),
                    ended=np.zeros(1, dtype=bool),
                )
            )
        scores.append(policy.scores(row))  # type: ignore[attr-defined]
    assert scores[0] == pytest.approx(scores[1])
    assert np.ptp(scores[0]) > 0.5


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("slate", [1, 3])
def test_no_item_is_recommended_twice_and_too_few_left_is_said(
    name: str, slate: int, world: SmallWorld, logs: str
) -> None:
    slates = played(ALL[name](logs), world, lambda row, item: 5.0, [0, 2], 40 // slate + 2, slate=slate)
    for one in slates:
        recommended = one[(one >= 0).all(axis=1)].ravel()
        assert len(recommended) == 40 // slate * slate == len(set(recommended.tolist()))
        assert (one[40 // slate :] == -1).all()


@pytest.mark.parametrize("name", LEARNED)
def test_a_row_of_a_batch_is_the_same_alone(name: str, world: SmallWorld, logs: str) -> None:
    def answer(row: int, item: int) -> float:
        return float(1 + (row * 7 + item * 3) % 10)

    together = played(LEARNED[name](logs), world, answer, [0, 1, 2, 3, 4], 12)
    for row in range(5):
        assert played(LEARNED[name](logs), world, answer, [row], 12).tolist() == together[row, None].tolist()


@pytest.mark.parametrize("name", LEARNED)
def test_an_episode_begins_with_nothing_of_the_one_before(name: str, world: SmallWorld, logs: str) -> None:
    policy, row = LEARNED[name](logs), np.array([0])
    before = played(policy, world, by_parity, [0], 6)
    streams = Streams(1)
    streams.begin(row, [9], [0])
    policy.begin(BeginRequest(rows=row), streams.of(Stage.POLICY, row))
    again = policy.recommend_batch(
        RecommendationRequest(rows=row, observations=observed(1)), streams.of(Stage.POLICY, row)
    )
    assert again[0].tolist() == before[0, 0].tolist()


@pytest.mark.parametrize("name", ALL)
def test_logs_in_which_all_ratings_are_the_same_can_be_learned_from(
    name: str, world: SmallWorld, tmp_path: Path
) -> None:
    rows = "".join(f"{u},{s},p{u},i{s:03d},7\n" for u in range(3) for s in range(1, 6))
    (tmp_path / "a.csv").write_text("episode,step,user,item,rating\n" + rows)
    assert (played(ALL[name](str(tmp_path / "a.csv")), world, by_parity, [0], 3) >= 0).all()


def test_similarities_of_items_are_those_of_scikit_surprise(world: SmallWorld, tmp_path: Path) -> None:
    from surprise import KNNBaseline

    rng = np.random.default_rng(3)
    rows = [
        f"{u},{s},p{u},i{i:03d},{rng.integers(1, 11)}" for u in range(30) for s, i in enumerate(rng.permutation(35))
    ]
    sampled = [row for row in rows if rng.random() < 0.4]
    (tmp_path / "a.csv").write_text("episode,step,user,item,rating\n" + "\n".join(sampled) + "\n")
    policy = ItemKNN(ItemKNNOptions(logs=str(tmp_path / "a.csv"), k=100, shrinkage=7))  # type: ignore[arg-type]
    begun(policy, world, 1)
    table, inner = policy.trainset()
    how = {"name": "pearson_baseline", "shrinkage": 7, "user_based": False}
    baselines = {"method": "als", "reg_i": policy.PRIOR_ITEM, "reg_u": policy.PRIOR_USER, "n_epochs": 10}
    theirs = KNNBaseline(sim_options=how, bsl_options=baselines, verbose=False).fit(table).sim
    np.fill_diagonal(theirs, 0.0)
    ours, logged = policy._near.toarray(), np.flatnonzero(inner >= 0)
    assert ours[np.ix_(logged, logged)] == pytest.approx(np.maximum(theirs[np.ix_(inner[logged], inner[logged])], 0.0))
    assert ours.sum() == pytest.approx(np.maximum(theirs, 0.0).sum())
    assert ours.sum() > 1


def test_only_the_nearest_items_count(world: SmallWorld, logs: str) -> None:
    policy = ItemKNN(ItemKNNOptions(logs=logs, k=3))  # type: ignore[arg-type]
    begun(policy, world, 1)
    assert (np.count_nonzero(policy._near.toarray(), axis=1)[:39] >= 3).all()
    assert (np.count_nonzero(policy._near.toarray(), axis=1) < 10).all()


def test_user_knn_scores_are_the_formula(world: SmallWorld, logs: str) -> None:
    policy = UserKNN(UserKNNOptions(logs=logs, k=1000, shrinkage=5, damping=2))  # type: ignore[arg-type]
    begun(policy, world, 1)
    row = np.array([0])
    policy.recommend_batch(RecommendationRequest(rows=row, observations=observed(1)), Streams(1).of(Stage.POLICY, row))
    given = {0: 9.0, 3: 2.0, 8: 7.0}
    for item, rating in given.items():
        policy.learn(
            RecommendationOutcome(
                rows=row,
                actions=np.array([[item]]),
                ratings=np.array([[rating]]),
                rewards=np.zeros(1),
                ended=np.zeros(1, dtype=bool),
            )
        )
    above = np.asarray(policy._above.todense())
    rated = np.asarray(policy._rated.todense()) > 0
    mine = np.array([given[i] - policy.expected[i] for i in given])
    mine -= mine.sum() / (len(mine) + policy.PRIOR_USER)
    total, weight = np.zeros(40), np.full(40, 2.0)
    for v in range(60):
        common = [n for n, i in enumerate(given) if rated[v, i]]
        theirs = above[v, [list(given)[n] for n in common]]
        product = float(mine[common] @ theirs)
        if product > 0:
            near = product / np.sqrt((mine[common] ** 2).sum() * (theirs**2).sum())
            near *= len(common) / (len(common) + 5)
            total += near * above[v]
            weight += near * rated[v]
    assert policy.scores(row)[0] == pytest.approx(policy.expected + total / weight)
    assert np.ptp(total) > 1


def test_the_factors_of_an_episode_are_the_ridge_regression(world: SmallWorld, logs: str) -> None:
    policy = MatrixFactorization(FactorOptions(logs=logs, factors=3, trust=2))  # type: ignore[arg-type]
    begun(policy, world, 1)
    row = np.array([0])
    policy.recommend_batch(RecommendationRequest(rows=row, observations=observed(1)), Streams(1).of(Stage.POLICY, row))
    items, ratings = np.array([[2, 5, 30]]), np.array([[8.0, np.nan, 3.0]])
    policy.learn(
        RecommendationOutcome(
            rows=row, actions=items, ratings=ratings, rewards=np.zeros(1), ended=np.zeros(1, dtype=bool)
        )
    )
    x, wrong = policy._x[[2, 30]], np.array([8.0, 3.0]) - policy._base[[2, 30]]
    root = np.linalg.cholesky(policy._prior).T
    w = np.linalg.lstsq(np.vstack([x, root]), np.concatenate([wrong, np.zeros(4)]), rcond=None)[0]
    assert policy.scores(row)[0] == pytest.approx(policy._base + policy._x @ w)


@pytest.mark.parametrize("name", BANDITS)
def test_a_bandit_learns_without_logs_which_items_are_liked(name: str, world: SmallWorld) -> None:
    category = world.catalog.categories[:, 0]
    policy = {
        "linucb": lambda: LinUCB(LinUCBOptions()),
        "thompson": lambda: Thompson(ThompsonOptions()),
    }[name]()
    streams, row, shares = begun(policy, world, 1), np.array([0]), []
    for episode in range(30):
        streams.begin(row, [episode], [episode])
        policy.begin(BeginRequest(rows=row), streams.of(Stage.POLICY, row))
        shares.append(0.0)
        for _ in range(5):
            action = policy.recommend_batch(
                RecommendationRequest(rows=row, observations=observed(1)), streams.of(Stage.POLICY, row)
            )
            liked = bool(category[action[0, 0]])
            shares[-1] += liked / 5
            rating = np.array([[9.0 if liked else 2.0]])
            policy.learn(
                RecommendationOutcome(
                    rows=row, actions=action, ratings=rating, rewards=rating[:, 0], ended=np.zeros(1, dtype=bool)
                )
            )
    assert category.sum() >= 5
    assert np.mean(shares[-10:]) > 0.95


@pytest.mark.parametrize("name", BANDITS)
def test_a_bandit_that_was_warmed_up_knows_what_one_knows_that_lived_through_the_logs(
    name: str, world: SmallWorld, logs: str
) -> None:
    warm, cold = BANDITS[name](logs), BANDITS[name]("")
    begun(warm, world, 1)
    begun(cold, world, 1)
    lines = Path(logs).read_text().splitlines()[1:]
    row, index = np.array([0]), world.catalog.index
    for line in lines:
        _, step, _, item, rating = line.split(",")
        if step == "1":
            cold.begin(BeginRequest(rows=row), Streams(1).of(Stage.POLICY, row))
        episode_x = cold._episode_x(row, np.array([[2, 2, 2]]), np.array([[index[item]]]))  # type: ignore[attr-defined]
        cold._offered[0, 0] = np.concatenate([cold._item_x[index[item]], episode_x[0, 0]])  # type: ignore[attr-defined]
        answer = np.array([[float(rating)]])
        cold.learn(
            RecommendationOutcome(
                rows=row,
                actions=np.array([[index[item]]]),
                ratings=answer,
                rewards=answer[0],
                ended=np.zeros(1, dtype=bool),
            )
        )
    assert warm._weights == pytest.approx(cold._weights, abs=1e-8)  # type: ignore[attr-defined]


def test_the_upper_bound_is_the_formula(world: SmallWorld, logs: str) -> None:
    policy = LinUCB(LinUCBOptions(logs=logs, alpha=0.7, ridge=3))  # type: ignore[arg-type]
    begun(policy, world, 1)
    row = np.array([0])
    nothing = np.zeros((2, len(policy._gram)))
    policy._take(np.array([0, 0]), np.array([3, 8]), nothing, np.array([9.0, 2.0]))
    episode_x = policy._episode_x(row, np.array([[1, 3, 1]]))
    estimates = policy.estimates(row, episode_x, Streams(1).of(Stage.POLICY, row))[0]
    for item in range(40):
        x = np.concatenate([policy._item_x[item], episode_x[0, item]])
        bound = policy._weights @ x + 0.7 * np.sqrt(x @ np.linalg.solve(policy._gram, x))
        assert estimates[item] == pytest.approx(bound)


def test_the_draws_of_thompson_are_spread_as_its_posterior(world: SmallWorld, logs: str) -> None:
    users = 4000
    policy = Thompson(ThompsonOptions(logs=logs, scale=0.5))  # type: ignore[arg-type]
    streams, rows = begun(policy, world, users), np.arange(users)
    episode_x = policy._episode_x(rows, np.full((users, 3), 2))
    drawn = policy.estimates(rows, episode_x, streams.of(Stage.POLICY, rows))[:, 39]
    x = np.concatenate([policy._item_x[39], episode_x[0, 39]])
    assert drawn.mean() == pytest.approx(policy._weights @ x, abs=0.01)
    assert drawn.std() == pytest.approx(0.5 * np.sqrt(x @ policy._inverse @ x), rel=0.05)


@pytest.mark.parametrize("name", LEARNED)
def test_without_logs_it_is_said_how_they_are_made(name: str, quick: Any) -> None:
    refused = quick("run", "--plugin", "movies", "--policy", name, "--episodes", "1", status=2)
    assert "the option 'logs' is needed" in refused.err
    assert "emosim run --plugin movies --policy random --user-split train" in refused.err


def test_logs_are_made_by_one_command_and_learned_from_by_another(
    quick: Any, sorted_lines: Any, tmp_path: Path
) -> None:
    quick("run", "--plugin", "movies", "--user-split", "train", "--episodes", "20", "--out", "runs/logs", "--quiet")
    for out, side_by_side in (("a", "1"), ("b", "5")):
        options = [
            "--policy",
            "item_knn:runs/logs",
            "--episodes",
            "6",
            "--num-envs",
            side_by_side,
            "--out",
            out,
            "--json",
        ]
        assert json.loads(quick("run", "--plugin", "movies", *options).out)["complete"]
    assert sorted_lines(tmp_path / "a") == sorted_lines(tmp_path / "b")
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert manifest["parts"]["policy"]["options"]["logs"] == ["runs/logs"]
    refused = quick("run", "--plugin", "books", "--policy", "svdpp:runs/logs", "--episodes", "1", status=2)
    assert "the catalog has no item" in refused.err
