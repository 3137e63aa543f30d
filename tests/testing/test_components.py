"""Components that emosim-core brings keep to their contract, by any way of writing them, on both scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emosim_core.hooks import Registry
from emosim_core.testing import ChatServer, Outcome, run_suite, small_world
from emosim_core.testing.check import SUITES
from emosim_core.testing.worlds import FIVE, TEN

ALL = [(component.kind, component.name) for component in Registry(only=[]).records[0].components]

LEARNING_FROM_LOGS = ("item_knn", "user_knn", "matrix_factorization", "svdpp")

LIBRARIES = {"implicit": "als,factors=4", "cornac": "BPR,max_iter=5", "lenskit": "ImplicitMF"}
"""A model of each library whose models are policies."""


@pytest.fixture
def items_file(tmp_path: Path) -> Path:
    """A CSV file of all made-up items, the last first."""
    file = tmp_path / "items.csv"
    file.write_text("item\n" + "".join(f"i{i:03d}\n" for i in range(39, -1, -1)))
    return file


@pytest.fixture
def logs_file(tmp_path: Path) -> Path:
    """A CSV file of logged interactions with made-up items."""
    file = tmp_path / "logs.csv"
    rows = [f"{u},{s},u{u:02d},i{(7 * u + 3 * s) % 40:03d},{1 + (u * s) % 5}" for u in range(12) for s in range(1, 9)]
    file.write_text("episode,step,user,item,rating\n" + "\n".join(rows) + "\n")
    return file


@pytest.fixture
def recommender_folder(tmp_path: Path) -> Path:
    """A recommender for the made-up items, as a training leaves one behind; its network is untrained."""
    from emosim_core.recommenders.recommender import save_recommender
    from emosim_core.recommenders.weights import actor_bytes, empty_actor

    net = {
        "kind": "mlp", "num_users": 12, "items": 40, "features": 6, "history_length": 10, "low": 1.0, "high": 5.0,
        "max_steps": 50, "embedding_dim": 32, "hidden": [8], "latent": [], "candidates": 0, "choice_places": 0,
    }  # fmt: skip
    description = {
        "algo": "a2c", "domain": "made_up", "timesteps": 0, "net": net, "users": [f"u{u:03d}" for u in range(12)],
        "items": [{"id": f"i{i:03d}", "title": f"Item {i}"} for i in range(40)],
    }  # fmt: skip
    save_recommender(tmp_path / "model", description, actor_bytes(empty_actor(net)[1]))
    return tmp_path / "model"


IDLE = {("choice", "ratings_first"), ("choice", "llm"), ("policy", "oracle")}
"""What is not called alone: a selector or a language model chooses for it, or it looks into a world."""


def passed(outcomes: list[Outcome]) -> list[str]:
    """The checks that were not skipped; one that fails is an error."""
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.check for outcome in outcomes if not outcome.skipped]


def test_everything_is_held_to_a_contract() -> None:
    assert {kind for kind, _ in ALL} <= set(SUITES)
    for kind, suite in SUITES.items():
        assert suite.kind == kind


@pytest.mark.parametrize(("kind", "name"), ALL, ids=[f"{kind}-{name}" for kind, name in ALL])
def test_every_component_of_the_core_keeps_to_its_contract(
    kind: str, name: str, items_file: Path, logs_file: Path, recommender_folder: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.py"
    ids = [line.split(",")[0] for line in items_file.read_text().splitlines()[1:]]
    own.write_text(
        f"IDS = {ids!r}\n\n\ndef recommend(history, k, exclude):\n"
        "    return [one for one in IDS if one not in exclude][:k]\n"
    )
    # tests/recommenders/test_outside.py and tests/components/test_fitted.py have what they need
    if name in ("http_service", "fitted"):
        assert passed(run_suite(SUITES[kind], component=name))
        return
    files = {
        "mix": "rule_based=1",
        "python": f"{own}:recommend",
        "replay": items_file,
        "trained": recommender_folder,
        **dict.fromkeys(LEARNING_FROM_LOGS, logs_file),
        **{library: f"{model},liked_from=3,logs={logs_file}" for library, model in LIBRARIES.items()},
    }
    if name in LIBRARIES:
        pytest.importorskip(name)
    component = f"{name}:{files[name]}" if name in files else name
    if kind == "llm_backend":  # a service is not asked
        assert passed(run_suite(SUITES[kind], component=component, calls_allowed=False))
        return
    if (kind, name) == ("rater", "llm"):
        with ChatServer(lambda body: "4") as server:
            table = {"name": "llm", "model": f"{server.url}#m", "gateway": {"cache": str(tmp_path / "a.sqlite3")}}
            assert passed(run_suite(SUITES[kind], component=table))
            assert server.calls
        return
    outcomes = run_suite(SUITES[kind], component=component)
    idle = sum(bool(one.skipped) for one in outcomes) if (kind, name) in IDLE else 0
    assert len(passed(outcomes)) + idle == len(outcomes)


@pytest.mark.parametrize(
    ("kind", "component"),
    [
        ("retrieval", "last_1"),
        ("retrieval", "last_30"),
        ("retrieval", "most_similar_5"),
        ("retrieval", "decay_emotion_2"),
        ("retrieval", "decay_emotion:k=4,time_decay=0,consider_arousal=true"),
        ("retrieval", {"name": "decay_emotion", "k": 4, "emotion_bonus": 3.0}),
        ("selector", "probabilistic:p=1"),
        ("selector", "multinomial_logit:temperature=0.01,no_choice=-20"),
        ("perturbator", "gaussian:sd=0"),
        ("perturbator", {"name": "gaussian", "sd": 4}),
        ("perturbator", "greedy:p=0.5"),
        ("reward_shaping", "same_film_terminate"),
        ("reward_shaping", "random_watch:q=1"),
        ("reward_shaping", "churn_satisfaction:low_streak=1,min_steps=1,recovery=1,use_traits=false"),
        ("policy", "epsilon_greedy:epsilon=1"),
        ("policy", "epsilon_greedy:prior_weight=0,epsilon=0"),
        ("policy", "similar_to_liked:liked_from=1"),
    ],
    ids=str,
)
def test_they_keep_to_it_with_options(kind: str, component: Any) -> None:
    passed(run_suite(SUITES[kind], component=component))


@pytest.mark.parametrize("domain", ["movies", "books"])
@pytest.mark.parametrize(
    ("kind", "component"),
    [
        ("rater", "rule_based"),
        ("retrieval", "decay_emotion_3"),
        ("retrieval", "simple_3"),
        ("policy", "similar_to_liked"),
    ],
)
def test_they_keep_to_it_among_the_items_and_users_of_a_domain(domain: str, kind: str, component: str) -> None:
    assert len(passed(run_suite(SUITES[kind], component=component, domain=domain))) > 4


def test_the_made_up_worlds_are_on_both_scales() -> None:
    suite = SUITES["retrieval"]()
    assert [world.scale for world in suite.worlds()] == [TEN, FIVE]
    assert len(small_world().catalog) == 40
