"""Selectors: which items of a slate are consumed."""

from __future__ import annotations

import numpy as np

from emosim_core.components.base import Draws, SelectionRequest, Selector, WorldSetting
from emosim_core.model.arrays import Flags
from emosim_core.model.frozen import Frozen, option


class ProbabilisticOptions(Frozen):
    """Options of ``probabilistic``."""

    p: float = option(0.9, "Probability that the best-rated item is consumed at all.", ge=0, le=1)


class LogitOptions(Frozen):
    """Options of ``multinomial_logit``."""

    temperature: float = option(1.0, "Spread of the choice, in rating points of 10; small is greedy.", gt=0)
    no_choice: float = option(5.0, "Rating of 10 that taking nothing is worth.")


class Greedy(Selector):
    """The best-rated item of the slate; the first of equals (EmoSim-RL: that with the better public rating)."""

    def select_batch(self, request: SelectionRequest, draws: Draws) -> Flags:
        ratings = request.ratings
        if ratings.shape[1] == 1:
            return ~np.isnan(ratings)
        worth = np.where(np.isnan(ratings), -np.inf, ratings)
        chosen = np.zeros(ratings.shape, dtype=np.bool_)
        chosen[np.arange(len(ratings)), worth.argmax(axis=1)] = True
        return chosen & ~np.isnan(ratings)


class RandomChoice(Selector):
    """Each item with probability 0.5."""

    def select_batch(self, request: SelectionRequest, draws: Draws) -> Flags:
        return (draws.uniform(request.ratings.shape[1]) < 0.5) & ~np.isnan(request.ratings)


class Probabilistic(Greedy):
    """The best-rated item with probability p, else nothing."""

    def __init__(self, options: ProbabilisticOptions) -> None:
        self.p = options.p

    def select_batch(self, request: SelectionRequest, draws: Draws) -> Flags:
        return super().select_batch(request, draws) & (draws.uniform(1) < self.p)


class MultinomialLogit(Selector):
    """One item or none, by a multinomial-logit choice over the slate (McFadden, 1974).

    The utility of an item is its rating over ``temperature``, that of taking nothing is
    ``no_choice`` over ``temperature``; both are of 10 and carried to the scale by relative position.
    """

    def __init__(self, options: LogitOptions) -> None:
        self.options = options
        self.temperature, self.no_choice = options.temperature, options.no_choice

    def prepare(self, setting: WorldSetting) -> None:
        self.temperature = self.options.temperature * setting.scale.span / 9.0
        self.no_choice = setting.scale.carry(self.options.no_choice)

    def select_batch(self, request: SelectionRequest, draws: Draws) -> Flags:
        ratings, kernels = request.ratings, request.history.memory.kernels
        if kernels is not None:
            utility = kernels.utilities(ratings, self.temperature, self.no_choice)
            return kernels.choose(np.exp(utility, out=utility), draws.uniform(1))
        utility = np.where(np.isnan(ratings), -np.inf, ratings) / self.temperature
        outside = np.full((len(ratings), 1), self.no_choice / self.temperature)
        utility = np.concatenate([utility, outside], axis=1)
        weight = np.exp(utility - utility.max(axis=1, keepdims=True))
        edges = np.cumsum(weight, axis=1)
        choice = (edges <= draws.uniform(1) * edges[:, -1:]).sum(axis=1)
        return choice[:, None] == np.arange(ratings.shape[1])
