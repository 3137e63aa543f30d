"""Configuration: one model describes one environment, and one a run of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emosim_core.data.places import read_document
from emosim_core.errors import ConfigurationError
from emosim_core.hooks.names import checked_options
from emosim_core.llm.options import GatewayOptions
from emosim_core.llm.rater import ModelRaterOptions
from emosim_core.model import EmotionThresholds, MoodOptions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ComponentChoice = str | dict[str, Any]
"""A component by name (``"decay_emotion_3"``), or a table with ``name`` and its options."""


DEFAULT_LLM_RATER = "0Shot_cotlite_our"
"""How a language model is prompted where nothing else is said (EmoSim-RL)."""


class EnvironmentConfig(BaseModel):
    """Everything that describes one environment. The defaults are those of a run and a training too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plugin: str = Field(description="Domain to simulate, such as 'movies'.", json_schema_extra={"harmless": True})
    items: ComponentChoice | None = Field(
        default=None, description="Where items come from; the domain's default if not given."
    )
    user_dataset: ComponentChoice | None = Field(
        default=None, description="Who is simulated; the domain's default if not given."
    )
    embeddings: str = Field(
        default="auto",
        description="How items without an embedding get one: 'auto', 'lexical' or 'sentence-transformers:MODEL'.",
        json_schema_extra={"harmless": ["auto", "lexical"]},
    )
    rater: ComponentChoice = Field(
        default="rule_based", description="Who answers for a person, where no language model is named."
    )
    llm_model: ComponentChoice | None = Field(
        default=None, description="Language model that answers for a person, such as 'deepseek-chat'."
    )
    llm_rater: ComponentChoice | None = Field(
        default=None, description="How the language model is prompted; '0Shot_cotlite_our' if a model is named."
    )
    llm: ModelRaterOptions = Field(
        default_factory=ModelRaterOptions, description="How the answers of a language model become ratings."
    )
    gateway: GatewayOptions = Field(
        default_factory=GatewayOptions, description="How a language model is asked; changes no rating."
    )
    items_retrieval: ComponentChoice = Field(
        default="decay_emotion_3", description="Which memories matter for an item."
    )
    selector: ComponentChoice = Field(default="greedy", description="What of a slate is consumed.")
    perturbator: ComponentChoice = Field(default="none", description="Noise on the ratings of what was consumed.")
    reward_shaping: ComponentChoice = Field(
        default="churn_satisfaction", description="From ratings to rewards, and when a session ends."
    )
    slate: int = Field(default=1, ge=1, description="Items proposed in one step.")
    max_steps: int = Field(default=50, ge=1, description="Steps after which a session is cut off.")
    p_interrupt: float = Field(
        default=0.0, ge=0, le=1, description="Probability per step that something interrupts a session."
    )
    keep_memory: bool = Field(default=False, description="Whether a person remembers earlier sessions.")
    user_order: Literal["random", "sequential"] = Field(
        default="random", description="How people follow on one another."
    )
    user_split: Literal["all", "train", "test"] = Field(
        default="all",
        description="Whom sessions are about: everyone, the known people that recommenders learn from, or the others, "
        "who are kept for measuring.",
    )
    test_fraction: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of the people that are 'new'; who they are depends on the population alone.",
    )
    history_length: int = Field(default=10, ge=1, description="Recent interactions that an observation shows.")
    observe_consumed: bool = Field(
        default=False,
        description="Whether an observation marks the items that the person remembers, none of which is then to be "
        "proposed again: a session ends when all are.",
    )
    on_failed_rating: Literal["raise", "skip"] = Field(
        default="raise", description="What a failed rating does: end the run with an error, or leave the item out."
    )
    emotion: EmotionThresholds = Field(
        default_factory=EmotionThresholds, description="Where a rating becomes an emotion."
    )
    mood: MoodOptions = Field(default_factory=MoodOptions, description="How a mood moves.")

    @model_validator(mode="after")
    def _one_rater(self) -> EnvironmentConfig:
        if self.llm_model is not None and self.rater != "rule_based":
            raise ValueError(
                "llm_model names a language model that answers: leave rater (--rater) out, or name no model"
            )
        if self.llm_model is None and self.llm_rater is not None:
            raise ValueError(
                f"llm_rater {self.llm_rater!r} needs a language model: give --llm-model too (llm_model in a file)"
            )
        return self


class RunConfig(EnvironmentConfig):
    """An environment, a recommender, and how long they meet."""

    policy: ComponentChoice = Field(default="random", description="The recommender.")
    episodes: int = Field(default=100, ge=1, description="Sessions to simulate.")
    num_envs: int = Field(
        default=16,
        ge=1,
        description="Sessions that run side by side; changes no result, only the speed. With a language model, the "
        "default is sixteen times the concurrency, so that there is always somebody to ask for.",
    )
    seed: int = Field(default=42, ge=0, le=2**63 - 1, description="Seed of everything random.")

    @model_validator(mode="before")
    @classmethod
    def _enough_to_ask(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("llm_model") is not None and values.get("num_envs") is None:
            gateway = values.get("gateway") or {}
            asked = gateway.get("concurrency") if isinstance(gateway, dict) else getattr(gateway, "concurrency", None)
            if asked is None or isinstance(asked, int):
                default = GatewayOptions.model_fields["concurrency"].default
                return {**values, "num_envs": 16 * max(1, default if asked is None else asked)}
        return values


def read_config(model: type[EnvironmentConfig], values: Mapping[str, Any], where: str = "configuration") -> Any:
    """A configuration, checked.

    Raises:
        ConfigurationError: an unknown key (with the nearest one) or a wrong value.
    """
    return checked_options(model, values, where)


def read_toml(path: str | Path) -> dict[str, Any]:
    """The table of a TOML file.

    Raises:
        ConfigurationError: it is not TOML; says line and column.
        DataError: there is no such file, it is too large, or not UTF-8; a byte order mark does no harm.
    """
    text = read_document(path, "a TOML configuration file")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not a TOML file: {error}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path} is nested too deeply for a configuration") from error
