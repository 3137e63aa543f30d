"""Item: one thing that can be recommended."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from emosim_core.model.names import LowerCaseNames


class Item(BaseModel):
    """One thing that can be recommended. A domain subclasses it with fields of its own.

    Items are immutable; where they are read from a file, pydantic checks every field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(min_length=1, description="Identifier, unique in its catalog.")
    title: str = Field(min_length=1, description="Title as users know it.")
    categories: LowerCaseNames = Field(default=(), description="Categories, lower case.")
    description: str = Field(default="", description="What it is about.")
    year: int | None = Field(default=None, description="Year of first publication.")
    public_rating: float | None = Field(
        default=None, description="Mean rating by the public, on the domain's scale; None where unknown."
    )
    public_count: int | None = Field(default=None, ge=0, description="How many users rated it; None where unknown.")
    collection: str | None = Field(default=None, description="Series that it belongs to.")
    part: int | None = Field(default=None, ge=1, description="Position in the series, from 1.")

    @field_validator("part")
    @classmethod
    def _part_of_something(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("collection") is None:
            raise ValueError("a part needs the name of its series or collection")
        return value

    @property
    def creators(self) -> tuple[str, ...]:
        """The people behind it, most important first; a domain overrides this."""
        return ()

    def text(self) -> str:
        """The text that its embedding is made of."""
        parts = [self.title, ", ".join(self.categories), ", ".join(self.creators), self.description]
        return ". ".join(part.rstrip(".") for part in parts if part)
