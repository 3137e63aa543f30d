"""Movie: a film, as an item."""

from __future__ import annotations

from emosim_core.plugins import Item, Names, option

GENRES = (
    "action", "adventure", "animation", "comedy", "crime", "documentary", "drama", "family", "fantasy", "film noir",
    "horror", "musical", "mystery", "romance", "science fiction", "thriller", "war", "western",
)  # fmt: skip
"""The genres that the bundled films have; films from elsewhere may have others."""


class Movie(Item):
    """A film. Its genres are its categories and its overview is its description.

    Public ratings are on 1 to 10.
    """

    director: Names = option((), "Directors.")
    cast: Names = option((), "Cast, leading parts first.")
    runtime: int | None = option(None, "Length in minutes; None where unknown.", ge=1)
    language: str | None = option(None, "Original language as an ISO 639-1 code, such as en.", min_length=2)
    year: int | None = option(None, "Year of release; None where unknown.", ge=1870, le=2200)
    public_rating: float | None = option(
        None, "Mean rating by the public, 1 to 10; None where unknown.", ge=1, le=10, allow_inf_nan=False
    )
    imdb_id: str | None = option(None, "Its identifier at IMDb, such as tt0114709.", pattern=r"^tt\d+$")
    tmdb_id: int | None = option(None, "Its identifier at TMDB.", ge=1)

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
