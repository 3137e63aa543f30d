"""Configuration of a training: an environment, an algorithm and how long they meet."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, model_validator

from emosim_core.model.frozen import option
from emosim_core.simulation.config import EnvironmentConfig

_EVALUATION = 5_000
"""Steps between evaluations at least, unless chosen: those of a short training would take longer than it."""

OF_SLATES = ("slateq", "topk")
"""The algorithms that learn slates."""


class TrainConfig(EnvironmentConfig):
    """Training configuration. Inherits :class:`EnvironmentConfig`; ``user_split`` defaults to ``"train"``."""

    model_config = ConfigDict(title="Training")

    algo: Literal["a2c", "ppo", "dqn", "trpo", "maskable_ppo", "slateq", "topk"] = option(
        "a2c", "Reinforcement-learning algorithm; slateq and topk learn slates of two and more."
    )
    policy_net: Literal["cf", "mlp", "bayes"] = option(
        "cf",
        "Policy network: cf learns an embedding per user, mlp reads the history, and traits and mood if observed, "
        "bayes begins as a Bayesian model of users' ratings.",
    )
    timesteps: int = option(100_000, "Training steps over all environments.", ge=1, unit="steps")
    num_envs: int = option(64, "Environments that are stepped as one batch.", ge=1, unit="environments")
    seed: int = option(42, "Seed of all random numbers.", ge=0, le=2**63 - 1)
    num_seeds: int = option(
        1,
        "Trainings side by side, under this seed and the next ones; 'emosim evaluate' takes them as one recommender.",
        ge=1,
        aliases=["seeds"],
        unit="trainings",
    )
    device: str = option("auto", "Device of the network: auto, cpu or cuda.", harmless=True)
    threads: int = option(
        1, "CPU threads of the network; small networks gain nothing from more.", ge=1, unit="threads", rare=True
    )
    gamma: float = option(0.975, "Discount factor.", gt=0, le=1, unit="factor")
    history_length: int = option(
        50, "Recent interactions in an observation; mlp reads them.", ge=1, unit="items", rare=True
    )
    embedding_dim: int = option(32, "Dimensions of a user's embedding (cf).", ge=1, unit="dimensions", rare=True)
    hidden: tuple[int, ...] = option((64, 64), "Sizes of the hidden layers.", min_length=1, unit="sizes", rare=True)
    pretrain_steps: int | None = option(
        None,
        "First steps, with random items, from whose ratings bayes learns its model; they count as timesteps.",
        ge=0,
        unset="three quarters of the timesteps with bayes, 0 else",
        unit="steps",
        rare=True,
    )
    learning_rate: float | None = option(
        None, "Initial learning rate; decays to a tenth.", gt=0, unset="the algorithm's", unit="rate"
    )
    n_steps: int | None = option(
        None, "Steps of each environment between updates.", ge=1, unset="the algorithm's", unit="steps", rare=True
    )
    prior: float | None = option(
        None,
        "Scale of the initial item scores, which are standardised public ratings; 0 for none.",
        ge=0,
        unset="the algorithm's",
        unit="deviations",
        rare=True,
    )
    candidates: int | None = option(
        None,
        "Items that are scored at once in learning, the best of all; 0 for all.",
        ge=0,
        unset="all up to 2,000 items; above, the algorithm's",
        unit="items",
        rare=True,
    )
    algorithm: dict[str, Any] = option(
        {},
        "Further arguments of the algorithm's class, such as ent_coef=0.01,vf_coef=0.5.",
        unset="none",
        rare=True,
    )
    eval_every: int | None = option(
        None,
        "Steps between evaluations on evaluation episodes, of users whom the training does not meet too; 0 for none.",
        ge=0,
        unset="a tenth of the training, at least 5,000; 0 where a language model rates",
        unit="steps",
    )
    eval_episodes: int = option(
        100, "Episodes of an evaluation, for each user split.", ge=1, unit="episodes", rare=True
    )
    checkpoint_every: int = option(25_000, "Steps between checkpoints.", ge=1, unit="steps", rare=True)
    track: tuple[Literal["tensorboard", "wandb", "wandb-offline", "mlflow"], ...] = option(
        (),
        "Trackers that get the learning curves beside progress.jsonl: tensorboard, wandb, wandb-offline, mlflow.",
        harmless=False,
        unset="none",
        rare=True,
    )
    user_split: Literal["all", "train", "test"] = option(
        "train", "Users to train on: all, the train users, or the held-out test users."
    )

    @model_validator(mode="after")
    def _right_slate(self) -> TrainConfig:
        if self.slate == 1 and self.algo in OF_SLATES:
            raise ValueError(f"{self.algo} learns slates; give a slate of 2 or more, or another algo")
        if self.slate > 1 and self.algo not in OF_SLATES:
            raise ValueError(f"{self.algo} learns one item per step; with slate {self.slate}, algo is slateq or topk")
        return self

    @model_validator(mode="after")
    def _right_pretraining(self) -> TrainConfig:
        if self.pretrain_steps and self.policy_net != "bayes":
            raise ValueError(f"pretrain_steps are for the network bayes; {self.policy_net} learns from its first step")
        if self.pretrain_steps is not None and self.pretrain_steps >= self.timesteps:
            raise ValueError(f"pretrain_steps must be less than the timesteps, {self.timesteps}")
        return self

    @property
    def pretrains(self) -> int:
        """Steps with random items before the algorithm begins: whole batches, of which one at least is left."""
        steps = self.timesteps * 3 // 4 if self.policy_net == "bayes" else 0
        steps = steps if self.pretrain_steps is None else self.pretrain_steps
        batches = -(-self.timesteps // self.num_envs)
        return min(-(-steps // self.num_envs), batches - 1) * self.num_envs

    def evaluates_every(self, uses_llm: bool) -> int:
        """Steps between evaluations; 0 for none."""
        if self.eval_every is not None:
            return self.eval_every
        return 0 if uses_llm else max(_EVALUATION, self.timesteps // 10)

    @property
    def environment(self) -> EnvironmentConfig:
        """The environment alone, with the items that were consumed marked."""
        fields = {name: getattr(self, name) for name in EnvironmentConfig.model_fields}
        return EnvironmentConfig.model_construct(**{**fields, "observe_consumed": True})


MAY_DIFFER = (
    "gateway",
    "on_failed_rating",
    "timesteps",
    "eval_every",
    "eval_episodes",
    "checkpoint_every",
    "track",
    "device",
    "threads",
)
"""What may change when a training is resumed."""
