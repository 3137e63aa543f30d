"""The domain of books: its scale and words, emotion and patience on 1 to 5, and what the plugin registers."""

from __future__ import annotations

import dataclasses
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from emosim_books.book import Book
from emosim_books.domain import books

import emosim_core
from emosim_core.loading import write_users_csv
from emosim_core.plugins import BeginRequest, Emotion, EmotionThresholds, Registry, User
from emosim_core.testing import shaping_request, small_world

LEVELS = [1.0, 2.0, 3.0, 4.0, 5.0]


def test_books_are_rated_1_to_5() -> None:
    domain = books()
    assert (domain.name, domain.title, str(domain.scale), domain.item_type) == ("books", "Books", "1-5", Book)
    assert domain.scale.levels.tolist() == LEVELS


def test_real_ratings_are_the_published_shares_and_sum_to_one() -> None:
    domain = books()
    assert len(domain.real_ratings) == len(LEVELS)
    assert sum(domain.real_ratings) == pytest.approx(1, abs=1e-9)
    assert domain.real_ratings == pytest.approx([0.0188, 0.0599, 0.2390, 0.3637, 0.3185], abs=1e-4)
    assert "goodbooks-10k" in domain.real_ratings_source


def test_every_word_is_there_and_is_about_books() -> None:
    words = books().words
    for field in dataclasses.fields(words):
        assert getattr(words, field.name), field.name
        assert getattr(words, field.name) != field.default, field.name
    assert set(words.traits) == {"activity", "conformity", "diversity"}
    text = " ".join(text for texts in words.traits.values() for text in texts)
    assert "book" in text
    assert not any(word in text for word in ("film", "movie", "watch", "cinema", "viewer"))


def test_a_5_is_positive_and_arousing_a_1_negative_and_dull_a_3_neither() -> None:
    emotion = Emotion(books().scale)
    assert emotion.valence(LEVELS).tolist() == [-1, -1, 0, 1, 1]
    assert emotion.arousal(LEVELS).tolist() == [0, 0.5, 0.5, 0.5, 1]


def test_a_book_is_liked_from_4() -> None:
    domain = books()
    threshold = domain.scale.carry(EmotionThresholds().positive)
    liked = [level for level in LEVELS if level >= threshold]
    assert liked == [4, 5]
    share = sum(s for level, s in zip(LEVELS, domain.real_ratings, strict=True) if level in liked)
    assert share == pytest.approx(0.6823, abs=1e-3)


class Never:
    """Draws that no chance below one reaches."""

    def __init__(self, users: int) -> None:
        self._users = users

    def uniform(self, count: int) -> Any:
        return np.full((self._users, count), 1.0)


def test_a_reader_is_disappointed_up_to_2() -> None:
    scale, shaping = books().scale, Registry().resolve("reward_shaping", "churn_satisfaction").build()
    options = shaping.options
    assert scale.carry(options.threshold) == pytest.approx(2 + 1 / 3)
    shaping.start(small_world(scale).shaping_setting(len(LEVELS)))
    users = np.arange(len(LEVELS))
    shaping.begin(BeginRequest(rows=users))
    ratings = np.array(LEVELS)[:, None]
    for step in range(1, options.low_streak + options.min_steps + 1):
        rewards, ends = shaping.shape_batch(shaping_request(ratings, small_world(scale), steps=step), Never(len(users)))
        assert rewards.tolist() == ratings.tolist()
    assert ends.tolist() == [1, 1, 0, 0, 0]


CATALOG = """id,title,year,categories,authors,public_rating,ratings,description
a,The Quiet Harbour,1999,fiction|romance,Ada Berg,4.2,12000,A ferryman waits for a letter.
b,Night Shift,2004,thriller,Jon Ek,3.4,900,A guard hears steps in an empty museum.
c,Sums for Lovers,2011,humor|economics,Mia Roth,2.1,40,A banker courts an accountant.
"""


@pytest.fixture
def world(tmp_path: Path) -> dict[str, Any]:
    """Options of books and readers that need no bundled file."""
    (tmp_path / "books.csv").write_text(CATALOG, encoding="utf-8")
    users = [
        User(id=f"u{i}", name=f"Reader {i}", description="Somebody who reads.", liked=liked)
        for i, liked in enumerate([("fiction",), ("thriller", "economics"), ()])
    ]
    write_users_csv(tmp_path / "users.csv", users)
    return {
        "items": f"csv:{tmp_path / 'books.csv'}",
        "user_dataset": f"csv:{tmp_path / 'users.csv'}",
        "embeddings": "lexical",
        "items_retrieval": "simple_2",
    }


def test_a_run_of_books_rates_1_to_5_and_counts_who_liked_them_from_4(world: dict[str, Any], tmp_path: Path) -> None:
    summary = emosim_core.run("books", tmp_path / "run", episodes=12, seed=3, **world)
    assert summary["domain"] == "books"
    assert summary["scale"] == "1-5"
    assert list(summary["rating_counts"]) == ["1", "2", "3", "4", "5"]
    counts = summary["rating_counts"]
    assert sum(counts.values()) == summary["ratings"] > 0
    assert summary["share_liked"] == pytest.approx((counts["4"] + counts["5"]) / summary["ratings"], abs=1e-4)
    assert 1 <= summary["mean_rating"] <= 5


def test_an_environment_of_books_can_be_made_by_its_name(world: dict[str, Any]) -> None:
    import emosim_books  # noqa: F401

    env = gymnasium.make("EmoSim/Books-v0", **world)
    _, info = env.reset(seed=1)
    assert info["user_name"].startswith("Reader")
    _, reward, _, _, info = env.step(0)
    assert info["titles"] == ["The Quiet Harbour"]
    assert info["raw_ratings"][0] in LEVELS
    assert reward == info["raw_ratings"][0]


def test_the_plugin_brings_what_it_says_and_all_of_it_is_there() -> None:
    registry = Registry(only={"books"})
    registry.load_all(warn=False)
    (record,) = [record for record in registry.records if record.name == "books"]
    assert record.status == "ok"
    assert sorted((component.kind, component.usage()) for component in record.components) == [
        ("domain", "books"),
        ("item_loader", "amazon:PATH"),
        ("item_loader", "csv:PATH"),
        ("item_loader", "goodreads:PATH"),
        ("item_loader", "sample"),
        ("retrieval", "simple_K"),
        ("user_loader", "basic"),
        ("user_loader", "csv:PATH"),
        ("user_loader", "detailed"),
        ("user_loader", "sampled"),
    ]
    for component in record.components:
        assert component.domain == (None if component.kind == "domain" else "books")
        for where in filter(None, (component.factory, component.options)):
            module, _, name = where.partition(":")
            assert hasattr(__import__(module, fromlist=[name]), name), where


def test_the_distribution_is_found_by_its_domain_and_named_once() -> None:
    entries = [entry for group in ("emosim", "emosim.domains") for entry in metadata.entry_points(group=group)]
    ours = [(entry.group, entry.name) for entry in entries if entry.value == "emosim_books.plugin"]
    assert ours == [("emosim.domains", "books")]
