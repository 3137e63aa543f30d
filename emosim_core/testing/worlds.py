"""Small made-up worlds to hold components to their contract in: items, users and what they remember."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Draws, ShapingSetting, WorldSetting
from emosim_core.model import (
    Catalog,
    Domain,
    Emotion,
    Example,
    History,
    Item,
    Memory,
    Population,
    RatingScale,
    StudyUsers,
    User,
    Words,
)
from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.user import TRAITS
from emosim_core.simulation.streams import Stage, Streams

CATEGORIES = ("comedy", "drama", "history", "travel")
"""The categories of the made-up items."""

TEN = RatingScale(low=1, high=10, step=1)
"""The scale of films, 1 to 10."""

FIVE = RatingScale(low=1, high=5, step=1)
"""The scale of books, 1 to 5."""


@dataclass(frozen=True)
class SmallWorld:
    """Items and users on a scale, as components are handed them."""

    catalog: Catalog
    population: Population
    scale: RatingScale
    words: Words

    def copy(self) -> SmallWorld:
        """The same world with arrays of its own: who writes to them spoils no other."""
        catalog = self.catalog
        mine = Catalog(catalog.items, catalog.scale, embedding_name=catalog.embedding_name)
        mine.embeddings = catalog.embeddings.copy()
        return SmallWorld(mine, Population(self.population.users), self.scale, self.words)

    @property
    def items_and_users(self) -> dict[str, Any]:
        """The fields of a request that are the same in all of them."""
        return {"catalog": self.catalog, "population": self.population, "scale": self.scale}

    def setting(self, slate: int = 1) -> WorldSetting:
        """What components are prepared with."""
        return WorldSetting(**self.items_and_users, words=self.words, slate=slate)

    def shaping_setting(self, batch_size: int, slate: int = 1) -> ShapingSetting:
        """What a reward shaping is started with."""
        return ShapingSetting(**vars(self.setting(slate)), batch_size=batch_size)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What components read of the items and users, by name; nobody may write to it."""
        of_items = ("embeddings", "categories", "public_ratings", "has_public_rating", "public_counts")
        return {
            **{f"the catalog's {name}": getattr(self.catalog, name) for name in of_items},
            **{f"the users' {name}": getattr(self.population, name) for name in ("traits", "baselines")},
        }

    def memories(self, users: int, longest: int = 24, seed: int = 0) -> Memory:
        """Memories of ``users`` users, of 0 to ``longest`` interactions each, repeats among them.

        The first user remembers nothing, the second one interaction.
        """
        rng = np.random.default_rng(seed)
        lengths = rng.integers(0, longest + 1, users)
        lengths[: min(2, users)] = [0, 1][: min(2, users)]
        memory = Memory(users, len(self.catalog), capacity=4)
        emotion = Emotion(self.scale)
        for t in range(longest):
            who = np.flatnonzero(lengths > t)
            if len(who):
                ratings = rng.choice(self.scale.levels, len(who))
                memory.append(who, rng.integers(0, len(self.catalog), len(who)), ratings, emotion.code(ratings))
        return memory

    def histories(self, users: int, who: Ints) -> History:
        """What the users ``who`` remember, all or some of those of :meth:`memories`."""
        memory = self.memories(users)
        return memory.history() if len(who) == users else memory.history(who)

    def ratings(self, users: int, slate: int, seed: int = 0, failed: float = 0.0) -> Floats:
        """Random ratings, shape ``(users, slate)``, of which about the share ``failed`` is NaN."""
        rng = np.random.default_rng(seed)
        values = rng.choice(self.scale.levels, (users, slate))
        return np.where(rng.random((users, slate)) < failed, np.nan, values)


def columns(history: History) -> dict[str, NDArray[Any]]:
    """The arrays of histories, by name; nobody may write to them."""
    names = ("items", "ratings", "codes", "times_consumed", "latest", "lengths")
    return {f"the history's {name}": getattr(history, name) for name in names}


def small_world(scale: RatingScale = TEN, items: int = 40, num_users: int = 18) -> SmallWorld:
    """A made-up world of at least one item and user; the same arguments give the same world.

    Among 18 users, all traits take all levels.
    """
    rng = np.random.default_rng(7)
    made = [
        Item(
            id=f"i{i:03d}",
            title=f"Item {i}",
            categories=tuple(rng.choice(CATEGORIES, int(rng.integers(1, 3)), replace=False)),
            description=f"The item with the number {i}.",
            year=1950 + i,
            public_rating=None if i % 9 == 8 else round(float(rng.uniform(scale.low, scale.high)), 1),
            public_count=None if i % 9 == 8 else int(rng.integers(1, 100_000)),
            collection=f"Series {i // 4}" if i % 4 else None,
            part=i % 4 or None,
        )
        for i in range(items)
    ]
    vectors = rng.normal(size=(items, 8)).astype(np.float32)
    if items > 3:
        vectors[3] = 0.0
    users = [
        User(
            id=f"u{i:03d}",
            name=f"User {i}",
            age=20 + i,
            liked=(CATEGORIES[i % 4],),
            disliked=(CATEGORIES[(i + 1) % 4],),
            activity=1 + i % 3,
            conformity=1 + i // 3 % 3,
            diversity=1 + i // 2 % 3,
            baseline_valence=round(float(rng.uniform(-0.5, 0.5)), 2),
        )
        for i in range(num_users)
    ]
    return SmallWorld(Catalog(made, scale, vectors, "made up"), Population(users), scale, Words())


def made_up_domain(world: SmallWorld) -> Domain:
    """A domain of a small world: texts of traits, worked examples, shares of real ratings, users for studies."""
    scale, levels = world.scale, len(world.scale.levels)

    def user(name: str, liked: tuple[str, ...], disliked: tuple[str, ...]) -> User:
        return User(id=name, name=name.title(), liked=liked, disliked=disliked, conformity=3)

    lovers = {one: [user(f"lover {one}", (one,), tuple(c for c in CATEGORIES if c != one))] for one in CATEGORIES[:2]}
    return Domain(
        "made_up",
        "Made up",
        scale,
        Words(traits={trait: (f"low {trait}", f"middling {trait}", f"high {trait}") for trait in TRAITS}),
        Item,
        examples=tuple(
            Example(f"A user with the number {n}.", f"An item with the number {n}.", rating, "It was to be expected.")
            for n, rating in enumerate((scale.high, scale.low))
        ),
        real_ratings=(1 / levels,) * levels,
        real_ratings_source="made up",
        study_users=StudyUsers(lovers, [user("generous", CATEGORIES, ())], [user("strict", (), CATEGORIES)]),
    )


def draws(rows: Ints | int, stage: Stage = Stage.RATE, seed: int = 0) -> Draws:
    """Draws as the engine hands them to components: user p's are those of the seed ``seed + p``.

    ``rows`` are which users, shape ``(R,)``, or how many from 0 on.
    """
    who = np.arange(rows) if isinstance(rows, int) else np.asarray(rows)
    streams = Streams(len(who))
    slots = np.arange(len(who))
    streams.begin(slots, [seed + int(user) for user in who], [0] * len(who))
    return streams.of(stage, slots)
