"""``emosim distill``: users are fitted to the answers of a model, and what they miss is measured."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import emosim_core
from emosim_core.testing.chat_server import Answer, ChatServer

pytest.importorskip("scipy")
pytest.importorskip("safetensors")

DISTILL = ("distill", "--plugin", "movies", "--users", "sampled:n=30", "--per-user", "12", "--max-questions", "360")


def answer(body: dict[str, Any]) -> Answer:
    """Rates dramas high and others low, as far as the prompt tells."""
    about_the_film = str(body["messages"][-1]["content"])[-600:]
    return Answer("8" if re.search(r"(?i)(categories|genres)[^\n]*drama", about_the_film) else "2")


@pytest.fixture
def asked(quick: Any) -> Iterator[tuple[Any, ChatServer]]:
    with ChatServer(answer) as server:
        yield replace(quick, variables={"DEEPSEEK_API_KEY": "sk-test", "DEEPSEEK_BASE_URL": server.url}), server


def test_users_answer_as_the_model_did_without_calling_it(asked: tuple[Any, ChatServer]) -> None:
    emosim, server = asked
    done = emosim(*DISTILL, "--llm-model", "deepseek-chat", "--yes", "--out", "people")
    assert "360 requests" in done.err
    assert len(server.calls) == 360
    card = json.loads((emosim.folder / "people" / "card.json").read_text())
    told = card["distillation"]
    assert told["heldout"] == 60
    assert told["usage"]["calls"] == 360
    models = told["models"]
    fitted, constant = (models[name]["rmse"]["estimate"] for name in ("fitted", "constant"))
    assert fitted < 0.7 * constant
    assert models["fitted"]["correlation"]["estimate"] > 0.7
    assert models["fitted"]["rmse"]["low"] < fitted < models["fitted"]["rmse"]["high"]
    assert models["constant"]["correlation"]["estimate"] is None
    assert told["differences"]["item mean"]["estimate"] == pytest.approx(
        fitted - models["item mean"]["rmse"]["estimate"], abs=1e-5
    )

    # They are the users who were asked, and need no model.
    run = ("run", "--plugin", "movies", "--users", "fitted:people", "--policy", "popular", "--episodes", "20")
    summary = emosim(*run, "--out", "simulated", "--json").json
    assert summary["uses_llm"] is False
    assert len(server.calls) == 360
    asked_users = {
        one["user"] for one in map(json.loads, (emosim.folder / "people" / "answers.jsonl").read_text().splitlines())
    }
    first = json.loads((emosim.folder / "simulated" / "interactions.jsonl").read_text().splitlines()[0])
    assert first["user"] in asked_users
    assert first["user_profile"]["description"]
    page = (emosim.folder / "people" / "report.html").read_text()
    assert "Beside the rater they are fitted to" in page
    assert "complete" in emosim("runs", ".").out


def test_answers_that_were_there_are_not_asked_for_again(asked: tuple[Any, ChatServer]) -> None:
    emosim, server = asked
    server.script = lambda body: Answer("7", usage={"prompt_tokens": 1_000_000, "completion_tokens": 0})
    model = ("--llm-model", "deepseek-chat", "--yes")
    stopped = emosim(*DISTILL, *model, "--max-cost", "10", "--out", "dear", "--quiet", status=2)
    assert "emosim distill --resume dear" in stopped.err
    calls = len(server.calls)
    assert 0 < calls < 360
    assert "has no users yet" in emosim("report", "dear", status=2).err
    emosim("distill", "--resume", "dear", "--max-cost", "1000", "--yes", "--quiet")
    assert len(server.calls) == 360
    other = emosim("distill", "--resume", "dear", "--max-questions", "240", "--yes", status=2)
    assert "it was made with another configuration" in other.err
    told = json.loads((emosim.folder / "dear" / "card.json").read_text())["distillation"]
    assert told["models"]["fitted"]["correlation"]["estimate"] is None  # all answers are alike


def test_a_killed_distillation_comes_to_the_same_users(emosim: Any) -> None:
    options = ("--plugin", "movies", "--users", "sampled", "--max-questions", "600", "--seed", "3", "--quiet")
    emosim("distill", *options, "--out", "whole", timeout=300)
    process = emosim.start("distill", *options, "--out", "killed")
    block = emosim.folder / "killed" / "jobs" / "block-000000.jsonl"
    while not block.exists() and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert not (emosim.folder / "killed" / "card.json").exists()
    emosim("distill", "--resume", "killed", "--quiet", timeout=300)
    for name in ("answers.jsonl", "users.csv", "states.safetensors", "ratings.safetensors"):
        assert (emosim.folder / "killed" / name).read_bytes() == (emosim.folder / "whole" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-questions", "20", "--per-user", "20"), "fewer than two users"),
        (("--heldout-fraction", "1.5"), "--heldout-fraction: Input should be less than 1"),
        (("--rater", "no_such"), "no_such"),
    ],
)
def test_what_cannot_be_distilled_is_one_clear_error(quick: Any, options: tuple[str, ...], message: str) -> None:
    error = quick("distill", "--plugin", "movies", *options, "--out", "nothing", status=2).err
    assert message in error
    assert not Path("nothing").exists()


def test_a_program_distils_to_the_same_users(quick: Any) -> None:
    options = ("--plugin", "movies", "--users", "sampled:n=30", "--max-questions", "240", "--quiet")
    quick("distill", *options, "--out", "command")
    card = emosim_core.distill("movies", quick.folder / "api", user_dataset="sampled:n=30", max_questions=240)
    assert card["distillation"]["models"] == json.loads((quick.folder / "command/card.json").read_text())[
        "distillation"
    ]["models"]  # fmt: skip
    for name in ("answers.jsonl", "ratings.safetensors"):
        assert (quick.folder / "api" / name).read_bytes() == (quick.folder / "command" / name).read_bytes(), name
    with pytest.raises(emosim_core.ConfigurationError, match="max_questions"):
        emosim_core.distill("movies", quick.folder / "wrong", max_question=240)
