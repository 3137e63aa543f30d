"""StableBaselines3VecEnv: many simulated users as a vector environment of stable-baselines3, in one process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from emosim_core.errors import ConfigurationError
from emosim_core.model.arrays import Flags
from emosim_core.simulation.info import user_info
from emosim_core.simulation.vector_env import EmoSimVectorEnv


class StableBaselines3VecEnv(VecEnv):
    """An :class:`~emosim_core.simulation.vector_env.EmoSimVectorEnv` as stable-baselines3 wants it.

    In the step in which an episode ends, its ``info`` holds ``terminal_observation``,
    ``TimeLimit.truncated``, ``end_reason`` (why it ended) and ``episode`` with the return ``r`` in the
    rewards of the environment, the length ``l`` and the time ``t``, as stable-baselines3's ``Monitor`` gives them.

    What stable-baselines3 asks of one environment (``get_attr``, ``set_attr``, ``env_method``, ``set_options``) reaches
    a :class:`Slot`, which has the attributes and methods of an ``EmoSimEnv``.

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
            raise ConfigurationError(
                f"the observation has no {missing[0]!r}; it has {', '.join(seen)}. Choose another with --observation, "
                "such as behavior; consumed comes with --observe-consumed"
            )
        self.env = env
        env.observed = self._keys
        self.clicked = np.zeros((env.num_envs, env.engine.slate), dtype=np.bool_)
        self.reward_scale = reward_scale
        self._actions: NDArray | None = None
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, dtype=np.intp)
        self._started = time.time()
        self.steps = 0
        self.episodes = 0
        self._slots = [Slot(env, slot) for slot in range(env.num_envs)]
        super().__init__(env.num_envs, spaces.Dict({key: seen[key] for key in self._keys}), env.single_action_space)
        self.metadata = env.metadata

    def reset(self) -> dict[str, NDArray]:
        """Begin an episode in every slot, under the seeds that :meth:`seed` gave, with what :meth:`set_options` gave.

        A ConfigurationError where an option is none of ``EmoSimEnv.reset``, names nobody, or is not of each slot.
        """
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        options: dict[str, Any] = {key: value for given in self._options for key, value in given.items()}
        if options:
            options["user"] = [given.get("user") for given in self._options]
        observations, infos = self.env.reset(seed=seeds, options=options)
        self.reset_infos = [{key: values[slot] for key, values in infos.items()} for slot in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        self._returns[:], self._lengths[:] = 0, 0
        return observations

    def step_async(self, actions: NDArray) -> None:
        """Keep the items to recommend, shape ``(B,)``, for :meth:`step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[dict[str, NDArray], NDArray, NDArray, list[dict[str, Any]]]:
        """Recommend them; observations, rewards, who is done, and infos."""
        observations, rewards, terminated, truncated, batch_info = self.env.step(self._actions)
        dones = terminated | truncated
        self.steps += self.num_envs
        self._returns += rewards
        self._lengths += 1
        self.clicked = batch_info.get("clicked", batch_info["consumed"])
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        ended = dones.nonzero()[0]
        for slot in ended.tolist():
            seconds = round(time.time() - self._started, 6)
            infos[slot] = {
                "terminal_observation": batch_info["final_obs"][slot],
                "TimeLimit.truncated": bool(truncated[slot] and not terminated[slot]),
                "end_reason": batch_info["end_reason"][slot],
                "episode": {"r": float(self._returns[slot]), "l": int(self._lengths[slot]), "t": seconds},
            }
            self.reset_infos[slot] = user_info(self.env.world, int(self.env.engine.users[slot]))
        self._returns[ended], self._lengths[ended] = 0, 0
        self.episodes += len(ended)
        return observations, (rewards * self.reward_scale).astype(np.float32), dones, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """Which items may be recommended to each user, shape ``(B, N)``."""
        return self.env.action_masks()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_images(self) -> Sequence[NDArray | None]:
        """An image of the last step of each slot, in the render mode ``"rgb_array"``; None in any other."""
        if self.render_mode != "rgb_array":
            return [None] * self.num_envs
        return [slot.render() for slot in self._slots]  # type: ignore[misc]

    # ------------------------------------------------------- what stable-baselines3 asks of single environments

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of each slot, or of the environment."""
        return [getattr(self._slots[slot], attr_name) for slot in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of slots; a ConfigurationError where all share it, and it is to be set for some."""
        slots = list(self._get_indices(indices))
        if not hasattr(self.env, attr_name):
            for slot in slots:
                setattr(self._slots[slot], attr_name, value)
        elif {slot % self.num_envs for slot in slots} == set(range(self.num_envs)):
            setattr(self.env, attr_name, value)
        else:
            raise ConfigurationError(
                f"the {self.num_envs} slots are one environment, and share {attr_name!r}: set it without indices"
            )

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of each slot but ``step``, which is a ConfigurationError: slots are stepped together."""
        slots = list(self._get_indices(indices))
        if method_name == "action_masks":  # asked for in every step of MaskablePPO, and made for all at once
            masks = self.action_masks(*method_args, **method_kwargs)
            return [masks[slot] for slot in slots]
        if method_name == "reset":
            self._returns[slots], self._lengths[slots] = 0, 0
        return [getattr(self._slots[slot], method_name)(*method_args, **method_kwargs) for slot in slots]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Nothing is wrapped; ``Monitor`` counts as there, because ends of episodes are reported as it reports them."""
        from stable_baselines3.common.monitor import Monitor

        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]


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
        return self._env.single_observation_space

    @property
    def action_space(self) -> spaces.Space:
        return self._env.single_action_space

    @property
    def np_random_seed(self) -> int:
        """The seed of this slot; -1 before the first ``reset``."""
        return self._env.np_random_seed[self._slot] if self._env.np_random_seed else -1

    def get_wrapper_attr(self, name: str) -> Any:
        """An attribute, as ``gymnasium.Env.get_wrapper_attr`` has it."""
        return getattr(self, name)

    def has_wrapper_attr(self, name: str) -> bool:
        return hasattr(self, name)

    def action_masks(self) -> Flags:
        """Which items the user does not remember, shape ``(N,)``."""
        return self._env.action_masks()[self._slot]

    def render(self) -> str | NDArray[np.uint8] | None:
        return self._env.render_slot(self._slot)

    def describe(self) -> dict[str, Any]:
        return self._env.describe(self._slot)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in this slot; the others go on."""
        return self._env.reset_slot(self._slot, seed=seed, options=options)

    def step(self, action: Any) -> NoReturn:
        """Always a ConfigurationError: slots are stepped together."""
        raise ConfigurationError("the slots of a batch are stepped together: call step() of the vector environment")
