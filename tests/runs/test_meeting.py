"""A meeting is the run that recommends the same slates, whatever way led there."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.errors import ConfigurationError, RatingError
from emosim_core.hooks import Registry
from emosim_core.runs.meeting import Meeting, search_items
from emosim_core.simulation.assembly import World, assemble
from emosim_core.simulation.config import RunConfig
from emosim_core.testing import Answer, ChatServer


def world_of(**options: Any) -> World:
    options = {"plugin": "movies", "max_steps": 100, "reward_shaping": "identity", **options}
    return assemble(RunConfig(**options), Registry())


@cache
def shared(slate: int) -> World:
    """A world that all tests share: nothing changes it."""
    return world_of(slate=slate, p_interrupt=0.02 if slate > 1 else 0.0)


def records(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "interactions.jsonl").read_text().splitlines()]


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.integers(0, 500)),
        st.tuples(st.just("suggest"), st.sampled_from(["popular", "random", "epsilon_greedy", "similar_to_liked"])),
        st.tuples(st.just("rewind"), st.integers(0, 6)),
    ),
    min_size=1,
    max_size=9,
)


@settings(max_examples=8, deadline=None)
@given(slate=st.sampled_from([1, 3]), user=st.integers(0, 99), seed=st.integers(0, 2**40), actions=ACTIONS)
def test_a_saved_meeting_has_the_steps_that_were_seen(
    tmp_path_factory: pytest.TempPathFactory,
    slate: int,
    user: int,
    seed: int,
    actions: list[tuple[str, Any]],
) -> None:
    world = shared(slate)
    meeting = Meeting(world, world.population.users[user].id, seed)
    for what, value in actions:
        if what == "rewind":
            meeting.rewind(min(value, len(meeting.steps)))
        elif meeting.end_reason is None:
            by_hand = what == "offer"
            some = [world.catalog.items[value + number].id for number in range(slate)] if by_hand else []
            meeting.offer(some or meeting.suggest(value))
    seen = [step.record for step in meeting.steps]
    if not seen:
        with pytest.raises(ConfigurationError, match="nothing to save"):
            meeting.config()
        return
    folder = tmp_path_factory.mktemp("saved")
    summary = meeting.save(folder / "run")
    saved = records(folder / "run")
    assert saved[-1].pop("end_reason") in ("max_steps", seen[-1].pop("end_reason"))
    assert saved == seen
    assert summary["complete"]
    assert summary["steps"] == len(seen)
    shutil.rmtree(folder)


def test_going_back_and_offering_the_same_gives_the_same() -> None:
    meeting = Meeting(shared(3), "u0004", 3)
    for _ in range(4):
        meeting.offer(meeting.suggest("random"))
    seen, mood, memories = [step.record for step in meeting.steps], meeting.mood, meeting.memories()
    meeting.rewind(2)
    assert meeting.mood == tuple(seen[1]["mood"])
    assert [step.record for step in meeting.steps] == seen[:2]
    for record in seen[2:]:
        meeting.offer([one["item"] for one in record["recommended"]])
    assert ([step.record for step in meeting.steps], meeting.mood, meeting.memories()) == (seen, mood, memories)


def test_what_cannot_be_offered_is_said_and_changes_nothing() -> None:
    meeting = Meeting(shared(3), "u0001")
    some = [item.id for item in shared(3).catalog.items[:3]]
    for items, message in (
        (some[:2], "a slate has 3 items"),
        ([some[0], some[0], some[1]], "each once"),
        ([*some[:2], "nothing"], "no item 'nothing'"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            meeting.offer(items)
    with pytest.raises(ConfigurationError, match="Did you mean"):
        meeting.suggest("populer")
    with pytest.raises(ConfigurationError, match="there are 0 steps"):
        meeting.rewind(1)
    with pytest.raises(ConfigurationError, match="no user 'u1'"):
        Meeting(shared(3), "u1")
    assert meeting.steps == []
    assert {"random", "popular", "similar_to_liked"} <= set(meeting.policies())
    assert not {"replay", "trained", "python"} & set(meeting.policies())


def test_a_search_finds_titles_first() -> None:
    items = shared(1).catalog.items
    found, count = search_items(shared(1), "the dark")
    titles = [items[number].title for number in found]
    assert len(found) == count
    assert titles[0].startswith("The Dark")
    everything, count = search_items(shared(1), "", limit=7)
    assert (len(everything), count) == (7, len(items))
    assert search_items(shared(1), "no film has this in its title") == ([], 0)


def test_a_user_who_left_can_be_offered_nothing_until_one_goes_back() -> None:
    world = world_of(reward_shaping="same_item_terminate")
    meeting, item = Meeting(world, "u0002"), world.catalog.items[0].id
    meeting.offer([item])
    meeting.offer([item])
    assert meeting.end_reason == "repeat"
    with pytest.raises(ConfigurationError, match="left at a repeat"):
        meeting.offer([item])
    meeting.rewind(1)
    assert meeting.end_reason is None


def test_a_language_model_is_asked_once_for_what_is_repeated_and_a_failed_step_is_none(tmp_path: Path) -> None:
    """Its prompts are seen; a step that fails leaves no trace in later ones."""
    answers = iter(["7", "no number", "no number", "no number", "3"])
    with ChatServer(lambda body: Answer(next(answers))) as server:
        model = f"{server.url}#m"
        world = world_of(llm_model=model, gateway={"cache": tmp_path / "cache.sqlite"})
        meeting, items = Meeting(world, "u0003"), world.catalog.items
        step = meeting.offer([items[0].id])
        assert items[0].title in step.exchanges[0]["messages"][-1]["text"]
        assert step.exchanges[0]["answer"] == "7"
        with pytest.raises(RatingError, match="no rating by"):
            meeting.offer([items[1].id])
        assert len(meeting.steps) == 1
        meeting.offer([items[2].id])
        meeting.rewind(1)
        meeting.offer([items[2].id])
        meeting.save(tmp_path / "run")
        assert len(server.calls) == 5
        world.close()
    assert [one["recommended"][0]["raw_rating"] for one in records(tmp_path / "run")] == [
        one.record["recommended"][0]["raw_rating"] for one in meeting.steps
    ]
    assert (tmp_path / "run" / "transcript.jsonl").exists()
