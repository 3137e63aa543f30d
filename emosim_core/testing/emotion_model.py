"""EmotionModelConformance: holds an emotion model to its contract."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.emotion_models import EmotionModel, EmotionSetting, MoodRequest, TagRequest
from emosim_core.simulation.streams import Stage
from emosim_core.testing.conformance import ComponentConformance, no_error, untouched
from emosim_core.testing.contract import hold
from emosim_core.testing.requests import arrays_of
from emosim_core.testing.worlds import SmallWorld, draws

_USERS, _SLATES = 40, (1, 3)


class EmotionModelConformance(ComponentConformance):
    """Subclass it and set ``component``; see :class:`~emosim_core.testing.conformance.ComponentConformance`."""

    kind = "emotion_model"

    def interface(self) -> type:
        return EmotionModel

    def made(self, world: SmallWorld) -> EmotionModel:
        """A new emotion model, prepared for a world."""
        model: EmotionModel = self.make()
        with no_error("emotion-tags", f"prepare() of {self.subject}"):
            model.prepare(EmotionSetting(**vars(world.setting())))
        return model

    def test_it_tags_ratings_and_takes_what_was_not_consumed(self) -> None:
        for world in self.worlds():
            for slate in _SLATES:
                self._tag(self.made(world), _tags(world, np.arange(_USERS), slate, missing=0.3))

    def test_moods_stay_in_their_range(self) -> None:
        for world in self.worlds():
            model, request = self.made(world), self._moods(world, np.arange(_USERS))
            for _ in range(20):
                request.moods = self._feel(model, request, np.arange(_USERS))

    def test_a_user_feels_the_same_alone_as_among_others(self) -> None:
        for world in self.worlds():
            everyone = np.arange(_USERS)
            codes = self._tag(self.made(world), _tags(world, everyone, 3))
            moods = self._feel(self.made(world), self._moods(world, everyone), everyone)
            for user in range(0, _USERS, 7):
                who = np.array([user])
                alone = self._tag(self.made(world), _tags(world, who, 3))
                hold("emotion-alone", np.array_equal(alone[0], codes[user]), f"user {user} is tagged otherwise.")
                mood = self._feel(self.made(world), self._moods(world, who), who)
                detail = f"user {user} feels {mood[0]} alone, {moods[user]} with others."
                hold("emotion-alone", np.array_equal(mood[0], moods[user]), detail)

    def test_it_repeats_itself(self) -> None:
        for world in self.worlds():
            everyone = np.arange(_USERS)
            model, request = self.made(world), self._moods(world, everyone)
            first, again = (self._feel(model, request, everyone) for _ in range(2))
            anew = self._feel(self.made(world), request, everyone)
            for other in (again, anew):
                hold("emotion-repeats", np.array_equal(first, other), "another mood the second time.")
            tags = [self._tag(one, _tags(world, everyone, 3)) for one in (model, model, self.made(world))]
            hold("emotion-repeats", all(np.array_equal(tags[0], one) for one in tags), "other tags the second time.")

    def test_it_changes_nothing(self) -> None:
        for world in self.worlds():
            everyone = np.arange(_USERS)
            request, moods = _tags(world, everyone, 3, missing=0.1), self._moods(world, everyone)
            with untouched("emotion-reads", arrays_of(request) | world.arrays()):
                self._tag(self.made(world), request)
            with untouched("emotion-reads", arrays_of(moods) | world.arrays()):
                self._feel(self.made(world), moods, everyone)

    def _moods(self, world: SmallWorld, who: NDArray[np.intp]) -> MoodRequest:
        """One consumed item each of users ``who``, in moods away from rest."""
        tags = _tags(world, who, 1)
        users = tags.users
        return MoodRequest(
            users=users,
            items=tags.items[:, 0],
            ratings=tags.ratings[:, 0],
            codes=self._tag(self.made(world), tags)[:, 0],
            moods=tags.moods,
            baselines=world.population.baselines[users],
            catalog=world.catalog,
            population=world.population,
            scale=world.scale,
        )

    def _tag(self, model: EmotionModel, request: TagRequest) -> NDArray[np.intp]:
        with no_error("emotion-tags", self.subject):
            answer = model.tag_batch(request)
        hold("emotion-tags", isinstance(answer, np.ndarray), f"a {type(answer).__name__}.")
        shape = request.ratings.shape
        shaped = answer.shape == shape and answer.dtype.kind in "iu"
        hold("emotion-tags", shaped, f"{answer.dtype} of the shape {answer.shape} for ratings of {shape}.")
        hold(
            "emotion-tags", bool(((answer >= 0) & (answer <= 8)).all()), f"codes from {answer.min()} to {answer.max()}."
        )
        return answer

    def _feel(self, model: EmotionModel, request: MoodRequest, who: NDArray[np.intp]) -> NDArray[np.float64]:
        with no_error("emotion-moods", self.subject):
            answer = model.feel_batch(request, draws(who, Stage.FEEL))
        hold("emotion-moods", isinstance(answer, np.ndarray), f"a {type(answer).__name__}.")
        shape = request.moods.shape
        shaped = answer.shape == shape and answer.dtype.kind == "f"
        hold("emotion-moods", shaped, f"{answer.dtype} of the shape {answer.shape} for moods of {shape}.")
        inside = bool(((answer >= (-1.0, 0.0)) & (answer <= (1.0, 1.0))).all())
        hold("emotion-moods", inside, f"moods from {answer.min(axis=0)} to {answer.max(axis=0)}.")
        return answer


def _tags(world: SmallWorld, who: NDArray[np.intp], slate: int, missing: float = 0.0) -> TagRequest:
    """Ratings of the users ``who``, each with a mood of their own, whoever else is there."""
    rng = np.random.default_rng(1)
    moods = rng.uniform((-1.0, 0.0), (1.0, 1.0), (_USERS, 2))
    ratings = world.ratings(_USERS, slate, failed=missing)
    return TagRequest(
        users=who % len(world.population),
        items=np.tile(np.arange(slate) % len(world.catalog), (len(who), 1)),
        ratings=ratings[who],
        moods=moods[who],
        catalog=world.catalog,
        population=world.population,
        scale=world.scale,
    )
