"""Configuration: one model describes one environment, and one a run of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from emosim_core.data.places import read_document
from emosim_core.errors import ConfigurationError
from emosim_core.hooks.component import core_component
from emosim_core.hooks.fields import by_field, with_components
from emosim_core.hooks.mixtures import read_mixture
from emosim_core.hooks.names import Request, checked_options, written_options
from emosim_core.model import EmotionThresholds, MoodOptions
from emosim_core.model.frozen import Frozen, option

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ComponentChoice = str | dict[str, Any]
"""A component by name (``"decay_emotion_3"``), or a table with ``name`` and its options."""

_HARMLESS: dict[str, Any] = {"harmless": True}
_SPREAD_LLM: dict[str, Any] = {"spread": ("rater", "llm"), "spread_in": ("mix", "raters")}


RATINGS_FIRST = "ratings_first"
"""The choice model with which the whole slate is rated, and a selector chooses by the ratings."""

FITTED = "fitted"
"""The users, and their rater, that ``emosim fit`` learned from a log."""


MIX = "mix"
"""The rater that is made of several."""


class EnvironmentConfig(Frozen):
    """One environment: its domain, items, users, rater and the components of a step.

    Fields are described once, here; see :mod:`emosim_core.hooks.fields`. Each can be given by its short name too, as
    in ``users="sampled"``, and a field of a table by its path or its short name: ``max_cost=1`` is
    ``gateway={"max_cost": 1}``.

    ``llm_model``, ``llm_rater``, ``llm`` and ``gateway`` stand for the rater ``llm`` and its options: ``llm_model="m"``
    is ``rater={"name": "llm", "model": "m"}``, which is what the configuration then holds, with all options.
    """

    model_config = ConfigDict(title="Environment")

    plugin: str = Field(description="Domain to simulate, such as movies or books.", json_schema_extra=_HARMLESS)
    items: ComponentChoice | None = option(
        None, "Item loader: sample, csv:PATH, or one of the domain's, such as movielens:PATH.", unset="the domain's"
    )
    user_dataset: ComponentChoice | None = option(
        None,
        "Simulated users: sampled, basic, detailed, csv:PATH or fitted:DIR.",
        unset="the domain's",
        aliases=["users"],
    )
    embeddings: str = option(
        "auto",
        "Embeddings of items that come without one: auto, lexical or sentence-transformers:MODEL.",
        harmless=["auto", "lexical"],
        rare=True,
    )
    rater: ComponentChoice = option(
        "rule_based",
        "Rater that answers for a user: rule_based, llm:MODEL, mix:llm=0.1,rule_based=0.9, or one of a plugin.",
        **_SPREAD_LLM,
    )
    items_retrieval: ComponentChoice = option(
        "decay_emotion_3", "Retrieval strategy: which memories of a user enter a rating.", aliases=["retrieval"]
    )
    choice: ComponentChoice | None = option(
        None,
        "Choice model: what of a slate a user examines, clicks and so consumes; ratings_first, cascade, "
        "position_based or multinomial_logit.",
        unset="ratings_first with a slate of one or with a selector, else cascade",
    )
    selector: ComponentChoice = option(
        "greedy", "Selector: which rated items of a slate a user consumes, where the whole slate is rated first."
    )
    perturbator: ComponentChoice = option("none", "Noise on the ratings of consumed items.")
    reward_shaping: ComponentChoice = option("churn_satisfaction", "Reward from ratings, and when a user leaves.")
    emotion_model: ComponentChoice = option(
        "valence_arousal", "Emotion model: the emotion that a rating evokes, and how it moves the mood.", rare=True
    )
    observation: ComponentChoice = option(
        "behavior",
        "Observation: what a recommender sees of a user; full shows traits and mood, which no real recommender sees.",
    )
    slate: int = option(1, "Recommended items per step.", ge=1, unit="items")
    max_steps: int = option(50, "Steps after which an episode is truncated.", ge=1, unit="steps")
    p_interrupt: float = option(
        0.0, "Probability per step that an episode is interrupted.", ge=0, le=1, unit="probability", rare=True
    )
    keep_memory: bool = option(False, "Keep a user's memory from one episode to the next.")
    user_order: Literal["random", "sequential"] = option("random", "Order in which episodes draw users.", rare=True)
    user_split: Literal["all", "train", "test"] = option(
        "all", "Users of the episodes: all, the train users that recommenders learn from, or the held-out test users."
    )
    test_fraction: float = option(
        0.2,
        "Fraction of test users; who they are depends on the population alone.",
        gt=0,
        lt=1,
        unit="fraction",
        rare=True,
    )
    history_length: int = option(
        10, "Recent interactions in an observation; more where the policy needs more.", ge=1, unit="items", rare=True
    )
    observe_consumed: bool = option(
        False,
        "Mark consumed items in the observation. They are then not recommended again, and an episode ends "
        "when no item remains.",
        rare=True,
    )
    on_failed_rating: Literal["raise", "skip"] = option(
        "raise",
        "When the rater gives no rating: raise ends with an error, skip leaves the item out.",
        section="Language model",
        rare=True,
    )
    emotion: EmotionThresholds = Field(
        default_factory=EmotionThresholds,
        description="Thresholds from a rating to an emotion.",
        json_schema_extra={"section": "Emotion and mood", "rare": True},
    )
    mood: MoodOptions = Field(
        default_factory=MoodOptions,
        description="Mood dynamics.",
        json_schema_extra={"section": "Emotion and mood", "rare": True},
    )

    @model_validator(mode="before")
    @classmethod
    def _under_their_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return _with_choice(_with_own_rater(with_components(cls, by_field(cls, values))))


def _with_own_rater(values: dict[str, Any]) -> dict[str, Any]:
    """Values where the users ``fitted`` have the rater of their directory, unless another is named.

    The rater ``fitted`` of a mixture, too, has their directory where it names none.
    """
    users = values.get("user_dataset")
    if not isinstance(users, str | dict) or Request.read(users).name != FITTED:
        return values
    path = written_options(core_component("user_loader", FITTED), Request.read(users)).get("path")
    if path is None:
        return values
    rater = values.get("rater")
    if rater is None:
        return {**values, "rater": {"name": FITTED, "path": str(path)}}
    if Request.read(rater).name == MIX:
        options = written_options(core_component("rater", MIX), Request.read(rater))
        entries = read_mixture(options.get("raters", {}), "rater 'mix'")
        if FITTED in entries and not {"path", "name"} & entries[FITTED].keys():
            entries[FITTED]["path"] = str(path)
            return {**values, "rater": {"name": MIX, **options, "raters": entries}}
    return values


def _with_choice(values: dict[str, Any]) -> dict[str, Any]:
    """Values with a choice model; see the field's description.

    Raises:
        ValueError: there is a selector beside a choice model that knows no ratings.
    """
    chosen, selector, slate = (values.get(name) for name in ("choice", "selector", "slate"))
    if chosen is None:
        first = selector is not None or slate in (None, 1, "1")
        return {**values, "choice": RATINGS_FIRST if first else "cascade"}
    model, chooser = (part.get("name") if isinstance(part, dict) else part for part in (chosen, selector))
    if model != RATINGS_FIRST and chooser not in (None, EnvironmentConfig.model_fields["selector"].default):
        raise ValueError(
            f"the selector {chooser!r} chooses by ratings, and with the choice model {model!r} only what was chosen is "
            "rated; leave one of them out"
        )
    return values


class RunConfig(EnvironmentConfig):
    """One run: an environment, a recommender and a number of episodes. An episode is one session of one user."""

    model_config = ConfigDict(title="Run")

    policy: ComponentChoice = option(
        "random",
        "Recommender: random, popular, top_rated, similar_to_liked, epsilon_greedy, linucb, thompson, "
        "replay:FILE, item_knn:DIR (from logs), trained:DIR, ...",
    )
    episodes: int = option(100, "Episodes to simulate.", ge=1, unit="episodes")
    num_envs: int | None = option(
        None,
        "Episodes that are simulated as one batch. It changes the speed alone, except with policies that learn across "
        "episodes (epsilon_greedy, linucb, thompson). With a language model the default is 32 times the concurrency.",
        ge=1,
        unit="episodes",
        unset="16",
    )
    seed: int = option(42, "Seed of all random numbers.", ge=0, le=2**63 - 1)
    user_id: str | None = option(
        None,
        "Id of the one user whom all episodes are about.",
        unset="the users of user_split",
        rare=True,
        harmless=True,
    )
    propensities: bool | None = option(
        None,
        "Record how probable each recommendation was, where the policy knows it.",
        unset="with every choice model but ratings_first",
        rare=True,
        harmless=True,
    )
    records: str | None = option(
        None,
        "How the steps are written: jsonl, parquet (the faster, smaller one), sample:S for parquet of a fraction S of "
        "the episodes, or none for the summary alone.",
        unset="jsonl; above 10,000 episodes parquet, if pyarrow is installed",
        rare=True,
        harmless=True,
    )

    @field_validator("records")
    @classmethod
    def _known_records(cls, value: str | None) -> str | None:
        if value is not None and value not in ("jsonl", "parquet", "none"):
            name, _, share = value.partition(":")
            try:
                right = name == "sample" and 0 < float(share) <= 1
            except ValueError:
                right = False
            if not right:
                raise ValueError("expected jsonl, parquet, none, or sample:S with a fraction S, such as sample:0.01")
        return value


read_config = checked_options
"""A configuration of values by name, checked; a ConfigurationError for an unknown key or a wrong value."""


def read_config_file(model: type[BaseModel], path: str | Path) -> dict[str, Any]:
    """The table of a TOML file under the names of a configuration's fields, whichever spelling it uses.

    Raises:
        ConfigurationError: it is not TOML, or gives a field under two names.
        DataError: there is no such file, it is too large, or not UTF-8.
    """
    return by_field(model, read_toml(path), str(path))


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
