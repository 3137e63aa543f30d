"""The bundled films: enough of each kind, whole series, embeddings that belong to them."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from emosim_movies.movie import GENRES, Movie

from emosim_core.plugins import Catalog, RatingScale
from emosim_core.testing import load_items

OFTEN = ("action", "animation", "comedy", "documentary", "family", "fantasy", "horror", "romance")


@pytest.fixture(scope="module")
def movies() -> list[Movie]:
    return [movie for movie in load_items("movies", "sample").items if isinstance(movie, Movie)]


def test_films_are_many_distinct_and_sorted(movies: list[Movie]) -> None:
    ids = [movie.id for movie in movies]
    assert len(movies) >= 300
    assert ids == sorted(set(ids))
    assert len({(movie.title.casefold(), movie.year) for movie in movies}) == len(movies)


def test_all_genres_are_there_and_no_others(movies: list[Movie]) -> None:
    counts = Counter(genre for movie in movies for genre in movie.genres)
    assert len(GENRES) == 18
    assert set(counts) == set(GENRES)
    assert all(counts[genre] >= 20 for genre in OFTEN), counts


def test_series_run_from_part_one_without_a_gap(movies: list[Movie]) -> None:
    series = defaultdict(list)
    for movie in movies:
        if movie.collection:
            series[movie.collection].append((movie.part, movie.year))
    assert len(series) >= 12
    for name, parts in series.items():
        parts.sort()
        assert [part for part, _ in parts] == list(range(1, len(parts) + 1)), name
        assert len(parts) >= 3, name


def test_every_film_is_complete(movies: list[Movie]) -> None:
    for movie in movies:
        assert movie.genres, movie.id
        assert movie.director, movie.id
        assert movie.cast, movie.id
        assert 1900 < (movie.year or 0) < 2030, movie.id
        assert 40 <= (movie.runtime or 0) <= 300, movie.id
        assert len(movie.language or "") == 2, movie.id
        assert movie.public_rating, movie.id
        assert movie.public_count, movie.id
        assert len(movie.overview.split()) >= 12, movie.id


def test_the_embeddings_belong_to_the_films_and_mean_something() -> None:
    loaded = load_items("movies", "sample")
    assert loaded.source == "the films bundled with emosim-movies"
    assert loaded.embedding_name == "sentence-transformers/all-MiniLM-L6-v2"
    catalog = Catalog(loaded.items, RatingScale(low=1, high=10), loaded.embeddings, loaded.embedding_name)
    assert catalog.embeddings.shape == (len(loaded.items), 384)
    series = np.array([item.collection or item.id for item in loaded.items])
    cosines = catalog.embeddings @ catalog.embeddings.T
    same = series[:, None] == series[None, :]
    np.fill_diagonal(same, False)
    assert cosines[same].mean() > np.median(cosines) + 0.2
