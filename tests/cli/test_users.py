"""``emosim users generate``: users are written to a file and read back."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

GENERATE = ("users", "generate", "--plugin", "movies")


def test_generated_users_are_written_and_read_back_as_they_were(quick: Any, tmp_path: Path) -> None:
    output = quick(*GENERATE, "--n", "40", "--seed", "3", "--out", "p.csv").out
    assert output == "Wrote 40 users to p.csv. Use them with: emosim run --plugin movies --users csv:p.csv\n"
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 40
    assert len({row["id"] for row in rows}) == 40
    arguments = ("--users", "csv:p.csv", "--user-order", "sequential", "--episodes", "40", "--max-steps", "1")
    quick("run", "--plugin", "movies", *arguments, "--out", "r", "--quiet")
    lines = [json.loads(line) for line in (tmp_path / "r" / "interactions.jsonl").read_text().splitlines()]
    assert [line["episode"] for line in lines] == list(range(40))
    for line, row in zip(lines, rows, strict=True):
        user = line["user_profile"]
        assert line["user"] == row["id"]
        for field, value in row.items():
            actual = user[field]
            assert ("|".join(actual) if isinstance(actual, list) else str(actual)) == value, field


@pytest.mark.parametrize("kind", ["sampled", "basic", "detailed"])
def test_every_population_is_repeatable_and_depends_on_the_seed(quick: Any, tmp_path: Path, kind: str) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        quick(*GENERATE, "--users", kind, "--n", "30", "--seed", seed, "--out", f"{name}.csv")
    written = [(tmp_path / f"{name}.csv").read_bytes() for name in "abc"]
    assert written[0] == written[1] != written[2]


def test_a_file_that_exists_is_replaced_only_when_asked(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("mine")
    message = quick(*GENERATE, "--n", "10", "--out", "p.csv", status=2).err
    assert message == "Error: p.csv exists already; choose another file, or replace it with --force\n"
    assert (tmp_path / "p.csv").read_text() == "mine"
    quick(*GENERATE, "--n", "10", "--out", "p.csv", "--force")
    assert (tmp_path / "p.csv").read_text().startswith("id,name,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n", "0"], "0 is not in the range"),
        (["--n", "few"], "'few' is not a valid integer"),
        (["--seed", "-1"], "-1 is not in the range"),
        (["--users", "detaild"], "Did you mean 'detailed'"),
        (["--users", "sampled:m=3"], "unknown option 'm'"),
        (["--users", "sampled:n=3"], "the option 'n' is given twice"),
        (["--plugin", "moves"], "Did you mean 'movies'"),
        (["--ot", "x"], "--out"),
        (["--out", "file/p.csv"], "file/p.csv: cannot be written"),
    ],
)
def test_a_mistake_is_one_clear_message_and_leaves_nothing(
    quick: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "file").write_text("x")
    out = [] if "--out" in arguments else ["--out", "p.csv"]
    assert message in quick(*GENERATE, *out, *arguments, status=2).err
    assert not (tmp_path / "p.csv").exists()


def test_what_is_needed_is_asked_for(quick: Any) -> None:
    assert "--out is needed (CSV file to write.)" in quick(*GENERATE, status=2).err
    for command in (("users", "generate", "--out", "x"), ("users", "list"), ("items",), ("embed",)):
        assert "choose a domain with --plugin" in quick(*command, status=2).err
    assert "generate" in quick("users", "--help").out


def test_users_are_listed_with_their_traits_and_found_by_name_job_or_id(quick: Any) -> None:
    lines = quick("users", "list", "--plugin", "movies", "--users", "sampled:n=8").out.splitlines()
    assert lines[0].split() == ["name", "age", "job", "activity", "conformity", "diversity", "likes", "id"]
    assert lines[-1] == "8 of 8 users"
    assert len(lines) == 10
    name = lines[1].split("  ")[0]
    output = quick("users", "list", "--plugin", "movies", "--users", "sampled:n=8", "--search", name.upper()).out
    assert output.splitlines()[1].split() == lines[1].split()
    assert output.splitlines()[-1] == "1 of 8 users"
    user = lines[1].split()[-1]
    story = quick("users", "list", "--plugin", "movies", "--users", "sampled:n=8", "--user", user).out
    assert story.startswith(f"{name} (")
    assert "Character: " in story
    message = quick("users", "list", "--plugin", "movies", "--users", "sampled:n=8", "--user", "nobody", status=2).err
    assert "sampled:n=8 has no user 'nobody'; it has u0001 to u0008" in message
