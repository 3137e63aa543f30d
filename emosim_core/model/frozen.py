"""Frozen: the base of models that never change, such as those of options."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A model that never changes; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
