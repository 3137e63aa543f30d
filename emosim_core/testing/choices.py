"""SelectorConformance and PerturbatorConformance: hold what is done with ratings to its contract."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import PerturbationRequest, Perturbator, SelectionRequest, Selector
from emosim_core.simulation.streams import Stage
from emosim_core.testing.conformance import ComponentConformance, no_error, untouched
from emosim_core.testing.contract import hold
from emosim_core.testing.requests import arrays_of, perturbation_request, selection_request
from emosim_core.testing.worlds import SmallWorld, draws

_USERS, _SLATES = 40, (1, 3)


class SelectorConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "selector"

    def interface(self) -> type:
        return Selector

    def made(self, world: SmallWorld) -> Selector:
        """A new selector, prepared for a world."""
        selector: Selector = self.make()
        with no_error("selector-shape", f"prepare() of {self.subject}"):
            selector.prepare(world.setting())
        return selector

    def test_it_answers_booleans_and_never_a_failed_rating(self) -> None:
        for world in self.worlds():
            for slate in _SLATES:
                ratings = world.ratings(_USERS, slate, failed=0.3)
                consumed = self._select(self.made(world), selection_request(ratings, world), np.arange(_USERS))
                hold("selector-failed", not (consumed & np.isnan(ratings)).any(), "a failed rating was consumed.")

    def test_a_user_chooses_the_same_alone_as_among_others(self) -> None:
        for world in self.worlds():
            ratings = world.ratings(_USERS, 3)
            together = self._select(self.made(world), selection_request(ratings, world), np.arange(_USERS))
            for user in range(0, _USERS, 7):
                alone = self._select(
                    self.made(world), selection_request(ratings[[user]], world, np.array([user])), np.array([user])
                )
                hold("selector-alone", np.array_equal(alone[0], together[user]), f"user {user} chose otherwise.")

    def test_it_repeats_itself(self) -> None:
        for world in self.worlds():
            ratings = world.ratings(_USERS, 3)
            selector, everyone = self.made(world), np.arange(_USERS)
            first, again = (self._select(selector, selection_request(ratings, world), everyone) for _ in range(2))
            anew = self._select(self.made(world), selection_request(ratings, world), everyone)
            for other in (again, anew):
                hold("selector-repeats", np.array_equal(first, other), "another choice the second time.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            ratings = world.ratings(_USERS, 3, failed=0.1)
            request = selection_request(ratings, world)
            with untouched("selector-reads", arrays_of(request) | world.arrays()):
                self._select(self.made(world), request, np.arange(_USERS))

    def _select(self, selector: Selector, request: SelectionRequest, users: NDArray[np.intp]) -> NDArray[np.bool_]:
        with no_error("selector-shape", self.subject):
            answer = selector.select_batch(request, draws(users, Stage.SELECT))
        hold("selector-shape", isinstance(answer, np.ndarray), f"a {type(answer).__name__}.")
        shape = request.ratings.shape
        shaped = answer.shape == shape and answer.dtype == np.bool_
        hold("selector-shape", shaped, f"{answer.dtype} of the shape {answer.shape} for ratings of {shape}.")
        return answer


class PerturbatorConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "perturbator"

    def interface(self) -> type:
        return Perturbator

    def test_it_answers_finite_numbers_and_takes_failed_ratings(self) -> None:
        for world in self.worlds():
            for slate in _SLATES:
                ratings = world.ratings(_USERS, slate, failed=0.2)
                answer = self._perturb(self.make(), perturbation_request(ratings, world), np.arange(_USERS))
                finite = np.isfinite(answer[~np.isnan(ratings)]).all()
                hold("perturbator-finite", bool(finite), "a rating became no finite number.")

    def test_a_rating_is_perturbed_the_same_alone_as_among_others(self) -> None:
        for world in self.worlds():
            ratings = world.ratings(_USERS, 3)
            together = self._perturb(self.make(), perturbation_request(ratings, world), np.arange(_USERS))
            for user in range(0, _USERS, 7):
                alone = self._perturb(
                    self.make(), perturbation_request(ratings[[user]], world, np.array([user])), np.array([user])
                )
                same = np.array_equal(alone[0], together[user])
                detail = f"user {user} got {alone[0]} alone, {together[user]} with others."
                hold("perturbator-alone", same, detail)

    def test_it_repeats_itself(self) -> None:
        for world in self.worlds():
            ratings = world.ratings(_USERS, 3)
            perturbator, everyone = self.make(), np.arange(_USERS)
            first, again = (
                self._perturb(perturbator, perturbation_request(ratings, world), everyone) for _ in range(2)
            )
            anew = self._perturb(self.make(), perturbation_request(ratings, world), everyone)
            for other in (again, anew):
                hold("perturbator-repeats", np.array_equal(first, other), "another answer the second time.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            ratings = world.ratings(_USERS, 3, failed=0.1)
            request = perturbation_request(ratings, world)
            with untouched("perturbator-reads", arrays_of(request) | world.arrays()):
                self._perturb(self.make(), request, np.arange(_USERS))

    def _perturb(
        self, perturbator: Perturbator, request: PerturbationRequest, users: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        rule = "perturbator-finite" if np.isnan(request.ratings).any() else "perturbator-shape"
        with no_error(rule, self.subject):
            answer = perturbator.perturb_batch(request, draws(users, Stage.PERTURB))
        hold("perturbator-shape", isinstance(answer, np.ndarray), f"a {type(answer).__name__}.")
        shape = request.ratings.shape
        shaped = answer.shape == shape and answer.dtype.kind in "fiu"
        hold("perturbator-shape", shaped, f"{answer.dtype} of the shape {answer.shape} for ratings of {shape}.")
        return answer
