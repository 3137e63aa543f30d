"""Rating: the one way in which users are asked for ratings, whether in an episode, a study or a validation."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Draws, PerturbationRequest, RatingRequest, Ratings, RetrievalRequest
from emosim_core.model import History, Population
from emosim_core.simulation.assembly import World
from emosim_core.simulation.checks import check_perturbed, check_positions, check_ratings


def rating_request(
    world: World,
    users: NDArray[np.intp],
    items: NDArray[np.intp],
    moods: NDArray[np.float64],
    history: History,
    population: Population,
    doubted: Collection[str],
) -> RatingRequest:
    """What the rater is asked: R users in front of S items each, and the memories that are retrieved for these.

    Args:
        world: the items, and the retrieval that chooses what is remembered.
        users: indices in the population, shape ``(R,)``.
        items: item indices, shape ``(R, S)``.
        moods: valence and arousal of each user, shape ``(R, 2)``.
        history: what the users remember.
        population: the users, where they are others than those of the world too.
        doubted: kinds of components whose answers are checked.

    Raises:
        PluginError: the answer of the retrieval is checked, and is something else than positions.
    """
    positions = world.retrieval.retrieve_batch(
        RetrievalRequest(
            users=users, items=items, moods=moods, history=history, catalog=world.catalog, population=population
        )
    )
    if "retrieval" in doubted:
        check_positions(positions, items, history, world.label("retrieval"))
    retrieved_items, retrieved_ratings = _look_up(history, positions)
    return RatingRequest(
        users=users,
        items=items,
        retrieved=positions,
        retrieved_items=retrieved_items,
        retrieved_ratings=retrieved_ratings,
        times=history.times_before(items),
        moods=moods,
        history=history,
        catalog=world.catalog,
        population=population,
        scale=world.domain.scale,
        words=world.domain.words,
    )


def rate(world: World, request: RatingRequest, draws: Draws, doubted: Collection[str]) -> Ratings:
    """The rater's answers to a request.

    Raises:
        PluginError: the answers are checked, and are no ratings of the scale.
    """
    answers = world.rater.rate_batch(request, draws)
    if "rater" in doubted:
        check_ratings(answers, request.items, request.scale, world.label("rater"))
    return answers


def perturb(
    world: World, request: RatingRequest, raw: NDArray[np.float64], consumed: NDArray[np.bool_], draws: Draws,
    doubted: Collection[str],
) -> NDArray[np.float64]:  # fmt: skip
    """The ratings after perturbation, on the scale, shape ``(R, S)``; of what was not consumed they mean nothing.

    Args:
        world: the perturbator.
        request: what was rated.
        raw: the rater's ratings, shape ``(R, S)``; NaN where it failed.
        consumed: which items were consumed, shape ``(R, S)``.
        draws: random numbers.
        doubted: kinds of components whose answers are checked.

    Raises:
        PluginError: the answer is checked, and is something else than ratings.
    """
    given = raw.copy() if "perturbator" in doubted else raw
    ratings = world.perturbator.perturb_batch(
        PerturbationRequest(
            users=request.users,
            items=request.items,
            ratings=given,
            consumed=consumed,
            moods=request.moods,
            catalog=request.catalog,
            population=request.population,
            scale=request.scale,
        ),
        draws,
    )
    if given is not raw:
        check_perturbed(ratings, raw, world.label("perturbator"))
    return ratings if ratings is raw else request.scale.round(ratings)


def _look_up(history: History, positions: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The items and ratings at positions, shape ``(R, S, K)``; item 0 and rating NaN where there is none."""
    if history.width == 0 or positions.shape[2] == 0:
        return np.zeros(positions.shape, dtype=np.intp), np.full(positions.shape, np.nan)
    present = positions >= 0
    items, ratings = history.at(positions)
    return items * present, np.where(present, ratings, np.nan)
