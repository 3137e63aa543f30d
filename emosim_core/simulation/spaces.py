"""Spaces: what a recommender may do."""

from __future__ import annotations

from gymnasium import spaces

from emosim_core.simulation.assembly import World


def action_space(world: World) -> spaces.Space:
    """One item index, ``Discrete(N)``; with a slate of S items, ``MultiDiscrete([N] * S)``."""
    count, slate = len(world.catalog), world.config.slate
    return spaces.Discrete(count) if slate == 1 else spaces.MultiDiscrete([count] * slate)
