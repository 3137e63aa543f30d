"""``emosim compare``: the table, JSON, and what it says about mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emosim_core.cli.compare import _written
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
        (("a", "none"), "none is no run: it has no manifest.json"),
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
