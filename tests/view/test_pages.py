"""What the application answers, without a browser."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import emosim_core
from emosim_core.evaluation.columns import read_episodes
from emosim_core.reports.compare import compare
from emosim_core.runs.records import read_records, records_of_episode
from emosim_core.view.episodes import Query, Search

OWN = {"origin": "http://127.0.0.1:8770"}


def data(client: TestClient, address: str) -> Any:
    """The value that a page has for its scripts."""
    text = client.get(address).text
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found, text
    return json.loads(found[1])


def listed(client: TestClient) -> dict[str, Any]:
    client.get("/job/random")  # waits until all parts are there
    return {row["path"]: row for row in data(client, "/")["rows"]}


def test_everything_below_is_listed_with_its_state_and_how_it_goes_on(client: TestClient, root: Path) -> None:
    rows = listed(client)
    assert {path: row["state"] for path, row in rows.items()} == {
        "random": "complete", "deep/top": "complete", "parquet": "complete", "stopped": "stopped", "failed": "failed",
    }  # fmt: skip
    assert rows["deep/top"]["headline"].startswith("top_rated on movies: 24 episodes")
    assert rows["stopped"]["resume"] == f"emosim run --resume {root}/stopped"
    assert rows["failed"]["stopped"] == "<b>no route</b> to the model"
    assert rows["random"]["resume"] == ""


def test_a_run_gets_the_interval_of_its_reward_and_keeps_it(client: TestClient, client_of: Any, root: Path) -> None:
    until = time.monotonic() + 20
    while "interval" not in listed(client)["random"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    mean, low, high = listed(client)["random"]["interval"]
    assert mean == pytest.approx(json.loads((root / "random" / "summary.json").read_text())["mean_reward"])
    assert low < mean < high


def test_what_is_added_and_what_goes_is_seen(client: TestClient, root: Path) -> None:
    assert "new" not in listed(client)
    (root / "random").rename(root / "new")
    rows = listed_again(client)
    assert "new" in rows
    assert "random" not in rows
    (root / "new" / "manifest.json").write_text("{")
    assert listed_again(client)["new"]["state"] == "unreadable"


def listed_again(client: TestClient) -> dict[str, Any]:
    return {row["path"]: row for row in data(client, "/")["rows"]}


def test_tags_and_notes_are_kept_beside_the_directory(client: TestClient, root: Path, tmp_path: Path) -> None:
    before = sorted(root.rglob("*"))
    said = {"path": "random", "tags": ["baseline", " baseline ", "", "très bon"], "note": "to <b>do</b>\nagain"}
    stored = client.post("/api/remark", json=said, headers=OWN).json()
    assert stored == {"tags": ["baseline", "très bon"], "note": "to <b>do</b>\nagain"}
    assert listed(client)["random"]["tags"] == ["baseline", "très bon"]
    assert sorted(root.rglob("*")) == before
    assert list((tmp_path / "state").rglob("*.json"))
    client.post("/api/remark", json={"path": "random", "tags": [], "note": " "}, headers=OWN)
    assert listed(client)["random"]["tags"] == []
    for wrong in ({"tags": "x"}, {"tags": ["x" * 50]}, {"note": 7}, {"note": "x" * 20_000}, {"tags": ["x"] * 3 + [7]}):
        assert client.post("/api/remark", json={"path": "random", **wrong}, headers=OWN).status_code == 422
    assert client.post("/api/remark", content=b"[1", headers=OWN).status_code == 422


@pytest.mark.parametrize("path", ["random", "parquet"])
def test_a_search_finds_what_a_pass_over_all_records_finds(client: TestClient, root: Path, path: str) -> None:
    run = read_episodes(root / path)
    title = run.titles[next(iter(run.titles))]
    everything: list[list[dict[str, Any]]] = [[] for _ in range(24)]
    for record in read_records(root / path):
        everything[record["episode"]].append(record)

    def numbers(**query: str) -> list[int]:
        answer = client.get("/api/episodes", params={"path": path, **query}).json()
        assert answer["done"]
        assert answer["seen"] == 24
        assert answer["found"] == len(answer["episodes"])
        return [one["number"] for one in answer["episodes"]]

    def texts(records: list[dict[str, Any]], reasons: bool) -> str:
        items = [item for record in records for item in record["recommended"]]
        user = records[0]["user_profile"]
        parts = [user["name"], user["description"], *(item["title"] for item in items)]
        return "\n".join(parts + [item["reason"] or "" for item in items if reasons]).lower()

    assert numbers() == list(range(24))
    assert numbers(q=f'"{title}"') == [n for n in range(24) if title.lower() in texts(everything[n], False)]
    word = "random noise"
    wanted = [n for n in range(24) if word in texts(everything[n], True)]
    assert wanted
    assert numbers(q=f'"{word}"', reasons="1") == wanted
    assert numbers(q=f'"{word}"') == []
    name = everything[3][0]["user_profile"]["name"]
    assert numbers(user=name) == [n for n in range(24) if everything[n][0]["user_profile"]["name"] == name]
    means = (run.episodes.total / run.episodes.rated).tolist()
    assert numbers(**{"from": "6", "to": "7.5"}) == [n for n in range(24) if 6 <= means[n] <= 7.5]
    assert numbers(order="best") == sorted(range(24), key=lambda n: -means[n])
    assert numbers(q="no film has this in its title") == []


@pytest.mark.parametrize("path", ["random", "parquet"])
def test_a_story_has_what_the_records_have(client: TestClient, root: Path, path: str) -> None:
    story = client.get("/api/story", params={"path": path, "episode": 5}).json()
    records = list(records_of_episode(root / path, 5))
    assert story["lines"][0].startswith(records[0]["user_profile"]["name"])
    assert len(story["steps"]) == len(records)
    for step, record in zip(story["steps"], records, strict=True):
        item = record["recommended"][0]
        shown = step["recommendations"][0]
        assert (shown["title"], shown["reason"], shown["rating"]) == (item["title"], item["reason"], item["rating"])
    for wrong in ({"episode": 99}, {"episode": "x"}, {"episode": "-1"}):
        assert client.get("/api/story", params={"path": path, **wrong}).status_code == 422


def test_episodes_are_found_in_the_order_of_their_numbers_before_all_are_read(tmp_path: Path) -> None:
    emosim_core.run("movies", tmp_path / "r", episodes=24, num_envs=8, user_dataset="sampled:n=12")
    ended = [record["episode"] for record in read_records(tmp_path / "r") if record["end_reason"]]
    assert ended[:5] != sorted(ended[:5])
    search = Search(tmp_path / "r", Query())
    search.advance(5)
    assert not search.done
    assert [match.number for match in search.page(0)] == list(range(len(search.matches)))


def test_the_page_of_a_run_has_its_summary_before_its_report_is_made(client: TestClient, root: Path) -> None:
    page = client.get("/job/random").text
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    summary = json.loads((root / "random" / "summary.json").read_text())
    assert ["mean reward", f"{summary['mean_reward']:.2f} per episode"] in json.loads(data)["summary"]


def test_a_comparison_is_that_of_the_command(client: TestClient, root: Path) -> None:
    answer = client.get("/api/compare", params={"d": ["random", "deep/top"]}).json()
    found = compare([root / "random", root / "deep" / "top"])
    rewards = next(row for row in answer["rows"] if row["name"] == "reward per episode")
    metric = found.runs[1].metrics["reward per episode"]
    assert rewards["cells"][1]["difference"]["value"] == f"{metric.difference:+.2f}"
    assert [column["name"] for column in answer["columns"]] == ["random", "deep/top"]
    assert answer["differs"] == [{"name": "policy", "cells": ["random", "top_rated"]}]
    assert [len(series["y"]) for series in answer["charts"][0]["series"]] == [24, 24]
    for wrong in (["random"], ["random", "random"], []):
        assert client.get("/api/compare", params={"d": wrong}).status_code == 422


def test_a_stopped_run_shows_how_far_it_came(client: TestClient, root: Path) -> None:
    from emosim_core.view.context import Context
    from emosim_core.view.live import Followed

    followed = Followed(Context(root, "runs", root.parent / "state"))
    value = followed.values(root / "stopped", "stopped")
    assert value is not None
    lines = [json.loads(line) for line in (root / "stopped" / "interactions.jsonl").read_text().splitlines()]
    ended = [line["episode"] for line in lines if line["end_reason"]]
    assert value["progress"] == {"done": len(ended), "total": 24, "unit": "episodes"}
    assert [one["number"] for one in value["newest"]] == ended[::-1][:12]
    assert value["resume"] == "emosim run --resume runs/stopped"
    more = (root / "random" / "interactions.jsonl").read_bytes()
    (root / "stopped" / "interactions.jsonl").write_bytes(more)
    again = followed.values(root / "stopped", "stopped")
    assert again is not None
    assert again["progress"]["done"] == 24
    (root / "stopped" / "interactions.jsonl").write_bytes(more[: len(more) // 3].rpartition(b"\n")[0] + b"\n")
    cut = followed.values(root / "stopped", "stopped")
    assert cut is not None
    assert cut["progress"]["done"] < 24


def test_a_report_is_made_where_there_is_none_and_the_directory_stays_as_it_is(client: TestClient, root: Path) -> None:
    before = sorted(root.rglob("*"))
    page = client.get("/report-page/random")
    assert page.status_code == 200
    assert "Movies: a run of 24 episodes" in page.text
    assert sorted(root.rglob("*")) == before
    facts = client.get("/api/report", params={"path": "random"}).json()
    assert "mean rating" in [fact["name"] for fact in facts["facts"]]


def test_a_directory_that_is_a_run_itself_is_shown_at_once(client_of: Any, root: Path) -> None:
    client = client_of(root / "random")
    client.get("/job/")
    assert client.get("/").headers["location"] == "/job/"
    assert client.get("/job/").status_code == 200
