"""Real users of a validation: groups, the split in time, public knowledge, and what they are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emosim_core.errors import ConfigurationError
from emosim_core.hooks import Registry
from emosim_core.model import Catalog, Item, LoadedRatings, RatingScale, Words
from emosim_core.simulation.assembly import item_source
from emosim_core.studies.validation import users as real

TEN = RatingScale()


def real_user(items: list[int], values: list[float], past_count: int, name: str = "1") -> real.RealUser:
    return real.RealUser(name, real.user_split_of(name), np.array(items), np.array(values), past_count)


def loaded(folder: Path) -> tuple[list[Item], LoadedRatings]:
    _, loader = item_source(Registry(), "movies", f"movielens:{folder}")
    items = list(loader.load().items)
    return items, loader.load_ratings(items)


def test_a_user_split_belongs_to_an_id_whoever_else_is_there(movielens: Path) -> None:
    _, ratings = loaded(movielens)
    everybody = {one.id: one.user_split for one in real.split_real_users(ratings, 1)}
    keep = np.array([name not in ("3", "4", "5") for name in ratings.user_ids])
    some = replace(
        ratings,
        user_ids=[name for name, stays in zip(ratings.user_ids, keep, strict=True) if stays],
        items=ratings.items[keep],
        values=ratings.values[keep],
        times=ratings.times[keep],
    )
    assert {one.id: one.user_split for one in real.split_real_users(some, 2)} == {
        name: user_split for name, user_split in everybody.items() if name not in ("3", "4", "5")
    }


def test_user_splits_have_the_shares_that_are_written() -> None:
    user_splits = [real.user_split_of(str(number)) for number in range(20_000)]
    shares = [user_splits.count(name) / len(user_splits) for name, _ in real.USER_SPLITS]
    assert shares == pytest.approx([0.52, 0.08, 0.2, 0.2], abs=0.015)


def test_nothing_in_memory_is_later_than_what_is_held_out(movielens: Path) -> None:
    _, ratings = loaded(movielens)
    when = dict(zip(zip(ratings.user_ids, ratings.items.tolist(), strict=True), ratings.times.tolist(), strict=True))
    for one in real.split_real_users(ratings, 1):
        times = [when[one.id, item] for item in one.items.tolist()]
        assert times == sorted(times)
        assert one.past_count == len(one.items) // 2
        assert not set(one.past.tolist()) & set(one.later.tolist())


def test_the_last_rating_counts_of_who_rated_an_item_twice() -> None:
    names = [str(number) for number in range(200)]
    real_users = [name for name in names for _ in range(11)]
    items = np.array([*range(10), 3] * len(names))
    values = np.array([5.0] * 10 + [9.0])
    ratings = LoadedRatings(real_users, items, np.tile(values, len(names)), np.tile(np.arange(11.0), len(names)))
    one = real.split_real_users(ratings, 1)[0]
    assert sorted(one.items.tolist()) == list(range(10))
    assert one.values[one.items == 3].tolist() == [9.0]


def test_too_few_users_are_an_error() -> None:
    ratings = LoadedRatings(["1"] * 20, np.arange(20), np.full(20, 5.0), np.arange(20.0))
    with pytest.raises(ConfigurationError, match="too few users to measure"):
        real.split_real_users(ratings, 1)


def test_the_public_knows_what_the_train_users_rated_and_no_word_of_the_others(movielens: Path) -> None:
    items, ratings = loaded(movielens)
    real_users = real.split_real_users(ratings, 1)
    public = real.public_items(items, real_users, ratings.user_written_fields)
    train_users = {one.id for one in real.of_split(real_users, real.TRAIN)}
    given: dict[int, list[float]] = {}
    for name, item, value in zip(ratings.user_ids, ratings.items.tolist(), ratings.values.tolist(), strict=True):
        if name in train_users:
            given.setdefault(item, []).append(value)
    for place, item in enumerate(public):
        assert item.public_count == len(given.get(place, []))
        assert item.public_rating == (pytest.approx(np.mean(given[place])) if place in given else None)
        assert item.description == ""
    assert items[0].description != ""


def test_tastes_and_traits_are_read_off_the_memory_alone() -> None:
    names = ("comedy", "horror")
    items = [Item(id=f"i{n}", title="t", categories=(names[n % 2],), public_rating=6.0) for n in range(40)]
    catalog = Catalog(items, TEN)
    values = [9.0, 3.0] * 20
    everybody = [real_user(list(range(40)), values, 20, name=str(n)) for n in range(30)]
    one, other = everybody[0], replace(everybody[0], values=np.array(values[:20] + [1.0] * 20))
    first, second = (real.personas([who], everybody, catalog, TEN, Words())[0] for who in (one, other))
    assert first == second
    assert first.liked == ("comedy",)
    assert first.disliked == ("horror",)
    assert real.trait_metrics_of(one, catalog) == {
        "activity": 20.0, "conformity": 3.0, "diversity": pytest.approx(np.log(2)),
    }  # fmt: skip


def test_what_is_shown_was_chosen_later_or_never() -> None:
    one = real_user(list(range(40)), [5.0] * 40, 20)
    counts = np.random.default_rng(1).integers(0, 50, 200)
    seen = real.draw_choice_set(one, counts, most=3, max_positives=12, seed=5)
    assert set(seen.chosen.tolist()) <= set(range(20, 40))
    assert len(seen.chosen) == len(set(seen.chosen.tolist())) == 12
    assert len(seen.random) == len(set(seen.random.tolist())) == 36
    assert min(*seen.random, *seen.matched) >= 40
    again = real.draw_choice_set(one, counts, most=3, max_positives=12, seed=5)
    assert np.array_equal(seen.matched, again.matched)


def test_matched_items_are_as_popular_as_the_chosen() -> None:
    rng = np.random.default_rng(2)
    counts = rng.integers(0, 30, 3000)
    chosen = np.arange(100)
    items = real.matched(chosen, np.arange(100, 3000), counts, rng)
    assert len(set(items.tolist())) == 100
    assert np.array_equal(counts[items], counts[chosen])


def test_of_two_unequal_items_the_nearer_in_popularity_matches() -> None:
    counts = np.array([10, 7, 12, 100])
    assert real.matched(np.array([0]), np.array([1, 2, 3]), counts, np.random.default_rng(1)).tolist() == [2]
