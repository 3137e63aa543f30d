"""What users choose, learned from a log."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from emosim_core.data.interactions import Interactions
from emosim_core.errors import MissingDependencyError
from emosim_core.estimators import Past
from emosim_core.fitting.interest import InterestModel
from emosim_core.model import Catalog, Item, Memory, RatingScale
from emosim_core.model.memory import History

ITEMS, USERS, TASTES = 80, 90, 2
NOBODY = Past(np.array([], dtype=np.intp), np.array([]))


def catalog(items: int = ITEMS, seed: int = 4) -> Catalog:
    """Items of two tastes, by turns, which their categories and their vectors tell."""
    rng = np.random.default_rng(seed)
    made = [
        Item(id=str(i), title=f"T{i}", categories=(("a", "b")[i % TASTES],), year=None if i % 9 == 0 else 1980 + i // 4)
        for i in range(items)
    ]
    vectors = rng.normal(size=(items, 12)) * 0.3
    vectors[np.arange(items), np.arange(items) % TASTES] += 1.0
    return Catalog(made, RatingScale(low=1, high=5, step=1), vectors, "test")


def log(users: int = USERS, seed: int = 1, explicit: bool = True, timed: bool = True) -> Interactions:
    """Users who take 20 items, four of five of their own taste, over ten years."""
    rng = np.random.default_rng(seed)
    who, what, values, times = [], [], [], []
    for user in range(users):
        weights = np.where(np.arange(ITEMS) % TASTES == user % TASTES, 4.0, 1.0)
        taken = rng.choice(ITEMS, 20, replace=False, p=weights / weights.sum())
        who += [user] * len(taken)
        what += taken.tolist()
        values += np.where(taken % TASTES == user % TASTES, 4.0, 2.0).tolist()
        times += (1.3e9 + 3.2e8 * user / users + np.sort(rng.random(len(taken))) * 5e6).tolist()
    return Interactions(
        tuple(f"{user:03}" for user in range(users)),
        np.array(who, dtype=np.intp),
        np.array(what, dtype=np.intp),
        np.array(values) if explicit else None,
        np.array(times) if timed else None,
        ITEMS,
    )


def nothing(rows: int) -> History:
    return Memory(rows, ITEMS).history()


def afterwards(items: np.ndarray, ratings: np.ndarray) -> History:
    """What users took in an episode, arrays of the shape (rows, count)."""
    memory = Memory(len(items), ITEMS)
    for taken, rated in zip(items.T, ratings.T, strict=True):
        memory.append(np.arange(len(items)), taken, rated, np.full(len(items), 4))
    return memory.history()


@pytest.fixture(scope="module")
def model() -> InterestModel:
    return InterestModel.fit(log(), catalog(), seed=0)


def ahead(model: InterestModel, fresh: Interactions) -> float:
    """How often an item of a user's own taste that they do not have scores above one of the other taste."""
    shares = []
    for user, start in enumerate(fresh.starts[:-1].tolist()):
        rows = slice(start, start + 10)
        past = Past(fresh.items[rows], None if fresh.values is None else fresh.values[rows])
        rest = np.setdiff1d(np.arange(ITEMS), fresh.items[start : start + 20])
        scores = model.scores(rest[None], model.state(past)[None], nothing(1))[0]
        own = rest % TASTES == user % TASTES
        shares.append((scores[own][:, None] > scores[~own][None]).mean())
    return float(np.mean(shares))


@pytest.mark.parametrize(("explicit", "timed"), [(True, True), (False, True), (True, False), (False, False)])
def test_users_who_were_not_in_the_log_are_shown_to_prefer_their_own_taste(explicit: bool, timed: bool) -> None:
    fitted = InterestModel.fit(log(explicit=explicit, timed=timed), catalog(), seed=0)
    assert ahead(fitted, log(users=30, seed=2, explicit=explicit, timed=timed)) > 0.8


def test_a_state_and_what_followed_say_what_the_whole_past_says(model: InterestModel) -> None:
    rng = np.random.default_rng(5)
    taken, rated = np.stack([rng.permutation(ITEMS)[:12] for _ in range(3)]), rng.integers(1, 6, (3, 12)) * 1.0
    asked = rng.integers(0, ITEMS, (3, 7))
    whole = np.stack([model.state(Past(*one)) for one in zip(taken, rated, strict=True)])
    half = np.stack([model.state(Past(*one)) for one in zip(taken[:, :6], rated[:, :6], strict=True)])
    expected = model.scores(asked, whole, nothing(3))
    assert np.allclose(model.scores(asked, half, afterwards(taken[:, 6:], rated[:, 6:])), expected, atol=1e-3)
    empty = np.stack([model.state(NOBODY)] * 3)
    assert np.allclose(model.scores(asked, empty, afterwards(taken, rated)), expected, atol=1e-3)
    assert not np.allclose(model.scores(asked, empty, nothing(3)), expected, atol=1e-3)


def test_a_batch_is_answered_like_each_user_alone(model: InterestModel) -> None:
    states, asked = model.states(log())[:20], np.random.default_rng(6).integers(0, ITEMS, (20, 10))
    taken, rated = asked[:, :3], np.full((20, 3), 4.0)
    together = model.scores(asked, states, afterwards(taken, rated))
    alone = [
        model.scores(asked[[row]], states[[row]], afterwards(taken[[row]], rated[[row]]))[0]
        for row in range(len(asked))
    ]
    assert np.array_equal(together, np.stack(alone))


def test_each_feature_of_items_is_of_one_kind_of_knowledge(model: InterestModel) -> None:
    columns = model._columns
    kinds = columns.knowledge()
    assert {*kinds} == {"popularity", "recency", "mean rating", "co-consumption", "text", "categories"}
    places = np.concatenate([*kinds.values()])
    assert len(places) == len(np.unique(places))
    asked = np.arange(40)[None]
    features = columns.features(asked, model.states(log())[:1])[0]
    of_nothing = np.setdiff1d(np.arange(features.shape[1]), places)
    assert len(of_nothing) > 0
    assert (features[:, of_nothing] == features[0, of_nothing]).all(), "what is of no kind tells no item from another"
    assert (np.ptp(features[:, kinds["categories"]], axis=0) > 0).any()


def test_an_item_without_what_one_kind_tells_is_scored_by_all_others(model: InterestModel) -> None:
    state, asked, none = model.states(log())[:1], np.arange(ITEMS)[None], nothing(1)
    scores = model.scores(asked, state, none)[0]
    alone, without = (model.scores_by_knowledge(asked, state, none, alone=one) for one in (True, False))
    own = np.arange(ITEMS) % TASTES == 0
    assert alone["categories"][0][own].mean() > alone["categories"][0][~own].mean()
    assert len(np.unique(alone["categories"][0])) < len(np.unique(scores)) / 2
    for name, lacking in without.items():
        assert not np.array_equal(lacking[0], scores), name
    # Items that one kind of knowledge does not tell apart are told apart by nothing else when it is alone.
    years = np.array([item.year or 0 for item in catalog().items])
    same = np.flatnonzero((years == 1985) & own)
    assert len(same) > 1
    assert len(np.unique(alone["categories"][0][same])) == 1


def test_the_states_of_a_log_are_those_of_its_pasts(model: InterestModel) -> None:
    some = log(users=4)
    states = model.states(some)
    for user, start in enumerate(some.starts[:-1].tolist()):
        rows = slice(start, start + 20)
        assert some.values is not None
        assert np.array_equal(states[user], model.state(Past(some.items[rows], some.values[rows])))


def test_what_is_liked_counts_for_what_is_like_it(model: InterestModel) -> None:
    taken = np.array([0, 2, 4, 6, 1, 3, 5, 7])
    loves_first = model.state(Past(taken, np.array([5.0, 5, 5, 5, 1, 1, 1, 1])))
    loves_second = model.state(Past(taken, np.array([1.0, 1, 1, 1, 5, 5, 5, 5])))
    asked = np.arange(20, 60)[None]
    first, second = (model.scores(asked, one[None], nothing(1))[0] for one in (loves_first, loves_second))
    assert (first - second)[::2].mean() > (first - second)[1::2].mean()


def test_fitted_twice_it_is_the_same_to_the_byte() -> None:
    once, again = (InterestModel.fit(log(), catalog(), seed=3).arrays() for _ in range(2))
    assert once.keys() == again.keys()
    assert all(once[name].tobytes() == again[name].tobytes() for name in once)


def test_its_arrays_bring_it_back(model: InterestModel) -> None:
    arrays = {name: np.frombuffer(one.tobytes(), one.dtype).reshape(one.shape) for name, one in model.arrays().items()}
    again = InterestModel.load(arrays, np.arange(ITEMS), catalog())
    states, asked = model.states(log())[:5], np.arange(50).reshape(5, 10)
    assert np.array_equal(again.states(log())[:5], states)
    assert np.array_equal(again.scores(asked, states, nothing(5)), model.scores(asked, states, nothing(5)))


def test_items_may_stand_in_another_order_and_be_gone(model: InterestModel) -> None:
    whole, order = catalog(), np.random.default_rng(7).permutation(ITEMS)[:60]
    other = Catalog([whole.items[i] for i in order], whole.scale, whole.embeddings[order], "test")
    known = np.full(ITEMS, -1)
    known[order] = np.arange(60)
    moved = InterestModel.load(model.arrays(), known, other)
    states, asked = model.states(log())[:6], np.arange(60).reshape(6, 10)
    assert np.array_equal(moved.scores(asked, states, nothing(6)), model.scores(order[asked], states, nothing(6)))


def test_new_items_are_chosen_by_whom_their_content_suits(model: InterestModel) -> None:
    wider = catalog(ITEMS + 40)
    old = catalog()
    vectors = np.concatenate([old.embeddings, wider.embeddings[ITEMS:]])
    grown = InterestModel.load(model.arrays(), np.arange(ITEMS), Catalog(wider.items, wider.scale, vectors, "test"))
    states, new = model.states(log()), np.arange(ITEMS, ITEMS + 40)
    scores = grown.scores(np.tile(new, (USERS, 1)), states, nothing(USERS))
    assert np.isfinite(scores).all()
    own = (new[None] % TASTES) == (np.arange(USERS)[:, None] % TASTES)
    assert scores[own].mean() > scores[~own].mean()
    kept = grown.scores(np.tile(np.arange(ITEMS), (USERS, 1)), states, nothing(USERS))
    assert np.array_equal(kept, model.scores(np.tile(np.arange(ITEMS), (USERS, 1)), states, nothing(USERS)))


def test_a_catalog_without_any_known_item_is_answered(model: InterestModel) -> None:
    stranger = InterestModel.load(model.arrays(), np.full(ITEMS, -1), catalog(seed=9))
    assert np.isfinite(stranger.scores(np.arange(10)[None], model.states(log())[:1], nothing(1))).all()


@pytest.mark.parametrize("users", [0, 1, 12])
def test_a_log_of_few_users_is_enough_for_an_answer(users: int) -> None:
    few = log(users=users)
    fitted = InterestModel.fit(few, catalog(), seed=0)
    scores = fitted.scores(np.arange(ITEMS)[None], fitted.state(Past(few.items[:9], None))[None], nothing(1))
    assert np.isfinite(scores).all()


def test_the_trees_of_another_fit_can_be_taken_over(model: InterestModel) -> None:
    rows = log().users < USERS // 2
    later = InterestModel.fit(log().only(rows), catalog(), seed=0, trees_of=model)
    assert later.arrays()["tree_leaves"].tobytes() == model.arrays()["tree_leaves"].tobytes()
    assert later.arrays()["latent"].tobytes() != model.arrays()["latent"].tobytes()


def test_ratings_after_an_implicit_log_count_for_nothing() -> None:
    fitted = InterestModel.fit(log(explicit=False), catalog(), seed=0)
    states, taken, asked = (
        fitted.states(log(explicit=False))[:2],
        np.array([[1, 2], [3, 4]]),
        np.array([[9, 8], [7, 6]]),
    )
    low, high = (fitted.scores(asked, states, afterwards(taken, np.full((2, 2), value))) for value in (1.0, 5.0))
    assert np.array_equal(low, high)


def test_a_catalog_without_content_is_served() -> None:
    bare = Catalog([Item(id=str(i), title=f"T{i}") for i in range(ITEMS)], RatingScale(low=1, high=5, step=1))
    assert ahead(InterestModel.fit(log(), bare, seed=0), log(users=30, seed=2)) > 0.7


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MissingDependencyError, match=r"lightgbm.*emosim-core\[fit\]"):
        InterestModel.fit(log(), catalog(), seed=0)
