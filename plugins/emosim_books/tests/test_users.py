"""Readers: the texts about them read well, popularity, and texts that are about books alone."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

import numpy as np
import pytest
from emosim_books.book import CATEGORIES
from emosim_books.domain import books

from emosim_core.testing import PopulationProfileConformance, load_users, real

NOT_ABOUT_BOOKS = r"\b(films?|movies?|cinemas?|watch(es|ed|ing)?|viewers?|screenings?)\b"


PROFILE, ALIASES = books().population, books().category_aliases
assert PROFILE is not None


class TestPopulation(PopulationProfileConformance):
    domain = "books"


def test_every_category_of_the_bundled_books_can_be_liked() -> None:
    assert set(PROFILE.categories) == set(CATEGORIES)
    assert all(0.2 <= category.popularity <= 0.95 for category in PROFILE.categories.values())


def test_what_is_more_popular_is_liked_more_and_disliked_less() -> None:
    users = load_users("books", "sampled:n=6000,seed=1")
    liked = Counter(name for user in users for name in user.liked)
    disliked = Counter(name for user in users for name in user.disliked)
    grown_up = [name for name, category in PROFILE.categories.items() if category.from_age <= 10]
    popularity = [PROFILE.categories[name].popularity for name in grown_up]
    assert np.corrcoef(popularity, [liked[name] for name in grown_up])[0, 1] > 0.6
    everything = list(PROFILE.categories)
    popularity = [PROFILE.categories[name].popularity for name in everything]
    assert np.corrcoef(popularity, [disliked[name] for name in everything])[0, 1] < -0.6


def test_no_text_of_a_trait_or_taste_is_about_anything_but_books() -> None:
    texts = [text for texts in books().words.traits.values() for text in texts]
    for traits in (PROFILE.traits, PROFILE.child_traits):
        texts += [text for levels in traits.values() for sentences in levels for text in sentences]
    texts += [*PROFILE.likes, *PROFILE.dislikes, *PROFILE.no_dislikes]
    for category in PROFILE.categories.values():
        texts += [category.plural, *category.liked, *category.disliked]
    assert [text for text in texts if re.search(NOT_ABOUT_BOOKS, text, re.IGNORECASE)] == []


def test_names_that_files_have_for_categories_are_known() -> None:
    assert ALIASES["autobiography"] == "biography"
    assert ALIASES["sci-fi"] == "science fiction"
    assert set(ALIASES.values()) <= set(CATEGORIES)
    assert not set(ALIASES) & set(CATEGORIES)


def test_readers_of_the_original_simulator_are_read() -> None:
    users = load_users("books", f"csv:{real('personas/books_600.csv')}")
    assert len(users) == 600
    assert all(user.liked and user.description for user in users)
    liked = {name for user in users for name in user.liked}
    assert {"fiction", "biography", "economics", "health", "philosophy"} <= liked
    assert not liked & set(ALIASES)


@pytest.mark.parametrize(
    ("kind", "digest"),
    [("sampled", "f6e4fbd58ba830a1"), ("basic", "abdfaea1b7e86941"), ("detailed", "d2bdb7b560783a50")],
)
def test_the_same_seed_gives_the_same_users_in_every_release(kind: str, digest: str) -> None:
    users = "".join(user.model_dump_json() for user in load_users("books", f"{kind}:n=600,seed=42"))
    assert hashlib.sha256(users.encode()).hexdigest().startswith(digest)
