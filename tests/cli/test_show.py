"""``emosim show``: a run's table, and one episode as a story."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from emosim_core import run


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "done"
    run("movies", directory, episodes=4, max_steps=10, user_dataset="detailed:n=40", perturbator="gaussian:sd=2")
    return directory


@pytest.fixture
def copied(done: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "r"))


def steps_of(directory: Path, episode: int) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (directory / "interactions.jsonl").read_text().splitlines()]
    return [line for line in lines if line["episode"] == episode]


def test_without_an_episode_the_runs_table_is_printed(quick: Any, done: Path) -> None:
    output = quick("show", done).out
    for word in ("(no language model)", "episodes", "mean rating", "end reasons", "mood at the end"):
        assert word in output
    assert "4, with 4 different users" in output
    assert "not complete" not in output


def test_a_story_shows_the_user_recommendations_memories_ratings_reasons_and_emotions(quick: Any, done: Path) -> None:
    for episode in range(4):
        lines = quick("show", done, "--episode", episode).out.splitlines()
        steps = steps_of(done, episode)
        user = steps[0]["user_profile"]
        assert lines[0].startswith(f"{user['name']} ({user['age']}, {user['job']}")
        assert user["description"] in lines
        assert any(line.startswith("Character: ") for line in lines)
        assert any(line.startswith("Mood at the start: ") for line in lines)
        assert "Rater: rule_based (no language model)." in lines
        text = "\n".join(lines)
        place = 0
        for step in steps:
            (item,) = step["recommended"]
            place = text.index(f"{step['step']:>3}. {item['title']}", place)
            block = text[place : text.index("mood   ", place)]
            perturbed = f", perturbed to {item['rating']}" if item["rating"] != item["raw_rating"] else ""
            assert f"rating      {item['raw_rating']}{perturbed}\n" in block
            assert f"reason      {item['reason']}" in block
            assert f"emotion     {item['valence']}, arousal {item['arousal']}" in block
            for past in item["retrieved"]:
                assert f"{past['title']} ({past['rating']})" in block
            assert ("retrieved" in block) == bool(item["retrieved"])
        total = sum(step["reward"] for step in steps)
        assert lines[-1].startswith(f"The end, after {len(steps)} steps: {user['name']} ")
        assert lines[-1].endswith(f"Total reward {total:g}.")
    assert "perturbed to" in text


def test_what_was_recommended_but_not_consumed_is_told_apart(quick: Any, tmp_path: Path) -> None:
    run("movies", tmp_path / "r", episodes=1, max_steps=4, slate=3, choice="ratings_first", reward_shaping="identity")
    output = quick("show", "r", "--episode", "0").out
    assert output.count("did not take it") == 8
    assert output.count(" emotion ") == 4


def test_an_item_that_is_met_again_is_shown_as_such(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("item\nalien-1979\nalien-1979\n")
    run(
        "movies", tmp_path / "r", episodes=1, policy=f"replay:{tmp_path}/list.csv", reward_shaping="same_item_terminate"
    )
    output = quick("show", "r", "--episode", "0").out
    assert "Alien, time number 2" in output
    assert "left at a repeat" in output


@pytest.mark.parametrize("episode", ["4", "-1", "99"])
def test_an_unknown_episode_is_an_error_that_says_which_there_are(quick: Any, done: Path, episode: str) -> None:
    message = quick("show", done, "--episode", episode, status=2).err
    assert f"has no episode {episode}; it has 4 episodes, 0 to 3" in message


def test_a_directory_that_is_no_run_is_an_error(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for name, words in (("other", "is no run, nor anything else"), ("nowhere", "is no directory")):
        for more in ([], ["--episode", "0"]):
            message = quick("show", name, *more, status=2).err
            assert message.startswith(f"Error: {name} {words}")
            assert message.endswith("emosim runs\n")
    (tmp_path / "file").write_text("x")
    assert "file" in quick("show", "file", status=2).err
    assert "there is no directory runs" in quick("show", status=2).err


def test_a_run_that_was_killed_tells_how_far_it_came_and_how_it_goes_on(quick: Any, copied: Path) -> None:
    (copied / "summary.json").unlink()
    path = copied / "interactions.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"\n", len(whole) // 3) + 30])
    steps = path.read_bytes().count(b"\n")
    output = quick("show", copied).out
    continued = f"Continue with: emosim run --resume {copied}"
    assert f"The run is not complete: 0 of 4 episodes, {steps} steps. {continued}" in output
    assert "The episode is not over: the run stopped in the middle of it." in quick("show", copied, "--episode", 1).out


@pytest.mark.parametrize("records", ["empty", "none"])
def test_a_run_that_was_killed_before_its_first_step_can_be_shown(quick: Any, copied: Path, records: str) -> None:
    (copied / "summary.json").unlink()
    path = copied / "interactions.jsonl"
    if records == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    assert "The run is not complete: 0 of 4 episodes, 0 steps." in quick("show", copied).out
    assert "has no episode 0; it has no steps yet" in quick("show", copied, "--episode", "0", status=2).err


@pytest.mark.parametrize("line", [b"x\n", b"3\n", b"{}\n", b'{"episode":0}\n', b"\xff\xfe\n", b"\n"])
def test_a_line_that_is_no_step_is_named(quick: Any, copied: Path, line: bytes) -> None:
    path = copied / "interactions.jsonl"
    path.write_bytes(path.read_bytes() + line)
    number = path.read_bytes().count(b"\n")
    message = quick("show", copied, "--episode", "0", status=2).err
    assert f"interactions.jsonl, line {number}: " in message


def test_a_damaged_summary_is_named(quick: Any, copied: Path) -> None:
    (copied / "summary.json").write_text("{")
    assert "summary.json is not JSON" in quick("show", copied, status=2).err
    (copied / "summary.json").write_text("[]")
    assert "summary.json is damaged" in quick("show", copied, status=2).err


def test_texts_of_users_and_items_are_shown_as_they_are(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,name,description\n1,[red]Ann[/red] :smile:,likes [bold]\n")
    run("movies", tmp_path / "r", episodes=1, max_steps=2, user_dataset=f"csv:{tmp_path}/p.csv")
    output = quick("show", "r", "--episode", "0").out
    assert "[red]Ann[/red] :smile:" in output
    assert "likes [bold]" in output
