"""Pretraining: random items are recommended to the users of a training, and a model of their ratings is fitted."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from emosim_core.model.arrays import Floats, Ints
from emosim_core.recommenders.networks import Net
from emosim_core.recommenders.posterior import Posterior, PosteriorScores
from emosim_core.recommenders.rating_model import fit_rating_model
from emosim_core.training.vec_env import StableBaselines3VecEnv


class Rated(NamedTuple):
    """n ratings: indices of users and items, and ratings on the scale of the domain, shape ``(n,)`` each."""

    users: Ints
    items: Ints
    ratings: Floats


def random_ratings(
    env: StableBaselines3VecEnv, steps: int, generator: np.random.Generator, end_reasons: Counter[str]
) -> Rated:
    """Recommend items that were not consumed, each as probable as the others, or slates of items that were not shown.

    Only what observations show is read: the users and the histories of their episodes, as far as they reach back.

    Args:
        env: seeded users, whose observations have ``user`` and the history.
        steps: steps over all environments, a multiple of their number.
        end_reasons: where the ends of episodes are counted.
    """
    slate, count = env.env.engine.slate, len(env.env.world.catalog)
    rated: list[Rated] = []
    consumed = np.zeros(env.num_envs, dtype=np.intp)
    shown = np.zeros((env.num_envs, count), dtype=np.bool_)

    def keep(seen: dict[str, Any], slot: int) -> None:
        number = int(min(consumed[slot], seen["history_mask"].sum()))
        items, ratings = seen["history_items"][:number], seen["history_ratings"][:number]
        rated.append(Rated(np.full(number, int(np.ravel(seen["user"])[0])), items, ratings.astype(np.float64)))

    observations: Any = env.reset()
    for _ in range(steps // env.num_envs):
        allowed = env.action_masks()
        fresh = allowed & ~shown
        allowed = np.where(fresh.sum(axis=1, keepdims=True) < slate, allowed, fresh)
        drawn = np.where(allowed, generator.random((env.num_envs, count)), -1.0)
        best = np.argpartition(-drawn, slate - 1, axis=1)[:, :slate]
        observations, _, dones, infos = env.step(best if slate > 1 else best[:, 0])
        np.put_along_axis(shown, best, True, axis=1)
        consumed += env.clicked.sum(axis=1)
        for slot in np.flatnonzero(dones).tolist():
            end_reasons[infos[slot]["end_reason"]] += 1
            keep(infos[slot]["terminal_observation"], slot)
            consumed[slot], shown[slot] = 0, False
    for slot in range(env.num_envs):
        keep({part: values[slot] for part, values in observations.items()}, slot)
    return Rated(*(np.concatenate(parts) for parts in zip(*rated, strict=True)))


def learn_from(policy: Any, net: Net, rated: Rated) -> None:
    """Fit a model to ratings, and have the networks of a policy begin with it; without a rating they stay."""
    if not len(rated.ratings):
        return
    low, high = net.options.low, net.options.high
    relative = 2.0 * (rated.ratings - low) / (high - low) - 1.0
    model = fit_rating_model(net.item_features, rated.users, rated.items, relative, net.options.num_users)
    for module in policy.modules():
        if isinstance(module, Posterior | PosteriorScores):
            module.learn(model)
