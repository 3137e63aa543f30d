"""emosim prompt: what a language model would be asked, without asking one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from emosim_core import EnvironmentConfig
from emosim_core.llm.prompts.prompt_text import mood_text
from emosim_core.llm.prompts.shot_strategy import ShotOptions, ShotPromptStrategy
from emosim_core.plugins import World, assemble

Quick = Callable[..., Any]


@pytest.fixture(scope="module")
def world() -> World:
    return assemble(EnvironmentConfig(plugin="books"))


def test_it_prints_roles_content_constraint_and_size(quick: Quick, world: World) -> None:
    out = quick("prompt", "--plugin", "books", "--llm-rater", "2Shot_system_our", "--user", "3", "--item", "12").out
    headings = [line for line in out.splitlines() if line.startswith("--- ")]
    expected = ["system", *["user", "assistant"] * 2, "user", "options of the request"]
    assert headings == [f"--- {name} ---" for name in expected]
    assert f"Name: {world.population.users[3].name}\n" in out
    assert f"Title: {world.catalog.items[12].title}\n" in out
    assert "answer: one of 1, 2, 3, 4, 5\n" in out
    assert "at most 16 tokens of answer, temperature 0\n" in out
    assert "tokens in the request (characters / 4; models count their own)" in out


def test_it_says_at_once_all_that_it_needs(quick: Quick) -> None:
    message = quick("prompt", "--plugin", "books", status=2).err
    assert "--user and --item are needed (User: an id, or an index from 0. Item: an id, or an index from 0.)" in message
    assert "--item is needed (Item: an id" in quick("prompt", "--plugin", "books", "--user=3", status=2).err


def test_the_default_is_that_of_a_run(quick: Quick) -> None:
    command = ("prompt", "--plugin", "books", "--user", "0", "--item", "0")
    assert quick(*command).out == quick(*command, "--llm-rater", "0Shot_system_our").out


def test_json_holds_the_question_to_the_letter(quick: Quick, world: World) -> None:
    user, item = world.population.users[5], world.catalog.items[7]
    command = ("prompt", "--plugin", "books", "--llm-rater", "1Shot_cot_enhanced", "--user", user.id, "--item", item.id)
    shown = json.loads(quick(*command, "--json").out)
    prompt_strategy = ShotPromptStrategy(ShotOptions(style="cot_enhanced", shots=1))
    prompt_strategy.prepare(world.setting())
    assert [message["role"] for message in shown["messages"]] == ["system", "user", "assistant", "user"]
    assert shown["messages"][-1]["content"].startswith(prompt_strategy._user_text(5))
    assert prompt_strategy._item(7) in shown["messages"][-1]["content"]
    assert shown["schema"]["required"] == ["reasons", "rating"]
    assert shown["choices"] == []
    assert shown["max_tokens"] == 512
    length = sum(len(message["content"]) for message in shown["messages"])
    assert shown["estimated_tokens"] == -(-length // 4)
    for message in shown["messages"]:
        assert message["content"] in quick(*command).out


def test_history_mood_and_times_reach_the_prompt(quick: Quick, world: World) -> None:
    titles = world.catalog.titles
    command = ("prompt", "--plugin", "books", "--user", "0", "--item", "1", "--items-retrieval", "last_2")
    past = f"2=5, {world.catalog.items[3].id}=1 ,1=4"
    out = quick(*command, "--history", past, "--mood=-0.6,0.9").out
    kinds = [", ".join(world.catalog.items[place].categories[:3]) for place in (1, 3)]
    lines = [
        "Books that you have read: 3, rated 3.3 on average. The most relevant first:",
        "<history>",
        f"- {titles[1]} ({kinds[0]}): the last book, rated 4, felt pleased",
        f"- {titles[3]} ({kinds[1]}): 2 books ago, rated 1, felt bored",
        "</history>",
    ]
    assert "\n".join([*lines, ""]) in out
    assert "Mood now: very bad, on edge\n" in out
    assert "Read before: once\n" in out
    assert "Read before: 7 times\n" in quick(*command, "--history", past, "--times", "7").out
    assert "<history>\n" not in quick(*command).out
    assert "Read before: never\n" in quick(*command).out


def test_without_a_mood_the_users_rests(quick: Quick, world: World) -> None:
    rests = next(n for n, (valence, _) in enumerate(world.population.baselines) if valence > 0.2)
    moods = mood_text(*world.population.baselines[rests]), mood_text(0.0, 0.4)
    assert moods[0] != moods[1]
    assert moods[0] in quick("prompt", "--plugin", "books", "--user", str(rests), "--item", "0").out


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--user", "600"], "--user '600' is no id of a user and no index from 0 to 599."),
        (["--user", "u0O01"], "Did you mean"),
        (["--user=-1"], "--user '-1' is no id of a user"),
        (["--item", "nothing"], "--item 'nothing' is no id of a book"),
        (["--history", "1=6"], "expected ITEM=RATING with a rating of 1-5"),
        (["--history", "1"], "expected ITEM=RATING"),
        (["--history", "=3"], "expected ITEM=RATING"),
        (["--history", "zzz=3"], "--history 'zzz' is no id of a book"),
        (["--history", "1=nan"], "expected ITEM=RATING"),
        (["--mood", "1"], "expected valence in -1 to 1 and arousal in 0 to 1"),
        (["--mood", "0,1.5"], "expected valence in -1 to 1 and arousal in 0 to 1"),
        (["--llm-rater", "3Shot_system_our"], "unknown prompt strategy '3Shot_system_our'. Did you mean"),
        (["--llm-rater", "0Shot_system_our:shots=4"], "shots"),
    ],
)
def test_mistakes_are_named(quick: Quick, more: list[str], says: str) -> None:
    finished = quick("prompt", "--plugin", "books", "--user", "0", "--item", "0", *more, status=2)
    assert says in finished.err
    assert finished.out == ""
