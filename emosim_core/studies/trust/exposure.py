"""Exposure: the log that a company would have, made from complete answers by a policy whose propensities are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from emosim_core.model.arrays import Flags, Floats, Ints

Policy = Literal["popular", "best_guess", "self_selection"]

BLOCKS = 20
"""Blocks of users who come one after the other; the policy learns between two blocks."""

_BELIEF = 10.0
"""Answers at the mean that an item starts with for ``best_guess``."""

_POWER = 2.0
"""Power of the number of likes by which ``popular`` shows an item."""

_TASTE = 1.0
"""How many times likelier, as a logarithm, ``self_selection`` is for each standard deviation of a user's own liking."""


@dataclass(frozen=True)
class Exposed:
    """R answers of U users that were logged, by user and, within a user, oldest first.

    Attributes:
        users, items: indices, shape ``(R,)``.
        values: the answers, shape ``(R,)``.
        propensities: probability with which each item was shown then, given what the user had been shown before.
    """

    users: Ints
    items: Ints
    values: Floats
    propensities: Floats


def expose(
    answers: Floats, lengths: Ints, policy: Policy, epsilon: float, liked: float, rng: np.random.Generator
) -> Exposed:
    """Let users meet a logging policy, which shows them one item after the other, none of them twice.

    Users come in random order, in ``BLOCKS``. An item is drawn uniformly with the probability ``epsilon``, and else

    - ``popular``: by the square of one more than the number of earlier users who liked it;
    - ``best_guess``: the item that earlier users rated best, the means shrunk as by 10 answers at the mean of all;
    - ``self_selection``: by the exponential of how far the user's own answer is above the mean of theirs, in standard
      deviations: what users rate is what they like, and the policy has no part in it.

    Args:
        answers: shape ``(U, N)``, NaN where unknown; what is unknown is not shown.
        lengths: items that each user is shown, at most those that are known, shape ``(U,)``.
        liked: answer from which an item counts as liked.
    """
    known = ~np.isnan(answers)
    lengths = np.minimum(lengths, known.sum(axis=1))
    likes, sums, counts = np.zeros((3, answers.shape[1]))
    logged: list[tuple[Ints, Ints, Floats, Ints]] = []
    for block in np.array_split(rng.permutation(len(answers)), BLOCKS):
        left, mine = known[block].copy(), answers[block]
        weights = _weights(policy, mine, likes, sums, counts)
        shown: list[tuple[Ints, Ints]] = []
        for step in range(int(lengths[block].max(initial=0))):
            rows = np.flatnonzero(lengths[block] > step)
            chances = _chances(weights[rows], left[rows], policy == "best_guess", epsilon)
            up_to = chances.cumsum(axis=1)
            drawn = (up_to < rng.random(len(rows))[:, None] * up_to[:, -1:]).sum(axis=1)
            left[rows, drawn] = False
            logged.append((block[rows], drawn, chances[np.arange(len(rows)), drawn], np.full(len(rows), step)))
            shown.append((rows, drawn))
        for rows, items in shown:
            values = mine[rows, items]
            np.add.at(likes, items, values >= liked)
            np.add.at(sums, items, values)
            np.add.at(counts, items, 1.0)
    users, items, propensities, steps = (np.concatenate(column) for column in zip(*logged, strict=True))
    order = np.lexsort((steps, users))
    users, items = users[order], items[order].astype(np.intp)
    return Exposed(users, items, answers[users, items], propensities[order])


def _weights(policy: Policy, mine: Floats, likes: Floats, sums: Floats, counts: Floats) -> Floats:
    """What items are drawn by, or of which the largest is taken, shape as of ``mine``."""
    if policy == "self_selection":
        spread = np.maximum(np.nanstd(mine, axis=1, keepdims=True), 1e-9)
        return np.asarray(np.exp(_TASTE * (np.nan_to_num(mine) - np.nanmean(mine, axis=1, keepdims=True)) / spread))
    by_item = (1.0 + likes) ** _POWER
    if policy == "best_guess":
        middle = sums.sum() / max(float(counts.sum()), 1.0)
        by_item = (sums + _BELIEF * middle) / (counts + _BELIEF)
    return np.broadcast_to(by_item, mine.shape)


def _chances(weights: Floats, left: Flags, greedy: bool, epsilon: float) -> Floats:
    """Probability of each item that is left, shape ``(R, N)``; rows sum to 1."""
    if greedy:
        best = np.where(left, weights, -np.inf)
        chosen = (best == best.max(axis=1, keepdims=True)).astype(np.float64)  # ties share it
    else:
        chosen = np.where(left, weights, 0.0)
    uniform = left / left.sum(axis=1, keepdims=True)
    return np.asarray((1.0 - epsilon) * chosen / chosen.sum(axis=1, keepdims=True) + epsilon * uniform)
