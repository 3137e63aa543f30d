"""Film viewers: the texts about them read well, and popularity."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from emosim_movies.domain import movies

from emosim_core.testing import PopulationProfileConformance, load_users

POPULARITY = {
    "comedy": 0.90, "adventure": 0.90, "action": 0.88, "thriller": 0.84, "drama": 0.84, "crime": 0.82,
    "documentary": 0.77, "animation": 0.70, "fantasy": 0.70, "science fiction": 0.69, "romance": 0.67, "horror": 0.52,
}  # fmt: skip


class TestPopulation(PopulationProfileConformance):
    domain = "movies"


def test_popularity_is_that_of_the_method() -> None:
    population = movies().population
    assert population is not None
    assert {name: category.popularity for name, category in population.categories.items()} == POPULARITY


def test_what_is_more_popular_is_disliked_less() -> None:
    users = load_users("movies", "sampled:n=6000,seed=1")
    disliked = Counter(name for user in users for name in user.disliked)
    for name, popularity in POPULARITY.items():
        # A few users dislike more than four, of which four are recorded.
        assert disliked[name] / 6000 == pytest.approx(1 - popularity, abs=0.08)


def test_names_that_files_have_for_categories_are_known() -> None:
    aliases = movies().category_aliases
    assert aliases["animated"] == "animation"
    assert set(POPULARITY) & set(aliases.values()) == {"animation", "documentary", "science fiction"}


@pytest.mark.parametrize(
    ("kind", "digest"),
    [("sampled", "79285913ab9d581e"), ("basic", "f081463e6587832f"), ("detailed", "b777e4bb0cda105c")],
)
def test_the_same_seed_gives_the_same_users_in_every_release(kind: str, digest: str) -> None:
    users = "".join(user.model_dump_json() for user in load_users("movies", f"{kind}:n=600,seed=42"))
    assert hashlib.sha256(users.encode()).hexdigest().startswith(digest)
