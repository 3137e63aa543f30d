"""ObservationConformance: holds what a recommender sees to its contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Observations
from emosim_core.components.observations import ObservationModel, ObservationRequest, ObservationSetting
from emosim_core.model import Memory
from emosim_core.testing.conformance import ComponentConformance, no_error, untouched
from emosim_core.testing.contract import hold
from emosim_core.testing.requests import arrays_of
from emosim_core.testing.worlds import SmallWorld, columns

if TYPE_CHECKING:
    from gymnasium import Space

_USERS, _MAX_STEPS = 40, 30


class ObservationConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "observation"

    def interface(self) -> type:
        return ObservationModel

    def made(self, world: SmallWorld, length: int = 10) -> tuple[ObservationModel, Mapping[str, Space[Any]]]:
        """A new observation model and its spaces in a world."""
        model: ObservationModel = self.make()
        setting = ObservationSetting(**vars(world.setting()), max_steps=_MAX_STEPS, history_length=length)
        with no_error("observation-space", f"space() of {self.subject}"):
            parts = model.space(setting)
        detail = f"a {type(parts).__name__}; it must be a mapping with at least one part."
        hold("observation-space", isinstance(parts, Mapping) and len(parts) > 0, detail)
        return model, parts

    def test_what_is_observed_lies_in_its_space(self) -> None:
        from gymnasium import Space

        for world in self.worlds():
            for length in (1, 10):
                model, parts = self.made(world, length)
                for part, space in parts.items():
                    hold("observation-space", isinstance(space, Space), f"{part!r} is a {type(space).__name__}.")
                seen = self._observe(model, parts, _request(world, np.arange(_USERS), parts))
                for part, space in parts.items():
                    for row, value in enumerate(seen[part]):
                        hold("observation-space", space.contains(value), f"{part!r} of user {row} is {value!r}.")

    def test_a_user_is_observed_the_same_alone_as_among_others(self) -> None:
        for world in self.worlds():
            model, parts = self.made(world)
            together = self._observe(model, parts, _request(world, np.arange(_USERS), parts))
            for user in range(0, _USERS, 7):
                alone = self._observe(model, parts, _request(world, np.array([user]), parts))
                for part in parts:
                    same = np.array_equal(alone[part][0], together[part][user])
                    hold("observation-alone", same, f"{part!r} of user {user} is otherwise among others.")

    def test_it_repeats_itself(self) -> None:
        for world in self.worlds():
            (model, parts), (other, _) = self.made(world), self.made(world)
            request = _request(world, np.arange(_USERS), parts)
            first, again, anew = (self._observe(one, parts, request) for one in (model, model, other))
            for later in (again, anew):
                for part in parts:
                    same = np.array_equal(first[part], later[part])
                    hold("observation-repeats", same, f"{part!r} is otherwise the second time.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            model, parts = self.made(world)
            request = _request(world, np.arange(_USERS), parts)
            with untouched("observation-reads", arrays_of(request) | columns(request.history) | world.arrays()):
                self._observe(model, parts, request)

    def _observe(
        self, model: ObservationModel, parts: Mapping[str, Space[Any]], request: ObservationRequest
    ) -> Observations:
        with no_error("observation-shape", self.subject):
            seen = model.observe_batch(request)
        hold("observation-shape", isinstance(seen, dict), f"a {type(seen).__name__}.")
        for part, space in parts.items():
            hold("observation-shape", part in seen, f"{part!r} is missing.")
            value, shape = seen[part], (len(request.users), *(space.shape or ()))
            shaped = isinstance(value, np.ndarray) and value.shape == shape and value.dtype == space.dtype
            detail = f"{value.dtype} of the shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
            hold("observation-shape", shaped, f"{part!r} is {detail}; its space has {space.dtype} of {shape}.")
        return seen


def _request(world: SmallWorld, who: NDArray[np.intp], parts: Mapping[str, Space[Any]]) -> ObservationRequest:
    """Users ``who`` in episodes of different lengths, each the same whoever else is there."""
    rng = np.random.default_rng(2)
    steps, moods = rng.integers(0, _MAX_STEPS + 1, _USERS), rng.uniform((-1.0, 0.0), (1.0, 1.0), (_USERS, 2))
    memory: Memory = world.remembered(_USERS)
    return ObservationRequest(
        users=who % len(world.population),
        steps=steps[who],
        moods=moods[who],
        history=memory.history(who),
        parts=tuple(parts),
        catalog=world.catalog,
        population=world.population,
        scale=world.scale,
    )
