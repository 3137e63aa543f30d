"""Items in columns are the items that were packed, however they are looked at."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.model import Catalog, Item, Names, RatingScale
from emosim_core.model.packed import PackedItems, of_each_type, sha256_of, values_of


class Song(Item):
    """A song, with a field of each type that can be packed."""

    singers: Names = ()
    moods: Names | None = None
    live: bool = False

    @property
    def creators(self) -> tuple[str, ...]:
        return self.singers


class Concert(Item):
    """An item with a field of a type that cannot be packed."""

    day: datetime.date | None = None


TEXTS = st.text(max_size=6)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"title": st.text(min_size=1, max_size=6)},
        optional={
            "categories": st.lists(TEXTS, max_size=3),
            "description": TEXTS,
            "collection": st.none() | TEXTS,
            "year": st.none() | st.integers(-(2**63), 2**63 - 1),
            "public_rating": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "singers": st.lists(TEXTS, max_size=3),
            "moods": st.none() | st.lists(TEXTS, max_size=3),
            "live": st.booleans(),
        },
    ),
    min_size=1,
    max_size=6,
)
SCALE = RatingScale(low=1, high=5)


def packed_of(items: list[Song]) -> PackedItems:
    packed = PackedItems.of(items)
    assert packed is not None
    return packed


def songs(rows: list[dict[str, Any]]) -> list[Song]:
    return [Song(id=f"s{i}", **row) for i, row in enumerate(rows)]


@settings(max_examples=25)
@given(ROWS)
def test_packed_items_are_the_items(rows: list[dict[str, Any]]) -> None:
    items = songs(rows)
    packed = packed_of(items)
    assert list(packed) == items
    assert [one.model_fields_set for one in packed] == [one.model_fields_set for one in items]
    assert packed.sha256 == sha256_of(items) == sha256_of(packed)
    again = PackedItems(Song, packed.arrays(), packed.sha256)
    assert list(again) == items
    for name in ("id", "title", "categories", "year", "public_rating", "live", "moods", "creators"):
        assert values_of(again, name) == values_of(items, name)


@settings(max_examples=25)
@given(ROWS)
def test_a_catalog_of_packed_items_is_that_of_the_items(rows: list[dict[str, Any]]) -> None:
    items = songs(rows)
    packed = packed_of(items)
    one, other = Catalog(items, SCALE), Catalog(packed, SCALE)
    assert other.category_names == one.category_names
    assert (other.ids, other.titles, other.index) == (one.ids, one.titles, one.index)
    for name in ("categories", "public_ratings", "has_public_rating", "public_counts"):
        np.testing.assert_array_equal(getattr(other, name), getattr(one, name))


def test_an_item_is_found_by_its_place_from_both_ends() -> None:
    items = songs([{"title": f"Song {i}"} for i in range(5)])
    packed = packed_of(items)
    assert len(packed) == 5
    assert (packed[0], packed[np.int64(4)], packed[-1], packed[-5]) == (items[0], items[4], items[4], items[0])
    assert packed[1:4] == items[1:4]
    assert packed[::-2] == items[::-2]
    assert of_each_type(packed) == items[:1]
    assert of_each_type(items) is items
    for place in (5, -6):
        with pytest.raises(IndexError, match=f"no item {place} of 5"):
            packed[place]


@pytest.mark.parametrize(
    "items",
    [
        [Song(id="a", title="A"), Item(id="b", title="B")],
        [Concert(id="a", title="A", day=datetime.date(2026, 5, 1))],
        [Song.model_construct(id="a", title="A", year=2**70)],
        [Song.model_construct(id="a", title="A", year=1990), Song.model_construct(id="b", title="B", year="1990")],
        [Song.model_construct(id="a", title="A", singers=("B", 7))],
    ],
    ids=["types", "dates", "huge", "mixed", "names"],
)
def test_what_columns_do_not_hold_is_not_packed(items: list[Item]) -> None:
    assert PackedItems.of(items) is None


def test_which_item_has_which_name_is_known_where_no_item_has_none() -> None:
    packed = packed_of(songs([{"title": "A", "categories": ("folk", "jazz")}, {"title": "B"}]))
    table = packed.name_table("categories")
    assert table is not None
    np.testing.assert_array_equal(table.flags(["jazz", "rock", "folk"]), [[True, False, True], [False, False, False]])
    assert packed.name_table("moods") is None
    assert packed.name_table("title") is None
