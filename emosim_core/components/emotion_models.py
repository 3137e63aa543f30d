"""Emotion models: the emotion that a rating evokes, and how it moves the mood."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.base import Draws, WorldSetting
from emosim_core.errors import PluginError
from emosim_core.model import Catalog, Emotion, EmotionThresholds, Item, MoodOptions, Population, RatingScale, User
from emosim_core.model.emotion import CODE_AROUSAL, CODE_VALENCE, NEUTRAL, code_of


@dataclass(frozen=True, kw_only=True)
class EmotionSetting(WorldSetting):
    """The world that an emotion model answers in, and the configuration's tables ``[emotion]`` and ``[mood]``.

    Attributes:
        thresholds: the ratings at which tags change.
        mood: the mood dynamics.
    """

    thresholds: EmotionThresholds = field(default_factory=EmotionThresholds)
    mood: MoodOptions = field(default_factory=MoodOptions)


@dataclass(slots=True, kw_only=True)
class TagRequest:
    """What an emotion model is handed to tag: the ratings of R users for S items each.

    Attributes:
        users: index of each user in ``population``, shape ``(R,)``.
        items: index of each item in ``catalog``, shape ``(R, S)``.
        ratings: ratings after perturbation, shape ``(R, S)``; NaN where not consumed.
        moods: valence and arousal before the step, shape ``(R, 2)``.
        catalog: the items.
        population: the users.
        scale: the rating scale.
    """

    users: NDArray[np.intp]
    items: NDArray[np.intp]
    ratings: NDArray[np.float64]
    moods: NDArray[np.float64]
    catalog: Catalog
    population: Population
    scale: RatingScale


@dataclass(frozen=True, kw_only=True)
class TagSituation:
    """What an emotion model in its single form is handed to tag: one user's rating of one consumed item.

    Attributes:
        user: the user.
        item: the item.
        rating: the rating after perturbation.
        valence: the mood's valence before the step, -1 to 1.
        arousal: the mood's arousal before the step, 0 to 1.
        scale: the rating scale.
    """

    user: User
    item: Item
    rating: float
    valence: float
    arousal: float
    scale: RatingScale


@dataclass(slots=True, kw_only=True)
class MoodRequest:
    """What an emotion model is handed to move moods: one consumed item each of R users.

    Attributes:
        users: index of each user in ``population``, shape ``(R,)``.
        items: index of each item in ``catalog``, shape ``(R,)``.
        ratings: ratings after perturbation, shape ``(R,)``.
        codes: tags of the ratings, ``3 * (valence + 1) + 2 * arousal``, 0 to 8, shape ``(R,)``.
        moods: valence and arousal now, shape ``(R, 2)``.
        baselines: valence and arousal at rest, shape ``(R, 2)``.
        catalog: the items.
        population: the users.
        scale: the rating scale.
    """

    users: NDArray[np.intp]
    items: NDArray[np.intp]
    ratings: NDArray[np.float64]
    codes: NDArray[np.intp]
    moods: NDArray[np.float64]
    baselines: NDArray[np.float64]
    catalog: Catalog
    population: Population
    scale: RatingScale


@dataclass(frozen=True, kw_only=True)
class MoodSituation:
    """What an emotion model in its single form is handed to move a mood: one item that one user consumed.

    Attributes:
        user: the user; ``baseline_valence`` and ``baseline_arousal`` are the mood at rest.
        item: the item.
        rating: the rating after perturbation.
        tag_valence: the rating's valence: -1, 0 or 1.
        tag_arousal: the rating's arousal: 0, 0.5 or 1.
        valence: the mood's valence now, -1 to 1.
        arousal: the mood's arousal now, 0 to 1.
        scale: the rating scale.
    """

    user: User
    item: Item
    rating: float
    tag_valence: float
    tag_arousal: float
    valence: float
    arousal: float
    scale: RatingScale


class EmotionModel:
    """Tags each rating with an emotion, and moves the mood after each consumed item."""

    def prepare(self, setting: EmotionSetting) -> None:
        """Called once before the first step; nothing by default."""

    def tag(self, situation: TagSituation) -> tuple[float, float]:
        """For one rating: its valence, -1, 0 or 1, and its arousal, 0, 0.5 or 1."""
        raise NotImplementedError(f"{type(self).__name__} implements neither tag nor tag_batch")

    def tag_batch(self, request: TagRequest) -> NDArray[np.intp]:
        """For a batch: tags as codes, ``3 * (valence + 1) + 2 * arousal``, 0 to 8, shape ``(R, S)``.

        Codes of ratings that are NaN are ignored.
        """
        items, users = request.catalog.items, request.population.users
        codes = np.full(request.ratings.shape, NEUTRAL, dtype=np.intp)
        for row, place in np.argwhere(~np.isnan(request.ratings)).tolist():
            tags = self.tag(
                TagSituation(
                    user=users[int(request.users[row])],
                    item=items[int(request.items[row, place])],
                    rating=float(request.ratings[row, place]),
                    valence=float(request.moods[row, 0]),
                    arousal=float(request.moods[row, 1]),
                    scale=request.scale,
                )
            )
            codes[row, place] = code_of(*_pair(self, "tag", tags))
        return codes

    def feel(self, situation: MoodSituation, rng: np.random.Generator) -> tuple[float, float]:
        """For one consumed item: the new mood, valence in [-1, 1] and arousal in [0, 1]."""
        raise NotImplementedError(f"{type(self).__name__} implements neither feel nor feel_batch")

    def feel_batch(self, request: MoodRequest, draws: Draws) -> NDArray[np.float64]:
        """For a batch: the new moods, shape ``(R, 2)``; valence in [-1, 1], arousal in [0, 1].

        With a slate it is called once for each place of it, with the users who consumed the item there.
        """
        items, users = request.catalog.items, request.population.users
        moods = np.empty(request.moods.shape)
        for row, user in enumerate(request.users.tolist()):
            mood = self.feel(
                MoodSituation(
                    user=users[user],
                    item=items[int(request.items[row])],
                    rating=float(request.ratings[row]),
                    tag_valence=float(CODE_VALENCE[request.codes[row]]),
                    tag_arousal=float(CODE_AROUSAL[request.codes[row]]),
                    valence=float(request.moods[row, 0]),
                    arousal=float(request.moods[row, 1]),
                    scale=request.scale,
                ),
                draws.generator(row),
            )
            moods[row] = _pair(self, "feel", mood)
        return moods


def _pair(model: EmotionModel, form: str, answer: object) -> tuple[float, float]:
    """A valence and an arousal, as a single form answered them.

    Raises:
        PluginError: the answer is something else.
    """
    if isinstance(answer, tuple) and len(answer) == 2 and all(isinstance(one, Real) for one in answer):
        return answer
    raise PluginError(f"{type(model).__name__}.{form} answered {answer!r}; expected a pair (valence, arousal)")


class ValenceArousal(EmotionModel):
    """Tags by thresholds on the rating; a mood that decays to its baseline and is pulled to each tag (EmoSim-RL).

    The thresholds and the dynamics are those of the configuration's ``[emotion]`` and ``[mood]``; the formulas are
    those of :class:`~emosim_core.model.emotion.Emotion`.
    """

    def prepare(self, setting: EmotionSetting) -> None:
        """Carry the thresholds to the domain's scale."""
        self._emotion = Emotion(setting.scale, setting.thresholds, setting.mood)

    def tag_batch(self, request: TagRequest) -> NDArray[np.intp]:
        """The tags of the ratings alone."""
        return self._emotion.code(request.ratings)

    def feel_batch(self, request: MoodRequest, draws: Draws) -> NDArray[np.float64]:
        """Decay, then pull; draws nothing."""
        return self._emotion.feel(request.moods, request.baselines, request.codes)
