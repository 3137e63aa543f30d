"""User: one simulated user; and Population: all of them, as objects and as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from emosim_core.errors import ConfigurationError
from emosim_core.model.arrays import Flags, Floats
from emosim_core.model.catalog import multi_hot
from emosim_core.model.frozen import Frozen
from emosim_core.model.names import LowerCaseNames
from emosim_core.notebook import card, table
from emosim_core.terminal import counted

Level = Literal[1, 2, 3]

TRAITS = ("activity", "conformity", "diversity")
"""The traits, in the order of every array of traits."""

LATENT = ("traits", "mood")
"""What no real recommender sees of a user: parts of observations that have it."""

TRAIT_NAMES: dict[str, tuple[str, str, str]] = {
    "activity": ("elusive", "occasional", "enthusiast"),
    "conformity": ("follower", "balanced", "maverick"),
    "diversity": ("selective", "niche explorer", "trailblazer"),
}
"""What levels 1, 2 and 3 of each trait are called (EmoSim-RL)."""

_SHOWN = 10
"""Users of a population that a notebook shows."""


class User(Frozen):
    """One simulated user: who they are, what they like, how they behave.

    Attributes are described on the fields. ``liked`` and ``disliked`` are what the user is, not
    what a recommender gets to see.
    """

    id: str = Field(min_length=1, description="Identifier, unique in its population.")
    name: str = Field(min_length=1, description="First and last name.")
    gender: str = Field(default="", description="'F', 'M' or what the data says; empty where unknown.")
    age: int | None = Field(default=None, ge=0, le=130, description="Age in years.")
    job: str = Field(default="", description="What the user does for a living.")
    hobby: str = Field(default="", description="What the user does for fun.")
    description: str = Field(default="", description="The user in a few sentences.")
    liked: LowerCaseNames = Field(default=(), description="Categories that the user likes.")
    disliked: LowerCaseNames = Field(default=(), description="Categories that the user dislikes.")
    activity: Level = Field(default=2, description="1 elusive, 2 occasional, 3 enthusiast.")
    conformity: Level = Field(default=2, description="1 follower, 2 balanced, 3 maverick.")
    diversity: Level = Field(default=2, description="1 selective, 2 niche explorer, 3 trailblazer.")
    baseline_valence: float = Field(default=0.1, ge=-1, le=1, description="Valence where the mood rests.")
    baseline_arousal: float = Field(default=0.4, ge=0, le=1, description="Arousal where the mood rests.")

    def trait_name(self, trait: str) -> str:
        """The name of this user's level of a trait, such as ``"maverick"``."""
        return TRAIT_NAMES[trait][getattr(self, trait) - 1]

    def _repr_html_(self) -> str:
        """The user in a notebook."""
        facts = {"age": self.age, "gender": self.gender, "job": self.job, "hobby": self.hobby}
        rows = [(name, str(value)) for name, value in facts.items() if value not in (None, "")]
        rows += [(trait, f"{getattr(self, trait)}, {self.trait_name(trait)}") for trait in TRAITS]
        rows += [("likes", ", ".join(self.liked)), ("dislikes", ", ".join(self.disliked))]
        rows.append(("mood at rest", f"valence {self.baseline_valence:+.2f}, arousal {self.baseline_arousal:.2f}"))
        return card(f"{self.name} ({self.id})", self.description, tables=[table(rows)])


class Population:
    """The simulated users, U of them; their order gives each their index.

    Raises:
        ConfigurationError: no users, or an id twice.
    """

    def __init__(self, users: Sequence[User]) -> None:
        if not users:
            raise ConfigurationError("a population needs at least one user")
        self.users: tuple[User, ...] = tuple(users)
        self.index: dict[str, int] = {user.id: i for i, user in enumerate(self.users)}
        if len(self.index) != len(self.users):
            raise ConfigurationError("the population has two users with the same id")

    def __len__(self) -> int:
        return len(self.users)

    def _repr_html_(self) -> str:
        """The first users in a notebook, and how many there are."""
        rows = [
            (user.id, user.name, *(user.trait_name(trait) for trait in TRAITS), ", ".join(user.liked))
            for user in self.users[:_SHOWN]
        ]
        rest = f"The first {_SHOWN} of them:" if len(self) > _SHOWN else ""
        columns = ("user", "name", *TRAITS, "likes")
        return card(counted(len(self), "simulated user"), rest, tables=[table(rows, columns)])

    @cached_property
    def traits(self) -> NDArray[np.int64]:
        """Levels 1 to 3 of activity, conformity and diversity; shape ``(U, 3)``."""
        return np.array([[getattr(user, trait) for trait in TRAITS] for user in self.users], dtype=np.int64)

    @cached_property
    def baselines(self) -> Floats:
        """Valence and arousal where each mood rests; shape ``(U, 2)``."""
        return np.array([[user.baseline_valence, user.baseline_arousal] for user in self.users])

    def liked(self, category_names: Sequence[str]) -> Flags:
        """Who likes which category; shape ``(U, len(category_names))``."""
        return multi_hot([user.liked for user in self.users], category_names)

    def disliked(self, category_names: Sequence[str]) -> Flags:
        """Who dislikes which category; shape ``(U, len(category_names))``."""
        return multi_hot([user.disliked for user in self.users], category_names)
