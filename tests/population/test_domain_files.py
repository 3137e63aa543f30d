"""Domains in data files: read whole, and what is wrong is named by file and field."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emosim_core.loading import read_domain
from emosim_core.model import Domain, Item, PopulationSetting, RatingScale
from emosim_core.model.domain import ExampleMemory
from emosim_core.population import domain_files
from emosim_core.population.generated import GeneratedUsers, GeneratedUsersOptions
from emosim_core.testing import fails

DOMAIN = """
name = "songs"
title = "Songs"
scale = { low = 1, high = 5, step = 1 }
real_ratings = [0.1, 0.1, 0.2, 0.3, 0.2999]
real_ratings_source = "nobody"

[words]
item = "song"
items = "songs"

[columns]
description = "lyrics"
"""
EXAMPLES = """
[[examples]]
user = { id = "e1", name = "Ada", liked = ["folk"] }
item = { id = "e1", title = "A song", year = 1999 }
rating = 5
reason = "A good song."
memories = [{ title = "Another", categories = ["jazz"], ago = 2, rating = 3 }]
mood = [0.1, 0.5]
"""
USERS = """
likes = ["{who} loves {liked}."]

[traits]
activity = [["{who} leaves."], ["{who} stays a while."], ["{who} stays {off}."]]
conformity = [["{who} follows."], ["{who} weighs."], ["{who} judges."]]
diversity = [["{who} [keeps|holds] to {their} taste."], ["{who} looks around."], ["{who} tries all."]]

[categories.folk]
popularity = 0.9
plural = "folk songs"
liked = ["folk songs that {they} knows"]

[categories."soul music"]
popularity = 0.5
plural = "soul songs"
from_age = 12
"""
STUDY = """group,name,gender,age,job,hobby,description
soul music,Ada Berg,F,30,nurse,chess,Ada loves soul music.
soul music,Bo Ek,M,40,cook,darts,Bo loves soul music.
generous,Cy Holm,M,50,smith,golf,Cy loves all songs.
strict,Di Roth,F,60,judge,tango,Di loves no song.
"""
CATEGORIES = ("folk", "soul music", "jazz")
Write = Callable[..., Domain]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes the files of the package ``emosim_songs`` and reads the domain."""
    folder = tmp_path / "emosim_songs" / "data"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()

    def write(**files: str) -> Domain:
        domain_files._read.cache_clear()
        for name, text in {"domain_toml": DOMAIN, **files}.items():
            (folder / ".".join(name.rsplit("_", 1))).write_text(text, encoding="utf-8")
        return read_domain("emosim_songs", Item, CATEGORIES)

    yield write
    domain_files._read.cache_clear()
    sys.modules.pop("emosim_songs", None)


def test_a_domain_is_made_of_its_files(written: Write) -> None:
    domain = written(users_toml=USERS, study_users_csv=STUDY, examples_toml=EXAMPLES)
    assert (domain.name, domain.title, domain.scale) == ("songs", "Songs", RatingScale(low=1, high=5))
    assert (domain.words.items, domain.words.consume) == ("songs", "try")
    assert (domain.item_type, domain.package, domain.columns) == (Item, "emosim_songs", {"description": "lyrics"})
    (example,) = domain.examples
    assert (example.user.name, example.item, example.rating) == ("Ada", Item(id="e1", title="A song", year=1999), 5)
    assert example.memories == [ExampleMemory("Another", ("jazz",), 2, 3)]
    assert example.mood == (0.1, 0.5)
    assert domain.population is not None
    assert domain.population.categories["soul music"].from_age == 12
    assert read_domain("emosim_songs", Item, CATEGORIES) is domain


def test_users_are_generated_from_the_files(written: Write) -> None:
    loader = GeneratedUsers(GeneratedUsersOptions(n=200))
    loader.prepare(PopulationSetting(domain=written(users_toml=USERS)))
    users = loader.load()
    assert {name for user in users for name in user.liked} == {"folk", "soul music"}
    assert any("holds to her taste." in user.description for user in users)


def test_shares_that_were_rounded_are_scaled_to_one(written: Write) -> None:
    shares = written().real_ratings
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    assert shares[0] == 0.1 / 0.9999


def test_users_for_studies_love_one_category_or_all_or_none(written: Write) -> None:
    study = written(study_users_csv=STUDY).study_users
    assert study is not None
    ada, bo = study.lovers["soul music"]
    assert (ada.id, ada.age, ada.liked, ada.disliked) == ("study-soul-music-1", 30, ("soul music",), ("folk", "jazz"))
    assert (bo.id, bo.conformity, bo.diversity, bo.baseline_valence) == ("study-soul-music-2", 3, 1, 0.1)
    (cy,), (di,) = study.generous, study.strict
    assert (cy.id, cy.liked, cy.disliked, cy.baseline_valence) == ("study-generous-1", CATEGORIES, (), 0.8)
    assert (di.id, di.liked, di.disliked, di.baseline_valence) == ("study-strict-1", (), CATEGORIES, -0.8)


def test_only_the_file_of_the_domain_is_needed(written: Write) -> None:
    domain = written()
    assert (domain.population, domain.study_users, domain.examples) == (None, None, ())
    fails(lambda: read_domain("emosim_core", Item), file="emosim_core/data/domain.toml", message="no such file")


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ('title = "Songs"\n', "", "title", "Field required"),
        ("title =", "titel =", "titel", "no such field; did you mean 'title'?"),
        ("high = 5", "high = 0", "scale", "must be above low"),
        ('items = "songs"', 'plural = "songs"', "words.plural", "no such field"),
        ("0.3, 0.2999", "0.3, 0.7", "real_ratings", "shares that sum to 1.4; expected 1"),
        ('title = "Songs"', 'title = "Songs"\npackage = "x"', "package", "given in Python"),
    ],
)
def test_a_wrong_field_of_the_domain_is_named(written: Write, old: str, new: str, field: str, says: str) -> None:
    assert old in DOMAIN
    wrong = DOMAIN.replace(old, new)
    fails(lambda: written(domain_toml=wrong), file="emosim_songs/data/domain.toml", field=field, message=says)


@pytest.mark.parametrize(
    ("old", "new", "file", "field", "says"),
    [
        ("rating = 5", 'rating = "good"', "", "examples.0.rating", "valid number"),
        ("ago = 2", "age = 2", "", "examples.0.memories.0.age", "no such field"),
        ("year = 1999", 'year = "then"', ", example 1", "year", "valid integer"),
        ('title = "A song"', 'titel = "A song"', ", example 1", "title", "Field required"),
        ("mood = [0.1, 0.5]", "", "", "examples.0.mood", "Field required"),
    ],
)
def test_a_wrong_field_of_an_example_is_named(
    written: Write, old: str, new: str, file: str, field: str, says: str
) -> None:
    assert old in EXAMPLES
    wrong = EXAMPLES.replace(old, new)
    path = f"emosim_songs/data/examples.toml{file}"
    fails(lambda: written(examples_toml=wrong), file=path, field=field, message=says)


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ("popularity = 0.9", "popularity = 9", "categories.folk.popularity", "less than or equal to 1"),
        ("from_age", "fromage", "categories.soul music.fromage", "no such field"),
        ("{their} taste", "{thier} taste", "traits.diversity.0.0", "no such slot {thier}; known: {name}, {first}"),
        ("[keeps|holds]", "[keeps|holds", "traits.diversity.0.0", "without its partner"),
        ("{off}", "{subject}", "traits.activity.2.0", "no such slot {subject}"),
        ("that {they} knows", "{", "categories.folk.liked.0", "without its partner"),
        (' ["{who} weighs."],', "", "", "sentences for 3 levels of the trait 'conformity'"),
        ("[categories.folk]", "[categories.Folk]", "", "the category 'Folk' must be in lower case"),
        ('plural = "soul songs"', 'plural = "{category} songs"', "", "write the name in the texts of 'soul music'"),
        (
            "likes = [",
            'no_dislikes = ["{who} dislikes nothing {off}."]\nlikes = [',
            "no_dislikes.0",
            "no such slot {off}",
        ),
        ('"{who} loves {liked}."', '"{who} loves {liked} and {more}."', "", "about likes without {more}"),
        ('["{who} loves {liked}."]', '"{who} loves {liked}."', "likes", "'str' instances are not allowed"),
    ],
)
def test_a_wrong_field_of_the_users_is_named(written: Write, old: str, new: str, field: str, says: str) -> None:
    assert old in USERS
    wrong = USERS.replace(old, new)
    fails(lambda: written(users_toml=wrong), file="emosim_songs/data/users.toml", field=field, message=says)


@pytest.mark.parametrize(
    ("old", "new", "row", "field", "says"),
    [
        ("generous", "mean", 4, "group", "one of folk, soul music, jazz, got 'mean'"),
        (",50,", ",old,", 4, "age", "valid integer"),
        (",hobby,", ",pastime,", 1, "hobby", "the column is missing"),
    ],
)
def test_a_wrong_row_of_the_users_for_studies_is_named(
    written: Write, old: str, new: str, row: int, field: str, says: str
) -> None:
    wrong = STUDY.replace(old, new)
    fails(lambda: written(study_users_csv=wrong), file="study_users.csv", row=row, field=field, message=says)
