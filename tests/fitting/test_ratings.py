"""What is learned of how users rate."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from emosim_core.data.interactions import Interactions
from emosim_core.errors import ConfigurationError, MissingDependencyError
from emosim_core.estimators import ItemMeanAndUserBias, Past
from emosim_core.fitting.ratings import RatingModel, _threads
from emosim_core.model import Catalog, History, Item, RatingScale
from emosim_core.model.memory import Memory

SCALE = RatingScale(low=0.5, high=5, step=0.5)
ITEMS = 60
NOBODY = Past(np.empty(0, dtype=np.intp), np.empty(0))


def catalog(items: int = ITEMS, first: int = 0) -> Catalog:
    """Items of three categories, whose embeddings tell the half of the items that they belong to."""
    made = [
        Item(id=str(i), title=f"T{i}", categories=("a", "b", "c")[i % 3 :], year=None if i % 7 == 0 else 1960 + i % 60)
        for i in range(first, first + items)
    ]
    numbers = np.arange(first, first + items)
    vectors = np.random.default_rng(3).normal(size=(first + items, 8))[first:] * 0.3
    vectors[:, 0] += np.where(numbers % 2 == 0, 1.0, -1.0)
    return Catalog(made, SCALE, vectors, "made up")


def made_up(users: int = 120, each: int = 25, seed: int = 0) -> Interactions:
    """Users with a leniency, a liking for even or odd items, and noise; every third gives whole stars alone."""
    rng = np.random.default_rng(seed)
    quality, leniency, liking = rng.normal(size=ITEMS) * 0.5, rng.normal(size=users) * 0.6, rng.normal(size=users) * 0.6
    items = np.concatenate([rng.choice(ITEMS, each, replace=False) for _ in range(users)]).astype(np.intp)
    who = np.repeat(np.arange(users), each)
    values = 3.2 + quality[items] + leniency[who] + liking[who] * np.where(items % 2 == 0, 1, -1)
    values = SCALE.round(values + rng.normal(size=len(items)) * 0.5)
    values = np.where(who % 3 == 0, np.clip(np.ceil(values), 1, 5), values)
    return Interactions(
        tuple(f"{user:03d}" for user in range(users)), who, items, values, np.arange(len(items)) * 1e5, ITEMS
    )


@pytest.fixture(scope="module")
def log() -> Interactions:
    return made_up()


@pytest.fixture(scope="module")
def model(log: Interactions) -> RatingModel:
    return RatingModel.fit(early(log), catalog(), SCALE, 0)


def early(log: Interactions) -> Interactions:
    """The first 100 users."""
    return log.only(log.users < 100)


def history(rated: Sequence[Sequence[tuple[int, float]]]) -> History:
    memory = Memory(len(rated), ITEMS)
    for row, pairs in enumerate(rated):
        for item, rating in pairs:
            memory.append(np.array([row]), np.array([item]), np.array([rating]), np.array([4]))
    return memory.history()


def nothing(rows: int) -> History:
    return Memory(rows, ITEMS, capacity=1).history()


def halves(log: Interactions, user: int) -> tuple[Past, NDArray[np.intp], NDArray[np.float64]]:
    """A user's first 13 ratings, and the others."""
    rows = np.flatnonzero(log.users == user)
    assert log.values is not None
    return Past(log.items[rows[:13]], log.values[rows[:13]]), log.items[rows[13:]], log.values[rows[13:]]


def test_ratings_of_unknown_users_are_predicted_better_than_by_biases(log: Interactions, model: RatingModel) -> None:
    biases, off, others = ItemMeanAndUserBias(), [], []
    biases.fit(early(log), catalog(), SCALE)
    for user in range(100, 120):
        past, items, given = halves(log, user)
        off.append(model.expected(items[None], model.state(past)[None], nothing(1))[0] - given)
        others.append(biases.predict(past, items) - given)
    ours, theirs = (float(np.sqrt(np.mean(np.concatenate(one) ** 2))) for one in (off, others))
    assert ours < 0.9 * theirs


def by_ear(users: int = 400, each: int = 30, taste: float = 1.2) -> Interactions:
    """Users who differ in two directions of which nothing is known of the items, and in nothing else but noise."""
    rng = np.random.default_rng(8)
    hidden, weights = rng.normal(size=(ITEMS, 2)), taste * rng.normal(size=(users, 2)) / np.sqrt(2)
    items = np.concatenate([rng.choice(ITEMS, each, replace=False) for _ in range(users)]).astype(np.intp)
    who = np.repeat(np.arange(users), each)
    values = SCALE.round(2.75 + np.einsum("rk,rk->r", hidden[items], weights[who]) + 0.4 * rng.normal(size=len(who)))
    return Interactions(tuple(f"{user:03d}" for user in range(users)), who, items, values, None, ITEMS)


def bare(items: int = ITEMS) -> Catalog:
    """Items of which nothing is known but the id."""
    return Catalog([Item(id=str(i), title=f"T{i}") for i in range(items)], SCALE, np.zeros((items, 2)), "none")


def error_of(model: RatingModel, log: Interactions, users: range) -> float:
    """Root mean squared error of the later ratings of some users, known by their first 13."""
    off = []
    for user in users:
        past, items, given = halves(log, user)
        off.append(model.expected(items[None], model.state(past)[None], nothing(1))[0] - given)
    return float(np.sqrt(np.mean(np.concatenate(off) ** 2)))


def test_directions_of_taste_that_no_content_tells_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    log, known, unknown = by_ear(), range(300), range(300, 400)
    learned = RatingModel.fit(log.only(log.users < len(known)), bare(), SCALE, 0)
    monkeypatch.setattr("emosim_core.fitting.ratings._TASTE_SIZES", (0.0,))
    without = RatingModel.fit(log.only(log.users < len(known)), bare(), SCALE, 0)
    assert learned.size == without.size + 8
    assert error_of(learned, log, unknown) < 0.75 * error_of(without, log, unknown)

    where = np.arange(ITEMS)
    loaded = RatingModel.load(learned.arrays(), where, bare(), SCALE)
    assert error_of(loaded, log, unknown) == error_of(learned, log, unknown)
    usual = RatingModel.load(learned.arrays(), np.where(where < 30, where, -1), bare(), SCALE)
    past, _, _ = halves(log, 5)
    state = learned.state(past)[None]
    new = usual.expected(np.array([[40, 50]]), state, nothing(1))
    assert new[0, 0] == new[0, 1]  # nothing is known of either


def test_where_users_do_not_differ_in_taste_no_direction_is_learned() -> None:
    assert RatingModel.fit(by_ear(taste=0.0), bare(), SCALE, 0)._tastes.shape == (ITEMS, 0)


def in_circles(users: int = 300, each: int = 26) -> Interactions:
    """Users who take items of three circles, and like each circle by themselves, in no way that content tells."""
    rng = np.random.default_rng(4)
    circle = rng.permutation(ITEMS) % 3
    liking = rng.normal(size=(users, 3))
    pairs, values = [], []
    for user in range(users):
        # Of two circles most, so that what is taken tells which items belong together.
        weight = np.where(circle == user % 3, 0.2, 1.0)
        items = rng.choice(ITEMS, each, replace=False, p=weight / weight.sum())
        pairs += [(user, item) for item in items.tolist()]
        values.append(2.75 + liking[user, circle[items]] + 0.4 * rng.normal(size=each))
    who, items = np.array(pairs, dtype=np.intp).T
    rated = SCALE.round(np.concatenate(values))
    return Interactions(tuple(f"{user:03d}" for user in range(users)), who, items, rated, None, ITEMS)


def test_items_are_liked_like_those_that_the_same_users_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emosim_core.fitting.ratings._TASTE_SIZES", (0.0,))
    log, known, unknown = in_circles(), range(240), range(240, 300)
    learned = RatingModel.fit(log.only(log.users < len(known)), bare(), SCALE, 0)
    without = RatingModel.fit(log.only(log.users < len(known)), bare(), SCALE, 0, chosen=False)
    assert learned.size > without.size
    assert error_of(learned, log, unknown) < 0.8 * error_of(without, log, unknown)
    loaded = RatingModel.load(learned.arrays(), np.arange(ITEMS), bare(), SCALE)
    assert error_of(loaded, log, unknown) == error_of(learned, log, unknown)
    where = np.arange(ITEMS)
    usual = RatingModel.load(learned.arrays(), np.where(where < 30, where, -1), bare(), SCALE)
    new = usual.expected(np.array([[40, 50]]), learned.states(log)[:1], nothing(1))
    assert new[0, 0] == new[0, 1]  # nothing is known of either


def test_where_items_are_taken_at_random_what_is_taken_together_is_left_out() -> None:
    model = RatingModel.fit(by_ear(), bare(), SCALE, 0)
    assert model.arrays()["together"].shape == (ITEMS, 0)


def test_users_rate_new_items_like_others_of_the_same_creators() -> None:
    class Made(Item):
        by: str

        @property
        def creators(self) -> tuple[str, ...]:
            return (self.by,)

    def made(items: int) -> Catalog:
        some = [Made(id=str(i), title=f"T{i}", by=f"maker {i % 6}") for i in range(items)]
        return Catalog(some, SCALE, np.zeros((items, 2)), "none")

    rng = np.random.default_rng(9)
    liking = rng.normal(size=(200, 6))
    items = np.concatenate([rng.choice(ITEMS, 25, replace=False) for _ in range(200)]).astype(np.intp)
    who = np.repeat(np.arange(200), 25)
    values = SCALE.round(2.75 + liking[who, items % 6] + 0.4 * rng.normal(size=len(who)))
    log = Interactions(tuple(f"{user:03d}" for user in range(200)), who, items, values, None, ITEMS)
    learned = RatingModel.fit(log, made(ITEMS), SCALE, 0)
    loaded = RatingModel.load(learned.arrays(), np.arange(ITEMS), made(ITEMS + 6))
    expected = loaded.expected(np.tile(np.arange(ITEMS, ITEMS + 6), (200, 1)), learned.states(log), nothing(200))
    # The new items are of makers 0 to 5 in turn.
    assert np.corrcoef(expected.ravel(), liking.ravel())[0, 1] > 0.8
    bare_new = RatingModel.load(learned.arrays(), np.arange(ITEMS), bare(ITEMS + 6))
    same = bare_new.expected(np.tile(np.arange(ITEMS, ITEMS + 6), (200, 1)), learned.states(log), nothing(200))
    assert np.ptp(same, axis=1).max() == 0.0


def test_states_of_a_log_are_those_of_each_past(log: Interactions, model: RatingModel) -> None:
    states = model.states(log)
    assert states.shape == (120, model.size)
    assert log.values is not None
    for user in (0, 57, 119):
        rows = log.users == user
        assert np.array_equal(model.state(Past(log.items[rows], log.values[rows])), states[user])


def test_a_user_without_a_past_is_the_usual_user_in_a_log_too(log: Interactions, model: RatingModel) -> None:
    bare = log.only(log.users != 5)
    assert np.array_equal(model.states(bare)[5], model.state(NOBODY))
    usual = model.expected(np.arange(ITEMS)[None], model.state(NOBODY)[None], nothing(1))
    assert np.ptp(usual) > 0.5


def test_a_batch_rates_as_each_user_alone(log: Interactions, model: RatingModel) -> None:
    states, items = model.states(log)[:4], np.arange(12).reshape(4, 3)
    happened = history([[(1, 5.0)], [], [(3, 0.5), (4, 2.0)], [(9, 4.0)]])
    normal = np.random.default_rng(0).normal(size=(4, 3))
    together = model.expected(items, states, happened)
    drawn = model.draw(together, states, happened, normal)
    for row in range(4):
        one = slice(row, row + 1)
        alone = model.expected(items[one], states[one], happened.single(row))
        assert np.array_equal(alone, together[one])
        assert np.array_equal(model.draw(alone, states[one], happened.single(row), normal[one]), drawn[one])


def test_what_is_rated_in_an_episode_moves_a_user_as_a_past_does(log: Interactions, model: RatingModel) -> None:
    everything = np.arange(ITEMS)[None]
    before = model.expected(everything, model.state(NOBODY)[None], nothing(1))
    apart = []
    for user in range(100, 120):
        past, _, _ = halves(log, user)
        assert past.values is not None
        folded = history([list(zip(past.items.tolist(), past.values.tolist(), strict=True))])
        known = model.expected(everything, model.state(past)[None], nothing(1))
        moved = model.expected(everything, model.state(NOBODY)[None], folded)
        apart.append([np.mean((known - before) ** 2), np.mean((known - moved) ** 2)])
    unmoved, left = np.mean(apart, axis=0)
    assert left < 0.3 * unmoved


def test_expectations_stay_on_the_scale(model: RatingModel) -> None:
    states = np.tile(model.state(NOBODY), (2, 1))
    states[:, 0] = [40.0, -40.0]
    assert model.expected(np.zeros((2, 1), dtype=np.intp), states, nothing(2)).tolist() == [[5.0], [0.5]]


def test_who_gives_whole_stars_goes_on_to(log: Interactions, model: RatingModel) -> None:
    items = np.arange(ITEMS)[None]
    whole, halves_ = [], []
    for user in range(100, 120):
        rows = log.users == user
        assert log.values is not None
        state = model.state(Past(log.items[rows], log.values[rows]))[None]
        shares = model.distribution(model.expected(items, state, nothing(1)), state)
        (whole if user % 3 == 0 else halves_).append(shares[0, :, 0::2].sum(axis=1).mean())
    assert np.mean(whole) < 0.25
    assert np.mean(halves_) > 0.4


def test_single_answers_have_the_distribution_and_are_levels(log: Interactions, model: RatingModel) -> None:
    states = np.repeat(model.states(log)[7:8], 4000, axis=0)
    expected = np.full((4000, 1), 3.3)
    shares = model.distribution(expected, states)
    assert np.allclose(shares.sum(axis=2), 1.0)
    normal = np.random.default_rng(1).normal(size=expected.shape)
    drawn = model.draw(expected, states, nothing(4000), normal)
    counts = np.array([np.isclose(drawn, level).sum() for level in SCALE.levels])
    assert counts.sum() == 4000
    assert np.abs(counts / 4000 - shares[0, 0]).sum() / 2 < 0.03


def test_all_answers_together_are_distributed_as_in_the_log(log: Interactions, model: RatingModel) -> None:
    assert log.values is not None
    expected = np.array(
        [
            model.expected(log.items[None, log.users == user], state[None], nothing(1))[0]
            for user, state in enumerate(model.states(log))
        ]
    )
    shares = model.distribution(expected, model.states(log)).mean(axis=(0, 1))
    real = np.array([np.isclose(log.values, level).mean() for level in SCALE.levels])
    assert np.abs(shares - real).sum() / 2 < 0.05


def test_a_saved_model_rates_the_same_in_another_order(log: Interactions, model: RatingModel) -> None:
    whole, states = catalog(), model.states(log)[:3]
    order = np.random.default_rng(5).permutation(ITEMS)
    shuffled = Catalog([whole.items[i] for i in order], SCALE, whole.embeddings[order], "made up")
    where = np.argsort(order)
    saved = {name: np.array(value) for name, value in model.arrays().items()}
    assert all(value.dtype.kind in "fiu" for value in saved.values())
    loaded = RatingModel.load(saved, where, shuffled)
    items = np.arange(30).reshape(3, 10)
    ours = model.expected(items, states, nothing(3))
    assert np.allclose(loaded.expected(where[items], states, nothing(3)), ours, atol=1e-6)
    again = RatingModel.load(saved, np.arange(ITEMS), whole)
    assert np.array_equal(again.expected(items, states, nothing(3)), ours)
    assert np.allclose(again.state(halves(log, 3)[0]), model.state(halves(log, 3)[0]), atol=1e-6)


def test_a_new_item_is_rated_by_what_it_is(log: Interactions, model: RatingModel) -> None:
    both = catalog(ITEMS + 40)
    loaded = RatingModel.load(model.arrays(), np.arange(ITEMS), both)
    fans, states = [], model.states(log)
    likes_even = np.array(
        [
            model.expected(np.arange(ITEMS)[None], one[None], nothing(1))[0] @ np.tile([1, -1], ITEMS // 2)
            for one in states
        ]
    )
    new = np.arange(ITEMS, ITEMS + 40)[None]
    for user in (int(likes_even.argmax()), int(likes_even.argmin())):
        rated = loaded.expected(new, states[user][None], nothing(1))[0]
        fans.append(rated[0::2].mean() - rated[1::2].mean())
    assert fans[0] > 0.3
    assert fans[1] < -0.3


def test_embeddings_of_another_method_are_left_out(log: Interactions, model: RatingModel) -> None:
    bare = catalog(ITEMS + 2)
    other = Catalog(bare.items, SCALE, np.ones((ITEMS + 2, 8)), "another")
    loaded = RatingModel.load(model.arrays(), np.arange(ITEMS), other)
    states, items = model.states(log)[:1], np.arange(ITEMS)[None]
    assert np.array_equal(loaded.expected(items, states, nothing(1)), model.expected(items, states, nothing(1)))
    new = np.array([[ITEMS, ITEMS + 1]])
    assert np.isfinite(loaded.expected(new, states, nothing(1))).all()


def test_an_empty_log_gives_a_model_that_rates_near_the_middle() -> None:
    empty = made_up(3).only(np.zeros(75, dtype=np.bool_))
    model = RatingModel.fit(empty, catalog(), SCALE, 0)
    rated = model.expected(np.arange(ITEMS)[None], model.state(NOBODY)[None], nothing(1))
    assert np.all((rated > 2.5) & (rated < 4.0))


@pytest.mark.parametrize("level", [0.5, 3.0])
def test_a_log_of_one_level_is_answered_with_it(level: float) -> None:
    log = made_up(20)
    assert log.values is not None
    model = RatingModel.fit(replace(log, values=np.full(len(log), level)), catalog(), SCALE, 0)
    states = model.states(replace(log, values=np.full(len(log), level)))
    rated = model.expected(np.tile(np.arange(5), (20, 1)), states, nothing(20))
    assert np.all(np.abs(rated - level) < 0.5)
    assert (model.distribution(rated, states)[:, :, SCALE.levels == level] > 0.6).all()


def test_a_log_without_ratings_is_refused(log: Interactions, model: RatingModel) -> None:
    bare = replace(log, values=None)
    with pytest.raises(ConfigurationError, match="needs ratings"):
        RatingModel.fit(bare, catalog(), SCALE, 0)
    with pytest.raises(ConfigurationError, match="needs ratings"):
        model.states(bare)


def test_a_saved_model_answers_without_what_fitting_needs(
    log: Interactions, model: RatingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, states = model.arrays(), model.states(log)[:2]
    happened = history([[(1, 5.0)], [(2, 1.0)]])
    items = np.arange(10).reshape(2, 5)
    ours = model.expected(items, states, happened)
    _threads.cache_clear()
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    loaded = RatingModel.load(saved, np.arange(ITEMS), catalog())
    assert np.array_equal(loaded.expected(items, states, happened), ours)
    assert np.array_equal(loaded.state(NOBODY), model.state(NOBODY))
    with pytest.raises(MissingDependencyError, match="fit"):
        loaded.state(halves(log, 3)[0])


_DIGEST = """
import hashlib, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_ratings import SCALE, catalog, made_up
from emosim_core.fitting.ratings import RatingModel
log = made_up()
model = RatingModel.fit(log, catalog(), SCALE, 0)
parts = [model.states(log), *model.arrays().values()]
print(hashlib.sha256(b"".join(np.ascontiguousarray(one).tobytes() for one in parts)).hexdigest())
"""


def test_the_number_of_threads_changes_no_byte() -> None:
    digests = set()
    for threads in ("1", "2"):
        env = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", _DIGEST, os.path.dirname(__file__)]
        digests.add(subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout)
    assert len(digests) == 1
