"""Spaces: what a recommender may do and what it sees."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from emosim_core.model.user import TRAITS
from emosim_core.simulation.assembly import World


def action_space(world: World) -> spaces.Space:
    """One item index, ``Discrete(N)``; with a slate of S items, ``MultiDiscrete([N] * S)``."""
    count, slate = len(world.catalog), world.config.slate
    return spaces.Discrete(count) if slate == 1 else spaces.MultiDiscrete([count] * slate)


def observation_space(world: World) -> spaces.Dict:
    """What is seen of one user, numbers only. L is ``history_length``.

    - ``user``: index of the user in the population, ``Discrete(U)``
    - ``traits``: activity, conformity and diversity, 1 to 3, int64 of shape ``(3,)``
    - ``mood``: valence in [-1, 1] and arousal in [0, 1], float32 of shape ``(2,)``
    - ``step``: steps taken in this episode, int64 of shape ``(1,)``
    - ``history_items``: item indices of the last interactions, most recent first, int64 of shape ``(L,)``
    - ``history_ratings``: their ratings on the domain's scale, float32 of shape ``(L,)``
    - ``history_mask``: 1 where there is an interaction, int8 of shape ``(L,)``. Where it is 0, item and
      rating mean nothing (they hold 0 and the scale's lowest rating).
    - ``consumed``, with ``observe_consumed``: 1 where the user remembers the item, int8 of shape ``(N,)``
    """
    length, scale = world.config.history_length, world.domain.scale
    seen: dict[str, spaces.Space] = (
        {"consumed": spaces.MultiBinary(len(world.catalog))} if world.config.observe_consumed else {}
    )
    return spaces.Dict(
        {
            "user": spaces.Discrete(len(world.population)),
            "traits": spaces.Box(1, 3, (len(TRAITS),), dtype=np.int64),
            "mood": spaces.Box(np.array([-1, 0], np.float32), np.array([1, 1], np.float32), dtype=np.float32),
            "step": spaces.Box(0, world.config.max_steps, (1,), dtype=np.int64),
            "history_items": spaces.Box(0, len(world.catalog) - 1, (length,), dtype=np.int64),
            "history_ratings": spaces.Box(scale.low, scale.high, (length,), dtype=np.float32),
            "history_mask": spaces.MultiBinary(length),
            **seen,
        }
    )
