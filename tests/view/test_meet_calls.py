"""What the pages of meeting a user and of judging answer to calls that reach too far or make no sense."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from emosim_core.hooks import Registry
from emosim_core.studies.believability.believability import Believability, BelievabilityConfig

ORIGIN = {"origin": "http://127.0.0.1:8770"}


def post(client: TestClient, address: str, **said: Any) -> Any:
    return client.post(address, json=said, headers=ORIGIN)


def error(answer: Any, status: int = 422) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


def test_worlds_are_of_what_lies_below_the_root_or_was_made_here(client: TestClient, root: Path) -> None:
    (root.parent / "secret.csv").write_text("id,name\n1,A B\n")
    (root / "link.csv").symlink_to(root.parent / "secret.csv")
    for wrong in ("../secret.csv", "link.csv", "deep/../../secret.csv", "nothing.csv", "random/manifest.json"):
        answer = post(client, "/api/meet/world", plugin="movies", users=wrong)
        assert answer.status_code in (404, 422), wrong
        assert "A B" not in answer.text
    assert "choose a domain" in error(post(client, "/api/meet/world"))
    assert "unknown option 'rater'" in error(post(client, "/api/meet/world", plugin="movies", rater="python:x.py:y"))
    manifest = json.loads((root / "random" / "manifest.json").read_text())
    manifest["config"]["items"] = {"name": "csv", "path": "/etc/hostname"}
    brought = Path(shutil.copytree(root / "random", root / "brought"))
    (brought / "manifest.json").write_text(json.dumps(manifest))
    assert "was not made here by you" in error(post(client, "/api/meet/world", like="brought"))


def test_a_meeting_is_saved_below_the_root_under_a_free_name(client: TestClient, root: Path) -> None:
    made = post(client, "/api/meet/world", like="random", slate=2).json()
    assert (made["users"], made["slate"], made["choice"]) == (12, 2, "cascade")
    assert "no user 'nobody'" in error(post(client, "/api/meet/begin", world=made["world"], user="nobody"))
    assert "seed" in error(post(client, "/api/meet/begin", world=made["world"], user="u0001", seed=-1))
    begun = post(client, "/api/meet/begin", world=made["world"], user="u0001").json()
    place = f"/api/meet/{begun['meeting']}"
    assert "nothing to save" in error(post(client, f"{place}/save", name="met"))
    found = client.get(f"/api/meet/world/{made['world']}/items?search=the").json()["found"]
    assert "a slate has 2 items" in error(post(client, f"{place}/offer", items=[found[0]["id"]]))
    seen = post(client, f"{place}/offer", items=[one["id"] for one in found[:2]]).json()
    assert len(seen["steps"]) == 1
    for wrong in ("../met", "a/b", "", ".met", "-x"):
        assert "a name has" in error(post(client, f"{place}/save", name=wrong))
    assert post(client, f"{place}/save", name="met").json()["path"] == "met"
    assert post(client, f"{place}/save", name="met").json()["path"] == "met-1"
    assert (root / "met" / "interactions.jsonl").read_bytes() == (root / "met-1" / "interactions.jsonl").read_bytes()
    assert "is over" in error(client.get("/api/meet/nothing"))
    assert client.get("/api/meet/nothing", headers={"cookie": ""}).status_code in (403, 422)


@pytest.fixture
def judged(movielens: Path, tmp_path: Path, client_of: Callable[[Path], TestClient]) -> TestClient:
    """The application about a folder with a believability test."""
    config = BelievabilityConfig(
        environment={"plugin": "movies"}, ratings=f"movielens:{movielens}", history=3, earlier=2, max_users=3
    )
    (tmp_path / "tests").mkdir()
    Believability(config, Registry()).run(tmp_path / "tests" / "one")
    return client_of(tmp_path / "tests")


def test_a_judge_learns_no_truth_and_says_one_side_of_a_pair(judged: TestClient) -> None:
    page = judged.get("/believe/one").text
    pair = judged.get("/api/believe/pair?path=one&judge=Ada").json()
    for text in (page, json.dumps(pair)):
        assert not any(word in text for word in ("real_side", 'simulated"', '"user"'))
    call = {"path": "one", "judge": "Ada", "pair": 0, "answer": "first"}
    for wrong in ({"answer": "real"}, {"pair": "0"}, {"pair": 99}, {"judge": "<b>"}, {"judge": ""}):
        error(post(judged, "/api/believe/verdict", **{**call, **wrong}))
    assert post(judged, "/api/believe/verdict", **call).json()["done"] == 1
    assert error(post(judged, "/api/believe/verdict", **{**call, "path": "../one"}), 404)
    assert "exported as" in error(judged.get("/api/believe/export/xml?path=one"))
    assert judged.get("/api/believe/export/json?path=one").json()["judges"]["person Ada"]["judged"] == 1
    assert "person Ada" in judged.get("/api/believe/results?path=one").text
    assert "one" in judged.get("/believe").text


def test_a_test_is_of_a_log_below_the_root_and_says_what_is_wrong(
    movielens: Path, client_of: Callable[[Path], TestClient], tmp_path: Path
) -> None:
    root = tmp_path / "work"
    shutil.copytree(movielens, root / "ml")
    (root / "link").symlink_to(movielens, target_is_directory=True)
    client = client_of(root)
    asked = {"plugin": "movies", "ratings": "ml", "format": "movielens", "rater": "rule_based", "max_users": 4}
    for wrong, message in (
        ({"ratings": "../ml"}, "is no directory below"),
        ({"ratings": "link"}, "there is no directory"),
        ({"ratings": "ml/nothing.csv"}, "there is no file"),
        ({"format": ""}, "say how the folder 'ml' is read"),
        ({"format": "--help"}, "say how the folder"),
        ({"name": "../x"}, "a name has"),
        ({"rater": "python:x.py:y"}, "rater"),
        ({"history": 100}, "have 100 ratings to hold out"),
    ):
        answer = post(client, "/api/believe/begin", **{**asked, **wrong})
        assert answer.status_code in (404, 422), wrong
        assert message in answer.json()["error"], wrong
    assert sorted(one.name for one in root.iterdir()) == ["link", "ml"]
