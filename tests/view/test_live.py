"""What is known of a run while it is being written: from lines, from blocks, and from the transcript of a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import emosim_core
from emosim_core.runs import blocks, job
from emosim_core.runs.runner import Run
from emosim_core.runs.summary import Episode
from emosim_core.simulation.config import RunConfig
from emosim_core.testing import Answer, ChatServer
from emosim_core.view.context import Context
from emosim_core.view.live import Followed
from emosim_core.view.tails import BlockTail, LinesTail

SAME = {"episodes": 50, "max_steps": 4, "user_dataset": "sampled:n=12"}


def test_blocks_are_followed_as_they_come_and_say_what_lines_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_BLOCK", 16)
    monkeypatch.setattr(blocks, "_PER_SLOT", 1)
    emosim_core.run("movies", tmp_path / "lines", num_envs=2, **SAME)
    emosim_core.run("movies", tmp_path / "blocks", num_envs=2, records="parquet", **SAME)
    lines = LinesTail(tmp_path / "lines" / "interactions.jsonl")
    lines.advance()
    written = sorted((tmp_path / "blocks" / "interactions").glob("block-*"))
    ends = [16, 32, 36, 41, 45, 50]
    assert len(written) == len(ends)
    going = tmp_path / "going"
    shutil.copytree(tmp_path / "blocks", going)
    (going / "summary.json").unlink()
    for path in written:
        (going / "interactions" / path.name).unlink()
    tail, followed = BlockTail(going), Followed(Context(tmp_path, "runs", tmp_path / "state"))
    for end, path in zip(ends, written, strict=True):
        shutil.copy(path, going / "interactions")
        tail.advance()
        value = followed.values(going, "going")
        assert value is not None
        assert (value["trouble"], value["progress"]["done"]) == ("", tail.done)
        assert tail.done == end
        assert {one["number"] for one in tail.newest} == set(range(tail.done - 12, tail.done))
    assert [chart["series"][0]["x"] for chart in value["charts"]] == [ends] * 2
    total = sum(count * reward for count, reward, _ in tail.points)
    assert total == pytest.approx(sum(reward for _, reward, _ in lines.points))
    known = {one["number"]: one for one in lines.newest}
    assert known
    assert all(known[one["number"]] == one for one in tail.newest if one["number"] in known)
    (going / "interactions" / written[0].name).unlink()
    tail.advance()
    assert tail.done == 34  # begun anew


@pytest.mark.parametrize("records", ["parquet", "none"])
def test_a_run_that_has_written_nothing_yet_says_how_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: str
) -> None:
    monkeypatch.setattr(job, "_NOTED", 0.0)
    place, seen = tmp_path / "r", []
    run = Run(RunConfig(plugin="movies", num_envs=2, records=records, **SAME), place)
    followed = Followed(Context(tmp_path, "runs", tmp_path / "state"))

    def look(episode: Episode) -> None:
        value = followed.values(place, "r")
        assert value is not None
        assert (value["state"], value["trouble"], bool(value["later"])) == ("running", "", True)
        seen.append((episode, value))

    summary = run.run(on_episode=look)
    _, value = seen[-1]
    done = value["progress"]["done"]
    assert 40 < done < 50
    assert [chart["series"][0]["x"][-1] for chart in value["charts"]] == [done] * 2
    (reward,) = [chart["series"][0] for chart in value["charts"] if chart["id"] == "live-reward"]
    sizes = [end - begin for begin, end in zip([0, *reward["x"]], reward["x"], strict=False)]
    total = sum(size * mean for size, mean in zip(sizes, reward["y"], strict=True))
    assert total + sum(one.reward for one, _ in seen[done:]) == pytest.approx(50 * summary["mean_reward"])
    newest = value["newest"]
    assert [one["number"] for one in newest] == [one.number for one, _ in seen[:done][:-13:-1]]
    assert not any(one["readable"] for one in newest)
    assert newest[0]["user"] == seen[done - 1][0].name


def test_what_a_model_costs_is_known_before_the_end(tmp_path: Path) -> None:
    price = {"prompt": 2.0, "completion": 8.0, "as_of": "2026-07-15"}
    with ChatServer(lambda request: Answer("7")) as server:
        model = {"name": "openai", "model": "m", "base_url": server.url, "price": price}
        emosim_core.run("movies", tmp_path / "r", llm_model=model, episodes=3, max_steps=2)
    usage = json.loads((tmp_path / "r" / "summary.json").read_text())["usage"]
    (tmp_path / "r" / "summary.json").unlink()
    rows = dict(spent(tmp_path, "r"))
    assert usage["cost"] > 0
    assert rows["answers"] == f"{usage['calls']}, 0 of them from the cache"
    assert rows["cost"] == f"{usage['cost']:.6f} USD, at the prices of 2026-07-15"
    copy = Path(shutil.copytree(tmp_path / "r", tmp_path / "copy"))  # not made here: nothing that it names is built
    assert dict(spent(tmp_path, copy.name))["cost"].startswith("not known")


def spent(root: Path, name: str) -> list[tuple[str, str]]:
    value = Followed(Context(root, "runs", root / "state")).values(root / name, name)
    assert value is not None
    return value["spending"]
