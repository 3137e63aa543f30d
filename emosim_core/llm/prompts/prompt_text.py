"""The lines of a prompt about a user, an item and their interactions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emosim_core.components.base import WorldSetting
from emosim_core.llm.prompts.fencing import one_line
from emosim_core.llm.prompts.scales import PromptScale
from emosim_core.model import Item, User
from emosim_core.model.emotion import describe_mood
from emosim_core.model.user import TRAITS

if TYPE_CHECKING:
    from emosim_core.llm.prompts.shot_strategy import ShotOptions

_TRAIT_LABELS = {
    "activity": "When they leave",
    "conformity": "Opinion of others",
    "diversity": "Choice of {items}",
}
"""What the line of a trait begins with. That of the activity must not speak of ratings."""

SHORT = 300
"""Characters of a text other than a description, such as a title or a list of names, after which it is cut off."""


def user_lines(user: User, setting: WorldSetting, options: ShotOptions) -> Iterator[str]:
    """The fixed facts about a user, a line each."""
    yield f"Name: {one_line(user.name, SHORT)}"
    if user.age is not None:
        yield f"Age: {user.age}"
    if options.show_job and user.job:
        yield f"Job: {one_line(user.job, SHORT)}"
    if options.show_hobby and user.hobby:
        yield f"Hobby: {one_line(user.hobby, SHORT)}"
    if options.show_description and user.description:
        yield f"Description: {one_line(user.description, options.max_characters)}"
    if options.show_tastes is True or (
        options.show_tastes == "auto" and not (options.show_description and _tells_tastes(user))
    ):
        if user.liked:
            yield f"Likes: {one_line(', '.join(user.liked), SHORT)}"
        if user.disliked:
            yield f"Dislikes: {one_line(', '.join(user.disliked), SHORT)}"
    if options.show_traits:
        for trait in TRAITS:
            label = _TRAIT_LABELS[trait].format(items=setting.words.items)
            texts = setting.words.traits.get(trait)
            if texts is None:
                yield f"{label}: {user.trait_name(trait)}"
            else:
                yield f"{label}: someone who {one_line(texts[getattr(user, trait) - 1])}"


def _tells_tastes(user: User) -> bool:
    """Whether the description names at least half of the user's tastes."""
    tastes = (*user.liked, *user.disliked)
    description = user.description.lower()
    # "comedies" and "romances" tell of "comedy" and "romance", "animated" of "animation".
    named = sum(taste[: max(4, len(taste) - 3)] in description for taste in tastes)
    return bool(tastes) and 2 * named >= len(tastes)


def mood_text(valence: float, arousal: float) -> str:
    """A mood in words and numbers."""
    numbers = f"valence {valence:+.2f} in -1 to 1, arousal {arousal:.2f} in 0 to 1"
    return f"Mood now: {describe_mood(valence, arousal)} ({numbers})\n"


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
