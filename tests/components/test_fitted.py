"""The rater of fitted users: batches, moods, memories, new users, and what it refuses."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emosim_core
from emosim_core import ConfigurationError
from emosim_core.plugins import World, assemble

pytest.importorskip("scipy")
pytest.importorskip("safetensors")


def world(movielens: Path, learns: bool = False, **options: Any) -> World:
    config = emosim_core.EnvironmentConfig(
        plugin="movies", items=f"movielens:{movielens}", embeddings="lexical", **options
    )
    return assemble(config, learns=learns)


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
    with pytest.raises(ConfigurationError, match="the rater 'fitted' has learned nothing: name a directory"):
        world(movielens, rater="fitted", users="sampled")


@pytest.mark.parametrize(
    "options",
    [
        {"slate": 2},
        {"rater": {"memory": 0.6, "mood": 3.0, "noise": 0.3}, "keep_memory": True, "max_steps": 60},
        {"rater": {"memory": 0.0}, "items_retrieval": "most_similar_2"},
        {"slate": 3, "items_retrieval": "none", "user_dataset": {"count": 40}},
    ],
)
def test_kernels_change_nothing(
    people: Path, movielens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    pytest.importorskip("numba")
    about: dict[str, Any] = {"items": f"movielens:{movielens}", "embeddings": "lexical", "episodes": 8, "max_steps": 20}
    about |= options
    for name in ("rater", "user_dataset"):
        about[name] = {"name": "fitted", "path": str(people), **options.get(name, {})}
    runs = []
    for kernels in ("0", "1"):
        monkeypatch.setenv("EMOSIM_KERNELS", kernels)
        emosim_core.run("movies", tmp_path / kernels, records="jsonl", **about)
        runs.append((tmp_path / kernels / "interactions.jsonl").read_bytes())
    assert runs[0] == runs[1]


def remembering(world: World, ratings: tuple[float, ...]) -> Any:
    """A request of one user for each of ``ratings``, who rated the first six items so."""
    from emosim_core.model.memory import Memory

    who = np.arange(len(ratings))
    memory = Memory(len(who), len(world.catalog))
    for item in range(6):
        memory.append(slice(None), np.full(len(who), item), np.array(ratings), np.full(len(who), 4))
    items = np.broadcast_to(np.arange(10, 20), (len(who), 10))
    return world.rating_request(who, items, world.population.baselines[who], memory.history())


def test_what_is_learned_from_a_log_answers_for_users_by_what_they_remember(people: Path, movielens: Path) -> None:
    from emosim_core.data.interactions import Interactions
    from emosim_core.fitting.people import known_by
    from emosim_core.plugins import Registry
    from emosim_core.simulation.logs import load_log

    one = world(movielens, learns=True, rater="fitted", users="sampled")
    domain, _, ratings = load_log(Registry(), "movies", f"movielens:{movielens}")
    log = Interactions.of(ratings, len(one.catalog), 1)
    half = log.only(np.arange(len(log)) % 2 == 0)
    one.rater.learn(half, known_by(half, one.catalog), domain.scale)
    asked = remembering(one, (10.0, 2.0))
    before = one.rater.expected_batch(asked)
    assert (before[0] > before[1]).all()
    scores = one.rater.interest_batch(asked)
    assert np.isfinite(scores).all()
    one.rater.learn(log, known_by(log, one.catalog), domain.scale, more=True)
    # What takes long is kept: the model of ratings.
    assert (one.rater.expected_batch(asked) == before).all()
    assert (one.rater.interest_batch(asked) != scores).any()
    with pytest.raises(ConfigurationError, match="may be fitted to the users who are measured"):
        world(movielens, users=f"fitted:{people}").rater.learn(log, one.catalog, domain.scale)


def test_a_user_whom_a_directory_does_not_know_is_one_without_a_past(
    people: Path, movielens: Path, tmp_path: Path
) -> None:
    head, *rows = (people / "users.csv").read_text(encoding="utf-8").splitlines()
    strangers = [f"stranger{number}" + row[row.index(",") :] for number, row in enumerate(rows[:2])]
    (tmp_path / "users.csv").write_text("\n".join([head, *rows[:3], *strangers]) + "\n", encoding="utf-8")
    one = world(movielens, users=f"csv:{tmp_path / 'users.csv'}", rater=f"fitted:{people}")
    expected = one.rater.expected_batch(request(one, users=5))
    assert (expected[3] == expected[4]).all()
    assert (expected[0] != expected[1]).any()
    interest = one.rater.interest_batch(request(one, users=5))
    assert (interest[3] == interest[4]).all()


def test_without_memory_what_was_retrieved_does_not_count(people: Path, movielens: Path) -> None:
    rater = {"name": "fitted", "path": str(people), "memory": 0.0}
    with_memory, without = (
        world(movielens, users=f"fitted:{people}", rater=one) for one in (f"fitted:{people}", rater)
    )
    asked = remembering(with_memory, (10.0, 2.0))
    assert (with_memory.rater.expected_batch(asked) != without.rater.expected_batch(asked)).any()
    bare = without.rating_request(asked.users, asked.items, asked.moods, asked.history)
    bare.retrieved_ratings[:] = np.nan
    assert (without.rater.expected_batch(bare) == without.rater.expected_batch(asked)).all()


def test_a_log_without_ratings_gives_people_who_rate_by_their_interest(movielens: Path, tmp_path: Path) -> None:
    out = tmp_path / "implicit"
    columns = "user=userId,item=movieId,rating=,time=timestamp"
    plays = tmp_path / "plays.csv"
    lines = (movielens / "ratings.csv").read_text().splitlines()
    plays.write_text("\n".join([lines[0], *("{},ml-{},{},{}".format(*line.split(",")) for line in lines[1:])]))
    emosim_core.fit("movies", out, ratings=f"csv:{plays}", items=f"movielens:{movielens}", columns=columns)
    one = world(movielens, users=f"fitted:{out}")
    asked = request(one)
    expected, interest = one.rater.expected_batch(asked), one.rater.interest_batch(asked)
    for row in range(len(expected)):
        order = np.argsort(interest[row])
        assert (np.diff(expected[row][order]) >= 0).all()
    assert expected.mean() == pytest.approx(5.5, abs=1.5)  # that of what is usually taken is the middle of the scale
    turned = shutil.copytree(movielens, tmp_path / "turned")
    head, *lines = (turned / "movies.csv").read_text().splitlines(keepends=True)
    (turned / "movies.csv").write_text("".join([head, *lines[::-1]]))
    other = world(turned, users=f"fitted:{out}")
    place = [other.catalog.index[one.catalog.ids[item]] for item in asked.items.ravel().tolist()]
    same = replace(request(other), items=np.array(place).reshape(asked.items.shape), users=asked.users)
    assert other.rater.expected_batch(same) == pytest.approx(expected)
    emosim_core.run(
        "movies",
        tmp_path / "r",
        items=f"movielens:{movielens}",
        users=f"fitted:{out}",
        embeddings="lexical",
        episodes=3,
    )


def test_slates_are_chosen_from_by_what_was_learned_in_batches_of_any_size(
    movielens: Path, people: Path, tmp_path: Path, sorted_lines: Callable[[Path], list[bytes]]
) -> None:
    about = {"items": f"movielens:{movielens}", "users": f"fitted:{people}", "embeddings": "lexical", "episodes": 8}
    for count in (1, 8):
        made = {**about, "num_envs": count, "slate": 5, "choice": "fitted:no_choice=0", "max_steps": 10}
        summary = emosim_core.run("movies", tmp_path / str(count), **made)
    assert sorted_lines(tmp_path / "1") == sorted_lines(tmp_path / "8")
    assert 0 < summary["clicks"]["click_rate"] <= 0.2
    assert summary["ratings"] == sum(place["clicked"] for place in summary["clicks"]["places"])


def test_a_choice_by_what_was_learned_needs_users_that_learned_it(movielens: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"choice model 'fitted' needs users of whom .* --users fitted:DIR"):
        world(movielens, slate=3, choice="fitted")


def test_a_reason_names_the_closest_memories_and_how_many_more_count(
    people: Path, movielens: Path, tmp_path: Path
) -> None:
    rater = {"name": "fitted", "path": str(people), "memory": 0.6}
    about: dict[str, Any] = {"items": f"movielens:{movielens}", "users": f"fitted:{people}", "embeddings": "lexical"}
    about |= {"episodes": 6, "max_steps": 60, "items_retrieval": "decay_emotion:k=5", "records": "jsonl"}
    emosim_core.run("movies", tmp_path / "r", rater=rater, **about)
    text = (tmp_path / "r" / "interactions.jsonl").read_text()
    named = re.findall(r"; like ([^;]+?) [+-]\d\.\d\d;", text)
    assert named
    assert all(len(re.findall(r" \(\d+\)(?=,| and|$)", one)) <= 2 for one in named)
    assert any(re.search(r" \(\d+\) and [123] more$", one) for one in named)


def test_memories_add_their_surprise_by_their_closeness_and_the_share_that_carries_over(
    people: Path, movielens: Path
) -> None:
    from emosim_core.components.closeness import Closeness

    share = 0.3
    rater = {"name": "fitted", "path": str(people), "memory": share}
    one = world(movielens, users=f"fitted:{people}", rater=rater)
    asked = remembering(one, (5.0, 4.0, 6.0))
    bare = replace(asked, retrieved_ratings=np.full_like(asked.retrieved_ratings, np.nan))
    # What is expected of the retrieved items themselves, by users in their usual mood, as if they had not seen them.
    past = asked.retrieved_items.reshape(3, -1)
    of_past = one.rating_request(asked.users, past, asked.moods, asked.history)
    nothing = np.full_like(of_past.retrieved_ratings, np.nan)
    of_past = replace(of_past, times=np.zeros_like(past), retrieved_ratings=nothing)
    usual = one.rater.expected_batch(of_past).reshape(asked.retrieved_items.shape)
    close = Closeness(one.catalog).of(asked.items[:, :, None], asked.retrieved_items)
    surprise = np.nan_to_num(asked.retrieved_ratings - usual)
    shift = (close * surprise).sum(axis=2) / (close.sum(axis=2) + (1 - share) / share)
    assert np.abs(shift).max() > 0.01
    expected = np.clip(one.rater.expected_batch(bare) + shift, 1, 10)
    assert one.rater.expected_batch(asked) == pytest.approx(expected, abs=1e-6)
