"""Closeness of items against its formula, what cosines tell in a catalog, and how repetition bores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emosim_core.components.closeness import BOREDOM_CAP, Closeness, boredom_table, telling_cosines
from emosim_core.model import Catalog, Item, RatingScale


def catalog(vectors: Any, series: dict[int, str] | None = None) -> Catalog:
    vectors = np.asarray(vectors, dtype=np.float32)
    items = [Item(id=f"i{n}", title="x", collection=(series or {}).get(n)) for n in range(len(vectors))]
    return Catalog(items, RatingScale(low=1, high=5), vectors)


def cosines(vectors: Any) -> Any:
    unit = np.asarray(vectors, dtype=np.float64)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    return unit @ unit.T


VECTORS = np.random.default_rng(1).normal(size=(30, 6))


def test_cosines_tell_from_their_highest_tenth_on_and_the_less_the_closer_all_are_to_one() -> None:
    pairs = cosines(VECTORS)[np.triu_indices(30, 1)]
    middle, low, high = np.quantile(pairs, [0.5, 0.9, 0.999])
    assert telling_cosines(catalog(VECTORS)) == pytest.approx((low, (1 - high) / (1 - middle)), abs=1e-5)
    assert 0 < telling_cosines(catalog(VECTORS))[1] < 0.5


@pytest.mark.parametrize(
    "vectors",
    [np.zeros((30, 0)), np.zeros((30, 6)), np.ones((30, 6)), VECTORS[:1]],
    ids=["none", "zeros", "all alike", "one item"],
)
def test_where_cosines_tell_nothing_only_a_series_is_close(vectors: Any) -> None:
    made = catalog(vectors, {0: "s", 1: "s"})
    assert telling_cosines(made) == (0.0, 0.0)
    others = np.arange(len(vectors))
    assert Closeness(made).of(np.array(0), others).tolist() == [1.0 if n < 2 else 0.0 for n in others.tolist()]


def test_two_items_have_one_pair() -> None:
    made = catalog([[1.0, 0.0], [1.0, 1.0]])
    assert telling_cosines(made) == pytest.approx((0.5**0.5, 1.0), abs=1e-5)


def test_in_a_large_catalog_random_pairs_of_different_items_stand_for_all() -> None:
    vectors = np.random.default_rng(2).normal(size=(400, 6))
    made = catalog(vectors)
    pairs = cosines(vectors)[np.triu_indices(400, 1)]
    middle, low, high = np.quantile(pairs, [0.5, 0.9, 0.999])
    assert telling_cosines(made) == pytest.approx((low, (1 - high) / (1 - middle)), abs=0.02)


@pytest.mark.parametrize("weight", [1.0, 0.4])
def test_closeness_is_the_square_of_how_far_a_cosine_is_above_the_low_ones_and_whole_in_a_series(weight: float) -> None:
    made = catalog(VECTORS, {3: "s", 4: "s", 5: "t"})
    low, telling = telling_cosines(made)
    above = np.maximum(cosines(VECTORS) - low, 0.0) / (1.0 - low)
    expected = weight * telling * above**2
    expected[np.eye(30, dtype=bool)] = 1.0  # an item is of its own series
    expected[3, 4] = expected[4, 3] = 1.0
    each = np.arange(30)
    close = Closeness(made, weight).of(each[:, None], each)
    assert close == pytest.approx(expected, abs=1e-5)
    assert 0 < close[expected < 1].max() <= weight * telling


def test_repetition_bores_as_the_logarithm_of_how_often_it_was_and_no_more_from_a_cap_on() -> None:
    table = boredom_table(1.5)
    assert table[[0, 1, 3, 7]].tolist() == [0.0, -1.5, -3.0, -4.5]
    assert len(table) == BOREDOM_CAP + 1
    assert table[BOREDOM_CAP] == -1.5 * 6
