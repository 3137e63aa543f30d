"""Verdicts on one log: what the truth, the simulated users and each rival say of every recommender, user by user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from emosim_core.data.interactions import Interactions
from emosim_core.estimators import ItemKNN, Past
from emosim_core.estimators.interface import rated
from emosim_core.evaluation.off_policy import LoggedEvents, sums_by_user
from emosim_core.fitting.people import known_by
from emosim_core.fitting.profiles import Profiles
from emosim_core.fitting.ratings import one_thread
from emosim_core.hooks import Registry
from emosim_core.model import Catalog, Domain, RatingScale
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.simulation.assembly import World
from emosim_core.studies.trust.lineup import Entry, Lineup, picked
from emosim_core.studies.trust.truth import LIKED, Drawn
from emosim_core.studies.validation.simulator import UserSimulator
from emosim_core.studies.validation.users import RealUser

TRUTH, SIMULATED = "truth", "simulated users"
LIKED_REALLY, LIKED_SIMULATED = "liked really", "liked by simulated users"
POPULAR, NDCG, RECALL = "the more popular one", "nDCG@10", "recall@10"

NO_METHODS = (TRUTH, LIKED_REALLY, LIKED_SIMULATED)
"""What is measured of the recommenders beside what methods say of them: the last two are shares of what is picked."""

BY_HELD_OUT = (*NO_METHODS, SIMULATED, POPULAR)
"""Methods whose users are those who are held out; those of the others are the users of the log."""

_AT = 10
"""Length of the lists that nDCG and recall are of."""

_LEFT_OUT = 0.2
"""Share of each user's latest answers that is left out of the log for the rivals that are measured on it."""


@dataclass(frozen=True)
class Verdicts:
    """What each method says of M recommenders on one log.

    Attributes:
        sums: by method, and by the names of :data:`NO_METHODS`, what each user adds to the numerators and the
            denominators of its values, shape ``(2, U, M)``: the value of a recommender is the ratio of the sums over
            users.
        failed: share of the simulated answers that failed.
        logged: mean rating and share of liked items in the log, shape ``(2,)``.
    """

    sums: Mapping[str, Floats]
    failed: float
    logged: Floats


def verdicts_on(
    drawn: Drawn,
    entries: Sequence[Entry],
    catalog: Catalog,
    world: World,
    registry: Registry,
    slate: int,
    seed: int,
    folder: Path,
) -> Verdicts:
    """Let recommenders learn from a log, and ask everybody what they are worth.

    Args:
        catalog: the items, of which nothing is known that users say.
        world: the simulated users' components; its rater learns from the log.
        folder: a place for files of the moment.

    Raises:
        EmoSimError: a recommender or the rater cannot be used.
    """
    domain = world.domain
    lineup = Lineup(entries, drawn.log, catalog, domain, registry, folder / "all", seed)
    picks = [picked(order, drawn.candidates, slate) for order in lineup.rank(drawn.histories)]
    shown = np.any(picks, axis=0)
    answers = simulated_answers(drawn, catalog, world, shown, seed)
    counts = np.bincount(drawn.log.items, minlength=len(catalog)).astype(np.float64)
    popularity = np.broadcast_to(counts, drawn.answers.shape)
    sums = {
        TRUTH: _means(picks, drawn.answers),
        SIMULATED: _means(picks, answers),
        LIKED_REALLY: _means(picks, _likes(drawn.answers, domain.scale)),
        LIKED_SIMULATED: _means(picks, _likes(answers, domain.scale)),
        POPULAR: _means(picks, popularity),
        **rivals_on(drawn.log, drawn.propensities, entries, catalog, domain, registry, slate, seed, folder),
    }
    values = rated(drawn.log.values)
    logged = np.array([values.mean(), _likes(values, domain.scale).mean()])
    return Verdicts(sums, float(np.isnan(answers[shown]).mean()), logged)


def simulated_answers(drawn: Drawn, catalog: Catalog, world: World, shown: Flags, seed: int) -> Floats:
    """What those who are held out would answer by the simulator, shape ``(T, N)``; NaN where not asked or failed.

    Each is simulated as known by the answers of their history, which they remember; the rater has learned from the log.

    Args:
        shown: which items each is asked about, shape ``(T, N)``.
    """
    known, log = known_by(drawn.log, catalog), drawn.log
    with world.blaming("rater"):
        world.rater.learn(log, known, world.domain.scale)
    profiles = Profiles(log, known, world.domain.scale, world.domain.words)
    known_users = list(zip(drawn.names, drawn.histories, strict=True))
    users = [profiles.user(name, profiles.row(past)) for name, past in known_users]
    real = [
        RealUser(name, number, past.items, past.values, None, len(past.items))
        for number, (name, past) in enumerate(known_users)
    ]
    simulator = UserSimulator(replace(world, catalog=known), real, users, seed)
    answers = np.full(drawn.answers.shape, np.nan)
    for row in range(len(real)):
        items = np.flatnonzero(shown[row])
        if len(items):
            answers[row, items] = simulator.rate(row, items)
    return answers


def rivals_on(
    log: Interactions,
    propensities: Floats | None,
    entries: Sequence[Entry],
    catalog: Catalog,
    domain: Domain,
    registry: Registry,
    slate: int,
    seed: int,
    folder: Path,
) -> dict[str, Floats]:
    """What is said of the recommenders by those who have the log alone.

    Each user's latest answers are left out, a fifth of them; recommenders learn from the others, and are measured on
    these: by nDCG and recall of lists of ten, an item being relevant that was rated 7 of 10 or more, among all items
    that the user has not had (Jarvelin & Kekalainen, 2002, doi 10.1145/582415.582418), and by the off-policy
    estimators of :mod:`~emosim_core.evaluation.off_policy`, where propensities are known. Their rewards are ratings
    from 0, the worst, to 1, and their model of rewards is item kNN.

    Returns:
        By method what each user of the log adds, as of :class:`Verdicts`.
    """
    scale, starts, values = domain.scale, log.starts, rated(log.values)
    sizes = np.diff(starts)
    out = np.maximum(1, np.round(_LEFT_OUT * sizes)).astype(np.intp)
    out[sizes < 2] = 0
    late = np.arange(len(log)) >= (starts[1:] - out)[log.users]
    earlier = log.only(~late)
    lineup = Lineup(entries, earlier, catalog, domain, registry, folder / "earlier", seed)
    bounds = earlier.starts.tolist()
    assert earlier.values is not None
    pasts = [Past(earlier.items[low:high], earlier.values[low:high]) for low, high in pairwise(bounds)]
    orders = lineup.rank(pasts)
    free = np.ones((len(pasts), len(catalog)), dtype=np.bool_)
    free[earlier.users, earlier.items] = False
    relevant = np.zeros_like(free)
    liked = late & (values >= scale.carry(LIKED))
    relevant[log.users[liked], log.items[liked]] = True
    lists = [picked_in_order(order, free, _AT) for order in orders]
    sums = {NDCG: _stacked([_ndcg(one, relevant) for one in lists])}
    sums[RECALL] = _stacked([_recall(one, relevant) for one in lists])
    if propensities is not None:
        sums |= _off_policy(
            *(log, propensities, earlier, late, pasts, orders, free, known_by(earlier, catalog), scale, slate)
        )
    return sums


def _off_policy(
    log: Interactions,
    propensities: Floats,
    earlier: Interactions,
    late: Flags,
    pasts: Sequence[Past],
    orders: Sequence[Ints],
    free: Flags,
    catalog: Catalog,
    scale: RatingScale,
    slate: int,
) -> dict[str, Floats]:
    """What each estimator says of each recommender, from the answers that were left out."""
    model, everything = ItemKNN(), np.arange(len(catalog))
    with one_thread():
        model.fit(earlier, catalog, scale)
        expected = np.array([model.predict(past, everything) for past in pasts])
    expected = (expected - scale.low) / scale.span
    rows = np.flatnonzero(late)
    users, items = log.users[rows], log.items[rows]
    # What was left out before an event has been had by then: the recommender may not show it.
    able = free[users]
    for place in range(1, len(rows)):
        if users[place] == users[place - 1]:
            able[place] &= able[place - 1]
            able[place, items[place - 1]] = False
    rewards = (rated(log.values)[rows] - scale.low) / scale.span
    by_estimator: dict[str, list[Floats]] = {}
    here = np.arange(len(rows))
    for order in orders:
        picks = picked(order[users], able, slate)
        shares = picks / picks.sum(axis=1, keepdims=True)
        events = LoggedEvents(
            users=users,
            shares=shares[here, items],
            propensities=propensities[rows],
            rewards=rewards,
            predicted=expected[users, items],
            direct=(shares * expected[users]).sum(axis=1),
        )
        for name, table in sums_by_user(events, len(pasts)).items():
            by_estimator.setdefault(name, []).append(table)
    return {name: _stacked(tables) for name, tables in by_estimator.items()}


def picked_in_order(ranked: Ints, free: Flags, count: int) -> Ints:
    """The best ``count`` items of each user that are free, best first, shape ``(R, count)``; -1 where none is left."""
    allowed = np.take_along_axis(free, ranked, axis=1)
    order = np.argsort(~allowed, axis=1, kind="stable")[:, :count]
    return np.where(np.take_along_axis(allowed, order, axis=1), np.take_along_axis(ranked, order, axis=1), -1)


def _hits(lists: Ints, relevant: Flags) -> Floats:
    return np.asarray(np.take_along_axis(relevant, np.maximum(lists, 0), axis=1) & (lists >= 0), dtype=np.float64)


def _ndcg(lists: Ints, relevant: Flags) -> Floats:
    """nDCG of each user and how many values that is, 1 or 0; shape ``(R, 2)``."""
    discounts = 1.0 / np.log2(np.arange(2, lists.shape[1] + 2))
    best = np.concatenate([[0.0], discounts.cumsum()])[np.minimum(relevant.sum(axis=1), lists.shape[1])]
    known = best > 0
    return np.column_stack([(_hits(lists, relevant) @ discounts) / np.where(known, best, 1.0), known])


def _recall(lists: Ints, relevant: Flags) -> Floats:
    """Recall of each user and how many values that is, 1 or 0; shape ``(R, 2)``."""
    count = relevant.sum(axis=1)
    return np.column_stack([_hits(lists, relevant).sum(axis=1) / np.maximum(count, 1), count > 0])


def _likes(answers: Floats, scale: RatingScale) -> Floats:
    """1 where an answer is 7 of 10 or more, 0 where it is less, NaN where there is none."""
    return np.where(np.isnan(answers), np.nan, answers >= scale.carry(LIKED))


def _means(picks: Sequence[Flags], answers: Floats) -> Floats:
    """The mean answer of each user to what each recommender picked, as a sum of one; shape ``(2, R, M)``."""
    tables = []
    for chosen in picks:
        known = chosen & ~np.isnan(answers)
        count = known.sum(axis=1)
        mean = np.where(known, answers, 0.0).sum(axis=1) / np.maximum(count, 1)
        tables.append(np.column_stack([mean, count > 0]))
    return _stacked(tables)


def _stacked(tables: Sequence[Floats]) -> Floats:
    """Tables of the shape ``(R, 2)``, one of each recommender, as ``(2, R, M)``."""
    return np.stack(tables, axis=-1).transpose(1, 0, 2).astype(np.float64)
