"""Observations: what a recommender sees of each user."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray
from pydantic import model_validator

from emosim_core.components.answers import wrong
from emosim_core.components.base import Observations, UserSituation, UsersRequest, WorldSetting, user_of
from emosim_core.model import Catalog, History, Interaction, RatingScale
from emosim_core.model.frozen import Frozen, option
from emosim_core.model.user import LATENT, TRAITS


@dataclass(frozen=True, kw_only=True)
class ObservationSetting(WorldSetting):
    """The world that is observed.

    Attributes:
        history_length: L, the number of recent interactions to show.
        consumed_length: M, the most different items that a user can remember.
        chooses_first: whether users examine and click before they rate, so that there is something shown.
    """

    max_steps: int = 50
    history_length: int = 10
    observe_consumed: bool = False
    chooses_first: bool = False
    consumed_length: int = 50


@dataclass(slots=True, kw_only=True)
class ObservationRequest(UsersRequest):
    """What an observation model is handed: R users between two steps, in arrays of the request's own.

    Attributes:
        steps: steps taken in the episode, shape ``(R,)``.
        moods: valence and arousal, shape ``(R, 2)``.
        shown: items of the last L slates, in the order of their places, the most recent slate first, then -1, shape
            ``(R, L * S)``; empty, shape ``(R, 0)``, where the whole slate is rated first.
        clicked: which of them were clicked, shape as of ``shown``.
        parts: names of the parts that are wanted; others may be left out.
    """

    steps: NDArray[np.intp]
    moods: NDArray[np.float64]
    history: History
    shown: NDArray[np.int64]
    clicked: NDArray[np.int8]
    parts: Collection[str]
    scale: RatingScale


@dataclass(frozen=True, kw_only=True)
class ObservationSituation(UserSituation):
    """What an observation model in its single form is handed: one user between two steps.

    ``shown`` and ``clicked`` are a row of those of :class:`ObservationRequest`.
    """

    step: int
    history: Sequence[Interaction]
    shown: NDArray[np.int64]
    clicked: NDArray[np.int8]
    catalog: Catalog
    scale: RatingScale


class ObservationModel:
    """Decides what a recommender sees: the parts of an observation, by name.

    Attributes:
        latent: the parts that show what no real recommender sees; announced with every result.
    """

    latent: Sequence[str] = ()

    def space(self, setting: ObservationSetting) -> Mapping[str, Space[Any]]:
        """The Gymnasium space of each part, for one user. Called before the first step; a place to keep the setting."""
        raise NotImplementedError(f"{type(self).__name__} does not implement space")

    def observe(self, situation: ObservationSituation) -> Mapping[str, Any]:
        """For one user: each part, as its space has it."""
        raise NotImplementedError(f"{type(self).__name__} implements neither observe nor observe_batch")

    def observe_batch(self, request: ObservationRequest) -> Observations:
        """For a batch: new arrays by part, the first axis of each is R, the others are those of its space."""
        rows = []
        for row in range(len(request.users)):
            situation = ObservationSituation(
                **user_of(request, row),
                step=int(request.steps[row]),
                history=request.history.interactions(row),
                shown=request.shown[row],
                clicked=request.clicked[row],
                catalog=request.catalog,
                scale=request.scale,
            )
            seen = self.observe(situation)
            if not isinstance(seen, Mapping) or set(request.parts).difference(seen):
                wanted = ", ".join(request.parts)
                raise wrong(f"{type(self).__name__}.observe", seen, f"a mapping with {wanted}", "observation-shape")
            rows.append(seen)
        return {part: np.stack([np.asarray(seen[part]) for seen in rows]) for part in request.parts}


class PartsOptions(Frozen):
    """Options of ``full`` and ``behavior``: which parts there are."""

    user: bool = option(True, "Show the index of the user.")
    traits: bool = option(True, "Show the user's traits.")
    mood: bool = option(True, "Show the user's mood.")
    step: bool = option(True, "Show the steps taken in the episode.")
    history: bool = option(True, "Show recent interactions and their ratings.")
    shown: bool = option(True, "Show what was recommended in the last slates and clicked, with a choice model.")

    @model_validator(mode="after")
    def _something(self) -> PartsOptions:
        if not any(self.model_dump().values()):
            raise ValueError("an observation needs at least one part")
        return self


class Parts(ObservationModel):
    """Numbers about one user. L is ``history_length``.

    - ``user``: index of the user in the population, ``Discrete(U)``
    - ``traits``: activity, conformity and diversity, 1 to 3, int64 of shape ``(3,)``
    - ``mood``: valence in [-1, 1] and arousal in [0, 1], float32 of shape ``(2,)``
    - ``step``: steps taken in this episode, int64 of shape ``(1,)``
    - ``history_items``: item indices of the last interactions, most recent first, int64 of shape ``(L,)``
    - ``history_ratings``: their ratings on the domain's scale, float32 of shape ``(L,)``
    - ``history_mask``: 1 where there is an interaction, int8 of shape ``(L,)``. Where it is 0, item and
      rating mean nothing (they hold 0 and the scale's lowest rating).
    - ``shown_items``, with a choice model that comes before rating: items of the last L slates of S, the most recent
      slate first, then -1, int64 of shape ``(L * S,)``
    - ``shown_clicks``, beside it: 1 where the item was clicked, int8 of shape ``(L * S,)``
    - ``consumed``, with ``observe_consumed``: 1 where the user remembers the item, int8 of shape ``(N,)``
    - ``consumed_items``, with ``observe_consumed``: the same as item indices, in the order in which they were last
      consumed, then -1, int64 of shape ``(M,)``. M is ``max_steps`` times the slate, or N where that is less or
      memories are kept from episode to episode.
    """

    def __init__(self, options: PartsOptions) -> None:
        self._shown = options
        self.latent = tuple(part for part in LATENT if getattr(options, part))

    def space(self, setting: ObservationSetting) -> dict[str, Space[Any]]:
        """The spaces of the parts that the options show."""
        self._length, self._consumed_length = setting.history_length, setting.consumed_length
        places = setting.history_length * setting.slate
        scale, items, shape = setting.scale, len(setting.catalog), (self._length,)
        parts: dict[str, Space[Any]] = {
            "user": spaces.Discrete(len(setting.population)),
            "traits": spaces.Box(1, 3, (len(TRAITS),), dtype=np.int64),
            "mood": spaces.Box(np.array([-1, 0], np.float32), np.array([1, 1], np.float32), dtype=np.float32),
            "step": spaces.Box(0, setting.max_steps, (1,), dtype=np.int64),
            "history_items": spaces.Box(0, items - 1, shape, dtype=np.int64),
            "history_ratings": spaces.Box(scale.low, scale.high, shape, dtype=np.float32),
            "history_mask": spaces.MultiBinary(self._length),
            "shown_items": spaces.Box(-1, items - 1, (places,), dtype=np.int64),
            "shown_clicks": spaces.MultiBinary(places),
            "consumed": spaces.MultiBinary(items),
            "consumed_items": spaces.Box(-1, items - 1, (self._consumed_length,), dtype=np.int64),
        }
        shown = {**self._shown.model_dump(), "consumed": setting.observe_consumed}
        shown["shown"] = shown["shown"] and setting.chooses_first
        return {part: space for part, space in parts.items() if shown[part.partition("_")[0]]}

    def observe_batch(self, request: ObservationRequest) -> Observations:
        """The parts that are wanted."""
        seen = {part: _MAKE[part](request) for part in request.parts if part in _MAKE}
        if "consumed_items" in request.parts:
            seen["consumed_items"] = request.history.consumed_items(self._consumed_length)
        if len(seen) < len(request.parts):
            seen.update(self._history(request))
        return seen

    def _history(self, request: ObservationRequest) -> Observations:
        items, ratings, mask = request.history.recent(self._length, request.scale.low)
        return {"history_items": items, "history_ratings": ratings, "history_mask": mask}


_MAKE: dict[str, Callable[[ObservationRequest], NDArray]] = {
    "user": lambda request: request.users,
    "traits": lambda request: request.population.traits.take(request.users, axis=0),
    "mood": lambda request: request.moods.astype(np.float32),
    "step": lambda request: request.steps[:, None],
    "shown_items": lambda request: request.shown,
    "shown_clicks": lambda request: request.clicked,
    "consumed": lambda request: request.history.consumed(),
}
"""How each part but the history is made."""
