"""Options of the gateway: how a language model is asked. None of them changes an answer."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


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
    cache: Path | None = Field(
        default=None,
        description="File with the cached answers of language models.",
        json_schema_extra={"unset": "in the user's cache folder", "aliases": ["llm_cache"], "rare": True},
    )
