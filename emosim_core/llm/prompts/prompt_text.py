"""The lines of a prompt about a user, a mood, an item and what the user remembers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from emosim_core.components.base import WorldSetting
from emosim_core.llm.prompts.fencing import one_line
from emosim_core.llm.prompts.scales import PromptScale
from emosim_core.model import Item, User, Words

if TYPE_CHECKING:
    from emosim_core.llm.prompts.shot_strategy import ShotOptions

_TRAIT_LABELS = {"conformity": "Opinion of others", "diversity": "Choice of {items}"}
"""What the line of a trait begins with. Activity, which says when a user leaves, makes no rating and is not shown."""

_TELLING = 25
"""Words from which on a description counts as one that tells traits, as those do that EmoSim or a model writes."""

SHORT = 300
"""Characters of a text other than a description, such as a title or a list of names, after which it is cut off."""

_CATEGORIES = 3
"""Categories of a remembered item that are shown."""

_GOOD, _VERY_GOOD = 0.15, 0.5
"""Valence from which on a mood is good, and very good; bad ones below the same values with a minus."""

_HIGH, _LOW = 0.6, 0.35
"""Arousal from which on it is high, and below which it is low."""

_STIRRED = {1: ("relaxed", "excited"), 0: ("calm", "wide awake"), -1: ("tired", "on edge")}
"""What low and high arousal are called in a good mood, a middling one and a bad one."""

_FEELINGS = (
    "bored", "disappointed", "upset",
    "unmoved", "indifferent", "stirred",
    "content", "pleased", "thrilled",
)  # fmt: skip
"""What was felt, by emotion code (:meth:`~emosim_core.model.emotion.Emotion.code`)."""


def user_lines(user: User, setting: WorldSetting, options: ShotOptions) -> Iterator[str]:
    """The fixed facts about a user, a line each."""
    yield f"Name: {one_line(user.name, SHORT)}"
    if user.age is not None:
        yield f"Age: {user.age}"
    if options.show_job and user.job:
        yield f"Job: {one_line(user.job, SHORT)}"
    if options.show_hobby and user.hobby:
        yield f"Hobby: {one_line(user.hobby, SHORT)}"
    described = options.show_description and bool(user.description)
    if described:
        yield f"Description: {one_line(user.description, options.max_characters)}"
    if options.show_tastes is True or (options.show_tastes == "auto" and not (described and _tells_tastes(user))):
        if user.liked:
            yield f"Likes: {one_line(', '.join(user.liked), SHORT)}"
        if user.disliked:
            yield f"Dislikes: {one_line(', '.join(user.disliked), SHORT)}"
    if options.show_traits is True or (options.show_traits == "auto" and not (described and _tells_traits(user))):
        for trait, label in _TRAIT_LABELS.items():
            texts = setting.words.traits.get(trait)
            text = user.trait_name(trait) if texts is None else one_line(texts[getattr(user, trait) - 1])
            yield f"{label.format(items=setting.words.items)}: {text}"


def _tells_tastes(user: User) -> bool:
    """Whether the description names at least half of the user's tastes."""
    tastes = (*user.liked, *user.disliked)
    description = user.description.lower()
    # "comedies" and "romances" tell of "comedy" and "romance", "animated" of "animation".
    named = sum(taste[: max(4, len(taste) - 3)] in description for taste in tastes)
    return bool(tastes) and 2 * named >= len(tastes)


def _tells_traits(user: User) -> bool:
    return len(user.description.split()) >= _TELLING


def mood_text(valence: float, arousal: float, cause: str = "") -> str:
    """A mood in the words of everyday, and what it is about where that is known."""
    sign = 0 if abs(valence) < _GOOD else 1 if valence > 0 else -1
    very = "very " if abs(valence) >= _VERY_GOOD else ""
    mood = f"{very}{'good' if sign > 0 else 'bad'}" if sign else "neither good nor bad"
    stirred = _STIRRED[sign][arousal >= _HIGH] if arousal >= _HIGH or arousal < _LOW else ""
    return f"Mood now: {mood}{f', {stirred}' if stirred else ''}{f', after {cause}' if sign and cause else ''}\n"


def what_it_was(title: str, categories: Sequence[str]) -> str:
    """A remembered item: its title, and of what kind it was."""
    kinds = f" ({one_line(', '.join(categories[:_CATEGORIES]), SHORT)})" if categories else ""
    return f"{one_line(title, SHORT)}{kinds}"


def memory_line(what: str, ago: int, rating: str, code: int, words: Words) -> str:
    """A remembered item as :func:`what_it_was` writes it, when it was consumed, how it was rated and what was felt.

    Args:
        ago: how many items before this one; 1 for the last.
        rating: on the scale of the prompt; empty where there is none, and nothing was felt then.
        code: the emotion code.
    """
    when = f"the last {words.item}" if ago == 1 else f"{ago} {words.items} ago"
    return f"- {what}: {when}" + (f", rated {rating}, felt {_FEELINGS[code]}" if rating else "")


def item_lines(item: Item, setting: WorldSetting, scale: PromptScale, options: ShotOptions) -> Iterator[str]:
    """The fixed facts about an item, a line each. An unknown fact has no line."""
    yield f"Title: {one_line(item.title, SHORT)}"
    if options.show_year and item.year is not None:
        yield f"Year: {item.year}"
    if options.show_categories and item.categories:
        yield f"Categories: {one_line(', '.join(item.categories), SHORT)}"
    if options.show_creators and item.creators:
        creators = setting.words.creators
        yield f"{creators[:1].upper()}{creators[1:]}: {one_line(', '.join(item.creators), SHORT)}"
    if options.show_public_rating and item.public_rating is not None:
        yield f"Public rating: {scale.show(item.public_rating, setting.scale)}"
    if options.show_description and item.description:
        yield f"Description: {one_line(item.description, options.max_characters)}"


def times_text(times: int, consumed: str) -> str:
    """How often an item was consumed before."""
    often = "never" if not times else "once" if times == 1 else "twice" if times == 2 else f"{times} times"
    return f"{consumed[:1].upper()}{consumed[1:]} before: {often}\n"
