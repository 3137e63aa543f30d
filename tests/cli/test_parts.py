"""Parts of commands by themselves: words, numbers and readings that no process is needed to try."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emosim_core.cli.options import cost_line
from emosim_core.cli.places import NEWEST, resumed_job
from emosim_core.cli.printing import print_csv, print_short
from emosim_core.cli.prompt import _index, _read_history, _read_mood
from emosim_core.cli.runs import _local
from emosim_core.cli.show import story
from emosim_core.cli.train import _in_words, _over
from emosim_core.errors import ConfigurationError
from emosim_core.llm.backend import Price
from emosim_core.model import RatingScale
from emosim_core.scaffold.words import _past, filled_words
from emosim_core.studies.cost import Estimate
from emosim_core.training.curves import TrainingProgress


@pytest.mark.parametrize(
    ("verb", "past"),
    [("listen to", "listened to"), ("try", "tried"), ("play", "played"), ("taste", "tasted"), ("visit", "visited")],
)
def test_the_past_of_a_verb_is_the_regular_one(verb: str, past: str) -> None:
    assert _past(verb) == past


def test_words_of_a_domain_follow_from_others_unless_they_are_given() -> None:
    words = filled_words({"item": " song ", "consume": "listen  to"})
    assert (words.item, words.items, words.consumed, words.user) == ("song", "songs", "listened to", "user")
    assert filled_words({"item": "story", "items": "stories"}).items == "stories"


def progress(**values: Any) -> TrainingProgress:
    return TrainingProgress(**{"timesteps": 64, "episodes": 9, "reward": None, "length": None, "fps": 1500.4, **values})


def test_a_line_of_a_training_is_the_mean_of_the_episodes_since_the_line_before() -> None:
    state = progress(reward=1.0, length=1.0)
    assert _over(state, []) is state
    mean = _over(state, [(3, 10.0, 4.0), (1, 20.0, 8.0)])
    assert (mean.reward, mean.length) == (12.5, 5.0)
    assert _in_words(progress(reward=12.5, length=5.0, evaluation={"test": 7.0})) == [
        *("reward 12.5", "length 5.0", "test users 7.0 in evaluation episodes", "9 episodes", "1,500 steps/s"),
    ]
    assert _in_words(progress()) == ["9 episodes", "1,500 steps/s"]


def test_a_time_that_is_none_is_a_dash() -> None:
    assert re.fullmatch(r"2024-0[12]-\d\d \d\d:\d\d", _local("2024-02-01T12:00:00+00:00"))
    assert _local("yesterday") == _local("") == "-"


SCALE = RatingScale(low=1, high=10)
WORLD: Any = SimpleNamespace(
    domain=SimpleNamespace(scale=SCALE, words=SimpleNamespace(item="film")),
    catalog=SimpleNamespace(index={"a": 0, "b": 1}, items=[SimpleNamespace(id="a"), SimpleNamespace(id="b")]),
)


def test_an_index_is_read_from_an_id_or_a_number() -> None:
    assert [_index(text, {"7": 0, "x": 1}, "film", "--item") for text in ("7", "x", "1")] == [0, 1, 1]
    with pytest.raises(ConfigurationError, match=r"--item '2' is no id of a film and no index from 0 to 1"):
        _index("2", {"7": 0, "x": 1}, "film", "--item")


def test_a_history_and_a_mood_are_read_or_refused() -> None:
    assert _read_history(" a=3, 1=10 ,", WORLD) == [(0, 3.0), (1, 10.0)]
    for wrong in ("a", "a=11", "=3", "a=x", "a=nan"):
        with pytest.raises(ConfigurationError, match=r"such as a=10; got"):
            _read_history(wrong, WORLD)
    assert _read_mood("-1,0.5") == [-1.0, 0.5]
    for wrong in ("0.5", "0,0,0", "2,0", "0,-1", "a,b", "nan,0"):
        with pytest.raises(ConfigurationError, match="--mood"):
            _read_mood(wrong)


def test_the_cost_of_calls_is_written_with_as_many_decimals_as_it_needs() -> None:
    price = Price(prompt=1.0, cached=0.5, completion=2.0, currency="USD", as_of="2025-01-01")
    for prompt, words in ((1_000_000, "about 1.00 USD"), (1000, "about 0.0010 USD")):
        line = cost_line(Estimate("m", 3, prompt, 0, price), ".")
        assert line.startswith(f"m: 3 requests, about {prompt:,} tokens in and up to 0 out; cost {words}")
    assert "not known: no price is known" in cost_line(Estimate("m", 3, 1, 1, None), ".")


def test_the_job_that_is_resumed_is_the_one_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resumed_job("run", Path("a"), None) is None
    for out, resume in ((None, "a"), (Path("a"), NEWEST), (Path("a"), "a")):
        job = resumed_job("run", out, resume)
        assert job is not None
        assert job.path == Path("a")
    with pytest.raises(ConfigurationError, match="--resume a and --out b name different directories"):
        resumed_job("run", Path("b"), "a")
    with pytest.raises(ConfigurationError, match="there is no training in runs/ to resume"):
        resumed_job("train", None, NEWEST)


def test_results_are_printed_as_json_or_by_their_place_where_that_is_wanted(capsys: Any) -> None:
    assert print_short({"a": 1}, Path("d"), as_json=True, quiet=True)
    assert print_short({"a": 1}, Path("d"), as_json=False, quiet=True)
    assert not print_short({"a": 1}, Path("d"), as_json=False, quiet=False)
    print_csv([["a,b", "c\x1b"]])
    assert capsys.readouterr().out == '{\n  "a": 1\n}\nd\n"a,b",c\\x1b\n'


def step(number: int, end: str | None = None, **item: Any) -> dict[str, Any]:
    """A record of one step with one item."""
    shown = {
        "item": "a",
        "title": "Heat",
        "raw_rating": 7,
        "rating": 7,
        "consumed": True,
        "times": 1,
        "retrieved": [],
        "reason": "",
        "valence": "positive",
        "arousal": "high",
        **item,
    }
    user = {"id": "u", "name": "Ann"}
    return {
        "episode": 0,
        "step": number,
        "user_profile": user,
        "recommended": [shown],
        "mood": [0.0, 0.0],
        "reward": 7.0,
        "end_reason": end,
    }


def test_a_story_tells_what_became_of_each_item_and_how_it_ended() -> None:
    manifest = {"answered_by": "rule_based"}
    lines = story(
        [
            step(1, times=2, rating=6, retrieved=[{"title": "Alien", "rating": 9}]),
            step(2, consumed=False),
            step(3, "max_steps", raw_rating=None, consumed=False),
        ],
        manifest,
    )
    text = "\n".join(lines)
    for words in (
        "  1. Heat, time number 2", "retrieved   Alien (9)", "rating      7, perturbed to 6",
        "would rate it 7, did not take it", "no rating: the rater failed", "The end, after 3 steps: Ann stayed",
        "Total reward 21.",
    ):  # fmt: skip
        assert words in text
    assert story([step(1)], manifest)[-1] == "The episode is not over: the run stopped in the middle of it."


def test_a_story_numbers_the_places_of_a_slate_and_leaves_out_a_propensity_of_1() -> None:
    whole = step(3, "max_steps", propensity=1.0)
    whole["recommended"] += step(3, title="Alien", propensity=0.25)["recommended"]
    text = "\n".join(story([whole], {"answered_by": "rule_based"}))
    assert "\n  3.1 Heat\n" in text
    assert "\n  3.2 Alien\n" in text
    assert re.findall("propensity.*", text) == ["propensity  0.25"]
