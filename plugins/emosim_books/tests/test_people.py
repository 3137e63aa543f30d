"""Readers: popularity, texts that vary and read well, and what a child is shown to like."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from emosim_books.book import CATEGORIES
from emosim_books.people import PROFILE, TRAIT_TEXTS, Basic, Detailed, ReadersCsv, Sampled

from emosim_core import CsvUsersOptions, GeneratedUsersOptions, User, generate_people

NOT_ABOUT_BOOKS = r"\b(films?|movies?|cinemas?|watch(es|ed|ing)?|viewers?|screenings?)\b"


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


def test_every_category_of_the_bundled_books_can_be_liked() -> None:
    assert set(PROFILE.categories) == set(CATEGORIES)
    assert all(0.2 <= category.popularity <= 0.95 for category in PROFILE.categories.values())


def test_what_is_more_popular_is_liked_more_and_disliked_less() -> None:
    people = generate_people(6000, 1, PROFILE)
    liked = Counter(name for user in people for name in user.liked)
    disliked = Counter(name for user in people for name in user.disliked)
    grown_up = [name for name, category in PROFILE.categories.items() if category.from_age <= 10]
    popularity = [PROFILE.categories[name].popularity for name in grown_up]
    assert np.corrcoef(popularity, [liked[name] for name in grown_up])[0, 1] > 0.6
    everything = list(PROFILE.categories)
    popularity = [PROFILE.categories[name].popularity for name in everything]
    assert np.corrcoef(popularity, [disliked[name] for name in everything])[0, 1] < -0.6


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


def test_no_text_of_a_trait_or_taste_is_about_anything_but_books() -> None:
    texts = [text for texts in TRAIT_TEXTS.values() for text in texts]
    for traits in (PROFILE.traits, PROFILE.child_traits):
        texts += [text for levels in traits.values() for sentences in levels for text in sentences]
    texts += [*PROFILE.likes, *PROFILE.dislikes, *PROFILE.no_dislikes]
    for category in PROFILE.categories.values():
        texts += [category.plural, *category.liked, *category.disliked]
    assert [text for text in texts if re.search(NOT_ABOUT_BOOKS, text, re.IGNORECASE)] == []


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
    assert ReadersCsv.aliases["autobiography"] == "biography"
    assert ReadersCsv.aliases["sci-fi"] == "science fiction"
    assert set(ReadersCsv.aliases.values()) <= set(CATEGORIES)
    assert not set(ReadersCsv.aliases) & set(CATEGORIES)


def test_readers_of_the_original_simulator_are_read() -> None:
    base = os.environ.get("EMOSIM_REAL_DATA")
    if not base or not (Path(base) / "personas" / "books_600.csv").exists():
        pytest.skip("EMOSIM_REAL_DATA names no folder with personas/books_600.csv")
    people = ReadersCsv(CsvUsersOptions(path=Path(base) / "personas" / "books_600.csv")).load()
    assert len(people) == 600
    assert all(user.liked and user.description for user in people)
    liked = {name for user in people for name in user.liked}
    assert {"fiction", "biography", "economics", "health", "philosophy"} <= liked
    assert not liked & set(ReadersCsv.aliases)
