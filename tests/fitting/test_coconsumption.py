"""What is learned of what users take together."""

from __future__ import annotations

import numpy as np
import pytest

from emosim_core.data.interactions import Interactions
from emosim_core.fitting import coconsumption
from emosim_core.fitting.coconsumption import directions, taken_together

ITEMS = 40


def of_two_kinds(users: int = 80, each: int = 8) -> Interactions:
    """Users who take even items, or odd ones, and one of the other kind; nobody takes the last item."""
    rng = np.random.default_rng(2)
    pairs = []
    for user in range(users):
        items = np.arange(user % 2, ITEMS - 1, 2)
        mine = [
            *rng.choice(items, each, replace=False).tolist(),
            int(rng.choice(np.arange(1 - user % 2, ITEMS - 1, 2))),
        ]
        pairs += [(user, item) for item in mine]
    who, items = np.array(pairs, dtype=np.intp).T
    return Interactions(tuple(map(str, range(users))), who, items, np.ones(len(who)), None, ITEMS)


def test_items_stand_near_those_that_the_same_users_took() -> None:
    log = of_two_kinds()
    places = taken_together(log, 0).astype(np.float64)
    assert places.shape == (ITEMS, 4)  # of 39 items that were taken, a direction for every eight
    alike = places @ places.T
    assert alike.max() <= 1.0
    even = np.arange(ITEMS - 1) % 2 == 0
    same = np.equal.outer(even, even) & ~np.eye(len(even), dtype=np.bool_)
    assert alike[:-1, :-1][same].mean() > 0.3
    assert alike[:-1, :-1][~np.equal.outer(even, even)].mean() < -0.2
    counts = np.bincount(log.items, minlength=ITEMS)
    assert np.allclose((places**2).sum(axis=1), counts / (counts + 2.0), atol=1e-4)
    assert not places[-1].any()


def test_a_log_of_few_users_says_nothing_of_it() -> None:
    assert taken_together(of_two_kinds(users=7), 0).shape == (ITEMS, 0)
    empty = of_two_kinds().only(np.zeros(720, dtype=np.bool_))
    assert taken_together(empty, 0).shape == (ITEMS, 0)


def test_a_large_log_has_the_directions_of_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    log = of_two_kinds()
    exact, places = directions(log, 0, 4, evenly=True)[0], taken_together(log, 0)
    monkeypatch.setattr(coconsumption, "_DENSE", 0)
    assert np.allclose(directions(log, 0, 4, evenly=True)[0], exact, atol=1e-5)
    assert exact[0] == pytest.approx(1.0, abs=1e-6)
    again = taken_together(log, 0)
    assert np.allclose(again @ again.T, places @ places.T, atol=1e-4)
