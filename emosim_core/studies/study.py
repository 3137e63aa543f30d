"""Study: what a study of simulated users is made of, from its trials to the metrics that records give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emosim_core.model import Catalog, Domain, Population, RatingScale, User
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.stats import ratio

POSITIVE, NEGATIVE, BOTH = "positive", "negative", "both"
"""Sides of a study: where a high rating is right, where a low one is, and what is made of both."""

SIDES = (POSITIVE, NEGATIVE, "")
"""What the side of a trial may be; empty where a study has none."""

_CLOSE = 1e-9
"""Ratings this near to a bound lie on it."""


@dataclass(frozen=True)
class StudySetting:
    """What a study chooses its trials from.

    Attributes:
        population: the users that the plugin or the user brought.
        user_indices: indices in ``population`` of those that may be asked, rising.
        rng: all randomness of the choice; made from the seed and the study's name, so that every variant
            meets the same trials.
    """

    domain: Domain
    catalog: Catalog
    population: Population
    user_indices: Ints
    rng: np.random.Generator


@dataclass(frozen=True)
class Trial:
    """One rating that a study asks for. The user remembers what is put in place and nothing else.

    Attributes:
        user: index in :attr:`Trials.users`.
        item: index in the catalog.
        side: ``"positive"``, ``"negative"`` or empty.
        group: what results are also told by, such as a category; empty for none.
        cluster: trials of one cluster hang together and are drawn together by the bootstrap; the user's id if empty.
        at_least: rating from which the trial succeeded, on the domain's scale; None where it is no bound.
        at_most: rating up to which it succeeded; None where it is no bound.
        memory: items and their ratings on the domain's scale, oldest first.
    """

    user: int
    item: int
    side: str = ""
    group: str = ""
    cluster: str = ""
    at_least: float | None = None
    at_most: float | None = None
    memory: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Trials:
    """The trials of a study.

    Attributes:
        users: whom it asks; users of the setting or of its own.
        trials: what they are asked, at least one.
        facts: what the measures need beside the ratings; goes into the record as JSON.
    """

    users: Sequence[User]
    trials: Sequence[Trial]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RatedTrials:
    """What came of trials, column by column, as read from records. n trials, those of several seeds included.

    Attributes:
        ratings: the ratings, shape ``(n,)``; NaN where it failed.
        succeeded: 1 or 0, shape ``(n,)``; NaN where the rating failed or the trial has no bound.
        sides, groups, clusters: those of the trials, each of shape ``(n,)``.
        facts: the study's facts.
    """

    ratings: Floats
    succeeded: Floats
    sides: NDArray[np.str_]
    groups: NDArray[np.str_]
    clusters: NDArray[np.str_]
    scale: RatingScale
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def answered(self) -> Flags:
        """Where there is a rating, shape ``(n,)``."""
        return ~np.isnan(self.ratings)


def rated_trials(records: Sequence[Mapping[str, Any]], scale: RatingScale, facts: Mapping[str, Any]) -> RatedTrials:
    """What came of trials, from the fields of their records."""

    def numbers(name: str) -> Floats:
        return np.array([np.nan if one[name] is None else one[name] for one in records], dtype=np.float64)

    def texts(name: str) -> NDArray[np.str_]:
        return np.array([one[name] for one in records], dtype=np.str_)

    ratings, least, most = numbers("rating"), numbers("at_least"), numbers("at_most")
    bounded = ~(np.isnan(least) & np.isnan(most)) & ~np.isnan(ratings)
    inside = ~(ratings < least - _CLOSE) & ~(ratings > most + _CLOSE)
    succeeded = np.where(bounded, inside, np.nan)
    return RatedTrials(ratings, succeeded, texts("side"), texts("group"), texts("cluster"), scale, facts)


@dataclass(frozen=True)
class Metric:
    """A metric as a function of sums over trials, which can be drawn again cluster by cluster.

    Attributes:
        name: what it measures, such as ``"success share"``.
        side: ``"positive"``, ``"negative"``, ``"both"`` or empty.
        concerned: the trials that it is about, failed ones included, shape ``(n,)``.
        sums: what each trial adds, shape ``(n, d)``; zero where it is not concerned or failed.
        value: from sums of the shape ``(..., d)`` to values of the shape ``(...)`` in [0, 1]; NaN where nothing was
            answered.
        better: whether a high value or a low one is good.
        share: whether the value is ``sums[0] / sums[1]``, a share of successes, for which Wilson's interval holds.
        inflated: whether chance alone makes the value larger, as it does a distance; the bootstrap interval then takes
            in its mirror image at the estimate.
    """

    name: str
    side: str
    concerned: Flags
    sums: Floats
    value: Callable[[Floats], Floats]
    better: Literal["higher", "lower"] = "higher"
    share: bool = False
    inflated: bool = False


class Study:
    """Asks simulated users for ratings whose right answer is known, and says how often it was given."""

    def trials(self, setting: StudySetting) -> Trials:
        """The trials; the same for the same setting and seed.

        Raises:
            ConfigurationError: the domain or its items lack what the study needs; says what.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement trials")

    def metrics(self, rated: RatedTrials) -> Sequence[Metric]:
        """What the ratings come to: the share of successes of each side that there is, by default."""
        return [success_share(rated, side) for side in SIDES if (rated.sides == side).any()]


def success_share(rated: RatedTrials, side: str) -> Metric:
    """The share of the answered trials of one side that succeeded."""
    concerned = rated.sides == side
    return Metric("success share", side, concerned, _counted(rated, concerned), ratio, share=True)


def mean_of_both_shares(rated: RatedTrials) -> Metric:
    """The mean of the shares of the positive and the negative side, each counting half."""
    sums = np.concatenate([_counted(rated, rated.sides == side) for side in (POSITIVE, NEGATIVE)], axis=1)

    def value(sums: Floats) -> Floats:
        return (ratio(sums[..., :2]) + ratio(sums[..., 2:])) / 2

    return Metric("success share", BOTH, np.isin(rated.sides, (POSITIVE, NEGATIVE)), sums, value)


def _counted(rated: RatedTrials, concerned: Flags) -> Floats:
    """Successes and answers, shape ``(n, 2)``."""
    counts = concerned & ~np.isnan(rated.succeeded)
    return np.stack([np.where(counts, rated.succeeded, 0.0), counts.astype(np.float64)], axis=1)
