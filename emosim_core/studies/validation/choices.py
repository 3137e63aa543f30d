"""What users are shown to choose from: items that they really chose later, and items that they never chose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emosim_core.model.arrays import Ints
from emosim_core.studies.validation.users import RealUser


@dataclass(frozen=True)
class ChoiceSet:
    """What one user is shown; P is the number of items that they chose.

    Attributes:
        chosen: items that are held out, shape ``(P,)``.
        random: items that they never rated, in the order in which a ratio takes them: with k for each chosen one the
            first k * P count; shape ``(most * P,)``, or fewer where there are no more.
        matched: as many items that they never rated, each as widely rated as one of the chosen; shape ``(P,)``.
    """

    chosen: Ints
    random: Ints
    matched: Ints


def draw_choice_set(
    real_user: RealUser, counts: NDArray[np.int64], most: int, max_positives: int, seed: int
) -> ChoiceSet:
    """Choose what a user is shown; the seed decides, with the user's id.

    ``counts`` is how many users rated each item, ``most`` the largest ratio of unchosen items to chosen ones.
    """
    rng = np.random.default_rng([seed, *real_user.id.encode()])
    chosen = rng.permutation(real_user.later)[:max_positives]
    others = np.setdiff1d(np.arange(len(counts)), real_user.items)
    random = rng.permutation(others)[: most * len(chosen)]
    return ChoiceSet(chosen, random, matched(chosen, others, counts, rng))


def matched(chosen: Ints, others: Ints, counts: NDArray[np.int64], rng: np.random.Generator) -> Ints:
    """For each chosen item one of at least as many ``others`` that is as widely rated, or nearest to it; each once."""
    # A fraction below 1 puts equals in a random order and leaves others in theirs.
    order = counts[others] + rng.random(len(others))
    others, order = others[np.argsort(order)], np.sort(order)
    free = np.ones(len(others), dtype=np.bool_)
    taken = []
    for wanted in (counts[chosen] + rng.random(len(chosen))).tolist():
        right = int(np.searchsorted(order, wanted))
        lower = right - 1
        while lower >= 0 and not free[lower]:
            lower -= 1
        while right < len(order) and not free[right]:
            right += 1
        if lower >= 0 and (right == len(order) or wanted - order[lower] <= order[right] - wanted):
            right = lower
        free[right] = False
        taken.append(int(others[right]))
    return np.array(taken, dtype=np.intp)
