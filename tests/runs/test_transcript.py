"""Transcripts: each request to a language model with its answer, the same bytes however a run came to its end."""

from __future__ import annotations

import copy
import json
import pickle
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import emosim_core
from emosim_core import RunError
from emosim_core.components.base import Exchange
from emosim_core.errors import LLMError, RatingError
from emosim_core.llm.backend import LLMBackend
from emosim_core.llm.chat import ChatAnswer, ChatRequest, Message
from emosim_core.llm.recorder import Recorder
from emosim_core.runs.directory import RunDirectory
from emosim_core.runs.transcript import Transcript, read_transcript
from emosim_core.testing import ChatServer
from emosim_core.testing.chat_server import Answer

TRANSCRIPT = "transcript.jsonl"


def by_the_film(body: dict[str, Any]) -> str:
    """A rating that the prompt decides; every fifth prompt gets one at the second attempt."""
    number = len(body["messages"][1]["content"])
    if len(body["messages"]) == 2 and not number % 5:
        return "I would rather not say."
    return str(number % 10)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(by_the_film) as server:
        yield server


@pytest.fixture
def play(tmp_path: Path, server: ChatServer) -> Callable[..., Path]:
    """Makes a run with a language model; a cache is in the folder of the test."""

    def play(name: str, resume: bool = False, cache: str = "cache", **options: Any) -> Path:
        gateway = {"cache": str(tmp_path / f"{cache}.sqlite3"), "attempts": 1, **options.pop("gateway", {})}
        sizes = {
            "episodes": 5,
            "max_steps": 4,
            "num_envs": 2,
            "slate": 2,
            "choice": "ratings_first",
            "p_interrupt": 0.1,
        }
        model = f"{server.url}#m"
        given = {**sizes, "llm_model": model, "gateway": gateway, "users": "sampled:n=20", **options}
        emosim_core.run("movies", tmp_path / name, resume=resume, **given)
        return tmp_path / name

    return play


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / TRANSCRIPT).read_text(encoding="utf-8").splitlines()]


def without_cached(run: Path) -> bytes:
    return re.sub(rb',"cached":(true|false)}\n', b"}\n", (run / TRANSCRIPT).read_bytes())


def test_fresh_and_cached_answers_give_the_same_transcript_but_for_cached(play: Callable[..., Path]) -> None:
    fresh, cached, replayed = play("a"), play("b"), play("c", gateway={"replay": True})
    assert without_cached(fresh) == without_cached(cached) == without_cached(replayed)
    assert (fresh / TRANSCRIPT).read_bytes() != (cached / TRANSCRIPT).read_bytes()
    assert not any(one["cached"] for one in read_transcript(fresh))
    assert all(one["cached"] for one in read_transcript(cached))
    assert (cached / TRANSCRIPT).read_bytes() == (replayed / TRANSCRIPT).read_bytes()


def test_the_calls_of_a_transcript_are_those_of_the_summary(play: Callable[..., Path], server: ChatServer) -> None:
    exchanges = list(read_transcript(play("a")))
    usage = json.loads((play("a2") / "summary.json").read_text())["usage"]
    assert len(exchanges) == usage["requests"]
    called = [one for one in exchanges if not one["cached"]]
    assert len(called) == len(server.calls)
    first = json.loads((play("a3", cache="other") / "summary.json").read_text())["usage"]
    for name in ("prompt_tokens", "completion_tokens"):
        assert sum(one["usage"][name] for one in called) == first[name]


def test_what_requests_share_is_written_once(play: Callable[..., Path], server: ChatServer) -> None:
    run = play("a", llm_rater="2Shot_system_our")
    shared = [line for line in lines(run) if "id" in line]
    texts = [line["text"] for line in shared if "text" in line]
    assert len(texts) == len(set(texts))
    assert sum("options" in line for line in shared) == 1
    system = next(one["messages"][0]["text"] for one in read_transcript(run))
    assert (run / TRANSCRIPT).read_text(encoding="utf-8").count(json.dumps(system, ensure_ascii=False)) == 1
    requests = [[(one["role"], one["content"]) for one in call.body["messages"]] for call in server.calls]
    for one in read_transcript(run):
        assert [(message["role"], message["text"]) for message in one["messages"]] in requests


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_run_that_goes_on_has_the_transcript_of_one_that_was_never_stopped(
    play: Callable[..., Path], seed: int
) -> None:
    """The files are cut where a kill may leave them: each after any byte, as one is written after the other."""
    whole = play("whole")
    shutil.copytree(whole, killed := whole.with_name("killed"))
    (killed / "summary.json").unlink()
    rng = random.Random(seed)
    for name in ("interactions.jsonl", TRANSCRIPT):
        content = (killed / name).read_bytes()
        (killed / name).write_bytes(content[: rng.randrange(len(content) + 1)])
    if seed == 0:
        (killed / TRANSCRIPT).unlink()
    play("killed", resume=True)
    assert without_cached(killed) == without_cached(whole)
    assert (killed / "interactions.jsonl").read_bytes() == (whole / "interactions.jsonl").read_bytes()


def test_the_exchanges_of_a_step_that_failed_are_there_until_the_run_goes_on(
    play: Callable[..., Path], server: ChatServer
) -> None:
    whole = play("whole", cache="whole")
    before, server.script = len(server.calls), by_the_film
    server.script = lambda body: "never" if len(server.calls) > before + 12 else by_the_film(body)
    with pytest.raises(RatingError):
        play("failed")
    failed = whole.with_name("failed")
    records = [json.loads(line) for line in (failed / "interactions.jsonl").read_text().splitlines()]
    recorded = {(one["episode"], one["step"]) for one in records}
    open_ones = [one for one in read_transcript(failed) if (one["episode"], one["step"]) not in recorded]
    assert {one["answer"] for one in open_ones} >= {"never"}
    assert all("never" in one["error"] for one in open_ones if one["answer"] == "never")

    server.script = lambda body: Answer(status=401)
    with pytest.raises(LLMError):
        play("failed", resume=True, cache="third")
    assert [one for one in read_transcript(failed) if (one["episode"], one["step"]) not in recorded] == open_ones

    server.script = by_the_film
    shutil.copy(failed.parent / "whole.sqlite3", failed.parent / "cache.sqlite3")
    play("failed", resume=True)
    assert without_cached(failed) == without_cached(whole)


def test_a_request_that_failed_says_why(play: Callable[..., Path], server: ChatServer) -> None:
    calls = len(server.calls)
    server.script = lambda body: Answer(status=500) if len(server.calls) % 4 == 0 else by_the_film(body)
    run = play("a", on_failed_rating="skip")
    failed = [one for one in read_transcript(run) if one["answer"] is None]
    assert len(failed) == sum(not number % 4 for number in range(calls + 1, len(server.calls) + 1))
    assert all(one["error"].startswith("no answer of the language model: ") and not one["cached"] for one in failed)
    assert all(set(one["usage"].values()) == {None} for one in failed)


def test_no_transcript_is_written_without_a_model_or_where_it_is_switched_off(
    play: Callable[..., Path], tmp_path: Path
) -> None:
    emosim_core.run("movies", tmp_path / "rules", episodes=2, max_steps=3)
    assert not (tmp_path / "rules" / TRANSCRIPT).exists()
    off = play("off", gateway={"transcript": False})
    assert not (off / TRANSCRIPT).exists()
    assert (play("on") / "interactions.jsonl").read_bytes() == (off / "interactions.jsonl").read_bytes()
    with pytest.raises(RunError, match=r"has no transcript\.jsonl"):
        list(read_transcript(off))


def test_a_run_may_go_on_with_or_without_its_transcript(play: Callable[..., Path]) -> None:
    whole = play("whole")
    for name, transcript in (("with", True), ("without", False)):
        shutil.copytree(whole, run := whole.with_name(name))
        (run / "summary.json").unlink()
        for file in ("interactions.jsonl", TRANSCRIPT):
            (run / file).write_bytes(b"".join((run / file).read_bytes().splitlines(keepends=True)[:5]))
        before = (run / TRANSCRIPT).read_bytes()
        play(name, resume=True, gateway={"transcript": transcript})
        assert without_cached(run) == without_cached(whole) if transcript else (run / TRANSCRIPT).read_bytes() == before


def test_a_changed_line_of_a_recorded_step_is_an_error_on_resuming(play: Callable[..., Path]) -> None:
    run = play("a")
    (run / "summary.json").unlink()
    content = (run / TRANSCRIPT).read_text(encoding="utf-8").splitlines(keepends=True)
    assert '"answer"' in content[2]
    content[2] = re.sub(r'"answer":"[^"]*"', '"answer":"10"', content[2])
    (run / TRANSCRIPT).write_text("".join(content), encoding="utf-8")
    with pytest.raises(RunError, match=r"transcript\.jsonl, line 3: simulating it again gives another exchange"):
        play("a", resume=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line.replace('"text":"', '"text":"x', 1), r"line 1: is damaged: id: it is not that of its value"),
        (lambda line: line.replace('"id"', '"di"', 1), r"line 1: is damaged: episode: Field required"),
        (lambda line: "", r"line 2: is damaged: no line before it has the id '[0-9a-f]{16}'"),
        (lambda line: "{\n", r"line 1: is not JSON"),
    ],
)
def test_a_damaged_transcript_is_an_error_that_names_the_line(
    play: Callable[..., Path], change: Callable[[str], str], message: str
) -> None:
    run = play("a")
    first, *rest = (run / TRANSCRIPT).read_text(encoding="utf-8").splitlines(keepends=True)
    (run / TRANSCRIPT).write_text("".join([change(first), *rest]), encoding="utf-8")
    with pytest.raises(RunError, match=message):
        list(emosim_core.read_run(run).transcript())


def test_a_transcript_is_read_back_as_it_was_made(tmp_path: Path) -> None:
    """Every field, texts that are no Unicode among them."""
    exchange = Exchange(
        row=0,
        place=1,
        messages=[("system", "be \ud83d it"), ("user", "\u2028 x")],
        options={"max_tokens": 3, "choices": ("a",), "schema": None},
        answer="\udc80",
        error="no number",
        reasoning="hm",
        model="m",
        finished=False,
        usage={"prompt_tokens": 1, "completion_tokens": None},
        cached=True,
    )
    written = Transcript()
    (tmp_path / TRANSCRIPT).write_bytes(b"".join(written.lines(exchange, 4, 2, "u", "i")))
    assert list(read_transcript(tmp_path)) == [
        {
            "episode": 4,
            "step": 2,
            "user": "u",
            "place": 1,
            "item": "i",
            "messages": [{"role": "system", "text": "be \ud83d it"}, {"role": "user", "text": "\u2028 x"}],
            "options": {"max_tokens": 3, "choices": ["a"], "schema": None},
            "answer": "\udc80",
            "error": "no number",
            "reasoning": "hm",
            "model": "m",
            "finished": False,
            "usage": {"prompt_tokens": 1, "completion_tokens": None},
            "cached": True,
        }
    ]
    assert len(written.lines(exchange, 4, 3, "u", "i")) == 1


def test_lines_of_a_step_that_did_not_end_wait_for_the_last_record(tmp_path: Path) -> None:
    """A resumed run that fails before it has caught up leaves the transcript as it is."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "manifest.json").write_text("{}")
    (tmp_path / "r" / "interactions.jsonl").write_bytes(b"1\n2\n")
    (tmp_path / "r" / TRANSCRIPT).write_bytes(b"a\nb\nc\n")
    directory = RunDirectory(tmp_path / "r", resume=True)
    directory.write([b"1\n"], [b"a\n"])
    directory.write([], [b"x\n"], whole=False)
    assert (tmp_path / "r" / TRANSCRIPT).read_bytes() == b"a\nb\nc\n"
    directory.write([b"2\n"], [b"b\n"])
    directory.write([], [b"x\n"], whole=False)
    directory.close()
    directory.job.release()
    assert (tmp_path / "r" / TRANSCRIPT).read_bytes() == b"a\nb\nx\n"


class Keyed(LLMBackend):
    """A backend with a key."""

    def __init__(self) -> None:
        self.key = "sk-0123456789abcdef"

    def secrets(self) -> list[str]:
        return [self.key]


def test_secrets_are_removed_from_prompts_and_a_pickled_recorder_has_none() -> None:
    backend = Keyed()
    recorder = Recorder(backend.secrets)
    text = f"one\nmy key is {backend.key} really\nthree"
    request = ChatRequest((Message("system", text), Message("user", text)))
    recorder.record([(0, 0)], [request], [ChatAnswer("7")])
    (exchange,) = recorder.exchanges()
    assert [content for _, content in exchange.messages] == ["one\nmy key is [key] really\nthree"] * 2
    backend.key = "another-0123456789abcdef"
    recorder.record([(0, 1)], [ChatRequest((Message("user", f"it is {backend.key}"),))], [ChatAnswer("7")])
    assert recorder.exchanges()[1].messages == [("user", "it is [key]")]
    copied = copy.deepcopy(recorder)
    assert copied.exchanges() == []
    recorder = Recorder(tuple)
    recorder.record([(0, 0)], [request], [ChatAnswer("7")])
    assert b"my key" not in pickle.dumps(recorder)


def test_an_equal_request_of_the_same_batch_counts_as_cached() -> None:
    recorder = Recorder()
    answer, other = ChatAnswer("7"), ChatAnswer("7", cached=True)
    request = ChatRequest((Message("user", "?"),))
    recorder.record([(0, 0), (1, 0), (2, 0)], [request] * 3, [answer, answer, other])
    assert [one.cached for one in recorder.exchanges()] == [False, True, True]
