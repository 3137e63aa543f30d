"""Asking: puts the trials of a study to the users of a world, many at once, and records every rating."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import RatingRequest, Ratings
from emosim_core.errors import PluginError
from emosim_core.model import Memory, Population
from emosim_core.runs.records import plain
from emosim_core.simulation.assembly import World
from emosim_core.simulation.streams import Stage, Streams
from emosim_core.studies.study import SIDES, Study, StudySetting, Trial, Trials

AT_ONCE = 512
"""Trials that are put together; no rating depends on it."""


def draw_trials(study: Study, name: str, world: World, seed: int, label: str) -> Trials:
    """The trials of a study in a world, checked.

    Args:
        study: the study.
        name: its name, which its randomness is made from.
        world: items and users.
        seed: seed of the choice.
        label: the study in words, for messages.

    Raises:
        ConfigurationError: the world lacks what the study needs.
        PluginError: the study made no trial, or one that cannot be put.
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


def world_of(trials: Trials, world: World) -> World:
    """The world with the users of trials in place of its own; its rater is made ready for them."""
    world = replace(world, population=Population(trials.users))
    with world.blaming("rater"):
        world.rater.prepare(world.setting())
    return world


def run_trials(
    world: World,
    trials: Trials,
    seed: int,
    on_ratings: Callable[[int], None] = lambda count: None,
) -> Iterator[dict[str, Any]]:
    """Put trials to the users, with the world's own retrieval, rater and perturbator.

    A user's mood is where it rests, and they remember what the trial puts in place. The draws of a trial depend on
    the seed and its number alone.

    Args:
        world: who answers, and how.
        trials: what is asked.
        seed: seed of what is drawn on the way.
        on_ratings: called with the number of new ratings.

    Yields:
        One record per trial, in their order, as :func:`record` makes it.

    Raises:
        EmoSimError: a component failed, or no request can be answered.
    """
    world = world_of(trials, world)
    for start in range(0, len(trials.trials), AT_ONCE):
        some = trials.trials[start : start + AT_ONCE]
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


def trial_request(world: World, trials: Sequence[Trial], moods: NDArray[np.float64] | None = None) -> RatingRequest:
    """Trials as rating requests: one user in front of one item each.

    Args:
        world: the items, the users of the trials, and the retrieval that chooses what is remembered.
        trials: the trials.
        moods: valence and arousal of each user, shape ``(R, 2)``; where they rest if not given.
    """
    users = np.array([trial.user for trial in trials], dtype=np.intp)
    memory = Memory(len(trials), len(world.catalog), capacity=8)
    for place in range(max(len(trial.memory) for trial in trials)):
        who = np.array([row for row, trial in enumerate(trials) if len(trial.memory) > place], dtype=np.intp)
        known = [trials[row].memory[place] for row in who.tolist()]
        ratings = np.array([rating for _, rating in known], dtype=np.float64)
        items = np.array([item for item, _ in known], dtype=np.intp)
        memory.append(who, items, ratings, world.tags(users[who], items, ratings))
    history = memory.history()
    slate = np.array([[trial.item] for trial in trials], dtype=np.intp)
    with world.blaming("retrieval"):
        return world.rating_request(
            users, slate, world.population.baselines[users] if moods is None else moods, history
        )


def record(
    world: World,
    number: int,
    trial: Trial,
    request: RatingRequest,
    answers: Ratings,
    ratings: NDArray[np.float64],
    row: int,
) -> dict[str, Any]:
    """One rating, as a line of records.jsonl holds it.

    Returns:
        ``trial``, its number from 0; ``side``, ``group``, ``cluster``; ``user``, ``item`` and ``title``; ``at_least``
        and ``at_most``, the bounds of success or null; ``memory``, items and ratings that were put in place, oldest
        first; ``retrieved``, the places in it that were retrieved, best first; ``raw_rating``, the rater's rating, or
        null where it failed; ``rating``, the same after the perturbator: what counts; ``reason``; and
        ``probabilities`` where a model gives them.
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
