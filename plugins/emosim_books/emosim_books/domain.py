"""The domain: books, rated 1 to 5."""

from __future__ import annotations

from emosim_books.book import Book
from emosim_books.examples import EXAMPLES
from emosim_books.study_users import study_users
from emosim_books.users import TRAIT_TEXTS
from emosim_core.plugins import Domain, RatingScale, Words

_SHARES = (0.0188, 0.0599, 0.2390, 0.3637, 0.3185)
"""Shares of the ratings 1 to 5 as published; rounded to four places, they sum to .9999."""


def books() -> Domain:
    """The domain of books."""
    return Domain(
        name="books",
        title="Books",
        scale=RatingScale(low=1, high=5, step=1),
        words=Words(
            item="book",
            items="books",
            consume="read",
            consumed="read",
            consumption="reading",
            user="reader",
            creators="authors",
            traits=TRAIT_TEXTS,
        ),
        item_type=Book,
        real_ratings=tuple(share / sum(_SHARES) for share in _SHARES),
        real_ratings_source="Goodreads, goodbooks-10k (Zajac, 2017)",
        examples=EXAMPLES,
        study_users=study_users(),
    )
