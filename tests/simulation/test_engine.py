"""The engine: the order of a step, equality with a naive simulation of one user, and what goes into memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from fixtures.lived import lived
from hypothesis import given, settings
from hypothesis import strategies as st

from emosim_core.components.base import Perturbator, Rater, Retrieval, RewardShaping, Selector, Situation
from emosim_core.errors import ConfigurationError, RatingError, WrongAnswerError
from emosim_core.simulation.assembly import World
from emosim_core.simulation.engine import OUT_OF_ITEMS, Engine, Step
from emosim_core.simulation.streams import Stage, Streams

MakeWorld = Callable[..., World]
ONE = np.array([0])


def begun(world: World, user_index: int = 0, seed: int = 1) -> Engine:
    engine = Engine(world)
    engine.begin(ONE, [seed], [0], [user_index])
    return engine


def play(engine: Engine, *slates: int | list[int]) -> Step:
    """Steps of one user; the last one."""
    for slate in slates:
        step = engine.step(np.atleast_1d(slate)[None])
    return step


# --------------------------------------------------------------------------------- a naive reference


@dataclass
class ExpectedStep:
    """What the naive simulation says of one step."""

    reward: float
    terminated: bool
    truncated: bool
    end: str
    raw: list[float]
    ratings: list[float]
    times: list[int]
    mood: tuple[float, float]
    items: list[int]


def tags(rating: float) -> tuple[float, float]:
    """Valence and arousal on 1 to 10."""
    return (1.0 if rating >= 7 else -1.0 if rating <= 4 else 0.0), (1.0 if rating >= 8 else 0.0 if rating <= 3 else 0.5)


def simulate(
    world: World, script: Callable[[int, int, int], float], seed: int, user_index: int, slates: list[list[int]]
) -> Iterator[ExpectedStep]:
    """One episode of one user, one line after another of the specification, with lists and loops."""
    config, user = world.config, world.population.users[user_index]
    streams = Streams(1)
    streams.begin(ONE, [seed], [0])

    def uniform(stage: Stage, count: int = 1) -> list[float]:
        return streams.of(stage, ONE).uniform(count)[0].tolist()

    base = (user.baseline_valence, user.baseline_arousal)
    mood, memory, low, satisfied = base, [], 0, None
    missing = [math.nan] * config.slate
    for number, slate in enumerate(slates, start=1):
        if config.p_interrupt and uniform(Stage.LEAVE)[0] < config.p_interrupt:
            yield ExpectedStep(
                0.0, True, False, "interrupted", missing, missing, [0] * config.slate, mood, list(memory)
            )
            return
        raw = [script(user_index, item, memory.count(item)) for item in slate]
        if config.selector == "random":
            taken = [draw < 0.5 for draw in uniform(Stage.SELECT, len(slate))]
        else:
            taken = [place == raw.index(max(raw)) for place in range(len(slate))]
        perturbed = list(raw)
        if config.perturbator == "greedy":
            moves = [-1 if draw < 0.1 else 1 if draw >= 0.9 else 0 for draw in uniform(Stage.PERTURB, len(slate))]
            perturbed = [min(10.0, max(1.0, rating + move)) for rating, move in zip(raw, moves, strict=True)]
        times, reward, repeated = [0] * len(slate), 0.0, False
        for place, item in enumerate(slate):
            if not taken[place]:
                continue
            memory.append(item)
            times[place] = memory.count(item)
            mood = tuple(b + (m - b) * 2 ** (-1 / 5) for m, b in zip(mood, base, strict=True))
            mood = tuple(m + 0.25 * (tag - m) for m, tag in zip(mood, tags(perturbed[place]), strict=True))
            satisfied = perturbed[place] if satisfied is None else satisfied + 0.2 * (perturbed[place] - satisfied)
            low = low + 1 if perturbed[place] <= 4 else 0
            if config.reward_shaping == "same_item_terminate" and times[place] > 1:
                repeated = True
            else:
                reward += perturbed[place]
        end = ""
        if config.reward_shaping == "same_item_terminate":
            end = "repeat" if repeated else ""
        elif config.reward_shaping == "churn_satisfaction":
            draw = uniform(Stage.SHAPE)[0]
            factor = {1: 2.0, 2: 1.0, 3: 0.5}[user.activity]
            if number >= 5 and any(taken):
                if low >= {1: 1, 2: 2, 3: 3}[user.activity]:
                    end = "low_streak"
                elif draw < 1 - math.exp(-0.3 * factor * max(0.0, 4 - satisfied)):
                    end = "dissatisfied"
        terminated, truncated = bool(end), not end and number >= config.max_steps
        ratings = [rating if consumed else math.nan for rating, consumed in zip(perturbed, taken, strict=True)]
        end = "max_steps" if truncated else end
        yield ExpectedStep(reward, terminated, truncated, end, raw, ratings, times, mood, list(memory))
        if terminated or truncated:
            return


@settings(max_examples=60)
@given(
    st.fixed_dictionaries(
        {
            "slate": st.sampled_from([1, 2, 3]),
            "selector": st.sampled_from(["greedy", "random"]),
            "perturbator": st.sampled_from(["none", "greedy"]),
            "reward_shaping": st.sampled_from(["identity", "same_item_terminate", "churn_satisfaction"]),
            "p_interrupt": st.sampled_from([0.0, 0.1]),
            "max_steps": st.integers(1, 12),
        }
    ),
    st.integers(0, 2**40),
    st.integers(0, 9),
)
def test_a_batch_of_users_equals_a_naive_simulation_of_each(
    small_world: MakeWorld, scripted: Callable[..., Rater], options: dict[str, Any], seed: int, shift: int
) -> None:
    def script(user_index: int, item: int, times: int) -> float:
        return float(1 + (3 * user_index + 7 * item + 4 * times + shift) % 10)

    world = small_world(parts={"rater": scripted(script)}, **options)
    users = [0, 1, 2, 3, 1]
    rng = np.random.default_rng(seed)
    slates = rng.integers(0, len(world.catalog), (len(users), 12, options["slate"]))
    engine = Engine(world, len(users))
    engine.begin(engine.all_rows, [seed + i for i in range(len(users))], [0] * len(users), users)
    expected = [
        list(simulate(world, script, seed + i, user_index, slates[i].tolist())) for i, user_index in enumerate(users)
    ]
    going = engine.all_rows
    for number in range(12):
        step = engine.step(slates[going, number], going)
        for r, slot in enumerate(going.tolist()):
            outcome = expected[slot][number]
            assert step.rewards[r] == outcome.reward
            assert (bool(step.terminated[r]), bool(step.truncated[r])) == (outcome.terminated, outcome.truncated)
            assert engine.end_reasons[step.end_codes[r]] == outcome.end
            np.testing.assert_array_equal(step.raw_ratings[r], outcome.raw)
            np.testing.assert_array_equal(step.ratings[r], outcome.ratings)
            assert step.times[r].tolist() == outcome.times
            assert step.consumed[r].tolist() == [times > 0 for times in outcome.times]
            assert engine.moods[slot].tolist() == pytest.approx(outcome.mood, abs=1e-12)
            assert [one.item for one in engine.memory.history().interactions(slot)] == outcome.items
            assert engine.steps[slot] == number + 1
        going = going[~(step.terminated | step.truncated)]
        assert {len(expected[slot]) > number + 1 for slot in going} <= {True}
        if not len(going):
            break
    assert not len(going)


# ------------------------------------------------------------------------------- a batch equals one


CHOICES = {
    "items_retrieval": ["none", "last_2", "most_similar_3", "best_worst", "decay_emotion_3"],
    "selector": ["greedy", "random", "probabilistic", "multinomial_logit"],
    "perturbator": ["none", "gaussian", "greedy"],
    "reward_shaping": ["identity", "exp_decay_time", "random_watch", "same_film_terminate", "churn_satisfaction"],
    "slate": [1, 2, 3],
    "p_interrupt": [0.0, 0.15],
    "keep_memory": [False, True],
    "max_steps": [4, 15],
}
CONFIGURATIONS = st.fixed_dictionaries({key: st.sampled_from(values) for key, values in CHOICES.items()})
FIELDS = ["users", "rewards", "terminated", "truncated", "end_codes", "raw_ratings", "ratings", "consumed", "times"]
FIELDS.append("retrieved_ratings")


@settings(max_examples=60)
@given(CONFIGURATIONS, st.integers(0, 2**40))
def test_each_row_of_a_batch_equals_a_run_of_its_own(
    small_world: MakeWorld, options: dict[str, Any], seed: int
) -> None:
    size = 4
    batch = Engine(small_world(**options), size)
    alone = [Engine(small_world(**options)) for _ in range(size)]
    episodes = np.zeros(size, dtype=int)
    rng = np.random.default_rng(seed)

    def begin(rows: np.ndarray) -> None:
        users = [batch.user_of(seed + slot, int(episodes[slot])) for slot in rows]
        batch.begin(rows, [seed + int(slot) for slot in rows], episodes[rows].tolist(), users)
        for slot, user_index in zip(rows.tolist(), users, strict=True):
            alone[slot].begin(ONE, [seed + slot], [int(episodes[slot])], [user_index])

    begin(batch.all_rows)
    for _ in range(25):
        rows = np.flatnonzero(rng.random(size) < 0.8)  # not everyone acts in every step
        rows = rows if len(rows) else batch.all_rows
        actions = rng.integers(0, 8, (len(rows), options["slate"]))
        together = batch.step(actions, rows)
        for r, slot in enumerate(rows.tolist()):
            single = alone[slot].step(actions[r : r + 1])
            for name in FIELDS:
                left, right = getattr(together, name)[r], getattr(single, name)[0]
                if name == "retrieved_ratings":  # interrupted rows are padded to the width of the others
                    left, right = left[~np.isnan(left)], right[~np.isnan(right)]
                np.testing.assert_array_equal(left, right, err_msg=name)
            for place in range(options["slate"]):
                assert together.reason(r, place) == single.reason(0, place)
            np.testing.assert_array_equal(batch.moods[slot], alone[slot].moods[0])
            assert batch.memory.history().interactions(slot) == alone[slot].memory.history().interactions(0)
        over = rows[together.terminated | together.truncated]
        batch.end(over)
        for slot in over.tolist():
            alone[slot].end(ONE)
        episodes[over] += 1
        if len(over):
            begin(over)


def test_engines_that_share_a_world_do_not_disturb_one_another(small_world: MakeWorld) -> None:
    def ends(with_another: bool) -> list[list[int]]:
        world = small_world(max_steps=30)
        engine = Engine(world, 3)
        engine.begin(engine.all_rows, [1, 2, 3], [0, 0, 0], [0, 1, 2])
        codes = []
        for number in range(20):
            if with_another and number % 3 == 2:
                begun(world, user_index=3).step([[number % 8]])
            codes.append(engine.step(np.array([[number % 8]] * 3)).end_codes.tolist())
        return codes

    assert ends(True) == ends(False)


# ---------------------------------------------------------------------------------- ratings and noise


def test_noise_that_is_written_into_the_request_leaves_the_raters_ratings_as_they_are(small_world: MakeWorld) -> None:
    class InPlace(Perturbator):
        def perturb_batch(self, request: Any, draws: Any) -> Any:
            request.ratings[:] -= 0.6
            return request.ratings

    (plain,), (noisy,) = (
        play(begun(small_world(parts=parts)), 3).raw_ratings.tolist() for parts in ({}, {"perturbator": InPlace()})
    )
    assert noisy == plain
    step = play(begun(small_world(parts={"perturbator": InPlace()})), 3)
    assert step.ratings.tolist() == (step.raw_ratings - 1).clip(1).tolist()


def test_noise_of_the_core_is_handed_the_ratings_themselves(small_world: MakeWorld) -> None:
    world = replace(small_world(), parts={"perturbator": {"name": "none", "provider": "emosim-core 1"}})
    engine, ratings = begun(world), np.array([[7.0]])
    request = world.rating_request(np.array([0]), np.array([[3]]), engine.moods, engine.memory.history())
    assert world.perturb(request, ratings, ratings > 0, engine.policy_draws(ONE)) is ratings


# ------------------------------------------------------------------------------- the order of a step


class Recorder:
    """Strategies of all kinds that note who was asked, and how much was in memory and mood then."""

    def __init__(self, perturbation: float = -1.0) -> None:
        self.log: list[tuple[str, int, float]] = []
        self.engine: Engine | None = None
        self.shaped: list[Any] = []
        note = self._note

        class NotingRetrieval(Retrieval):
            def retrieve_batch(self, request: Any) -> Any:
                note("retrieve")
                return np.full((*request.items.shape, 1), request.history.width - 1)

        class NotingRater(Rater):
            def rate(self, situation: Situation, rng: np.random.Generator) -> float:
                note("rate")
                return 9.0

        class NotingSelector(Selector):
            def select(self, situation: Any, rng: np.random.Generator) -> Any:
                note("select")
                return np.ones(len(situation.items), dtype=bool)

        class NotingPerturbator(Perturbator):
            def perturb(self, situation: Any, rng: np.random.Generator) -> float:
                note("perturb")
                return float(situation.rating + perturbation)

        shaped = self.shaped

        class NotingShaping(RewardShaping):
            def shape(self, situation: Any, rng: Any) -> float:
                note("shape")
                shaped.append((situation.rating, situation.times, situation.since))
                return float(situation.rating / 2)

        self.parts = {
            "retrieval": NotingRetrieval(),
            "rater": NotingRater(),
            "selector": NotingSelector(),
            "perturbator": NotingPerturbator(),
            "reward_shaping": NotingShaping(),
        }

    def _note(self, what: str) -> None:
        assert self.engine is not None
        self.log.append((what, int(self.engine.memory.lengths[0]), float(self.engine.moods[0, 0])))


def test_a_step_retrieves_rates_selects_perturbs_remembers_feels_and_shapes_in_this_order(
    small_world: MakeWorld,
) -> None:
    recorder = Recorder()
    engine = recorder.engine = begun(small_world(parts=recorder.parts))
    before = float(engine.moods[0, 0])
    step = play(engine, 4)
    after = float(engine.moods[0, 0])
    assert recorder.log == [
        *((what, 0, before) for what in ("retrieve", "rate", "select", "perturb")),
        ("shape", 1, after),
    ]
    assert after > before
    assert step.raw_ratings.tolist() == [[9.0]]
    assert recorder.shaped == [(8.0, 1, 0)]
    assert step.rewards.tolist() == [4.0]


def test_an_interruption_comes_first_and_nobody_is_asked(small_world: MakeWorld) -> None:
    recorder = Recorder()
    engine = recorder.engine = begun(small_world(parts=recorder.parts, p_interrupt=1.0, max_steps=1))
    mood = engine.moods.copy()
    step = play(engine, 4)
    assert recorder.log == []
    assert (step.rewards.tolist(), step.terminated.tolist(), step.truncated.tolist()) == ([0.0], [True], [False])
    assert engine.end_reasons[step.end_codes[0]] == "interrupted"
    assert (engine.memory.lengths.tolist(), engine.steps.tolist()) == ([0], [1])
    assert step.reason(0) == ""
    np.testing.assert_array_equal(engine.moods, mood)


def test_interruptions_come_with_their_probability(small_world: MakeWorld) -> None:
    engine = Engine(small_world(p_interrupt=0.2, reward_shaping="identity"), 4000)
    engine.begin(engine.all_rows, list(range(4000)), [0] * 4000, [0] * 4000)
    assert engine.step(np.zeros((4000, 1), dtype=int)).terminated.mean() == pytest.approx(0.2, abs=0.02)


def test_the_perturbed_rating_goes_on_the_scale_into_memory_and_mood(small_world: MakeWorld) -> None:
    recorder = Recorder(perturbation=-5.4)  # 3.6 is rounded to 4
    engine = recorder.engine = begun(small_world(parts=recorder.parts), user_index=2)
    play(engine, 4)
    (one,) = engine.memory.history().interactions(0)
    assert (one.rating, one.valence, one.arousal) == (4.0, -1.0, 0.5)
    user = engine.world.population.users[2]
    expected = [0.75 * user.baseline_valence - 0.25, 0.75 * user.baseline_arousal + 0.125]
    assert engine.moods[0].tolist() == pytest.approx(expected)
    recorder = Recorder(perturbation=50)
    engine = recorder.engine = begun(small_world(parts=recorder.parts))
    assert play(engine, 4).ratings.tolist() == [[10.0]]


def test_the_rater_sees_the_memory_and_mood_of_before_the_step(
    small_world: MakeWorld, scripted: Callable[..., Any]
) -> None:
    rater = scripted()
    engine = begun(small_world(parts={"rater": rater}, items_retrieval="last_5", reward_shaping="identity"))
    moods = []
    for item in (3, 3, 5):
        moods.append(engine.moods.copy())
        play(engine, item)
    for request, mood in zip(rater.seen, moods, strict=True):
        np.testing.assert_array_equal(request.moods, mood)
    assert [request.times.tolist() for request in rater.seen] == [[[0]], [[1]], [[0]]]
    assert [np.isnan(request.retrieved_ratings).sum() for request in rater.seen] == [5, 4, 4]
    assert rater.seen[2].retrieved[0, 0].tolist() == [1, -1, -1, -1, -1]
    assert rater.seen[2].retrieved_items[0, 0, 0] == 3
    assert rater.seen[2].retrieved_ratings[0, 0, 0] == rater.rule(0, 3, 1)


@pytest.mark.parametrize("max_steps", [1, 3])
def test_an_episode_is_truncated_at_max_steps_and_not_before(small_world: MakeWorld, max_steps: int) -> None:
    engine = begun(small_world(max_steps=max_steps, reward_shaping="identity"))
    steps = [play(engine, item) for item in range(max_steps)]
    assert [bool(step.truncated[0]) for step in steps] == [False] * (max_steps - 1) + [True]
    assert not any(step.terminated[0] for step in steps)
    assert engine.end_reasons[steps[-1].end_codes[0]] == "max_steps"


def test_who_leaves_at_the_last_step_is_terminated_and_not_truncated(small_world: MakeWorld) -> None:
    engine = begun(small_world(max_steps=2, reward_shaping="same_item_terminate"))
    step = play(engine, 1, 1)
    assert (step.terminated.tolist(), step.truncated.tolist(), step.rewards.tolist()) == ([True], [False], [0.0])
    assert engine.end_reasons[step.end_codes[0]] == "repeat"


def test_an_episode_ends_when_no_item_remains_where_items_are_recommended_once(small_world: MakeWorld) -> None:
    """All but one are consumed, then one of them again, then the last."""
    engine = begun(small_world(observe_consumed=True, reward_shaping="identity"))
    last = len(engine.world.catalog) - 1
    steps = [play(engine, item) for item in (*range(last), 0, last)]
    assert [step.end_reason(0) for step in steps] == [None] * (last + 1) + [OUT_OF_ITEMS]
    assert [bool(step.terminated[0]) for step in steps] == [False] * (last + 1) + [True]


def test_times_consumed_and_interactions_since_count_each_users_interactions(small_world: MakeWorld) -> None:
    recorder = Recorder(perturbation=0)
    engine = recorder.engine = begun(small_world(parts=recorder.parts))
    play(engine, 1, 2, 1, 1, 3, 2)
    assert [(times, since) for _, times, since in recorder.shaped] == [(1, 0), (1, 0), (2, 2), (3, 1), (1, 0), (2, 4)]
    past = engine.memory.history().interactions(0)
    assert [one.time for one in past] == [1, 2, 3, 4, 5, 6]
    assert [one.times_consumed for one in past] == [1, 1, 2, 3, 1, 2]


def test_a_slate_is_consumed_in_its_order_also_when_it_holds_an_item_twice(small_world: MakeWorld) -> None:
    recorder = Recorder(perturbation=0)
    engine = recorder.engine = begun(small_world(parts=recorder.parts, slate=3))
    step = play(engine, [4, 4, 2], [2, 4, 4])
    assert step.times.tolist() == [[2, 3, 4]]
    assert recorder.shaped[3:] == [(9.0, 2, 1), (9.0, 3, 3), (9.0, 4, 1)]
    assert step.rewards.tolist() == [13.5]
    assert [one.item for one in engine.memory.history().interactions(0)] == [4, 4, 2, 2, 4, 4]


def test_only_what_is_consumed_goes_into_reward_memory_and_mood(small_world: MakeWorld) -> None:
    class Nothing(Selector):
        def select(self, situation: Any, rng: np.random.Generator) -> Any:
            return np.zeros(len(situation.items), dtype=bool)

    engine = begun(small_world(parts={"selector": Nothing()}, slate=2))
    mood = engine.moods.copy()
    step = play(engine, [1, 2])
    assert (step.rewards.tolist(), step.times.tolist()) == ([0.0], [[0, 0]])
    assert np.isnan(step.ratings).all()
    assert not np.isnan(step.raw_ratings).any()
    assert engine.memory.lengths.tolist() == [0]
    np.testing.assert_array_equal(engine.moods, mood)
    assert engine.observe()["step"].tolist() == [[1]]


# ---------------------------------------------------------------------------------- failed ratings


def fails_for(failing: int) -> Callable[[int, int, int], float]:
    return lambda user_index, item, times: math.nan if item == failing else 8.0


def test_a_failed_rating_raises_with_the_user_and_the_item_and_leaves_everything_as_it_was(
    small_world: MakeWorld, scripted: Callable[..., Rater]
) -> None:
    engine = begun(small_world(parts={"rater": scripted(fails_for(5))}, max_steps=2), user_index=2)
    play(engine, 1)
    mood = engine.moods.copy()
    with pytest.raises(RatingError, match=r"no rating by 'User 2' of 'Item 5': reason 0 0"):
        play(engine, 5)
    assert engine.memory.lengths.tolist() == [1]
    assert engine.steps.tolist() == [1]
    np.testing.assert_array_equal(engine.moods, mood)
    assert play(engine, 2).truncated.tolist() == [True]


@pytest.mark.parametrize("selector", ["greedy", "random", "probabilistic:p=1.0", "multinomial_logit:no_choice=1"])
@pytest.mark.parametrize("perturbator", ["none", "gaussian", "greedy"])
@pytest.mark.parametrize("slate", [[5, 5], [5, 2], [2, 5]])
def test_a_skipped_rating_is_left_out_of_reward_memory_and_mood(
    small_world: MakeWorld, scripted: Callable[..., Rater], selector: str, perturbator: str, slate: list[int]
) -> None:
    world = small_world(
        parts={"rater": scripted(fails_for(5))},
        on_failed_rating="skip",
        slate=2,
        selector=selector,
        perturbator=perturbator,
        reward_shaping="identity",
    )
    engine = begun(world)
    for _ in range(8):
        mood, length = engine.moods.copy(), int(engine.memory.lengths[0])
        step = play(engine, slate)
        failed = np.array([slate]) == 5
        assert np.isnan(step.raw_ratings[failed]).all()
        assert np.isnan(step.ratings[failed]).all()
        assert not step.consumed[failed].any()
        assert (step.times[failed] == 0).all()
        assert step.rewards[0] == np.nansum(step.ratings)
        assert engine.memory.lengths[0] == length + step.consumed.sum()
        if not step.consumed.any():
            assert step.rewards[0] == 0
            np.testing.assert_array_equal(engine.moods, mood)
    assert 5 not in [one.item for one in engine.memory.history().interactions(0)]
    assert not np.isnan(engine.observe()["history_ratings"]).any()


@pytest.mark.parametrize("shaping", ["identity", "exp_decay_time", "random_watch", "churn_satisfaction"])
def test_a_user_whose_every_rating_fails_goes_on_to_max_steps_without_a_reward(
    small_world: MakeWorld, scripted: Callable[..., Rater], shaping: str
) -> None:
    parts = {"rater": scripted(fails_for(5))}
    engine = begun(small_world(parts=parts, on_failed_rating="skip", reward_shaping=shaping, max_steps=9))
    steps = [play(engine, 5) for _ in range(9)]
    assert [float(step.rewards[0]) for step in steps] == [0.0] * 9
    assert [bool(step.terminated[0]) for step in steps] == [False] * 9
    assert steps[-1].truncated.tolist() == [True]


def test_a_rating_off_the_scale_is_refused(small_world: MakeWorld) -> None:
    class Middling(Rater):
        def rate(self, situation: Situation, rng: np.random.Generator) -> float:
            return 5.5

    with pytest.raises(WrongAnswerError, match=r"Middling\.rate rated 5\.5, which is no rating of the scale 1-10"):
        play(begun(small_world(parts={"rater": Middling()})), 0)


# ------------------------------------------------------------------------------------------- memory


def test_memory_is_cleared_at_a_new_episode_unless_it_is_kept(small_world: MakeWorld) -> None:
    for keep in (False, True):
        engine = begun(small_world(keep_memory=keep), user_index=1)
        play(engine, 1, 2)
        before = engine.memory.history().interactions(0)
        engine.begin(ONE, [1], [1], [3])  # nobody said that the episode was over
        assert engine.memory.lengths.tolist() == [0]
        play(engine, 7)
        engine.end(ONE)
        engine.begin(ONE, [1], [2], [1])
        assert engine.memory.history().interactions(0) == (before if keep else [])
        np.testing.assert_array_equal(engine.moods[0], engine.world.population.baselines[1])
        step = play(engine, 2)
        assert step.times.tolist() == [[2 if keep else 1]]


def test_slots_share_what_users_remember_only_where_that_is_configured(small_world: MakeWorld) -> None:
    for shared in (False, True):
        engine = Engine(small_world(keep_memory=True), 2, shared_memory=shared)
        first, second = np.array([0]), np.array([1])
        engine.begin(first, [1], [0], [2])
        engine.step([[4]], first)
        engine.end(first)
        engine.begin(second, [1], [1], [2])
        assert engine.memory.lengths.tolist()[1] == int(shared)


def test_a_long_kept_memory_grows_and_comes_back_whole(small_world: MakeWorld) -> None:
    engine = begun(small_world(keep_memory=True, reward_shaping="identity", max_steps=1000))
    items = np.random.default_rng(0).integers(0, 8, 150).tolist()
    play(engine, *items)
    engine.end(ONE)
    engine.begin(ONE, [1], [1], [2])
    engine.begin(ONE, [1], [2], [0])
    assert [one.item for one in engine.memory.history().interactions(0)] == items
    play(engine, 3)
    assert engine.memory.history().interactions(0)[-1].times_consumed == items.count(3) + 1


# --------------------------------------------------------------------- strategies in their single form


class OneByOne:
    """The single forms of built-in rules, as a third party would write them."""

    class Last(Retrieval):
        def retrieve(self, situation: Any) -> list[int]:
            latest = {past.item: past.time - 1 for past in situation.history}
            return sorted(latest.values(), reverse=True)[:2]

    class Rule(Rater):
        def rate(self, situation: Situation, rng: np.random.Generator) -> tuple[float, str]:
            rating_sum = sum(past.rating for _, past in situation.retrieved)
            value = 1 + (7 * int(situation.item.id[1:]) + 4 * situation.times_consumed + rating_sum) % 10
            return float(value), situation.user.name

    class Best(Selector):
        def select(self, situation: Any, rng: np.random.Generator) -> Any:
            return np.arange(len(situation.items)) == situation.ratings.argmax()

    class Same(Perturbator):
        def perturb(self, situation: Any, rng: np.random.Generator) -> float:
            return float(situation.rating)

    class Repeat(RewardShaping):
        end_reasons = ("repeat",)

        def shape(self, situation: Any, rng: Any) -> tuple[float, bool]:
            return (0.0, True) if situation.times > 1 else (situation.rating, False)


@pytest.mark.parametrize("slate", [1, 3])
def test_single_forms_equal_the_batch_forms_of_the_same_rules(small_world: MakeWorld, slate: int) -> None:
    names = {"items_retrieval": "last_2", "reward_shaping": "same_item_terminate"}
    single = {"retrieval": OneByOne.Last(), "selector": OneByOne.Best(), "perturbator": OneByOne.Same()}
    engines = [
        Engine(small_world(parts={"rater": OneByOne.Rule()}, slate=slate, **names), 3),
        Engine(
            small_world(parts={"rater": OneByOne.Rule(), "reward_shaping": OneByOne.Repeat(), **single}, slate=slate), 3
        ),
    ]
    for engine in engines:
        engine.begin(engine.all_rows, [1, 2, 3], [0, 0, 0], [0, 1, 2])
    rng = np.random.default_rng(3)
    for _ in range(10):
        actions = rng.integers(0, 8, (3, slate))
        batch, one_by_one = (engine.step(actions) for engine in engines)
        for name in FIELDS:
            left, right = getattr(batch, name), getattr(one_by_one, name)
            if name == "retrieved_ratings":
                left, right = left[~np.isnan(left)], right[~np.isnan(right)]
            np.testing.assert_array_equal(left, right, err_msg=name)
        assert batch.reason(1) == "User 1"
        np.testing.assert_array_equal(engines[0].moods, engines[1].moods)


@pytest.mark.parametrize("end_reasons", ["weary", ("a", "a"), ("interrupted",), ("",), ["bored"]])
def test_end_reasons_that_could_not_be_told_apart_are_refused(small_world: MakeWorld, end_reasons: Any) -> None:
    shaping = OneByOne.Repeat()
    shaping.end_reasons = end_reasons
    with pytest.raises(WrongAnswerError, match="expected a tuple of distinct texts"):
        Engine(small_world(parts={"reward_shaping": shaping}))


def test_the_generator_of_a_user_does_not_depend_on_who_else_is_there(small_world: MakeWorld) -> None:
    class Noise(Rater):
        def rate(self, situation: Situation, rng: np.random.Generator) -> float:
            return float(rng.integers(1, 11))

    class Coin(Selector):
        def select(self, situation: Any, rng: np.random.Generator) -> Any:
            return rng.random(len(situation.items)) < 0.5

    def ratings_of(size: int, selector: Selector | None = None) -> list[list[float]]:
        parts = {"rater": Noise(), **({"selector": selector} if selector else {})}
        engine = Engine(small_world(parts=parts, slate=2, reward_shaping="identity"), size)
        engine.begin(engine.all_rows, [5, 6, 7][:size], [0] * size, [0] * size)
        return [engine.step(np.tile([1, 2], (size, 1))).raw_ratings[0].tolist() for _ in range(20)]

    assert ratings_of(1) == ratings_of(3) == ratings_of(2, Coin())


# ------------------------------------------------------------------------------- streams in the engine


def test_more_draws_of_one_stage_do_not_shift_those_of_another(small_world: MakeWorld) -> None:
    class Thirsty(Perturbator):
        def perturb_batch(self, request: Any, draws: Any) -> Any:
            draws.uniform(100), draws.normal(7), draws.generator(0).random(3)
            return request.ratings

    def outcomes(**parts: Any) -> list[Any]:
        engine = begun(small_world(parts=parts, slate=3, selector="random", p_interrupt=0.01, max_steps=30))
        steps = [play(engine, [number % 8, (number + 1) % 8, (number + 5) % 8]) for number in range(30)]
        return [(step.raw_ratings.tolist(), step.rewards.tolist(), step.end_codes.tolist()) for step in steps]

    assert str(outcomes()) == str(outcomes(perturbator=Thirsty()))


def test_draws_of_more_than_a_block_are_new_each_time_and_the_same_in_any_batch() -> None:
    together, alone = Streams(3), Streams(1)
    together.begin(np.arange(3), [1, 2, 3], [0, 4, 9])
    alone.begin(ONE, [2], [4])
    drawn = []
    for count in (65, 3, 64, 200, 1, 128):
        for kind in ("uniform", "normal"):
            left = getattr(together.of(Stage.RATE, np.array([2, 1])), kind)(count)
            right = getattr(alone.of(Stage.RATE, ONE), kind)(count)
            assert left.shape == (2, count)
            np.testing.assert_array_equal(left[1], right[0])
            drawn.extend(left.ravel().tolist())
    assert len(set(drawn)) == len(drawn)


def test_the_generator_of_an_episode_goes_on_where_it_stopped_and_begins_anew_with_the_next() -> None:
    streams = Streams(2)
    streams.begin(np.arange(2), [1, 2], [0, 0])
    rows = np.array([1])
    first = [streams.of(Stage.SELECT, rows).generator(0).random() for _ in range(3)]
    assert len(set(first)) == 3
    streams.of(Stage.SELECT, np.arange(2)).uniform(3)
    streams.begin(np.array([0]), [9], [9])
    fourth = streams.of(Stage.SELECT, np.arange(2)).generator(1).random()
    streams.begin(rows, [2], [0])
    assert [streams.of(Stage.SELECT, rows).generator(0).random() for _ in range(4)] == [*first, fourth]


# ----------------------------------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    "actions", [[[8, 0]], [[-1, 0]], [[0]], [[0, 1, 2]], [[0.5, 1.0]], [["a", "b"]], [[0, [1]]], None, [[True, False]]]
)
def test_an_action_that_is_no_slate_of_item_indices_is_refused_before_anything_happens(
    small_world: MakeWorld, actions: Any
) -> None:
    engine = begun(small_world(slate=2))
    with pytest.raises(ConfigurationError, match=r"action|item indices"):
        engine.step(actions)
    assert engine.steps.tolist() == [0]


def test_users_come_in_order_or_at_random_by_seed_and_episode(small_world: MakeWorld) -> None:
    ordered = Engine(small_world(user_order="sequential"))
    assert [ordered.user_of(3, episode) for episode in range(6)] == [0, 1, 2, 3, 0, 1]
    engine = Engine(small_world())
    users = [engine.user_of(3, episode) for episode in range(400)]
    assert users == [engine.user_of(3, episode) for episode in range(400)]
    assert min(users.count(user_index) for user_index in range(4)) > 70


# -------------------------------------------------------------------------------- NumPy and kernels


@pytest.mark.parametrize(
    "options",
    [
        {"items_retrieval": "decay_emotion:k=2,consider_arousal=true,emotion_bonus=0.7"},
        {"slate": 3, "selector": "multinomial_logit", "max_steps": 7, "perturbator": "gaussian"},
        {"slate": 3, "choice": "cascade", "p_interrupt": 0.2, "observe_consumed": True},
        {"slate": 2, "selector": "random", "reward_shaping": "churn_satisfaction:min_steps=1,recovery=0.5,rate=2"},
        {"items_retrieval": "last_2", "reward_shaping": "exp_decay_time", "keep_memory": True, "history_length": 2},
    ],
    ids=lambda options: next(iter(options.values())),
)
def test_a_step_without_compiled_kernels_is_the_same(small_world: MakeWorld, options: dict[str, Any]) -> None:
    pytest.importorskip("numba")
    slate = options.get("slate", 1)
    slates = [[(7 * step + 3 * place + step // 5) % 8 for place in range(slate)] for step in range(40)]
    world = small_world(on_failed_rating="skip", **options)
    assert lived(world, slates, "1") == lived(world, slates, "0")
