"""What passes between a policy and the users in the slots of an engine: its start, its slates, what came of them.

And what was requested of a language model meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from emosim_core.components.base import Exchange, Policy, PolicySetting, RecommendationOutcome, RecommendationRequest
from emosim_core.errors import ConfigurationError, PluginError
from emosim_core.hooks.faults import named
from emosim_core.model.arrays import Ints
from emosim_core.simulation.engine import Engine, Step
from emosim_core.simulation.oracle import Oracle


def start_policy(policy: Policy, engine: Engine, label: str) -> None:
    """Prepare a policy for the users in the slots of an engine; ``label`` is the policy in words, for errors.

    Raises:
        ConfigurationError: it reads a part that observations of this world do not have.
        PluginError: it fails.
    """
    world, observed = engine.world, engine.observation_parts
    if isinstance(policy, Oracle):
        policy.look_into(engine)
    if missing := [part for part in policy.observes if part not in observed]:
        raise ConfigurationError(
            f"{label} reads {missing[0]!r}, which the {world.label('observation')} leaves out; it has "
            f"{', '.join(observed)}. Choose another with --observation, such as full"
        )
    with named(label):
        policy.start(
            PolicySetting(
                catalog=world.catalog,
                slate=engine.slate,
                batch_size=engine.batch_size,
                users=[user.id for user in world.population.users],
                history_length=engine.history_length,
            )
        )


def recommended(policy: Policy, engine: Engine, label: str, rows: Ints, everyone: bool) -> Ints:
    """What a policy recommends to the users in the slots ``rows``, shape ``(R, S)``; -1 where nothing is left.

    Args:
        everyone: whether ``rows`` are all slots.

    Raises:
        PluginError: it fails, or that is no slate of the catalog.
    """
    with named(label):
        request = RecommendationRequest(rows=rows, observations=engine.observe(None if everyone else rows))
        actions = policy.recommend_batch(request, engine.policy_draws(rows))
        actions = np.asarray(actions, dtype=np.intp)
    expected, items, strange = (len(rows), engine.slate), len(engine.world.catalog), ""
    if actions.shape != expected:
        strange = f"an array of the shape {actions.shape}; expected {expected}"
    elif (actions >= items).any():
        strange = f"the item {int(actions.max())}; the catalog has {items}, from 0 on"
    if strange:
        raise PluginError(f"{label} recommended {strange}")
    return actions


def outcome_of(step: Step) -> RecommendationOutcome:
    """What a policy learns of a step."""
    return RecommendationOutcome(
        rows=step.rows,
        actions=step.actions,
        ratings=step.ratings,
        rewards=step.rewards,
        ended=step.terminated | step.truncated,
        clicked=step.consumed if step.clicked is None else step.clicked,
    )


def exchanges_under_way(engine: Engine, rows: Ints, actions: Ints) -> Iterator[tuple[Exchange, int, str]]:
    """What was requested of a language model in the step under way, each with the slot of its user and an item's id.

    Args:
        rows: slots of the R users of the step.
        actions: item indices, shape ``(R, S)``. A choice is about no single item: its id is empty.
    """
    world = engine.world
    with world.blaming("choice"):
        for one in world.choice.exchanges() if len(engine.choosing_rows) else ():
            yield replace(one, about="choice"), int(engine.choosing_rows[one.row]), ""
    with world.blaming("rater"):
        exchanges = world.rater.exchanges() if len(engine.rated_rows) else ()
        slates = dict(zip(rows.tolist(), actions.tolist(), strict=True)) if exchanges else {}
        for one in exchanges:
            slot = int(engine.rated_rows[one.row])
            if engine.rated_places is not None:
                one = replace(one, place=int(engine.rated_places[one.row]))
            yield one, slot, world.catalog.items[slates[slot][one.place]].id
