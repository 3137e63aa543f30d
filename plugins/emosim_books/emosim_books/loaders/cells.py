"""The public rating of a book and how many gave it, as two cells of published tables hold them."""

from __future__ import annotations

from typing import Any

from emosim_core.loading import known_rating, known_text, number, whole_number


def rating_and_count(rating: str, count: str, path: str, row: int, fields: tuple[str, str]) -> dict[str, Any]:
    """``public_rating`` and ``public_count`` of a book; an empty cell is unknown, as is a rating of 0 by nobody.

    Raises:
        DataError: a cell is no number; names file, row and field. Their range is for the book to check.
    """
    users = whole_number(count, path, row, fields[1]) if known_text(count) else None
    value = number(rating, path, row, fields[0]) if known_text(rating) else None
    return {"public_rating": known_rating(value, users), "public_count": users}
