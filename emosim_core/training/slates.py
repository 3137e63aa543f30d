"""SlateEnv: users to whom slates are recommended, without an item that was shown before in the episode."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper


class SlateEnv(VecEnvWrapper):
    """Has the part ``consumed_items`` hold what was shown in the episode too, so that learning meets more of the items.

    Outside of learning, what was shown and not consumed may be recommended again; in
    learning too, where fewer items than a slate's are left.

    Args:
        env: users to whom slates are recommended, ``MultiDiscrete`` with the same count N for each place.
    """

    def __init__(self, env: VecEnv) -> None:
        seen, slates = env.observation_space, env.action_space
        assert isinstance(seen, spaces.Dict)
        assert isinstance(slates, spaces.MultiDiscrete)
        self._count, self._slate = int(slates.nvec[0]), len(slates.nvec)
        before: Any = seen["consumed_items"]
        part = spaces.Box(-1, self._count - 1, before.shape, dtype=np.int32)
        super().__init__(env, spaces.Dict({**seen.spaces, "consumed_items": part}))
        self._out = np.zeros((env.num_envs, self._count), dtype=np.bool_)
        self._ids = np.full((env.num_envs, *before.shape), -1, dtype=np.int32)

    def reset(self) -> Any:
        observations: Any = self.venv.reset()
        self._forget(range(self.num_envs), observations["consumed_items"])
        return self._with_shown(observations)

    def step_async(self, actions: NDArray) -> None:
        """Recommend the items ``actions``, shape ``(B, S)``."""
        self._shown = np.asarray(actions).reshape(self.num_envs, self._slate)
        self.venv.step_async(self._shown)

    def step_wait(self) -> Any:
        observations: Any
        observations, rewards, dones, infos = self.venv.step_wait()
        consumed = observations["consumed_items"]
        for slot, done in enumerate(dones.tolist()):
            now = infos[slot]["terminal_observation"]["consumed_items"] if done else consumed[slot]
            self._show(slot, now)
            if done:
                infos[slot]["terminal_observation"]["consumed_items"] = self._ids[slot].copy()
        self._forget(np.flatnonzero(dones), consumed)
        return self._with_shown(observations), rewards, dones, infos

    def _show(self, slot: int, consumed: NDArray) -> None:
        """Leave the last slate of a slot out from now on; begin anew with ``consumed`` where too few would be left."""
        out, ids = self._out[slot], self._ids[slot]
        slate = self._shown[slot]
        fresh = slate[~out[slate]]
        begun = np.count_nonzero(out)
        if self._count - begun - len(fresh) < self._slate:
            self._forget([slot], consumed[None])
            return
        out[fresh] = True
        ids[begun : begun + len(fresh)] = fresh

    def _forget(self, slots: Any, consumed: NDArray) -> None:
        """Leave out what these slots have consumed alone; rows of ``consumed`` are those of all slots, or of one."""
        for slot in slots:
            row = consumed[slot if len(consumed) > 1 else 0]
            items = row[row >= 0]
            self._out[slot] = False
            self._out[slot, items] = True
            self._ids[slot] = -1
            self._ids[slot, : len(items)] = items

    def _with_shown(self, observations: Any) -> dict[str, NDArray]:
        return {**observations, "consumed_items": self._ids.copy()}


def marked(slates: NDArray, clicked: NDArray[np.bool_]) -> NDArray:
    """Slates as buffers hold them, shape ``(B, S)``: i, or ``-1 - i`` for what was clicked."""
    slates = slates.reshape(clicked.shape)
    return np.where(clicked, -1 - slates, slates)


def unmarked(slates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The slates of a buffer, and who shares in what was chosen: clicked items alike, each of which is above 0."""
    slates = slates.long()
    clicked = (slates < 0).float()
    shares = clicked / clicked.sum(dim=1, keepdim=True).clamp(min=1.0)
    return torch.where(slates < 0, -1 - slates, slates), shares
