"""What components are handed, made from a few arrays and a small world: for tests of one component alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emosim_core.components.base import (
    PerturbationRequest,
    RetrievalRequest,
    RetrievalSituation,
    SelectionRequest,
    ShapingRequest,
)
from emosim_core.model import Catalog, History, Interaction, Population, User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.testing.worlds import SmallWorld, columns, small_world


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
