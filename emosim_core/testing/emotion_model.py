"""EmotionModelConformance: holds an emotion model to its contract."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.emotion_models import EmotionModel, EmotionSetting, MoodRequest, TagRequest
from emosim_core.model.arrays import Floats, Ints
from emosim_core.simulation.checks import check_codes, check_moods
from emosim_core.simulation.streams import Stage
from emosim_core.testing.conformance import BatchConformance, no_error
from emosim_core.testing.requests import arrays_of
from emosim_core.testing.worlds import SmallWorld, draws

_SLATES = (1, 3)

_Requests = tuple[TagRequest, MoodRequest]

_Answers = tuple[Ints, Floats]
"""Codes and moods."""


class EmotionModelConformance(BatchConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind, rules, num_users = "emotion_model", "emotion", 40
    interface, prepares = EmotionModel, "emotion-tags"

    def setting(self, world: SmallWorld) -> EmotionSetting:
        return EmotionSetting(**vars(world.setting()))

    def request(self, world: SmallWorld, who: Ints, failed: float = 0.0) -> _Requests:
        """Three ratings of each user to tag, and the mood of each to move after one consumed item."""
        one = self._tags(world, who, 1)
        moods = MoodRequest(
            users=one.users,
            items=one.items[:, 0],
            ratings=one.ratings[:, 0],
            codes=self._tag(self.made(world), one)[:, 0],
            moods=one.moods,
            baselines=world.population.baselines[one.users],
            **world.items_and_users,
        )
        return self._tags(world, who, 3, failed), moods

    def arrays(self, request: _Requests) -> dict[str, NDArray[Any]]:
        tags, moods = (arrays_of(one) for one in request)
        return {**tags, **{f"{name} to move moods": array for name, array in moods.items()}}

    def ask(self, component: EmotionModel, request: _Requests, who: Ints) -> _Answers:
        tags, moods = request
        return self._tag(component, tags), self._feel(component, moods, who)

    def of_user(self, answer: _Answers, row: int) -> list[NDArray[Any]]:
        return [part[row] for part in answer]

    def test_it_tags_ratings_and_takes_what_was_not_consumed(self) -> None:
        for world in self.worlds():
            for slate in _SLATES:
                self._tag(self.made(world), self._tags(world, self.everyone, slate, failed=0.3))

    def test_moods_stay_in_their_range(self) -> None:
        for world in self.worlds():
            model, (_, request) = self.made(world), self.request(world, self.everyone)
            for _ in range(20):
                request.moods = self._feel(model, request, self.everyone)

    def _tags(self, world: SmallWorld, who: Ints, slate: int, failed: float = 0.0) -> TagRequest:
        rng = np.random.default_rng(1)
        moods = rng.uniform((-1.0, 0.0), (1.0, 1.0), (self.num_users, 2))  # away from rest
        ratings = world.ratings(self.num_users, slate, failed=failed)
        return TagRequest(
            users=who % len(world.population),
            items=np.tile(np.arange(slate) % len(world.catalog), (len(who), 1)),
            ratings=ratings[who],
            moods=moods[who],
            **world.items_and_users,
        )

    def _tag(self, model: EmotionModel, request: TagRequest) -> Ints:
        with no_error("emotion-tags", self.subject):
            answer = model.tag_batch(request)
            check_codes(answer, request.ratings, self.subject)
        return answer

    def _feel(self, model: EmotionModel, request: MoodRequest, who: Ints) -> Floats:
        with no_error("emotion-moods", self.subject):
            answer = model.feel_batch(request, draws(who, Stage.FEEL))
            check_moods(answer, request.moods, self.subject)
        return answer
