"""Options of the gateway: how a language model is asked. None of them changes an answer."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class GatewayOptions(BaseModel):
    """How a language model is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int = Field(default=32, ge=1, le=1024, description="Most questions under way at the same time.")
    attempts: int = Field(
        default=5, ge=1, description="How often a question is put when the service fails for the moment."
    )
    max_cost: float | None = Field(
        default=None,
        ge=0,
        description="Most that may be spent, in the currency of the model's price; None for no limit.",
    )
    replay: bool = Field(default=False, description="Use kept answers only, and ask nothing.")
    cache: Path | None = Field(default=None, description="File that answers are kept in; the user's cache if None.")
