"""``emosim prompt-bench``: the same questions about real users with each prompt, against a service on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import emosim_core
from emosim_core.testing import Answer, ChatServer, Emosim

FEW = ("--max-users", "8", "--max-heldout", "3")
TWO = ("--llm-rater", "0Shot_system_our,2Shot_cot_enhanced")


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> str:
    from studies.made_up_ratings import write_movielens

    return f"movielens:{write_movielens(tmp_path_factory.mktemp('ratings'), users=200)}"


def by_the_public(body: dict[str, Any]) -> str:
    """What the public rates, where a rating is requested alone; else the reason of an example and the best rating."""
    messages = [message["content"] for message in body["messages"]]
    if "JSON object" in messages[-1]:
        reason = json.loads(body["messages"][2]["content"])["reasons"][0]
        return json.dumps({"reasons": [reason], "rating": 9})
    found = re.search(r"Public rating: ([\d.]+)", messages[-1])
    return str(round(float(found[1]))) if found else "5"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(by_the_public) as running:
        yield running


def command(server: ChatServer, ratings: str, *more: str) -> tuple[str, ...]:
    model = f"{server.url}#m"
    return ("prompt-bench", "--plugin", "movies", "--ratings", ratings, "--llm-model", model, "--yes", *more)


def lines_of(folder: Path, strategy: str) -> list[dict[str, Any]]:
    (path,) = (folder / "jobs").glob(f"{strategy}-*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()][1:]


def test_measures_tell_prompts_apart_and_are_made_of_the_same_questions(
    quick: Emosim, server: ChatServer, ratings: str
) -> None:
    done = quick(*command(server, ratings, *FEW, *TWO, "--out", "b"))
    results = json.loads((quick.folder / "b" / "prompts.json").read_text())
    plain, reasons = results["strategies"]
    first, second = (lines_of(quick.folder / "b", name) for name in ("0Shot_system_our", "2Shot_cot_enhanced"))
    assert [(one["user"], one["kind"], one["item"]) for one in first] == [
        (one["user"], one["kind"], one["item"]) for one in second
    ]
    assert results["users"] + results["left_out"] == 8
    assert len(first) == plain["questions"] <= 11 * results["users"]
    assert {one["kind"] for one in first} == {"chosen", "other", "swapped", "reversed", "blank"}
    # The rating of the public is told by the item alone, and a constant by nothing.
    assert plain["rmse"]["estimate"] < reasons["rmse"]["estimate"]
    assert results["differences"][0]["low"] > 0
    assert plain["items"]["estimate"] > 0 == reasons["items"]["estimate"]
    for one in (plain, reasons):
        assert one["persons"]["estimate"] == one["order"]["estimate"] == one["failed"]["estimate"] == 0
    assert reasons["auc"]["estimate"] == 0.5
    # Every run of words of a reason stands in an example; a rating alone has no words.
    assert reasons["copied"]["estimate"] == 1
    assert plain["copied"]["estimate"] is None
    assert plain["prompt"]["estimate"] < reasons["prompt"]["estimate"]
    words = " ".join(done.out.split())
    assert "0Shot_system_our has the lowest RMSE" in words
    assert "2Shot_cot_enhanced - 0Shot_system_our" in words


def test_a_reversed_question_differs_in_the_order_of_its_memories_alone_and_nobody_learns_from_who_is_asked_about(
    quick: Emosim, server: ChatServer, ratings: str
) -> None:
    quick(*command(server, ratings, *FEW, "--llm-rater", "0Shot_system_our", "--out", "b"))
    asked = [call.body["messages"][-1]["content"] for call in server.calls]

    def parts(text: str) -> tuple[str, tuple[str, ...]]:
        before, inside, after = re.split(r"<history>\n|</history>\n", text)
        return before + after, tuple(inside.splitlines())

    several = [parts(text) for text in asked if text.count("\n- ") > 1]
    turned = [(rest, lines) for rest, lines in several if (rest, lines[::-1]) in several and lines != lines[::-1]]
    assert len(turned) >= 2
    assert any("Title: (no title)\nWatched before: never" in text.replace("</item>\n", "") for text in asked)
    # The group that is asked about is a fixed one of training users, which the others' knowledge leaves out.
    from emosim_core.studies.validation.users import user_split_of

    manifest = json.loads((quick.folder / "b" / "manifest.json").read_text())
    assert {user_split_of(user) for user in manifest["data"]["measured"]} == {"calibration"}


def test_it_goes_on_where_it_stopped_and_repeats_itself_from_the_cache(quick: Emosim, ratings: str) -> None:
    broken = True

    def sometimes(body: dict[str, Any]) -> str | Answer:
        needs_key = broken and "JSON object" in body["messages"][-1]["content"]
        return Answer(status=401) if needs_key else by_the_public(body)

    with ChatServer(sometimes) as server:
        asked = command(server, ratings, *FEW, "--llm-rater", "0Shot_system_our,2Shot_cot_enhanced:shots=3", "--quiet")
        stopped = quick(*asked, "--out", "b", status=2).err
        assert "emosim prompt-bench --resume b" in stopped
        (first,) = (quick.folder / "b" / "jobs").iterdir()
        made = first.stat().st_mtime_ns
        broken = False
        quick("prompt-bench", "--resume", "b", "--yes")
        assert first.stat().st_mtime_ns == made
        calls = len(server.calls)
        quick(*asked, "--out", "again", "--replay")
        assert len(server.calls) == calls
    results = [json.loads((quick.folder / name / "prompts.json").read_text()) for name in ("b", "again")]
    for one in results:
        one.pop("usage")
        for strategy in one["strategies"]:
            strategy.pop("seconds_per_call")
    assert results[0] == results[1]
    assert "prompts" in quick("runs", ".").out
    quick("report", "b")
    assert "total variation distance" in (quick.folder / "b" / "report.html").read_text()


def test_answers_that_cannot_be_read_are_counted(quick: Emosim, ratings: str) -> None:
    with ChatServer(lambda body: "I would rather not say") as server:
        quick(*command(server, ratings, "--max-users", "2", "--max-heldout", "1", "--llm-rater", "0Shot_system_our"),
              "--out", "b")  # fmt: skip
    (one,) = json.loads((quick.folder / "b" / "prompts.json").read_text())["strategies"]
    assert one["failed"]["estimate"] == 1
    assert one["rmse"]["estimate"] is None


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--max-questions", "9", *TWO), "max_questions=9 is too few: one held-out item for each of 8 users takes"),
        (("--llm-rater", "0Shot"), "unknown prompt strategy '0Shot'"),
        (("--max-users", "1"), "--max-users: Input should be greater than or equal to 2"),
    ],
)
def test_mistakes_are_named_before_anything_is_asked(
    quick: Emosim, server: ChatServer, ratings: str, more: tuple[str, ...], says: str
) -> None:
    refused = quick(*command(server, ratings, *FEW, *more, "--out", "b"), status=2)
    assert says in " ".join(refused.err.split())
    assert not server.calls
    assert not (quick.folder / "b").exists()


def test_without_a_model_there_is_nothing_to_prompt(quick: Emosim, ratings: str) -> None:
    refused = quick("prompt-bench", "--plugin", "movies", "--ratings", ratings, status=2)
    assert "give --llm-model" in refused.err


def test_a_number_of_questions_lowers_the_items_and_costs_are_said_first(
    quick: Emosim, server: ChatServer, ratings: str
) -> None:
    options = ("--max-users", "4", "--max-heldout", "9", "--max-questions", "40", "--llm-rater", "0Shot_system_our")
    done = quick(*command(server, ratings, *options, "--out", "b"))
    assert len(server.calls) <= 40
    assert re.search(r"28 requests, about [\d,]+ tokens in", done.err)


def test_a_program_measures_the_same(quick: Emosim, server: ChatServer, ratings: str) -> None:
    few = ("--max-users", "4", "--max-heldout", "1", "--llm-rater", "0Shot_system_our,1Shot_system_our:shots=3")
    command_line = quick(*command(server, ratings, *few), "--out", "b", "--json").json
    program = emosim_core.prompt_bench(
        *("movies", quick.folder / "again"), ratings=ratings, llm_model=f"{server.url}#m", max_users=4, max_heldout=1,
        llm_rater=["0Shot_system_our", "1Shot_system_our:shots=3"],
    )  # fmt: skip
    assert program["differences"] == command_line["differences"]
    with pytest.raises(emosim_core.ConfigurationError, match="needs a language model"):
        emosim_core.prompt_bench("movies", quick.folder / "none", ratings=ratings)
