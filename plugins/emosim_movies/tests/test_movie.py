"""Movie: its fields, its other names for them, and what it refuses."""

from __future__ import annotations

import pytest
from emosim_movies.movie import Movie
from pydantic import ValidationError

from emosim_core.plugins import Item


def test_genres_overview_and_creators_are_the_fields_of_an_item() -> None:
    movie = Movie(
        id="m",
        title="Matrix",
        categories=("Action", "Science Fiction", "action"),
        description="A hacker wakes.",
        director=("Lana Wachowski", "Lilly Wachowski"),
        cast=("Keanu Reeves", " Lana Wachowski ", "Keanu Reeves", ""),
    )
    assert isinstance(movie, Item)
    assert movie.genres == movie.categories == ("action", "science fiction")
    assert movie.overview == movie.description
    assert movie.cast == ("Keanu Reeves", "Lana Wachowski")
    assert movie.creators == ("Lana Wachowski", "Lilly Wachowski", "Keanu Reeves")
    assert "Keanu Reeves" in movie.text()
    assert "A hacker wakes" in movie.text()


def test_what_is_unknown_is_none() -> None:
    movie = Movie(id="m", title="M")
    assert (movie.year, movie.runtime, movie.language, movie.public_rating, movie.public_count) == (None,) * 5
    assert movie.director == movie.cast == movie.genres == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("public_rating", 0.0),
        ("public_rating", 10.5),
        ("public_rating", float("nan")),
        ("public_count", -1),
        ("runtime", 0),
        ("runtime", "long"),
        ("year", 95),
        ("part", 2),
        ("imdb_id", "114709"),
        ("tmdb_id", 0),
        ("title", ""),
        ("actors", ("someone",)),
    ],
)
def test_a_wrong_field_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Movie(**{"id": "m", "title": "M", field: value})
    assert caught.value.errors()[0]["loc"] == (field,)


def test_a_part_belongs_to_a_collection() -> None:
    assert Movie(id="m", title="M", collection="Ms", part=2).part == 2


def test_a_movie_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Movie(id="m", title="M").title = "N"  # type: ignore[misc]
