"""Progress: what happens beside learning: curves, trackers, evaluations and checkpoints at their time."""

from __future__ import annotations

import copy
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.maskable import evaluation as masked
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import KVWriter, Logger

from emosim_core.data import json_text
from emosim_core.data.files import write_all
from emosim_core.model.arrays import Floats
from emosim_core.recommenders.networks import Net
from emosim_core.runs.job import cannot_write
from emosim_core.simulation.assembly import World
from emosim_core.simulation.vector_env import EmoSimVectorEnv
from emosim_core.training.config import TrainConfig
from emosim_core.training.curves import PROGRESS, TrainingProgress
from emosim_core.training.held_out import EVALUATION_SEED
from emosim_core.training.trackers import trackers
from emosim_core.training.vec_env import StableBaselines3VecEnv

_LINES = 100
"""Lines of progress of a training, about."""


class DivergedError(Exception):
    """Weights or losses are no finite numbers any more."""


class Progress(BaseCallback):
    """Watches a training between its updates, when a checkpoint is whole.

    stable-baselines3's ``EvalCallback`` and ``CheckpointCallback`` act in the middle of a rollout, which is then lost.

    Curves are written into the directory, and the ``end_reasons`` of episodes counted on. ``evaluate`` gives the mean
    return of the recommender of now and its interval by user split, ``checkpoint`` writes what the training needs to
    go on, and begins new episodes. The last evaluation was ``evaluated_at`` so many steps.
    """

    def __init__(
        self,
        config: TrainConfig,
        directory: Path,
        env: StableBaselines3VecEnv,
        end_reasons: Counter[str],
        evaluate: Callable[[], dict[str, dict[str, Any]]],
        checkpoint: Callable[[], None],
        on_progress: Callable[[TrainingProgress], None],
        evaluated_at: int = 0,
    ) -> None:
        super().__init__()
        self._evaluated_at = evaluated_at
        self._config, self._directory, self._env, self._end_reasons = config, directory, env, end_reasons
        self._evaluate, self._checkpoint, self._on_progress = evaluate, checkpoint, on_progress
        self._every = max(1, config.timesteps // _LINES)
        self._eval_every = config.eval_every or 0
        self.at_rest = self._episodes_at_rest = 0
        self._end_reasons_at_rest: Counter[str] = Counter()
        self._returns: list[float] = []
        self._lengths: list[int] = []
        self._writers: list[KVWriter] = []

    def _on_training_start(self) -> None:
        self.at_rest = self._reported_at = self._checked_at = self.model.num_timesteps
        self._clock = time.perf_counter()
        self._writers = trackers(self._config, self._directory)
        self.model.set_logger(Logger(None, self._writers))
        path = self._directory / PROGRESS
        try:
            self._stream = path.open("ab", buffering=0)
        except OSError as error:
            raise cannot_write(path, error) from error
        self._keep()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._returns.append(info["episode"]["r"])
                self._lengths.append(info["episode"]["l"])
                self._end_reasons[info["end_reason"]] += 1
        return True

    def _on_rollout_start(self) -> None:  # between two updates: all that was seen so far has been learned
        self._look()

    def _on_training_end(self) -> None:
        self._look(last=True)

    def _look(self, last: bool = False) -> None:
        if not self.finite():
            raise DivergedError
        steps = self.at_rest = self.model.num_timesteps
        self._episodes_at_rest, self._end_reasons_at_rest = self._env.episodes, self._end_reasons.copy()
        evaluation = None
        since = steps - self._evaluated_at
        if self._eval_every and (since >= self._eval_every or (last and since)):
            self._evaluated_at = steps
            evaluation = self._evaluate()
        due = not last and steps - self._checked_at >= self._config.checkpoint_every
        if steps - self._reported_at >= self._every or evaluation or ((last or due) and steps > self._reported_at):
            self._report(steps, evaluation)  # before each checkpoint, so that no episode falls between two trainings
        if due:
            self._checked_at = steps
            self._checkpoint()

    def finite(self) -> bool:
        """Whether the squares of all weights, and the last losses, are finite numbers: one layer multiplies another."""
        weights = all(bool(torch.isfinite(one.square().sum())) for one in self.model.policy.parameters())
        return weights and all(map(math.isfinite, self._losses().values()))

    def _losses(self) -> dict[str, float]:
        known = self.logger.name_to_value.items()
        losses = {name.removeprefix("train/"): float(value) for name, value in known if name.startswith("train/")}
        if math.isnan(losses.get("explained_variance", 0.0)):  # it has none where all returns are alike
            del losses["explained_variance"]
        return losses

    def _keep(self) -> None:
        """Keep the state of now, which is good, for a training that diverges."""
        counts = self.at_rest, self._episodes_at_rest, self._end_reasons_at_rest
        self._good = copy.deepcopy(self.model.get_parameters()), counts

    def go_back(self) -> None:
        state: Any = self._good[0]
        self.at_rest, self._episodes_at_rest, self._end_reasons_at_rest = self._good[1]
        self.model.set_parameters(state, exact_match=True, device=self.model.device)
        self.rest()

    def rest(self) -> None:
        """Count only what has been learned: what was seen since the last update was not."""
        self.model.num_timesteps, self._env.episodes = self.at_rest, self._episodes_at_rest
        self._end_reasons.clear()
        self._end_reasons.update(self._end_reasons_at_rest)

    def _report(self, steps: int, measured: dict[str, dict[str, Any]] | None) -> None:
        now = time.perf_counter()
        count = len(self._returns)
        reward, length = (sum(values) / count if count else None for values in (self._returns, self._lengths))
        fps = (steps - self._reported_at) / max(now - self._clock, 1e-9)
        evaluation = None if measured is None else {name: one["estimate"] for name, one in measured.items()}
        progress = TrainingProgress(steps, self._env.episodes, reward, length, fps, evaluation)
        line = {**asdict(progress), "fps": round(fps, 1), "updates": self.model._n_updates}
        del line["evaluation"]
        if losses := self._losses():
            line["losses"] = {name: round(value, 6) for name, value in losses.items()}
        if evaluation and measured:
            line["evaluation"] = evaluation
            line["intervals"] = {name: [one["low"], one["high"]] for name, one in measured.items()}
        try:
            write_all(self._stream.fileno(), json_text.dumps(line).encode() + b"\n")
        except OSError as error:
            raise cannot_write(self._directory / PROGRESS, error) from error
        scalars = {"rollout/reward": reward, "rollout/length": length, "time/fps": fps}
        scalars |= {f"evaluation/{user_split}": value for user_split, value in (evaluation or {}).items()}
        for name, value in scalars.items():
            if value is not None:
                self.logger.record(name, value)
        self.logger.dump(steps)
        self._returns, self._lengths, self._reported_at, self._clock = [], [], steps, now
        self._keep()
        self._on_progress(progress)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()
        if hasattr(self, "_stream"):
            self._stream.close()


def returns_of_model(world: World, model: Any, net: Net, config: TrainConfig) -> Floats:
    """Returns of ``config.eval_episodes`` episodes, one in each slot, the best item recommended each time."""
    count = config.eval_episodes
    env = EmoSimVectorEnv(num_envs=count, autoreset_mode="SameStep", world=world)
    adapter = StableBaselines3VecEnv(env, net.options.keys)
    adapter.seed(EVALUATION_SEED)
    returns = np.full(count, np.nan)

    def note(inside: dict[str, Any], _: dict[str, Any]) -> None:
        if inside["done"]:
            returns[inside["i"]] = inside["info"]["episode"]["r"]

    evaluate: Any = masked.evaluate_policy if config.algo == "maskable_ppo" else evaluate_policy
    evaluate(model, adapter, n_eval_episodes=count, callback=note)
    return returns
