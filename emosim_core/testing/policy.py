"""PolicyConformance: holds a recommender policy to its contract."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Observations, Policy
from emosim_core.model import History
from emosim_core.simulation.streams import Stage, Streams
from emosim_core.testing.conformance import ComponentConformance, no_error, untouched
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import SmallWorld

_PEOPLE, _STEPS, _SEEN = 6, 8, 10


class PolicyConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "policy"

    def interface(self) -> type:
        return Policy

    def test_it_proposes_items_of_the_catalogue(self) -> None:
        for world in self.worlds():
            for slate in (1, 3):
                for actions in self._play(world, slate):
                    inside = (actions >= -1) & (actions < len(world.catalog))
                    hold("policy-range", bool(inside.all()), f"the items {actions.min()} to {actions.max()}.")
                    nothing = actions < 0
                    whole = bool((nothing.all(axis=1) == nothing.any(axis=1)).all())
                    hold("policy-range", whole, "-1 in a part of a slate.")
                    for row in actions[~nothing.any(axis=1)].tolist():
                        hold("policy-slate", len(set(row)) == slate, f"the slate {row}.")

    def test_it_repeats_itself(self) -> None:
        for world in self.worlds():
            first, again = (self._play(world, 2) for _ in range(2))
            same = all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
            hold("policy-repeats", same, "other items the second time.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            self._play(world, 2, watch=True)

    def _play(self, world: SmallWorld, slate: int, watch: bool = False) -> list[NDArray[np.intp]]:
        """What is proposed in some steps of a session each; the people rate at random."""
        rows = np.arange(_PEOPLE)
        streams = Streams(_PEOPLE)
        streams.begin(rows, rows.tolist(), [0] * _PEOPLE)
        policy: Policy = self.make()
        with no_error("policy-shape", f"start() or begin() of {self.subject}"):
            policy.start(world.catalog, slate, _PEOPLE)
            policy.begin(rows, streams.of(Stage.POLICY, rows))
        memory = world.remembered(_PEOPLE, longest=0)
        rng = np.random.default_rng(3)
        told: list[NDArray[np.intp]] = []
        for step in range(_STEPS):
            seen = _observations(world, memory.history(), step)
            given = {f"the observation {name!r}": value for name, value in seen.items()} if watch else {}
            with untouched("policy-reads", given), no_error("policy-shape", self.subject):
                actions = np.asarray(policy.recommend_batch(rows, seen, streams.of(Stage.POLICY, rows)))
            shaped = actions.shape == (_PEOPLE, slate) and actions.dtype.kind == "i"
            hold("policy-shape", shaped, f"{actions.dtype} of the shape {actions.shape}; the slate has {slate}.")
            told.append(actions.copy())
            ratings = rng.choice(world.scale.levels, actions.shape)
            for place in range(slate):
                taken = np.flatnonzero((actions[:, place] >= 0) & (actions[:, place] < len(world.catalog)))
                if len(taken):
                    codes = np.full(len(taken), 4)
                    memory.append(taken, actions[taken, place], ratings[taken, place], codes)
            there = actions[:, 0] >= 0
            with no_error("policy-shape", f"learn() of {self.subject}"):
                policy.learn(
                    rows[there],
                    actions[there],
                    ratings[there],
                    ratings[there].sum(axis=1),
                    np.zeros(int(there.sum()), dtype=np.bool_),
                )
        return told


def _observations(world: SmallWorld, history: History, step: int) -> Observations:
    """What is observed of the people, as an environment's observation space has it."""
    items = np.zeros((_PEOPLE, _SEEN), dtype=np.int64)
    ratings = np.full((_PEOPLE, _SEEN), world.scale.low, dtype=np.float32)
    mask = np.zeros((_PEOPLE, _SEEN), dtype=np.int8)
    for row in range(_PEOPLE):
        past = history.person(row)[::-1][:_SEEN]
        items[row, : len(past)] = [one.item for one in past]
        ratings[row, : len(past)] = [one.rating for one in past]
        mask[row, : len(past)] = 1
    people = np.arange(_PEOPLE) % len(world.population)
    return {
        "user": people,
        "traits": world.population.traits[people],
        "mood": np.zeros((_PEOPLE, 2), dtype=np.float32),
        "step": np.full((_PEOPLE, 1), step),
        "history_items": items,
        "history_ratings": ratings,
        "history_mask": mask,
    }
