"""Generates users: stratified ages, sexes and traits, with tastes and texts in the words of a domain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import ConfigurationError
from emosim_core.model.arrays import Floats
from emosim_core.model.frozen import Frozen, option
from emosim_core.model.loader import PopulationSetting, UserLoader
from emosim_core.model.names import listed
from emosim_core.model.profile import PopulationProfile
from emosim_core.model.templates import CHOICE
from emosim_core.model.user import TRAITS, User
from emosim_core.population.words import Stage, user_words

PopulationKind = Literal["sampled", "basic", "detailed"]
"""What is known of the tastes of generated users: data fields, nothing, or data fields and text."""

AGE_BANDS: tuple[tuple[int, int], ...] = ((4, 12), (13, 17), (18, 24), (25, 34), (35, 44), (45, 54), (55, 75))
"""First and last age of each band."""

AGE_SHARES: tuple[float, ...] = (0.15, 0.20, 0.25, 0.20, 0.12, 0.05, 0.03)
"""Share of each band of :data:`AGE_BANDS` in a generated population (EmoSim-RL)."""

SEXES: tuple[str, ...] = ("M", "F")
"""The sexes of generated users."""

SEX_SHARES: tuple[float, ...] = (0.52, 0.48)
"""Share of each of :data:`SEXES` (EmoSim-RL)."""

TRAIT_SHARES: dict[str, tuple[float, float, float]] = {
    "activity": (0.30, 0.50, 0.20),
    "conformity": (0.25, 0.50, 0.25),
    "diversity": (0.25, 0.50, 0.25),
}
"""Share of levels 1, 2 and 3 of each trait (EmoSim-RL)."""

MAX_TASTES = 4
"""A user likes up to this many categories and dislikes up to as many (EmoSim-RL)."""

BASELINE_VALENCE = (0.1, 0.2)
"""Mean and standard deviation of the valence where moods rest, before it is cut to [-1, 1]; ours."""

BASELINE_AROUSAL = (0.4, 0.15)
"""Mean and standard deviation of the arousal where moods rest, before it is cut to [0, 1]; ours."""

_PRONOUNS = {
    "F": {"they": "she", "them": "her", "their": "her", "self": "herself"},
    "M": {"they": "he", "them": "him", "their": "his", "self": "himself"},
}


def quotas(count: int, shares: Sequence[float]) -> NDArray[np.int64]:
    """How many of ``count`` belong to each stratum, whose shares sum to 1, by the method of largest remainders.

    For each, ``|n/count - share| < 1/count``; a ConfigurationError for shares that are negative or do not sum to 1.
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise ConfigurationError(f"shares must not be negative and sum to 1; got {tuple(shares)}")
    # Rounded, as 0.29 * 100 is a little less than 29 and would lose one user.
    exact = np.round(count * np.asarray(shares, dtype=np.float64), 9)
    numbers = np.floor(exact).astype(np.int64)
    by_remainder = np.argsort(-(exact - numbers), kind="stable")
    numbers[by_remainder[: count - int(numbers.sum())]] += 1
    return numbers


def stratified(count: int, shares: Sequence[float], rng: np.random.Generator) -> NDArray[np.int64]:
    """The stratum of each of ``count`` users: :func:`quotas`, in random order; shape ``(count,)``."""
    strata = np.repeat(np.arange(len(shares)), quotas(count, shares)).astype(np.int64)
    return rng.permutation(strata)


def stratified_traits(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Levels 1 to 3 of activity, conformity and diversity, independent of each other; shape ``(count, 3)``."""
    return np.stack([1 + stratified(count, TRAIT_SHARES[trait], rng) for trait in TRAITS], axis=1)


def baseline_moods(count: int, rng: np.random.Generator) -> Floats:
    """Valence and arousal where moods rest, truncated normal, with two decimals; shape ``(count, 2)``."""
    valence = _truncated_normal(count, *BASELINE_VALENCE, -1.0, 1.0, rng)
    arousal = _truncated_normal(count, *BASELINE_AROUSAL, 0.0, 1.0, rng)
    return np.stack([valence, arousal], axis=1).round(2)


def generate_users(count: int, seed: int, profile: PopulationProfile, kind: PopulationKind = "sampled") -> list[User]:
    """A population with exact shares of age bands, sexes and trait levels.

    They have the shares of :data:`AGE_SHARES`, :data:`SEX_SHARES` and :data:`TRAIT_SHARES`, see :func:`quotas`, and are
    shuffled independently of each other. Jobs and hobbies fit the age and have nothing to do with sex; tastes have
    nothing to do with either, but that a child does not like what is not for children. The same count and
    seed give the same users; the three kinds are the same users with more or less known of them.

    Source: EmoSim-RL; truncated normal baselines of moods are ours.

    Args:
        count: number of users, at least 1.
        seed: at least 0.
        kind: ``"sampled"``: tastes are data, the description leaves them out; ``"basic"``: no tastes at
            all; ``"detailed"``: tastes are data and in the description.

    Returns:
        The users, with ids from ``u0001`` on and names that no two of them share.

    Raises:
        ConfigurationError: a count below 1, a seed below 0, or an unknown kind.
    """
    if count < 1:
        raise ConfigurationError(f"a population needs at least one user; got {count}")
    if seed < 0:
        raise ConfigurationError(f"the seed of a population must be 0 or more; got {seed}")
    if kind not in ("sampled", "basic", "detailed"):
        raise ConfigurationError(f"unknown kind of population {kind!r}; known: sampled, basic, detailed")
    # One stream per matter, so that a change of one (a longer list of jobs) leaves the others as they are.
    streams = np.random.SeedSequence(seed).spawn(9)
    for_age, for_sex, for_traits, for_moods, for_names, for_work, for_tastes, for_texts, for_taste_texts = map(
        np.random.default_rng, streams
    )
    bands = np.array(AGE_BANDS)[stratified(count, AGE_SHARES, for_age)]
    ages: list[int] = for_age.integers(bands[:, 0], bands[:, 1] + 1).tolist()
    sexes = [SEXES[i] for i in stratified(count, SEX_SHARES, for_sex)]
    traits = stratified_traits(count, for_traits).tolist()
    moods = baseline_moods(count, for_moods).tolist()
    names = _names(sexes, _Dice(for_names))
    tastes = _tastes(ages, profile, for_tastes)
    work, texts, taste_texts = _Dice(for_work), _Dice(for_texts), _Dice(for_taste_texts)
    users = []
    for i, (age, sex, (first, name)) in enumerate(zip(ages, sexes, names, strict=True)):
        stage, work_slots = _life(age, work)
        levels = dict(zip(TRAITS, traits[i], strict=True))
        liked, disliked = ((), ()) if kind == "basic" else tastes[i]
        slots = {"first": first, "name": name, **_PRONOUNS[sex], **work_slots}
        sentences = _about(stage, age, levels, slots, profile, texts)
        if kind == "detailed":
            of_tastes = _about_tastes(age, liked, disliked, slots, profile, taste_texts)
            place = 2 if taste_texts.chance(0.4) else len(sentences)
            sentences[place:place] = of_tastes
        about = {"id": f"u{i + 1:04d}", "name": name, "gender": sex, "age": age, "description": " ".join(sentences)}
        life = {"job": slots["job"], "hobby": slots["hobby"], "liked": liked, "disliked": disliked}
        valence, arousal = moods[i]
        users.append(User(**about, **life, **levels, baseline_valence=valence, baseline_arousal=arousal))
    return users


class GeneratedUsersOptions(Frozen):
    """Options of a generated population."""

    n: int = option(600, "Number of users.", ge=1)
    seed: int = option(42, "The same seed and number give the same users.", ge=0)


class GeneratedUsers(UserLoader):
    """Users generated from the domain's :attr:`~emosim_core.plugins.Domain.population`.

    Tastes are drawn from the categories of the catalog alone, where it is known (:meth:`PopulationProfile.within`).
    """

    kind: ClassVar[PopulationKind] = "sampled"

    def __init__(self, options: GeneratedUsersOptions | None = None) -> None:
        self.options = options or GeneratedUsersOptions()
        self._profile: PopulationProfile | None = None

    def prepare(self, setting: PopulationSetting) -> None:
        """Take the profile of the domain; a ConfigurationError where it has none."""
        profile = setting.domain.population
        if profile is None:
            raise ConfigurationError(
                f"the domain {setting.domain.name!r} does not say what its users are generated from "
                "(Domain.population, which is read from data/users.toml of its package); write that file as 'emosim "
                "plugins new' does, or choose another user loader with --users"
            )
        self._profile = profile.within(setting.categories) if setting.categories else profile

    def load(self) -> Sequence[User]:
        """Generate the users; a fraction of a second for 600."""
        if self._profile is None:
            raise RuntimeError("prepare() must be called before load()")
        return generate_users(self.options.n, self.options.seed, self._profile, self.kind)


class BasicUsers(GeneratedUsers):
    """Generated users of whose tastes nothing is known."""

    kind = "basic"


class DetailedUsers(GeneratedUsers):
    """Generated users whose description names their tastes."""

    kind = "detailed"


class _Dice:
    """Choices from one stream, drawn in blocks, as single draws of NumPy are slow."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._draws = self._stream(rng)

    @staticmethod
    def _stream(rng: np.random.Generator) -> Iterator[float]:
        while True:
            yield from rng.random(4096).tolist()

    def pick(self, options: Sequence[Any]) -> Any:
        return options[int(next(self._draws) * len(options))]

    def chance(self, probability: float) -> bool:
        return next(self._draws) < probability

    def shuffled(self, options: Sequence[Any]) -> list[Any]:
        return sorted(options, key=lambda _: next(self._draws))


def _truncated_normal(
    count: int, mean: float, deviation: float, low: float, high: float, rng: np.random.Generator
) -> Floats:
    values = rng.normal(mean, deviation, count)
    while (outside := (values < low) | (values > high)).any():
        values[outside] = rng.normal(mean, deviation, int(outside.sum()))
    return values


def _names(sexes: Sequence[str], dice: _Dice) -> list[tuple[str, str]]:
    """First and full names, no full name twice."""
    taken: set[str] = set()
    names = []
    origins = user_words().origins
    for sex in sexes:
        for attempt in range(10**9):
            origin = dice.pick(origins)
            first = dice.pick(origin.female if sex == "F" else origin.male)
            # Most last names are from where the first name is from; after a few namesakes, from anywhere.
            last = dice.pick((origin if attempt < 4 and dice.chance(0.8) else dice.pick(origins)).last)
            initials = "".join(f"{dice.pick('ABCDEFGHIJKLMNOPRSTVWZ')}. " for _ in range(attempt // 8))
            full = f"{first} {initials}{last}"
            if full not in taken:
                break
        taken.add(full)
        names.append((first, full))
    return names


def _tastes(
    ages: Sequence[int], profile: PopulationProfile, rng: np.random.Generator
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Liked and disliked categories: a coin per category, then up to four of each at random."""
    names = list(profile.categories)
    categories = list(profile.categories.values())
    shape = (len(ages), len(names))
    likes = rng.random(shape) < [category.popularity for category in categories]
    too_young = np.asarray(ages)[:, None] < [category.from_age for category in categories]
    order = np.argsort(rng.random(shape), axis=1).tolist()
    pairs = []
    for likes_row, may_row, order_row in zip(likes.tolist(), (~too_young).tolist(), order, strict=True):
        liked = [names[j] for j in order_row if likes_row[j] and may_row[j]]
        disliked = [names[j] for j in order_row if not likes_row[j]]
        pairs.append((tuple(liked[:MAX_TASTES]), tuple(disliked[:MAX_TASTES])))
    return pairs


def _life(age: int, dice: _Dice) -> tuple[Stage, dict[str, str]]:
    """The stage of life at an age, which chooses the sentences, and what fills their slots: job, hobby and more."""
    words = user_words()
    former = subject = ""
    stage: Stage
    if age < 18:
        stage = "school"
        job = dice.pick(next(school.jobs for school in words.school if school.first <= age <= school.last))
        hobby = dice.pick(_child_hobbies(age))
    else:
        hobby = dice.pick(words.hobbies)
        jobs = _jobs(age)
        if age <= 24 and dice.chance(0.65 if age <= 22 else 0.25):
            stage, subject = "student", dice.pick(words.subjects)
            job = f"{subject} student"
        elif age <= 22 and dice.chance(0.4):
            stage, job = "working", dice.pick(words.first_jobs)
        elif age >= 60 and dice.chance(0.9 if age > 66 else 0.25):
            stage, former = "retired", dice.pick(jobs)
            job = f"retired {former}"
        else:
            stage, job = "working", dice.pick(jobs)
    a_age = f"{'an' if age in (8, 11, 18) or age // 10 == 8 else 'a'} {age}"
    work = {"job": job, "a_job": with_article(job), "hobby": hobby, "subject": subject}
    a_former = with_article(former) if former else ""
    return stage, {"age": str(age), "a_age": a_age, **work, "former": former, "a_former": a_former}


@cache
def _jobs(age: int) -> tuple[str, ...]:
    return tuple(job for from_age, jobs in user_words().jobs.items() if age >= from_age for job in jobs)


@cache
def _child_hobbies(age: int) -> tuple[str, ...]:
    groups = [group for group in user_words().child_hobbies if group.first <= age <= group.last]
    return tuple(hobby for group in groups for hobby in group.hobbies)


_SOUNDS_LIKE_CONSONANT = re.compile(r"(uni(?!n|m)|use|usu|ut[aei]|eu|one\b|once\b)", re.IGNORECASE)
_SOUNDS_LIKE_VOWEL = re.compile(r"([aeiou]|hour|honest|heir|honou?r)", re.IGNORECASE)


def with_article(noun: str) -> str:
    """``"a nurse"``, ``"an architect"``, ``"a university lecturer"``."""
    an = _SOUNDS_LIKE_VOWEL.match(noun) and not _SOUNDS_LIKE_CONSONANT.match(noun)
    return f"{'an' if an else 'a'} {noun}"


class _Writer:
    """Fills templates for one user: makes the choices, fills the slots, begins with a capital."""

    def __init__(self, slots: Mapping[str, str], dice: _Dice, by_name: float = 0.0) -> None:
        self.slots = dict(slots)
        self.dice = dice
        self.by_name = by_name
        self._named = True

    def sentence(self, template: str) -> str:
        # The first name right after a name would read like a form.
        by_name = "{who}" in template and not self._named and self.dice.chance(self.by_name)
        self._named = by_name or "{name}" in template
        self.slots["who"] = self.slots["first" if by_name else "they"]
        text = self.phrase(template)
        return text[0].upper() + text[1:]

    def phrase(self, template: str) -> str:
        parts = [part if isinstance(part, str) else self.dice.pick(part) for part in _parts(template)]
        return "".join(parts).format_map(self.slots)


@lru_cache(maxsize=4096)
def _parts(template: str) -> tuple[str | tuple[str, ...], ...]:
    """A template as fixed texts and choices, in turn."""
    pieces = CHOICE.split(template)
    return tuple(tuple(piece.split("|")) if i % 2 else piece for i, piece in enumerate(pieces))


def _about(
    stage: Stage, age: int, levels: Mapping[str, int], slots: Mapping[str, str], profile: PopulationProfile, dice: _Dice
) -> list[str]:
    """The user in sentences: age and job, hobby, traits."""
    words = user_words()
    off = words.off["nursery" if age < 6 else stage]
    writer = _Writer({**slots, "off": dice.pick(off)}, dice, by_name=0.35)
    with_hobby = dice.chance(0.45)
    opening = dice.pick((words.openings_with_hobby if with_hobby else words.openings)[stage])
    traits = profile.child_traits if age < 13 and profile.child_traits else profile.traits
    templates = [dice.pick(traits[trait][levels[trait] - 1]) for trait in dice.shuffled(TRAITS)]
    if not with_hobby:
        # After the opening or at the end, so that not every text takes the same course.
        templates.insert(0 if dice.chance(0.65) else len(templates), dice.pick(words.hobby_sentences))
    return [writer.sentence(template) for template in (opening, *templates)]


def _about_tastes(
    age: int,
    liked: Sequence[str],
    disliked: Sequence[str],
    slots: Mapping[str, str],
    profile: PopulationProfile,
    dice: _Dice,
) -> list[str]:
    """Likes and dislikes in sentences, some of them with colour."""
    writer = _Writer(slots, dice)
    sentences = []
    if liked:
        foremost = min(dice.pick((1, 2, 2, 3)), len(liked))
        templates: Sequence[str] = _mentioning(profile.likes, "{more}", foremost < len(liked))
        if not templates:
            foremost, templates = len(liked), profile.likes
        likes = [profile.categories[name] for name in liked]
        writer.slots["liked"] = listed([writer.phrase(dice.pick(c.liked or (c.plural,))) for c in likes[:foremost]])
        writer.slots["more"] = listed([c.plural for c in likes[foremost:]])
        sentences.append(writer.sentence(dice.pick(templates)))
    if disliked:
        dislikes = [profile.categories[name] for name in disliked]
        # What a child dislikes unseen needs no reason.
        explained = next((category for category in dislikes if category.disliked and age >= category.from_age), None)
        templates = []
        if explained and dice.chance(0.8):
            dislikes = [explained, *(category for category in dislikes if category is not explained)]
            writer.slots["reason"] = writer.phrase(dice.pick(explained.disliked))
            templates = _mentioning(_mentioning(profile.dislikes, "{reason}", True), "{more}", len(disliked) > 1)
        # A reason is one category's; the others of the list must not seem to be disliked for it.
        first = 1 if templates else len(disliked)
        writer.slots["disliked"] = listed([category.plural for category in dislikes[:first]])
        writer.slots["more"] = listed([category.plural for category in dislikes[first:]])
        sentences.append(writer.sentence(dice.pick(templates or _mentioning(profile.dislikes, "{reason}", False))))
    elif profile.no_dislikes:
        sentences.append(writer.sentence(dice.pick(profile.no_dislikes)))
    return sentences


def _mentioning(templates: Sequence[str], slot: str, wanted: bool) -> list[str]:
    return [template for template in templates if (slot in template) is wanted]
