"""Generated users: how the population is made up, and how its texts read."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.errors import ConfigurationError
from emosim_core.model import CategoryProfile, Domain, Item, PopulationProfile, PopulationSetting, RatingScale, Words
from emosim_core.model.user import TRAITS, User
from emosim_core.population.generated import (
    AGE_BANDS,
    AGE_SHARES,
    SEX_SHARES,
    SEXES,
    TRAIT_SHARES,
    BasicUsers,
    DetailedUsers,
    GeneratedUsers,
    GeneratedUsersOptions,
    PopulationKind,
    generate_users,
    quotas,
    with_article,
)
from emosim_core.population.words import user_words

LEVELS = {trait: [["{who} is " + f"{trait} {level}."] for level in (1, 2, 3)] for trait in TRAITS}
PROFILE = PopulationProfile(
    categories={
        "poems": CategoryProfile(0.9, "poems", ("long poems",), ("rhymes [bore|tire] {them}",)),
        "plays": CategoryProfile(0.8, "plays"),
        "novels": CategoryProfile(0.5, "novels", (), ("{they} has no time for novels",)),
        "essays": CategoryProfile(0.6, "essays", from_age=18),
        "letters": CategoryProfile(0.2, "letters"),
    },
    traits=LEVELS,
    dislikes=("{who} avoids {disliked}, as {reason}.", "{who} avoids {disliked}."),
)


@pytest.fixture(scope="module")
def crowd() -> list[User]:
    return generate_users(6000, 5, PROFILE)


def band(age: int | None) -> int:
    assert age is not None
    return next(i for i, (first, last) in enumerate(AGE_BANDS) if first <= age <= last)


def strata(users: list[User]) -> list[tuple[Counter[int], tuple[float, ...]]]:
    levels = [(Counter(getattr(user, trait) - 1 for user in users), TRAIT_SHARES[trait]) for trait in TRAITS]
    ages = Counter(band(user.age) for user in users)
    sexes = Counter(SEXES.index(user.gender) for user in users)
    return [(ages, AGE_SHARES), (sexes, SEX_SHARES), *levels]


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 700), seed=st.integers(0, 2**40))
def test_every_stratum_is_within_one_user_of_its_share(count: int, seed: int) -> None:
    for numbers, shares in strata(generate_users(count, seed, PROFILE, "basic")):
        assert sum(numbers.values()) == count
        for stratum, share in enumerate(shares):
            assert abs(numbers[stratum] / count - share) < 1 / count


def test_the_bound_holds_for_every_size_up_to_3000() -> None:
    for shares in (AGE_SHARES, SEX_SHARES, *TRAIT_SHARES.values()):
        for count in range(1, 3001):
            numbers = quotas(count, shares)
            assert numbers.sum() == count
            assert (np.abs(numbers - count * np.array(shares)) < 1).all()


def test_the_default_population_has_the_exact_shares() -> None:
    for numbers, shares in strata(generate_users(600, 42, PROFILE)):
        assert [numbers[i] for i in range(len(shares))] == [round(600 * share) for share in shares]


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.2, -0.2)])
def test_shares_that_are_none_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ConfigurationError, match="sum to 1"):
        quotas(10, shares)


def test_the_same_seed_gives_the_same_users_and_another_seed_others() -> None:
    first, again, other = (generate_users(200, seed, PROFILE, "detailed") for seed in (1, 1, 2))
    assert [user.model_dump_json() for user in first] == [user.model_dump_json() for user in again]
    assert [user.name for user in first] != [user.name for user in other]


def test_the_three_kinds_are_the_same_users() -> None:
    sampled, basic, detailed = (generate_users(120, 3, PROFILE, kind) for kind in ("sampled", "basic", "detailed"))
    tastes = {"liked", "disliked", "description"}
    assert [u.model_dump(exclude=tastes) for u in sampled] == [u.model_dump(exclude=tastes) for u in basic]
    assert [u.model_dump(exclude={"description"}) for u in sampled] == [
        u.model_dump(exclude={"description"}) for u in detailed
    ]
    assert all(not user.liked and not user.disliked for user in basic)
    assert [user.description for user in sampled] == [user.description for user in basic]
    assert any(user.liked for user in sampled)
    for user in detailed:
        for category in (*user.liked, *user.disliked):
            assert category in user.description
    assert not any(word in user.description for user in basic for word in PROFILE.categories)


def test_attributes_are_not_correlated(crowd: list[User]) -> None:
    columns = np.array(
        [[user.age, SEXES.index(user.gender), user.activity, user.conformity, user.diversity] for user in crowd]
    )
    correlations = np.corrcoef(columns.T) - np.eye(5)
    assert np.abs(correlations).max() < 0.05


def test_ages_are_uniform_inside_a_band(crowd: list[User]) -> None:
    for first, last in AGE_BANDS:
        ages = [user.age for user in crowd if user.age is not None and first <= user.age <= last]
        assert np.mean(ages) == pytest.approx((first + last) / 2, abs=0.08 * (last - first))
        assert {first, last} <= set(ages)


def test_jobs_and_hobbies_fit_the_age(crowd: list[User]) -> None:
    words = user_words()
    school = {job for group in words.school for job in group.jobs}
    child_hobbies = {hobby for group in words.child_hobbies for hobby in group.hobbies}
    from_age = {job: age for age, jobs in words.jobs.items() for job in jobs}
    for user in crowd:
        assert user.age is not None
        if user.age < 18:
            assert user.job in school
            assert user.hobby in child_hobbies
        else:
            assert user.job not in school
            assert user.hobby in words.hobbies
            assert user.age >= from_age.get(user.job, 18)
        assert user.job not in words.first_jobs or user.age <= 24
        assert not user.job.startswith("retired") or user.age >= 60
    old = [user for user in crowd if user.age is not None and user.age > 66]
    assert np.mean([user.job.startswith("retired ") for user in old]) > 0.75
    young = [user for user in crowd if user.age is not None and 18 <= user.age <= 22]
    beginners = [user.job.endswith(" student") or user.job in words.first_jobs for user in young]
    assert np.mean(beginners) > 0.7


def test_jobs_and_hobbies_have_nothing_to_do_with_sex() -> None:
    users = generate_users(20000, 8, PROFILE, "basic")
    for attribute in ("job", "hobby"):
        numbers = Counter((getattr(user, attribute), user.gender) for user in users)
        for value in {value for value, _ in numbers}:
            women, men = numbers[value, "F"], numbers[value, "M"]
            expected = 0.48 * (women + men)
            assert abs(women - expected) < 5 * np.sqrt(0.52 * expected) + 1, value


def test_tastes_follow_popularity_and_never_meet(crowd: list[User]) -> None:
    adults = [user for user in crowd if user.age is not None and user.age >= 18]
    for user in crowd:
        assert len(user.liked) <= 4
        assert len(user.disliked) <= 4
        assert not set(user.liked) & set(user.disliked)
    assert np.mean(["letters" in user.disliked for user in adults]) == pytest.approx(0.8, abs=0.03)
    assert np.mean(["letters" in user.liked for user in adults]) == pytest.approx(0.2, abs=0.04)


def test_nobody_likes_what_is_not_for_their_age(crowd: list[User]) -> None:
    assert not any("essays" in user.liked for user in crowd if user.age is not None and user.age < 18)
    assert any("essays" in user.liked for user in crowd)


def test_baselines_are_rounded_and_within_their_range(crowd: list[User]) -> None:
    for user in crowd:
        assert round(user.baseline_valence, 2) == user.baseline_valence
        assert round(user.baseline_arousal, 2) == user.baseline_arousal
    assert np.mean([user.baseline_valence for user in crowd]) == pytest.approx(0.1, abs=0.02)
    assert np.std([user.baseline_arousal for user in crowd]) == pytest.approx(0.15, abs=0.02)


def test_names_and_ids_are_unique_even_among_20000() -> None:
    users = generate_users(20000, 1, PROFILE, "basic")
    assert len({user.name for user in users}) == 20000
    assert len({user.id for user in users}) == 20000
    assert users[0].id == "u0001"


def test_small_populations_have_no_middle_initials() -> None:
    assert not any("." in user.name for user in generate_users(3000, 1, PROFILE, "basic"))


def test_the_words_are_many_and_without_repeats() -> None:
    words = user_words()
    firsts = [name for origin in words.origins for name in (*origin.female, *origin.male)]
    lasts = [name for origin in words.origins for name in origin.last]
    jobs = [*words.first_jobs, *itertools.chain(*words.jobs.values())]
    child_hobbies = {hobby for group in words.child_hobbies for hobby in group.hobbies}
    for entries, least in ((firsts, 150), (lasts, 200), (jobs, 120), (words.hobbies, 100)):
        assert len(set(entries)) == len(entries) >= least
    assert len(child_hobbies) >= 40
    for age in range(4, 18):
        assert any(group.first <= age <= group.last for group in words.school)
        assert any(group.first <= age <= group.last for group in words.child_hobbies)


def test_every_description_is_whole_sentences_about_the_user(crowd: list[User]) -> None:
    for user in crowd:
        text = user.description
        assert user.name in text
        assert user.hobby.lower() in text.lower()
        assert not re.search(r"[{}\[\]|]|  | [.,;]|\.\.", text), text
        assert all(sentence[0].isupper() for sentence in re.split(r"(?<=[a-z)][.]) ", text)), text
        for trait in TRAITS:
            assert f"{trait} {getattr(user, trait)}." in text
        pronouns = {"she", "her", "herself"} if user.gender == "M" else {"he", "him", "his", "himself"}
        assert not pronouns & set(re.findall(r"\w+", text.lower())), text


def test_every_opening_has_name_and_age() -> None:
    for openings in (user_words().openings, user_words().openings_with_hobby):
        texts = list(itertools.chain(*openings.values()))
        assert len(texts) > 10
        assert all("{name}" in text and "{age}" in text.replace("{a_age}", "{age}") for text in texts)


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("nurse", "a nurse"),
        ("architect", "an architect"),
        ("university lecturer", "a university lecturer"),
        ("urban planner", "an urban planner"),
        ("upholsterer", "an upholsterer"),
        ("uninvited guest", "an uninvited guest"),
        ("European", "a European"),
        ("usher", "an usher"),
        ("honest broker", "an honest broker"),
        ("hotel receptionist", "a hotel receptionist"),
    ],
)
def test_the_article_follows_the_sound(noun: str, expected: str) -> None:
    assert with_article(noun) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 1, PROFILE), "at least one"), ((1, -1, PROFILE), "seed"), ((1, 1, PROFILE, "rich"), "sampled, basic")],
)
def test_arguments_that_make_no_sense_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        generate_users(*arguments)  # type: ignore[arg-type]


def test_a_profile_says_what_it_lacks() -> None:
    with pytest.raises(ConfigurationError, match="'conformity'"):
        PopulationProfile(categories={}, traits={"activity": LEVELS["activity"]})
    with pytest.raises(ConfigurationError, match=r"without \{more\}"):
        PopulationProfile(categories={}, traits=LEVELS, likes=("{who} likes {liked} and {more}.",))
    with pytest.raises(ConfigurationError, match=r"without \{reason\}"):
        PopulationProfile(categories={}, traits=LEVELS, dislikes=("{who} avoids {disliked}, as {reason}.",))
    with pytest.raises(ConfigurationError, match="0 to 1"):
        CategoryProfile(1.5, "plays")


def test_a_profile_without_categories_gives_users_without_tastes() -> None:
    users = generate_users(20, 1, PopulationProfile(categories={}, traits=LEVELS), "detailed")
    assert not any(user.liked or user.disliked for user in users)


DOMAIN = Domain("texts", "Texts", RatingScale(low=1, high=5), Words(), Item, population=PROFILE)


@pytest.mark.parametrize(
    ("loader", "kind"), [(GeneratedUsers, "sampled"), (BasicUsers, "basic"), (DetailedUsers, "detailed")]
)
def test_a_loader_makes_600_users_by_default_and_takes_options(
    loader: type[GeneratedUsers], kind: PopulationKind
) -> None:
    for made, users in (
        (loader(), generate_users(600, 42, PROFILE, kind)),
        (loader(GeneratedUsersOptions(n=5, seed=9)), generate_users(5, 9, PROFILE, kind)),
    ):
        made.prepare(PopulationSetting(domain=DOMAIN))
        assert made.load() == users


def test_a_loader_draws_tastes_from_the_categories_of_the_catalog() -> None:
    loader = GeneratedUsers(GeneratedUsersOptions(n=50))
    loader.prepare(PopulationSetting(domain=DOMAIN, categories=("Plays", "letters", "maps")))
    assert {name for user in loader.load() for name in (*user.liked, *user.disliked)} == {"plays", "letters"}
    loader.prepare(PopulationSetting(domain=DOMAIN, categories=("maps",)))
    assert "novels" in {name for user in loader.load() for name in (*user.liked, *user.disliked)}


def test_a_domain_without_a_population_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'texts' does not say what its users.*data/users\.toml"):
        GeneratedUsers().prepare(PopulationSetting(domain=replace(DOMAIN, population=None)))


def test_a_profile_can_say_how_users_stand_to_categories_it_does_not_name() -> None:
    other = CategoryProfile(0.5, "books of {category}", ("fat books of {category}",))
    profile = PopulationProfile(categories={}, traits=LEVELS, other=other).within(["maps", "Myths", "odd {one} [a|b]"])
    users = generate_users(40, 1, profile, "detailed")
    assert {name for user in users for name in user.liked} == {"maps", "myths", "odd {one} [a|b]"}
    assert any("fat books of myths" in user.description for user in users)
    assert any("books of odd one ab" in user.description for user in users)


def test_the_modules_import_nothing_heavy() -> None:
    code = (
        "import sys, emosim_core.population.generated, emosim_core.population.users_csv;"
        "print([m for m in ('pandas', 'torch', 'gymnasium', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
