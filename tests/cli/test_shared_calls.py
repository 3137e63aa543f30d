"""Commands in several processes with a language model: one budget, one cache and one limit of calls for all of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.directories import files_of, without_cached

from emosim_core.testing.chat_server import Answer, ChatServer

DEAR = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
"""Tokens of an answer that costs 0.30 USD."""

EVALUATE = (
    *("evaluate", "--plugin", "movies", "--users", "sampled:n=20", "--episodes", "3", "--max-steps", "5"),
    *("--llm-model", "deepseek-chat", "--policies", "popular,top_rated", "--user-splits", "test"),
    *("--no-charts", "--resamples", "100"),
)
PLAN = """
[base]
plugin = "movies"
episodes = 8
max_steps = 6
users = "sampled:n=10"
llm_model = "deepseek-chat"
gateway = {{ concurrency = {concurrency} }}
[grid]
num_envs = [4, 8]
"""


@pytest.fixture
def service(quick: Any) -> Iterator[tuple[Any, ChatServer]]:
    """The command line beside a dear service that answers as the length of the request says."""

    def answer(body: dict[str, Any]) -> Answer:
        return Answer(str(len(str(body["messages"])) % 10), usage=DEAR, delay=0.05)

    with ChatServer(answer) as server:
        yield replace(quick, variables={"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url}), server


def bodies(server: ChatServer) -> list[str]:
    """All requests that the service got."""
    return [json.dumps(call.body) for call in server.calls]


def comparable(folder: Path) -> dict[str, Any]:
    """All files of a directory; JSON without times and counts of calls, a transcript without what came from a cache."""
    return without_cached(files_of(folder, without=("usage",)))


def usage_of(folder: Path) -> dict[str, float]:
    """What all summaries of runs below a folder count together."""
    summaries = [json.loads(path.read_text())["usage"] for path in folder.rglob("summary.json")]
    assert summaries
    return {
        name: sum(one[name] for one in summaries)
        for name in ("requests", "cached", "shared", "calls", "failed", "prompt_tokens", "cost")
    }


def test_questions_that_cells_have_in_common_are_asked_once_and_so_many_at_a_time(
    service: tuple[Any, ChatServer],
) -> None:
    emosim, server = service
    (emosim.folder / "plan.toml").write_text(PLAN.format(concurrency=3))
    emosim("sweep", "plan.toml", "--executor", "processes:2", "--out", "two", "--quiet")
    asked = bodies(server)
    assert len(asked) == len(set(asked)) > 20
    assert server.most_at_once == 3
    usage = usage_of(emosim.folder / "two")
    assert usage["calls"] == len(asked)
    assert usage["prompt_tokens"] == 1_000_000 * len(asked)
    assert usage["cost"] == pytest.approx(0.3 * len(asked))
    assert usage["requests"] == usage["calls"] + usage["cached"] + usage["shared"]
    assert usage["cached"] + usage["shared"] == len(asked)  # the other job asked the same
    emosim("sweep", "plan.toml", "--executor", "local", "--out", "one", "--quiet")
    assert len(server.calls) == len(asked)
    one, two = (comparable(emosim.folder / name) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        if name.endswith((".jsonl", ".csv")):
            assert one[name] == two[name], name


def test_an_evaluation_leaves_the_same_files_and_counts_the_same(service: tuple[Any, ChatServer]) -> None:
    emosim, server = service
    usages = []
    for name in ("local", "processes:2", "processes:1"):
        folder = name.replace(":", "")
        cache = ("--llm-cache", f"{folder}.sqlite3")
        emosim(*EVALUATE, *cache, "--executor", name, "--max-cost", "1000", "--out", folder, "--quiet")
        usages.append(usage_of(emosim.folder / folder))
    here, *others = (comparable(emosim.folder / folder) for folder in ("local", "processes2", "processes1"))
    assert len([name for name in here if name.endswith("transcript.jsonl")]) == 2
    for there in others:
        for name in here.keys() | there.keys():
            if name.endswith((".jsonl", ".csv")) or name == "evaluation.json":
                assert without_cache(here[name]) == without_cache(there[name]), name
    calls = len(server.calls)
    assert calls == 3 * usages[0]["calls"]
    for usage in usages:  # by chance, what the runs have in common is cached already or under way
        usage["cached"] += usage.pop("shared")
    assert usages[1] == pytest.approx(usages[0])
    assert usages[2] == pytest.approx(usages[0])


def without_cache(content: Any) -> Any:
    """A file without the name of the cache, in which the three differ."""
    if isinstance(content, dict):
        config = {key: value for key, value in content["config"].items() if key != "rater"}
        return {**content, "config": config, "recommenders": None}
    return content


def test_a_budget_holds_for_all_processes_together(service: tuple[Any, ChatServer]) -> None:
    emosim, server = service
    limit = ("--max-cost", "2", "--concurrency", "2")
    error = emosim(*EVALUATE, *limit, "--executor", "processes:2", "--out", "e", "--quiet", status=2).err
    assert 7 <= len(server.calls) <= 8  # 2 USD, and the call that was under way beside the last one
    assert "the budget is spent: 2." in error
    assert "of 2 USD (--max-cost)" in error
    assert "continue with:\n    emosim evaluate --resume e\n" in error
    emosim("evaluate", "--resume", "e", "--executor", "processes:2", "--max-cost", "1000", "--no-charts", "--quiet")
    asked = bodies(server)
    assert len(asked) == len(set(asked)) > 8
    emosim(*EVALUATE, "--out", "whole", "--quiet")
    assert len(server.calls) == len(asked)
    both = (comparable(emosim.folder / name) for name in ("e", "whole"))
    records = [{name: one[name] for name in one if name.endswith(".jsonl")} for one in both]
    assert len(records[0]) == 4
    assert records[0] == records[1]


def test_what_the_first_runs_have_cost_counts_for_later_ones(service: tuple[Any, ChatServer]) -> None:
    emosim, server = service
    plan = PLAN.format(concurrency="1, max_cost = 2.0").replace("[4, 8]", "[4]") + "seed = [1, 2, 3]\n"
    (emosim.folder / "plan.toml").write_text(plan)
    error = emosim("sweep", "plan.toml", "--executor", "processes:1", "--out", "s", "--quiet", status=2).err
    assert "the budget is spent" in error
    assert len(server.calls) == 7


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the children of a process are read from /proc")
@pytest.mark.parametrize("killed", ["worker", "command"])
def test_what_is_killed_goes_on_and_pays_nothing_twice(service: tuple[Any, ChatServer], killed: str) -> None:
    emosim, server = service
    process = emosim.start(*EVALUATE, "--concurrency", "1", "--executor", "processes:2", "--out", "e", "--quiet")
    until = time.monotonic() + 60
    while len(server.calls) < 6:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    os.kill(workers[0] if killed == "worker" else process.pid, signal.SIGKILL)
    _, error = process.communicate(timeout=60)
    assert "Traceback" not in error
    if killed == "worker":
        assert process.returncode == 2
        assert "a process that did cells has died" in error
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < until
        time.sleep(0.01)
    emosim("evaluate", "--resume", "e", "--executor", "processes:2", "--no-charts", "--quiet")
    asked = bodies(server)
    # The command completes the call under way and caches it, unless it is what was killed.
    assert len(asked) - len(set(asked)) <= (killed == "command")
    emosim(*EVALUATE, "--out", "whole", "--quiet")
    assert len(server.calls) == len(asked)
    both = (comparable(emosim.folder / name) for name in ("e", "whole"))
    records = [{name: one[name] for name in one if name.endswith(".jsonl")} for one in both]
    assert records[0] == records[1]


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_ctrl_c_keeps_the_answers_and_starts_no_further_call(service: tuple[Any, ChatServer]) -> None:
    emosim, server = service
    process = emosim.start(*EVALUATE, "--concurrency", "2", "--executor", "processes:2", "--out", "e", "--quiet")
    until = time.monotonic() + 60
    while len(server.calls) < 6:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "emosim evaluate --resume e" in error
    assert "Traceback" not in error
    emosim("evaluate", "--resume", "e", "--no-charts", "--quiet")
    asked = bodies(server)
    assert len(asked) == len(set(asked))


def test_no_file_and_no_message_holds_the_token(service: tuple[Any, ChatServer], monkeypatch: Any) -> None:
    emosim, _ = service
    token = b"a token that stands for the drawn one"
    monkeypatch.setattr("secrets.token_bytes", lambda count: token)
    done = emosim(*EVALUATE, "--executor", "processes:2", "--out", "e")
    assert token.decode() not in done.output
    for path in emosim.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert token not in content
            assert token.hex().encode() not in content


def workers_of(process: int) -> list[int]:
    """The processes that do cells for a command."""
    found = []
    for child in map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split()):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found
