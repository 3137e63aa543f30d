"""Draws as the engine hands them to components."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from emosim_core.components.base import Draws
from emosim_core.simulation.streams import Stage, Streams


@pytest.fixture(scope="session")
def draws() -> Callable[..., Draws]:
    """Makes the draws of ``rows`` users who have the seeds ``seed``, ``seed + 1`` and so on."""

    def make(rows: int, seed: int = 0) -> Draws:
        streams = Streams(rows)
        streams.begin(np.arange(rows), list(range(seed, seed + rows)), [0] * rows)
        return streams.of(Stage.SELECT, np.arange(rows))

    return make
