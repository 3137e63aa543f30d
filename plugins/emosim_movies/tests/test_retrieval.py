"""SimpleRetrieval: equal to the formula on any histories, small catalogue or large."""

from __future__ import annotations

import numpy as np
import pytest
from emosim_movies.movie import Movie
from emosim_movies.retrieval import SimpleRetrieval
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core import Catalog, ConfigurationError, CountOptions, Item, Memory, RatingScale
from emosim_core.components import attributes

SCALE = RatingScale(low=1, high=10)
NAMES = ("Ada", "Bo", "Cy", "Di", "Ed")


def dice(left: tuple[str, ...], right: tuple[str, ...]) -> float:
    if not left and not right:
        return 1.0
    return 2 * len(set(left) & set(right)) / (len(set(left)) + len(set(right)))


def reference_similarity(a: Movie, b: Movie, mean: float) -> float:
    """The formula, word for word."""
    rating_a = mean if a.public_rating is None else a.public_rating
    rating_b = mean if b.public_rating is None else b.public_rating
    director = 1 if set(a.director) & set(b.director) else 0
    return (dice(a.cast, b.cast) + dice(a.genres, b.genres) + 1 - abs(rating_a - rating_b) / 10 + director) / 4


def reference(movies: list[Movie], item: int, history: list[int], k: int, mean: float) -> list[int]:
    """The positions of the k most similar, from the last interaction with each item."""
    last = {past: position for position, past in enumerate(history)}
    ranked = sorted(
        last.values(),
        key=lambda p: (-round(reference_similarity(movies[item], movies[history[p]], mean), 6), -p),
    )
    return (ranked + [-1] * k)[:k]


def mean_rating(movies: list[Movie]) -> float:
    known = [movie.public_rating for movie in movies if movie.public_rating is not None]
    return sum(known) / len(known) if known else 5.5


def remember(histories: list[list[int]], count: int) -> Memory:
    memory = Memory(len(histories), count, capacity=2)
    for row, history in enumerate(histories):
        for item in history:
            memory.append(np.array([row]), np.array([item]), np.array([7.0]), np.array([4]))
    return memory


names = st.lists(st.sampled_from(NAMES), max_size=4, unique=True).map(tuple)
movie_fields = st.fixed_dictionaries(
    {
        "cast": names,
        "director": st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple),
        "categories": st.lists(st.sampled_from(["drama", "war", "comedy"]), max_size=3, unique=True).map(tuple),
        "public_rating": st.none() | st.integers(10, 100).map(lambda tenths: tenths / 10),
    }
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Movie], list[list[int]], list[list[int]], int]:
    fields = draw(st.lists(movie_fields, min_size=1, max_size=7))
    movies = [Movie(id=str(i), title=f"Film {i}", **f) for i, f in enumerate(fields)]
    some = st.integers(0, len(movies) - 1)
    histories = draw(st.lists(st.lists(some, max_size=9), min_size=1, max_size=3))
    slate = draw(st.integers(1, 3))
    items = [draw(st.lists(some, min_size=slate, max_size=slate)) for _ in histories]
    return movies, histories, items, draw(st.integers(1, 5))


@pytest.mark.parametrize("limit", [4096, 0], ids=["one table", "on demand"])
def test_it_equals_the_formula(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "FULL_TABLE_LIMIT", limit)
    monkeypatch.setattr(attributes, "AT_ONCE", 40)

    @settings(max_examples=80, deadline=None)
    @given(worlds())
    def check(world: tuple[list[Movie], list[list[int]], list[list[int]], int]) -> None:
        movies, histories, items, k = world
        catalog = Catalog(movies, SCALE)
        memory = remember(histories, len(movies))
        answer = SimpleRetrieval(CountOptions(k=k)).retrieve_batch(np.array(items), memory.history(), catalog)
        mean = mean_rating(movies)
        expected = [
            [reference(movies, item, history, k, mean) for item in slate]
            for slate, history in zip(items, histories, strict=True)
        ]
        assert answer.tolist() == expected

    check()


def test_both_ways_to_compare_agree_on_real_sized_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    movies = [
        Movie(
            id=str(i),
            title=str(i),
            cast=tuple(f"Player {n}" for n in rng.integers(0, 40, rng.integers(0, 6))),
            director=tuple(f"Director {n}" for n in rng.integers(0, 20, rng.integers(0, 3))),
            categories=tuple(rng.choice(["a", "b", "c", "d"], rng.integers(0, 4), replace=False)),
            public_rating=float(rng.uniform(1, 10)),
        )
        for i in range(300)
    ]
    items, others = rng.integers(0, 300, (5, 4)), rng.integers(0, 300, (5, 30))
    table = SimpleRetrieval().similarity(Catalog(movies, SCALE), items, others)
    monkeypatch.setattr(attributes, "FULL_TABLE_LIMIT", 0)
    on_demand = SimpleRetrieval().similarity(Catalog(movies, SCALE), items, others)
    assert table.shape == (5, 4, 30)
    assert np.array_equal(table, on_demand)
    assert table.min() >= 0
    assert table.max() <= 1


def test_a_shared_co_director_is_the_same_director() -> None:
    movies = [
        Movie(id="a", title="A", director=("Ada", "Bo"), public_rating=5),
        Movie(id="b", title="B", director=("Bo",), public_rating=5),
        Movie(id="c", title="C", public_rating=5),
    ]
    similar = SimpleRetrieval().similarity(Catalog(movies, SCALE), np.array([[0]]), np.array([[0, 1, 2]]))
    assert similar[0, 0].tolist() == [1.0, 1.0, 0.75]


def test_an_empty_history_gives_nothing() -> None:
    catalog = Catalog([Movie(id="a", title="A")], SCALE)
    answer = SimpleRetrieval().retrieve_batch(np.zeros((2, 3), dtype=np.intp), Memory(2, 1).history(), catalog)
    assert answer.shape == (2, 3, 3)
    assert (answer == -1).all()


def test_another_catalogue_gets_tables_of_its_own() -> None:
    strategy, here = SimpleRetrieval(), np.zeros((1, 1), dtype=np.intp)
    both = np.array([[0, 1]])
    for cast, expected in ((("Ada",), 1.0), (("Bo",), 0.75)):
        movies = [
            Movie(id="a", title="A", cast=("Ada",), director=("Cy",)),
            Movie(id="b", title="B", cast=cast, director=("Cy",)),
        ]
        assert strategy.similarity(Catalog(movies, SCALE), here, both)[0, 0].tolist() == [1.0, expected]


def test_other_items_are_refused() -> None:
    catalog = Catalog([Item(id="a", title="A")], SCALE)
    here = np.zeros((1, 1), dtype=np.intp)
    with pytest.raises(ConfigurationError, match="cannot compare a Item"):
        SimpleRetrieval().similarity(catalog, here, here)
