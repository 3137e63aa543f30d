"""Claims: between processes a question under way is requested once, and whoever fails or dies is replaced."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from emosim_core.llm.gateway import claims
from emosim_core.llm.gateway.cache import AnswerCache
from emosim_core.llm.gateway.claims import Owner

CODE = """
import asyncio, os, sys
from emosim_core.errors import LLMRefusedError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message, Usage
from emosim_core.llm.gateway.gateway import Gateway, GatewayOptions

cache, log, kind, delay = sys.argv[1:5]
numbers = [int(number) for number in sys.argv[5].split(",")]

class Service(LLMBackend):
    identity = "a service"
    batched = kind == "batched"
    def note(self, request):
        number = request.messages[-1].content
        with open(log, "a") as stream:
            stream.write(number + "\\n")
        return number
    async def answer(self, request):
        number = self.note(request)
        await asyncio.sleep(float(delay))
        if kind == "refused":
            raise LLMRefusedError("no")
        return ChatAnswer(number, usage=Usage(1, 0, 1))
    def answer_batch(self, requests):
        import time
        numbers = [self.note(request) for request in requests]
        time.sleep(float(delay))
        return [ChatAnswer(number, usage=Usage(1, 0, 1)) for number in numbers]

gateway = Gateway(Service(), GatewayOptions(cache=cache, concurrency=4))
answers = gateway.ask([ChatRequest((Message("user", str(number)),)) for number in numbers])
gateway.close()
summary = gateway.usage.summary()
assert summary["requests"] == len(numbers) == summary["cached"] + summary["shared"] + summary["calls"], summary
print([getattr(answer, "text", type(answer).__name__) for answer in answers])
"""


def process(
    folder: Path, numbers: range | list[int], kind: str = "service", delay: float = 0.02
) -> subprocess.Popen[str]:
    listed = ",".join(str(number) for number in numbers)
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder / "llm.sqlite3"), str(folder / "requested"), kind, str(delay), listed],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(running: subprocess.Popen[str]) -> str:
    out, err = running.communicate(timeout=180)
    assert running.returncode == 0, err
    return out.strip()


def requested(folder: Path) -> Counter[int]:
    return Counter(int(line) for line in (folder / "requested").read_text().split())


@pytest.mark.parametrize(("kind", "count"), [("service", 8), ("batched", 3)])
def test_processes_on_one_new_cache_ask_each_question_once(tmp_path: Path, kind: str, count: int) -> None:
    running = [process(tmp_path, range(60), kind) for _ in range(count)]
    expected = str([str(number) for number in range(60)])
    assert [end(one) for one in running] == [expected] * count
    assert requested(tmp_path) == Counter(range(60))
    with sqlite3.connect(tmp_path / "llm.sqlite3") as connection:
        assert connection.execute("SELECT count(*) FROM claims").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM owners").fetchone() == (0,)
    connection.close()


def test_processes_that_want_each_others_questions_do_not_wait_for_ever(tmp_path: Path) -> None:
    there, back = list(range(40)), list(reversed(range(40)))
    running = [process(tmp_path, order) for order in (there, back, there[20:] + there[:20])]
    for one in running:
        end(one)
    assert requested(tmp_path) == Counter(range(40))


def test_who_waits_requests_for_itself_where_the_other_was_refused(tmp_path: Path) -> None:
    first = process(tmp_path, [1], "refused", 0.7)
    while not (tmp_path / "requested").exists():
        time.sleep(0.01)
    second = process(tmp_path, [1])
    assert end(first) == "['LLMRefusedError']"
    assert end(second) == "['1']"
    assert requested(tmp_path) == Counter({1: 2})


def test_what_a_killed_process_requested_is_taken_over_at_once(tmp_path: Path) -> None:
    first = process(tmp_path, [1, 2], delay=60)
    while not (tmp_path / "requested").exists() or len(requested(tmp_path)) < 2:
        time.sleep(0.01)
    second = process(tmp_path, [1, 2])
    time.sleep(0.5)
    first.kill()
    first.communicate()
    began = time.monotonic()
    assert end(second) == "['1', '2']"
    assert time.monotonic() - began < claims.EXPIRY / 2


def test_ctrl_c_ends_the_waiting_for_another_process(tmp_path: Path) -> None:
    first = process(tmp_path, [1], delay=5)
    while not (tmp_path / "requested").exists():
        time.sleep(0.01)
    second = process(tmp_path, [1])
    time.sleep(3)
    second.send_signal(signal.SIGINT)
    _, err = second.communicate(timeout=20)
    assert "KeyboardInterrupt" in err
    first.kill()
    first.communicate()


def test_a_claim_lapses_when_its_owner_is_not_heard_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, one, other = AnswerCache(tmp_path / "c.sqlite3"), Owner(), Owner()
    cache.sign_of_life(one)
    assert cache.exchange([], ["a", "b"], one).elsewhere == set()
    assert cache.exchange([], ["a", "c"], other).elsewhere == {"a"}
    assert cache.progress(["a", "x"], other) == ({}, {"a"})
    later = time.time() + claims.EXPIRY + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert cache.progress(["a"], other) == ({}, set())
    cache.sign_of_life(one)
    assert cache.exchange([], ["a"], other).elsewhere == {"a"}
    cache.release(one)
    assert cache.exchange([], ["a", "b"], other).elsewhere == set()
    cache.close()


def test_a_claim_of_a_process_that_is_gone_is_nobodys_but_on_another_machine_it_is_waited_for(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    cache, mine = AnswerCache(tmp_path / "c.sqlite3"), Owner()
    cache.exchange([], [], mine)
    with sqlite3.connect(cache.path) as connection:
        for owner, machine in (("here", claims._machine()), ("there", "another machine")):
            connection.execute(
                "INSERT INTO owners VALUES (?, ?, ?, ?)", (owner, machine, int(gone.stdout), time.time() + 60)
            )
            connection.execute("INSERT INTO claims VALUES (?, ?)", (owner, owner))
    connection.close()
    assert cache.exchange([], ["here", "there"], mine).elsewhere == {"there"}
    cache.close()


def test_a_file_of_the_format_before_claims_is_brought_to_this_one(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite3"
    with sqlite3.connect(path) as connection:
        cache = AnswerCache(tmp_path / "new.sqlite3")
        cache.exchange([], [], Owner())
        cache.close()
        with sqlite3.connect(tmp_path / "new.sqlite3") as new:
            (schema,) = new.execute("SELECT sql FROM sqlite_master WHERE name = 'answers'").fetchone()
        new.close()
        connection.execute(schema)
        connection.execute(f"PRAGMA application_id = {0x454D4F53}")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    replayed = AnswerCache(path, read_only=True)
    assert replayed.get_many(["a"]) == {}
    replayed.close()
    cache, owner = AnswerCache(path), Owner()
    cache.sign_of_life(owner)
    assert cache.exchange([], ["a"], owner).elsewhere == set()
    cache.close()
    assert os.path.exists(path)
