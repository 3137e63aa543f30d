"""``emosim sweep``: what it prints and leaves, how it is resumed, what it says about mistakes."""

from __future__ import annotations

import csv
import json
import re
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
choice = "ratings_first"

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
    assert (
        len({len(re.findall(r"\.\d\d\b", line)) for line in lines[1:5]}) == 1
    )  # a metric has its decimals in all rows
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
        (("[grid]", "[[configurations]]\nslate = 1\n[grid]"), "give one of [grid], [[configurations]] and [search]"),
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


SEARCH = """
command = "run"

[base]
plugin = "movies"
episodes = 6
max_steps = 6
users = "sampled:n=5"
policy = "epsilon_greedy"

[search]
metric = "mean_reward"
trials = 12
at_once = 3

[search.space]
"policy.epsilon" = {low = 0.01, high = 1.0, log = true}
slate = {low = 1, high = 3}
reward_shaping = ["identity", "random_watch"]
"""


@pytest.fixture
def search(quick: Any) -> Path:
    """The file of a plan with a search in the folder of the commands."""
    path: Path = quick.folder / "search.toml"
    path.write_text(SEARCH)
    return path


def test_a_search_tries_what_optuna_chooses_and_names_the_best(quick: Any, search: Path) -> None:
    done = quick("sweep", "search.toml", "--out", "s")
    results = json.loads((quick.folder / "s" / "results.json").read_text())
    tried = results["configurations"]
    assert len(tried) == 12
    assert {one["values"]["slate"] for one in tried} == {1, 2, 3}
    assert all(0.01 <= one["values"]["policy.epsilon"] <= 1 for one in tried)
    rewards = [one["metrics"]["mean_reward"]["mean"] for one in tried]
    best = rewards.index(max(rewards))
    assert results["search"] == {"metric": "mean_reward", "direction": "maximize", "best": best}
    assert f"Highest reward, {max(rewards):.2f}: policy.epsilon" in done.out
    job = next(job["job"] for job in results["jobs"] if job["values"] == tried[best]["values"])
    stored = json.loads((quick.folder / "s" / "jobs" / job / "manifest.json").read_text())["config"]
    assert stored["policy"]["epsilon"] == tried[best]["values"]["policy.epsilon"]
    assert "12 runs" in quick("runs", ".").out
    assert "Highest reward" in quick("show", "s").out


def test_a_search_is_the_same_in_processes_and_when_it_was_stopped(quick: Any, search: Path) -> None:
    here = quick("sweep", "search.toml", "--out", "a", "--json").json
    there = quick("sweep", "search.toml", "--out", "b", "--executor", "processes:2", "--json").json
    assert {**here, "directory": ""} == {**there, "directory": ""}
    (quick.folder / "b" / "results.json").unlink()
    for folder in sorted((quick.folder / "b" / "jobs").iterdir())[5:]:
        (folder / "summary.json").unlink()
    again = quick("sweep", "search.toml", "--resume", "b", "--json").json
    assert {**here, "directory": ""} == {**again, "directory": ""}


def test_trials_of_another_optuna_are_not_mixed_in(quick: Any, search: Path) -> None:
    quick("sweep", "search.toml", "--out", "s", "--quiet")
    (quick.folder / "s" / "results.json").unlink()
    folder = next((quick.folder / "s" / "jobs").glob("005-*"))
    folder.rename(folder.with_name("005-policy.epsilon_0.5-other"))
    message = quick("sweep", "search.toml", "--resume", "s", status=2).err
    assert "005-policy.epsilon_0.5-other is of another configuration than Optuna chooses now" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"mean_reward"', '"test"'), "search.toml: search: no metric 'test'; expected one of mean_reward"),
        (("low = 1, high = 3", "low = 3, high = 1"), "option 'search.space.slate': low must be below high"),
        (('["identity", "random_watch"]', "[]"), "'reward_shaping' has no value"),
        (("policy.epsilon", "policy.epslon"), "configuration 1: policy 'epsilon_greedy'"),
        (('policy = "epsilon_greedy"\n', ""), "'policy.epsilon' is an option of 'policy', which is not given"),
        (("trials = 12", "trials = 0"), "option 'search.trials'"),
        (("[search]", "[grid]\nslate = [1]\n[search]"), "give one of [grid], [[configurations]] and [search]"),
    ],
)
def test_a_mistake_in_a_search_is_named_before_anything_begins(
    quick: Any, search: Path, change: tuple[str, str], message: str
) -> None:
    search.write_text(SEARCH.replace(*change))
    assert message in quick("sweep", "search.toml", "--out", "s", status=2).err
    assert not (quick.folder / "s").exists()
