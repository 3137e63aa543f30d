"""Emotion models: the emotion that a rating evokes, and how it moves the mood."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from emosim_core.components.answers import wrong
from emosim_core.components.base import Draws, ItemSituation, RatedRequest, WorldSetting, item_of
from emosim_core.model import Emotion, EmotionThresholds, MoodOptions
from emosim_core.model.emotion import CODE_AROUSAL, CODE_VALENCE, NEUTRAL, code_of


@dataclass(frozen=True, kw_only=True)
class EmotionSetting(WorldSetting):
    """The world that an emotion model answers in, and the configuration's tables ``[emotion]`` and ``[mood]``."""

    thresholds: EmotionThresholds = field(default_factory=EmotionThresholds)
    mood: MoodOptions = field(default_factory=MoodOptions)


@dataclass(slots=True, kw_only=True)
class TagRequest(RatedRequest):
    """What an emotion model is handed to tag: ratings after perturbation, NaN where not consumed."""


@dataclass(frozen=True, kw_only=True)
class TagSituation(ItemSituation):
    """What an emotion model in its single form is handed to tag: one consumed item's rating after perturbation."""

    rating: float


@dataclass(slots=True, kw_only=True)
class MoodRequest(RatedRequest):
    """What an emotion model is handed to move moods: one consumed item each of R users.

    Here ``items`` and ``ratings``, those after perturbation, have the shape ``(R,)``, and ``moods`` are those now.

    Attributes:
        codes: tags of the ratings, 0 to 8, see :meth:`~EmotionModel.tag_batch`, shape ``(R,)``.
        baselines: valence and arousal at rest, shape ``(R, 2)``.
    """

    codes: NDArray[np.intp]
    baselines: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class MoodSituation(ItemSituation):
    """What an emotion model in its single form is handed to move a mood: one item that one user consumed.

    ``rating`` is that after perturbation; its tags are a valence of -1, 0 or 1 and an arousal of 0, 0.5 or 1.
    """

    rating: float
    tag_valence: float
    tag_arousal: float


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
        codes = np.full(request.ratings.shape, NEUTRAL, dtype=np.intp)
        for row, place in np.argwhere(~np.isnan(request.ratings)).tolist():
            about = item_of(request, row, int(request.items[row, place]))
            tags = self.tag(TagSituation(**about, rating=float(request.ratings[row, place])))
            codes[row, place] = code_of(*_pair(self, "tag", tags, "emotion-tags"))
        return codes

    def feel(self, situation: MoodSituation, rng: np.random.Generator) -> tuple[float, float]:
        """For one consumed item: the new mood, valence in [-1, 1] and arousal in [0, 1]."""
        raise NotImplementedError(f"{type(self).__name__} implements neither feel nor feel_batch")

    def feel_batch(self, request: MoodRequest, draws: Draws) -> NDArray[np.float64]:
        """For a batch, once for the first item that each user consumes of a slate, once for the second, and so on.

        Returns:
            The new moods, shape ``(R, 2)``.
        """
        moods = np.empty(request.moods.shape)
        for row, item in enumerate(request.items.tolist()):
            situation = MoodSituation(
                **item_of(request, row, item),
                rating=float(request.ratings[row]),
                tag_valence=float(CODE_VALENCE[request.codes[row]]),
                tag_arousal=float(CODE_AROUSAL[request.codes[row]]),
            )
            moods[row] = _pair(self, "feel", self.feel(situation, draws.generator(row)), "emotion-moods")
        return moods


def _pair(model: EmotionModel, form: str, answer: object, rule: str) -> tuple[float, float]:
    """A valence and an arousal, as a single form answered them; WrongAnswerError for anything else."""
    if isinstance(answer, tuple) and len(answer) == 2 and all(isinstance(one, Real) for one in answer):
        return answer
    raise wrong(f"{type(model).__name__}.{form}", answer, "a pair (valence, arousal)", rule)


class ValenceArousal(EmotionModel):
    """Tags by thresholds on the rating; a mood that decays to its baseline and is pulled to each tag (EmoSim-RL).

    The thresholds and the dynamics are those of the configuration's ``[emotion]`` and ``[mood]``; the formulas are
    those of :class:`~emosim_core.model.emotion.Emotion`.
    """

    def prepare(self, setting: EmotionSetting) -> None:
        """Carry the thresholds to the domain's scale."""
        self._emotion = Emotion(setting.scale, setting.thresholds, setting.mood)
        self.constants = self._emotion.constants

    def tag_batch(self, request: TagRequest) -> NDArray[np.intp]:
        """The tags of the ratings alone."""
        return self._emotion.code(request.ratings)

    def feel_batch(self, request: MoodRequest, draws: Draws) -> NDArray[np.float64]:
        """Decay, then pull; draws nothing."""
        return self._emotion.feel(request.moods, request.baselines, request.codes)
