"""A step in which users choose before they rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emosim_core
from emosim_core.components.base import Rater, RatingRequest
from emosim_core.components.choice import Choice, ChoiceRequest
from emosim_core.components.rule_based import RuleBased
from emosim_core.errors import ConfigurationError, PluginError, RatingError
from emosim_core.model import Memory
from emosim_core.simulation.assembly import World
from emosim_core.simulation.config import EnvironmentConfig
from emosim_core.simulation.engine import ABANDONED, Engine, Step
from emosim_core.simulation.interest import InterestScale

MakeWorld = Callable[..., World]
MODELS = ("cascade", "position_based", "multinomial_logit")


class Clicks(Choice):
    """Examines everything and clicks the places that a rule of the slate names."""

    def __init__(self, rule: Callable[[np.ndarray], np.ndarray], patience: int = 0) -> None:
        self.rule, self.patience = rule, patience
        self.seen: list[ChoiceRequest] = []

    def choose_batch(self, request: ChoiceRequest, examining: Any, choosing: Any) -> Any:
        self.seen.append(request)
        return np.ones(request.items.shape, dtype=bool), self.rule(request.items)


def everything(items: np.ndarray) -> np.ndarray:
    return np.ones(items.shape, dtype=bool)


def nothing(items: np.ndarray) -> np.ndarray:
    return np.zeros(items.shape, dtype=bool)


def even(items: np.ndarray) -> np.ndarray:
    return items % 2 == 0


def begun(world: World, users: tuple[int, ...] = (0,), **more: Any) -> Engine:
    engine = Engine(world, len(users), **more)
    engine.begin(engine.all_rows, [7 + row for row in range(len(users))], [0] * len(users), list(users))
    return engine


def equal(left: Step, right: Step) -> None:
    for name in ("rewards", "moods", "raw_ratings", "ratings", "consumed", "times", "retrieved_ratings", "end_codes"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


def test_the_rater_is_asked_for_what_was_clicked_alone(small_world: MakeWorld, scripted: Callable[..., Rater]) -> None:
    rater: Any = scripted()
    engine = begun(
        small_world(parts={"choice": Clicks(even), "rater": rater}, slate=3, items_retrieval="last_2"), (0, 1, 2)
    )
    first = engine.step([[0, 1, 2], [1, 3, 5], [4, 7, 1]])
    asked: RatingRequest = rater.seen[-1]
    assert (asked.users.tolist(), asked.items.tolist()) == ([0, 0, 2], [[0], [2], [4]])
    assert first.clicked is not None
    assert first.clicked.tolist() == [[True, False, True], [False] * 3, [True, False, False]]
    assert first.consumed.tolist() == first.clicked.tolist()
    assert np.isnan(first.raw_ratings).tolist() == (~first.clicked).tolist()
    assert [engine.memory.lengths.tolist(), first.failed] == [[2, 0, 1], 0]
    assert first.reason(0, 2) == "reason 1 0"
    assert first.reason(0, 1) == first.reason(1, 0) == ""
    second = engine.step([[6, 1, 3], [1, 3, 5], [1, 3, 5]])
    assert [one[0] for one in rater.seen[-1].retrieved_items.tolist()] == [[2, 0]]
    assert second.retrieved_items[0, 0].tolist() == [2, 0]
    assert np.isnan(second.retrieved_ratings[1:]).all()


def test_nobody_is_asked_where_nothing_is_clicked(small_world: MakeWorld, scripted: Callable[..., Rater]) -> None:
    rater: Any = scripted()
    engine = begun(small_world(parts={"choice": Clicks(nothing), "rater": rater}, slate=2), (0, 1))
    mood = engine.moods.copy()
    step = engine.step([[0, 1], [2, 3]])
    assert (rater.seen, step.answers, step.failed) == ([], None, 0)
    assert (step.rewards.tolist(), step.times.tolist()) == ([0.0, 0.0], [[0, 0], [0, 0]])
    np.testing.assert_array_equal(engine.moods, mood)
    assert engine.observe()["step"].tolist() == [[1], [1]]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=12), st.sampled_from(["none", "gaussian", "greedy"]))
def test_who_clicks_everything_of_a_slate_of_one_lives_as_if_it_were_rated_first(
    small_world: MakeWorld, items: list[int], perturbator: str
) -> None:
    """A choice model shifts no draw of any other stage."""
    first = begun(small_world(perturbator=perturbator), (0, 1))
    chosen = begun(small_world(parts={"choice": Clicks(everything)}, perturbator=perturbator), (0, 1))
    for item in items:
        left, right = first.step([item, 7 - item]), chosen.step([item, 7 - item])
        equal(left, right)
        assert [left.reason(row) for row in (0, 1)] == [right.reason(row) for row in (0, 1)]
        if left.terminated.any():
            break


@settings(max_examples=40)
@given(
    st.sampled_from(MODELS), st.integers(1, 4), st.sampled_from(["rule_based", "noted"]), st.integers(0, 2**40),
    st.sampled_from([0.0, 0.2]), st.booleans(),
)  # fmt: skip
def test_each_row_of_a_batch_chooses_as_it_would_alone(
    small_world: MakeWorld, model: str, slate: int, rater: str, seed: int, p_interrupt: float, keep_memory: bool
) -> None:
    class Noted(Rater):
        def rate(self, situation: Any, rng: np.random.Generator) -> float:
            return float(rng.integers(1, 11))

    parts = {} if rater == "rule_based" else {"rater": Noted()}
    options = {
        "choice": f"{model}:patience=2,sensitivity=0.5", "slate": slate, "perturbator": "gaussian",
        "p_interrupt": p_interrupt, "keep_memory": keep_memory, "max_steps": 9,
    }  # fmt: skip
    size, rng = 4, np.random.default_rng(seed)
    batch = Engine(small_world(parts=dict(parts), **options), size)
    alone = [Engine(small_world(parts=dict(parts), **options)) for _ in range(size)]
    batch.begin(batch.all_rows, list(range(seed, seed + size)), [0] * size, [0, 1, 2, 3])
    for row, engine in enumerate(alone):
        engine.begin(engine.all_rows, [seed + row], [0], [row])
    going = np.arange(size)
    while len(going):
        actions = rng.integers(0, 8, (len(going), slate))
        together = batch.step(actions, going)
        for place, row in enumerate(going.tolist()):
            one = alone[row].step(actions[place])
            for name in ("rewards", "raw_ratings", "ratings", "consumed", "examined", "clicked", "end_codes", "moods"):
                mine, theirs = getattr(together, name)[place], getattr(one, name)[0]
                np.testing.assert_array_equal(mine, theirs, err_msg=name)
            reasons = [[step.reason(at, p) for p in range(slate)] for step, at in ((together, place), (one, 0))]
            assert reasons[0] == reasons[1]
        going = going[together.end_codes == 0]


def test_a_failed_rating_was_clicked_and_is_not_consumed(
    small_world: MakeWorld, scripted: Callable[..., Rater]
) -> None:
    rater = scripted(lambda user, item, times: math.nan if item == 2 else 5.0)
    parts: dict[str, Any] = {"choice": Clicks(even), "rater": rater}
    step = begun(small_world(parts=dict(parts), slate=3, on_failed_rating="skip")).step([[0, 1, 2]])
    assert step.clicked is not None
    assert (step.clicked.tolist(), step.consumed.tolist()) == ([[True, False, True]], [[True, False, False]])
    assert (step.failed, step.rewards.tolist()) == (1, [5.0])
    engine = begun(small_world(parts=dict(parts), slate=3))
    with pytest.raises(RatingError, match=r"no rating by 'User 0' of 'Item 2': reason 1 0"):
        engine.step([[0, 1, 2]])
    assert (engine.steps.tolist(), engine.memory.lengths.tolist()) == ([0], [0])


def test_who_finds_nothing_leaves_as_soon_as_their_activity_says(small_world: MakeWorld) -> None:
    """Activity 1, 2 and 3 are patient for half as many, as many and twice as many slates, rounded up."""
    world = small_world(parts={"choice": Clicks(lambda items: items == 7, patience=3)}, slate=2)
    engine = begun(world, (0, 1, 2))
    left: dict[int, int] = {}
    rows = engine.all_rows
    for number in range(1, 9):
        hit = number == 1
        step = engine.step(np.tile([7 if hit else 0, 1], (len(rows), 1)), rows)
        for row in range(len(rows)):
            if step.end_reason(row) is not None:
                assert step.end_reason(row) == ABANDONED
                assert step.terminated[row]
                left[int(rows[row])] = number - 1  # slates without a click since the first, which had one
        rows = rows[step.end_codes == 0]
        if not len(rows):
            break
    assert left == {0: 2, 1: 3, 2: 6}


def test_without_patience_nobody_leaves_for_want_of_clicks(small_world: MakeWorld) -> None:
    engine = begun(small_world(parts={"choice": Clicks(nothing)}, max_steps=40))
    ends = [engine.step([0]).end_reason(0) for _ in range(40)]
    assert ends == [None] * 39 + ["max_steps"]


def test_a_choice_that_was_not_examined_is_its_plugins_fault(small_world: MakeWorld) -> None:
    class Blind(Choice):
        def choose_batch(self, request: ChoiceRequest, examining: Any, choosing: Any) -> Any:
            return np.zeros(request.items.shape, dtype=bool), np.ones(request.items.shape, dtype=bool)

    with pytest.raises(PluginError, match="choice model Blind, put in by hand, clicked a place that was not examined"):
        begun(small_world(parts={"choice": Blind()}, slate=2)).step([[0, 1]])


def test_the_last_slates_and_their_clicks_are_observed_the_most_recent_first(small_world: MakeWorld) -> None:
    engine = begun(small_world(parts={"choice": Clicks(even)}, slate=2, history_length=2), (0, 1))
    seen = engine.observe()
    assert (seen["shown_items"].tolist(), seen["shown_clicks"].tolist()) == ([[-1] * 4] * 2, [[0] * 4] * 2)
    engine.step([[0, 1], [2, 3]])
    engine.step([[5, 6]], np.array([1]))
    engine.step([[4, 7]], np.array([1]))
    seen = engine.observe()
    assert seen["shown_items"].tolist() == [[0, 1, -1, -1], [4, 7, 5, 6]]
    assert seen["shown_clicks"].tolist() == [[1, 0, 0, 0], [1, 0, 0, 1]]
    engine.begin(np.array([1]), [3], [0], [2])
    assert engine.observe(np.array([1]))["shown_items"].tolist() == [[-1] * 4]
    rated = begun(small_world(slate=2))
    assert not {"shown_items", "shown_clicks"} & set(rated.observe())


# ---------------------------------------------------------------------------------------- surprise


def test_a_mood_feels_how_far_a_rating_is_from_what_was_promised(
    small_world: MakeWorld, scripted: Callable[..., Rater]
) -> None:
    def parts() -> dict[str, Any]:
        return {"choice": Clicks(even), "rater": scripted(lambda user, item, times: 3.0)}

    calm = begun(small_world(parts=parts(), slate=2), (0, 1, 2))
    keen = begun(small_world(parts=parts(), slate=2, mood={"surprise": 0.5}), (0, 1, 2))
    actions = np.array([[0, 1], [2, 4], [3, 5]])
    assert keen.interest is not None
    history, moods = keen.memory.history(), keen.moods.copy()
    interest, _ = keen.interest.of(keen.users, actions, moods, history)
    promised = keen.interest.promised(keen.users, actions, moods, history, interest)
    before, after = calm.step(actions).moods, keen.step(actions).moods
    gap = np.where(actions % 2 == 0, 3.0 - promised, 0.0).sum(axis=1)
    assert after[:, 0] == pytest.approx(np.clip(before[:, 0] + 0.5 / 9.0 * gap, -1.0, 1.0))
    assert after[:, 1].tolist() == before[:, 1].tolist()
    assert (after[:2, 0] != before[:2, 0]).all()
    assert after[2, 0] == before[2, 0]  # nothing was clicked


# --------------------------------------------------------------------------------------- interest


def test_interest_is_in_standard_deviations_above_what_is_usually_chosen(small_world: MakeWorld) -> None:
    world = small_world(choice="cascade")
    scale, everyone = InterestScale(world), np.arange(4)
    history, moods = Memory(4, 8).history(), world.population.baselines
    items = np.tile(np.arange(8), (4, 1))
    interest, spread = scale.of(everyone, items, moods, history)
    known = world.catalog.public_counts > 0  # what is usually chosen: here all that anybody rated
    assert interest[:, known].mean(axis=1) == pytest.approx(np.zeros(4))
    assert interest[:, known].std(axis=1) == pytest.approx(np.ones(4))
    rater = world.rater
    assert isinstance(rater, RuleBased)
    request = world.rating_request(everyone, items, moods, history)
    scores = rater.interest_batch(request)
    for row in range(4):
        assert (scores[row] - scores[row, 0]) / spread[row] == pytest.approx(interest[row] - interest[row, 0])
    alone, _ = scale.of(everyone[:1], items[:1, 3:4], moods[:1], Memory(1, 8).history())
    assert alone.tolist() == [[interest[0, 3]]]


def test_interest_promises_what_the_user_expects_of_an_item_as_much_wanted(small_world: MakeWorld) -> None:
    world = small_world(choice="cascade")
    scale, who = InterestScale(world), np.arange(4)
    history, moods = Memory(4, 8).history(), world.population.baselines
    items = np.tile(np.arange(8), (4, 1))
    expected = world.rater.expected_batch(world.rating_request(who, items, moods, history))
    known = world.catalog.public_counts > 0
    usual = scale.promised(who, items, moods, history, np.zeros(items.shape))
    assert usual == pytest.approx(np.tile(expected[:, known].mean(axis=1, keepdims=True), 8))
    more = scale.promised(who, items, moods, history, np.ones(items.shape))
    assert more - usual == pytest.approx(np.tile(expected[:, known].std(axis=1, keepdims=True), 8))


def test_a_rater_that_tells_no_interest_leaves_it_to_the_rule_based_one(
    small_world: MakeWorld, scripted: Callable[..., Rater]
) -> None:
    silent = InterestScale(small_world(choice="cascade", parts={"rater": scripted()}))
    told = InterestScale(small_world(choice="cascade"))
    items = np.tile(np.arange(8), (4, 1))
    about = (np.arange(4), items, np.zeros((4, 2)))
    one, other = (scale.of(*about, Memory(4, 8).history())[0].tolist() for scale in (silent, told))
    assert one == other


# ----------------------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "ratings_first"),
        ({"slate": 1}, "ratings_first"),
        ({"slate": 2}, "cascade"),
        ({"slate": 2, "selector": "random"}, "ratings_first"),
        ({"slate": 2, "selector": "greedy"}, "ratings_first"),
        ({"slate": 2, "choice": "ratings_first"}, "ratings_first"),
        ({"choice": "position_based"}, "position_based"),
    ],
    ids=str,
)
def test_slates_are_chosen_from_first_unless_a_selector_is_named(options: dict[str, Any], expected: str) -> None:
    config = EnvironmentConfig(plugin="movies", **options)
    assert config.choice == expected
    assert EnvironmentConfig(**config.model_dump()) == config


@pytest.mark.parametrize("choice", ["cascade", {"name": "cascade", "threshold": 1}])
def test_a_selector_beside_a_choice_model_is_refused(choice: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"the selector 'random' chooses by ratings, .* leave one of them out"):
        emosim_core.make("movies", choice=choice, selector="random")


def test_infos_say_what_was_examined_and_clicked_where_users_choose_before_they_rate() -> None:
    for choice in ("cascade", "ratings_first"):
        env = emosim_core.make("movies", choice=choice, slate=3, user_dataset="sampled:n=5")
        env.reset(seed=1)
        *_, info = env.step(np.array([0, 1, 2]))
        assert ({"examined", "clicked"} <= info.keys()) == (choice == "cascade")
        if choice == "cascade":
            assert len(info["examined"]) == len(info["clicked"]) == 3
            assert info["examined"][0] is True
            assert all(looked or not click for looked, click in zip(info["examined"], info["clicked"], strict=True))
