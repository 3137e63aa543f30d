"""Estimators of what a recommender would earn: beside closed forms, and beside a value that is known."""

from __future__ import annotations

import numpy as np
import pytest

from emosim_core.evaluation.off_policy import ESTIMATORS, LoggedEvents, sums_by_user
from emosim_core.stats import ratio


def events(rng: np.random.Generator, count: int, model: np.ndarray, reward: np.ndarray) -> LoggedEvents:
    """Events of one context and four items: logged by chances, evaluated is a slate of the items 2 and 3."""
    chances = np.array([0.4, 0.3, 0.2, 0.1])
    shown = rng.choice(4, count, p=chances)
    return LoggedEvents(
        users=np.arange(count),
        shares=np.array([0.0, 0.0, 0.5, 0.5])[shown],
        propensities=chances[shown],
        rewards=reward[shown],
        predicted=model[shown],
        direct=np.full(count, model[2:].mean()),
    )


def values(logged: LoggedEvents) -> dict[str, float]:
    return {name: float(ratio(table.sum(axis=0))) for name, table in sums_by_user(logged, len(logged.users)).items()}


def test_three_events_by_hand() -> None:
    logged = LoggedEvents(
        users=np.array([0, 0, 1]),
        shares=np.array([0.5, 0.0, 0.5]),
        propensities=np.array([0.25, 0.5, 0.5]),
        rewards=np.array([1.0, 0.7, 0.4]),
        predicted=np.array([0.6, 0.5, 0.5]),
        direct=np.array([0.5, 0.5, 0.6]),
    )
    got = sums_by_user(logged, 3)
    assert set(got) == set(ESTIMATORS)
    assert got["IPS"] == pytest.approx(np.array([[2.0, 2.0], [0.4, 1.0], [0.0, 0.0]]))
    assert got["SNIPS"] == pytest.approx(np.array([[2.0, 2.0], [0.4, 1.0], [0.0, 0.0]]))
    assert got["DM"] == pytest.approx(np.array([[1.0, 2.0], [0.6, 1.0], [0.0, 0.0]]))
    # .5 + 2 (1 - .6) + .5 = 1.8; .6 + 1 (.4 - .5) = .5
    assert got["DR"] == pytest.approx(np.array([[1.8, 2.0], [0.5, 1.0], [0.0, 0.0]]))


def test_ips_and_dr_are_unbiased_whatever_the_model_and_dm_is_not() -> None:
    rng, reward = np.random.default_rng(4), np.array([0.1, 0.9, 0.3, 0.8])
    wrong = np.array([0.5, 0.5, 0.9, 0.9])
    got = values(events(rng, 200_000, wrong, reward))
    assert got["DM"] == pytest.approx(0.9)
    for name in ("IPS", "SNIPS", "DR"):
        assert got[name] == pytest.approx(0.55, abs=0.01)


def test_a_perfect_model_leaves_dr_no_variance_and_equal_rewards_leave_snips_none() -> None:
    rng, reward = np.random.default_rng(5), np.array([0.1, 0.9, 0.3, 0.8])
    got = values(events(rng, 50, reward, reward))
    assert got["DR"] == pytest.approx(0.55, abs=1e-12)
    equal = values(events(rng, 50, np.zeros(4), np.full(4, 0.6)))
    assert equal["SNIPS"] == pytest.approx(0.6, abs=1e-12)
    assert equal["IPS"] != pytest.approx(0.6, abs=1e-3)
