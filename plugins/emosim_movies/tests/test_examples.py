"""The worked examples: they are whole, on the scale, and say nothing that is not the domain's."""

from __future__ import annotations

import re

import pytest
from emosim_movies.domain import movies
from emosim_movies.examples import EXAMPLES

from emosim_core import Domain, Example, Registry


def test_the_domain_brings_them() -> None:
    domain = Registry(only=["movies"]).resolve_domain("movies").build()
    assert isinstance(domain, Domain)
    assert tuple(domain.examples) == EXAMPLES
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.person.split(",")[0])
def test_an_example_is_short_and_its_rating_is_of_the_scale(example: Example) -> None:
    assert movies().scale.contains(example.rating)
    assert 100 < len(example.person) < 350
    assert 80 < len(example.item) < 350
    assert 40 < len(example.reason) < 130
    assert example.reason.count(".") == 1
    assert len(example.reason.split()) <= 20  # as prompts ask of a reason


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.person.split(",")[0])
def test_an_example_tells_no_rating_in_its_texts(example: Example) -> None:
    for text in (example.person, example.item, example.reason):
        assert not re.search(r"\brat(e|ing)|\bstars? out\b|\d/\d|out of", text)


def test_the_first_is_liked_and_the_second_is_not() -> None:
    liked, disliked = EXAMPLES
    middle = (movies().scale.low + movies().scale.high) / 2
    assert disliked.rating < middle < liked.rating
