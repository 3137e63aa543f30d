"""Domain: what makes films films and books books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict

from emosim_core.model.item import Item
from emosim_core.model.profile import PopulationProfile
from emosim_core.model.scale import RatingScale
from emosim_core.model.user import User
from emosim_core.terminal import counted


@dataclass(frozen=True)
class Words:
    """The words of a domain, for texts that users and language models read.

    Attributes:
        item: one item ("film").
        items: several ("films").
        consume: what a user does with it ("watch").
        consumed: the same, past ("watched").
        consumption: one time of doing it ("viewing").
        user: who does it ("viewer").
        creators: those who made an item ("cast and director").
        traits: per trait, the texts of levels 1, 2 and 3, in the domain's words; they go on from "a person who".
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    item: str = "item"
    items: str = "items"
    consume: str = "try"
    consumed: str = "tried"
    consumption: str = "use"
    user: str = "user"
    creators: str = "creators"
    traits: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)

    def count_items(self, items: int) -> str:
        """So many items in words: ``"645 films"``, ``"1 film"``."""
        return counted(items, self.item, self.items)


@dataclass(frozen=True)
class ExampleMemory:
    """What the user of a worked example remembers: an item, ``ago`` items before this one, and its rating."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    title: str
    categories: tuple[str, ...]
    ago: int
    rating: float


@dataclass(frozen=True)
class Example:
    """A worked example for a language model: a user, an item, the rating and its reason, all made up.

    Prompts show it in the fields in which they show the question.

    Attributes:
        rating: on the domain's scale. Examples near 3, 6 and 8 of 10 pull answers to no end of the scale.
        reason: a short sentence.
        memories: what the user remembers, the most relevant first.
        mood: valence in -1 to 1, and arousal in 0 to 1.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    user: User
    item: Item
    rating: float
    reason: str
    memories: Sequence[ExampleMemory] = ()
    mood: tuple[float, float] = (0.0, 0.4)


@dataclass(frozen=True)
class StudyUsers:
    """Written users whose ratings are known beforehand, for studies of how well a rater follows a description.

    ``lovers`` love one category and reject all else, by category; ``generous`` give all top marks, and ``strict``
    dislike everything.
    """

    lovers: Mapping[str, Sequence[User]]
    generous: Sequence[User]
    strict: Sequence[User]


@dataclass(frozen=True)
class Domain:
    """A domain: its scale, its words, its items, and what its users are generated from.

    :func:`emosim_core.loading.read_domain` reads one from the data files of a package.

    Attributes:
        name: the name used for ``--plugin``.
        title: what a report is headed with.
        item_type: the subclass of :class:`Item`.
        default_items: name of the item loader used when none is chosen.
        default_users: name of the user loader used when none is chosen.
        real_ratings: how real users' ratings are distributed over the scale's levels, worst first,
            sums to 1; empty where nothing is known. ``real_ratings_source`` says whose.
        examples: worked examples for prompts; without them, a language model can be asked without examples only. A
            prompt shows some of them, drawn for each question.
        study_users: written users for studies; None where there are none.
        columns: by field of the item, the column of a CSV file that holds it, where the two names differ.
        left_out_columns: columns of a CSV file of items that are not read; another unknown one is an error.
        category_aliases: by name of a category in CSV files of users, in lower case, the domain's name of it.
        rater_options: by name of a rater, options that hold in this domain where a run gives none, such as weights
            of ``rule_based`` that were fitted to its users.
        population: what users are generated from; None where the domain brings its own user loaders.
        package: the package whose folder ``data`` has the bundled items; empty where there are none.
        sample_embeddings: whether ``data/sample.npz`` holds embeddings of the bundled items. Where it is False,
            ``emosim embed`` may still write them; without the file, a run makes embeddings.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    title: str
    scale: RatingScale
    words: Words
    item_type: type[Item]
    default_items: str = "sample"
    default_users: str = "sampled"
    real_ratings: Sequence[float] = ()
    real_ratings_source: str = ""
    examples: Sequence[Example] = ()
    study_users: StudyUsers | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    left_out_columns: Sequence[str] = ()
    category_aliases: Mapping[str, str] = field(default_factory=dict)
    rater_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    population: PopulationProfile | None = None
    package: str = ""
    sample_embeddings: bool = True
