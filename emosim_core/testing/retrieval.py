"""RetrievalConformance: holds a retrieval strategy to its contract."""

from __future__ import annotations

import numpy as np

from emosim_core.components.base import Retrieval, RetrievalRequest
from emosim_core.errors import PluginError
from emosim_core.model.arrays import Ints
from emosim_core.simulation.checks import check_positions
from emosim_core.testing.conformance import BatchConformance, no_error
from emosim_core.testing.contract import hold
from emosim_core.testing.requests import retrieval_request
from emosim_core.testing.worlds import SmallWorld

_SLATE = 3


class RetrievalConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules = "retrieval", "retrieval"
    interface = Retrieval

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> RetrievalRequest:
        items = np.random.default_rng(1).integers(0, len(world.catalog), (self.num_users, _SLATE))[who]
        history = world.histories(self.num_users, who)
        return retrieval_request(items, history, world.catalog, world.population, who)

    def ask(self, component: Retrieval, request: RetrievalRequest, who: Ints) -> Ints:
        with no_error("retrieval-shape", self.subject, {PluginError: "retrieval-range"}):  # what the single form found
            answer = component.retrieve_batch(request)
            check_positions(answer, request.items, request.history, self.subject)
        return answer

    def of_user(self, answer: Ints, row: int) -> list[Ints]:
        return [places[places >= 0] for places in answer[row]]

    def test_it_answers_positions_within_each_history(self) -> None:
        for world in self.worlds():
            answer = self.ask(self.make(), self.request(world, self.everyone), self.everyone)
            for places in (places for slate in answer.tolist() for places in slate):
                taken = [place for place in places if place >= 0]
                hold("retrieval-order", len(set(taken)) == len(taken), f"the positions {places}.")
                hold("retrieval-order", places[: len(taken)] == taken, f"the positions {places}.")

    def test_a_history_without_interactions_gives_nothing(self) -> None:
        for world in self.worlds():
            history = world.memories(4, longest=0).history()
            request = retrieval_request(np.zeros((4, _SLATE), dtype=np.intp), history, world.catalog, world.population)
            self.ask(self.make(), request, np.arange(4))
