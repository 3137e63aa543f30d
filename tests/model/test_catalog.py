"""Catalogues, items and users: what is refused, and the arrays beside the objects."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emosim_core.errors import ConfigurationError
from emosim_core.model import Catalog, Item, Population, RatingScale, User

TEN = RatingScale(low=1, high=10)


def items(count: int) -> list[Item]:
    return [Item(id=str(i), title=f"Item {i}") for i in range(count)]


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    """The cosine of two vectors in double precision; 0 with a zero vector."""
    lengths = math.sqrt(float(left @ left)) * math.sqrt(float(right @ right))
    return float(left @ right) / lengths if lengths else 0.0


# ------------------------------------------------------------------------------------------ errors


def test_a_catalog_without_items_or_with_an_id_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one item"):
        Catalog([], TEN)
    with pytest.raises(ConfigurationError, match="two items with the id '1'"):
        Catalog([*items(3), Item(id="1", title="Again")], TEN)


@pytest.mark.parametrize("shape", [(2, 4), (4, 4), (3,), (3, 2, 2)])
def test_embeddings_of_another_length_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="embeddings have the shape"):
        Catalog(items(3), TEN, np.ones(shape))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_embedding_that_is_no_number_is_refused_with_its_item(value: float) -> None:
    with pytest.raises(ConfigurationError, match="embedding of item '1'"):
        Catalog(items(3), TEN, np.array([[1, 0], [0, value], [1, 1]]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"title": ""},
        {"id": 5},
        {"public_rating": "good"},
        {"public_rating": math.nan},
        {"public_count": -1},
        {"part": 0},
        {"genre": "drama"},
        {"year": 1999.5},
    ],
)
def test_an_item_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Item(**{"id": "a", "title": "A", **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"name": ""},
        {"age": -1},
        {"age": 131},
        {"activity": 0},
        {"conformity": 4},
        {"diversity": "high"},
        {"baseline_valence": -1.1},
        {"baseline_arousal": -0.1},
        {"baseline_arousal": math.nan},
        {"sex": "F"},
    ],
)
def test_a_user_who_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        User(**{"id": "u", "name": "U", **wrong})


def test_a_population_without_users_or_with_an_id_twice_is_refused() -> None:
    one = User(id="u", name="U")
    with pytest.raises(ConfigurationError, match="at least one user"):
        Population([])
    with pytest.raises(ConfigurationError, match="same id"):
        Population([one, one])


# ------------------------------------------------------------------------------------------ arrays


def test_categories_are_lower_case_and_each_is_there_once() -> None:
    item = Item(id="a", title="A", categories=(" Drama", "drama", "", "Film Noir "))
    user = User(id="u", name="U", liked=("Comedy", "comedy "), disliked=(" ", "Drama"))
    assert item.categories == ("drama", "film noir")
    assert (user.liked, user.disliked) == (("comedy",), ("drama",))
    with pytest.raises(ValidationError):
        item.title = "B"  # type: ignore[misc]


def test_an_items_text_holds_what_is_known() -> None:
    full = Item(id="a", title="A.", categories=("drama", "war"), description="About a war.")
    assert full.text() == "A. drama, war. About a war"
    assert Item(id="a", title="A").text() == "A"


def test_arrays_stand_beside_the_items_in_their_order() -> None:
    given_items = [
        Item(id="x", title="X", categories=("war", "drama"), public_rating=8, public_count=5),
        Item(id="y", title="Y", categories=("drama",)),
        Item(id="z", title="Z", public_rating=5),
    ]
    world = Catalog(given_items, TEN)
    assert len(world) == 3
    assert world.index == {"x": 0, "y": 1, "z": 2}
    assert world.titles == ("X", "Y", "Z")
    assert world.category_names == ("drama", "war")
    assert world.categories.tolist() == [[True, True], [True, False], [False, False]]
    assert world.public_ratings.tolist() == [8, 6.5, 5]
    assert world.has_public_rating.tolist() == [True, False, True]
    assert world.public_counts.tolist() == [5, 0, 0]


def test_without_any_public_rating_each_is_the_middle_of_the_scale() -> None:
    assert Catalog(items(2), TEN).public_ratings.tolist() == [5.5, 5.5]
    assert Catalog(items(1), RatingScale(low=1, high=5)).public_ratings.tolist() == [3]


def test_traits_baselines_and_tastes_stand_beside_the_users() -> None:
    users = Population(
        [
            User(id="a", name="A", activity=1, conformity=2, diversity=3, liked=("war",), baseline_valence=-0.5),
            User(id="b", name="B", disliked=("drama", "unknown"), baseline_arousal=0.9),
        ]
    )
    assert (len(users), users.index) == (2, {"a": 0, "b": 1})
    assert users.traits.tolist() == [[1, 2, 3], [2, 2, 2]]
    assert users.baselines.tolist() == [[-0.5, 0.4], [0.1, 0.9]]
    assert users.liked(("drama", "war")).tolist() == [[False, True], [False, False]]
    assert users.disliked(("drama", "war")).tolist() == [[False, False], [True, False]]
    assert users.users[0].trait_name("activity") == "elusive"
    assert users.users[0].trait_name("diversity") == "trailblazer"


# ------------------------------------------------------------------------------------ similarities


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=1, max_size=7),
    st.sampled_from([np.float32, np.float64]),
)
def test_similarity_is_the_cosine_and_zero_with_a_zero_vector(rows: list[list[int]], dtype: type) -> None:
    vectors = np.array(rows, dtype=dtype)
    world = Catalog(items(len(rows)), TEN, vectors)
    every = np.arange(len(rows))
    table = world.similarity(every[:, None], every[None])
    expected = [[cosine(left, right) for right in vectors.astype(float)] for left in vectors.astype(float)]
    np.testing.assert_allclose(table, expected, atol=4e-5)
    assert (np.abs(table) <= 1).all()
    np.testing.assert_array_equal(table, table.T)


def test_without_embeddings_nothing_is_similar() -> None:
    world = Catalog(items(3), TEN)
    assert world.embeddings.shape == (3, 0)
    assert world.similarity(np.array([0, 1]), np.array([0, 2])).tolist() == [0, 0]


@pytest.mark.parametrize("count", [4096, 4097])
def test_a_catalog_of_any_size_has_the_similarities_of_the_matrix(count: int) -> None:
    rng = np.random.default_rng(count)
    vectors = rng.integers(-2, 3, (count, 6)).astype(np.float32)
    vectors[7] = 0
    world = Catalog(items(count), TEN, vectors)
    assert (world.similarities is None) == (count > 4096)
    small = Catalog(items(500), TEN, vectors[:500])
    left, right = rng.integers(0, 500, (40, 2, 1)), rng.integers(0, 500, (40, 1, 9))
    left[0] = 7
    answer = world.similarity(left, right)
    assert answer.shape == (40, 2, 9)
    np.testing.assert_allclose(answer, small.similarity(left, right), rtol=0, atol=1.01e-5)
    assert (answer[0] == 0).all()
    for row, place, other in ((1, 0, 3), (5, 1, 8), (39, 0, 0)):
        one, two = vectors[left[row, place, 0]], vectors[right[row, 0, other]]
        assert answer[row, place, other] == pytest.approx(cosine(one.astype(float), two.astype(float)), abs=4e-5)


# ---------------------------------------------------------------------------------- what others make known


def test_a_catalog_as_others_make_it_known_shares_all_that_does_not_depend_on_them() -> None:
    vectors = np.eye(3)
    before = Catalog([Item(id=str(i), title="x", public_rating=5.0, public_count=2) for i in range(3)], TEN, vectors)
    assert before.public_ratings.tolist() == [5.0] * 3
    after = before.with_public(np.array([2, 0, 7]), np.array([5.0, np.nan, 8.5]))
    assert [(item.public_count, item.public_rating) for item in after.items] == [(2, 5.0), (0, None), (7, 8.5)]
    assert after.public_counts.tolist() == [2, 0, 7]
    assert after.has_public_rating.tolist() == [True, False, True]
    assert after.public_ratings[[0, 2]].tolist() == [5.0, 8.5]
    assert after.items[0] is before.items[0]
    assert after.embeddings is before.embeddings
    assert before.public_counts.tolist() == [2, 2, 2]
    unrated = before.with_public(np.array([1, 1, 1]), None)
    assert not unrated.has_public_rating.any()
    assert [item.public_rating for item in unrated.items] == [None] * 3
