"""RetrievalConformance: holds a retrieval strategy to its contract."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Retrieval, RetrievalRequest
from emosim_core.errors import PluginError
from emosim_core.model import History
from emosim_core.testing.conformance import ComponentConformance, no_error, untouched
from emosim_core.testing.contract import hold
from emosim_core.testing.requests import arrays_of, retrieval_request
from emosim_core.testing.worlds import SmallWorld, columns

_USERS, _SLATE = 12, 3


class RetrievalConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "retrieval"

    def interface(self) -> type:
        return Retrieval

    def test_it_answers_positions_within_each_history(self) -> None:
        for world in self.worlds():
            items, history = _items_and_history(world)
            answer = self._retrieve(self.make(), _request(items, history, world))
            hold(
                "retrieval-range",
                bool(((answer >= -1) & (answer < history.lengths[:, None, None])).all()),
                f"positions from {answer.min(initial=0)} to {answer.max(initial=0)} in histories of "
                f"{history.lengths.min()} to {history.lengths.max()} interactions.",
            )
            for places in (places for slate in answer.tolist() for places in slate):
                taken = [place for place in places if place >= 0]
                hold("retrieval-order", len(set(taken)) == len(taken), f"the positions {places}.")
                hold("retrieval-order", places[: len(taken)] == taken, f"the positions {places}.")

    def test_a_history_without_interactions_gives_nothing(self) -> None:
        for world in self.worlds():
            history = world.remembered(4, longest=0).history()
            items = np.zeros((4, _SLATE), dtype=np.intp)
            answer = self._retrieve(self.make(), _request(items, history, world))
            hold("retrieval-range", bool((answer == -1).all()), f"{answer.max(initial=-1)} in an empty history.")

    def test_a_user_gets_the_same_alone_as_among_others(self) -> None:
        for world in self.worlds():
            items, history = _items_and_history(world)
            together = self._retrieve(self.make(), _request(items, history, world))
            for row in range(_USERS):
                alone = self._retrieve(self.make(), _request(items[[row]], history.single(row), world, row))
                hold(
                    "retrieval-alone",
                    _without_padding(alone[0]) == _without_padding(together[row]),
                    f"{_without_padding(together[row])} among others and {_without_padding(alone[0])} alone, "
                    f"for user {row}.",
                )

    def test_it_repeats_itself(self) -> None:
        for world in self.worlds():
            items, history = _items_and_history(world)
            strategy = self.make()
            first = self._retrieve(strategy, _request(items, history, world))
            self._retrieve(strategy, _request(items, world.remembered(_USERS, seed=1).history(), world))
            again = self._retrieve(strategy, _request(items, history, world))
            anew = self._retrieve(self.make(), _request(items, history, world))
            same = np.array_equal(first, again) and np.array_equal(first, anew)
            hold("retrieval-repeats", same, "another answer the second time.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            situation = _request(*_items_and_history(world), world)
            with untouched("retrieval-reads", arrays_of(situation) | columns(situation.history) | world.arrays()):
                self._retrieve(self.make(), situation)

    def _retrieve(self, strategy: Retrieval, request: RetrievalRequest) -> NDArray[np.intp]:
        with no_error("retrieval-shape", self.subject, {PluginError: "retrieval-range"}):  # what the single form found
            answer = strategy.retrieve_batch(request)
        hold("retrieval-shape", isinstance(answer, np.ndarray), f"a {type(answer).__name__}.")
        shaped = answer.ndim == 3 and answer.shape[:2] == request.items.shape and answer.dtype.kind == "i"
        detail = f"{answer.dtype} of the shape {answer.shape} for items of {request.items.shape}."
        hold("retrieval-shape", shaped, detail)
        return answer


def _items_and_history(world: SmallWorld) -> tuple[NDArray[np.intp], History]:
    """Items at hand, shape ``(P, S)``, and what the users remember."""
    items = np.random.default_rng(1).integers(0, len(world.catalog), (_USERS, _SLATE))
    return items, world.remembered(_USERS).history()


def _request(items: NDArray[np.intp], history: History, world: SmallWorld, first: int = 0) -> RetrievalRequest:
    """What is asked of the users from ``first`` on."""
    return retrieval_request(items, history, world.catalog, world.population, first + np.arange(len(items)))


def _without_padding(answer: NDArray[np.intp]) -> list[list[int]]:
    return [[place for place in places if place >= 0] for places in answer.tolist()]
