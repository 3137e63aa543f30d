"""Steps per second of a training, beside the same algorithm on an environment that does nothing.

Both have the same spaces, networks, number of environments, episode lengths and share of episodes that are cut off;
the null environment answers with observations that simulated users gave before and a constant reward. Each pair runs
one after the other, many times for a moment each, and the table shows the medians and their ratio: what share of the
algorithm's own speed is left with simulated users. Run it on a machine that has nothing else to do:

    python benchmarks/train.py --plugin movies --algo a2c
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv

from emosim_core.training.config import TrainConfig
from emosim_core.training.policies import make_model
from emosim_core.training.trainer import Training
from emosim_core.training.vec_env import StableBaselines3VecEnv

EPISODE = 40
"""Steps of an episode of the null environment, about as many as with simulated users."""

CUT_OFF = 0.6
"""Share of its episodes that are cut off, about as many as with simulated users."""


class NullVecEnv(VecEnv):
    """Answers with what was observed of users in the middle of their episodes."""

    def __init__(self, like: StableBaselines3VecEnv) -> None:
        self.render_mode = None
        super().__init__(like.num_envs, like.observation_space, like.action_space)
        self._rng = np.random.default_rng(0)
        self._observation = like.reset()
        for _ in range(EPISODE // 2):
            self._observation = like.step(self._rng.integers(like.action_space.n, size=like.num_envs))[0]
        self._ages = self._rng.integers(0, EPISODE, like.num_envs)
        self._rewards = np.full(like.num_envs, 0.8, dtype=np.float32)
        self._masks = like.action_masks()

    def reset(self) -> dict[str, np.ndarray]:
        return self._observation

    def step_async(self, actions: np.ndarray) -> None:
        pass

    def step_wait(self) -> tuple[Any, ...]:
        self._ages += 1
        dones = self._ages >= EPISODE
        self._ages[dones] = 0
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for slot in np.flatnonzero(dones).tolist():
            last = {key: values[slot] for key, values in self._observation.items()}
            infos[slot] = {"terminal_observation": last, "TimeLimit.truncated": self._rng.random() < CUT_OFF}
        return self._observation, self._rewards, dones, infos

    def action_masks(self) -> np.ndarray:
        return self._masks

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        rows = getattr(self, method_name)(*args, **kwargs)
        return [rows[slot] for slot in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [True for _ in self._get_indices(indices)]

    def close(self) -> None:
        pass


def speed(model: Any, steps: int) -> float:
    """Steps per second of ``steps`` more steps."""
    before, started = model.num_timesteps, time.perf_counter()
    model.learn(steps, log_interval=None, reset_num_timesteps=False)
    return (model.num_timesteps - before) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", default="movies")
    parser.add_argument("--algo", default="a2c")
    parser.add_argument("--policy-net", default="cf")
    parser.add_argument("--num-envs", default="1,8,64,256", help="numbers of environments, with commas")
    parser.add_argument("--seconds", type=float, default=0.5, help="time of one measurement, about")
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch, as a training has them")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{given.algo} with the network {given.policy_net} on {given.plugin}; medians of {given.repeats}")
    print(f"{'environments':>12} {'null steps/s':>13} {'users steps/s':>15} {'ratio':>7} {'middle half':>14}")
    for count in (int(number) for number in given.num_envs.split(",")):
        config = TrainConfig(plugin=given.plugin, algo=given.algo, policy_net=given.policy_net, num_envs=count)
        with tempfile.TemporaryDirectory() as folder:
            training = Training(config, Path(folder) / "training")
            null = make_model(config, training.net, NullVecEnv(training.env))  # type: ignore[arg-type]
            training.env.seed(1)
            steps = max(count * 20, int(speed(null, count * 40) * given.seconds))
            speed(training.model, count * 40)
            pairs = [(speed(null, steps), speed(training.model, steps)) for _ in range(given.repeats)]
        ratios = [users / nothing for nothing, users in pairs]
        nothing, users = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
        low, high = np.quantile(ratios, [0.25, 0.75])
        spread = f"{low:.2f} to {high:.2f}"
        print(f"{count:>12} {nothing:>13,.0f} {users:>15,.0f} {median(ratios):>7.2f} {spread:>14}", flush=True)


if __name__ == "__main__":
    main()
