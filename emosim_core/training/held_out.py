"""Evaluation episodes: what a recommender in training gets from users, beside what simple policies and the oracle get.

All meet the same users in the same episodes, whose seeds neither a training nor ``emosim evaluate`` meets.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from emosim_core.components.base import BeginRequest, Policy, PolicySetting, RecommendationRequest
from emosim_core.hooks import Registry
from emosim_core.model.arrays import Floats, Ints
from emosim_core.simulation.assembly import World
from emosim_core.simulation.engine import Engine
from emosim_core.simulation.oracle import Oracle, tells_expectation
from emosim_core.stats import bootstrap_ratios, rounded

EVALUATION_SEED = 4042
"""Seed of the episodes: neither a training meets them, whose seeds are derived, nor ``emosim evaluate``."""

_SIMPLE = ("random", "popular")


def world_of(world: World, user_split: str) -> World:
    """The same world, about the users of a group one after another."""
    about = {"user_order": "sequential", "keep_memory": False, "user_split": user_split}
    return replace(world, config=world.config.model_copy(update=about))


def users_met(world: World, episodes: int) -> Ints:
    """The user of each episode, shape ``(episodes,)``."""
    return np.resize(world.user_indices, episodes)


def estimate_of(users: Ints, returns: Floats) -> dict[str, Any]:
    """The mean return and the ends of its 95 % interval by bootstrap over users; None where an end is not known.

    Both arguments are by episode, shape ``(E,)``.
    """
    _, place = np.unique(users, return_inverse=True)
    sums, counts = np.bincount(place, returns)[:, None], np.bincount(place)[:, None]
    low, high = bootstrap_ratios(sums, counts)
    return {"estimate": rounded(float(returns.mean())), "low": rounded(low[0]), "high": rounded(high[0])}


def references(world: World, episodes: int, registry: Registry) -> dict[str, dict[str, Any]]:
    """What ``random``, ``popular`` and the oracle get in the evaluation episodes of a world, by name.

    None where a language model rates, whose answers cost money. The oracle is left out where the rater tells
    no expected ratings.
    """
    if world.rater.uses_llm:
        return {}
    users = users_met(world, episodes)
    estimates = {}
    for name in (*_SIMPLE, *(["oracle"] if tells_expectation(world.rater) else [])):
        policy: Policy = registry.resolve("policy", name, world.domain.name).build(Policy)
        estimates[name] = estimate_of(users, returns_of(world, policy, episodes))
    return estimates


def returns_of(world: World, policy: Policy, episodes: int) -> Floats:
    """The return of each evaluation episode with a policy, shape ``(episodes,)``; all go on side by side."""
    engine = Engine(world, episodes, history_length=policy.history_length)
    if isinstance(policy, Oracle):
        policy.look_into(engine)
    ids = [user.id for user in world.population.users]
    policy.start(
        PolicySetting(
            catalog=world.catalog,
            slate=engine.slate,
            batch_size=episodes,
            users=ids,
            history_length=engine.history_length,
        )
    )
    rows = engine.all_rows
    seeds = (EVALUATION_SEED + np.arange(episodes)).tolist()
    engine.begin(rows, seeds, [0] * episodes, users_met(world, episodes).tolist())
    policy.begin(BeginRequest(rows=rows), engine.policy_draws(rows))
    returns = np.zeros(episodes)
    while len(rows):
        request = RecommendationRequest(rows=rows, observations=engine.observe(rows))
        actions = policy.recommend_batch(request, engine.policy_draws(rows))
        left = (actions >= 0).all(axis=1)
        rows = rows[left]
        if len(rows):
            step = engine.step(actions[left], rows)
            returns[rows] += step.rewards
            rows = rows[~(step.terminated | step.truncated)]
    return returns
