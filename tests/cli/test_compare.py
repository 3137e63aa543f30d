"""``emosim compare``: the table, JSON, and what it says about mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emosim_core.reports.compare import _written
from emosim_core.runs.words import signed


@pytest.fixture
def runs(quick: Any, tmp_path: Path) -> Path:
    for name, more in (("a", ()), ("b", ("--policy", "top_rated")), ("c", ("--seed", "5", "--max-steps", "7"))):
        common = ("--episodes", "10", "--quiet", "--out", name)
        quick("run", "--plugin", "movies", *([] if "--max-steps" in more else ["--max-steps", "8"]), *more, *common)
    return tmp_path


def test_the_table_has_means_differences_and_what_the_runs_differ_in(quick: Any, runs: Path) -> None:
    output = quick("compare", "a", "b", "c").out
    for words in (
        "mean rating", "share liked", "steps per episode", "difference, paired", "10 with ", " pp", "95 % bootstrap",
        "b differs from a in:", "  policy: random there, top_rated here", "  seed: 42 there, 5 here",
        "Note: c differs from a in 2 things, so no difference can be put down to one of them: max_steps, seed.",
        "Note: c has other users or another seed than a",
    ):  # fmt: skip
        assert words in output
    assert "Note: b" not in output


def test_a_difference_that_is_nothing_as_it_is_shown_has_no_minus() -> None:
    assert [signed(value, 2) for value in (-0.004, 0.0, -0.006, 1.234)] == ["+0.00", "+0.00", "-0.01", "+1.23"]
    assert _written("share liked", -0.0004, sign=True) == "+0.0"
    assert _written("mean rating", -0.0004, sign=True) == "+0.00"


def test_json_is_the_comparison_and_nothing_else(quick: Any, runs: Path) -> None:
    payload = quick("compare", "a", "b", "--json", "--resamples", "200", "--seed", "3").json
    assert payload["domain"] == "movies"
    assert (payload["resamples"], payload["seed"]) == (200, 3)
    first, second = payload["runs"]
    assert first["metrics"]["mean rating"]["difference"] is None
    gap = second["metrics"]["mean rating"]["mean"] - first["metrics"]["mean rating"]["mean"]
    assert second["metrics"]["mean rating"]["difference"] == pytest.approx(gap, abs=1e-5)
    assert second["differs_in"] == {"policy": ["random", "top_rated"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a",), "name two directories or more"),
        (("a", "none"), "none is no directory; list what there is with: emosim runs"),
        (("a", "b", "--resamples", "5"), "at least 100"),
    ],
)
def test_mistakes_are_said_in_one_line(quick: Any, runs: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in quick("compare", *arguments, status=2).err


def test_runs_of_different_domains_are_not_compared(quick: Any, runs: Path) -> None:
    quick("run", "--plugin", "books", "--episodes", "1", "--max-steps", "2", "--out", "books", "--quiet")
    assert "of 'movies' and books of 'books'" in quick("compare", "a", "books", status=2).err


def test_without_a_directory_the_two_newest_runs_are_compared_the_older_one_first(quick: Any) -> None:
    assert "Begin with: emosim run" in quick("compare", status=2).err
    for name, seed in (("oldest", 1), ("older", 2), ("newest", 3)):
        out = ("--out", f"runs/{name}", "--seed", str(seed))
        quick("run", "--plugin", "movies", "--episodes", "2", "--max-steps", "3", "--quiet", *out)
        if name == "oldest":
            assert "name those to compare: emosim compare runs/a runs/b" in quick("compare", status=2).err
    runs = quick("compare", "--json", "--resamples", "100").json["runs"]
    assert [run["directory"] for run in runs] == ["runs/older", "runs/newest"]


def training(quick: Any, name: str, *more: str) -> None:
    quick(
        "train", "--plugin", "movies", "--users", "sampled:n=20", "--timesteps", "200", "--num-envs", "4",
        "--max-steps", "6", "--eval-every", "100", "--eval-episodes", "12", *more, "--quiet", "--out", name,
    )  # fmt: skip


def test_trainings_are_compared_by_what_held_out_users_give(quick: Any, tmp_path: Path) -> None:
    training(quick, "a")
    training(quick, "b", "--algo", "ppo", "--seeds", "2")
    done = quick("compare", "a", "b", "--out", "page.html")
    for words in (
        "2 trainings on movies, by the reward from test users.", "above a", "popular", "oracle",
        "Reward by steps of training", "b differs from a in:", "  algo: a2c there, ppo here",
        "Note: Of one seed, an interval says nothing of how far another seed would lie",
        "The learning curves are in page.html.",
    ):  # fmt: skip
        assert words in done.out, words
    assert "Learning curves" in (tmp_path / "page.html").read_text()
    payload = quick("compare", "a", "b", "--json").json
    first, second = payload["trainings"]
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    ends = ("estimate", "low", "high")
    assert first["reward"]["estimate"] == summary["held_out"]["estimate"]
    assert (first["difference"], first["deviation"]) == (None, None)
    assert (first["seeds"], second["seeds"], second["paired"]) == (1, 2, True)
    own = [
        json.loads(path.read_text())["held_out"]["estimate"] for path in (tmp_path / "b").glob("jobs/*/summary.json")
    ]
    assert len(own) == 2
    assert second["reward"]["estimate"] == pytest.approx(sum(own) / 2, abs=1e-5)
    assert second["difference"]["estimate"] == pytest.approx(sum(own) / 2 - first["reward"]["estimate"], abs=1e-5)
    assert all(second["reward"][end] is not None for end in ends)
    assert [step for step, _ in first["curve"]] == [100, 200]


def test_what_is_no_pair_of_trainings_is_said_in_one_line(quick: Any, runs: Path) -> None:
    training(quick, "t", "--eval-every", "0")
    message = quick("compare", "t", "a", status=2).err
    assert "a holds no training, and others do" in message
    message = quick("compare", "t", "t", status=2).err
    assert "t was not evaluated while it was trained" in message
    assert "--out writes the learning curves of trainings" in quick("compare", "a", "b", "--out", "p", status=2).err
