"""What a service refuses, holds back or mixes up, as the command line meets it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from raw_server import RawServer, completion, response

from emosim_core.testing import Answer, ChatServer, Emosim

FILTERED = {"error": {"message": "The prompt was filtered", "code": "content_filter", "type": "invalid_request_error"}}
UNCLEAR = {"error": {"message": "Bad Request"}}
UNKNOWN = {"error": {"message": "The model `m` does not exist.", "code": "model_not_found"}}

RUN = ("run", "--plugin", "movies", "--llm-rater", "0Shot_system_our", "--episodes", "3", "--max-steps", "3", "--quiet")


def title_in(body: dict[str, Any]) -> str:
    match = re.search(r"^Title: (.*)$", body["messages"][-1]["content"], re.MULTILINE)
    assert match is not None
    return match[1]


def failed_titles(directory: Path) -> list[str]:
    lines = [json.loads(line) for line in (directory / "interactions.jsonl").read_text().splitlines()]
    return [item["title"] for line in lines for item in line["recommended"] if item["raw_rating"] is None]


@pytest.mark.parametrize("fault", [FILTERED, UNCLEAR], ids=["filtered", "unclear"])
def test_a_question_that_is_refused_is_one_failed_rating_and_the_command_that_is_named_goes_on(
    fault: dict[str, Any], quick: Emosim
) -> None:
    refused: list[str] = []

    def script(body: dict[str, Any]) -> Answer:
        title = title_in(body)
        if not refused and len(server.calls) > 4:
            refused.append(title)
        return Answer(raw=json.dumps(fault).encode(), status=400) if title in refused else Answer("7")

    with ChatServer(script) as server:
        error = quick(*RUN, "--llm-model", f"{server.url}#m", "--out", "r", "--num-envs", "2", status=2).err
        assert fault["error"]["message"] in error
        commands = [line.split() for line in error.splitlines() if line.lstrip().startswith("emosim ")]
        assert commands == [
            ["emosim", "run", "--resume", "r"],
            ["emosim", "run", "--resume", "r", "--on-failed-rating", "skip"],
        ]
        again = quick(*commands[0][1:], "--quiet", status=2).err
        assert fault["error"]["message"] in again
        calls = len(server.calls)
        quick(*commands[1][1:], "--quiet")
        assert len(server.calls) > calls
        assert set(failed_titles(quick.folder / "r")) == set(refused)
        assert json.loads((quick.folder / "r/summary.json").read_text())["complete"] is True
        quick(*RUN, "--llm-model", f"{server.url}#m", "--out", "s", "--on-failed-rating", "skip")
        assert set(failed_titles(quick.folder / "s")) == set(refused)


def test_a_first_question_that_is_refused_is_left_out_too(quick: Emosim) -> None:
    refused: list[str] = []

    def script(body: dict[str, Any]) -> Answer:
        refused.append(title_in(body)) if not refused else None
        answer = Answer(raw=json.dumps(UNCLEAR).encode(), status=400)
        return answer if title_in(body) == refused[0] else Answer("7")

    with ChatServer(script) as server:
        more = ("--num-envs", "1", "--on-failed-rating", "skip", "--out", "r")
        quick(*RUN, "--llm-model", f"{server.url}#m", *more)
    assert set(failed_titles(quick.folder / "r")) == set(refused)


def test_an_unknown_model_ends_a_run_at_once_whatever_becomes_of_failed_ratings(quick: Emosim) -> None:
    with ChatServer(lambda body: Answer(raw=json.dumps(UNKNOWN).encode(), status=404)) as server:
        more = ("--on-failed-rating", "skip", "--num-envs", "2", "--concurrency", "2", "--out", "r")
        error = quick(*RUN, "--llm-model", f"{server.url}#m", *more, status=2).err
    assert "GET on its /models lists the models" in error
    assert len(server.calls) <= 2


def test_what_a_service_sends_too_much_becomes_no_rating_and_is_not_kept(quick: Emosim) -> None:
    def rating(body: dict[str, Any]) -> str:
        return str(sum(map(ord, body["messages"][-1]["content"])) % 10)

    def script(number: int, body: dict[str, Any], name: str) -> Iterable[bytes | float]:
        yield response(completion(rating(body), f"chatcmpl-{number:032x}"))
        yield 0.005
        yield response(completion(rating(body), f"chatcmpl-{number + 10_000:032x}")) * 2

    with ChatServer(rating) as server:
        quick(*RUN, "--llm-model", f"{server.url}#m", "--out", "right", "--llm-cache", "a.sqlite3")
    with RawServer(script) as raw:
        quick(*RUN, "--llm-model", f"{raw.url}#m", "--out", "raw", "--llm-cache", "b.sqlite3")
    one, other = ((quick.folder / name / "interactions.jsonl").read_bytes() for name in ("right", "raw"))
    assert one == other


def waits(count: int, answer: Answer) -> Callable[[dict[str, Any]], Answer]:
    """Answers so a few times, then with a rating."""
    answers = iter([answer] * count)
    return lambda body: next(answers, Answer("7"))


def test_a_run_that_waits_says_so_once_and_goes_on(emosim: Emosim) -> None:
    busy = Answer("slow down", status=429, headers={"Retry-After": "5"})
    with ChatServer(waits(3, busy)) as server:
        done = emosim(*RUN, "--llm-model", f"{server.url}#m", "--num-envs", "2", "--out", "r")
    assert re.fullmatch(r"Waiting [56] s, until \d\d:\d\d:\d\d: .*status 429: slow down\n", done.err)


def test_a_service_that_is_loading_its_model_is_waited_for_beyond_the_attempts(emosim: Emosim) -> None:
    loading = Answer(raw=b'{"error": {"code": 503, "message": "Loading model"}}', status=503)
    (emosim.folder / "one.toml").write_text("[gateway]\nattempts = 1\n")
    with ChatServer(waits(3, loading)) as server:
        more = ("--concurrency", "1", "--num-envs", "1", "--config", "one.toml")
        done = emosim(*RUN, "--llm-model", f"{server.url}#m", "--out", "r", *more)
    assert done.err.count("\n") == 1
    assert "Waiting until it has started: " in done.err


def test_a_wait_of_hours_ends_a_run_with_its_length_and_the_command_that_goes_on(quick: Emosim) -> None:
    quota = Answer("daily limit", status=429, headers={"Retry-After": "7500"})
    with ChatServer(lambda body: quota if len(server.calls) > 3 else Answer("7")) as server:
        more = ("--on-failed-rating", "skip", "--num-envs", "2", "--concurrency", "2", "--out", "r")
        error = quick(*RUN, "--llm-model", f"{server.url}#m", *more, status=2).err
        assert "daily limit. It asks to wait 2 h 5 min, until " in error
        assert "emosim run --resume r" in error
        server.script = lambda body: Answer("7")
        quick("run", "--resume", "r")
    assert not failed_titles(quick.folder / "r")


def test_a_prompt_that_was_cut_is_warned_of_once_in_a_run(emosim: Emosim) -> None:
    usage = {"prompt_tokens": 32, "completion_tokens": 1}
    with ChatServer(lambda body: Answer("7", usage=usage)) as server:
        done = emosim(*RUN, "--llm-model", f"{server.url}#m", "--out", "r")
    assert done.err.count("seems to cut prompts") == 1
