"""The summary of a run, each number of it against one computed by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from emosim_core.model import Catalog, Item, RatingScale
from emosim_core.runs import summary as summary_module
from emosim_core.runs.records import read_summary
from emosim_core.runs.summary import Episode, Tally, TallyState

SCALE = RatingScale(low=1, high=10)


@pytest.fixture
def tally(small_world: Callable[..., Any]) -> Tally:
    """A tally over twelve items, ``i0`` to ``i11``."""
    items = [Item(id=f"i{i}", title=f"Item {i}") for i in range(12)]
    return Tally(
        replace(small_world(), catalog=Catalog(items, SCALE), parts={"rater": {"name": "scripted", "provider": ""}})
    )


def rated(tally: Tally, ratings: dict[int, list[float]]) -> None:
    for item, values in ratings.items():
        tally.consumed(np.full(len(values), item), np.array(values, dtype=np.float64))


def ended(tally: Tally, episodes: list[tuple[int, int, float, float, float, str]]) -> None:
    """Count episodes, each as user, steps, reward, valence, arousal and end reason."""
    users, steps, rewards, valence, arousal, reasons = zip(*episodes, strict=True)
    moods = np.stack([valence, arousal], axis=1)
    tally.ended(np.array(users), np.array(steps), np.array(rewards), moods, reasons)


def listed(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["item"] for entry in entries]


def test_each_number_is_the_one_computed_by_hand(tally: Tally) -> None:
    ended(tally, [(1, 1, 2.0, 0.5, 0.2, "repeat"), (2, 2, 4.0, 0.1, 0.4, "max_steps")])
    ended(tally, [(1, 9, 9.0, -0.3, 0.9, "max_steps")])
    rated(tally, {0: [10, 7], 3: [1, 2, 7]})
    tally.steps, tally.failed = 12, 2
    assert tally.episodes == 3
    summary = tally.summary(seconds=8.0, complete=True)
    assert summary["complete"] is True
    assert (summary["episodes"], summary["users"], summary["steps"]) == (3, 2, 12)
    assert (summary["ratings"], summary["failed_ratings"]) == (5, 2)
    assert summary["mean_rating"] == 5.4
    assert summary["share_liked"] == 0.6  # 7 and more are liked
    assert summary["rating_counts"] == {**{str(n): 0 for n in range(1, 11)}, "1": 1, "2": 1, "7": 2, "10": 1}
    assert summary["mean_reward"] == 5.0
    assert summary["episode_length"] == {"mean": 4.0, "median": 2.0, "longest": 9}
    assert list(summary["end_reasons"].items()) == [("max_steps", 2), ("repeat", 1)]
    assert summary["mood_at_end"] == {"valence": 0.1, "arousal": 0.5}
    assert summary["most_liked"] == [{"item": "i0", "title": "Item 0", "mean_rating": 8.5, "ratings": 2}]
    assert summary["least_liked"] == [{"item": "i3", "title": "Item 3", "mean_rating": 3.3333, "ratings": 3}]
    assert (summary["seconds"], summary["steps_per_second"]) == (8.0, 2)
    assert (summary["uses_llm"], summary["usage"], summary["language_model"]) == (False, None, None)


def test_parts_of_a_run_that_are_counted_apart_and_stored_add_up_to_the_whole(tally: Tally) -> None:
    first, second = Tally(tally._world), Tally(tally._world)
    for part, others in ((first, second), (second, first)):
        number = 1 if part is first else 3
        for one in (part, tally):
            ended(one, [(number, number, 2.5 * number, 0.25, 0.5, "repeat"), (0, 2, 1.0, -0.5, 0.75, "max_steps")])
            rated(one, {number: [10, 7], 5: [number]})
            one.steps += number
            one.failed += 1
        assert part.summary(1.0, True) != others.summary(1.0, True)
    merged = Tally(tally._world)
    stored = TypeAdapter(TallyState)
    for part in (first, second):
        merged.add(stored.validate_json(stored.dump_json(part.state())))
    assert merged.summary(1.0, True) == tally.summary(1.0, True)
    assert merged.state() == tally.state()


def test_a_run_that_was_stopped_before_its_first_step_has_no_means(tally: Tally) -> None:
    summary = tally.summary(seconds=0.0, complete=False)
    assert summary["complete"] is False
    for name in ("mean_rating", "share_liked", "mean_reward", "steps_per_second"):
        assert summary[name] is None, name
    assert summary["episode_length"] == {"mean": None, "median": None, "longest": None}
    assert summary["mood_at_end"] == {"valence": None, "arousal": None}
    assert summary["most_liked"] == summary["least_liked"] == []
    assert (summary["episodes"], summary["ratings"]) == (0, 0)


def test_an_item_with_one_lucky_rating_tops_no_list_where_enough_items_have_three(tally: Tally) -> None:
    rated(tally, {item: [5 + item % 3] * 4 for item in range(10)})
    rated(tally, {10: [10, 10, 10], 11: [1, 1]})
    summary = tally.summary(1.0, complete=True)
    assert listed(summary["most_liked"]) == ["i10", "i2", "i5", "i8", "i1"]
    assert listed(summary["least_liked"]) == ["i0", "i3", "i6", "i9", "i4"]


def test_two_ratings_do_where_too_few_items_have_three_and_one_where_too_few_have_two(tally: Tally) -> None:
    rated(tally, {item: [5] * 3 for item in range(9)})
    rated(tally, {9: [9, 9], 10: [10]})
    assert listed(tally.summary(1.0, complete=True)["most_liked"])[:2] == ["i9", "i0"]
    tally = Tally(tally._world)
    rated(tally, {item: [5] * 2 for item in range(9)})
    rated(tally, {10: [10]})
    assert listed(tally.summary(1.0, complete=True)["most_liked"])[:2] == ["i10", "i0"]


def test_of_equal_means_that_of_more_ratings_comes_first_and_no_item_is_in_both_lists(tally: Tally) -> None:
    rated(tally, {0: [5], 1: [5, 5], 2: [5]})
    summary = tally.summary(1.0, complete=True)
    assert listed(summary["most_liked"]) == ["i1", "i0"]
    assert listed(summary["least_liked"]) == ["i2"]


def test_an_episode_is_recorded_with_its_mean_rating_or_none() -> None:
    episode = Episode(4, 0, "Ann", "u0", steps=3, reward=1.23456789, rated=2, total=5.0, end_reason="repeat")
    assert episode.record() == {
        "number": 4, "user": "u0", "name": "Ann", "steps": 3, "reward": 1.234568, "mean_rating": 2.5,
        "end_reason": "repeat", "mood": [0.0, 0.0],
    }  # fmt: skip
    assert Episode(4, 0, "Ann", "u0").mean_rating is None


def test_ctrl_c_at_any_moment_of_counting_leaves_a_summary_that_can_be_read(tally: Tally, tmp_path: Path) -> None:
    interrupted = 0
    for moment in range(100):
        seen = 0

        def stop(frame: FrameType, event: str, argument: object, moment: int = moment) -> Any:
            nonlocal seen
            if frame.f_code.co_filename != summary_module.__file__:
                return None
            seen += event == "line"
            if seen > moment:
                raise KeyboardInterrupt
            return stop

        before = sys.gettrace()
        sys.settrace(stop)
        try:
            rated(tally, {0: [7]})
            ended(tally, [(1, 1, 2.0, 0.5, 0.2, "repeat"), (2, 2, 4.0, 0.1, 0.4, "max_steps")])
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            sys.settrace(before)
        (tmp_path / "summary.json").write_text(json.dumps(tally.summary(1.0, complete=False)))
        read_summary(tmp_path)
        if not seen > moment:
            break
    assert interrupted >= 7  # lines of consumed() and ended()
