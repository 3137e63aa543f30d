"""The oracle: what it knows, what it recommends, and that it looks into no world but those of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosim_core import ConfigurationError, run
from emosim_core.components.base import BeginRequest, PolicySetting, RecommendationRequest
from emosim_core.plugins import Registry
from emosim_core.simulation.assembly import assemble
from emosim_core.simulation.config import EnvironmentConfig
from emosim_core.simulation.engine import Engine
from emosim_core.simulation.interest import InterestScale
from emosim_core.simulation.oracle import NOTE, Oracle, OracleOptions, _highest


@pytest.fixture(scope="module")
def world() -> Any:
    options = {"user_dataset": "sampled:n=6", "slate": 3, "max_steps": 5, "choice": "ratings_first"}
    return assemble(EnvironmentConfig(plugin="movies", **options), Registry())


def begun(world: Any, candidates: int = 2000) -> tuple[Engine, Oracle]:
    engine, oracle = Engine(world, 4), Oracle(OracleOptions(candidates=candidates))
    oracle.look_into(engine)
    oracle.start(PolicySetting(catalog=world.catalog, slate=3, batch_size=4))
    rows = engine.all_rows
    engine.begin(rows, [7] * 4, [0, 1, 2, 3], [0, 1, 2, 3])
    oracle.begin(BeginRequest(rows=rows), engine.policy_draws(rows))
    return engine, oracle


def recommended(engine: Engine, oracle: Oracle) -> Any:
    request = RecommendationRequest(rows=engine.all_rows, observations={})
    return oracle.recommend_batch(request, engine.policy_draws(engine.all_rows))


def test_it_recommends_what_the_rater_expects_most_of_now_without_what_was_consumed(world: Any) -> None:
    engine, oracle = begun(world)
    consumed: list[set[int]] = [set() for _ in range(4)]
    for _ in range(4):
        actions = recommended(engine, oracle)
        items = np.tile(np.arange(len(world.catalog)), (4, 1))
        history = engine.memory.history()
        expected = world.rater.expected_batch(world.rating_request(engine.users, items, engine.moods, history))
        for row, done in enumerate(consumed):
            left = [item for item in np.argsort(-expected[row], kind="stable").tolist() if item not in done]
            assert actions[row].tolist() == left[:3]
        step = engine.step(actions)
        for row, done in enumerate(consumed):
            done.update(step.actions[row][step.consumed[row]].tolist())


def test_where_users_choose_first_a_rating_counts_by_the_chance_of_a_click() -> None:
    options = {"user_dataset": "sampled:n=6", "slate": 3, "choice": "cascade:threshold=1"}
    choosing = assemble(EnvironmentConfig(plugin="movies", **options), Registry())
    engine, oracle = begun(choosing)
    rows, items = engine.all_rows, np.tile(np.arange(len(choosing.catalog)), (4, 1))
    request = choosing.rating_request(engine.users, items, engine.moods, engine.memory.history())
    interest = InterestScale(choosing).of(engine.users, items, engine.moods, engine.memory.history())[0]
    worth = choosing.rater.expected_batch(request) / (1.0 + np.exp(1.0 - interest))
    assert recommended(engine, oracle).tolist() == np.argsort(-worth, axis=1, kind="stable")[:, :3].tolist()
    assert engine.attraction(rows, items) == pytest.approx(1.0 / (1.0 + np.exp(1.0 - interest)))


def test_of_few_candidates_it_recommends_the_best_of_those_that_were_best_at_the_begin(world: Any) -> None:
    (engine, oracle), (other, everything) = begun(world, 20), begun(world)
    first = recommended(engine, oracle)
    assert np.array_equal(first, recommended(other, everything))
    assert oracle._candidates.shape == (4, 20)
    engine.step(first)
    assert all(set(row) <= set(left) for row, left in zip(recommended(engine, oracle), oracle._candidates, strict=True))


def test_there_are_always_candidates_for_a_whole_episode(world: Any) -> None:
    assert begun(world, 1)[1]._candidates.shape == (4, 3 * 6)


@pytest.mark.parametrize(("candidates", "asked"), [(2000, 0), (20, 4)])
def test_it_looks_at_all_items_at_the_begin_only_where_they_are_too_many_for_each_step(
    world: Any, monkeypatch: pytest.MonkeyPatch, candidates: int, asked: int
) -> None:
    """A rater that tells no expectation is asked for a rating of each of them, which may be a call that costs."""
    users: list[int] = []
    expected = Oracle._expected
    monkeypatch.setattr(
        Oracle, "_expected", lambda self, rows, items: (users.extend(rows), expected(self, rows, items))[1]
    )
    begun(world, candidates)
    assert len(users) == asked


def test_it_recommends_nothing_where_too_few_items_are_left(world: Any) -> None:
    engine, oracle = begun(world)
    rows, last = np.arange(2), len(world.catalog) - 3
    for start in range(0, last, 3):
        items = np.tile(np.arange(start, start + 3), (2, 1))
        engine.replay(rows, items, np.full((2, 3), 5.0), np.ones((2, 3), dtype=np.bool_))
    assert np.array_equal(np.sort(recommended(engine, oracle)[0]), np.arange(last, last + 3))
    items = np.tile(np.arange(last, last + 3), (2, 1))
    engine.replay(rows, items, np.full((2, 3), 5.0), np.array([[True, False, False]] * 2))
    actions = recommended(engine, oracle)
    assert (actions[:2] == -1).all()
    assert (actions[2:] >= 0).all()


def test_the_highest_are_in_order_and_of_equal_ones_the_first() -> None:
    values = np.array([[1.0, 3.0, 2.0, 3.0, 2.0, 2.0], [0.0, 0.0, -np.inf, 0.0, 5.0, -np.inf]])
    for count in range(1, 7):
        wanted = np.argsort(-values, axis=1, kind="stable")[:, :count]
        assert np.array_equal(_highest(values, count), wanted)
    generator = np.random.default_rng(3)
    many = generator.integers(5, size=(50, 40)).astype(float)
    assert np.array_equal(_highest(many, 7), np.argsort(-many, axis=1, kind="stable")[:, :7])


def test_a_run_with_it_says_that_it_knows_the_truth(tmp_path: Path) -> None:
    run("movies", tmp_path / "r", policy="oracle", episodes=2, max_steps=3)
    assert NOTE in json.loads((tmp_path / "r" / "manifest.json").read_text())["announcements"]


def test_outside_a_run_it_knows_nothing(world: Any) -> None:
    oracle = Oracle(OracleOptions())
    oracle.start(PolicySetting(catalog=world.catalog, slate=1))
    with pytest.raises(ConfigurationError, match="no recommender of an application"):
        oracle.recommend_batch(RecommendationRequest(rows=np.arange(1), observations={}), None)  # type: ignore[arg-type]
