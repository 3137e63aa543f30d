"""Recommenders from outside: functions, classes and services behind HTTP, as a run meets them."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import emosim_core
from emosim_core.recommenders import protocol
from emosim_core.reports import report_of
from emosim_core.runs import blocks
from emosim_core.runs.convert import convert_run
from emosim_core.testing import Emosim

ROOT = Path(__file__).parents[2]

RUN = ("run", "--plugin", "movies", "--users", "sampled:n=20", "--max-steps", "8", "--episodes", "24")

SERVICE = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ids, mode, log = open("ids.txt").read().split(), sys.argv[2], open("calls.jsonl", "a")
calls = 0

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, value, status=200):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.answer({"protocol": 2 if mode == "newer" else 1, "name": "first", "feedback": mode == "learns"})

    def do_POST(self):
        global calls
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        log.write(json.dumps({"path": self.path, "body": body}) + "\\n")
        log.flush()
        if self.path != "/recommend":
            return self.answer({})
        calls += 1
        if mode == "dies" and calls > 3:
            import os
            os._exit(1)
        if mode == "stumbles" and calls % 2:
            return self.answer({"detail": "busy"}, 503)
        if mode == "refuses":
            return self.answer({"detail": "no such key"}, 403)
        if mode == "short":
            return self.answer({"items": []})
        lists = []
        for history, exclude in zip(body["histories"], body["exclude"]):
            known = {item for item, _ in history} | set(exclude)
            few = [item for item in ids if item not in known][: body["k"] + 1]
            lists.append(["nothing", *exclude[:1], *few] if mode == "careless" else few)
        self.answer({"items": lists})

    def log_message(self, *_): pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

FUNCTIONS = """
from pathlib import Path

IDS = (Path(__file__).parent / "ids.txt").read_text().split()


def recommend(history, k, exclude):
    known = {item for item, _ in history} | set(exclude)
    return [item for item in IDS if item not in known][: k + 1]


class One:
    def recommend(self, history, k, exclude, user):
        assert isinstance(user, str)
        assert all(isinstance(item, str) and isinstance(rating, float) for item, rating in history)
        assert [item for item, _ in history] == list(exclude)[-len(history):] if history else True
        return recommend(history, k, exclude)


class Many:
    def recommend_batch(self, histories, k, excludes, users):
        assert len(users) == len(histories) == len(excludes)
        return [recommend(history, k, exclude) for history, exclude in zip(histories, excludes)]


class Needs:
    def __init__(self, argument): pass


class Short:
    def recommend_batch(self, histories, k, excludes): return [[]]


class Careless:
    def recommend(self, history, k, exclude):
        good = recommend(history, k, exclude)
        return ["nothing", *exclude[:1], *good[:1], *good] if len(exclude) < 10 else good[:1]


def numbers(history, k, exclude): return [1, 2]


def breaks(history, k, exclude): raise KeyError("a")


def ends(history, k, exclude): return recommend(history, k, exclude) if len(exclude) < 3 else []


number = 3
"""


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture
def files(tmp_path: Path, quick: Emosim) -> Path:
    """A folder with recommenders, and with the ids of the films."""
    listed = quick("items", "--plugin", "movies", "--csv").out.splitlines()[1:]
    (tmp_path / "ids.txt").write_text("\n".join(line.split(",")[0] for line in listed))
    (tmp_path / "rec.py").write_text(FUNCTIONS)
    return tmp_path


@pytest.fixture
def service(files: Path) -> Iterator[Callable[..., tuple[str, subprocess.Popen[bytes]]]]:
    """Starts a service in a process of its own."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(mode: str, port: int | None = None) -> tuple[str, subprocess.Popen[bytes]]:
        port = _free_port() if port is None else port
        process = subprocess.Popen([sys.executable, "-c", SERVICE, str(port), mode], cwd=files)
        begun.append(process)
        address = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                httpx.get(f"{address}/health")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        return address, process

    yield start
    for process in begun:
        process.kill()
        process.wait()


def lines(directory: Path) -> list[bytes]:
    return (directory / "interactions.jsonl").read_bytes().splitlines()


def items(directory: Path) -> list[list[str]]:
    """What each episode recommended, in order."""
    by_episode: dict[int, list[str]] = {}
    for line in map(json.loads, lines(directory)):
        by_episode.setdefault(line["episode"], []).extend(one["item"] for one in line["recommended"])
    return [by_episode[episode] for episode in sorted(by_episode)]


def test_a_function_a_class_and_a_batched_class_recommend_the_same(files: Path, quick: Emosim) -> None:
    for name in ("recommend", "One", "Many"):
        assert quick(*RUN, "--policy", f"python:rec.py:{name}", "--out", name, "--quiet").err == ""
    assert lines(files / "recommend") == lines(files / "One") == lines(files / "Many")
    ids = (files / "ids.txt").read_text().split()
    assert all(episode == ids[: len(episode)] for episode in items(files / "recommend"))


def test_side_by_side_is_as_one_after_the_other(files: Path, quick: Emosim, sorted_lines: Any) -> None:
    for count in ("1", "7"):
        quick(*RUN, "--policy", "python:rec.py:Many", "--num-envs", count, "--out", count, "--quiet")
    assert sorted_lines(files / "1") == sorted_lines(files / "7")


def test_a_module_beside_the_shell_is_found(emosim: Emosim, files: Path) -> None:
    done = emosim(*RUN, "--policy", "python:rec:recommend", "--out", "m", "--quiet")
    assert done.err == ""
    assert len(items(files / "m")) == 24


def test_a_run_from_elsewhere_runs_no_code_and_calls_no_host(files: Path, quick: Emosim) -> None:
    quick(*RUN, "--policy", "python:rec.py:recommend", "--out", "r", "--quiet")
    manifest = json.loads((files / "r" / "manifest.json").read_text())
    for policy in ("python:evil.py:recommend", "http://127.0.0.1:9"):
        manifest["config"]["policy"] = policy
        (files / "r" / "manifest.json").write_text(json.dumps(manifest))
        (files / "evil.py").write_text("raise SystemExit('it ran')")
        refused = quick("run", "--resume", "r", status=2)
        assert "it names" in refused.err
        assert f"--policy {policy}" in refused.err


def test_an_empty_list_ends_the_episode(files: Path, quick: Emosim) -> None:
    quick(*RUN, "--policy", "python:rec.py:ends", "--reward-shaping", "identity", "--out", "e", "--quiet")
    assert {len(episode) for episode in items(files / "e")} == {3}
    assert {json.loads(line).get("end_reason") for line in lines(files / "e")} >= {"out_of_items"}


CARELESS = (
    "--policy",
    "python:rec.py:Careless",
    "--slate",
    "2",
    "--choice",
    "ratings_first",
    "--reward-shaping",
    "identity",
)


def test_what_cannot_be_shown_is_left_out_warned_of_once_and_counted(files: Path, quick: Emosim) -> None:
    done = quick(*RUN, *CARELESS, "--num-envs", "5", "--out", "c")
    warned, shown = (" ".join(text.split()) for text in (done.err, done.out))
    for what in ("'nothing', which is no item of the catalog", "again in one episode", "twice in one list"):
        assert warned.count(what) == 1
    whole = items(files / "c")
    assert [len(episode) for episode in whole] == [10] * 24
    quick(
        *RUN,
        "--slate",
        "2",
        "--choice",
        "ratings_first",
        "--policy",
        "python:rec.py:recommend",
        "--reward-shaping",
        "identity",
        "--out",
        "r",
    )
    assert whole == [episode[:10] for episode in items(files / "r")]
    summary = json.loads((files / "c" / "summary.json").read_text())
    counts = {"excluded_items": 24 * 4, "repeated_items": 24 * 5, "short_lists": 24, "unknown_items": 24 * 5}
    assert summary["policy_counts"] == counts
    words = "96 excluded items, 120 repeated items, 24 short lists, 120 unknown items"
    assert f"recommender {words}" in shown
    assert report_of(files / "c").notes[-1] == f"The recommender counted {words}."
    assert json.loads((files / "r" / "summary.json").read_text())["policy_counts"] == {}


def test_counts_are_the_same_in_blocks_and_after_a_resumption(
    files: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    for name, value in (("_BLOCK", 7), ("_PER_SLOT", 1)):
        monkeypatch.setattr(blocks, name, value)
    made = {"episodes": 24, "num_envs": 3, "max_steps": 8, "user_dataset": "sampled:n=20"}
    made |= {"slate": 2, "choice": "ratings_first"}
    values = {**made, "reward_shaping": "identity", "policy": f"python:{files / 'rec.py'}:Careless"}

    def counted(name: str, records: str, **more: Any) -> dict[str, int]:
        return emosim_core.run("movies", files / name, records=records, **values, **more)["policy_counts"]

    counts = [counted("lines", "jsonl"), counted("blocks", "parquet")]
    (files / "blocks" / "summary.json").unlink()
    for number in (1, 3):
        (files / "blocks" / "interactions" / f"block-{number:06}.parquet").unlink()
    counts.append(counted("blocks", "parquet", resume=True))
    counts.append(convert(files / "lines", files / "converted"))
    assert counts == [counts[0]] * 4
    assert counts[0]["unknown_items"] == 24 * 5


def convert(directory: Path, out: Path) -> dict[str, int]:
    """What the blocks count that JSON lines are written as."""
    convert_run(directory, out, "parquet")
    (tally,) = blocks.RunBlocks(out).tallies()
    return tally["policy"]


@pytest.mark.slow
def test_counts_are_the_same_in_processes(files: Path, quick: Emosim) -> None:
    options = (*RUN, *CARELESS, "--episodes", "17000", "--max-steps", "2", "--records", "parquet", "--json")
    whole = quick(*options, "--out", "whole").json["policy_counts"]
    assert quick(*options, "--executor", "processes:2", "--out", "side").json["policy_counts"] == whole
    assert whole["unknown_items"] == 2 * 17000


def test_a_recommender_without_any_item_is_evaluated_all_the_same(files: Path, quick: Emosim) -> None:
    (files / "none.py").write_text("def recommend(history, k, exclude): return []\n")
    few = ("--users", "sampled:n=20", "--episodes", "4", "--no-charts", "--resamples", "100", "--user-splits", "all")
    policies = ("--policies", "popular,python:none.py:recommend")
    done = quick("evaluate", "--plugin", "movies", *few, *policies, "--out", "e", "--json")
    measured = done.json["user_splits"]["all"]["recommenders"]["python:none.py:recommend"]
    assert measured["metrics"]["mean_reward"]["estimate"] == 0
    assert measured["metrics"]["intra_list_diversity"]["estimate"] is None
    assert measured["policy_counts"] == {"short_lists": 4}
    quick("report", "e", "--quiet")


def test_an_evaluation_shows_what_recommenders_count(files: Path, quick: Emosim) -> None:
    few = (
        "--users",
        "sampled:n=20",
        "--max-steps",
        "8",
        "--episodes",
        "24",
        "--slate",
        "2",
        "--choice",
        "ratings_first",
        "--resamples",
        "100",
    )
    careless = "python:rec.py:Careless"
    for where in ("local", "processes:2"):
        done = quick(
            *("evaluate", "--plugin", "movies", "--policies", f"random,{careless}", "--user-splits", "all"),
            *(*few, "--reward-shaping", "identity", "--no-charts", "--executor", where, "--out", where),
        )
        assert "120 unknown items" in " ".join(done.out.split())
        measured = json.loads((files / where / "evaluation.json").read_text())["user_splits"]["all"]["recommenders"]
        assert measured[careless]["policy_counts"]["unknown_items"] == 24 * 5
        assert measured["random"]["policy_counts"] == {}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("rec.py:numbers", "rec.py:numbers answered a list with 1, of the type int; expected a list of ids of items"),
        ("rec.py:Short", "rec.py:Short answered a list of 1; expected 16 lists"),
        ("rec.py:breaks", "KeyError: 'a' (rec.py, line"),
        ("rec.py:recommendd", "rec.py has no 'recommendd'. Did you mean 'recommend'?"),
        ("rec.py:number", "is a int; it needs a function"),
        ("rec.py:Needs", "names a class that cannot be made without arguments"),
        ("nowhere.py:recommend", "there is no file nowhere.py"),
        ("rec", "write python:MODULE:NAME or python:FILE.py:NAME"),
        ("no_such_module:recommend", "No module named 'no_such_module'"),
    ],
)
def test_what_is_no_recommender_is_said(files: Path, quick: Emosim, policy: str, message: str) -> None:
    done = quick(*RUN, "--num-envs", "16", "--policy", f"python:{policy}", "--out", "x", "--quiet", status=2)
    assert message in done.err.replace("\n", " ")


def test_a_policy_of_ones_own_needs_no_package(files: Path, quick: Emosim) -> None:
    (files / "own.py").write_text("from emosim_core.recommenders.heuristics import Popular as Mine\n")
    quick(*RUN, "--policy", "python:own.py:Mine", "--out", "own", "--quiet")
    quick(*RUN, "--policy", "popular", "--out", "popular", "--quiet")
    assert lines(files / "own") == lines(files / "popular")


def test_a_service_recommends_as_the_function_does(files: Path, quick: Emosim, service: Any) -> None:
    address, _ = service("plain")
    quick(*RUN, "--policy", address, "--num-envs", "8", "--out", "s", "--quiet")
    quick(*RUN, "--policy", "python:rec.py:recommend", "--num-envs", "8", "--out", "r", "--quiet")
    assert lines(files / "s") == lines(files / "r")
    calls = [json.loads(line) for line in (files / "calls.jsonl").read_text().splitlines()]
    assert max(len(call["body"]["users"]) for call in calls) == 8
    for call in calls:
        protocol.RecommendCall.model_validate_json(json.dumps(call["body"]))


def test_a_service_that_learns_is_told_what_came_of_it(files: Path, quick: Emosim, service: Any) -> None:
    address, _ = service("learns")
    quick(*RUN, "--policy", address, "--num-envs", "4", "--out", "s", "--quiet")
    calls = [json.loads(line) for line in (files / "calls.jsonl").read_text().splitlines()]
    assert calls[0]["path"] == "/reset"
    bodies = [call["body"] for call in calls if call["path"] == "/feedback"]
    for body in bodies:
        protocol.FeedbackCall.model_validate_json(json.dumps(body))
    shown = [one for line in lines(files / "s") for one in json.loads(line)["recommended"]]
    ratings = sorted(one["rating"] for one in shown if one["consumed"])
    assert (
        sorted(rating for body in bodies for row in body["ratings"] for rating in row if rating is not None) == ratings
    )
    assert sum(sum(body["ended"]) for body in bodies) == 24


def test_a_service_that_is_busy_is_asked_again(files: Path, quick: Emosim, service: Any) -> None:
    address, _ = service("stumbles")
    quick(*RUN, "--policy", address, "--num-envs", "24", "--out", "s", "--quiet")
    assert len(items(files / "s")) == 24


def test_a_service_that_dies_leaves_a_run_that_goes_on_to_the_same_bytes(
    files: Path, quick: Emosim, service: Any
) -> None:
    few = ("--num-envs", "4")
    address, process = service("dies")
    stopped = quick(*RUN, *few, "--policy", f"http_service:url={address},attempts=1", "--out", "s", "--quiet", status=2)
    assert "cannot be reached" in stopped.err.replace("\n", " ")
    assert "Progress is saved in" in stopped.err
    process.wait()
    service("plain", port=int(address.rpartition(":")[2]))
    quick("run", "--resume", "s", "--quiet")
    quick(*RUN, *few, "--policy", "python:rec.py:recommend", "--out", "r", "--quiet")
    assert lines(files / "s") == lines(files / "r")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals are those of POSIX")
def test_a_run_whose_service_is_killed_and_begun_again_is_resumed_to_the_same_bytes(
    files: Path, quick: Emosim, service: Any
) -> None:
    address, process = service("plain")
    options = (*RUN[:-1], "300", "--num-envs", "4", "--policy", f"http_service:url={address},attempts=2", "--quiet")
    run = quick.start(*options, "--out", "cut")
    records, deadline = files / "cut" / "interactions.jsonl", time.monotonic() + 120
    while not records.exists() or records.stat().st_size < 20_000:
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    _, error = run.communicate(timeout=120)
    assert run.returncode == 2
    assert "cannot be reached" in " ".join(error.split())
    assert "emosim run --resume cut" in error
    before = records.read_bytes()
    service("plain", port=int(address.rpartition(":")[2]))
    quick("run", "--resume", "cut", "--quiet")
    quick(*options, "--out", "whole")
    assert records.read_bytes() == (files / "whole" / "interactions.jsonl").read_bytes()
    assert 0 < len(before.splitlines()) < len(lines(files / "whole"))


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("newer", "does not answer as the protocol says: protocol"),
        ("refuses", 'answered 403: \'{"detail": "no such key"}\''),
        ("short", "answered a list of 0; expected 16 lists"),
    ],
)
def test_a_service_that_answers_something_else_ends_the_run(
    files: Path, quick: Emosim, service: Any, mode: str, message: str
) -> None:
    address, _ = service(mode)
    done = quick(*RUN, "--num-envs", "16", "--policy", address, "--out", "x", "--quiet", status=2)
    assert message in done.err.replace("\n", " ")


def test_no_service_is_one_clear_error(files: Path, quick: Emosim) -> None:
    address = f"http://127.0.0.1:{_free_port()}"
    done = quick(*RUN, "--policy", f"http_service:url={address},attempts=2", "--out", "x", "--quiet", status=2)
    assert f"the recommender at {address}/health cannot be reached" in done.err.replace("\n", " ")
    assert "in 2 attempts" in done.err.replace("\n", " ")
    assert not (files / "x").exists()


def test_the_document_of_the_protocol_is_that_of_the_code() -> None:
    written = (ROOT / "docs" / "recommender-protocol.json").read_text()
    assert json.loads(written) == protocol.openapi()
