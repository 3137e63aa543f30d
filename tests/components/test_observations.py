"""Observations: the spaces of all parts, of a population and a catalog of these sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from emosim_core.components.observations import ObservationSetting, Parts, PartsOptions
from emosim_core.simulation.assembly import assemble
from emosim_core.simulation.config import EnvironmentConfig


@pytest.fixture(scope="module")
def setting() -> Any:
    world = assemble(EnvironmentConfig(plugin="movies", user_dataset="sampled:n=6"))
    return lambda **more: ObservationSetting(
        scale=world.domain.scale, catalog=world.catalog, population=world.population, history_length=4, max_steps=9,
        slate=3, **more,
    )  # fmt: skip


def test_each_part_has_the_bounds_of_what_it_can_hold(setting: Any) -> None:
    of = setting(observe_consumed=True, consumed_length=27, chooses_first=True)
    last = len(of.catalog) - 1
    assert Parts(PartsOptions()).space(of) == {
        "user": spaces.Discrete(6),
        "traits": spaces.Box(1, 3, (3,), dtype=np.int64),
        "mood": spaces.Box(np.array([-1, 0], np.float32), np.array([1, 1], np.float32), dtype=np.float32),
        "step": spaces.Box(0, 9, (1,), dtype=np.int64),
        "history_items": spaces.Box(0, last, (4,), dtype=np.int64),
        "history_ratings": spaces.Box(1, 10, (4,), dtype=np.float32),
        "history_mask": spaces.MultiBinary(4),
        "shown_items": spaces.Box(-1, last, (12,), dtype=np.int64),
        "shown_clicks": spaces.MultiBinary(12),
        "consumed": spaces.MultiBinary(last + 1),
        "consumed_items": spaces.Box(-1, last, (27,), dtype=np.int64),
    }


def test_what_is_not_shown_has_no_space(setting: Any) -> None:
    of = setting(observe_consumed=False, consumed_length=27, chooses_first=False)
    assert list(Parts(PartsOptions(traits=False, mood=False)).space(of)) == [
        "user", "step", "history_items", "history_ratings", "history_mask",
    ]  # fmt: skip
    assert Parts(PartsOptions(traits=False)).latent == ("mood",)
