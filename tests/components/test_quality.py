"""Quality of items: what is rated keeps its rating the more users gave it, what is not has the quality of its kind."""

from __future__ import annotations

import numpy as np
import pytest

from emosim_core.components.rule_based_learning import quality, standing
from emosim_core.model import Catalog, Item, RatingScale

SCALE = RatingScale(low=1, high=10)


def catalog(*more: Item) -> Catalog:
    """Sixty items that 1,000 users rated, dramas 8 and comedies 4, and others."""
    kinds = (("drama", 8.0), ("comedy", 4.0))
    items = [
        Item(id=f"{kind}{number}", title=kind, categories=(kind,), public_rating=rating, public_count=1000)
        for kind, rating in kinds
        for number in range(30)
    ]
    return Catalog([*items, *more], SCALE)


def of(*more: Item, middle: float = 6.0) -> np.ndarray:
    made = catalog(*more)
    return quality(made, np.nan_to_num(made.public_ratings, nan=middle), middle)


def test_what_is_not_rated_has_the_quality_of_its_kind_and_says_nothing_about_it() -> None:
    plain = of()
    assert plain[[0, 30]] == pytest.approx([8, 4], abs=0.1)
    unrated = [Item(id=f"x{n}", title="x", categories=("drama",), public_count=1000) for n in range(20)]
    qualities = of(*unrated)
    assert qualities[:60] == pytest.approx(plain, abs=1e-9)
    assert qualities[60:] == pytest.approx(np.full(20, 8.0), abs=0.5)


def test_a_rating_counts_the_more_users_gave_it_and_whole_where_their_number_is_not_known() -> None:
    def rated(count: int | None) -> float:
        count_of = {} if count is None else {"public_count": count}
        return float(of(Item(id="x", title="x", categories=("drama",), public_rating=2.0, **count_of))[60])

    few, more, many, unknown = rated(1), rated(5), rated(100_000), rated(None)
    assert 7 > few > more > many
    assert (many, unknown) == pytest.approx((2.0, 2.0), abs=0.01)


def test_an_item_without_a_year_is_judged_as_one_of_1990() -> None:
    made = [
        Item(id=f"i{year}", title="x", year=year, public_rating=4 + (year - 1950) / 20, public_count=1000)
        for year in range(1950, 2020)
    ]
    others = [Item(id=f"x{year}", title="x", year=year, public_count=1000) for year in (1990, None, 2010)]
    dated = Catalog([*made, *others], SCALE)
    of_1990, undated, of_2010 = quality(dated, np.nan_to_num(dated.public_ratings, nan=6.0), 6.0)[-3:]
    assert undated == pytest.approx(of_1990)
    assert of_2010 > of_1990 + 0.5


def test_with_few_ratings_each_is_taken_as_it_is_and_an_unknown_one_is_the_middle() -> None:
    items = [Item(id=f"i{n}", title="x", public_rating=float(1 + n % 9), public_count=9) for n in range(49)]
    made = Catalog([*items, Item(id="x", title="x")], SCALE)
    on_ten = np.array([*(1.0 + n % 9 for n in range(49)), np.nan])
    assert quality(made, on_ten, 6.5).tolist() == [*on_ten[:49].tolist(), 6.5]
    assert standing(made, np.full(50, 7.0), 6.5).tolist() == [0.5] * 50


def test_where_items_lie_further_apart_than_films_they_stand_as_near() -> None:
    made = catalog()
    for factor in (0.1, 1.0):
        apart = standing(made, factor * of(), 6.5)
        assert apart.mean() == pytest.approx(0)
        assert apart.std() == pytest.approx(min(0.92, float((factor * of()).std())))
    assert standing(made, np.full(60, 3.0), 6.5).tolist() == [0.0] * 60
