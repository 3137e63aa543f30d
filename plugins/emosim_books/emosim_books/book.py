"""Book: a book, as an item."""

from __future__ import annotations

from pydantic import field_validator

from emosim_core.plugins import Item, Names, option

CATEGORIES = (
    "fiction", "biography", "economics", "health", "philosophy", "computers", "humor", "drama", "fantasy",
    "science fiction", "mystery", "thriller", "romance", "horror", "historical fiction", "adventure", "children",
    "young adult", "classics", "memoir", "history", "science", "psychology", "self-help", "business", "politics",
    "religion", "travel", "nature", "poetry", "art", "sports", "cooking", "essays",
)  # fmt: skip
"""The categories that the bundled books have; books from elsewhere may have others."""

STUDY_CATEGORIES = CATEGORIES[:8]
"""The kinds of the Amazon books that are published with SUBER (Corecco et al., 2024, arXiv:2406.01631)."""


class Book(Item):
    """A book. Its series is its collection.

    Public ratings are on 1 to 5.
    """

    authors: Names = option((), "Authors, the leading one first.")
    publisher: str | None = option(None, "Publisher; None where unknown.", min_length=1)
    language: str | None = option(None, "Language as an ISO 639-1 code, such as en.", min_length=2)
    year: int | None = option(
        None, "Year of first publication, negative before our era; None where unknown.", ge=-3000, le=2200
    )
    public_rating: float | None = option(
        None, "Mean rating by the public, 1 to 5; None where unknown.", ge=1, le=5, allow_inf_nan=False
    )
    isbn: str | None = option(
        None,
        "ISBN of 10 or 13 digits, the last of 10 may be an X; hyphens are dropped; None where unknown.",
        pattern=r"^([0-9]{9}[0-9X]|[0-9]{13})$",
    )

    @field_validator("isbn", mode="before")
    @classmethod
    def _without_hyphens(cls, value: object) -> object:
        return value.replace("-", "").replace(" ", "").upper() if isinstance(value, str) else value

    @property
    def series(self) -> str | None:
        """Series that it belongs to: the collection."""
        return self.collection

    @property
    def creators(self) -> tuple[str, ...]:
        return self.authors
