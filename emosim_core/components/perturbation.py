"""Perturbators: noise on the ratings of what was consumed."""

from __future__ import annotations

import numpy as np

from emosim_core.components.base import Draws, PerturbationRequest, Perturbator
from emosim_core.model.arrays import Floats
from emosim_core.model.frozen import Frozen, option


class GaussianOptions(Frozen):
    """Options of ``gaussian``."""

    sd: float = option(0.5, "Standard deviation, in points of the domain's scale.", ge=0)


class GreedyOptions(Frozen):
    """Options of ``greedy``."""

    p: float = option(0.1, "Probability of one step down, and of one step up.", ge=0, le=0.5)


class NoPerturbation(Perturbator):
    """Leaves ratings as they are."""

    def perturb_batch(self, request: PerturbationRequest, draws: Draws) -> Floats:
        return request.ratings


class Gaussian(Perturbator):
    """Adds normal noise."""

    def __init__(self, options: GaussianOptions) -> None:
        self.sd = options.sd

    def perturb_batch(self, request: PerturbationRequest, draws: Draws) -> Floats:
        return request.ratings + self.sd * draws.normal(request.ratings.shape[1])


class GreedyPerturbation(Perturbator):
    """One step down, nothing, or one step up."""

    def __init__(self, options: GreedyOptions) -> None:
        self.p = options.p

    def perturb_batch(self, request: PerturbationRequest, draws: Draws) -> Floats:
        uniform = draws.uniform(request.ratings.shape[1])
        steps = (uniform >= 1 - self.p).astype(np.float64) - (uniform < self.p)
        return request.ratings + request.scale.step * steps
