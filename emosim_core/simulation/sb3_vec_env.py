"""StableBaselines3VecEnv: many simulated people as a vector environment of stable-baselines3, in one process."""

# ruff: noqa: TID253  (a subclass needs its base; who trains imports this module)
from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from emosim_core.errors import ConfigurationError
from emosim_core.simulation.vector_env import EmoSimVectorEnv


class StableBaselines3VecEnv(VecEnv):
    """An :class:`~emosim_core.simulation.vector_env.EmoSimVectorEnv` as stable-baselines3 wants it.

    In the step in which a session ends, its ``info`` holds ``terminal_observation``,
    ``TimeLimit.truncated``, ``end`` (why it ended) and ``episode`` with the return ``r`` in the
    rewards of the environment, the length ``l`` and the time ``t``, as stable-baselines3's ``Monitor`` gives them.

    Args:
        env: the environment, in the mode ``SAME_STEP``.
        keys: the parts of the observation that are passed on; all if not given.
        reward_scale: rewards are multiplied with it before the algorithm sees them.

    Raises:
        ConfigurationError: another mode, or a key that the observation does not have.
    """

    def __init__(self, env: EmoSimVectorEnv, keys: Sequence[str] | None = None, reward_scale: float = 1.0) -> None:
        if env.metadata["autoreset_mode"] is not AutoresetMode.SAME_STEP:
            raise ConfigurationError("stable-baselines3 needs an environment with autoreset_mode='SameStep'")
        seen = env.single_observation_space.spaces  # type: ignore[attr-defined]
        self._keys = list(seen) if keys is None else list(keys)
        missing = sorted(set(self._keys) - set(seen))
        if missing:
            raise ConfigurationError(f"the observation has no {missing[0]!r}; it has {', '.join(seen)}")
        self.env = env
        env.observed = self._keys
        self.reward_scale = reward_scale
        self._actions: NDArray | None = None
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, dtype=np.intp)
        self._started = time.perf_counter()
        self.steps = 0
        self.episodes = 0
        super().__init__(env.num_envs, spaces.Dict({key: seen[key] for key in self._keys}), env.single_action_space)

    def reset(self) -> dict[str, NDArray]:
        """Begin a session in every slot, under the seeds that :meth:`seed` gave."""
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        observations, infos = self.env.reset(seed=seeds)
        self.reset_infos = [{key: values[slot] for key, values in infos.items()} for slot in range(self.num_envs)]
        self._reset_seeds()
        self._returns[:] = 0
        self._lengths[:] = 0
        return observations

    def step_async(self, actions: NDArray) -> None:
        """Keep the items to propose, shape ``(B,)``, for :meth:`step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[dict[str, NDArray], NDArray, NDArray, list[dict[str, Any]]]:
        """Propose them; observations, rewards, who is done, and infos."""
        observations, rewards, terminated, truncated, told = self.env.step(self._actions)
        dones = terminated | truncated
        self.steps += self.num_envs
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        ended = dones.nonzero()[0]
        for slot in ended.tolist():
            infos[slot] = {
                "terminal_observation": told["final_obs"][slot],
                "TimeLimit.truncated": bool(truncated[slot] and not terminated[slot]),
                "end": told["end"][slot],
                "episode": {
                    "r": float(self._returns[slot]),
                    "l": int(self._lengths[slot]),
                    "t": round(time.perf_counter() - self._started, 6),
                },
            }
        self._returns[ended] = 0
        self._lengths[ended] = 0
        self.episodes += len(ended)
        return observations, (rewards * self.reward_scale).astype(np.float32), dones, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """Which items may be proposed to each person, shape ``(B, N)``."""
        return self.env.action_masks()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    # ------------------------------------------------------- what stable-baselines3 asks of single environments

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the environment, once per slot asked for."""
        value = getattr(self.env, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the environment; slots have none of their own."""
        if indices is not None:
            raise ConfigurationError("the slots of a batch have no attributes of their own")
        setattr(self.env, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of the environment that answers with a row per slot."""
        rows = getattr(self.env, method_name)(*method_args, **method_kwargs)
        return [rows[slot] for slot in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Nothing is wrapped; ``Monitor`` counts as there, because episodes are told as it tells them."""
        from stable_baselines3.common.monitor import Monitor

        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]
