"""Cells and the worlds that they share: one world at a time, one cost, and errors that travel as texts."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from emosim_core.errors import ConfigurationError, EmoSimError, RunError, UnknownNameError
from emosim_core.hooks import Registry
from emosim_core.runs import cells
from emosim_core.runs.cells import Cell, OnProgress, Worlds, check_data, executor_of, max_cost_of
from emosim_core.simulation.config import EnvironmentConfig

MOVIES: dict[str, Any] = {"plugin": "movies", "user_dataset": "sampled:n=4", "max_steps": 3}


def test_cells_with_one_configuration_share_a_world_and_another_gets_its_own() -> None:
    worlds = Worlds(Registry())
    first = worlds.of(MOVIES)
    assert worlds.of(dict(MOVIES)) is first
    other = worlds.of({**MOVIES, "max_steps": 4})
    assert (first.config.max_steps, other.config.max_steps) == (3, 4)
    assert worlds.of(MOVIES) is not first
    worlds.close()


def test_what_is_shared_is_made_once_for_a_key_until_the_worlds_are_let_go() -> None:
    worlds, made = Worlds(Registry(only=[])), []

    def make() -> int:
        made.append(1)
        return len(made)

    assert [worlds.cached(key, make) for key in ("a", "a", "b", "b", "a")] == [1, 1, 2, 2, 3]
    worlds.close()
    assert worlds.cached("a", make) == 4


def test_what_models_cost_goes_on_from_world_to_world(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = Worlds(Registry())
    worlds.spent = 0.25
    for cost in (0.5, None):
        world = worlds.of({**MOVIES, "max_steps": 7 if cost else 8})
        monkeypatch.setattr(world.rater, "usage", lambda cost=cost: {"cost": cost})
        worlds.close()
        assert worlds.spent == 0.75
        worlds.close()  # what is let go already is not counted again


@pytest.mark.parametrize(
    ("rater", "limit"),
    [
        (None, None),
        ("rule_based", None),
        ({"name": "llm", "model": "m"}, None),
        ({"name": "llm", "model": "m", "gateway": None}, None),
        ({"name": "llm", "model": "m", "gateway": {"max_cost": 2.5}}, 2.5),
    ],
)
def test_the_limit_on_cost_is_that_of_the_gateway_of_a_model(rater: Any, limit: float | None) -> None:
    assert max_cost_of(rater) == limit


def work(how: str, worlds: Worlds, on_progress: OnProgress) -> None:
    """Count three units, and end as asked."""
    for _ in range(3):
        on_progress(1)
    if how == "fails":
        raise RunError("no such thing")
    if how == "fails without a word":
        raise EmoSimError
    if how == "leaves":
        sys.exit(3)


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("ends", ""),
        ("fails", "no such thing"),
        ("fails without a word", "EmoSimError"),
        ("leaves", "something that a cell called has left the program, with 3"),
    ],
)
def test_a_cell_elsewhere_says_what_went_wrong_and_counts_all_that_was_done(how: str, problem: str) -> None:
    sent: list[int] = []
    assert Cell("c", work, how).attempt(Worlds(Registry(only=[])), sent.append) == problem
    assert sent == [3]  # at once at the end: the three took no time


def test_a_cell_is_not_done_where_versions_differ_from_those_of_the_command() -> None:
    here, elsewhere = Worlds(Registry(only=[])), Worlds(Registry(only=[]))
    state = here.__reduce__()[2]
    assert state["_versions"].keys() == {"Python", "numpy", "emosim-core"}
    elsewhere.__dict__.update(state)
    assert Cell("c", work, "ends").attempt(elsewhere, lambda count: None) == ""
    state["_versions"].update({"numpy": "0.9", "emosim-songs": "1.0"})
    sent: list[int] = []
    problem = Cell("c", work, "ends").attempt(elsewhere, sent.append)
    assert re.search(
        r"has other versions: numpy \S+ \(expected 0.9\), emosim-songs is missing \(expected 1.0\)", problem
    )
    assert not sent


def test_a_cell_that_takes_long_reports_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr(cells.time, "monotonic", lambda: float(next(now)))
    sent: list[int] = []
    Cell("c", work, "ends").attempt(Worlds(Registry(only=[])), sent.append)
    assert sent == [1, 1, 1]


def test_other_items_or_users_than_those_of_the_command_are_named() -> None:
    expected = {"items": 3, "items_sha256": "abc"}
    check_data({**expected, "embeddings": "words"}, expected)
    check_data({}, {})
    with pytest.raises(RunError, match=r"has other items or users: items 4 \(expected 3\), items_sha256 None "):
        check_data({"items": 4}, expected)


def test_an_executor_without_a_service_refuses_a_budget_that_it_cannot_keep() -> None:
    here, elsewhere = Worlds(Registry()), Worlds(Registry())
    elsewhere.__dict__.update(elsewhere.__reduce__()[2])
    limited = EnvironmentConfig(plugin="movies", llm_model="m", gateway={"max_cost": 1.0})
    assert here.ask_service(limited) is None
    assert elsewhere.ask_service(EnvironmentConfig(plugin="movies", llm_model="m")) is None
    with pytest.raises(ConfigurationError, match="shares no --max-cost between processes"):
        elsewhere.ask_service(limited)


def test_an_executor_is_found_by_its_name() -> None:
    registry = Registry()
    assert executor_of("local", registry).workers == 1
    assert executor_of("processes:3", registry).workers == 3
    assert executor_of({"name": "processes", "workers": 2}, registry).workers == 2
    with pytest.raises(UnknownNameError, match="proceses"):
        executor_of("proceses", registry)
