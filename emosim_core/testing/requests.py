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
from emosim_core.testing.worlds import SmallWorld, columns, small_world


def retrieval_request(
    items: ArrayLike,
    history: History,
    catalog: Catalog | None = None,
    population: Population | None = None,
    users: NDArray[np.intp] | None = None,
) -> RetrievalRequest:
    """What a retrieval is handed; moods are where they rest.

    Args:
        items: indices of the items at hand, shape ``(R, S)``.
        history: what the R users remember.
        catalog: the items; those of :func:`small_world` if None.
        population: the users; those of :func:`small_world` if None.
        users: index of each user, shape ``(R,)``; those from 0 on if None.
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
    """What the single form of a retrieval is handed; the mood is where it rests.

    Args:
        item: index of the item at hand.
        history: what the user remembers, oldest first.
        catalog: the items; those of :func:`small_world` if None.
        user: the user; the first of :func:`small_world` if None.
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
    ratings: ArrayLike, world: SmallWorld | None = None, users: NDArray[np.intp] | None = None
) -> SelectionRequest:
    """What a selector is handed: users who remember nothing in front of the items 0 to S - 1.

    Args:
        ratings: the rater's ratings, shape ``(R, S)``.
        world: the items and users; :func:`small_world` if None.
        users: index of each user, shape ``(R,)``; those from 0 on if None.
    """
    world = world or small_world()
    ratings = np.asarray(ratings, dtype=np.float64)
    users, items = _who_and_what(world, ratings, users)
    return SelectionRequest(
        users=users,
        items=items,
        ratings=ratings,
        times=np.zeros(items.shape, dtype=np.intp),
        moods=world.population.baselines[users],
        history=world.memories(len(users), longest=0).history(),
        catalog=world.catalog,
        population=world.population,
        scale=world.scale,
    )


def perturbation_request(
    ratings: ArrayLike, world: SmallWorld | None = None, users: NDArray[np.intp] | None = None
) -> PerturbationRequest:
    """What a perturbator is handed where every rating that did not fail is consumed.

    Args:
        ratings: the rater's ratings of the items 0 to S - 1, shape ``(R, S)``.
        world: the items and users; :func:`small_world` if None.
        users: index of each user, shape ``(R,)``; those from 0 on if None.
    """
    world = world or small_world()
    ratings = np.asarray(ratings, dtype=np.float64)
    users, items = _who_and_what(world, ratings, users)
    return PerturbationRequest(
        users=users,
        items=items,
        ratings=ratings,
        consumed=~np.isnan(ratings),
        moods=world.population.baselines[users],
        catalog=world.catalog,
        population=world.population,
        scale=world.scale,
    )


def shaping_request(
    ratings: ArrayLike,
    world: SmallWorld | None = None,
    *,
    rows: NDArray[np.intp] | None = None,
    users: NDArray[np.intp] | None = None,
    consumed: ArrayLike = True,
    times: ArrayLike = 1,
    since: ArrayLike = 0,
    steps: ArrayLike = 1,
    traits: ArrayLike = 2,
) -> ShapingRequest:
    """What a reward shaping is handed. A single number stands for all entries of its array.

    Args:
        ratings: perturbed ratings of the items 0 to S - 1, shape ``(R, S)``.
        world: the items and users; :func:`small_world` if None.
        rows: slot of each user, shape ``(R,)``; those from 0 on if None.
        users: index of each user, shape ``(R,)``; those from 0 on if None.
        consumed: which items were consumed, shape ``(R, S)``.
        times: how often the item has been consumed including now, shape ``(R, S)``.
        since: interactions since the item was last consumed, shape ``(R, S)``.
        steps: number of the step in its episode, from 1, shape ``(R,)``.
        traits: activity, conformity, diversity, 1 to 3, shape ``(R, 3)``.
    """
    world = world or small_world()
    ratings = np.asarray(ratings, dtype=np.float64)
    users, items = _who_and_what(world, ratings, users)
    count, shape = len(ratings), ratings.shape
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
        catalog=world.catalog,
        population=world.population,
        scale=world.scale,
    )


def arrays_of(request: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a request and of the histories in it, by name; nobody may write to them."""
    values = {one.name: getattr(request, one.name) for one in fields(request)}
    arrays = {f"the array {name}": value for name, value in values.items() if isinstance(value, np.ndarray)}
    return arrays | (columns(values["history"]) if "history" in values else {})


def _who_and_what(
    world: SmallWorld, ratings: NDArray[np.float64], users: NDArray[np.intp] | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    count, slate = ratings.shape
    who = np.arange(count) if users is None else users
    return who % len(world.population), np.tile(np.arange(slate) % len(world.catalog), (count, 1))
