"""Film viewers: the texts about them read well, and popularity."""

from __future__ import annotations

from collections import Counter

import pytest
from emosim_movies.users import PROFILE, TRAIT_TEXTS, Basic, Detailed, Sampled, ViewersCsv

from emosim_core.loading import generate_users
from emosim_core.testing import PopulationProfileConformance

POPULARITY = {
    "comedy": 0.90, "adventure": 0.90, "action": 0.88, "thriller": 0.84, "drama": 0.84, "crime": 0.82,
    "documentary": 0.77, "animation": 0.70, "fantasy": 0.70, "science fiction": 0.69, "romance": 0.67, "horror": 0.52,
}  # fmt: skip


class TestProfile(PopulationProfileConformance):
    profile = PROFILE
    trait_texts = TRAIT_TEXTS
    sources = (("sampled", Sampled), ("basic", Basic), ("detailed", Detailed))


def test_popularity_is_that_of_the_method() -> None:
    assert {name: category.popularity for name, category in PROFILE.categories.items()} == POPULARITY


def test_what_is_more_popular_is_disliked_less() -> None:
    users = generate_users(6000, 1, PROFILE)
    disliked = Counter(name for user in users for name in user.disliked)
    for name, popularity in POPULARITY.items():
        # A few people dislike more than four, of whom four are kept.
        assert disliked[name] / 6000 == pytest.approx(1 - popularity, abs=0.08)


def test_names_that_files_have_for_categories_are_known() -> None:
    assert ViewersCsv.aliases["animated"] == "animation"
    assert set(POPULARITY) & set(ViewersCsv.aliases.values()) == {"animation", "documentary", "science fiction"}
