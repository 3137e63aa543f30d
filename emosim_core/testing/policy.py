"""PolicyConformance: holds a recommender policy to its contract."""

from __future__ import annotations

from unittest import SkipTest

import numpy as np

from emosim_core.components.base import (
    BeginRequest,
    Policy,
    PolicySetting,
    RecommendationOutcome,
    RecommendationRequest,
)
from emosim_core.components.observations import ObservationRequest, ObservationSetting, Parts, PartsOptions
from emosim_core.model.arrays import Ints
from emosim_core.simulation.oracle import Oracle
from emosim_core.simulation.streams import Stage, Streams
from emosim_core.testing.conformance import ComponentConformance, no_error, untouched
from emosim_core.testing.contract import hold
from emosim_core.testing.worlds import SmallWorld, arrays_of

_USERS, _STEPS, _SEEN = 6, 16, 10

_BEGIN, _END = {0: range(_USERS), 5: [1]}, {3: [1], 4: [4]}
"""In which slots episodes begin before a step, and end after one; the others end when nothing is left to recommend."""


class PolicyConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "policy"
    interface = Policy

    def test_it_recommends_items_of_the_catalog(self) -> None:
        for world in self.worlds():
            for slate in (1, 3):
                for actions in self._play(world, slate):
                    inside = (actions >= -1) & (actions < len(world.catalog))
                    detail = f"the items {actions.min()} to {actions.max()} of {len(world.catalog)}."
                    hold("policy-range", bool(inside.all()), detail)
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

    def test_it_goes_on_the_same_when_it_is_pickled(self) -> None:
        self._installed()
        for world in self.worlds():
            here, moved = (self._play(world, 2, move=move) for move in (False, True))
            same = all(np.array_equal(one, other) for one, other in zip(here, moved, strict=True))
            hold("plugin-pickles", same, "other items after pickling.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            self._play(world, 2, watch=True)

    def _play(self, world: SmallWorld, slate: int, watch: bool = False, move: bool = False) -> list[Ints]:
        """What is recommended in episodes that begin and end at different times; the users rate at random."""
        streams = Streams(_USERS)
        policy: Policy = self.make()
        if isinstance(policy, Oracle):
            raise SkipTest("not called here: it looks into the world of a run")
        length = policy.history_length
        detail = f"the history_length {length!r} of {self.subject}; it is an integer, known before start()."
        hold("policy-shape", isinstance(length, int) and length >= 0, detail)
        observed = Parts(PartsOptions())
        setting = ObservationSetting(**vars(world.setting(slate)), max_steps=_STEPS, history_length=length + _SEEN)
        parts = tuple(observed.space(setting))
        memory = world.memories(_USERS, longest=0)
        steps = np.zeros(_USERS, dtype=np.intp)
        playing = np.zeros(_USERS, dtype=np.bool_)
        rng = np.random.default_rng(3)
        states: list[Ints] = []
        arrays = world.arrays() if watch else {}
        with untouched("policy-reads", arrays):
            with no_error("policy-shape", f"start() of {self.subject}"):
                policy.start(
                    PolicySetting(
                        catalog=world.catalog,
                        slate=slate,
                        batch_size=_USERS,
                        users=[user.id for user in world.population.users],
                        history_length=length + _SEEN,
                    )
                )
            for step in range(_STEPS):
                new = np.array(_BEGIN.get(step, ()), dtype=np.intp)
                if len(new):
                    memory.clear(new)
                    steps[new], playing[new] = 0, True
                    streams.begin(new, new.tolist(), [step] * len(new))
                    with no_error("policy-shape", f"begin() of {self.subject}"):
                        policy.begin(BeginRequest(rows=new), streams.of(Stage.POLICY, new))
                policy = self.unpickled(policy) if move else policy
                rows = np.flatnonzero(playing)
                if not len(rows):
                    continue
                seen = observed.observe_batch(
                    ObservationRequest(
                        users=rows % len(world.population),
                        steps=steps[rows],
                        moods=np.zeros((len(rows), 2)),
                        history=memory.history(rows),
                        shown=np.zeros((len(rows), 0), dtype=np.int64),
                        clicked=np.zeros((len(rows), 0), dtype=np.int8),
                        parts=parts,
                        **world.items_and_users,
                    )
                )
                given = {f"the observation {name!r}": value for name, value in seen.items()} if watch else {}
                with untouched("policy-reads", given), no_error("policy-shape", self.subject):
                    request = RecommendationRequest(rows=rows, observations=seen)
                    actions = np.asarray(policy.recommend_batch(request, streams.of(Stage.POLICY, rows)))
                shaped = actions.shape == (len(rows), slate) and actions.dtype.kind == "i"
                detail = f"{actions.dtype} of the shape {actions.shape} for {len(rows)} users; the slate has {slate}."
                hold("policy-shape", shaped, detail)
                states.append(actions.copy())
                going = ((actions >= 0) & (actions < len(world.catalog))).all(axis=1)
                playing[rows[~going]] = False
                rows, actions = rows[going], actions[going].astype(np.intp)
                ratings = rng.choice(world.scale.levels, actions.shape)
                for place in range(slate):
                    memory.append(rows, actions[:, place], ratings[:, place], np.full(len(rows), 4))
                steps[rows] += 1
                playing[list(_END.get(step, ()))] = False
                outcome = RecommendationOutcome(
                    rows=rows, actions=actions, ratings=ratings, rewards=ratings.sum(axis=1), ended=~playing[rows]
                )
                given = arrays_of(outcome) if watch else {}
                if len(rows):
                    with untouched("policy-reads", given), no_error("policy-shape", f"learn() of {self.subject}"):
                        policy.learn(outcome)
        return states
