"""Prompts and raw answers: found again from cached answers, to the letter."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import emosim_core
from emosim_core import ConfigurationError, RunError
from emosim_core.errors import TrustError
from emosim_core.llm import LLMReplayError
from emosim_core.reports import report_of
from emosim_core.reports.questions import questions
from emosim_core.testing import ChatServer


def scripted(body: dict[str, Any]) -> str:
    """What the model says: at first what cannot be read for one film, then a rating that the film decides."""
    text = "".join(message["content"] for message in body["messages"])
    if "the answer is" not in text and text.count("Title: The") and len(body["messages"]) < 3:
        return "I would rather not say."
    return str(len(text) % 10)


@pytest.fixture(scope="module")
def llm_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A run with a language model, and every question that the model was asked with its answer."""
    folder = tmp_path_factory.mktemp("asked")
    seen: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> str:
        reply = scripted(body)
        seen.append({"question": [[one["role"], one["content"]] for one in body["messages"]], "answer": reply})
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
            p_interrupt=0.1,
        )
    return folder / "run", seen


def given_again(run: Path) -> dict[str, Any]:
    """What the user of a copy, which was not made there, says again."""
    rater: dict[str, Any] = json.loads((run / "manifest.json").read_text())["config"]["rater"]
    return {"llm_model": rater["model"], "gateway": rater["gateway"]}


def test_a_copy_needs_its_user_to_name_the_model_again(
    llm_run: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    shutil.copytree(llm_run[0], tmp_path / "run")
    with pytest.raises(TrustError, match=r"llm_model = (?s:.)*trusted\.toml"):
        questions(tmp_path / "run")
    assert questions(tmp_path / "run", given=given_again(tmp_path / "run")) == questions(llm_run[0])


def test_every_rating_has_the_prompt_and_the_raw_answer_that_made_it(
    llm_run: tuple[Path, list[dict[str, Any]]],
) -> None:
    run, seen = llm_run
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    exchanges = questions(run)
    records = [json.loads(line) for line in (run / "interactions.jsonl").read_text().splitlines()]
    answered = {
        (record["episode"], record["step"], place): one
        for record in records
        for place, one in enumerate(record["recommended"])
        if record["end_reason"] != "interrupted"
    }
    assert set(exchanges) == set(answered)
    for key, exchange in exchanges.items():
        name = next(r["user_profile"]["name"] for r in records if r["episode"] == key[0] and "user_profile" in r)
        last = exchange[-1]
        assert last in seen
        assert int(last["answer"]) + 1 == answered[key]["raw_rating"]
        text = exchange[0]["question"][-1][1]
        assert f"Name: {name}" in text
        assert f"Title: {answered[key]['title']}" in text
    assert max(len(exchange) for exchange in exchanges.values()) == 2  # the answer that could not be read, and the next
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_report_without_prompts_says_how_to_see_them(llm_run: tuple[Path, list[dict[str, Any]]]) -> None:
    assert "--prompts" in report_of(llm_run[0]).stories_note
    assert report_of(llm_run[0], prompts=True).stories_note == ""


def test_a_run_that_was_stopped_has_its_prompts_too(llm_run: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    shutil.copytree(llm_run[0], tmp_path / "run")
    lines = (tmp_path / "run" / "interactions.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "run" / "interactions.jsonl").write_bytes(b"".join(lines[:5]) + lines[5][:40])
    exchanges = questions(tmp_path / "run", given=given_again(tmp_path / "run"))
    assert set(exchanges) >= {(json.loads(line)["episode"], 1, 0) for line in lines[:2]}


def test_answers_that_are_gone_are_an_error(llm_run: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    shutil.copytree(llm_run[0], tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["config"]["rater"]["gateway"]["cache"] = str(tmp_path / "empty.sqlite3")
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(LLMReplayError, match="cannot be found: no answer of"):
        questions(tmp_path / "run", given=given_again(tmp_path / "run"))


def test_a_record_that_was_changed_is_found_out(llm_run: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    shutil.copytree(llm_run[0], tmp_path / "run")
    path = tmp_path / "run" / "interactions.jsonl"
    lines = path.read_text().splitlines()
    record = json.loads(lines[2])
    record["reward"] = 99
    path.write_text("\n".join([*lines[:2], json.dumps(record, separators=(",", ":")), *lines[3:]]) + "\n")
    with pytest.raises(RunError, match="line 3: simulating the run again gives another step"):
        questions(tmp_path / "run", given=given_again(tmp_path / "run"))


def test_a_run_without_a_model_has_no_prompts(made: Path) -> None:
    with pytest.raises(ConfigurationError, match="no language model was called"):
        questions(made / "a")
