"""``emosim runs``, and the newest directory that ``show`` and ``report`` mean where none is named."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from emosim_core import run
from emosim_core.reports.directories import job_info, resume_command
from emosim_core.testing import Answer, ChatServer

SMALL = ("--plugin", "movies", "--users", "sampled:n=6", "--max-steps", "4")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "run"
    run("movies", directory, episodes=4, max_steps=4, user_dataset="sampled:n=6")
    return directory


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """Three runs of three days, of which the second was stopped."""
    for number in (1, 2, 3):
        copy = Path(shutil.copytree(made, tmp_path / "runs" / f"r{number}"))
        manifest = json.loads((copy / "manifest.json").read_text())
        manifest["created"] = f"2026-11-0{number}T12:00:00+00:00"
        (copy / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "runs" / "r2" / "summary.json").unlink()
    return tmp_path / "runs"


def listed(quick: Any, *arguments: str) -> dict[str, dict[str, str]]:
    return {Path(one["path"]).name: one for one in json.loads(quick("runs", *arguments, "--json").out)}


def test_each_directory_is_listed_with_kind_date_state_and_headline_the_newest_first(quick: Any, runs: Path) -> None:
    (runs / "notes").mkdir()
    (runs / "file.txt").write_text("not a directory")
    heading, *lines = quick("runs").out.splitlines()
    assert heading.split() == ["directory", "kind", "created", "state", "headline"]
    assert [line.split()[0] for line in lines] == ["runs/r3", "runs/r2", "runs/r1"]
    assert all(" run " in line and " 2026-11-0" in line for line in lines)
    assert "stopped   random on movies: 4 episodes wanted" in lines[1]
    summary = json.loads((runs / "r3" / "summary.json").read_text())
    headline = f"complete  random on movies: 4 episodes, reward {summary['mean_reward']:.1f} per episode"
    assert headline in lines[0]


def test_a_run_that_a_process_here_is_writing_is_running(quick: Any, runs: Path) -> None:
    about = {"process": os.getpid(), "host": socket.gethostname(), "since": "now", "command": "emosim run"}
    (runs / "r2" / ".writer.json").write_text(json.dumps(about))
    assert listed(quick)["r2"]["state"] == "running"
    (runs / "r2" / ".writer.json").write_text(json.dumps({**about, "host": "another machine"}))
    assert listed(quick)["r2"]["state"] == "stopped"


def test_a_command_that_fails_says_so_in_its_directory_until_the_next_one_goes_on(quick: Any, tmp_path: Path) -> None:
    command = ("run", *SMALL, "--episodes", "3", "--out", "runs/f", "--quiet")
    answers = iter([*["7"] * 3, Answer("no such model", status=404)])
    with ChatServer(lambda request: next(answers, "7")) as server:
        model = ("--llm-model", f"{server.url}#small")
        message = quick(*command, *model, "--concurrency", "1", status=2).err
        failed = json.loads((tmp_path / "runs" / "f" / "failed.json").read_text())
        assert failed["error"].splitlines()[0] in message
        assert failed["command"] == "emosim run"
        assert listed(quick)["f"]["state"] == "failed"
        assert listed(quick)["f"]["stopped"] == failed["error"]
        quick("run", "--resume", "runs/f", "--quiet")
    assert listed(quick)["f"]["state"] == "complete"
    assert not (tmp_path / "runs" / "f" / "failed.json").exists()


def test_a_writer_that_was_killed_has_failed_and_the_command_that_goes_on_is_known(quick: Any, runs: Path) -> None:
    about = {"process": 2**22 + 1, "host": socket.gethostname(), "since": "now", "command": "emosim run"}
    (runs / "r2" / ".writer.json").write_text(json.dumps(about))
    info = job_info(runs / "r2")
    assert info is not None
    assert (info.state, "killed" in info.stopped) == ("failed", True)
    assert resume_command(info, Path("-x/r 2")) == "emosim run --resume './-x/r 2'"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("manifest.json", "{", "is not JSON"),
        ("manifest.json", '{"format": 1}', "older version"),
        ("summary.json", "[]", "holds no JSON object"),
    ],
)
def test_what_cannot_be_read_is_listed_with_what_is_wrong_and_hides_nothing_else(
    quick: Any, runs: Path, name: str, content: str, message: str
) -> None:
    (runs / "r1" / name).write_text(content)
    rows = listed(quick)
    assert (rows["r1"]["state"], message in rows["r1"]["headline"]) == ("unreadable", True)
    assert rows["r3"]["state"] == "complete"


def test_a_folder_of_another_name_a_directory_itself_and_an_empty_one(quick: Any, runs: Path, tmp_path: Path) -> None:
    runs.rename(tmp_path / "elsewhere")
    assert set(listed(quick, "elsewhere")) == {"r1", "r2", "r3"}
    assert set(listed(quick, "elsewhere/r2")) == {"r2"}
    message = quick("runs", status=2).err
    assert "there is no directory runs" in message
    assert "emosim run --plugin movies" in message
    (tmp_path / "empty").mkdir()
    assert "empty holds nothing" in quick("runs", "empty").out
    assert "is no directory" in quick("runs", "elsewhere/r1/manifest.json", status=2).err


def test_without_a_name_the_newest_is_shown_and_reported(quick: Any, runs: Path) -> None:
    assert quick("show").out.startswith("runs/r3:\n")
    assert quick("show", "--episode", "1").out.startswith("runs/r3:\n")
    assert quick("report", "--quiet").out == "runs/r3/report.html\n"
    shutil.rmtree(runs)
    runs.mkdir()
    for command in (("show",), ("report",), ("show", "--episode", "1")):
        assert "runs holds no" in quick(*command, status=2).err


@pytest.mark.slow
def test_every_kind_of_directory_is_listed_shown_and_reported(quick: Any, tmp_path: Path) -> None:
    quick("train", *SMALL, "--num-envs", "2", "--timesteps", "64", "--eval-every", "32", "--out", "runs/t", "--quiet")
    quick(
        "evaluate", *SMALL, "--policies", "random,popular", "--episodes", "2", "--resamples", "100", "--no-charts",
        "--out", "runs/e", "--quiet",
    )  # fmt: skip
    quick(
        "ablate", "--plugin", "movies", "--study", "high_rating:items=1", "--executor", "local", "--perturbator",
        "none,gaussian", "--out", "runs/a", "--quiet",
    )  # fmt: skip
    rows = listed(quick)
    kinds = {name: one["kind"] for name, one in rows.items()}
    assert kinds == {"t": "training", "e": "evaluation", "a": "ablation"}
    assert {one["state"] for one in rows.values()} == {"complete"}
    assert "reward from test users" in rows["t"]["headline"]
    assert "'popular'" in rows["e"]["headline"]
    assert "'random'" in rows["e"]["headline"]
    assert "2 jobs" in rows["a"]["headline"]
    shown = {name: quick("show", f"runs/{name}").out for name in kinds}
    assert "70 steps in 16 episodes and " in shown["t"]
    assert "random" in shown["e"]
    assert "MAP@10" in shown["e"]
    assert "High rating" in shown["a"]
    for name, kind in kinds.items():
        quick("report", f"runs/{name}", "--quiet")
        article = "an" if kind[0] in "ae" else "a"
        message = quick("show", f"runs/{name}", "--episode", "0", status=2).err
        assert f"--episode is for runs; runs/{name} holds {article} {kind}" in message
    progress = tmp_path / "runs" / "t" / "progress.jsonl"
    (tmp_path / "runs" / "t" / "summary.json").unlink()
    progress.write_text(progress.read_text().split("\n")[0] + "\n")
    assert "is not complete: 10 of 64 steps. Continue with: emosim train --resume runs/t" in quick("show", "runs/t").out
    (tmp_path / "runs" / "a" / "results.json").unlink()
    assert "emosim ablate --resume runs/a" in quick("show", "runs/a", status=2).err
