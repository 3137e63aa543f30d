"""Options of the built-in components: bounds that are part of them, and defaults, on which all results depend."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from emosim_core.components.choice import CascadeOptions, ChoiceLogitOptions, PositionOptions
from emosim_core.components.fitted import FittedOptions
from emosim_core.components.fitted_users import FittedUsersOptions
from emosim_core.components.mixture import MixOptions
from emosim_core.components.observations import PartsOptions
from emosim_core.components.perturbation import GaussianOptions, GreedyOptions
from emosim_core.components.retrieval import CountOptions, DecayEmotionOptions
from emosim_core.components.rule_based import RECORDED_USERS, RuleBasedOptions
from emosim_core.components.selection import LogitOptions, ProbabilisticOptions
from emosim_core.components.shaping import ChurnOptions, RepeatOptions

TINY = 1e-9
Model = type[BaseModel]
BOUNDS: list[tuple[Model, str, list[float], list[float]]] = [
    (GaussianOptions, "sd", [0, 9], [-TINY]),
    (GreedyOptions, "p", [0, 0.5], [-TINY, 0.5 + TINY]),
    (ProbabilisticOptions, "p", [0, 1], [-TINY, 1 + TINY]),
    (LogitOptions, "temperature", [TINY], [0]),
    (RepeatOptions, "q", [TINY, 1], [0, 1 + TINY]),
    (ChurnOptions, "alpha", [TINY, 1], [0, 1 + TINY]),
    (ChurnOptions, "threshold", [1, 10], [1 - TINY, 10 + 1e-6]),
    (ChurnOptions, "low_streak", [1], [0]),
    (ChurnOptions, "min_steps", [1], [0]),
    (ChurnOptions, "rate", [0, 99], [-TINY]),
    (ChurnOptions, "recovery", [0, 1], [-TINY, 1 + TINY]),
    (CountOptions, "k", [1], [0]),
    (DecayEmotionOptions, "time_decay", [0, 9], [-TINY]),
    (DecayEmotionOptions, "emotion_bonus", [0, 9], [-TINY]),
    *[(one, "sensitivity", [TINY], [0]) for one in (PositionOptions, CascadeOptions, ChoiceLogitOptions)],
    (CascadeOptions, "boredom", [0], [-TINY]),
    (CascadeOptions, "patience", [0, 1], [-1]),
    (CascadeOptions, "persistence", [0, 1], [-TINY, 1 + TINY]),
    *[(one, "eta", [0, 9], [-TINY]) for one in (PositionOptions, ChoiceLogitOptions)],
    (RuleBasedOptions, "start", [1, 10], [1 - 1e-6, 10 + 1e-6]),
    *[(RuleBasedOptions, one, [0, 99], [-TINY]) for one in ("liked", "disliked", "leniency", "boredom", "noise")],
    (RuleBasedOptions, "memory", [0, 0.999], [-TINY, 1]),
    (RuleBasedOptions, "similarity", [0, 1], [-TINY, 1 + TINY]),
    (FittedOptions, "memory", [0, 1 - TINY], [-TINY, 1]),
    *[(FittedOptions, one, [0], [-TINY]) for one in ("boredom", "noise")],
    (FittedOptions, "seed", [0], [-1]),
]


@pytest.mark.parametrize(("model", "name", "right", "wrong"), BOUNDS, ids=lambda one: getattr(one, "__name__", one))
def test_an_option_takes_what_is_within_its_bounds_and_nothing_else(
    model: Model, name: str, right: list[float], wrong: list[float]
) -> None:
    for value in right:
        assert getattr(model(**{name: value}), name) == value
    for value in wrong:
        with pytest.raises(ValidationError, match=name):
            model(**{name: value})


def test_bounds_of_options_that_stand_beside_one_that_is_needed() -> None:
    raters = {"raters": "rule_based=1"}
    assert MixOptions.model_validate({**raters, "seed": 0}).seed == 0
    for most in (1, 999_999_999):
        assert FittedUsersOptions.model_validate({"path": "here", "count": most}).count == most
    for end in (0, 10**18 - 1):
        assert FittedUsersOptions.model_validate({"path": "here", "seed": end}).seed == end
    for model, wrong in (
        (MixOptions, {**raters, "seed": -1}),
        *((FittedUsersOptions, {"path": "here", "count": count}) for count in (0, 10**9)),
        *((FittedUsersOptions, {"path": "here", "seed": seed}) for seed in (-1, 10**18)),
    ):
        with pytest.raises(ValidationError):
            model.model_validate(wrong)


DEFAULTS: list[tuple[Model, dict[str, Any]]] = [
    (GaussianOptions, {"sd": 0.5}),
    (GreedyOptions, {"p": 0.1}),
    (ProbabilisticOptions, {"p": 0.9}),
    (LogitOptions, {"temperature": 1.0, "no_choice": 5.0}),
    (RepeatOptions, {"q": 0.1}),
    (
        ChurnOptions,
        {
            "alpha": 0.2, "threshold": 4.0, "low_streak": 2, "min_steps": 5, "rate": 0.3, "recovery": 0.0,
            "use_traits": True,
        },
    ),
    (CountOptions, {"k": 3}),
    (DecayEmotionOptions, {"k": 3, "time_decay": 0.15, "emotion_bonus": 0.2, "consider_arousal": False}),
    (PositionOptions, {"sensitivity": 1.0, "mood": 0.5, "boredom": 1.0, "patience": 5, "eta": 1.0, "threshold": 3.0}),
    (
        CascadeOptions,
        {"sensitivity": 1.0, "mood": 0.5, "boredom": 1.0, "patience": 5, "persistence": 1.0, "threshold": 3.0},
    ),
    (
        ChoiceLogitOptions,
        {"sensitivity": 1.0, "mood": 0.5, "boredom": 1.0, "patience": 5, "eta": 0.0, "no_choice": 3.0},
    ),
    (PartsOptions, dict.fromkeys(("user", "traits", "mood", "step", "history", "shown"), True)),
    (FittedOptions, {"path": None, "memory": 0.1, "mood": 0.5, "boredom": 1.5, "noise": 1.0, "seed": 42}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "defaults"), DEFAULTS, ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_not_given_is_as_ever(model: Model, defaults: dict[str, Any]) -> None:
    """The same configuration must simulate the same in each version: a default that changes changes all results."""
    assert model().model_dump() == defaults


def test_the_rule_based_rater_has_chosen_defaults_beside_the_fitted_ones_and_others_for_recorded_users() -> None:
    chosen = {"relative": True, "learn": False, "similarity": 1.0, "mood": 0.5, "boredom": 1.5, "cuts": None}
    assert RuleBasedOptions().model_dump(include=set(chosen)) == chosen
    ones, zeros = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
    assert RECORDED_USERS.model_dump(exclude_unset=True, exclude={"start"}) == {
        "public": ones, "own": ones, "liked": 0.0, "disliked": 0.0, "outside": zeros, "popularity": zeros, "mood": 0.0,
        "relative": False, "learn": True,
    }  # fmt: skip
    assert (FittedUsersOptions(path="here").count, FittedUsersOptions(path="here").seed) == (None, 42)
    assert MixOptions(raters="rule_based=1").seed == 42
