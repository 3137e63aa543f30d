"""Configuration of a training: an environment, an algorithm and how long they meet."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from emosim_core.simulation.config import EnvironmentConfig


class TrainConfig(EnvironmentConfig):
    """Training configuration. Inherits :class:`EnvironmentConfig`; ``user_split`` defaults to ``"train"``."""

    model_config = ConfigDict(title="Training")

    algo: Literal["a2c", "ppo", "dqn", "trpo", "maskable_ppo"] = Field(
        default="a2c", description="Reinforcement-learning algorithm."
    )
    policy_net: Literal["cf", "mlp"] = Field(
        default="cf", description="Policy network: cf learns an embedding per user, mlp reads traits, mood and history."
    )
    timesteps: int = Field(
        default=100_000, ge=1, description="Training steps over all environments.", json_schema_extra={"unit": "steps"}
    )
    num_envs: int = Field(
        default=64,
        ge=1,
        description="Environments that are stepped as one batch.",
        json_schema_extra={"unit": "environments"},
    )
    seed: int = Field(default=42, ge=0, le=2**63 - 1, description="Seed of all random numbers.")
    device: str = Field(
        default="auto", description="Device of the network: auto, cpu or cuda.", json_schema_extra={"harmless": True}
    )
    threads: int = Field(
        default=1,
        ge=1,
        description="CPU threads of the network; small networks gain nothing from more.",
        json_schema_extra={"unit": "threads", "rare": True},
    )
    gamma: float = Field(
        default=0.975, gt=0, le=1, description="Discount factor.", json_schema_extra={"unit": "factor"}
    )
    history_length: int = Field(
        default=50,
        ge=1,
        description="Recent interactions in an observation; mlp reads them.",
        json_schema_extra={"unit": "items", "rare": True},
    )
    embedding_dim: int = Field(
        default=32,
        ge=1,
        description="Dimensions of a user's embedding (cf).",
        json_schema_extra={"unit": "dimensions", "rare": True},
    )
    hidden: tuple[int, ...] = Field(
        default=(64, 64),
        min_length=1,
        description="Sizes of the hidden layers.",
        json_schema_extra={"unit": "sizes", "rare": True},
    )
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Initial learning rate; decays to a tenth.",
        json_schema_extra={"unset": "the algorithm's", "unit": "rate"},
    )
    n_steps: int | None = Field(
        default=None,
        ge=1,
        description="Steps of each environment between updates.",
        json_schema_extra={"unset": "the algorithm's", "unit": "steps", "rare": True},
    )
    prior: float | None = Field(
        default=None,
        ge=0,
        description="Scale of the initial item scores, which are standardised public ratings; 0 for none.",
        json_schema_extra={"unset": "the algorithm's", "unit": "deviations", "rare": True},
    )
    algorithm: dict[str, Any] = Field(
        default_factory=dict,
        description="Further arguments of the algorithm's class, such as ent_coef=0.01,vf_coef=0.5.",
        json_schema_extra={"unset": "none", "rare": True},
    )
    eval_every: int = Field(
        default=0,
        ge=0,
        description="Steps between evaluations on evaluation episodes; 0 for none.",
        json_schema_extra={"unit": "steps"},
    )
    eval_episodes: int = Field(
        default=100,
        ge=1,
        description="Episodes of an evaluation, for each user split.",
        json_schema_extra={"unit": "episodes", "rare": True},
    )
    checkpoint_every: int = Field(
        default=25_000,
        ge=1,
        description="Steps between checkpoints.",
        json_schema_extra={"unit": "steps", "rare": True},
    )
    track: tuple[Literal["tensorboard", "wandb", "wandb-offline"], ...] = Field(
        default=(),
        description="Trackers that get the learning curves beside progress.jsonl: tensorboard, wandb, wandb-offline.",
        json_schema_extra={"harmless": False, "unset": "none", "rare": True},
    )
    user_split: Literal["all", "train", "test"] = Field(
        default="train", description="Users to train on: all, the train users, or the held-out test users."
    )

    @model_validator(mode="after")
    def _one_item(self) -> TrainConfig:
        if self.slate != 1:
            raise ValueError(f"a training recommends one item per step; slate must be 1, not {self.slate}")
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
