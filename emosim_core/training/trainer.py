"""Training: an algorithm meets simulated users, with checkpoints, and leaves a recommender behind."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emosim_core.data import json_text
from emosim_core.errors import ConfigurationError, EmoSimError, RunError
from emosim_core.hooks import Registry
from emosim_core.model.arrays import Floats, Ints
from emosim_core.recommenders.recommender import MODEL, need_train, save_recommender
from emosim_core.runs.job import JobDirectory, cannot_write, job_directory
from emosim_core.runs.manifest import begin_job, check_same, digest, make_manifest
from emosim_core.runs.reading import read_object
from emosim_core.runs.records import SUMMARY
from emosim_core.simulation.assembly import World, assemble
from emosim_core.training.config import MAY_DIFFER, TrainConfig
from emosim_core.training.curves import (
    LAST_EVALUATION,
    PROGRESS,
    REFERENCES,
    STORED_REFERENCES,
    UNTRAINED,
    TrainingProgress,
    mean_over,
    read_progress,
)
from emosim_core.training.held_out import estimate_of, references, users_met, world_of

if TYPE_CHECKING:
    from emosim_core.recommenders.networks import Net
    from emosim_core.training.callbacks import Progress

CHECKPOINTS = "checkpoints"
BEST = "best"
_PRETRAINING = 1
"""Key of the random items of a pretraining, beside the seed."""

_CHECKPOINTS = 2
"""Checkpoints that are kept, newest first: one may be in the writing when a training is killed."""


class Training:
    """One training: its world, its algorithm, its directory; whether that is to be continued a job directory knows.

    ``spent`` and ``ask_service`` are as of :func:`~emosim_core.simulation.assembly.assemble`.
    """

    def __init__(
        self,
        config: TrainConfig,
        directory: Path | JobDirectory,
        resume: bool = False,
        registry: Registry | None = None,
        spent: float = 0.0,
        ask_service: Callable[[Iterable[Any]], Any] | None = None,
    ) -> None:
        need_train("training")
        if config.num_seeds != 1:
            raise ConfigurationError("one training has one seed; emosim train, or emosim_core.train, make several")
        from emosim_core.simulation.vector_env import EmoSimVectorEnv
        from emosim_core.training.policies import make_model, make_net
        from emosim_core.training.trackers import check_trackers
        from emosim_core.training.vec_env import StableBaselines3VecEnv

        check_trackers(config.track)
        self.config = config
        self.world: World = assemble(config.environment, registry, spent, ask_service)
        self.net = make_net(config, self.world)
        env = EmoSimVectorEnv(num_envs=config.num_envs, autoreset_mode="SameStep", world=self.world)
        self.env = StableBaselines3VecEnv(env, self.net.options.keys, 1.0 / self.world.domain.scale.high)
        self.model = make_model(config, self.net, self.env)
        self.manifest = make_manifest(self.world, config, ("torch", "stable-baselines3", "sb3-contrib"))
        self.job = job_directory(directory, "train", resume)
        self.job.claim()
        self._eval_every = config.evaluates_every(self.world.rater.uses_llm)
        self._best = -np.inf
        self._evaluated_at = 0
        self._seconds_before = 0.0
        self._started = time.perf_counter()
        self.end_reasons: Counter[str] = Counter()

    def train(self, on_progress: Callable[[TrainingProgress], None] = lambda progress: None) -> dict[str, Any]:
        """Train to the end, from the last checkpoint if the training is resumed, and return what summary.json holds.

        ``on_progress`` is called each time that the curves move. After an EmoSimError or a KeyboardInterrupt
        there is a checkpoint, where one can be written.
        """
        with self.job:
            return self._train(on_progress)

    def _train(self, on_progress: Callable[[TrainingProgress], None]) -> dict[str, Any]:
        from emosim_core.recommenders.networks import torch_threads
        from emosim_core.training.callbacks import DivergedError, Progress

        begun = self._begin()
        self._references = self._measured_references(trained=begun > 0)
        if not begun and self.config.pretrains:
            self._pretrain()
            begun = self.model.num_timesteps
        progress = Progress(
            self.config.model_copy(update={"eval_every": self._eval_every}),
            self.directory,
            self.env,
            self.end_reasons,
            self.evaluate,
            self.checkpoint_and_begin,
            on_progress,
            self._evaluated_at,
        )
        self._started = time.perf_counter()
        try:
            if begun < self.config.timesteps:
                with torch_threads(self.config.threads):
                    self.model.learn(
                        self.config.timesteps - begun, callback=progress, log_interval=None, reset_num_timesteps=False
                    )
        except (DivergedError, ValueError) as error:
            # torch may see first that nothing can be drawn from probabilities that are no numbers.
            if isinstance(error, ValueError) and progress.finite() and "invalid values" not in str(error):
                raise
            raise self._diverged(progress, begun) from error
        except (KeyboardInterrupt, EmoSimError):
            if progress.at_rest > begun:
                progress.rest()
                self.checkpoint()
            raise
        finally:
            progress.close()
            self.world.close()
        self.checkpoint()
        self.save_model(MODEL)
        summary = self._summary()
        self.job.write(SUMMARY, summary)
        return summary

    def _diverged(self, progress: Progress, begun: int) -> RunError:
        """What to raise when weights or losses are no numbers any more, after a checkpoint of the last good state."""
        seen = self.model.num_timesteps
        progress.go_back()
        if progress.at_rest > begun:
            self.checkpoint()
        than = "" if self.config.learning_rate is None else f" than {self.config.learning_rate:g}"
        good = "Nothing was learned before that"
        self.job.advises = False  # the same training diverges again
        if progress.at_rest:
            good = f"The state after {progress.at_rest} steps, the last good one, is kept in {self.directory}"
        return RunError(
            f"the training has diverged: after {seen} steps its weights or losses are no finite numbers any more. "
            f"{good}. Train anew with a lower --learning-rate{than} or another --seed"
        )

    @property
    def directory(self) -> Path:
        return self.job.path

    @property
    def seconds(self) -> float:
        """Wall-clock time of the training so far, before it was resumed included."""
        return self._seconds_before + time.perf_counter() - self._started

    def _begin(self) -> int:
        """Write the manifest, or go back to the last checkpoint; the steps that were trained already."""
        begun = 0

        def check(stored: Mapping[str, Any]) -> None:
            nonlocal begun
            check_same(self.directory, stored, self.manifest, MAY_DIFFER, TrainConfig)
            begun = self._load_last()

        begin_job(self.job, self.manifest, (TrainConfig,), self.world.registry, check)
        if (self.directory / PROGRESS).exists():  # lines beyond the checkpoint are trained, and told, again
            lines = [line for line in read_progress(self.directory) if line["timesteps"] <= begun]
            self.job.write(PROGRESS, b"".join(json_text.dumps(line).encode() + b"\n" for line in lines))
        self._seed(begun)
        return begun

    def _pretrain(self) -> None:
        """Let the network begin with what users say of random items, and write a checkpoint."""
        from emosim_core.training.pretraining import learn_from, random_ratings

        generator = np.random.default_rng([self.config.seed, _PRETRAINING])
        rated = random_ratings(self.env, self.config.pretrains, generator, self.end_reasons)
        learn_from(self.model.policy, self.net, rated)
        self.model.num_timesteps = self.config.pretrains
        self.checkpoint()
        self._seed(self.model.num_timesteps)

    def _seed(self, steps: int) -> None:
        """Seed all random numbers by the steps of training so far."""
        seed = np.random.SeedSequence([self.config.seed, steps]).generate_state(2, np.uint32)
        self.model.set_random_seed(int(seed[0]))
        self.env.seed(int(seed[1]) << 20)
        if hasattr(self.model, "exploration_schedule"):  # else the first action after it has that of the beginning
            self.model.exploration_rate = self.model.exploration_schedule(1.0 - steps / self.config.timesteps)

    def checkpoint_and_begin(self) -> None:
        """Write a checkpoint and begin new episodes, as a training does that is resumed from it: both go on alike."""
        self.checkpoint()
        self._seed(self.model.num_timesteps)
        self.model._last_obs = self.model.env.reset()  # with what stands around it: candidates, slates
        self.model._last_episode_starts = np.ones(self.env.num_envs, dtype=np.bool_)

    def _load_last(self) -> int:
        from emosim_core.recommenders.weights import load_checkpoint

        existing = checkpoints(self.directory)
        if not existing:
            return 0
        counters = load_checkpoint(existing[-1], self.model)
        self._best = -np.inf if counters["best"] is None else counters["best"]
        self._evaluated_at = int(counters["evaluated_at"])
        self._seconds_before = counters["seconds"]
        self.env.episodes = counters["episodes"]
        self.end_reasons = Counter(counters["end_reasons"])
        return int(counters["timesteps"])

    def checkpoint(self) -> None:
        """Write all that is needed to go on from here; older checkpoints, and half-written ones, are removed."""
        from emosim_core.recommenders.weights import save_checkpoint

        folder = self.directory / CHECKPOINTS / f"{self.model.num_timesteps:012d}"
        counters = {
            "episodes": self.env.episodes,
            "best": None if self._best == -np.inf else self._best,
            "evaluated_at": self._evaluated_at,
            "seconds": round(self.seconds, 3),
            "end_reasons": dict(self.end_reasons),
        }
        try:
            save_checkpoint(folder, self.model, counters)
            existing = checkpoints(self.directory)[-_CHECKPOINTS:]
            for other in folder.parent.iterdir():
                if other.name.isdigit() and other not in existing:
                    shutil.rmtree(other)
        except OSError as error:
            raise cannot_write(folder, error) from error

    def save_model(self, name: str) -> None:
        """Write the recommender of now."""
        from emosim_core.recommenders.weights import actor_bytes

        try:
            description = describe_recommender(self.config, self.world, self.net, self.model.num_timesteps)
            save_recommender(self.directory / name, description, actor_bytes(self.model.policy.actor()))
        except OSError as error:
            raise cannot_write(self.directory / name, error) from error

    @property
    def _user_splits(self) -> tuple[str, ...]:
        """Whom the training is measured on: those it learns from, and those it does not meet where there are any."""
        return ("train", "test") if self.config.user_split == "train" else (self.config.user_split,)

    def evaluate(self) -> dict[str, dict[str, Any]]:
        """Mean return of the recommender of now and its interval, by group of users, on evaluation episodes."""
        self._evaluated_at = self.model.num_timesteps
        result, episodes = {}, {}
        for name, (users, returns) in self._returns().items():
            result[name] = estimate_of(users, returns)
            ids = [self.world.population.users[user].id for user in users.tolist()]
            episodes[name] = {"users": ids, "returns": returns.round(6).tolist()}
        self.job.write(LAST_EVALUATION, {"timesteps": self.model.num_timesteps, "episodes": episodes})
        if (reward := result[self._user_splits[0]]["estimate"]) > self._best:
            self._best = reward
            self.save_model(BEST)
        return result

    def _returns(self) -> dict[str, tuple[Ints, Floats]]:
        """By group of users: the user and the return of each evaluation episode with the recommender of now."""
        from emosim_core.training.callbacks import returns_of_model

        references = {}
        for name in self._user_splits:
            world = world_of(self.world, name)
            returns = returns_of_model(world, self.model, self.net, self.config)
            references[name] = users_met(world, len(returns)), returns
        return references

    def _measured_references(self, trained: bool) -> dict[str, Any]:
        """What others get in the evaluation episodes, by group of users; kept in a file.

        Others are simple policies, the oracle and, unless it is ``trained`` already, the network as it begins.
        """
        if not self._eval_every:
            return {}
        path, episodes = self.directory / REFERENCES, self.config.eval_episodes
        if path.exists() and (stored := read_object(path, STORED_REFERENCES))["episodes"] == episodes:
            return dict(stored["rewards"])
        registry = self.world.registry
        rewards = {name: references(world_of(self.world, name), episodes, registry) for name in self._user_splits}
        if not trained and all(rewards.values()):
            for name, (users, returns) in self._returns().items():
                rewards[name][UNTRAINED] = estimate_of(users, returns)
        self.job.write(REFERENCES, {"episodes": episodes, "rewards": rewards})
        return rewards

    def _held_out(self, line: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the final recommender gets from the users whom the training does not meet, after a line of progress."""
        if self.config.user_split != "train" or "intervals" not in line:
            return None
        low, high = line["intervals"]["test"]
        episodes = self.config.eval_episodes
        users = len(np.unique(users_met(world_of(self.world, "test"), episodes)))
        about = {"user_split": "test", "episodes": episodes, "users": users}
        return {**about, "estimate": line["evaluation"]["test"], "low": low, "high": high}

    def _summary(self) -> dict[str, Any]:
        lines, seconds = read_progress(self.directory), self.seconds
        evaluations = [line for line in lines if "evaluation" in line]
        reward, length = mean_over(lines, "reward"), mean_over(lines, "length")
        return {
            "complete": True,
            "domain": self.world.domain.name,
            "algo": self.config.algo,
            "policy_net": self.config.policy_net,
            "rater": self.world.parts["rater"]["name"],
            "uses_llm": self.world.rater.uses_llm,
            "language_model": self.world.model or None,
            "answered_by": self.world.answered_by,
            "usage": dict(self.world.rater.usage()) or None,
            "timesteps": self.model.num_timesteps,
            "episodes": self.env.episodes,
            "updates": self.model._n_updates,
            "reward": None if reward is None else round(reward[0], 6),
            "length": None if length is None else round(length[0], 6),
            "recent_episodes": 0 if reward is None else reward[1],
            "end_reasons": dict(self.end_reasons.most_common()),
            "evaluation": evaluations[-1]["evaluation"] if evaluations else None,
            "held_out": self._held_out(evaluations[-1]) if evaluations else None,
            "references": self._references,
            "parameters": int(sum(p.numel() for p in self.model.policy.parameters())),
            "seconds": round(seconds, 3),
            "steps_per_second": round(self.model.num_timesteps / seconds) if seconds > 0 else None,
        }


def describe_recommender(config: TrainConfig, world: World, net: Net, timesteps: int) -> dict[str, Any]:
    """What the files of a recommender say of it: how it was trained, in how many steps, for which items and users."""
    return {
        "algo": config.algo,
        "domain": world.domain.name,
        "timesteps": timesteps,
        "seed": config.seed,
        "user_split": config.user_split,
        "test_fraction": config.test_fraction,
        "language_model": world.model or None,
        "rater": world.parts["rater"]["name"],
        "items_sha256": digest(world.catalog.items),
        "net": asdict(net.options),
        "items": [
            {"id": id_, "title": title} for id_, title in zip(world.catalog.ids, world.catalog.titles, strict=True)
        ],
        "users": [user.id for user in world.population.users],
    }


def checkpoints(directory: Path) -> list[Path]:
    """The whole checkpoints of a training, oldest first."""
    from emosim_core.recommenders.weights import COUNTERS

    return sorted(path.parent for path in (directory / CHECKPOINTS).glob(f"*/{COUNTERS}"))
