"""Options of the rater ``llm`` and of its gateway.

``"short"`` names the field of a configuration that gives an option; see :mod:`emosim_core.hooks.fields`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from emosim_core.model.frozen import Frozen, option

DEFAULT_STRATEGY = "0Shot_system_our"
"""The prompt strategy where none is named: the simplest, as no other was shown better (docs/prompts.md)."""

_SECTION = "Language model"


class GatewayOptions(Frozen):
    """How a language model is called."""

    concurrency: int = option(
        32, "Maximum concurrent model calls.", ge=1, le=1024, unit="calls", aliases=["concurrency"]
    )
    attempts: int = option(
        5, "Maximum calls per request while the service fails temporarily.", ge=1, unit="calls", rare=True
    )
    max_cost: float | None = option(
        None,
        "Maximum cost of the model calls of this command, in the currency of the model's price.",
        ge=0,
        unit="cost",
        unset="no limit",
        aliases=["max_cost"],
    )
    replay: bool = option(False, "Use cached answers only; no model is called.", aliases=["replay"])
    transcript: bool = option(
        True,
        "Record each prompt and raw answer of a run in its transcript.jsonl.",
        aliases=["transcript"],
        rare=True,
    )
    cache: Path | None = option(
        None,
        "File with the cached answers of language models.",
        unset="in the user's cache folder",
        aliases=["llm_cache"],
        rare=True,
    )


class ModelRaterOptions(Frozen):
    """How the answers of a language model become ratings."""

    reading: Literal["sampled", "prior_corrected", "expected", "likeliest"] = option(
        "sampled",
        "Rating where the model returns a probability per rating: a draw by these probabilities, a draw after they are "
        "weighted by the file of prior, their mean rounded to the scale, or the likeliest. The rating is the answer's "
        "text where there are none; prior_corrected and expected need them.",
        short="llm.reading",
        section=_SECTION,
        rare=True,
    )
    prior: Path | None = option(
        None,
        "File with a weight per rating for the reading prior_corrected: label_weights.json of emosim validate.",
        unset="none",
        short="llm.prior",
        section=_SECTION,
        rare=True,
    )
    parse_attempts: int = option(
        3,
        "Maximum attempts to get a parseable answer; after that the rating is NaN.",
        ge=1,
        le=10,
        short="llm.parse_attempts",
        section=_SECTION,
        unit="attempts",
        rare=True,
    )
    explain: bool = option(
        False, "Record the model's reasons.", short="llm.explain", section=_SECTION, aliases=["explain"]
    )


class ModelChoice(BaseModel):
    """Which language model answers, and how it is prompted."""

    model: str | dict[str, Any] = option(
        ...,
        "Language model that rates, such as deepseek-v4-flash, openai:MODEL, http://HOST:PORT/v1#MODEL or local:PATH.",
        short="llm_model",
        component="llm_backend",
        needed="a language model",
        section=_SECTION,
        unset="none",
    )
    strategy: str | dict[str, Any] = option(
        DEFAULT_STRATEGY,
        "Prompt strategy of the language model.",
        short="llm_rater",
        component="prompt_strategy",
        section=_SECTION,
    )


class LLMRaterOptions(ModelRaterOptions, ModelChoice):
    """Options of the rater ``llm``: which model answers, how it is prompted, and how it is called."""

    gateway: GatewayOptions = Field(
        default_factory=GatewayOptions,
        description="How a language model is called; changes no rating.",
        json_schema_extra={"short": "gateway", "recorded": False, "section": _SECTION},
    )
