"""What real people do: figures that the answers of a rater are held against, from a log and from a study of moods."""

from __future__ import annotations

from typing import Any

import numpy as np

from emosim_core.data.interactions import Interactions
from emosim_core.fitting.people import known_by
from emosim_core.fitting.profiles import Profiles
from emosim_core.model import Catalog, Domain
from emosim_core.model.arrays import Floats
from emosim_core.model.user import TRAITS
from emosim_core.stats import divided
from emosim_core.studies.validation.metrics import estimate

MOOD_OF_FIVE = {"estimate": 0.30, "low": 0.04, "high": 0.63}
"""Stars of 5 by which the same person rates higher in a positive than in a negative mood, 95 %: LDOS-CoMoDa
(Odic, Tkalcic, Tasic and Kosir, 2013), as docs/real-people.md has it."""

_FEWEST_RATINGS = 5
"""Ratings of an item from which its mean by others is regarded."""


def people_of(domain: Domain, catalog: Catalog, log: Interactions, seed: int) -> dict[str, Any]:
    """What the users of a log do, in points of the domain's scale, some with a 95 % interval over users.

    Returns:
        ``persons``: mean distance of the ratings of one item by two users; ``items``: of the ratings of two items by
        one user; ``mood``: how far people rate higher in a good mood, from :data:`MOOD_OF_FIVE`; ``activity`` and
        ``diversity``: ratings above the mean of the others, of users with the highest level less those with the lowest;
        ``conformity``: the same of the distance from the mean of the others.
    """
    assert log.values is not None
    scale, values = domain.scale, log.values
    rng = np.random.default_rng([seed, 8])
    stars = scale.span / 4.0
    people: dict[str, Any] = {
        "persons": _apart(rng, log.items, values),
        "items": _apart(rng, log.users, values),
        "mood": {name: value * stars for name, value in MOOD_OF_FIVE.items()},
    }
    known = known_by(log, catalog)
    profiles = Profiles(log, known, scale, domain.words)
    metrics = profiles.metrics(log.items, values, log.users)
    who = np.unique(log.users)
    counts = np.bincount(log.items, minlength=len(catalog))[log.items]
    sums = np.bincount(log.items, values, len(catalog))[log.items]
    off = np.where(counts > _FEWEST_RATINGS, values - divided(sums - values, counts - 1), np.nan)
    rated = ~np.isnan(off)
    given = np.bincount(log.users[rated], minlength=len(log.user_ids))[who]
    for place, trait in enumerate(TRAITS):
        level = 1 + (metrics[:, [place]] > profiles.cuts[place][None, :]).sum(axis=1)
        what = np.abs(off) if trait == "conformity" else off
        means = divided(np.bincount(log.users[rated], what[rated], len(log.user_ids))[who], given)
        people[trait] = _difference(means, level)
    return people


def _apart(rng: np.random.Generator, groups: Any, values: Floats) -> dict[str, float | None]:
    """Mean distance of two ratings of a group, from neighbours in a random order of each group."""
    order = np.lexsort((rng.random(len(groups)), groups))
    same = groups[order][1:] == groups[order][:-1]
    apart = np.abs(np.diff(values[order]))[same]
    return {"estimate": round(float(apart.mean()), 6) if len(apart) else None, "low": None, "high": None}


def _difference(means: Floats, level: Any) -> dict[str, float | None]:
    """Mean of users of the highest level less that of the lowest, by their means, shape ``(U,)``."""
    known = ~np.isnan(means)
    high, low = ((level == one) & known for one in (3, 1))
    filled = np.where(known, means, 0.0)
    sums = np.column_stack([filled * high, high, filled * low, low]).astype(np.float64)

    def value(sums: Floats) -> Floats:
        return divided(sums[..., 0], sums[..., 1]) - divided(sums[..., 2], sums[..., 3])

    return estimate(sums, value)
