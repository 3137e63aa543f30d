"""Emotion models: the single form of a third party answers for a batch, and a wrong answer is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from emosim_core.components.base import Draws
from emosim_core.components.emotion_models import EmotionModel, MoodRequest, MoodSituation, TagRequest, TagSituation
from emosim_core.errors import WrongAnswerError
from emosim_core.model import Catalog, Item, Population, RatingScale, User

MakeDraws = Callable[..., Draws]
SCALE = RatingScale(low=1, high=10)
CATALOG = Catalog([Item(id=f"i{n}", title=f"Item {n}") for n in range(4)], SCALE)
PEOPLE = Population([User(id=f"u{n}", name="x", baseline_valence=0.1 * n) for n in range(3)])
ABOUT: dict[str, Any] = {"users": np.arange(3), "catalog": CATALOG, "population": PEOPLE, "scale": SCALE}
MOODS = np.array([[0.0, 0.4], [0.5, 0.4], [-0.5, 0.4]])


def tags(ratings: Any) -> TagRequest:
    items = np.array([[0, 1], [2, 3], [3, 0]])
    return TagRequest(**ABOUT, items=items, moods=MOODS, ratings=np.array(ratings, dtype=np.float64))


def moods() -> MoodRequest:
    ratings, codes = np.array([2.0, 6.0, 9.0]), np.array([0, 4, 8])
    rest = PEOPLE.baselines
    return MoodRequest(**ABOUT, items=np.array([1, 2, 3]), moods=MOODS, ratings=ratings, codes=codes, baselines=rest)


class ByTitle(EmotionModel):
    """Glad about good ratings and excited by late items; moods jump to what was felt."""

    def tag(self, situation: TagSituation) -> tuple[float, float]:
        return (1.0 if situation.rating > 5 else -1.0), (1.0 if situation.item.id == "i3" else 0.0)

    def feel(self, situation: MoodSituation, rng: np.random.Generator) -> tuple[float, float]:
        return situation.tag_valence * situation.rating / 10, situation.tag_arousal


def test_the_single_form_tags_what_was_consumed_and_nothing_else() -> None:
    codes = ByTitle().tag_batch(tags([[9.0, np.nan], [3.0, 8.0], [np.nan, 2.0]]))
    consumed = [codes[0, 0], codes[1, 0], codes[1, 1], codes[2, 1]]
    assert consumed == [6, 0, 8, 0]


def test_the_single_form_moves_the_mood_of_each(draws: MakeDraws) -> None:
    after = ByTitle().feel_batch(moods(), draws(3))
    assert after == pytest.approx(np.array([[-0.2, 0.0], [0.0, 0.5], [0.9, 1.0]]))


@pytest.mark.parametrize("answer", [0.5, (1.0,), ("glad", 1.0), [1.0, 0.0], None])
def test_what_is_no_pair_is_a_wrong_answer(answer: Any, draws: MakeDraws) -> None:
    class Wrong(EmotionModel):
        def tag(self, situation: TagSituation) -> Any:
            return answer

        def feel(self, situation: MoodSituation, rng: np.random.Generator) -> Any:
            return answer

    with pytest.raises(WrongAnswerError, match=r"Wrong\.tag") as tagged:
        Wrong().tag_batch(tags([[9.0, 1.0]] * 3))
    assert tagged.value.rule == "emotion-tags"
    with pytest.raises(WrongAnswerError, match=r"Wrong\.feel") as felt:
        Wrong().feel_batch(moods(), draws(3))
    assert felt.value.rule == "emotion-moods"


def test_a_model_without_a_form_says_so(draws: MakeDraws) -> None:
    with pytest.raises(NotImplementedError, match="neither tag nor tag_batch"):
        EmotionModel().tag_batch(tags([[9.0, 1.0]] * 3))
    with pytest.raises(NotImplementedError, match="neither feel nor feel_batch"):
        EmotionModel().feel_batch(moods(), draws(3))
