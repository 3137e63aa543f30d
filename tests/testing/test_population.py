"""PopulationProfileConformance: a profile that reads well keeps to it, and each way to read badly is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from emosim_core.loading import CategoryProfile, PopulationProfile
from emosim_core.model.user import TRAITS
from emosim_core.testing import PopulationProfileConformance

LEVELS = {trait: [[f"{{who}} is {level} in {trait}."] for level in ("little", "some", "much")] for trait in TRAITS}
CATEGORIES = {
    "folk": CategoryProfile(0.9, "folk songs", ("folk songs by a fire",)),
    "jazz": CategoryProfile(0.8, "jazz songs", ("jazz songs late at night",)),
    "soul": CategoryProfile(0.9, "soul songs"),
    "metal": CategoryProfile(0.7, "metal songs", from_age=16),
}
RIGHT = PopulationProfile(categories=CATEGORIES, traits=LEVELS)
TEXTS = dict.fromkeys(TRAITS, ("leaves early", "stays a while", "stays"))


class Suite(PopulationProfileConformance):
    """What so few sentences can keep to."""

    profile = RIGHT
    trait_texts = TEXTS
    least_different = 100
    most_shared = 0.8
    most_alike_openings = 300
    most_who_like_nothing = 600


def saying(text: str) -> PopulationProfile:
    """The right profile with this sentence of who is much in activity."""
    return replace(RIGHT, traits={**LEVELS, "activity": [*LEVELS["activity"][:2], [text]]})


def with_jazz(**changes: object) -> PopulationProfile:
    return replace(RIGHT, categories={**CATEGORIES, "jazz": replace(CATEGORIES["jazz"], **changes)})


CHECKS = [name for name in dir(Suite) if name.startswith("test_")]


@pytest.mark.parametrize("check", CHECKS)
def test_a_profile_that_reads_well_keeps_to_it(check: str) -> None:
    getattr(Suite(), check)()


@pytest.mark.parametrize(
    ("check", "changes", "says"),
    [
        ("600_descriptions", {"least_different": 601}, r"only \d+ of 600 sampled descriptions differ in more than"),
        ("600_descriptions", {"most_shared": 0.0}, "of their runs of five words"),
        ("600_descriptions", {"most_alike_openings": 0}, r"\d+ of 600 sampled descriptions begin with '"),
        ("users_of_all_ages", {"profile": with_jazz(from_age=100)}, r"nobody of 3000 likes \['jazz'\]"),
        ("users_of_all_ages", {"profile": replace(RIGHT, categories={})}, "3000 of 3000 like nothing"),
        ("well_formed", {"profile": saying("{who} likes this , that.")}, "stray space or mark: ' ,'"),
        ("well_formed", {"profile": saying("{who} wants a opera.")}, "a wrong article: 'a o'"),
        ("well_formed", {"profile": saying("{who} stays stays.")}, "a word twice: 'stays stays'"),
        ("a_number", {"profile": saying("{who} stays for 999 songs.")}, r"the numbers \['999'\]"),
        ("every_taste", {"profile": replace(RIGHT, likes=("{who} likes songs[| of {liked}].",))}, "nothing of '"),
        ("colour", {"profile": with_jazz(liked=("jazz at night",))}, "leaves out 'jazz songs'"),
        ("colour", {"profile": with_jazz(liked=("jazz songs and blues",))}, "is a list of its own"),
        ("trait_texts", {"trait_texts": {"activity": TEXTS["activity"]}}, "texts for"),
        (
            "trait_texts",
            {"trait_texts": {**TEXTS, "activity": ("a", "a", "b")}},
            "2 texts for the levels of",
        ),
        ("trait_texts", {"trait_texts": {**TEXTS, "activity": ("a", "b.", "c")}}, "does not go on from"),
    ],
)
def test_what_reads_badly_is_found(check: str, changes: dict[str, object], says: str) -> None:
    (name,) = [one for one in CHECKS if check in one]
    suite = Suite()
    for attribute, value in changes.items():
        setattr(suite, attribute, value)
    test: Callable[[], None] = getattr(suite, name)
    with pytest.raises(AssertionError, match=says):
        test()
