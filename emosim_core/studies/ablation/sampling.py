"""The study of sampling: how close the distribution of ratings is to that of users'."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emosim_core.errors import ConfigurationError
from emosim_core.model.arrays import Floats
from emosim_core.model.frozen import Frozen, option
from emosim_core.stats import divided
from emosim_core.studies.study import Metric, RatedTrials, Study, StudySetting, Trial, Trials


class SamplingOptions(Frozen):
    """Options of ``sampling``."""

    pairs: int = option(2000, "Random pairs of a user and an item; all pairs where there are fewer.", ge=1)


class Sampling(Study):
    """Total variation distance between the ratings of random pairs and the ratings of real users (EmoSim-RL).

    Nobody remembers anything. 0 is the same distribution, 1 has nothing in common.
    """

    def __init__(self, options: SamplingOptions | None = None) -> None:
        self.options = options or SamplingOptions()

    def trials(self, setting: StudySetting) -> Trials:
        domain = setting.domain
        if not len(domain.real_ratings):
            raise ConfigurationError(
                f"the domain {domain.name!r} does not say how real users' ratings are distributed; its plugin gives "
                "that as 'real_ratings' of its Domain"
            )
        items = len(setting.catalog)
        every = len(setting.user_indices) * items
        drawn = setting.rng.choice(every, min(self.options.pairs, every), replace=False)
        return Trials(
            [setting.population.users[index] for index in setting.user_indices.tolist()],
            [Trial(pair // items, pair % items) for pair in drawn.tolist()],
            {"real_ratings": list(domain.real_ratings), "source": domain.real_ratings_source},
        )

    def metrics(self, rated: RatedTrials) -> Sequence[Metric]:
        levels, wanted = rated.scale.levels, np.array(rated.facts["real_ratings"])
        nearest = np.abs(np.where(rated.answered, rated.ratings, np.inf)[:, None] - levels).argmin(axis=1)
        sums = np.zeros((len(nearest), len(levels)))
        sums[np.flatnonzero(rated.answered), nearest[rated.answered]] = 1.0

        def value(sums: Floats) -> Floats:
            shares = divided(sums, sums.sum(axis=-1, keepdims=True))
            distance: Floats = np.abs(shares - wanted).sum(axis=-1) / 2
            return distance

        everything = np.ones(len(nearest), dtype=np.bool_)
        return [Metric("total variation distance", "", everything, sums, value, better="lower", inflated=True)]
