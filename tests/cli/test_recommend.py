"""``emosim recommend``: what it prints, and what it says about mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emosim_core.testing import Emosim


@pytest.fixture
def model(quick: Any, tmp_path: Path) -> str:
    """A training that has just begun and ended."""
    few = ("--users", "sampled:n=20", "--max-steps", "6", "--num-envs", "4", "--timesteps", "40", "--device", "cpu")
    shown = ("--observation", "full")
    quick("train", "--plugin", "movies", "--policy-net", "mlp", *few, *shown, "--out", "t", "--quiet")
    return "t"


def ids(tmp_path: Path) -> list[str]:
    payload = json.loads((tmp_path / "t" / "model" / "recommender.json").read_text())
    return [item["id"] for item in payload["items"]]


def test_it_recommends_what_is_not_in_the_history(quick: Emosim, model: str, tmp_path: Path) -> None:
    first = quick("recommend", model, "--k", "3", "--json").json
    assert [sorted(one) for one in first] == [["item", "score", "title"]] * 3
    (tmp_path / "h.csv").write_text(f"item,rating\n{first[0]['item']},\n{first[1]['item']},9\n")
    done = quick("recommend", model, "--history", "h.csv", "--k", "4", "--traits", "3,1,2")
    assert done.err == ""
    assert first[2]["title"] in done.out or len(done.out.splitlines()) == 5
    for one in first[:2]:
        assert f" {one['item']} " not in done.out
    scores = [one["score"] for one in first]
    assert scores == sorted(scores, reverse=True)


def test_more_than_there_is_gives_all_that_is_left(quick: Any, model: str, tmp_path: Path) -> None:
    known = ids(tmp_path)
    (tmp_path / "h.csv").write_text("item,rating\n" + "".join(f"{item},5\n" for item in known[:-2]))
    recommended = quick("recommend", model, "--history", "h.csv", "--k", "1000", "--json").json
    assert {one["item"] for one in recommended} == set(known[-2:])


@pytest.mark.parametrize(
    ("history", "arguments", "message"),
    [
        ("item,rating\nnothing,3\n", [], "the recommender knows no item 'nothing'"),
        ("item,rating\nFIRST,good\n", [], "'good' is no rating"),
        ("item,rating\nFIRST,11\n", [], "lies off the scale 1 to 10"),
        ("item,rating\nFIRST,nan\n", [], "lies off the scale 1 to 10"),
        ("item,stars\nFIRST,3\n", [], "rating"),
        (None, ["--history", "nowhere.csv"], "nowhere.csv"),
        (None, ["--user", "nobody"], "nobody with the id 'nobody'"),
        (None, ["--traits", "1,2"], "three levels from 1 to 3"),
        (None, ["--traits", "a,b,c"], "--traits wants three numbers"),
        (None, ["--k", "0"], "k must be at least 1"),
    ],
)
def test_a_mistake_is_one_clear_message(
    quick: Any, model: str, tmp_path: Path, history: str | None, arguments: list[str], message: str
) -> None:
    if history is not None:
        (tmp_path / "h.csv").write_text(history.replace("FIRST", ids(tmp_path)[0]))
        arguments = ["--history", "h.csv"]
    assert message in quick("recommend", model, *arguments, status=2).err


def test_an_item_named_by_its_title_or_misspelt_is_answered_with_its_id(quick: Any, model: str, tmp_path: Path) -> None:
    known = quick("recommend", model, "--json").json[0]
    for name in (known["title"].upper(), known["item"][:-1] + "x"):
        (tmp_path / "h.csv").write_text(f'item,rating\n"{name}",5\n')
        assert f"Did you mean {known['item']!r}" in quick("recommend", model, "--history", "h.csv", status=2).err


def test_a_rating_off_the_scale_is_named_with_its_row(quick: Any, model: str, tmp_path: Path) -> None:
    known = quick("recommend", model, "--json").json[0]["item"]
    for rating in ("11", "nan"):
        (tmp_path / "h.csv").write_text(f"item,rating\n{known},{rating}\n")
        message = quick("recommend", model, "--history", "h.csv", status=2).err
        assert f"h.csv, row 2, field 'rating': the rating {rating} lies off the scale 1 to 10" in message


def test_a_directory_that_is_no_model_is_an_error(quick: Any, tmp_path: Path) -> None:
    assert "nowhere holds no trained recommender" in quick("recommend", "nowhere", status=2).err
    quick("run", "--plugin", "movies", "--episodes", "1", "--max-steps", "2", "--out", "rnd")
    for command in (("recommend", "rnd"), ("run", "--plugin", "movies", "--policy", "trained:rnd")):
        message = quick(*command, status=2).err
        assert "rnd is a run, no trained recommender; 'emosim train' makes one" in message
        assert "--resume" not in message
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped" / "manifest.json").write_text('{"config": {"algo": "ppo"}}')
    assert "finish it with: emosim train --resume stopped" in quick("recommend", "stopped", status=2).err


def test_who_cf_recommends_for_is_said(quick: Any, tmp_path: Path) -> None:
    few = ("--users", "sampled:n=20", "--num-envs", "4", "--timesteps", "20", "--device", "cpu", "--quiet")
    quick("train", "--plugin", "movies", *few, "--out", "c")
    assert "knows users by their id alone" in quick("recommend", "c", "--k", "2").out
    user = json.loads((tmp_path / "c" / "model" / "recommender.json").read_text())["users"][0]
    assert "knows users" not in quick("recommend", "c", "--user", user).out
