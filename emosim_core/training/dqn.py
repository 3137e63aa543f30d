"""MaskedDQN: DQN that explores among the items that were not consumed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import DQN


class MaskedDQN(DQN):
    """DQN whose random actions leave out what was consumed.

    What it values highest leaves it out already, by its policy. Each user explores on a coin of
    their own; stable-baselines3 throws one for the whole batch.
    """

    def set_random_seed(self, seed: int | None = None) -> None:
        """Begin all that is random anew, exploration too."""
        super().set_random_seed(seed)
        self.np_random = np.random.default_rng(seed)

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray, NDArray]:
        observation: Any = self._last_obs
        if self.num_timesteps < learning_starts:
            actions = self._random_items(observation)
        else:
            actions, _ = self.predict(observation, deterministic=False)
        return actions, actions

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[NDArray, Any]:
        """The items valued highest, or, unless ``deterministic``, random ones at the exploration rate."""
        actions, state = self.policy.predict(observation, state, episode_start, deterministic)
        if deterministic:
            return actions, state
        explore = self.np_random.random(actions.shape) < self.exploration_rate
        return np.where(explore, self._random_items(observation), actions), state

    def _random_items(self, observation: dict[str, NDArray]) -> NDArray:
        """One of the items that were not consumed, each as probable as the others."""
        consumed = observation["consumed"].astype(bool)
        return np.where(consumed, -1.0, self.np_random.random(consumed.shape)).argmax(axis=-1)
