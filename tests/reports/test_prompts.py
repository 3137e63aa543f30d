"""Prompts and raw answers: in a run's transcript, to the letter, and shown by reports and stories."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

import emosim_core
from emosim_core import ConfigurationError
from emosim_core.reports import report_of
from emosim_core.runs.transcript import exchanges_of
from emosim_core.testing import ChatServer
from emosim_core.testing.command_line import Emosim


def scripted(body: dict[str, Any]) -> str:
    """What the model says: at first what cannot be read for one film, then a rating that the film decides."""
    text = "".join(message["content"] for message in body["messages"])
    if "the answer is" not in text and text.count("Title: The") and len(body["messages"]) < 3:
        return "I would rather not say."
    return str(len(text) % 10)


@pytest.fixture(scope="module")
def llm_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A run with a language model, and every request that the model got with its answer."""
    folder = tmp_path_factory.mktemp("prompts")
    seen: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> str:
        reply = scripted(body)
        messages = [{"role": one["role"], "text": one["content"]} for one in body["messages"]]
        seen.append({"messages": messages, "answer": reply})
        return reply

    with ChatServer(answer) as server:
        emosim_core.run(
            "movies",
            folder / "run",
            llm_model=f"{server.url}#scripted",
            gateway={"cache": str(folder / "llm.sqlite3")},
            episodes=6,
            max_steps=6,
            num_envs=4,
            slate=2,
            choice="ratings_first",
            p_interrupt=0.1,
        )
    return folder / "run", seen


def test_every_rating_has_the_prompt_and_the_raw_answer_that_made_it(
    llm_run: tuple[Path, list[dict[str, Any]]],
) -> None:
    run, seen = llm_run
    exchanges = exchanges_of(run)
    records = [json.loads(line) for line in (run / "interactions.jsonl").read_text().splitlines()]
    answered = {
        (record["episode"], record["step"], place): one
        for record in records
        for place, one in enumerate(record["recommended"])
        if record["end_reason"] != "interrupted"
    }
    assert any(record["end_reason"] == "interrupted" for record in records)
    assert set(exchanges) == set(answered)
    for key, exchange in exchanges.items():
        profile = next(r["user_profile"] for r in records if r["episode"] == key[0] and "user_profile" in r)
        *refused, last = exchange
        for one in exchange:
            assert {"messages": one["messages"], "answer": one["answer"]} in seen
            assert (one["user"], one["item"]) == (profile["id"], answered[key]["item"])
        assert int(last["answer"]) + 1 == answered[key]["raw_rating"]
        assert "error" not in last
        assert all("rather not say" in one["error"] for one in refused)
        text = exchange[0]["messages"][-1]["text"]
        assert f"Name: {profile['name']}" in text
        assert f"Title: {answered[key]['title']}" in text
    assert max(map(len, exchanges.values())) == 2  # the answer that could not be read, and the next


def test_a_report_shows_prompts_where_they_are_wanted_and_says_how_to_see_them_where_not(
    llm_run: tuple[Path, list[dict[str, Any]]],
) -> None:
    assert "--prompts" in report_of(llm_run[0]).stories_note
    report = report_of(llm_run[0], prompts=True)
    assert report.stories_note == ""
    shown = [
        one
        for block in report.stories[1:]
        for exchanges in json.loads(gzip.decompress(base64.b64decode(block)))["exchanges"].values()
        for one in exchanges
    ]
    expected = [
        {
            "messages": [[message["role"], message["text"]] for message in one["messages"]],
            "answer": one["answer"],
            "error": one.get("error", ""),
        }
        for exchanges in exchanges_of(llm_run[0]).values()
        for one in exchanges
    ]
    assert sorted(map(json.dumps, shown)) == sorted(map(json.dumps, expected))


def test_a_story_shows_the_prompts_of_its_episode_and_of_no_other(
    llm_run: tuple[Path, list[dict[str, Any]]], quick: Emosim
) -> None:
    run, _ = llm_run
    shown = quick("show", run, "--episode", "2", "--prompts").out
    exchanges = [one for (episode, _, _), some in exchanges_of(run).items() for one in some if episode == 2]
    assert re.findall(r"     --- raw answer ---\n     (.*)", shown) == [one["answer"] for one in exchanges]
    assert shown.count("--- cannot be used ---") == sum("error" in one for one in exchanges)
    for line in exchanges[0]["messages"][-1]["text"].splitlines():
        assert f"     {line}\n" in shown
    assert "--- raw answer ---" not in quick("show", run, "--episode", "2").out


def test_prompts_are_of_one_episode(llm_run: tuple[Path, list[dict[str, Any]]], quick: Emosim) -> None:
    assert "give its number with --episode" in quick("show", llm_run[0], "--prompts", status=2).err


def test_a_run_without_a_transcript_has_no_prompts(made: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"a has no transcript\.jsonl; a run writes it when a language model"):
        report_of(made / "a", prompts=True)
