"""Emotion: the tags that a rating leaves behind, and the mood that they push."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from emosim_core.model.arrays import Floats, Ints
from emosim_core.model.frozen import Frozen, option
from emosim_core.model.scale import RatingScale

VALENCE_NAMES = ("negative", "neutral", "positive")
"""Names of the valence levels, for valence -1, 0 and 1."""

AROUSAL_NAMES = ("low", "medium", "high")
"""Names of the arousal levels, for arousal 0, 0.5 and 1."""


_OfTen = Annotated[float, Field(ge=1, le=10, json_schema_extra={"unit": "rating"})]
_Gain = Annotated[float, Field(ge=0, le=1, json_schema_extra={"unit": "fraction"})]


class EmotionThresholds(Frozen):
    """Where a rating becomes an emotion, on 1 to 10; other scales by relative position.

    Source: EmoSim-RL.
    """

    positive: _OfTen = option(7.0, "Valence is positive from this rating on, on a scale of 1 to 10.")
    negative: _OfTen = option(4.0, "Valence is negative up to this rating, on a scale of 1 to 10.")
    high: _OfTen = option(8.0, "Arousal is high from this rating on, on a scale of 1 to 10.")
    low: _OfTen = option(3.0, "Arousal is low up to this rating, on a scale of 1 to 10.")

    @model_validator(mode="after")
    def _ordered(self) -> EmotionThresholds:
        if self.negative >= self.positive:
            raise ValueError(f"negative ({self.negative}) must lie below positive ({self.positive})")
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must lie below high ({self.high})")
        return self


class MoodOptions(Frozen):
    """How a mood moves (EmoSim-RL).

    After each interaction the mood first decays towards the user's baseline,
    ``m <- base + (m - base) * 2 ** (-1 / half_life)``, and is then pulled towards the tag of the
    rating, ``m <- m + gain * (tag - m)``. Both are convex, so the mood never leaves its range. A surprise is added
    last, within the range.
    """

    half_life: float = option(5.0, "Half-life of the deviation of a mood from its baseline.", gt=0, unit="items")
    valence_gain: _Gain = option(0.25, "Gain of one valence tag.")
    arousal_gain: _Gain = option(0.25, "Gain of one arousal tag.")
    surprise: float = option(
        0.0,
        "Valence for a rating that is the whole scale above what interest had promised, and off for one as far below; "
        "0 for none. Only with a choice model that comes before rating.",
        ge=0,
        le=2,
    )


class Emotion:
    """Tags and moods on one rating scale, to which the thresholds are carried, over whole arrays."""

    def __init__(
        self, scale: RatingScale, thresholds: EmotionThresholds | None = None, mood: MoodOptions | None = None
    ) -> None:
        t, mood = thresholds or EmotionThresholds(), mood or MoodOptions()
        positive, negative, high, low = map(scale.carry, (t.positive, t.negative, t.high, t.low))
        edges = sorted([positive, high, np.nextafter(negative, np.inf), np.nextafter(low, np.inf)])
        starts = np.array([-np.inf, *edges])
        valence = 1 + (starts >= positive).astype(np.intp) - (starts <= negative)
        arousal = 1 + (starts >= high).astype(np.intp) - (starts <= low)
        self._edges, self._codes = np.array(edges), 3 * valence + arousal
        self._keep = 2.0 ** (-1.0 / mood.half_life)
        self._gain = np.array([mood.valence_gain, mood.arousal_gain])

    @property
    def constants(self) -> tuple[Floats, Ints, float, Floats, Floats]:
        """Edges between codes, the codes, the share of a mood that is kept, gains, and tags by code: for kernels."""
        return self._edges, self._codes, self._keep, self._gain, _CODE_TAGS

    def code(self, ratings: ArrayLike) -> Ints:
        """The tags as one number, ``3 * (valence + 1) + 2 * arousal``, 0 to 8; same shape as ``ratings``."""
        return self._codes.take(self._edges.searchsorted(np.asarray(ratings, dtype=np.float64), side="right"))

    def valence(self, ratings: ArrayLike) -> Floats:
        """Valence tags, -1, 0 or 1; same shape as ``ratings``."""
        return CODE_VALENCE[self.code(ratings)]

    def arousal(self, ratings: ArrayLike) -> Floats:
        """Arousal tags, 0, 0.5 or 1; same shape as ``ratings``."""
        return CODE_AROUSAL[self.code(ratings)]

    def feel(self, mood: Floats, baseline: Floats, codes: Ints) -> Floats:
        """The moods after one interaction each, shape ``(B, 2)``; valence in [-1, 1], arousal in [0, 1].

        Args:
            mood: the moods now, shape ``(B, 2)``.
            baseline: where each mood rests, shape ``(B, 2)``.
            codes: tags of the interactions, see :meth:`code`, shape ``(B,)``.
        """
        rested = baseline + (mood - baseline) * self._keep
        rested += self._gain * (_CODE_TAGS[codes] - rested)
        return rested


CODE_VALENCE: Floats = np.repeat([-1.0, 0.0, 1.0], 3)
"""Valence of each emotion code; shape ``(9,)``."""

CODE_AROUSAL: Floats = np.tile([0.0, 0.5, 1.0], 3)
"""Arousal of each emotion code; shape ``(9,)``."""

NEUTRAL = 4
"""The code of a neutral valence and a medium arousal."""


def code_of(valence: float, arousal: float) -> int:
    """Tags as one number: a valence of -1, 0 or 1 and an arousal of 0, 0.5 or 1; ValueError for any other."""
    if valence not in (-1, 0, 1) or arousal not in (0, 0.5, 1):
        raise ValueError(f"a tag is a valence of -1, 0 or 1 and an arousal of 0, 0.5 or 1, got {valence} and {arousal}")
    return int(3 * (valence + 1) + 2 * arousal)


_CODE_TAGS = np.stack([CODE_VALENCE, CODE_AROUSAL], axis=1)


def describe_mood(valence: float, arousal: float) -> str:
    """A mood in a word or two, from the circumplex of affect (Russell, 1980)."""
    if abs(valence) < 0.15:
        return "alert" if arousal >= 0.6 else "calm" if arousal < 0.35 else "even-tempered"
    if valence > 0:
        return "delighted" if arousal >= 0.6 else "content" if arousal < 0.35 else "pleased"
    return "annoyed" if arousal >= 0.6 else "bored" if arousal < 0.35 else "let down"
