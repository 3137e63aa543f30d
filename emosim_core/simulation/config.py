"""Configuration: one model describes one environment, and one a run of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emosim_core.data.tables import existing_file
from emosim_core.errors import ConfigurationError
from emosim_core.hooks.names import explain
from emosim_core.model import EmotionThresholds, MoodOptions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ComponentChoice = str | dict[str, Any]
"""A component by name (``"decay_emotion_3"``), or a table with ``name`` and its options."""


class EnvironmentConfig(BaseModel):
    """Everything that describes one environment. The defaults are those of a run and a training too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plugin: str = Field(description="Domain to simulate, such as 'movies'.")
    items: ComponentChoice | None = Field(None, description="Where items come from; the domain's default if not given.")
    users: ComponentChoice | None = Field(None, description="Who is simulated; the domain's default if not given.")
    embeddings: str = Field(
        "auto",
        description="How items without an embedding get one: 'auto', 'lexical' or 'sentence-transformers:MODEL'.",
    )
    rater: ComponentChoice = Field("rule_based", description="Who answers for a person.")
    retrieval: ComponentChoice = Field("decay_emotion_3", description="Which memories matter for an item.")
    selector: ComponentChoice = Field("greedy", description="What of a slate is consumed.")
    perturbator: ComponentChoice = Field("none", description="Noise on the ratings of what was consumed.")
    reward_shaping: ComponentChoice = Field(
        "churn_satisfaction", description="From ratings to rewards, and when a session ends."
    )
    slate: int = Field(1, ge=1, description="Items proposed in one step.")
    max_steps: int = Field(50, ge=1, description="Steps after which a session is cut off.")
    p_interrupt: float = Field(0.0, ge=0, le=1, description="Probability per step that something interrupts a session.")
    keep_memory: bool = Field(False, description="Whether a person remembers earlier sessions.")
    user_order: Literal["random", "sequential"] = Field("random", description="How people follow on one another.")
    history_length: int = Field(10, ge=1, description="Recent interactions that an observation shows.")
    on_failed_rating: Literal["raise", "skip"] = Field(
        "raise", description="What a failed rating does: end the run with an error, or leave the item out."
    )
    emotion: EmotionThresholds = Field(
        default_factory=EmotionThresholds, description="Where a rating becomes an emotion."
    )
    mood: MoodOptions = Field(default_factory=MoodOptions, description="How a mood moves.")


class RunConfig(EnvironmentConfig):
    """An environment, a recommender, and how long they meet."""

    policy: ComponentChoice = Field("random", description="The recommender.")
    episodes: int = Field(100, ge=1, description="Sessions to simulate.")
    num_envs: int = Field(16, ge=1, description="Sessions that run side by side; changes no result, only the speed.")
    seed: int = Field(42, ge=0, le=2**63 - 1, description="Seed of everything random.")


def read_config(model: type[EnvironmentConfig], values: Mapping[str, Any], where: str = "configuration") -> Any:
    """A configuration, checked.

    Raises:
        ConfigurationError: an unknown key (with the nearest one) or a wrong value.
    """
    try:
        return model(**values)
    except ValidationError as error:
        raise ConfigurationError(explain(error, model, where)) from error


def read_toml(path: str | Path) -> dict[str, Any]:
    """The table of a TOML file.

    Raises:
        ConfigurationError: it is not TOML; says line and column.
        DataError: there is no such file.
    """
    found = existing_file(path, "a TOML configuration file")
    try:
        return tomllib.loads(found.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not a TOML file: {error}") from error
