"""``emosim judge``: planted judges get what they must, pairs give nothing away, and a stopped test goes on."""

from __future__ import annotations

import csv
import json
import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emosim_core
from emosim_core.hooks import Registry
from emosim_core.studies.believability.believability import Believability, BelievabilityConfig, add_verdict
from emosim_core.studies.validation.users import RealUser
from emosim_core.testing import Answer, ChatServer
from emosim_core.testing.command_line import Emosim

ASK = ("judge", "--plugin", "movies", "--history", "6", "--earlier", "4", "--max-users", "40")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ratings_in(prompt: str, fence: str) -> list[float]:
    found = re.search(rf"<{fence}>\n(.*?)</{fence}>", prompt, re.DOTALL)
    assert found is not None
    return [float(line.rpartition(": ")[2]) for line in found[1].splitlines()]


@pytest.fixture(scope="module")
def pairs(movielens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pairs of a test that nobody has judged."""
    test = Believability(
        BelievabilityConfig(
            environment={"plugin": "movies"}, ratings=f"movielens:{movielens}", history=6, earlier=4, max_users=40
        ),
        Registry(),
    )
    out = tmp_path_factory.mktemp("pairs") / "out"
    test.run(out)
    return out


def test_pairs_are_of_the_same_items_in_the_order_of_the_log_and_the_sides_are_balanced(
    movielens: Path, pairs: Path
) -> None:
    with (movielens / "ratings.csv").open() as stream:
        rated = {(row["userId"], f"ml-{row['movieId']}"): row for row in csv.DictReader(stream)}
    some = lines(pairs / "pairs.jsonl")
    assert len(some) > 20
    assert len({one["user"] for one in some}) == len(some)
    assert abs(sum(one["real_side"] == "first" for one in some) - len(some) / 2) <= 0.5
    for one in some:
        assert len(one["items"]) == len(one["real"]) == len(one["simulated"]) == 6
        assert len(one["earlier"]) == len(one["earlier_ratings"]) == 4
        whole = [*one["earlier"], *one["items"]]
        of_log = [rated[one["user"], item["item"]] for item in whole]
        assert [2 * float(row["rating"]) for row in of_log] == [*one["earlier_ratings"], *one["real"]]
        times = [int(row["timestamp"]) for row in of_log]
        assert times == sorted(times)
    assert any(one["real"] != one["simulated"] for one in some)


def without_taste(user: RealUser) -> RealUser:
    """The same user, whose held-out ratings are all 2; to others, who learn from the log, nothing changes."""
    assert user.values is not None
    return replace(user, values=np.where(np.arange(len(user.values)) < user.past_count, user.values, 2.0))


def test_what_is_held_out_moves_no_simulated_rating(movielens: Path, pairs: Path, tmp_path: Path) -> None:
    config = json.loads((pairs / "manifest.json").read_text())["config"]
    test = Believability(BelievabilityConfig(**config), Registry())
    test.parts = [replace(part, users=tuple(map(without_taste, part.users))) for part in test.parts]
    test.run(tmp_path / "out")
    first, second = (lines(one / "pairs.jsonl") for one in (pairs, tmp_path / "out"))
    assert [one["simulated"] for one in first] == [one["simulated"] for one in second]
    assert {value for one in second for value in one["real"]} == {2.0}


def planted(pairs: Path, judge: Callable[[str, dict[str, Any]], str]) -> Callable[[dict[str, Any]], Answer]:
    """A service that answers as a judge does who knows the pair: its prompt, and what is true of it."""
    known = {}
    for one in lines(pairs / "pairs.jsonl"):
        sides = (one["real"], one["simulated"])
        known[tuple(map(tuple, sides if one["real_side"] == "first" else sides[::-1]))] = one

    def answer(body: dict[str, Any]) -> Answer:
        prompt = body["messages"][1]["content"]
        return Answer(judge(prompt, known[tuple(ratings_in(prompt, "A")), tuple(ratings_in(prompt, "B"))]))

    return answer


def right(prompt: str, pair: dict[str, Any]) -> str:
    return "A" if pair["real_side"] == "first" else "B"


@pytest.mark.parametrize("who", ["right", "coin", "first", "sulking"])
def test_planted_judges_get_what_they_must(
    quick: Emosim, movielens: Path, pairs: Path, tmp_path: Path, who: str
) -> None:
    judges: dict[str, Callable[[str, dict[str, Any]], str]] = {
        "right": right,
        "coin": lambda prompt, pair: "ab"[zlib.crc32(f"{pair['user']} coin".encode()) % 2],
        "first": lambda prompt, pair: " A. ",
        "sulking": lambda prompt, pair: right(prompt, pair) if pair["pair"] % 3 else "Hard to say: A",
    }
    with ChatServer(planted(pairs, judges[who])) as server:
        model = ("--judge-model", f"{server.url}#judge", "--yes", "--out", "out")
        done = quick(*ASK, "--ratings", f"movielens:{movielens}", *model)
        calls = len(server.calls)
    assert lines(tmp_path / "out" / "pairs.jsonl") == lines(pairs / "pairs.jsonl")
    count = len(lines(pairs / "pairs.jsonl"))
    results = json.loads((tmp_path / "out" / "believability.json").read_text())
    name = next(name for name in results["judges"] if name.startswith("language model"))
    found = results["judges"][name]
    assert "requests, about" in done.err
    if who == "right":
        assert (found["right"], found["failed"]) == (count, 0)
        assert "can be distinguished from real users" in done.out
    elif who == "coin":
        assert found["accuracy"]["low"] <= 0.5 <= found["accuracy"]["high"]
    elif who == "first":
        assert found["first_chosen"]["estimate"] == 1.0
        assert abs(found["right"] - count / 2) <= 0.5
    else:
        failed = len(range(0, count, 3))
        assert (found["failed"], found["judged"], found["right"]) == (failed, count - failed, count - failed)
        assert calls == count - failed + 3 * failed
    table = list(csv.DictReader((tmp_path / "out" / "verdicts.csv").read_text().splitlines()))
    mine = [row for row in table if row["judge"] == name]
    assert sum(row["right"] == "1" for row in mine) == found["right"]
    assert sum(row["answer"] == "" for row in mine) == found["failed"]


def test_a_stopped_test_goes_on_to_the_same_end_and_its_cost_was_said(
    quick: Emosim, movielens: Path, pairs: Path, tmp_path: Path
) -> None:
    answer, calls = planted(pairs, right), 0

    def failing(body: dict[str, Any]) -> Answer:
        nonlocal calls
        calls += 1
        return answer(body) if calls <= 5 or calls > 6 else Answer("no such key", status=401)

    with ChatServer(failing) as server:
        model = ("--judge-model", f"{server.url}#judge", "--concurrency", "1", "--out", "out")
        ask = (*ASK, "--ratings", f"movielens:{movielens}", *model)
        refused = quick(*ask, status=2)
        assert "say --yes to start" in refused.err
        assert not (tmp_path / "out").exists()
        stopped = quick(*ask, "--yes", "--quiet", status=2)
        assert "emosim judge --resume out" in stopped.err
        assert not (tmp_path / "out" / "believability.json").exists()
        quick("judge", "--resume", "out", "--yes")
        assert calls == 1 + len(lines(pairs / "pairs.jsonl"))
        shutil.move(tmp_path / "out", tmp_path / "first")
        quick(*ask, "--yes")
    for name in ("pairs.jsonl", "verdicts.jsonl", "believability.json", "verdicts.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "first" / name).read_bytes()
    assert "believability" in quick("runs", ".").out
    assert "Who can tell" in quick("show", "out").out


def test_questions_are_bounded(quick: Emosim, movielens: Path) -> None:
    ask = (*ASK, "--ratings", f"movielens:{movielens}", "--judge-model", "deepseek-chat", "--out", "out")
    bounded = quick(*ask, "--max-questions", "7", status=2)
    assert " 7 requests, about" in bounded.err
    assert "max_questions=1 is too few" in quick(*ask, "--max-questions", "1", status=2).err
    both = quick(*ask, "--max-questions", "14", "--llm-model", "deepseek-chat", status=2)
    assert " 14 requests, about" in both.err
    assert "users have 40 ratings to hold out" in quick(*ask, "--history", "40", status=2).err


def test_what_a_person_says_counts_once_for_each_pair(pairs: Path, tmp_path: Path, quick: Emosim) -> None:
    out = Path(shutil.copytree(pairs, tmp_path / "out"))
    sides = {one["pair"]: one["real_side"] for one in lines(out / "pairs.jsonl")}
    add_verdict(out, {"pair": 0, "judge": "person a", "answer": None, "error": "skipped"})
    add_verdict(out, {"pair": 0, "judge": "person a", "answer": sides[0], "error": ""})
    results = add_verdict(out, {"pair": 1, "judge": "person a", "answer": sides[1], "error": ""})
    assert results["judges"]["person a"]["judged"] == results["judges"]["person a"]["right"] == 2
    assert "Person a finds the real user in 2 of 2 pairs" in quick("show", "out").out


def test_a_program_judges_the_same_pairs(pairs: Path, movielens: Path, tmp_path: Path) -> None:
    few = {"history": 6, "earlier": 4, "max_users": 40}
    results = emosim_core.judge("movies", tmp_path / "api", ratings=f"movielens:{movielens}", **few)
    assert results["pairs"] == len(lines(pairs / "pairs.jsonl"))
    assert (tmp_path / "api/pairs.jsonl").read_bytes() == (pairs / "pairs.jsonl").read_bytes()
