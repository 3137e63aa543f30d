"""Film viewers: popularity, texts that vary and read well, and what a child is shown to like."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import numpy as np
import pytest
from emosim_movies.people import PROFILE, TRAIT_TEXTS, Basic, Detailed, Sampled, ViewersCsv

from emosim_core import GeneratedUsersOptions, User, generate_people

POPULARITY = {
    "comedy": 0.90, "adventure": 0.90, "action": 0.88, "thriller": 0.84, "drama": 0.84, "crime": 0.82,
    "documentary": 0.77, "animation": 0.70, "fantasy": 0.70, "science fiction": 0.69, "romance": 0.67, "horror": 0.52,
}  # fmt: skip


def skeleton(user: User) -> str:
    """A description without what is this person's alone: names, age, job, hobby, sex."""
    text = user.description
    job = user.job.removeprefix("retired ").removesuffix(" student") if user.age and user.age > 17 else user.job
    for own in (user.name, user.name.split()[0], user.hobby, user.hobby.capitalize(), user.job, job):
        text = text.replace(own, "_")
    text = re.sub(r"\ban? (?=_|\d)|\b\d+\b", "_", text, flags=re.IGNORECASE)
    return re.sub(r"\b(s?he|his|her|him|himself|herself|_)\b", "_", text, flags=re.IGNORECASE)


def five_grams(text: str) -> set[tuple[str, ...]]:
    tokens = re.findall(r"[\w'-]+", text.lower())
    return {tuple(tokens[i : i + 5]) for i in range(len(tokens) - 4)}


@pytest.mark.parametrize("loader", [Sampled, Basic, Detailed])
def test_600_descriptions_do_not_read_alike(loader: type[Sampled]) -> None:
    people = loader().load()
    assert len({user.description for user in people}) == 600
    skeletons = [skeleton(user) for user in people]
    assert len(set(skeletons)) >= 590
    grams = [five_grams(text) for text in skeletons]
    shared = [len(a & b) / min(len(a), len(b)) for a, b in itertools.combinations(grams[:200], 2)]
    assert np.mean(shared) < 0.06
    openings = Counter(" ".join(text.split()[:4]) for text in skeletons)
    assert max(openings.values()) < 120


def test_popularity_is_that_of_the_method() -> None:
    assert {name: category.popularity for name, category in PROFILE.categories.items()} == POPULARITY


def test_what_is_more_popular_is_disliked_less() -> None:
    people = generate_people(6000, 1, PROFILE)
    disliked = Counter(name for user in people for name in user.disliked)
    for name, popularity in POPULARITY.items():
        # A few people dislike more than four, of whom four are kept.
        assert disliked[name] / 6000 == pytest.approx(1 - popularity, abs=0.08)


def test_children_like_nothing_that_is_not_for_them() -> None:
    people = generate_people(3000, 2, PROFILE, "detailed")
    for user in people:
        assert user.age is not None
        unfit = {name for name, category in PROFILE.categories.items() if user.age < category.from_age}
        assert not unfit & set(user.liked)
        assert user.liked
    assert any("horror" in user.liked for user in people)


def test_every_sentence_can_come_up_and_is_well_formed() -> None:
    everyone = [user for seed in range(4) for user in generate_people(2000, seed, PROFILE, "detailed")]
    for user in everyone:
        assert not re.search(r"[{}\[\]|]|  | [.,;:]|[.,;:][.,;:]", user.description), user.description
        assert user.description.endswith(".")
        assert not re.search(r"\ba [aeiou](?!ni|ne\b)|\ban (?!hour)[^aeiou\d]", user.description), user.description
        assert not re.search(r"\b(\w+) \1\b", user.description), user.description


def test_no_text_has_a_number_but_the_age() -> None:
    for user in generate_people(1000, 3, PROFILE, "detailed"):
        assert set(re.findall(r"\d+", user.description)) <= {str(user.age)}


def test_a_detailed_description_names_every_taste() -> None:
    for user in generate_people(300, 4, PROFILE, "detailed"):
        for name in (*user.liked, *user.disliked):
            plural = PROFILE.categories[name].plural
            assert plural.split()[0].lower() in user.description.lower(), (plural, user.description)


def test_colour_keeps_the_name_of_its_category_and_lists_stay_readable() -> None:
    for category in PROFILE.categories.values():
        for phrase in category.liked:
            assert category.plural in phrase
            assert "," not in phrase
            assert " and " not in phrase


def test_trait_texts_go_on_from_a_person_who() -> None:
    assert set(TRAIT_TEXTS) == {"activity", "conformity", "diversity"}
    for texts in TRAIT_TEXTS.values():
        assert len(set(texts)) == 3
        assert all(text[0].islower() and not text.endswith(".") for text in texts)


def test_loaders_take_number_and_seed() -> None:
    people = Basic(GeneratedUsersOptions(n=7, seed=1)).load()
    assert len(people) == 7
    assert not any(user.liked or user.disliked for user in people)


def test_names_that_files_have_for_categories_are_known() -> None:
    assert ViewersCsv.aliases["animated"] == "animation"
    assert set(POPULARITY) & set(ViewersCsv.aliases.values()) == {"animation", "documentary", "science fiction"}
