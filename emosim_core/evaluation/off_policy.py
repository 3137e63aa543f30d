"""Off-policy evaluation: what a recommender would earn, from a log that another one made with known propensities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emosim_core.model.arrays import Floats, Ints

ESTIMATORS: Mapping[str, str] = {
    "IPS": "inverse propensity score",
    "SNIPS": "self-normalized inverse propensity score",
    "DM": "direct model",
    "DR": "doubly robust",
}
"""Estimators by name, and what the names stand for."""


@dataclass(frozen=True)
class LoggedEvents:
    """R events of a log beside what a recommender would have done in them.

    A recommender that shows a slate of S items is taken for one that shows one of them, each with the probability 1/S.

    Attributes:
        users: index of each event's user, shape ``(R,)``.
        shares: probability with which the recommender shows the logged item, shape ``(R,)``.
        propensities: probability with which the log's policy showed it, above 0, shape ``(R,)``.
        rewards: what came of it, shape ``(R,)``; at least 0 for IPS to be of use, as it counts what is not shown as 0.
        predicted: what a model expects of the logged item, shape ``(R,)``.
        direct: what it expects of the recommender: the mean over its slate, shape ``(R,)``.
    """

    users: Ints
    shares: Floats
    propensities: Floats
    rewards: Floats
    predicted: Floats
    direct: Floats


def sums_by_user(events: LoggedEvents, count: int) -> dict[str, Floats]:
    """What each of ``count`` users adds to numerator and denominator of each estimator, shape ``(count, 2)``.

    The value of an estimator is the ratio of the sums over users, so that users can be drawn again. With w the ratio of
    share and propensity, r the reward, q what the model predicts, and v what it expects of the recommender::

        IPS    sum w r / R                   (Horvitz & Thompson, 1952, doi 10.1080/01621459.1952.10483446)
        SNIPS  sum w r / sum w               (Swaminathan & Joachims, 2015, NeurIPS 28, 3231-3239)
        DM     sum v / R
        DR     sum (v + w (r - q)) / R       (Dudik, Langford & Li, 2011, arXiv:1103.4601)
    """
    weights = events.shares / events.propensities
    one = np.ones(len(weights))
    parts = {
        "IPS": (weights * events.rewards, one),
        "SNIPS": (weights * events.rewards, weights),
        "DM": (events.direct, one),
        "DR": (events.direct + weights * (events.rewards - events.predicted), one),
    }
    return {
        name: np.column_stack([np.bincount(events.users, values, count) for values in both])
        for name, both in parts.items()
    }
