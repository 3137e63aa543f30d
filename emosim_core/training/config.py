"""Configuration of a training: an environment, an algorithm and how long they meet."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from emosim_core.simulation.config import EnvironmentConfig

TRACKERS = ("tensorboard", "wandb", "wandb-offline")


class TrainConfig(EnvironmentConfig):
    """What is trained, on whom, and how. Fields of an environment have its defaults, but for whom it is about."""

    algo: Literal["a2c", "ppo", "dqn", "trpo", "maskable_ppo"] = Field(
        default="a2c", description="The algorithm: a2c, ppo, dqn, trpo or maskable_ppo."
    )
    policy_net: Literal["cf", "mlp"] = Field(
        default="cf",
        description="The network: 'cf' learns an embedding of each person, 'mlp' reads traits, mood and history.",
    )
    timesteps: int = Field(default=100_000, ge=1, description="Steps to train, over all environments.")
    num_envs: int = Field(default=64, ge=1, description="Environments that are stepped as one batch.")
    seed: int = Field(default=42, ge=0, le=2**63 - 1, description="Seed of everything random.")
    device: str = Field(
        default="auto",
        description="Where the network is: 'auto', 'cpu' or 'cuda'.",
        json_schema_extra={"harmless": True},
    )
    threads: int = Field(
        default=1, ge=1, description="Threads of the processor for the network; small ones gain nothing from more."
    )
    gamma: float = Field(default=0.975, gt=0, le=1, description="Discount of later rewards.")
    history_length: int = Field(
        default=50, ge=1, description="Recent interactions that an observation shows; read by 'mlp'."
    )
    embedding_dim: int = Field(default=32, ge=1, description="Size of a person's embedding ('cf').")
    hidden: tuple[int, ...] = Field(default=(64, 64), min_length=1, description="Sizes of the hidden layers.")
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Learning rate in the beginning; it falls to a tenth. The algorithm's if not given.",
    )
    n_steps: int | None = Field(
        default=None, ge=1, description="Steps of each environment between updates; the algorithm's if not given."
    )
    prior: float | None = Field(
        default=None,
        ge=0,
        description="Where the score of an item begins, in standard deviations of the public ratings; the algorithm's "
        "if not given, 0 for none.",
    )
    algorithm: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments of the algorithm's class, such as ent_coef."
    )
    eval_every: int = Field(default=0, ge=0, description="Steps between evaluations on held-out seeds; 0 for none.")
    eval_episodes: int = Field(default=100, ge=1, description="Sessions of an evaluation, for each group of people.")
    checkpoint_every: int = Field(default=25_000, ge=1, description="Steps between checkpoints.")
    track: tuple[Literal["tensorboard", "wandb", "wandb-offline"], ...] = Field(
        default=(),
        description="Where the curves are sent beside progress.jsonl: tensorboard, wandb, wandb-offline.",
        json_schema_extra={"harmless": False},
    )
    user_split: Literal["all", "train", "test"] = Field(
        default="train", description="Who is trained on; the new people are kept for measuring."
    )

    @model_validator(mode="after")
    def _one_item(self) -> TrainConfig:
        if self.slate != 1:
            raise ValueError(f"a training proposes one item per step; slate must be 1, not {self.slate}")
        return self

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
