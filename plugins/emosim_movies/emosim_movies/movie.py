"""Movie: a film, as an item."""

from __future__ import annotations

from pydantic import Field

from emosim_core.plugins import Item, Names

GENRES = (
    "action", "adventure", "animation", "comedy", "crime", "documentary", "drama", "family", "fantasy", "film noir",
    "horror", "musical", "mystery", "romance", "science fiction", "thriller", "war", "western",
)  # fmt: skip
"""The genres that the bundled films have; films from elsewhere may have others."""


class Movie(Item):
    """A film. Its genres are its categories and its overview is its description.

    Public ratings are on 1 to 10.
    """

    director: Names = Field(default=(), description="Directors.")
    cast: Names = Field(default=(), description="Cast, leading parts first.")
    runtime: int | None = Field(default=None, ge=1, description="Length in minutes; None where unknown.")
    language: str | None = Field(
        default=None, min_length=2, description="Original language as an ISO 639-1 code, such as en."
    )
    year: int | None = Field(default=None, ge=1870, le=2200, description="Year of release; None where unknown.")
    public_rating: float | None = Field(
        default=None,
        ge=1,
        le=10,
        allow_inf_nan=False,
        description="Mean rating by the public, 1 to 10; None where unknown.",
    )
    imdb_id: str | None = Field(
        default=None, pattern=r"^tt\d+$", description="Its identifier at IMDb, such as tt0114709."
    )
    tmdb_id: int | None = Field(default=None, ge=1, description="Its identifier at TMDB.")

    @property
    def genres(self) -> tuple[str, ...]:
        """Genres, lower case: the categories."""
        return self.categories

    @property
    def overview(self) -> str:
        """What it is about: the description."""
        return self.description

    @property
    def creators(self) -> tuple[str, ...]:
        """Directors, then cast."""
        return tuple(dict.fromkeys((*self.director, *self.cast)))
