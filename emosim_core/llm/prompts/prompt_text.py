"""The lines of a prompt about a user, an item and their interactions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from emosim_core.components.base import WorldSetting
from emosim_core.llm.prompts.fencing import one_line
from emosim_core.llm.prompts.scales import PromptScale
from emosim_core.model import Item, User
from emosim_core.model.emotion import describe_mood
from emosim_core.model.user import TRAITS

_TRAIT_LABELS = {
    "activity": "When they leave",
    "conformity": "Opinion of others",
    "diversity": "Choice of {items}",
}
"""What the line of a trait begins with. That of the activity must not speak of ratings."""

SHORT = 300
"""Characters of a text other than a description, such as a title or a list of names, after which it is cut off."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a prompt shows; the fields are those of ``ShotOptions`` without ``show_``.

    Attributes:
        limit: characters of a description after which it is cut off.
    """

    description: bool
    job: bool
    hobby: bool
    tastes: bool | str
    traits: bool
    year: bool
    categories: bool
    creators: bool
    public_rating: bool
    limit: int


def user_lines(user: User, setting: WorldSetting, shown: Shown) -> Iterator[str]:
    """The fixed facts about a user, a line each."""
    yield f"Name: {one_line(user.name, SHORT)}"
    if user.age is not None:
        yield f"Age: {user.age}"
    if shown.job and user.job:
        yield f"Job: {one_line(user.job, SHORT)}"
    if shown.hobby and user.hobby:
        yield f"Hobby: {one_line(user.hobby, SHORT)}"
    if shown.description and user.description:
        yield f"Description: {one_line(user.description, shown.limit)}"
    if shown.tastes is True or (shown.tastes == "auto" and not (shown.description and _tells_tastes(user))):
        if user.liked:
            yield f"Likes: {one_line(', '.join(user.liked), SHORT)}"
        if user.disliked:
            yield f"Dislikes: {one_line(', '.join(user.disliked), SHORT)}"
    if shown.traits:
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


def item_lines(item: Item, setting: WorldSetting, scale: PromptScale, shown: Shown) -> Iterator[str]:
    """The fixed facts about an item, a line each. An unknown fact has no line."""
    yield f"Title: {one_line(item.title, SHORT)}"
    if shown.year and item.year is not None:
        yield f"Year: {item.year}"
    if shown.categories and item.categories:
        yield f"Categories: {one_line(', '.join(item.categories), SHORT)}"
    if shown.creators and item.creators:
        creators = setting.words.creators
        yield f"{creators[:1].upper()}{creators[1:]}: {one_line(', '.join(item.creators), SHORT)}"
    if shown.public_rating and item.public_rating is not None:
        yield f"Public rating: {scale.show(item.public_rating, setting.scale)}"
    if shown.description and item.description:
        yield f"Description: {one_line(item.description, shown.limit)}"


def times_text(times: int, consumed: str) -> str:
    """How often an item was consumed before."""
    often = "never" if not times else "once" if times == 1 else "twice" if times == 2 else f"{times} times"
    return f"{consumed[:1].upper()}{consumed[1:]} before: {often}\n"
