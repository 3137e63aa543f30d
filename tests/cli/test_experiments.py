"""``emosim evaluate --arm``: what it prints and leaves, and what it says about mistakes."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixtures.evaluations import trained

from emosim_core.testing import Emosim

FEW = ("--users", "sampled:n=20", "--episodes", "6", "--max-steps", "8", "--resamples", "200", "--no-charts")
MOVIES = ("evaluate", "--plugin", "movies", *FEW)
ARMS = ("--arm", "control=popular", "--arm", "new=epsilon_greedy:epsilon=0.2,prior_weight=5")

SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

calls, port, most = 0, int(sys.argv[1]), int(sys.argv[2])

class Handler(BaseHTTPRequestHandler):
    def answer(self, value):
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.answer({"protocol": 1, "name": "first", "version": "2"})

    def do_POST(self):
        global calls
        calls += 1
        if calls > most:
            os._exit(1)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        ids = open("ids.txt").read().split()
        lists = []
        for history, exclude in zip(body["histories"], body["exclude"]):
            known = {item for item, _ in history} | set(exclude)
            lists.append([item for item in ids if item not in known][: body["k"]])
        self.answer({"items": lists})

    def log_message(self, *_): pass

server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def test_an_experiment_prints_and_leaves_what_its_users_can_show(emosim: Emosim) -> None:
    done = emosim(*MOVIES, *ARMS, "--guard", "mean_rating=0.5,share_liked", "--effect", "3", "--out", "e", timeout=240)
    assert done.err == ""
    for words in (
        "Reward per episode against 'control' with test users: 'new' ",
        "Reward per episode of the arms",
        "Smallest difference: what 4 users like these, who meet every arm, show in 80 % of experiments",
        "an estimate, from how simulated users vary",
        "to show a difference of 3.0 as surely",
        "Test users beside train users", "6 train users", "4 test users", "test above train",
        "Guards", "Segments", "(few)", "Above the control, 'control'",
        "All files are in e.",
    ):  # fmt: skip
        assert words in done.out, words
    assert {line.endswith(" pp") for line in done.out.splitlines() if line.startswith("coverage  ")} == {False, True}
    results = json.loads((emosim.folder / "e" / "evaluation.json").read_text())
    assert results["experiment"] == {
        "control": "control",
        "metric": "mean_reward",
        "effect": 3.0,
        "level": 0.95,
        "power": 0.8,
        "arms": {"control": ["control"], "new": ["new"]},
        "test_above_train": results["experiment"]["test_above_train"],
    }
    assert results["config"]["arms"]["new"] == "epsilon_greedy:epsilon=0.2,prior_weight=5"
    test = results["user_splits"]["train"]["experiment"]["arms"]["new"]["live_test"]
    assert re.search(rf"^new .*\b{test['users']:,}$", done.out, re.M)
    assert emosim("show", "e", timeout=120).out == done.out
    assert "'new'" in emosim("compare", "e", timeout=120).out.replace("e/runs/test/new", "'new'")


@contextmanager
def served(folder: Path, port: int, most: int) -> Iterator[int]:
    """A service that answers some calls and is gone; the port that it is at."""
    command = [sys.executable, "-c", SERVER, str(port), str(most)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


def test_an_arm_may_be_a_service_and_one_that_dies_leaves_an_experiment_to_resume(quick: Any) -> None:
    folder = quick.folder
    quick(*MOVIES, "--policies", "popular", "--user-splits", "test", "--out", "first", "--quiet")
    with (folder / "first" / "items.csv").open(newline="") as stream:
        (folder / "ids.txt").write_text(" ".join(row["item"] for row in csv.DictReader(stream)))
    with served(folder, 0, 12) as port:
        options = (*MOVIES, "--arm", "control=popular", "--arm", f"new=http://127.0.0.1:{port}", "--quiet")
        failed = quick(*options, "--out", "e", status=2)
        assert f"127.0.0.1:{port}" in failed.err
        assert "emosim evaluate --resume e" in failed.err
    with served(folder, port, 10**6):
        quick("evaluate", "--resume", "e", "--no-charts", "--quiet")
        quick(*options, "--out", "whole")
    for path in (folder / "whole" / "runs").rglob("*.jsonl"):
        assert (folder / "e" / path.relative_to(folder / "whole")).read_bytes() == path.read_bytes()
    results = [json.loads((folder / name / "evaluation.json").read_text()) for name in ("e", "whole")]
    assert results[0]["user_splits"] == results[1]["user_splits"]
    assert [one["arm"] for one in results[0]["recommenders"]] == ["control", "new", "oracle"]


def test_a_file_names_arms_and_an_experiment_goes_on_with_resume(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'plugin = "movies"\nusers = "sampled:n=20"\nuser_splits = ["test"]\nepisodes = 4\nmax_steps = 6\n'
        'control = "b"\nguards = ["share_liked"]\n'
        '[arms]\na = "random"\nb = "popular"\nc = {name = "epsilon_greedy", epsilon = 0.3}\n'
    )
    first = quick("evaluate", "--config", "c.toml", "--no-charts", "--json", "--out", "e").json
    assert list(first["user_splits"]["test"]["experiment"]["arms"]) == ["a", "c"]
    runs = {path: path.stat().st_mtime_ns for path in (tmp_path / "e" / "runs").rglob("*.jsonl")}
    again = quick("evaluate", "--resume", "e", "--control", "a", "--guard", "mean_rating", "--no-charts", "--json").json
    assert again["config"]["guards"] == ["mean_rating"]
    assert list(again["user_splits"]["test"]["experiment"]["arms"]) == ["b", "c"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "e" / "runs").rglob("*.jsonl")} == runs
    other = quick("evaluate", "--resume", "e", "--arm", "a=random", "--arm", "b=top_rated", "--no-charts", status=2).err
    assert "e cannot be resumed, it was made with another configuration:" in other
    assert 'arms.b: "popular" then, "top_rated" now' in other


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_experiment_that_is_stopped_goes_on_to_the_same_results(quick: Any, how: signal.Signals) -> None:
    command = (
        "evaluate", "--plugin", "movies", "--user-splits", "test", "--episodes", "60", "--resamples", "200",
        "--no-charts", "--quiet", *ARMS,
    )  # fmt: skip
    process = quick.start(*command, "--out", "e")
    written = quick.folder / "e" / "runs" / "test" / "new" / "interactions.jsonl"
    deadline = time.monotonic() + 120
    while not (written.exists() and written.stat().st_size > 20_000):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(how)
    process.communicate(timeout=120)
    assert quick("evaluate", "--resume", "e", "--no-charts", "--quiet").out == "e\n"
    quick(*command, "--out", "whole")
    results = [json.loads((quick.folder / name / "evaluation.json").read_text()) for name in ("e", "whole")]
    for one in results:
        one.pop("created")
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arm", "popular"], "Error: --arm: expected NAME=VALUE, such as control=popular, got 'popular'"),
        (["--arm", "=popular"], "Error: --arm: expected NAME=VALUE"),
        (["--arm", "a="], "Error: --arm: expected NAME=VALUE"),
        (["--arm", "a=popular", "--arm", "a=random"], "the name 'a' is given twice, to 'popular' and 'random'"),
        (["--arm", "a=popular"], "an experiment compares two arms or more, and there is one, 'a'"),
        ([*ARMS, "--control", "contrl"], "the control 'contrl' is no arm. Did you mean 'control'?"),
        (
            [*ARMS, "--guard", "mean_ratng"],
            "--guard: no metric 'mean_ratng' can be a guard. Did you mean 'mean_rating' or",
        ),
        ([*ARMS, "--effect", "0"], "effect"),
        ([*ARMS, "--arm", "x=popluar"], "the arm 'x': "),
        ([*ARMS, "--arm", "x=./nowhere"], "the arm 'x': nowhere is no trained recommender"),
        ([*ARMS, "--arm", "x=books"], "the arm 'x': "),
        ([*ARMS, "--arm", "x=./books"], "books was trained on 'books', and this evaluation is of 'movies'"),
    ],
)
def test_a_mistake_is_one_clear_message_and_leaves_nothing(
    quick: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    trained(tmp_path / "books", plugin="books")
    before = sorted(tmp_path.rglob("*"))
    assert message in quick(*MOVIES, *arguments, status=2).err
    assert sorted(path for path in tmp_path.rglob("*") if not {"cache", "state"} & set(path.parts)) == before


def test_a_foreign_experiment_reaches_nothing_until_its_user_gives_it_again(quick: Any, tmp_path: Path) -> None:
    quick(*MOVIES, "--user-splits", "test", "--arm", "control=popular", "--arm", "new=random", "--out", "e", "--quiet")
    path = tmp_path / "e" / "evaluation.json"
    for value in ("http://198.51.100.7/", "python:/tmp/own.py:recommend", ["/etc/model"]):
        plan = json.loads(path.read_text())
        plan["config"]["arms"]["new"] = value
        path.write_text(json.dumps(plan))
        error = quick("evaluate", "--resume", "e", "--no-charts", status=2).err
        assert "was not made here by you" in error, error
        assert "[arms]" in error
        assert "emosim evaluate --resume e" in error
