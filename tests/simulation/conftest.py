"""Small worlds for the tests of the simulation: eight items, four users, and raters that follow a script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from emosim_core.components.base import Draws, Rater, RatingRequest, Ratings, WorldSetting
from emosim_core.components.emotion_models import EmotionSetting
from emosim_core.hooks import Registry
from emosim_core.model import Catalog, Domain, Item, Population, RatingScale, User, Words
from emosim_core.simulation.assembly import World
from emosim_core.simulation.config import EnvironmentConfig

ITEMS = 8


class Script(Rater):
    """Rates ``rule(user, item, times)``; NaN fails."""

    def __init__(self, rule: Callable[[int, int, int], float]) -> None:
        self.rule = rule
        self.seen: list[RatingRequest] = []

    def rate_batch(self, request: RatingRequest, draws: Draws) -> Ratings:
        self.seen.append(request)
        values = [
            [self.rule(int(user), int(item), int(times)) for item, times in zip(slate, before, strict=True)]
            for user, slate, before in zip(request.users, request.items, request.times, strict=True)
        ]
        return Ratings(np.array(values, dtype=np.float64), lambda row, place: f"reason {row} {place}")


def rule(user: int, item: int, times: int) -> float:
    """A rating from 1 to 10 that differs from user to user, item to item and time to time."""
    return float(1 + (3 * user + 7 * item + 4 * times) % 10)


@pytest.fixture(scope="session")
def scripted() -> Callable[..., Rater]:
    """Makes a rater of a function of user, item and times consumed before; of :func:`rule` without one."""
    return lambda script=rule: Script(script)


@pytest.fixture(scope="session")
def small_world() -> Callable[..., World]:
    """Makes a world of options of a configuration; ``parts`` are strategies by kind, instead of named ones."""
    registry = Registry()
    vectors = np.random.default_rng(5).integers(-1, 2, (ITEMS, 3)).astype(np.float32)
    genres = ("drama", "comedy", "action")

    def make(scale: RatingScale | None = None, parts: dict[str, Any] | None = None, **options: Any) -> World:
        parts = dict(parts or {})
        scale = scale or RatingScale(low=1, high=10)
        config = EnvironmentConfig(plugin="small", **options)
        items = [
            Item(
                id=f"i{i}",
                title=f"Item {i}",
                categories=(genres[i % 3],),
                public_rating=scale.low + scale.span * (i + 1) / 9,
                public_count=10 * (i % 4),
            )
            for i in range(ITEMS)
        ]
        users = [
            User(
                id=f"u{u}",
                name=f"User {u}",
                liked=(genres[u % 3],),
                activity=1 + u % 3,
                conformity=1 + (u + 1) % 3,
                diversity=1 + (u + 2) % 3,
                baseline_valence=0.2 * u - 0.3,
                baseline_arousal=0.1 + 0.2 * u,
            )
            for u in range(4)
        ]
        domain = Domain("small", "Small", scale, Words(), Item)
        catalog, population = Catalog(items, scale, vectors, "made up"), Population(users)
        for kind, name in (
            ("rater", config.rater),
            ("retrieval", config.items_retrieval),
            ("selector", config.selector),
            ("perturbator", config.perturbator),
            ("emotion_model", config.emotion_model),
            ("reward_shaping", config.reward_shaping),
            ("observation", config.observation),
        ):
            if kind not in parts:
                parts[kind] = registry.resolve(kind, name, "small").build()
        parts["rater"].prepare(WorldSetting(catalog=catalog, population=population, scale=scale))
        parts["emotion_model"].prepare(
            EmotionSetting(
                catalog=catalog, population=population, scale=scale, thresholds=config.emotion, mood=config.mood
            )
        )
        return World(
            config=config,
            registry=registry,
            domain=domain,
            catalog=catalog,
            population=population,
            rater=parts["rater"],
            retrieval=parts["retrieval"],
            selector=parts["selector"],
            perturbator=parts["perturbator"],
            emotion_model=parts["emotion_model"],
            shaping=parts["reward_shaping"],
            observation=parts["observation"],
        )

    return make
