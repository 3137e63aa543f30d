"""What the rule-based rater learns of a user from the ratings that they remember."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from emosim_core.components.rule_based_constants import FITTED as fitted
from emosim_core.model import Catalog, History
from emosim_core.model.arrays import Flags, Floats
from emosim_core.model.packed import values_of

YEARS = (1900, 2030)
"""Years of publication that are distinguished; earlier and later ones count as the outermost."""

_DECADES = np.arange(1910.0, 2030.0, 10.0)
"""Middles of the ten-year steps in which a user's liking may change with the year of an item."""

_ERA = 12.0
"""How far, in years, a liking for one year reaches."""

_ENOUGH = 50
"""Items with a public rating from which on a catalog tells what its kinds of items are rated."""

_RIDGE = 5.0
"""Items' worth of doubt about what a kind adds to a rating."""

_TAIL = 1e-4
"""Share at either end of a scale that is left for levels nobody has used."""


def weighted_standard(values: Floats, weights: Floats) -> Floats:
    """Values less their weighted mean, in weighted standard deviations; 0 where they do not differ."""
    total = float(weights.sum())
    if total <= 0:
        return np.zeros(len(values))
    middle = _dot(weights, values) / total
    spread = float(np.sqrt(_dot(weights, (values - middle) ** 2) / total))
    return np.zeros(len(values)) if spread < 1e-9 else (values - middle) / spread


_ONE_THREAD = 10_000
"""Numbers whose product BLAS adds up with one thread, so that its digits depend on nothing else."""


def _dot(left: Floats, right: Floats) -> float:
    starts = range(0, len(left), _ONE_THREAD)
    return sum(float(left[at : at + _ONE_THREAD] @ right[at : at + _ONE_THREAD]) for at in starts)


def years(catalog: Catalog) -> tuple[Floats, Flags]:
    """Year of each item within :data:`YEARS`, and whether it is known; both of shape ``(N,)``."""
    each = values_of(catalog.items, "year")
    known = np.array([year is not None for year in each])
    value = np.array([YEARS[0] if year is None else year for year in each], dtype=np.float64)
    return np.clip(value, *YEARS), known


def quality(catalog: Catalog, on_ten: Floats, middle: float) -> Floats:
    """Public ratings of 10 that are believed as far as users gave them, shape ``(N,)``.

    ::

        quality = kind + n / (n + k) * (public rating - kind)

    n is how many users rated the item; k is ``PUBLIC_DOUBT``. The kind is what a ridge regression over the
    catalog expects of an item of its categories, year and popularity; without a public rating an item has the
    quality of its kind. Where fewer than 50 items have a rating and a count, every public rating is taken as it is,
    and an unknown one is ``middle``.

    Args:
        on_ten: their public ratings on 1 to 10.
        middle: what users rate on average, of 10.
    """
    counts = catalog.public_counts.astype(np.float64)
    rated = catalog.has_public_rating
    known = rated & (counts > 0)
    plain = np.where(rated, on_ten, middle)
    if np.count_nonzero(known) < _ENOUGH:
        return plain
    year, dated = years(catalog)
    era = np.where(dated, (year - 1990.0) / 20.0, 0.0)
    widely = weighted_standard(np.log1p(counts), known.astype(np.float64))
    columns = np.column_stack([np.ones(len(counts)), widely, widely**2, era, era**2, catalog.categories])
    weights = counts / (counts + fitted.PUBLIC_DOUBT) * known
    gram = (columns * weights[:, None]).T @ columns + _RIDGE * np.eye(columns.shape[1])
    kind = middle + columns @ np.linalg.solve(gram, columns.T @ (weights * (plain - middle)))
    kind = np.round(kind, 9)  # the last digits depend on the processor and its threads
    believed = np.where(known, counts / (counts + fitted.PUBLIC_DOUBT), 1.0)
    return np.where(rated, kind + believed * (plain - kind), kind)


def standing(catalog: Catalog, qualities: Floats, middle: float) -> Floats:
    """How far items stand out in their catalog, as points of 10 around 0, shape ``(N,)``.

    The mean of the catalog counts as what users rate on average, and where items lie further apart than films do
    for users (``ITEM_SPREAD``), they are brought as near. Where fewer than 50 items have a public rating, it is the
    distance from ``middle``.
    """
    rated = catalog.has_public_rating
    if np.count_nonzero(rated) < _ENOUGH:
        return qualities - middle
    spread = float(qualities[rated].std())
    apart: Floats = qualities - float(qualities[rated].mean())
    return apart * min(1.0, fitted.ITEM_SPREAD / spread) if spread > 0 else apart


@dataclass(slots=True)
class Learned:
    """What is known of R users from what they remember, in the domain's points. D features, L levels.

    ``weights`` are what each makes of each feature of an item, shape ``(R, D)``; ``noise`` is the standard deviation of
    what is left, shape ``(R,)``; ``cuts`` is where each user's levels from the second on begin, shape ``(R, L - 1)``.
    """

    weights: Floats
    noise: Floats
    cuts: Floats


class Learner:
    """Learns how a user deviates from what is expected of them: a Bayesian linear regression on their memory.

    The features of an item are 1, its categories over sqrt(number), its time, how widely it is rated and how good
    it is found by all, each times the standard deviation that weights have among users, so that the prior of every
    weight is the standard normal distribution. What was off lately moves the first weight. The number of equations
    is that of the features, however much is remembered.

    Args:
        qualities: of 10, shape ``(N,)``.
        unit: the domain's points in a point of 10.
        cuts: where levels begin for a user of whom nothing is known, the domain's points.
    """

    def __init__(self, catalog: Catalog, qualities: Floats, unit: float, levels: Floats, cuts: Floats) -> None:
        flags = catalog.categories.astype(np.float64)
        number = np.sqrt(np.maximum(flags.sum(axis=1, keepdims=True), 1.0))
        year, dated = years(catalog)
        era = np.exp(-(((year[:, None] - _DECADES) / _ERA) ** 2))
        era *= (dated / np.maximum(np.linalg.norm(era, axis=1), 1e-9))[:, None]
        counts = catalog.public_counts.astype(np.float64)
        widely = weighted_standard(np.log1p(counts), counts)
        good = weighted_standard(qualities, counts)
        spreads = fitted.LEARNT
        self.features = unit * np.column_stack(
            [
                np.full(len(counts), spreads["user"]),
                spreads["category"] * flags / number,
                spreads["era"] * era,
                spreads["popularity"] * widely,
                spreads["quality"] * good,
            ]
        )
        self.parts = np.cumsum([0, 1, flags.shape[1], len(_DECADES), 1, 1])
        self._noise = fitted.LEARNT["noise"] * unit
        self._levels, self._cuts = levels, cuts
        self._steps = (levels[:-1] + levels[1:]) / 2

    def learn(self, history: History, expected: Floats) -> Learned:
        """What memories tell, from what was ``expected`` of each remembered item, in points, shape ``(R, W)``."""
        rows, size = len(history), self.features.shape[1]
        learned = Learned(np.zeros((rows, size)), np.full(rows, self._noise), np.tile(self._cuts, (rows, 1)))
        if history.width == 0:
            return learned
        items, ratings = history.items, history.ratings
        # One user at a time: the same sums for a user, whoever else is asked.
        for row, length in enumerate(history.lengths.tolist()):
            if length:
                before, given = expected[row, :length], ratings[row, :length]
                features = self.features[items[row, :length]]
                gram = features.T @ features + self._noise**2 * np.eye(size)
                weights = np.linalg.solve(gram, features.T @ (given - before))
                guess = before + features @ weights
                off = float(((given - guess) ** 2).sum())
                noise = np.sqrt((off + fitted.NOISE_DOUBT * self._noise**2) / (length + fitted.NOISE_DOUBT))
                learned.weights[row], learned.noise[row] = weights, noise
                # How far ratings lay above the guess lately, shrunk: moods of a year, other company, age.
                weight = 0.5 ** (np.arange(length)[::-1] / fitted.LATELY_HALF_LIFE)
                lately = float(weight @ (given - guess) / (weight.sum() + fitted.LATELY_DOUBT))
                learned.weights[row, 0] += lately / self.features[0, 0]
                learned.cuts[row] = self._own_cuts(given, guess, noise)
        return learned

    def _own_cuts(self, given: Floats, guess: Floats, noise: float) -> Floats:
        """Where a user's levels begin, so that they use the levels as often as in their memory, shape ``(L - 1,)``.

        The shares up to each level are those of the memory, where the older counts less (half after
        ``LEVEL_HALF_LIFE`` ratings), together with ``LEVEL_DOUBT`` ratings of somebody with the same sums and
        everybody's cutpoints.
        """
        weight = 0.5 ** (np.arange(len(given))[::-1] / fitted.LEVEL_HALF_LIFE)
        count = float(weight.sum())
        middle = float(weight @ guess) / count
        # The variance over few items is doubted towards that of items for everybody.
        usual = (fitted.ITEM_SPREAD * self._noise / fitted.LEARNT["noise"]) ** 2
        between = (float(weight @ (guess - middle) ** 2) + 5.0 * usual) / (count + 5.0)
        spread = float(np.sqrt(between + noise**2))
        normal = NormalDist()
        usually = np.array([normal.cdf((cut - middle) / spread) for cut in self._cuts.tolist()])
        up_to = weight @ (given[:, None] < self._steps)
        shares = (up_to + fitted.LEVEL_DOUBT * usually) / (count + fitted.LEVEL_DOUBT)
        scores = [normal.inv_cdf(share) for share in np.clip(shares, _TAIL, 1.0 - _TAIL).tolist()]
        return np.maximum.accumulate(middle + spread * np.array(scores))
