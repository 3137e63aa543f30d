"""User: one simulated user."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from emosim_core.model.frozen import Frozen
from emosim_core.model.names import LowerCaseNames

Level = Literal[1, 2, 3]

TRAITS = ("activity", "conformity", "diversity")
"""The traits, in the order of every array of traits."""

TRAIT_NAMES: dict[str, tuple[str, str, str]] = {
    "activity": ("elusive", "occasional", "enthusiast"),
    "conformity": ("follower", "balanced", "maverick"),
    "diversity": ("selective", "niche explorer", "trailblazer"),
}
"""What levels 1, 2 and 3 of each trait are called (EmoSim-RL)."""


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
