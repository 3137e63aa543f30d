"""Models of libraries as policies: what they learn from logs of a known make, their fold-ins, and what is said."""

from __future__ import annotations

import json
import pickle
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from logged_users import begun, by_parity, observed, played
from logged_users import logs as logs
from logged_users import world as world
from scipy import sparse

from emosim_core.components.base import Policy, RecommendationRequest
from emosim_core.errors import ConfigurationError, EmoSimError, MissingDependencyError
from emosim_core.hooks import Registry
from emosim_core.recommenders import libraries
from emosim_core.recommenders.fold_in import Linear, Neighbors, Vectors
from emosim_core.recommenders.libraries import LibraryPolicy
from emosim_core.simulation.streams import Stage
from emosim_core.testing import Emosim
from emosim_core.testing.worlds import SmallWorld

IMPLICIT = (
    "implicit:als,factors=8,regularization=0.1",
    "implicit:bpr,factors=4,iterations=300",
    "implicit:lmf,factors=8",
    "implicit:item_item",
    "implicit:cosine",
    "implicit:bm25",
)
CORNAC = (
    "cornac:BPR,k=4,max_iter=400,learning_rate=0.02",
    "cornac:MF,max_iter=200,learning_rate=0.02",
    "cornac:EASE,lamb=10",
    "cornac:UserKNN",
    "cornac:VAECF,n_epochs=100,learning_rate=0.01",
)
LENSKIT = ("lenskit:BiasedMF", "lenskit:ImplicitMF", "lenskit:EASE", "lenskit:ItemKNN", "lenskit:FlexMFImplicit")
needs = {
    library: pytest.mark.skipif(find_spec(library) is None, reason=f"{library} is not installed")
    for library in ("implicit", "cornac", "lenskit")
}
MODELS = [
    pytest.param(one, marks=needs[one.partition(":")[0]], id=one.partition(",")[0])
    for one in (*IMPLICIT, *CORNAC, *LENSKIT)
]


def policy(choice: str, logs: str) -> LibraryPolicy:
    made: LibraryPolicy = Registry(only=()).resolve("policy", f"{choice},logs={logs}").build(Policy)
    return made


@pytest.mark.parametrize("choice", MODELS)
def test_after_a_few_ratings_a_new_user_gets_what_users_of_that_taste_like(
    choice: str, world: SmallWorld, logs: str
) -> None:
    recommended = played(policy(choice, logs), world, by_parity, [0, 1], 14)
    liked = recommended[:, 4:, 0] % 2 == np.array([[0], [1]])
    assert liked.mean() > 0.85


@pytest.mark.parametrize("choice", MODELS)
def test_the_taste_of_a_logged_user_is_known_from_the_first_step(choice: str, world: SmallWorld, logs: str) -> None:
    made = policy(choice, logs)
    streams = begun(made, world, 2, slate=10, users=("p0", "p1"))
    seen, rows = observed(2), np.arange(2)
    seen["user"] = rows
    request = RecommendationRequest(rows=rows, observations=seen)
    first = made.recommend_batch(request, streams.of(Stage.POLICY, rows))
    assert (first % 2 == rows[:, None]).mean() >= 0.9


@pytest.mark.parametrize("choice", MODELS)
def test_a_row_of_a_batch_is_the_same_alone_after_pickling_and_the_second_time(
    choice: str, world: SmallWorld, logs: str
) -> None:
    def answer(row: int, item: int) -> float:
        return float(1 + (row * 7 + item * 3) % 10)

    together = played(policy(choice, logs), world, answer, [0, 1, 2, 3], 8)
    alone = np.concatenate([played(policy(choice, logs), world, answer, [row], 8) for row in (1, 3)])
    assert np.array_equal(together[[1, 3]], alone)
    made = policy(choice, logs)
    begun(made, world, 4)
    moved = pickle.loads(pickle.dumps(made))  # noqa: S301
    moved.start = lambda setting: None  # as it was trained
    assert np.array_equal(played(moved, world, answer, [0, 1, 2, 3], 8), together)


@pytest.mark.parametrize("choice", MODELS)
def test_nothing_is_recommended_twice_and_what_was_never_logged_comes_last(
    choice: str, world: SmallWorld, logs: str
) -> None:
    (items,) = played(policy(choice, logs), world, lambda row, item: 9.0, [0], 42)
    assert sorted(items[:40, 0].tolist()) == list(range(40))
    assert items[39, 0] == 39
    assert (items[40:] == -1).all()


@needs["implicit"]
def test_all_users_of_a_step_are_one_call_of_als(world: SmallWorld, logs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from implicit.cpu.als import AlternatingLeastSquares

    calls: list[int] = []
    whole = AlternatingLeastSquares.recalculate_user

    def counted(self: Any, users: Any, profiles: Any) -> Any:
        calls.append(len(users))
        return whole(self, users, profiles)

    monkeypatch.setattr(AlternatingLeastSquares, "recalculate_user", counted)
    played(policy("implicit:als,factors=8", logs), world, by_parity, list(range(20)), 3)
    assert calls == [20] * 3


@needs["cornac"]
@pytest.mark.parametrize(
    ("model", "kind"), [("EASE", Linear), ("BPR", Vectors), ("MF", Vectors), ("UserKNN", Neighbors)]
)
def test_a_logged_user_has_the_scores_that_cornac_itself_gives(
    model: str, kind: type, world: SmallWorld, logs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, kept = policy(f"cornac:{model}", logs), dict[str, Any]()
    train = made.train

    def keep(untrained: Any, matrix: Any) -> Any:
        kept.update(model=untrained, matrix=matrix)
        return train(untrained, matrix)

    monkeypatch.setattr(made, "train", keep)
    begun(made, world, 1)
    assert isinstance(made._model, kind)
    order = [kept["model"].iid_map[item] for item in range(39)]
    for user in (0, 17, 59):
        scores = made._model.scores(kept["matrix"][[user]], np.array([user]))[0]
        expected = np.ravel(kept["model"].score(user))[order]
        # A number that is the same for all items changes no order.
        assert scores - scores.mean() == pytest.approx(expected - expected.mean(), abs=1e-4)


def test_vectors_find_the_user_again_whose_ratings_are_inner_products() -> None:
    rng = np.random.default_rng(5)
    users, items = rng.normal(size=(300, 3)), rng.normal(size=(80, 3))
    seen = rng.random((300, 80)) < 0.5
    matrix = sparse.csr_matrix(np.where(seen, 5.0 + 2.0 * users @ items.T, 0.0))
    fold_in = Vectors(users, items, matrix)
    for new in rng.normal(size=(5, 3)):
        profile = sparse.csr_matrix(np.where(rng.random(80) < 0.2, 5.0 + 2.0 * items @ new, 0.0))
        scores = fold_in.scores(profile, np.array([-1]))[0]
        assert scores == pytest.approx(items @ new, abs=1e-3)
    nothing = sparse.csr_matrix((1, 80))
    assert fold_in.scores(nothing, np.array([-1]))[0] == pytest.approx(items @ users.mean(axis=0))
    assert fold_in.scores(nothing, np.array([7]))[0] == pytest.approx(items @ users[7])


def test_neighbors_are_the_trained_users_who_rate_alike() -> None:
    ratings = np.array([[9.0, 9, 2, 2, 0], [8, 9, 1, 0, 2], [2, 1, 9, 9, 0], [1, 0, 8, 9, 9]])
    scores = np.arange(20, dtype=np.float32).reshape(4, 5)
    fold_in = Neighbors(scores, sparse.csr_matrix(ratings), k=2)
    profile = sparse.csr_matrix([[9.0, 0, 1, 0, 0]])
    (made,) = fold_in.scores(profile, np.array([-1]))
    assert ((scores[0] < made) & (made < scores[1])).all()
    assert fold_in.scores(profile, np.array([3]))[0] == pytest.approx(scores[3])
    assert fold_in.scores(sparse.csr_matrix((1, 5)), np.array([-1]))[0] == pytest.approx(scores.mean(axis=0))


@pytest.mark.parametrize("library", ["implicit", "cornac", "lenskit"])
def test_without_its_library_a_policy_says_what_to_install(
    library: str, logs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == library] + [library]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=rf"pip install \"emosim-core\[{library}\]\""):
        policy(f"{library}:x", logs)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        pytest.param("implicit:alss", "has no model 'alss'. Did you mean 'als'?", marks=needs["implicit"]),
        pytest.param("implicit:als,factor=3", "Did you mean 'factors'?", marks=needs["implicit"]),
        pytest.param("cornac:BRP", "has no model 'BRP'. Did you mean 'BPR'", marks=needs["cornac"]),
        pytest.param("cornac:BPR,kk=3", "no parameter 'kk'. Did you mean 'k'?", marks=needs["cornac"]),
        pytest.param("cornac:VBPR", "learns from item_image, too, which logs do not have", marks=needs["cornac"]),
        pytest.param("cornac:CDL", "cornac:CDL needs the package 'tensorflow'", marks=needs["cornac"]),
        pytest.param("lenskit:EAES", "has no model 'EAES'. Did you mean 'EASE'?", marks=needs["lenskit"]),
        pytest.param("lenskit:EASE,regularisation=3", "Did you mean 'regularization'?", marks=needs["lenskit"]),
        pytest.param("lenskit:EASE,regularization=-3", "lenskit:EASE cannot be used: ", marks=needs["lenskit"]),
        pytest.param("cornac:BPR,liked_from=10", "no rating of .* is 10 or more", marks=needs["cornac"]),
    ],
)
def test_what_cannot_be_used_is_said(choice: str, message: str, world: SmallWorld, logs: str) -> None:
    with pytest.raises(EmoSimError, match=message.replace("?", r"\?")):
        begun(policy(choice, logs), world, 1)


@needs["cornac"]
def test_scores_of_too_many_known_users_are_refused(
    world: SmallWorld, logs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "_LARGEST", 1000)
    with pytest.raises(ConfigurationError, match="its scores for 60 users and 39 items are too many to hold"):
        begun(policy("cornac:UserKNN", logs), world, 1)


@needs["cornac"]
def test_an_evaluation_trains_models_by_name_and_prints_nothing_of_theirs(quick: Emosim) -> None:
    few = ("--users", "sampled:n=30", "--max-steps", "4", "--episodes", "12", "--no-charts", "--resamples", "100")
    quick(
        *("run", "--plugin", "movies", "--policy", "random", "--user-split", "train", "--users", "sampled:n=30"),
        *("--max-steps", "20", "--episodes", "60", "--out", "logs", "--quiet"),
    )
    policies = "random,implicit:als,factors=8,cornac:HPF,max_iter=5"
    done = quick(
        "evaluate", "--plugin", "movies", "--policies", policies, "--logs", "logs", *few, "--out", "e", "--json"
    )
    measured = done.json["user_splits"]["test"]["recommenders"]
    assert list(measured) == ["random", "implicit:als,factors=8", "cornac:HPF,max_iter=5", "oracle"]
    parts = [
        json.loads((quick.folder / "e" / one["run"] / "manifest.json").read_text())["parts"]["policy"]["options"]
        for one in measured.values()
    ]
    assert parts[1] == {**parts[1], "algorithm": "als", "factors": "8", "logs": ["logs"]}
