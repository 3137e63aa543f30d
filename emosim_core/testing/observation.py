"""ObservationConformance: holds what a recommender sees to its contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Observations
from emosim_core.components.observations import ObservationModel, ObservationRequest, ObservationSetting
from emosim_core.model.arrays import Ints
from emosim_core.simulation.checks import check_observed, check_parts
from emosim_core.testing.conformance import BatchConformance, no_error
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import SmallWorld

if TYPE_CHECKING:
    from gymnasium import Space

_MAX_STEPS = 30

_Prepared = tuple[ObservationModel, Mapping[str, "Space[Any]"]]


class ObservationConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules, num_users = "observation", "observation", 40
    interface = ObservationModel

    def made(self, world: SmallWorld, length: int = 10) -> _Prepared:
        """A new observation model and its spaces in a world."""
        model: ObservationModel = self.make()
        setting = ObservationSetting(**vars(world.setting()), max_steps=_MAX_STEPS, history_length=length)
        with no_error("observation-space", f"space() of {self.subject}"):
            parts = model.space(setting)
            check_parts(parts, self.subject)
        return model, parts

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> ObservationRequest:
        """Users in episodes of different lengths."""
        rng, count = np.random.default_rng(2), self.num_users
        steps, moods = rng.integers(0, _MAX_STEPS + 1, count), rng.uniform((-1.0, 0.0), (1.0, 1.0), (count, 2))
        return ObservationRequest(
            users=who % len(world.population),
            steps=steps[who],
            moods=moods[who],
            history=world.histories(count, who),
            parts=tuple(self.made(world)[1]),
            **world.items_and_users,
        )

    def ask(self, component: _Prepared, request: ObservationRequest, who: Ints) -> Observations:
        model, parts = component
        with no_error("observation-shape", self.subject):
            seen = model.observe_batch(request)
            check_observed(seen, parts, len(request.users), self.subject)
        return {part: seen[part] for part in parts}

    def of_user(self, answer: Observations, row: int) -> list[NDArray[Any]]:
        return [array[row] for array in answer.values()]

    def test_what_is_observed_lies_in_its_space(self) -> None:
        for world in self.worlds():
            for length in (1, 10):
                model, parts = self.made(world, length)
                seen = self.ask((model, parts), self.request(world, self.everyone), self.everyone)
                for part, space in parts.items():
                    for row, value in enumerate(seen[part]):
                        hold("observation-space", space.contains(value), f"{part!r} of user {row} is {value!r}.")
