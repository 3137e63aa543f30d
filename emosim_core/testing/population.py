"""PopulationProfileConformance: holds a population profile, and the texts generated from it, to what reads well."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from emosim_core.model import PopulationProfile, User
from emosim_core.model.user import TRAITS
from emosim_core.population.generated import PopulationKind, generate_users
from emosim_core.testing.conformance import domain_named
from emosim_core.testing.contract import require

_KINDS: tuple[PopulationKind, ...] = ("sampled", "basic", "detailed")
_UNFILLED = r"[{}\[\]|]|  | [.,;:]|[.,;:][.,;:]"
"""Slots and choices that were not filled, and spaces and marks that stand where none may."""
_WRONG_ARTICLE = r"\ba [aeiou](?!ni|ne\b)|\ban (?!hour)[^aeiou\d]"
_TWICE = r"\b(\w+) \1\b"


class PopulationProfileConformance:
    """Subclass it, name the subclass ``Test...`` and set ``domain`` or ``profile``::

        from emosim_core.testing import PopulationProfileConformance


        class TestListeners(PopulationProfileConformance):
            domain = "music"

    A profile belongs to no kind of component, so no rule of :data:`~emosim_core.testing.RULES` is checked here: a
    failure is an ``AssertionError`` that says what was found. A profile that takes its categories from the catalog
    (``other``) is checked among some: ``profile = PROFILE.within(["jazz", "folk"])``.

    Attributes:
        domain: the domain whose profile and trait texts are checked.
        profile: what is checked where no domain is set.
        trait_texts: per trait, the texts of its three levels that go on from "a person who", as in
            :attr:`emosim_core.plugins.Words.traits`; not checked where empty. The domain's where one is set.
        least_different: of 600 users, how many descriptions must differ in more than names, ages, jobs and hobbies.
        most_shared: mean share of runs of five words that two descriptions may have in common.
        most_alike_openings: of 600 users, how many descriptions may begin with the same four words.
        most_who_like_nothing: of 3000 users, how many may like no category; some do where categories are few.
        wrong_article: pattern of "a" and "an" before the wrong sound.
    """

    domain: str | None = None
    profile: PopulationProfile
    trait_texts: Mapping[str, Sequence[str]] = {}
    least_different: int = 590
    most_shared: float = 0.06
    most_alike_openings: int = 119
    most_who_like_nothing: int = 0
    wrong_article: str = _WRONG_ARTICLE

    def test_600_descriptions_do_not_read_alike(self) -> None:
        for kind in _KINDS:
            users = generate_users(600, 42, self._profile, kind)
            skeletons = [_skeleton(user) for user in users]
            different, apart = len({user.description for user in users}), len(set(skeletons))
            what = f"of 600 {kind} descriptions"
            require(different == 600, f"only {different} {what} differ")
            more = "differ in more than names, ages, jobs and hobbies"
            require(apart >= self.least_different, f"only {apart} {what} {more}")
            pairs = itertools.combinations([_five_words(text) for text in skeletons[:200]], 2)
            shared = float(np.mean([len(a & b) / max(1, min(len(a), len(b))) for a, b in pairs]))
            alike = f"two {kind} descriptions share {shared:.1%} of their runs of five words"
            require(shared < self.most_shared, alike)
            openings = Counter(" ".join(text.split()[:4]) for text in skeletons)
            ((opening, count),) = openings.most_common(1)
            require(count <= self.most_alike_openings, f"{count} {what} begin with {opening!r}")

    def test_users_of_all_ages_like_something_and_nothing_that_is_not_for_them(self) -> None:
        users = generate_users(3000, 2, self._profile, "detailed")
        liked = {name for user in users for name in user.liked}
        never = {name for name, category in self._profile.categories.items() if category.popularity >= 0.1} - liked
        require(not never, f"nobody of 3000 likes {sorted(never)}")
        nothing = [user.age for user in users if not user.liked]
        finding = f"{len(nothing)} of 3000 like nothing, of the ages {sorted(set(nothing), key=str)}"
        require(len(nothing) <= self.most_who_like_nothing, finding)
        for user in users:
            age = user.age or 0
            unfit = {name for name, category in self._profile.categories.items() if age < category.from_age}
            require(not unfit & set(user.liked), f"someone aged {age} likes {sorted(unfit & set(user.liked))}")

    def test_every_sentence_is_well_formed(self) -> None:
        for seed in range(4):
            for user in generate_users(2000, seed, self._profile, "detailed"):
                text = user.description
                require(text.endswith("."), f"no full stop at the end of {text!r}")
                for what, wrong in (
                    ("not filled in, or a stray space or mark", _UNFILLED),
                    ("a wrong article", self.wrong_article),
                    ("a word twice", _TWICE),
                ):
                    match = re.search(wrong, text)
                    require(match is None, f"{what}: {match and match[0]!r} in {text!r}")

    def test_no_text_has_a_number_but_the_age(self) -> None:
        for user in generate_users(1000, 3, self._profile, "detailed"):
            others = set(re.findall(r"\d+", user.description)) - {str(user.age)}
            require(not others, f"the numbers {sorted(others)} in {user.description!r}")

    def test_a_detailed_description_names_every_taste(self) -> None:
        for user in generate_users(300, 4, self._profile, "detailed"):
            for name in (*user.liked, *user.disliked):
                first = self._profile.categories[name].plural.split()[0]
                named = first.lower() in user.description.lower()
                require(named, f"nothing of {name!r} ({first!r}) in {user.description!r}")

    def test_colour_keeps_the_name_of_its_category_and_lists_stay_readable(self) -> None:
        for name, category in self._profile.categories.items():
            for phrase in category.liked:
                require(category.plural in phrase, f"{phrase!r} of {name!r} leaves out {category.plural!r}")
                require("," not in phrase and " and " not in phrase, f"{phrase!r} of {name!r} is a list of its own")

    def test_trait_texts_go_on_from_a_user_who(self) -> None:
        trait_texts = self.trait_texts if self.domain is None else domain_named(self.domain).words.traits
        if not trait_texts:
            return
        require(set(trait_texts) == set(TRAITS), f"texts for {sorted(trait_texts)}, not for {list(TRAITS)}")
        for trait, texts in trait_texts.items():
            require(len(set(texts)) == len(texts) == 3, f"{len(set(texts))} texts for the levels of {trait!r}")
            for text in texts:
                goes_on = text[:1].islower() and not text.endswith(".")
                require(goes_on, f"{text!r} of {trait!r} does not go on from 'a person who'")

    @property
    def _profile(self) -> PopulationProfile:
        profile = self.profile if self.domain is None else domain_named(self.domain).population
        assert profile is not None, f"the domain {self.domain!r} has no population."
        return profile


def _skeleton(user: User) -> str:
    """A description without names, age, job, hobby and sex."""
    text = user.description
    job = user.job.removeprefix("retired ").removesuffix(" student") if user.age and user.age > 17 else user.job
    for own in (user.name, user.name.split()[0], user.hobby, user.hobby.capitalize(), user.job, job):
        text = text.replace(own, "_")
    text = re.sub(r"\ban? (?=_|\d)|\b\d+\b", "_", text, flags=re.IGNORECASE)
    return re.sub(r"\b(s?he|his|her|him|himself|herself|_)\b", "_", text, flags=re.IGNORECASE)


def _five_words(text: str) -> set[tuple[str, ...]]:
    """The runs of five words of a text."""
    words = re.findall(r"[\w'-]+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
