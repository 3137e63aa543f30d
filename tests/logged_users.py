"""Logged users of two tastes, and how tests play a policy that has learned from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from emosim_core.components.base import (
    BeginRequest,
    Policy,
    PolicySetting,
    RecommendationOutcome,
    RecommendationRequest,
)
from emosim_core.simulation.streams import Stage, Streams
from emosim_core.testing import small_world
from emosim_core.testing.worlds import SmallWorld


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return small_world()


@pytest.fixture(scope="module")
def logs(world: SmallWorld, tmp_path_factory: pytest.TempPathFactory) -> str:
    """60 users who rate even items 9 and odd ones 2, or the other way round; item 39 was never logged."""
    rng = np.random.default_rng(0)
    rows = [
        f"{user},{step},p{user},{world.catalog.items[item].id},{9 if item % 2 == user % 2 else 2}"
        for user in range(60)
        for step, item in enumerate(rng.permutation(39)[:25], start=1)
    ]
    file = tmp_path_factory.mktemp("logs") / "logs.csv"
    file.write_text("episode,step,user,item,rating\n" + "\n".join(rows) + "\n")
    return str(file)


def observed(rows: int, user: int = 0) -> dict[str, Any]:
    """What is observed of users who remember nothing."""
    return {
        "user": np.full(rows, user),
        "traits": np.full((rows, 3), 2),
        "history_items": np.zeros((rows, 5), dtype=np.int64),
        "history_ratings": np.ones((rows, 5), dtype=np.float32),
        "history_mask": np.zeros((rows, 5), dtype=np.int8),
    }


def begun(policy: Policy, world: SmallWorld, rows: int, slate: int = 1, users: tuple[str, ...] = ()) -> Streams:
    policy.start(PolicySetting(catalog=world.catalog, slate=slate, batch_size=rows, users=users))
    streams = Streams(rows)
    streams.begin(np.arange(rows), list(range(rows)), [0] * rows)
    policy.begin(BeginRequest(rows=np.arange(rows)), streams.of(Stage.POLICY, np.arange(rows)))
    return streams


def played(
    policy: Policy, world: SmallWorld, answer: Callable[[int, int], float], rows: list[int], steps: int, **how: Any
) -> np.ndarray:
    """What is recommended to each of ``rows``, who answer by row and item; shape ``(R, steps, slate)``."""
    streams, where, slates = begun(policy, world, max(rows) + 1, **how), np.array(rows), []
    for _ in range(steps):
        actions = policy.recommend_batch(
            RecommendationRequest(rows=where, observations=observed(len(rows))), streams.of(Stage.POLICY, where)
        )
        slates.append(actions.copy())
        ratings = np.array([[answer(row, item) for item in one] for row, one in zip(rows, actions, strict=True)])
        policy.learn(
            RecommendationOutcome(
                rows=where,
                actions=actions,
                ratings=ratings,
                rewards=ratings.sum(axis=1),
                ended=np.zeros(len(rows), dtype=bool),
            )
        )
    return np.stack(slates, axis=1)


def by_parity(row: int, item: int) -> float:
    return 9.0 if item % 2 == row % 2 else 2.0
