"""Candidates: in a large catalog, an algorithm chooses among the items that its network scores highest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

Retrieve = Callable[[dict[str, NDArray]], NDArray[np.int32]]
"""From observations of R users to K items of each, best first: i, or ``-1 - i`` where it was consumed; ``(R, K)``."""


class CandidateEnv(VecEnvWrapper):
    """Users to whom one of K candidates, or a slate, is recommended by place; the items are a part of the observation.

    What an algorithm computes and stores for a step thus grows with K and not with the N items: softmax and maximum are
    over the candidates of an observation, those of the next one included. They are retrieved when the observation is
    made, by exact inner products with all items. The part ``candidates`` has K items in its order, int32 of shape
    ``(K,)``; an item i that was consumed is there only where fewer than K are left, as ``-1 - i``.

    Args:
        env: users to whom one of N items is recommended, or a slate.
        count: K.

    Attributes:
        retrieve: how candidates are found, to be set before the first ``reset``.
    """

    retrieve: Retrieve

    def __init__(self, env: VecEnv, count: int) -> None:
        seen: Any = env.observation_space
        items: Any = env.action_space
        slates = isinstance(items, spaces.MultiDiscrete)
        number = int(items.nvec[0] if slates else items.n)
        part = spaces.Box(-number, number - 1, (count,), dtype=np.int32)
        chosen = spaces.MultiDiscrete([count] * len(items.nvec)) if slates else spaces.Discrete(count)
        super().__init__(env, spaces.Dict({**seen.spaces, "candidates": part}), chosen)

    def reset(self) -> Any:
        return self._with_candidates(self.venv.reset())

    def step_async(self, actions: NDArray) -> None:
        """Recommend the candidates at the places ``actions``, shape ``(B,)``, or ``(B, S)`` with slates."""
        items = np.take_along_axis(self._candidates, np.reshape(actions, (self.num_envs, -1)), axis=1)
        self.venv.step_async(np.where(items < 0, -1 - items, items).reshape(np.shape(actions)))

    def step_wait(self) -> Any:
        observations, rewards, dones, infos = self.venv.step_wait()
        if ended := np.flatnonzero(dones).tolist():
            last = [infos[slot]["terminal_observation"] for slot in ended]
            retrieved = self.retrieve({part: np.stack([one[part] for one in last]) for part in last[0]})
            for one, candidates in zip(last, retrieved, strict=True):
                one["candidates"] = candidates
        return self._with_candidates(observations), rewards, dones, infos

    def _with_candidates(self, observations: Any) -> dict[str, NDArray]:
        self._candidates = self.retrieve(observations)
        return {**observations, "candidates": self._candidates}

    def action_masks(self) -> NDArray[np.bool_]:
        """Which candidates may be recommended to each user, shape ``(B, K)``."""
        return self._candidates >= 0

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        if method_name == "action_masks":
            masks = self.action_masks()
            return [masks[slot] for slot in self._get_indices(indices)]
        return self.venv.env_method(method_name, *method_args, indices=indices, **method_kwargs)
