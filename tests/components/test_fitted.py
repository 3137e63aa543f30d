"""The rater of fitted people: batches, moods, memories, new users, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emosim_core
from emosim_core import ConfigurationError
from emosim_core.plugins import World, assemble

pytest.importorskip("scipy")
pytest.importorskip("safetensors")
sys.path.insert(0, str(Path(__file__).parents[1] / "studies"))


@pytest.fixture(scope="module")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from made_up_ratings import write_movielens

    return write_movielens(tmp_path_factory.mktemp("ratings") / "made-up")


@pytest.fixture(scope="module")
def people(movielens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("people") / "people"
    emosim_core.fit("movies", out, ratings=f"movielens:{movielens}")
    return out


def world(movielens: Path, **options: Any) -> World:
    config = emosim_core.EnvironmentConfig(
        plugin="movies", items=f"movielens:{movielens}", embeddings="lexical", **options
    )
    return assemble(config)


def test_fitted_users_have_their_rater_unless_another_is_named(people: Path, movielens: Path) -> None:
    users = f"fitted:{people}"
    assert world(movielens, users=users).answered_by == "fitted (no language model)"
    assert world(movielens, users={"name": "fitted", "path": str(people)}).rater.options.path == people  # type: ignore[attr-defined]
    assert world(movielens, users=users, rater="rule_based").answered_by == "rule_based (no language model)"


def test_new_users_are_drawn_in_any_number_and_the_first_are_the_same(people: Path, movielens: Path) -> None:
    few = world(movielens, users=f"fitted:{people},count=20")
    many = world(movielens, users={"name": "fitted", "path": str(people), "count": 200})
    other = world(movielens, users=f"fitted:{people},count=20,seed=1")
    assert few.population.users == many.population.users[:20]
    assert [one.id for one in other.population.users] != [one.id for one in few.population.users]
    assert few.rater.options.path == people  # type: ignore[attr-defined]
    requests = [request(one) for one in (few, many)]
    assert (few.rater.expected_batch(requests[0]) == many.rater.expected_batch(requests[1])).all()


def request(world: World, users: int = 20, mood: float = 0.0) -> Any:
    from emosim_core.model.memory import Memory

    who, count = np.arange(users), len(world.catalog)
    moods = world.population.baselines[who] + [mood, 0.0]
    items = np.broadcast_to(np.arange(10), (users, 10))
    return world.rating_request(who, items, moods, Memory(users, count).history())


def test_a_better_mood_and_a_good_memory_raise_what_is_expected(people: Path, movielens: Path) -> None:
    from emosim_core.model.memory import Memory

    one = world(movielens, users=f"fitted:{people}", rater={"name": "fitted", "path": str(people), "memory": 0.5})
    usual, glad = (one.rater.expected_batch(request(one, mood=mood)) for mood in (0.0, 0.5))
    assert (glad >= usual).all()
    assert glad.mean() - usual.mean() == pytest.approx(0.25, abs=0.02)
    memory = Memory(20, len(one.catalog))
    memory.append(slice(None), np.zeros(20, dtype=np.intp), np.full(20, 10.0), np.full(20, 4))
    who = np.arange(20)
    again = np.zeros((20, 1), dtype=np.intp)
    asked = one.rating_request(who, again, one.population.baselines[who], memory.history())
    bored = one.rater.expected_batch(asked)
    assert (bored < one.rater.expected_batch(request(one))[:, :1] + 1.5).all()


def test_a_batch_is_answered_as_each_of_its_users(people: Path, movielens: Path, tmp_path: Path) -> None:
    about = {"items": f"movielens:{movielens}", "users": f"fitted:{people}", "embeddings": "lexical", "episodes": 12}
    runs = []
    for count in (1, 5, 12):
        emosim_core.run("movies", tmp_path / str(count), num_envs=count, records="jsonl", max_steps=9, **about)
        lines = (tmp_path / str(count) / "interactions.jsonl").read_text().splitlines()
        runs.append(sorted(lines))
    assert runs[0] == runs[1] == runs[2]
    assert "on average" in runs[0][0]


def test_users_from_elsewhere_are_refused(people: Path, movielens: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none of the 600 users is of .*; name its users with --users"):
        world(movielens, rater=f"fitted:{people}", users="sampled")


def test_without_a_directory_there_is_nothing_to_answer_from(movielens: Path) -> None:
    one = world(movielens, rater="fitted", users="sampled")
    with pytest.raises(ConfigurationError, match="the rater 'fitted' has learned nothing: name a directory"):
        one.rater.expected_batch(request(one))


def test_kernels_change_nothing(people: Path, movielens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    about = {"items": f"movielens:{movielens}", "users": f"fitted:{people}", "embeddings": "lexical", "episodes": 8}
    runs = []
    for kernels in ("0", "1"):
        monkeypatch.setenv("EMOSIM_KERNELS", kernels)
        emosim_core.run("movies", tmp_path / kernels, records="jsonl", max_steps=20, slate=2, **about)
        runs.append((tmp_path / kernels / "interactions.jsonl").read_bytes())
    assert runs[0] == runs[1]
