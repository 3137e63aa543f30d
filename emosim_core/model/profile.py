"""PopulationProfile: what users of a domain like, and the sentences that describe them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import ConfigDict, Field

from emosim_core.errors import ConfigurationError
from emosim_core.model.templates import DislikesSentence, LikesSentence, Name, Phrase, Remark, Sentence
from emosim_core.model.user import TRAITS


@dataclass(frozen=True)
class CategoryProfile:
    """How users of a domain stand to one category, and how that is put into words.

    Texts may use the slots ``{they} {them} {their} {self} {first}`` and choices ``[this|that]``.

    Attributes:
        popularity: the share of users who like it, 0 to 1.
        plural: what its items are called, a plural that can stand in a list ("horror films").
        liked: the same with some colour, a plural without commas or "and" ("horror films with creaking doors").
        disliked: why one would dislike it, a clause that says what it is about ("gore turns {their} stomach").
        from_age: nobody younger likes it; it is not for children.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    popularity: Annotated[float, Field(ge=0, le=1)]
    plural: Name
    liked: tuple[Phrase, ...] = ()
    disliked: tuple[Phrase, ...] = ()
    from_age: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.popularity <= 1:
            raise ConfigurationError(f"the popularity of {self.plural!r} is {self.popularity}; expected 0 to 1")


@dataclass(frozen=True)
class PopulationProfile:
    """What users of a domain are generated from, see :class:`emosim_core.loading.GeneratedUsers`.

    Sentences have choices ``[this|that]`` and slots: ``{who}`` is the pronoun or, now and then, the first name,
    ``{they} {them} {their} {self}`` the pronouns (verbs are singular), ``{name} {first} {age} {job} {hobby}`` what they
    say. Those of :attr:`likes` also have ``{liked}`` and those of :attr:`dislikes` ``{disliked}``: all categories, or
    the foremost where the sentence says ``{more}`` for the others. A sentence about dislikes may give a ``{reason}``, a
    clause; its ``{disliked}`` is then one category. Lists of categories are plural.

    Attributes:
        categories: by lower-case name, what may be liked or disliked.
        traits: per trait, the sentences of levels 1, 2 and 3, of which one is taken. Activity says how soon a user
            leaves, and nothing of how high they rate.
        child_traits: the same for users under 13; those of :attr:`traits` where empty.
        likes: sentences about liked categories; at least one without ``{more}``.
        dislikes: sentences about disliked categories; at least one without ``{reason}``, and none of these
            with ``{more}``.
        no_dislikes: sentences about a user who dislikes no category; none is written where empty.
        other: how users stand to a category that only the catalog has; ``{category}`` in its texts becomes the
            category's name. None leaves such categories out.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    categories: Mapping[str, CategoryProfile]
    traits: Mapping[str, Sequence[Sequence[Sentence]]]
    child_traits: Mapping[str, Sequence[Sequence[Sentence]]] = field(default_factory=dict)
    likes: Sequence[LikesSentence] = ("{who} likes {liked}.", "{who} likes {liked}, and also {more}.")
    dislikes: Sequence[DislikesSentence] = ("{who} does not like {disliked}.",)
    no_dislikes: Sequence[Remark] = ()
    other: CategoryProfile | None = None

    def __post_init__(self) -> None:
        for name, category in self.categories.items():
            if name != name.strip().lower():
                raise ConfigurationError(f"the category {name!r} must be in lower case, as those of items are")
            if any("{category}" in text for text in (category.plural, *category.liked, *category.disliked)):
                raise ConfigurationError(
                    f"{{category}} is for other categories; write the name in the texts of {name!r}"
                )
        for traits in (self.traits, self.child_traits):
            for trait in TRAITS if traits is self.traits or traits else ():
                if len(traits.get(trait, ())) != 3 or not all(traits[trait]):
                    raise ConfigurationError(f"the profile needs sentences for 3 levels of the trait {trait!r}")
        if not any("{more}" not in text for text in self.likes):
            raise ConfigurationError("the profile needs a sentence about likes without {more}")
        plain = [text for text in self.dislikes if "{reason}" not in text]
        if not plain or any("{more}" in text for text in plain):
            raise ConfigurationError(
                "the profile needs a sentence about dislikes without {reason}, and none of these with {more}"
            )

    def within(self, catalog: Sequence[str]) -> PopulationProfile:
        """The same profile with the categories of a catalog alone: a taste that no item meets has no effect.

        Args:
            catalog: names of categories; where the profile knows none of them, it stays as it is.
        """
        matched: dict[str, CategoryProfile] = {}
        for name in sorted({name.strip().lower() for name in catalog}):
            if name in self.categories:
                matched[name] = self.categories[name]
            elif self.other is not None:
                # A name is data: what would be a slot or a choice in a template is taken out of it.
                shown = re.sub(r"[\[\]{}|]", "", name)
                matched[name] = replace(
                    self.other,
                    plural=self.other.plural.replace("{category}", shown),
                    liked=tuple(text.replace("{category}", shown) for text in self.other.liked),
                    disliked=tuple(text.replace("{category}", shown) for text in self.other.disliked),
                )
        return replace(self, categories=matched) if matched else self
