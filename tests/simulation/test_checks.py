"""What a component answers in a run is checked: each wrong answer is refused with its rule and the component's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from emosim_core.components.base import Perturbator, Rater, Ratings, Retrieval, RewardShaping, Selector
from emosim_core.components.emotion_models import EmotionModel
from emosim_core.components.observations import ObservationModel
from emosim_core.errors import WrongAnswerError
from emosim_core.model import Emotion
from emosim_core.simulation import checks
from emosim_core.simulation.assembly import World
from emosim_core.simulation.engine import Engine
from emosim_core.testing.contract import RULES
from emosim_core.testing.worlds import TEN, small_world

Check = Callable[[Any], None]

ITEMS = np.array([[3, 5], [0, 1], [2, 2]])
HISTORY = small_world().memories(3, longest=4).history()
"""Of users who remember 0, 1 and some interactions."""

RATED = np.array([[1.0, np.nan], [5.0, 10.0], [7.0, 2.0]])
MOODS = np.array([[-1.0, 0.0], [0.0, 0.5], [1.0, 1.0]])
CONSUMED = np.array([[True, False], [True, True], [False, False]])
PARTS = {"step": spaces.Box(0, 9, (1,), np.int64), "mood": spaces.Box(-1, 1, (2,), np.float32)}
SEEN = {"step": np.zeros((3, 1), np.int64), "mood": np.zeros((3, 2), np.float32)}


def positions(answer: Any) -> None:
    checks.check_positions(answer, ITEMS, HISTORY, "it")


def ratings(answer: Any) -> None:
    checks.check_ratings(answer, ITEMS, TEN, "it")


def consumed(answer: Any) -> None:
    checks.check_consumed(answer, RATED, "it")


def perturbed(answer: Any) -> None:
    checks.check_perturbed(answer, RATED, "it")


def codes(answer: Any) -> None:
    checks.check_codes(answer, RATED, "it")


def moods(answer: Any) -> None:
    checks.check_moods(answer, MOODS, "it")


def parts(answer: Any) -> None:
    checks.check_parts(answer, "it")


def observed(answer: Any) -> None:
    checks.check_observed(answer, PARTS, 3, "it")


def shaped(answer: Any) -> None:
    checks.check_shaped(answer, CONSUMED, 2, "it")


ENDS = np.array([0, 1, 2])
NOTHING = np.full((3, 2, 1), -1)


def changed(array: Any, place: Any, value: Any) -> Any:
    """A copy of an array with one other entry."""
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (positions, NOTHING),
        (positions, changed(NOTHING, (1, 0, 0), 0)),
        (positions, np.zeros((3, 2, 0), dtype=np.int32)),
        (ratings, Ratings(RATED)),
        (consumed, CONSUMED),
        (perturbed, RATED),
        (perturbed, np.ones((3, 2), dtype=np.int64)),
        (perturbed, RATED + 1000),  # the engine brings it onto the scale
        (codes, np.array([[0, 8], [4, 4], [1, 2]], dtype=np.uint8)),
        (moods, MOODS),
        (parts, PARTS),
        (observed, SEEN),
        (observed, {**SEEN, "more": 1}),
        (shaped, (RATED, ENDS)),  # NaN where nothing was consumed
        (shaped, (np.zeros((3, 2), dtype=int), ENDS)),
    ],
)
def test_an_answer_that_is_what_the_interface_says_passes(check: Check, answer: Any) -> None:
    check(answer)


@pytest.mark.parametrize(
    ("check", "answer", "rule", "message"),
    [
        (positions, NOTHING.tolist(), "retrieval-shape", "it answered a list, not an array"),
        (
            positions,
            NOTHING[:, :, 0],
            "retrieval-shape",
            "it answered int64 of the shape (3, 2); expected whole numbers of the shape (3, 2, any)",
        ),
        (positions, NOTHING[:2], "retrieval-shape", "it answered int64 of the shape (2, 2, 1); expected whole "),
        (positions, NOTHING * 1.0, "retrieval-shape", "it answered float64 of the shape (3, 2, 1); expected whole "),
        (positions, changed(NOTHING, (1, 0, 0), 1), "retrieval-range", "it answered the position 1 in a history of 1"),
        (positions, changed(NOTHING, (0, 1, 0), 0), "retrieval-range", "it answered the position 0 in a history of 0"),
        (positions, changed(NOTHING, (1, 1, 0), -2), "retrieval-range", "it answered the position -2 in a history "),
        (ratings, RATED, "rater-shape", "it answered a ndarray, not Ratings"),
        (ratings, Ratings(RATED[:, 0]), "rater-shape", "it answered float64 of the shape (3,); expected floating-poin"),
        (ratings, Ratings(np.ones((3, 2), int)), "rater-shape", "it answered int64 of the shape (3, 2); expected floa"),
        (
            ratings,
            Ratings(changed(RATED, (1, 1), 5.5)),
            "rater-scale",
            "it rated 5.5, which is no rating of the scale ",
        ),
        (
            ratings,
            Ratings(changed(RATED, (2, 0), 11)),
            "rater-scale",
            "it rated 11.0, which is no rating of the scale ",
        ),
        (consumed, CONSUMED * 1, "selector-shape", "it answered int64 of the shape (3, 2); expected booleans of the "),
        (consumed, CONSUMED[:, :1], "selector-shape", "it answered bool of the shape (3, 1); expected booleans of the"),
        (
            perturbed,
            RATED[:, 0],
            "perturbator-shape",
            "it answered float64 of the shape (3,); expected numbers of the ",
        ),
        (perturbed, CONSUMED, "perturbator-shape", "it answered bool of the shape (3, 2); expected numbers of the sha"),
        (perturbed, changed(RATED, (1, 0), np.nan), "perturbator-finite", "it made a rating that is no finite number"),
        (perturbed, changed(RATED, (2, 1), np.inf), "perturbator-finite", "it made a rating that is no finite number"),
        (codes, RATED, "emotion-tags", "it answered float64 of the shape (3, 2); expected whole numbers of the shape "),
        (codes, np.full((3, 2), 9), "emotion-tags", "it tagged a rating with the code 9; codes are 0 to 8"),
        (codes, changed(ITEMS, (2, 0), -1), "emotion-tags", "it tagged a rating with the code -1; codes are 0 to 8"),
        (
            moods,
            MOODS[:, 0],
            "emotion-moods",
            "it answered float64 of the shape (3,); expected floating-point numbers ",
        ),
        (moods, changed(MOODS, (2, 0), 1.1), "emotion-moods", "it made a mood of valence 1.1 and arousal 1.0; they li"),
        (moods, changed(MOODS, (0, 0), -1.1), "emotion-moods", "it made a mood of valence -1.1 and arousal 0.0; they "),
        (moods, changed(MOODS, (0, 1), -0.1), "emotion-moods", "it made a mood of valence -1.0 and arousal -0.1; they"),
        (moods, changed(MOODS, (1, 1), 1.2), "emotion-moods", "it made a mood of valence 0.0 and arousal 1.2; they li"),
        (moods, changed(MOODS, (1, 1), np.nan), "emotion-moods", "it made a mood of valence 0.0 and arousal nan; they"),
        (parts, {}, "observation-space", "it: space() returned a dict; expected a mapping of parts to spaces"),
        (parts, [PARTS["step"]], "observation-space", "it: space() returned a list; expected a mapping of parts to sp"),
        (parts, {"step": 3}, "observation-space", "it: space() has a int for 'step'; expected a Gymnasium space"),
        (observed, None, "observation-shape", "it answered a NoneType, not a mapping of parts to arrays"),
        (observed, {"step": SEEN["step"]}, "observation-shape", "it leaves out 'mood', which its space has"),
        (
            observed,
            {**SEEN, "step": SEEN["step"] * 1.0},
            "observation-shape",
            "it observes 'step' as float64 of the shape (3, 1); its space has int64 of the shape (3, 1)",
        ),
        (observed, {**SEEN, "mood": SEEN["mood"][:2]}, "observation-shape", "it observes 'mood' as float32 of the sha"),
        (
            observed,
            {**SEEN, "mood": [0.0]},
            "observation-shape",
            "it observes 'mood' as a list; its space has float32 ",
        ),
        (shaped, RATED, "shaping-shape", "it answered a ndarray, not rewards and codes of end reasons"),
        (shaped, (RATED, ENDS, ENDS), "shaping-shape", "it answered a tuple, not rewards and codes of end reasons"),
        (
            shaped,
            (RATED[:, 0], ENDS),
            "shaping-shape",
            "it answered float64 of the shape (3,); expected numbers of the",
        ),
        (shaped, (RATED, ENDS[:2]), "shaping-shape", "it answered int64 of the shape (2,); expected whole numbers of "),
        (
            shaped,
            (RATED, ENDS > 0),
            "shaping-shape",
            "it answered bool of the shape (3,); expected whole numbers of th",
        ),
        (shaped, (changed(RATED, (1, 1), np.nan), ENDS), "shaping-finite", "it made a reward that is no finite number"),
        (
            shaped,
            (RATED, ENDS + 1),
            "shaping-end-reasons",
            "it ended an episode with the code 3; it names 2 end reasons",
        ),
        (
            shaped,
            (RATED, ENDS - 1),
            "shaping-end-reasons",
            "it ended an episode with the code -1; it names 2 end reasons",
        ),
    ],
)
def test_an_answer_that_is_something_else_is_refused_with_its_rule(
    check: Check, answer: Any, rule: str, message: str
) -> None:
    with pytest.raises(WrongAnswerError) as error:
        check(answer)
    assert str(error.value).startswith(message)
    assert error.value.rule == rule
    assert rule in RULES


class Wrong:
    """Components that answer something else than their interfaces say, by kind."""

    class retrieval(Retrieval):
        def retrieve_batch(self, request: Any) -> Any:
            return request.history.lengths[:, None, None] + np.zeros((*request.items.shape, 1), dtype=np.intp)

    class rater(Rater):
        def rate_batch(self, request: Any, draws: Any) -> Any:
            return Ratings(np.full(request.items.shape, 0.5))

    class selector(Selector):
        def select_batch(self, request: Any, draws: Any) -> Any:
            return np.ones(request.items.shape)

    class perturbator(Perturbator):
        def perturb_batch(self, request: Any, draws: Any) -> Any:
            request.ratings[:] = np.nan  # not what the rater said
            return request.ratings

    class reward_shaping(RewardShaping):
        def shape_batch(self, request: Any, draws: Any) -> Any:
            return request.ratings, np.full(len(request.rows), 2)

    class emotion_model(EmotionModel):
        def tag_batch(self, request: Any) -> Any:
            return Emotion(request.scale).code(request.ratings)

        def feel_batch(self, request: Any, draws: Any) -> Any:
            return request.moods + 5

    class observation(ObservationModel):
        def space(self, setting: Any) -> Any:
            return {"step": spaces.Box(0, 100, (1,), np.int64)}

        def observe_batch(self, request: Any) -> Any:
            return {"step": request.steps}


@pytest.mark.parametrize(
    "kind",
    ["retrieval", "rater", "selector", "perturbator", "reward_shaping", "emotion_model", "observation"],
)
def test_a_run_stops_at_a_wrong_answer_and_names_the_component(small_world: Callable[..., World], kind: str) -> None:
    engine = Engine(small_world(parts={kind: getattr(Wrong, kind)()}), 2)
    engine.begin(engine.all_rows, [1, 2], [0, 0], [0, 1])
    with pytest.raises(WrongAnswerError, match=rf" {kind}, put in by hand,"):
        engine.observe() if kind == "observation" else engine.step([[1], [2]])
