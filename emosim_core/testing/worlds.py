"""Small made-up worlds to hold components to their contract in, and what components are handed there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emosim_core.components.base import (
    Draws,
    PerturbationRequest,
    RetrievalRequest,
    RetrievalSituation,
    SelectionRequest,
    ShapingRequest,
    ShapingSetting,
    WorldSetting,
)
from emosim_core.components.choice import ChoiceRequest
from emosim_core.model import (
    Catalog,
    Domain,
    Emotion,
    Example,
    History,
    Interaction,
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
            Example(
                user(f"example {n}", CATEGORIES[:1], ()), Item(id=f"example {n}", title=f"Number {n}"), rating, "So."
            )
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


def retrieval_request(
    items: ArrayLike,
    history: History,
    catalog: Catalog | None = None,
    population: Population | None = None,
    users: Ints | None = None,
) -> RetrievalRequest:
    """What a retrieval is handed: items at hand, shape ``(R, S)``, and what the R users remember.

    The catalog and the population are those of :func:`small_world` if not given, ``users`` (indices, shape ``(R,)``)
    those from 0 on; moods are where they rest.
    """
    catalog = catalog or small_world().catalog
    population = population or small_world().population
    items = np.asarray(items)
    users = (np.arange(len(items)) if users is None else users) % len(population)
    return RetrievalRequest(
        users=users,
        items=items,
        moods=population.baselines[users],
        history=history,
        catalog=catalog,
        population=population,
    )


def retrieval_situation(
    item: int, history: Sequence[Interaction], catalog: Catalog | None = None, user: User | None = None
) -> RetrievalSituation:
    """What the single form of a retrieval is handed; the history is oldest first, the mood is where it rests.

    The catalog is that of :func:`small_world` if not given, the user its first.
    """
    user = user or small_world().population.users[0]
    return RetrievalSituation(
        user=user,
        item=item,
        history=history,
        valence=user.baseline_valence,
        arousal=user.baseline_arousal,
        catalog=catalog or small_world().catalog,
    )


def choice_request(interest: ArrayLike, world: SmallWorld | None = None, users: Ints | None = None) -> ChoiceRequest:
    """What a choice model is handed: users who remember nothing, interested in the items 0 to S - 1.

    ``interest`` is in standard deviations above what is usually chosen, shape ``(R, S)``; ``world`` and ``users`` are
    as of :func:`selection_request`.
    """
    world, interest, users, items = _completed(interest, world, users)
    return ChoiceRequest(
        users=users,
        items=items,
        interest=interest,
        spread=np.ones(len(users)),
        times=np.zeros(items.shape, dtype=np.intp),
        moods=world.population.baselines[users],
        history=world.memories(len(users), longest=0).history(),
        catalog=world.catalog,
        population=world.population,
    )


def selection_request(
    ratings: ArrayLike, world: SmallWorld | None = None, users: Ints | None = None
) -> SelectionRequest:
    """What a selector is handed: users who remember nothing in front of the items 0 to S - 1.

    ``ratings`` are the rater's, shape ``(R, S)``. The world is :func:`small_world` if not given, ``users`` (indices,
    shape ``(R,)``) those from 0 on.
    """
    world, ratings, users, items = _completed(ratings, world, users)
    return SelectionRequest(
        users=users,
        items=items,
        ratings=ratings,
        times=np.zeros(items.shape, dtype=np.intp),
        moods=world.population.baselines[users],
        history=world.memories(len(users), longest=0).history(),
        **world.items_and_users,
    )


def perturbation_request(
    ratings: ArrayLike, world: SmallWorld | None = None, users: Ints | None = None
) -> PerturbationRequest:
    """What a perturbator is handed where all but failed ratings are consumed; as of :func:`selection_request`."""
    world, ratings, users, items = _completed(ratings, world, users)
    return PerturbationRequest(
        users=users,
        items=items,
        ratings=ratings,
        consumed=~np.isnan(ratings),
        moods=world.population.baselines[users],
        **world.items_and_users,
    )


def shaping_request(
    ratings: ArrayLike,
    world: SmallWorld | None = None,
    *,
    rows: Ints | None = None,
    users: Ints | None = None,
    consumed: ArrayLike = True,
    times: ArrayLike = 1,
    since: ArrayLike = 0,
    steps: ArrayLike = 1,
    traits: ArrayLike = 2,
) -> ShapingRequest:
    """What a reward shaping is handed. A single number stands for all entries of its array.

    Args:
        ratings: perturbed ratings; ``ratings``, ``world`` and ``users`` are as of :func:`selection_request`.
        rows: slot of each user, shape ``(R,)``; those from 0 on if None.
        consumed: which items were consumed, shape ``(R, S)``.
        times: how often the item has been consumed including now, shape ``(R, S)``.
        since: interactions since the item was last consumed, shape ``(R, S)``.
        steps: number of the step in its episode, from 1, shape ``(R,)``.
        traits: activity, conformity, diversity, 1 to 3, shape ``(R, 3)``.
    """
    world, ratings, users, items = _completed(ratings, world, users)
    count, shape = len(items), items.shape
    return ShapingRequest(
        rows=np.arange(count) if rows is None else rows,
        users=users,
        items=items,
        consumed=np.array(np.broadcast_to(consumed, shape), dtype=np.bool_),
        ratings=ratings,
        times=np.array(np.broadcast_to(times, shape), dtype=np.intp),
        since=np.array(np.broadcast_to(since, shape), dtype=np.intp),
        steps=np.array(np.broadcast_to(steps, (count,)), dtype=np.intp),
        traits=np.array(np.broadcast_to(traits, (count, 3)), dtype=np.int64),
        **world.items_and_users,
    )


def arrays_of(request: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a request and of the histories in it, by name; nobody may write to them."""
    values = {one.name: getattr(request, one.name) for one in fields(request)}
    arrays = {f"the array {name}": value for name, value in values.items() if isinstance(value, np.ndarray)}
    return arrays | (columns(values["history"]) if "history" in values else {})


def _completed(
    ratings: ArrayLike, world: SmallWorld | None, users: Ints | None
) -> tuple[SmallWorld, Floats, Ints, Ints]:
    """World, ratings, users and items, the ones that are not given filled in."""
    world, values = world or small_world(), np.asarray(ratings, dtype=np.float64)
    count, slate = values.shape
    who = np.arange(count) if users is None else users
    items = np.tile(np.arange(slate) % len(world.catalog), (count, 1))
    return world, values, who % len(world.population), items
