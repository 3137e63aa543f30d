"""Orders of very many items: each item once, in an order of chance, in memory of the users alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.recommenders import heuristics
from emosim_core.recommenders.shuffled import Shuffled
from emosim_core.testing import Emosim


class Seeded:
    """Draws of a seed for each row."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generator(self, row: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, row])


@settings(max_examples=30)
@given(count=st.integers(1, 3000), seed=st.integers(0, 10**9))
def test_an_order_holds_each_item_once(count: int, seed: int) -> None:
    shuffled = Shuffled(3, count)
    shuffled.begin(np.array([0, 2]), Seeded(seed))  # type: ignore[arg-type]
    orders = shuffled.at(np.array([[0], [2]]), np.arange(count))
    assert (np.sort(orders, axis=1) == np.arange(count)).all()
    assert count < 20 or (orders[0] != orders[1]).any()


def test_items_are_as_probable_at_each_place() -> None:
    users, count, tenth = 20_000, 70_000, 7_000
    shuffled = Shuffled(users, count)
    shuffled.begin(np.arange(users), Seeded(1))  # type: ignore[arg-type]
    orders = shuffled.at(np.arange(users)[:, None], np.array([0, 1, 2, 69_999])) // tenth
    pairs = [orders[:, 0] * 10 + orders[:, place] for place in (1, 2, 3)]
    for numbers, share in [*((one, 0.1) for one in orders.T), *((one, 0.01) for one in pairs)]:
        counts = np.bincount(numbers, minlength=round(1 / share))
        # Of a binomial distribution, 5 standard deviations.
        assert np.abs(counts - users * share).max() < 5 * np.sqrt(users * share * (1 - share))


@pytest.mark.parametrize("slate", [1, 3])
def test_a_run_recommends_no_item_of_a_large_catalog_twice(
    quick: Emosim, monkeypatch: pytest.MonkeyPatch, slate: int
) -> None:
    monkeypatch.setattr(heuristics, "_WHOLE_ORDERS", 10)
    command = ("run", "--plugin", "movies", "--policy", "random", "--episodes", "6", "--slate", str(slate))
    quick(*command, "--out", "one")
    quick(*command, "--out", "two")
    text = (quick.folder / "one" / "interactions.jsonl").read_text()
    assert text == (quick.folder / "two" / "interactions.jsonl").read_text()
    lists: dict[int, list[str]] = {}
    for step in map(json.loads, text.splitlines()):
        lists.setdefault(step["episode"], []).extend(one["item"] for one in step["recommended"])
    assert all(len(items) == len(set(items)) for items in lists.values())
    assert len({tuple(items[:slate]) for items in lists.values()}) > 1
