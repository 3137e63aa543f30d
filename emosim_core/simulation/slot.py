"""Slot: one slot of a vector environment, with the attributes and methods of a single environment."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from emosim_core.errors import ConfigurationError
from emosim_core.model.arrays import Flags
from emosim_core.simulation.vector_env import EmoSimVectorEnv


class Slot:
    """What an ``EmoSimEnv`` has, of one slot. Attributes that it does not have itself are those of the whole batch."""

    def __init__(self, env: EmoSimVectorEnv, slot: int) -> None:
        self._env, self._slot = env, slot

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._env, name)

    @property
    def unwrapped(self) -> Slot:
        """The slot itself: nothing is wrapped."""
        return self

    @property
    def observation_space(self) -> spaces.Space:
        """The observation space of one slot."""
        return self._env.single_observation_space

    @property
    def action_space(self) -> spaces.Space:
        """The action space of one slot."""
        return self._env.single_action_space

    @property
    def np_random_seed(self) -> int:
        """The seed of this slot; -1 before the first ``reset``."""
        return self._env.np_random_seed[self._slot] if self._env.np_random_seed else -1

    def get_wrapper_attr(self, name: str) -> Any:
        """An attribute, as ``gymnasium.Env.get_wrapper_attr`` has it."""
        return getattr(self, name)

    def has_wrapper_attr(self, name: str) -> bool:
        """Whether there is such an attribute."""
        return hasattr(self, name)

    def action_masks(self) -> Flags:
        """Which items the user does not remember, shape ``(N,)``."""
        return self._env.action_masks()[self._slot]

    def render(self) -> str | NDArray[np.uint8] | None:
        """The last step, as ``render_mode`` says."""
        return self._env.render_slot(self._slot)

    def describe(self) -> dict[str, Any]:
        """The last step in names and words."""
        return self._env.describe(self._slot)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in this slot; the others go on."""
        return self._env.reset_slot(self._slot, seed=seed, options=options)

    def step(self, action: Any) -> NoReturn:
        """Always a ConfigurationError: slots are stepped together."""
        raise ConfigurationError("the slots of a batch are stepped together: call step() of the vector environment")
