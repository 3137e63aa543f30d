"""What passes between a policy and users: its slates are looked at, and it learns what came of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from emosim_core.components.base import Policy, PolicySetting, RecommendationRequest
from emosim_core.errors import ConfigurationError, PluginError
from emosim_core.runs.recommending import outcome_of, recommended, start_policy
from emosim_core.simulation.engine import Engine


class Fixed(Policy):
    """Recommends what it is made with; ``setting`` is that of its start."""

    setting: PolicySetting

    def __init__(self, answer: Any = None, observes: tuple[str, ...] = ()) -> None:
        self.answer, self.observes = answer, observes

    def start(self, setting: PolicySetting) -> None:
        self.setting = setting

    def recommend_batch(self, request: RecommendationRequest, draws: Any) -> Any:
        assert request.observations["user"].tolist() == [int(row) for row in request.rows]
        return self.answer


@pytest.fixture
def engine(small_world: Callable[..., Any], scripted: Callable[..., Any]) -> Engine:
    """Three users in front of slates of two of eight items."""
    engine = Engine(small_world(parts={"rater": scripted()}, slate=2), 3)
    engine.begin(engine.all_rows, [1, 1, 1], [0, 1, 2], [0, 1, 2])
    return engine


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros((2, 2)), r"of the shape \(2, 2\); expected \(3, 2\)"),
        (np.zeros(6), r"of the shape \(6,\); expected \(3, 2\)"),
        ([[0, 1], [2, 3], [4, 8]], "the item 8; the catalog has 8, from 0 on"),
    ],
)
def test_what_is_no_slate_of_the_catalog_is_an_error_that_names_the_policy(
    engine: Engine, answer: Any, message: str
) -> None:
    with pytest.raises(PluginError, match=f"^mine recommended .*{message}"):
        recommended(Fixed(answer), engine, "mine", engine.all_rows, True)


def test_slates_of_all_items_and_of_none_are_taken_for_whom_they_are(engine: Engine) -> None:
    everyone = recommended(Fixed([[0, 7], [-1, -1], [3, 4]]), engine, "mine", engine.all_rows, True)
    assert (everyone.dtype, everyone.tolist()) == (np.intp, [[0, 7], [-1, -1], [3, 4]])
    rows = np.array([2])
    assert recommended(Fixed([[5, 6]]), engine, "mine", rows, False).tolist() == [[5, 6]]


def test_a_policy_starts_with_what_it_recommends_to_whom(engine: Engine) -> None:
    policy = Fixed()
    start_policy(policy, engine, "mine")
    setting = policy.setting
    assert (setting.slate, setting.batch_size, setting.history_length) == (2, 3, engine.history_length)
    assert setting.catalog is engine.world.catalog
    assert setting.users == [user.id for user in engine.world.population.users]
    with pytest.raises(ConfigurationError, match=r"mine reads 'thoughts', which the .* leaves out; it has user, "):
        start_policy(Fixed(observes=("user", "thoughts")), engine, "mine")


def test_what_a_policy_learns_is_what_the_step_was(engine: Engine) -> None:
    step = engine.step([[0, 1], [2, 3], [4, 5]])
    step.terminated[0] = True
    step.truncated[1] = True
    outcome = outcome_of(step)
    assert outcome.ended.tolist() == [True, True, False]
    assert outcome.clicked.tolist() == step.consumed.tolist()
    assert outcome.rewards.tolist() == step.rewards.tolist()
    assert outcome.actions.tolist() == [[0, 1], [2, 3], [4, 5]]
    step.clicked = ~step.consumed
    assert outcome_of(step).clicked.tolist() == step.clicked.tolist()
