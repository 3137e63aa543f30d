"""SelectorConformance and PerturbatorConformance: hold what is done with ratings to its contract."""

from __future__ import annotations

import numpy as np

from emosim_core.components.base import PerturbationRequest, Perturbator, SelectionRequest, Selector
from emosim_core.model.arrays import Flags, Floats, Ints
from emosim_core.simulation.checks import check_consumed, check_perturbed
from emosim_core.simulation.streams import Stage
from emosim_core.testing.conformance import BatchConformance, no_error
from emosim_core.testing.contract import hold
from emosim_core.testing.requests import perturbation_request, selection_request
from emosim_core.testing.worlds import SmallWorld, draws

_SLATES = (1, 3)


class SelectorConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules, num_users = "selector", "selector", 40
    interface, prepares = Selector, "selector-shape"

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> SelectionRequest:
        return selection_request(world.ratings(self.num_users, 3, failed=failed)[who], world, who)

    def ask(self, component: Selector, request: SelectionRequest, who: Ints) -> Flags:
        with no_error("selector-shape", self.subject):
            answer = component.select_batch(request, draws(who, Stage.SELECT))
            check_consumed(answer, request.ratings, self.subject)
        return answer

    def test_it_answers_booleans_and_never_a_failed_rating(self) -> None:
        for world in self.worlds():
            for slate in _SLATES:
                ratings = world.ratings(self.num_users, slate, failed=0.3)
                consumed = self.ask(self.made(world), selection_request(ratings, world), self.everyone)
                hold("selector-failed", not (consumed & np.isnan(ratings)).any(), "a failed rating was consumed.")


class PerturbatorConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules, num_users = "perturbator", "perturbator", 40
    interface = Perturbator

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> PerturbationRequest:
        return perturbation_request(world.ratings(self.num_users, 3, failed=failed)[who], world, who)

    def ask(self, component: Perturbator, request: PerturbationRequest, who: Ints) -> Floats:
        raw = request.ratings.copy()
        with no_error("perturbator-finite" if np.isnan(raw).any() else "perturbator-shape", self.subject):
            answer = component.perturb_batch(request, draws(who, Stage.PERTURB))
            check_perturbed(answer, raw, self.subject)
        return answer

    def test_it_answers_finite_numbers_and_takes_failed_ratings(self) -> None:
        for world in self.worlds():
            for slate in _SLATES:
                ratings = world.ratings(self.num_users, slate, failed=0.2)
                self.ask(self.make(), perturbation_request(ratings, world), self.everyone)
