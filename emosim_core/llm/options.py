"""Options of the rater ``llm`` and of its gateway.

``"short"`` names the field of a configuration that gives an option; see :mod:`emosim_core.hooks.fields`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_STRATEGY = "0Shot_cotlite_our"
"""The prompt strategy where none is named (EmoSim-RL)."""

_SECTION = "Language model"


class GatewayOptions(BaseModel):
    """How a language model is called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Maximum concurrent model calls.",
        json_schema_extra={"unit": "calls", "aliases": ["concurrency"]},
    )
    attempts: int = Field(
        default=5,
        ge=1,
        description="Maximum calls per request while the service fails temporarily.",
        json_schema_extra={"unit": "calls", "rare": True},
    )
    max_cost: float | None = Field(
        default=None,
        ge=0,
        description="Maximum cost of the model calls of this command, in the currency of the model's price.",
        json_schema_extra={"unit": "cost", "unset": "no limit", "aliases": ["max_cost"]},
    )
    replay: bool = Field(
        default=False,
        description="Use cached answers only; no model is called.",
        json_schema_extra={"aliases": ["replay"]},
    )
    transcript: bool = Field(
        default=True,
        description="Record each prompt and raw answer of a run in its transcript.jsonl.",
        json_schema_extra={"aliases": ["transcript"], "rare": True},
    )
    cache: Path | None = Field(
        default=None,
        description="File with the cached answers of language models.",
        json_schema_extra={"unset": "in the user's cache folder", "aliases": ["llm_cache"], "rare": True},
    )


class ModelRaterOptions(BaseModel):
    """How the answers of a language model become ratings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reading: Literal["likeliest", "sampled", "expected"] = Field(
        default="likeliest",
        description="Rating where the model returns a probability per rating: its answer, one sampled by these "
        "probabilities, or their mean, rounded to the scale. The last two need a model that returns them.",
        json_schema_extra={"short": "llm.reading", "section": _SECTION, "rare": True},
    )
    asks: int = Field(
        default=3,
        ge=1,
        le=10,
        description="Maximum attempts to get a parseable answer; after that the rating is NaN.",
        json_schema_extra={"short": "llm.asks", "section": _SECTION, "unit": "attempts", "rare": True},
    )
    explain: bool = Field(
        default=False,
        description="Record the model's reasons.",
        json_schema_extra={"short": "llm.explain", "section": _SECTION, "aliases": ["explain"]},
    )


class ModelChoice(BaseModel):
    """Which language model answers, and how it is prompted."""

    model: str | dict[str, Any] = Field(
        description="Language model that rates, such as deepseek-v4-flash, openai:MODEL, http://HOST:PORT/v1#MODEL "
        "or local:PATH.",
        json_schema_extra={
            "short": "llm_model",
            "component": "llm_backend",
            "needed": "a language model",
            "section": _SECTION,
            "unset": "none",
        },
    )
    strategy: str | dict[str, Any] = Field(
        default=DEFAULT_STRATEGY,
        description="Prompt strategy of the language model.",
        json_schema_extra={"short": "llm_rater", "component": "prompt_strategy", "section": _SECTION},
    )


class LLMRaterOptions(ModelRaterOptions, ModelChoice):
    """Options of the rater ``llm``: which model answers, how it is prompted, and how it is called."""

    gateway: GatewayOptions = Field(
        default_factory=GatewayOptions,
        description="How a language model is called; changes no rating.",
        json_schema_extra={"short": "gateway", "recorded": False, "section": _SECTION},
    )
