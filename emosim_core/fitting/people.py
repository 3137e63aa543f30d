"""From a log to users: models of all, the state and profile of each, and the distribution that they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError
from emosim_core.estimators import Past
from emosim_core.fitting.coconsumption import USERS_A_DIRECTION
from emosim_core.fitting.distribution import Distribution
from emosim_core.fitting.interest import InterestModel
from emosim_core.fitting.interest_features import RANK
from emosim_core.fitting.profiles import Profiles, described
from emosim_core.fitting.ratings import RatingModel, one_thread
from emosim_core.model import Catalog, Domain, RatingScale, User
from emosim_core.model.arrays import Floats, Ints
from emosim_core.terminal import counted

PAUSE = 1800.0
"""Seconds without an interaction after which the next one begins an episode."""

_SHARED = 5
"""Users who took an item, at least, for it to take part in what anonymous users are learned from."""

_DAY = 86_400.0
_DRAWN_ID = re.compile(r"s(\d{1,18})-(\d{1,9})")
_TRIES = 40
"""How many times as many users are drawn as are wanted, at most, to find those who are near to no real one."""


@dataclass(frozen=True)
class Numbers:
    """What is known of U users in numbers: the rows of their profiles, and their states in both models.

    ``ratings`` has no columns where the log has no ratings. All have U rows.
    """

    rows: Floats
    interest: NDArray[np.floating]
    ratings: NDArray[np.floating]

    @property
    def widths(self) -> list[int]:
        """Columns of each."""
        return [self.rows.shape[1], self.interest.shape[1], self.ratings.shape[1]]

    def table(self) -> Floats:
        """All beside each other, without NaN."""
        return np.nan_to_num(np.column_stack([self.rows, self.interest, self.ratings]))


@dataclass(frozen=True)
class FitResult:
    """Users with their models: what a directory of fitted users holds.

    Attributes:
        ratings: None where the log has no ratings.
        numbers: of the users, in their order.
        cuts: where the levels of each trait are cut among the users of the log.
        about: what the card says of the log and the users.
    """

    domain: Domain
    catalog: Catalog
    users: Sequence[User]
    interest: InterestModel
    ratings: RatingModel | None
    numbers: Numbers
    distribution: Distribution
    cuts: Sequence[Floats]
    about: Mapping[str, Any]


def known_by(log: Interactions, catalog: Catalog, taken: Interactions | None = None) -> Catalog:
    """The items as the users of a log make them known: how many took each, and their mean rating.

    ``taken`` are the interactions that are counted; those of the log if not given.
    """
    counts = np.bincount(log.items, minlength=len(catalog))
    means = None
    if log.values is not None:
        sums = np.bincount(log.items, log.values, len(catalog))
        means = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return catalog.with_public(counts if taken is None else np.bincount(taken.items, minlength=len(catalog)), means)


def fit_models(
    log: Interactions,
    catalog: Catalog,
    scale: RatingScale,
    seed: int,
    rank: int = RANK,
    taken: Interactions | None = None,
) -> tuple[InterestModel, RatingModel | None]:
    """Both models, that of interest with at most ``rank`` directions; a log without ratings has no model of these.

    ``taken`` is what interest is learned from; the log if not given.
    """
    ratings = None if log.values is None else RatingModel.fit(log, catalog, scale, seed, chosen=taken is None)
    return InterestModel.fit(log if taken is None else taken, catalog, seed, rank=rank), ratings


def shared(log: Interactions) -> Interactions:
    """What of a log the models of anonymous users are learned from: items that several users took, and whole days.

    Who else took an item stands in a model of interest; of an item of one user that is this user's history, and when
    it was first taken is a moment of theirs.
    """
    counts = np.bincount(log.items, minlength=log.item_count)
    often = log.only(counts[log.items] >= _SHARED)
    return often if often.times is None else replace(often, times=np.floor(often.times / _DAY) * _DAY)


def fit_users(
    log: Interactions,
    catalog: Catalog,
    domain: Domain,
    seed: int,
    anonymous: bool = False,
    taken: Interactions | None = None,
) -> FitResult:
    """Learn users from all of a log.

    Args:
        catalog: its items; what other users say of them is replaced by what the users of the log say.
        anonymous: whether the users are drawn from the distribution of the users of the log, in their place.
        taken: interactions of the same users that interest is learned from; those of the log if not given. In a log of
            answers to questions that were drawn, an interaction says nothing of what a user would choose.

    Raises:
        ConfigurationError: fewer than two users, or none can be drawn that is near to no real one.
        MissingDependencyError: a library of the extra ``fit`` is not installed.
    """
    if len(log.user_ids) < 2:
        raise ConfigurationError(
            f"a log of {counted(len(log.user_ids), 'user')} is too small; give a log of several users"
        )
    learned, rank = log, RANK
    if anonymous:
        learned, rank = shared(log), max(1, min(RANK, len(log.user_ids) // USERS_A_DIRECTION))
        if not len(learned):
            raise ConfigurationError(
                f"no item was taken by {_SHARED} users or more, so nothing can be learned that is nobody's; give a "
                "larger log, or leave out --anonymous"
            )
    profiles = Profiles(log, known_by(log, catalog), domain.scale, domain.words)
    catalog = known_by(learned, catalog, taken)
    about: dict[str, Any] = {"episodes": episodes_of(log)}
    names: Sequence[str] = log.user_ids
    with one_thread():
        interest, ratings = fit_models(learned, catalog, domain.scale, seed, rank, taken)
        numbers = Numbers(
            np.array([profiles.row(past) for past in _pasts(log)]),
            interest.states(log if taken is None else taken),
            np.zeros((len(log.user_ids), 0)) if ratings is None else ratings.states(log),
        )
        distribution = Distribution.of(numbers.table())
        if anonymous:
            chosen, about["distances"] = _apart(distribution, numbers, seed)
            numbers = drawn_numbers(distribution, seed, chosen, numbers.widths, log.values is not None)
            names = [f"a{number + 1:06d}" for number in range(len(chosen))]
            distribution = Distribution.of(numbers.table())
    users = [
        described(name, row, profiles.cuts, catalog.category_names, domain.words, domain.scale)
        for name, row in zip(names, numbers.rows, strict=True)
    ]
    return FitResult(domain, catalog, users, interest, ratings, numbers, distribution, profiles.cuts, about)


def _pasts(log: Interactions) -> list[Past]:
    bounds = log.starts.tolist()
    rows = [slice(*pair) for pair in pairwise(bounds)]
    return [Past(log.items[one], None if log.values is None else log.values[one]) for one in rows]


def episodes_of(log: Interactions) -> dict[str, Any] | None:
    """How long the episodes of a log are, in interactions; None without times.

    A pause of half an hour ends an episode; where times are whole days, an episode is a day.
    """
    if log.times is None or not len(log):
        return None
    pause = 0.0 if not np.any(log.times % _DAY) else PAUSE
    begins = np.ones(len(log), dtype=np.bool_)
    begins[1:] = (np.diff(log.users) != 0) | (np.diff(log.times) > pause)
    lengths = np.diff([*np.flatnonzero(begins).tolist(), len(log)])
    low, middle, high = np.quantile(lengths, (0.25, 0.5, 0.75)).tolist()
    return {
        "pause_seconds": pause,
        "episodes": len(lengths),
        "per_user": round(len(lengths) / len(np.unique(log.users)), 2),
        "mean": round(float(lengths.mean()), 2),
        "quartiles": [low, middle, high],
        "longest": int(lengths.max()),
    }


# ------------------------------------------------------------------------------------------- drawn users


def drawn_id(seed: int, number: int) -> str:
    """The id of a user who is drawn: it says which."""
    return f"s{seed}-{number:06d}"


def read_drawn_id(name: str) -> tuple[int, int] | None:
    """Seed and number of a user who was drawn; None of another."""
    match = _DRAWN_ID.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def drawn_rows(distribution: Distribution, seed: int, numbers: Ints, width: int, explicit: bool) -> Floats:
    """Rows of the profiles of users who are drawn, shape ``(n, width)``."""
    rows = distribution.sample(seed, numbers, slice(0, width)).astype(np.float64)
    if not explicit:
        rows[:, 3] = np.nan
    return rows


def drawn_numbers(
    distribution: Distribution, seed: int, numbers: Ints, widths: Sequence[int], explicit: bool
) -> Numbers:
    """All that is known of users who are drawn; ``widths`` as of :class:`Numbers`."""
    first, second = widths[0], widths[0] + widths[1]
    states = distribution.sample(seed, numbers, slice(first, None))
    rows = drawn_rows(distribution, seed, numbers, first, explicit)
    return Numbers(rows, states[:, : second - first], states[:, second - first :])


def _apart(distribution: Distribution, real: Numbers, seed: int) -> tuple[Ints, dict[str, float]]:
    """Numbers of users to draw of whom none is nearer to a real one than another real one is; and how near they are.

    As many as there are real ones. Distances are Euclidean, over the columns of the states of both models, each in
    standard deviations, the two models counting alike.
    """
    states = np.column_stack([real.interest, real.ratings])
    spread = states.std(axis=0)
    weight = np.where(spread > 0, 1.0 / np.maximum(spread, 1e-12), 0.0)
    weight[: real.widths[1]] /= np.sqrt(real.widths[1])
    weight[real.widths[1] :] /= np.sqrt(max(real.widths[2], 1))
    theirs = states * weight
    between, _ = _nearest(theirs, theirs, own=True)
    wanted, usual = len(states), float(np.median(between))
    pool, apart, times = np.empty(0, dtype=np.intp), np.empty(0), np.empty(0)
    for attempt in range(_TRIES):
        numbers = np.arange(attempt * wanted, (attempt + 1) * wanted)
        mine = drawn_numbers(distribution, seed, numbers, real.widths, True)
        far, who = _nearest(np.column_stack([mine.interest, mine.ratings]) * weight, theirs)
        good = far >= between[who]
        pool, apart = np.append(pool, numbers[good]), np.append(apart, far[good])
        times = np.append(times, far[good] / np.maximum(between[who[good]], 1e-12))
        # The first that were drawn, or, where these are too near on the whole, those that are relatively the farthest.
        for order in (np.arange(len(pool)), np.argsort(-times, kind="stable")):
            some = order[:wanted]
            if len(some) == wanted and np.median(apart[some]) >= usual:
                distances = {
                    "drawn_to_real_least": float(apart[some].min()),
                    "drawn_to_real_median": float(np.median(apart[some])),
                    "real_to_real_least": float(between.min()),
                    "real_to_real_median": usual,
                    "share_taken": wanted / ((attempt + 1) * wanted),
                }
                return np.sort(pool[some]), {name: round(value, 4) for name, value in distances.items()}
    raise ConfigurationError(
        f"only {len(pool):,} users could be drawn who are not nearer to one of the {wanted:,} users of the log than "
        "these are to each other; give a log of more users"
    )


def _nearest(left: Floats, right: Floats, own: bool = False) -> tuple[Floats, Ints]:
    """Of each row of ``left`` the distance to the nearest of ``right``, and which that is; not itself with ``own``."""
    squares = (right**2).sum(axis=1)
    far, who = np.empty(len(left)), np.empty(len(left), dtype=np.intp)
    for at in range(0, len(left), 512):
        some = left[at : at + 512]
        distance = squares + (some**2).sum(axis=1)[:, None] - 2.0 * some @ right.T
        if own:
            distance[np.arange(len(some)), np.arange(at, at + len(some))] = np.inf
        who[at : at + 512] = distance.argmin(axis=1)
        far[at : at + 512] = np.sqrt(np.maximum(distance.min(axis=1), 0.0))
    return far, who
