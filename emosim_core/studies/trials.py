"""Asking: puts the trials of a study to the users of a world, many at once, and records every rating."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np

from emosim_core.components.base import RatingRequest, Ratings
from emosim_core.errors import PluginError
from emosim_core.model import Memory, Population, User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.runs.steps import plain
from emosim_core.simulation.assembly import World
from emosim_core.simulation.streams import Stage, Streams
from emosim_core.studies.study import SIDES, Study, StudySetting, Trial, Trials

AT_ONCE = 512
"""Trials that are put together; no rating depends on it."""


def draw_trials(study: Study, name: str, world: World, seed: int, label: str) -> Trials:
    """The trials of a study in a world, checked; a PluginError where there is none, or one cannot be put.

    Its randomness is made from its name and the seed; ``label`` is the study in words, for messages. A
    ConfigurationError where the world lacks what the study needs.
    """
    key = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    rng = np.random.default_rng([seed, key])
    trials = study.trials(StudySetting(world.domain, world.catalog, world.population, world.user_indices, rng))
    if not isinstance(trials, Trials):
        raise PluginError(f"{label} made a {type(trials).__name__}, not Trials")
    if not len(trials.trials):
        raise PluginError(f"{label} made no trial")
    items, scale = len(world.catalog), world.domain.scale
    for number, trial in enumerate(trials.trials):
        wrong = (
            f"the user {trial.user} of {len(trials.users)}"
            if not 0 <= trial.user < len(trials.users)
            else f"the item {trial.item} of {items}"
            if not 0 <= trial.item < items
            else f"the side {trial.side!r}"
            if trial.side not in SIDES
            else "a memory that is no item of the catalog with a rating of the scale"
            if not all(0 <= item < items and scale.contains(rating) for item, rating in trial.memory)
            else ""
        )
        if wrong:
            raise PluginError(f"{label} made the trial {number} with {wrong}")
    return trials


def world_of(users: Sequence[User], world: World) -> World:
    """The world with other users in place of its own; its rater is made ready for them."""
    world = replace(world, population=Population(users))
    with world.blaming("rater"):
        world.rater.prepare(world.setting())
    return world


def run_trials(
    world: World,
    trials: Trials,
    seed: int,
    on_ratings: Callable[[int], None] = lambda count: None,
    first: int = 0,
) -> Iterator[dict[str, Any]]:
    """Put trials to the users, with the world's own retrieval, rater and perturbator; yields :func:`record` of each.

    A user's mood is where it rests, and they remember what the trial puts in place. The draws of a trial depend on
    the seed and its number alone. ``on_ratings`` gets the number of new ratings; trials before ``first`` are left out.
    """
    world = world_of(trials.users, world)
    # What is answered in hours is asked for at once.
    size = len(trials.trials) if world.rater.deferred else AT_ONCE
    for start in range(first, len(trials.trials), size):
        some = trials.trials[start : start + size]
        rows = np.arange(len(some))
        streams = Streams(len(some))
        streams.begin(rows, [seed] * len(some), [start + row for row in rows.tolist()])
        request = trial_request(world, some)
        with world.blaming("rater"):
            answers = world.rate(request, streams.of(Stage.RATE, rows))
        raw = answers.values
        with world.blaming("perturbator"):
            perturbed = world.perturb(request, raw, ~np.isnan(raw), streams.of(Stage.PERTURB, rows))
        ratings = np.where(np.isnan(raw), np.nan, perturbed)[:, 0]
        on_ratings(len(some))
        with world.blaming("rater"):  # which tells its reasons now
            records = [
                record(world, start + row, trial, request, answers, ratings, row) for row, trial in enumerate(some)
            ]
        yield from records


def trial_request(world: World, trials: Sequence[Trial], moods: Floats | None = None) -> RatingRequest:
    """Trials of a world's users as rating requests: one user in front of one item each.

    ``moods`` are valence and arousal of each user, shape ``(R, 2)``; where they rest if not given.
    """
    users = np.array([trial.user for trial in trials], dtype=np.intp)
    history = memory_of(world, users, [trial.memory for trial in trials]).history()
    slate = np.array([[trial.item] for trial in trials], dtype=np.intp)
    with world.blaming("retrieval"):
        return world.rating_request(
            users, slate, world.population.baselines[users] if moods is None else moods, history
        )


def memory_of(world: World, users: Ints, memories: Sequence[Sequence[tuple[int, float]]]) -> Memory:
    """Memories of one row each, of items and ratings, oldest first; ``users`` are their indices in the world."""
    longest = max(map(len, memories))
    memory = Memory(len(memories), len(world.catalog), capacity=max(longest, 1))
    for place in range(longest):
        rows = np.array([row for row, known in enumerate(memories) if len(known) > place], dtype=np.intp)
        known = [memories[row][place] for row in rows.tolist()]
        items = np.array([item for item, _ in known], dtype=np.intp)
        ratings = np.array([rating for _, rating in known], dtype=np.float64)
        memory.append(rows, items, ratings, world.tags(users[rows], items, ratings))
    return memory


def record(
    world: World,
    number: int,
    trial: Trial,
    request: RatingRequest,
    answers: Ratings,
    ratings: Floats,
    row: int,
) -> dict[str, Any]:
    """One rating, as a line of records.jsonl holds it.

    Returns:
        ``trial``, its number from 0; ``side``, ``group``, ``cluster``; ``user``, ``item`` and ``title``; ``at_least``
        and ``at_most``, the bounds of success or null; ``memory``, items and ratings that were put in place, oldest
        first; ``retrieved``, the places in it that were retrieved, best first; ``raw_rating``, the rater's, or null
        where it failed; ``rating``, the same after the perturbator: what counts; ``reason``; and ``probabilities``
        where a model gives them.
    """
    items, user = world.catalog.items, world.population.users[trial.user]
    reason = answers.reason(row, 0)
    line = {
        "trial": number,
        "side": trial.side,
        "group": trial.group,
        "cluster": trial.cluster or user.id,
        "user": user.id,
        "item": items[trial.item].id,
        "title": items[trial.item].title,
        "at_least": trial.at_least,
        "at_most": trial.at_most,
        "memory": [[items[item].id, plain(rating)] for item, rating in trial.memory],
        "retrieved": [place for place in request.retrieved[row, 0].tolist() if place >= 0],
        "raw_rating": plain(float(answers.values[row, 0])),
        "rating": plain(float(ratings[row])),
        "reason": reason,
    }
    if shares := answers.probabilities(row, 0):
        line["probabilities"] = {label: round(share, 4) for label, share in shares.items()}
    return line
