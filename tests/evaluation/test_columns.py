"""A run as columns: the same numbers as its summary, and what is said of damage."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import emosim_core
from emosim_core import RunError
from emosim_core.evaluation.columns import read_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs ``a`` (films) and ``books``."""
    folder = tmp_path_factory.mktemp("runs")
    emosim_core.run("movies", folder / "a", episodes=60, max_steps=20)
    emosim_core.run("books", folder / "books", episodes=30, max_steps=20, slate=2, p_interrupt=0.05)
    return folder


@pytest.mark.parametrize("name", ["a", "books"])
def test_columns_come_to_the_numbers_of_the_summary(made: Path, name: str) -> None:
    run = read_run(made / name)
    summary = json.loads((made / name / "summary.json").read_text())
    assert run.complete
    assert len(run.episodes) == len(run.ended) == summary["episodes"]
    assert len(run.step) == summary["steps"]
    assert len(run.rating) == summary["ratings"]
    assert run.rating.mean() == pytest.approx(summary["mean_rating"], abs=1e-4)
    assert run.liked.mean() == pytest.approx(summary["share_liked"], abs=1e-4)
    assert Counter(episode.end_reason for episode in run.episodes) == summary["end_reasons"]
    assert np.mean([episode.reward for episode in run.episodes]) == pytest.approx(summary["mean_reward"], abs=1e-3)
    assert sum(episode.failed for episode in run.episodes) == summary["failed_ratings"]
    assert [episode.number for episode in run.episodes] == list(range(summary["episodes"]))


def test_each_row_belongs_to_its_episode(made: Path) -> None:
    run = read_run(made / "a")
    records = [json.loads(line) for line in (made / "a" / "interactions.jsonl").read_text().splitlines()]
    for position in (0, 17, 59):
        mine = [record for record in records if record["episode"] == position]
        rows = run.rating_episode == position
        assert run.rating[rows].tolist() == [record["recommended"][0]["rating"] for record in mine]
        assert run.moods[run.step_episode == position].tolist() == [record["mood"] for record in mine]
        shown = run.slate_episode == position
        raw = [[one["raw_rating"] for one in record["recommended"]] for record in mine]
        assert run.slate_rating[shown].tolist() == [rating for ratings in raw for rating in ratings]
        assert run.step_reward[run.step_episode == position].tolist() == [record["reward"] for record in mine]
        ids = list(run.titles)
        assert [ids[item] for item in run.item[rows]] == [record["recommended"][0]["item"] for record in mine]


def test_a_killed_run_is_read_as_far_as_it_came(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "a", tmp_path / "killed")
    (tmp_path / "killed" / "summary.json").unlink()
    lines = (tmp_path / "killed" / "interactions.jsonl").read_bytes()
    (tmp_path / "killed" / "interactions.jsonl").write_bytes(lines[: len(lines) // 2])
    run = read_run(tmp_path / "killed")
    assert not run.complete
    assert 0 < len(run.ended) < len(run.episodes) < 60


def test_a_damaged_record_is_named(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "a", tmp_path / "damaged")
    path = tmp_path / "damaged" / "interactions.jsonl"
    lines = path.read_text().splitlines()
    record = json.loads(lines[3])
    del record["recommended"][0]["title"]
    path.write_text("\n".join([*lines[:3], json.dumps(record), *lines[4:]]) + "\n")
    with pytest.raises(RunError, match=r"interactions\.jsonl, line 4: is damaged: recommended\.0\.title"):
        read_run(tmp_path / "damaged")


def test_what_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run: it has no manifest\.json"):
        read_run(tmp_path)
