"""The study of collections: whether what users thought of the earlier parts carries over to the last."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from emosim_core.errors import ConfigurationError
from emosim_core.model.arrays import Ints
from emosim_core.model.frozen import Frozen, option
from emosim_core.studies.study import NEGATIVE, POSITIVE, Study, StudySetting, Trial, Trials

LIKED, DISLIKED = 7.0, 5.0
"""Thresholds for the last part, on 1 to 10 (EmoSim-RL)."""


class CollectionsOptions(Frozen):
    """Options of ``collections``."""

    users: int = option(100, "Users per series; everyone where there are fewer.", ge=1)


class Collections(Study):
    """Users who gave the earlier parts of a series top marks, or the lowest, rate its last part (EmoSim-RL).

    The earlier parts stand in memory among as many random other items at their public rating, in random order; on
    both sides the same users remember the same others in the same order. Right is at least 7 of 10 after top marks
    (positive) and at most 5 after the lowest (negative).
    """

    def __init__(self, options: CollectionsOptions | None = None) -> None:
        self.options = options or CollectionsOptions()

    def trials(self, setting: StudySetting) -> Trials:
        scale, rng, catalog = setting.domain.scale, setting.rng, setting.catalog
        public = scale.round(catalog.scale.convert(catalog.public_ratings, scale)).tolist()
        users = [setting.population.users[index] for index in setting.user_indices.tolist()]
        trials = []
        for name, earlier, last, others in _series(setting):
            for user in rng.choice(len(users), min(self.options.users, len(users)), replace=False).tolist():
                beside = rng.choice(others, min(len(earlier), len(others)), replace=False).tolist()
                order = rng.permutation(len(earlier) + len(beside)).tolist()
                for side, mark, least, most in (
                    (POSITIVE, scale.high, scale.carry(LIKED), None),
                    (NEGATIVE, scale.low, None, scale.carry(DISLIKED)),
                ):
                    known = [(part, mark) for part in earlier] + [(item, public[item]) for item in beside]
                    memory = tuple(known[place] for place in order)
                    trials.append(Trial(user, last, side, name, users[user].id, least, most, memory))
        return Trials(users, trials)


def _series(setting: StudySetting) -> Iterator[tuple[str, list[int], int, Ints]]:
    """Each series of at least two parts: its name, the earlier parts in their order, the last one, all other items.

    Raises:
        ConfigurationError: there is none, or nothing else beside it.
    """
    by_series: dict[str, list[tuple[int, int]]] = {}
    for index, item in enumerate(setting.catalog.items):
        if item.collection is not None and item.part is not None:
            by_series.setdefault(item.collection, []).append((item.part, index))
    named = np.array([item.collection or "" for item in setting.catalog.items])
    whole = {name: sorted(parts) for name, parts in sorted(by_series.items()) if len({part for part, _ in parts}) > 1}
    if not whole:
        words = setting.domain.words
        raise ConfigurationError(
            f"the study needs series of {words.items}; none of these {len(setting.catalog)} {words.items} has "
            "another with the same 'collection' and another 'part'"
        )
    for name, parts in whole.items():
        yield name, [index for _, index in parts[:-1]], parts[-1][1], np.flatnonzero(named != name)
