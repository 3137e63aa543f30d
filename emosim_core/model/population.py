"""Population: all simulated users of an environment, as objects and as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emosim_core.errors import ConfigurationError
from emosim_core.model.arrays import Flags, Floats
from emosim_core.model.catalog import multi_hot
from emosim_core.model.user import TRAITS, User


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
