"""``emosim sweep``: what it prints and leaves, how it is resumed, what it says about mistakes."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest

PLAN = """
command = "run"
num_seeds = 2

[base]
plugin = "movies"
episodes = 4
max_steps = 6
users = "sampled:n=5"

[grid]
policy = ["random", "popular"]
slate = [1, 2]
"""


@pytest.fixture
def plan(quick: Any) -> Path:
    """The file of a plan in the folder of the commands."""
    path: Path = quick.folder / "plan.toml"
    path.write_text(PLAN)
    return path


def test_a_sweep_prints_one_table_and_leaves_a_directory_for_each_job(quick: Any, plan: Path) -> None:
    done = quick("sweep", "plan.toml", "--out", "s")
    lines = done.out.splitlines()
    assert "8 runs of 4 configurations." in lines
    lines = lines[lines.index("Configurations") + 1 :]
    assert lines[0].split() == ["policy", "slate", "reward", "rating", "liked", "steps", "failed"]
    assert [line.split()[:2] for line in lines[1:5]] == [[p, s] for p in ("random", "popular") for s in "12"]
    results = json.loads((quick.folder / "s" / "results.json").read_text())
    assert len(results["jobs"]) == 8
    for job in results["jobs"]:
        summary = json.loads((quick.folder / "s" / "jobs" / job["job"] / "summary.json").read_text())
        assert job["metrics"]["mean_reward"] == summary["mean_reward"]
        assert job["metrics"]["episode_length"] == summary["episode_length"]["mean"]
    first = results["configurations"][0]
    rewards = [job["metrics"]["mean_reward"] for job in results["jobs"][:2]]
    assert first["seeds"] == [42, 43]
    assert first["metrics"]["mean_reward"]["mean"] == pytest.approx(sum(rewards) / 2, abs=1e-6)
    assert (first["metrics"]["mean_reward"]["lowest"], first["metrics"]["mean_reward"]["highest"]) == (
        min(rewards),
        max(rewards),
    )
    with (quick.folder / "s" / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["policy"], row["slate"], row["seed"]) for row in rows[:3]] == [
        ("random", "1", "42"),
        ("random", "1", "43"),
        ("random", "2", "42"),
    ]
    assert quick("show", "s").out == done.out
    assert "8 runs" in quick("runs", ".").out
    assert "Written to s/report.html" in quick("report", "s").out
    assert "epsilon" not in (quick.folder / "s" / "report.html").read_text(encoding="utf-8")[:2000]


def test_a_sweep_in_several_processes_leaves_the_same(quick: Any, plan: Path) -> None:
    here = quick("sweep", "plan.toml", "--out", "a", "--json").json
    there = quick("sweep", "plan.toml", "--out", "b", "--executor", "processes:2", "--json").json
    assert {**here, "directory": ""} == {**there, "directory": ""}
    for path in sorted((quick.folder / "a").glob("jobs/*/interactions.jsonl")):
        assert path.read_bytes() == (quick.folder / "b" / path.relative_to(quick.folder / "a")).read_bytes()


def test_trainings_are_swept_too(quick: Any) -> None:
    (quick.folder / "t.toml").write_text(
        'command = "train"\n[base]\nplugin = "movies"\nusers = "sampled:n=20"\ntimesteps = 64\nnum_envs = 4\n'
        '[[configurations]]\nalgo = "a2c"\n[[configurations]]\nalgo = "a2c"\nlearning_rate = 0.01\n'
    )
    results = quick("sweep", "t.toml", "--out", "t", "--json", timeout=300).json
    assert [one["values"] for one in results["configurations"]] == [
        {"algo": "a2c"},
        {"algo": "a2c", "learning_rate": 0.01},
    ]
    assert all(one["metrics"]["reward"]["mean"] > 0 for one in results["configurations"])


def test_a_sweep_that_was_killed_goes_on(emosim: Any) -> None:
    (emosim.folder / "plan.toml").write_text(PLAN.replace("episodes = 4", "episodes = 300"))
    process = emosim.start("sweep", "plan.toml", "--out", "s", "--quiet")
    while not list(emosim.folder.glob("s/jobs/*/summary.json")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    message = emosim("sweep", "plan.toml", "--out", "s", status=2).err
    assert "continue it with: emosim sweep plan.toml --resume s" in message
    resumed = emosim("sweep", "plan.toml", "--resume", "s", "--json").json
    whole = emosim("sweep", "plan.toml", "--out", "w", "--json").json
    assert {**resumed, "directory": ""} == {**whole, "directory": ""}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[grid]", "[gird]"), "plan.toml: unknown option 'gird'. Did you mean 'grid'?"),
        (("policy =", "polcy ="), "plan.toml: configuration 1: unknown option 'polcy'. Did you mean 'policy'?"),
        (('"popular"', '"poplar"'), "plan.toml: configuration 3: unknown policy 'poplar'. Did you mean 'popular'?"),
        (("slate = [1, 2]", "slate = [1, 0]"), "plan.toml: configuration 2: option 'slate'"),
        (("slate = [1, 2]", "slate = []"), "plan.toml: grid: 'slate' has no value"),
        (('"run"', '"fly"'), "plan.toml: option 'command'"),
        (("[grid]", "[[configurations]]\nslate = 1\n[grid]"), "give either [grid] or [[configurations]]"),
        (("num_seeds = 2", "num_seeds = 60000"), "more than 100,000 jobs"),
        (("[base]", "[base"), "plan.toml is not a TOML file"),
    ],
)
def test_a_mistake_in_a_plan_is_named_before_anything_begins(
    quick: Any, plan: Path, change: tuple[str, str], message: str
) -> None:
    plan.write_text(PLAN.replace(*change))
    assert message in quick("sweep", "plan.toml", "--out", "s", status=2).err
    assert not (quick.folder / "s").exists()


def test_another_plan_is_not_mixed_in(quick: Any, plan: Path) -> None:
    quick("sweep", "plan.toml", "--out", "s", "--quiet")
    plan.write_text(PLAN.replace("max_steps = 6", "max_steps = 7"))
    assert "s was begun with another plan" in quick("sweep", "plan.toml", "--resume", "s", status=2).err
    assert "missing.toml" in quick("sweep", "missing.toml", status=2).err
