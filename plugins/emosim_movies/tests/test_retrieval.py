"""SimpleRetrieval: its similarity is the mean of what cast, genres, public ratings and directors have in common."""

from __future__ import annotations

import numpy as np
from emosim_movies.movie import Movie
from emosim_movies.retrieval import SimpleRetrieval
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.plugins import Catalog, RatingScale

SCALE = RatingScale(low=1, high=10)
NAMES = st.lists(st.sampled_from(("Ada", "Bo", "Cy", "Di", "Ed")), max_size=4, unique=True)
GENRES = st.lists(st.sampled_from(("drama", "war", "comedy")), max_size=3, unique=True)
RATINGS = st.none() | st.integers(10, 100).map(lambda tenths: tenths / 10)


def overlap(left: tuple[str, ...], right: tuple[str, ...]) -> float:
    """The coefficient of Sorensen and Dice; two without any are alike."""
    if not left and not right:
        return 1.0
    return 2 * len(set(left) & set(right)) / (len(left) + len(right))


def reference(a: Movie, b: Movie, rating_a: float, rating_b: float) -> float:
    """The formula, word for word."""
    director = 1 if set(a.director) & set(b.director) else 0
    return (overlap(a.cast, b.cast) + overlap(a.genres, b.genres) + 1 - abs(rating_a - rating_b) / 10 + director) / 4


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES, GENRES, RATINGS), min_size=1, max_size=7))
def test_it_equals_the_formula(rows: list[tuple[list[str], list[str], list[str], float | None]]) -> None:
    movies = [
        Movie(id=str(i), title="A", cast=cast, director=director[:2], categories=genres, public_rating=rating)
        for i, (cast, director, genres, rating) in enumerate(rows)
    ]
    known = [rating for *_, rating in rows if rating is not None]
    unknown = np.mean(known) if known else 5.5
    ratings = [unknown if rating is None else rating for *_, rating in rows]
    catalog = Catalog(movies, SCALE)
    for i, one in enumerate(movies):
        answer = SimpleRetrieval().similarity(catalog, np.array([[i]]), np.arange(len(movies))[None, :])[0, 0]
        for j, other in enumerate(movies):
            assert abs(answer[j] - reference(one, other, ratings[i], ratings[j])) <= 1e-6


def test_a_shared_co_director_is_the_same_director() -> None:
    movies = [
        Movie(id="a", title="A", director=("Ada", "Bo"), public_rating=5),
        Movie(id="b", title="B", director=("Bo",), public_rating=5),
        Movie(id="c", title="C", public_rating=5),
    ]
    similar = SimpleRetrieval().similarity(Catalog(movies, SCALE), np.array([[0]]), np.array([[0, 1, 2]]))
    assert similar[0, 0].tolist() == [1.0, 1.0, 0.75]
